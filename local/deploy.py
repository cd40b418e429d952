"""Deploys the platform's template into moto and reads back what came of it."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from local.template import Resolver, Resource, TemplateError, only, rewrite, split

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "mepush"
ON_DEMAND_SHARDS = 4
"""What an on-demand stream begins with (Kinesis developer guide, "Choose the right mode")."""

_FUNCTION_KEEPS = ("FunctionName", "Description", "Handler", "MemorySize", "Role", "Runtime", "Timeout", "Environment")
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
_SQS_MAPPING = frozenset(
    {
        "BatchSize",
        "Enabled",
        "EventSourceArn",
        "FunctionName",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "ScalingConfig",
        "Tags",
    }
)
_STREAM_MAPPING = _SQS_MAPPING - {"ScalingConfig"} | {
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "StartingPosition",
}


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed function. name: its logical name, such as `trace_api`; environment: worked out."""

    name: str
    physical_name: str
    arn: str
    handler: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A REQUEST authorizer with payload 2.0 and simple responses. ttl_s: how long its answer is kept."""

    function: str
    identity_sources: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route. key: such as `GET /v1/messages/{id}`."""

    key: str
    function: str
    timeout_ms: int
    authorizer: Authorizer | None


@dataclass(frozen=True, slots=True)
class QueueMapping:
    """An event source mapping from a queue. max_concurrency: None for no cap of its own."""

    function: str
    queue_arn: str
    queue_url: str
    batch_size: int
    window_s: int
    partial: bool
    max_concurrency: int | None
    visibility_s: int


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """An event source mapping from a stream. max_tries and max_age_s: -1 for no bound; failure_queue_url: or empty."""

    function: str
    stream_name: str
    stream_arn: str
    batch_size: int
    window_s: int
    partial: bool
    bisect: bool
    max_retries: int
    max_age_s: int
    failure_queue_url: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed. queues, tables, streams, buckets: logical id -> URL or name; outputs: the stack's."""

    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    queue_mappings: tuple[QueueMapping, ...]
    stream_mappings: tuple[StreamMapping, ...]
    queues: Mapping[str, str]
    tables: Mapping[str, str]
    streams: Mapping[str, str]
    buckets: Mapping[str, str]
    schedule_groups: tuple[str, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)


def logical_name(handler: str) -> str:
    """A function's name from its handler: `functions.<name>.handler...`, or `<name>_<module>` for another module."""
    match = re.fullmatch(r"functions\.(\w+)\.(\w+)\.\w+", handler)
    if match is None:
        raise TemplateError(f"a handler is functions.<name>.<module>.<function>, not {handler}")
    return match[1] if match[2] == "handler" else f"{match[1]}_{match[2]}"


def deploy(template: Mapping[str, Any], *, api_url: str, overrides: Mapping[str, str] | None = None) -> Deployment:
    """Make the template's resources in moto, which must be on, and read back what came of it.

    api_url: where the local gateway listens. overrides: environment variables whose value differs here, set where a
    function has the variable. Raises: TemplateError.
    """
    return _Deployer(template, api_url, overrides or {}).run()


class _Deployer:
    def __init__(self, template: Mapping[str, Any], api_url: str, overrides: Mapping[str, str]) -> None:
        self._template = template
        self._api_url = api_url
        self._overrides = overrides
        self._made, self._played = split(template)
        self._stack: Any = None
        self._resolve = Resolver(_PSEUDO, self._ref, self._attribute)

    def run(self) -> Deployment:
        self._create()
        functions = {name: self._function(name) for name in self._of("AWS::Lambda::Function")}
        self._by_arn = {function.arn: function.name for function in functions.values()}
        self._by_arn |= {function.physical_name: function.name for function in functions.values()}
        self._time_to_live()
        mappings = [self._properties(name) | {"id": name} for name in self._of("AWS::Lambda::EventSourceMapping")]
        mappings = [m for m in mappings if m.get("Enabled", True)]
        return Deployment(
            functions={function.name: function for function in functions.values()},
            routes=tuple(self._route(name) for name in self._of("AWS::ApiGatewayV2::Route")),
            queue_mappings=tuple(self._queue_mapping(m) for m in mappings if ":sqs:" in m["EventSourceArn"]),
            stream_mappings=tuple(self._stream_mapping(m) for m in mappings if ":sqs:" not in m["EventSourceArn"]),
            queues=self._physical("AWS::SQS::Queue"),
            tables=self._physical("AWS::DynamoDB::Table"),
            streams=self._physical("AWS::Kinesis::Stream"),
            buckets=self._physical("AWS::S3::Bucket"),
            schedule_groups=self._schedule_groups(),
            outputs=self._outputs(),
        )

    def _create(self) -> None:
        resources = {name: self._for_moto(name, resource) for name, resource in self._made.items()}
        client = boto3.client("cloudformation", region_name=REGION)
        client.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources}))
        status = client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        if status != "CREATE_COMPLETE":
            raise TemplateError(f"moto did not make the stack: {status}")
        from moto.cloudformation.models import cloudformation_backends

        stacks = cloudformation_backends[ACCOUNT][REGION].stacks.values()
        self._stack = next(stack for stack in stacks if stack.name == STACK)

    def _for_moto(self, name: str, resource: Resource) -> dict[str, Any]:
        """A resource as moto can make it."""

        def replace(intrinsic: str, argument: Any) -> Any:
            target = argument[0] if intrinsic == "Fn::GetAtt" else argument
            if intrinsic in ("Ref", "Fn::GetAtt"):
                if target in self._played:
                    return self._resolve({intrinsic: argument})
                if target not in self._made and target not in _PSEUDO:
                    raise TemplateError(f"{name} refers to {target}, which is left out of the local stack")
                if intrinsic == "Fn::GetAtt" and argument[1] == "QueueUrl":
                    return {"Ref": target}
                return {intrinsic: argument}
            return {intrinsic: rewrite(argument, replace)}

        made: dict[str, Any] = copy.deepcopy(dict(resource))
        properties = made.get("Properties", {})
        if made["Type"] == "AWS::Lambda::Function":
            # The code runs in this process: moto only works out the environment.
            properties = {key: properties[key] for key in _FUNCTION_KEEPS if key in properties}
            properties["Code"] = {"ZipFile": "pass"}
        elif made["Type"] == "AWS::Kinesis::Stream" and properties.get("StreamModeDetails"):
            properties["ShardCount"] = ON_DEMAND_SHARDS  # moto's CloudFormation ignores the mode
        depends = made.get("DependsOn", [])
        depends = [depends] if isinstance(depends, str) else depends
        made["DependsOn"] = [each for each in depends if each in self._made]
        made["Properties"] = rewrite(properties, replace)
        return made

    def _of(self, kind: str) -> list[str]:
        return [name for name, resource in (self._made | self._played).items() if resource["Type"] == kind]

    def _properties(self, name: str) -> dict[str, Any]:
        resource = self._made.get(name) or self._played[name]
        found: dict[str, Any] = self._resolve(resource.get("Properties", {}))
        return found

    def _physical(self, kind: str) -> dict[str, str]:
        return {name: self._ref(name) for name in self._of(kind)}

    def _ref(self, name: str) -> str:
        if name in self._made:
            return str(self._stack.resource_map[name].physical_resource_id)
        kind, properties = self._known(name)
        if kind == "AWS::ApiGatewayV2::Api":
            return "local"
        named = properties.get("Name") if kind == "AWS::Scheduler::ScheduleGroup" else properties.get("StageName")
        return str(self._resolve(named)) if named else name

    def _attribute(self, name: str, attribute: str) -> str:
        if name in self._made:
            if attribute == "QueueUrl":
                return self._ref(name)
            return str(self._stack.resource_map[name].get_cfn_attribute(attribute))
        kind, _ = self._known(name)
        if (kind, attribute) == ("AWS::ApiGatewayV2::Api", "ApiEndpoint"):
            return self._api_url
        if (kind, attribute) == ("AWS::Scheduler::ScheduleGroup", "Arn"):
            return f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{self._ref(name)}"
        raise TemplateError(f"the local stack does not know {attribute} of {name}")

    def _known(self, name: str) -> tuple[str, Mapping[str, Any]]:
        if name not in self._played:
            raise TemplateError(f"{name} is left out of the local stack")
        return self._played[name]["Type"], self._played[name].get("Properties", {})

    def _function(self, name: str) -> Function:
        properties = self._properties(name)
        found = boto3.client("lambda", region_name=REGION).get_function_configuration(FunctionName=self._ref(name))
        environment = dict(found.get("Environment", {}).get("Variables", {}))
        environment |= {key: value for key, value in self._overrides.items() if key in environment}
        return Function(
            name=logical_name(properties["Handler"]),
            physical_name=found["FunctionName"],
            arn=self._attribute(name, "Arn"),
            handler=properties["Handler"],
            timeout_s=int(properties.get("Timeout", 3)),
            memory_mb=int(properties.get("MemorySize", 128)),
            environment=environment,
        )

    def _time_to_live(self) -> None:
        """moto's CloudFormation ignores it."""
        for name in self._of("AWS::DynamoDB::Table"):
            wanted = self._properties(name).get("TimeToLiveSpecification")
            if wanted:
                boto3.client("dynamodb", region_name=REGION).update_time_to_live(
                    TableName=self._ref(name), TimeToLiveSpecification=wanted
                )

    def _named_function(self, uri: str) -> str:
        match = re.search(r"arn:aws:lambda:[^:]+:\d+:function:[^/:]+", uri)
        name = self._by_arn.get(match[0] if match else uri)
        if name is None:
            raise TemplateError(f"no function of this stack: {uri}")
        return name

    def _route(self, name: str) -> Route:
        properties = self._properties(name)
        only(name, properties, frozenset({"ApiId", "AuthorizationType", "AuthorizerId", "RouteKey", "Target"}))
        integration = self._properties(properties["Target"].removeprefix("integrations/"))
        if integration["IntegrationType"] != "AWS_PROXY" or integration["PayloadFormatVersion"] != "2.0":
            raise TemplateError(f"{name}: the local gateway calls functions with payload 2.0 only")
        kind = properties.get("AuthorizationType", "NONE")
        if kind not in ("NONE", "CUSTOM"):
            raise TemplateError(f"{name}: the local gateway does not know the authorization {kind}")
        return Route(
            key=properties["RouteKey"],
            function=self._named_function(integration["IntegrationUri"]),
            timeout_ms=int(integration.get("TimeoutInMillis", 30_000)),
            authorizer=self._authorizer(properties["AuthorizerId"]) if kind == "CUSTOM" else None,
        )

    def _authorizer(self, name: str) -> Authorizer:
        properties = self._properties(name)
        simple = properties.get("EnableSimpleResponses") and properties.get("AuthorizerPayloadFormatVersion") == "2.0"
        if properties["AuthorizerType"] != "REQUEST" or not simple:
            raise TemplateError(f"{name}: the local gateway knows REQUEST authorizers with simple responses only")
        return Authorizer(
            function=self._named_function(properties["AuthorizerUri"]),
            identity_sources=tuple(properties.get("IdentitySource", ())),
            ttl_s=int(properties.get("AuthorizerResultTtlInSeconds", 0)),
        )

    def _queue_mapping(self, mapping: dict[str, Any]) -> QueueMapping:
        only(mapping.pop("id"), mapping, _SQS_MAPPING)
        arn = mapping["EventSourceArn"]
        name = self._with_arn("AWS::SQS::Queue", arn)
        return QueueMapping(
            function=self._named_function(mapping["FunctionName"]),
            queue_arn=arn,
            queue_url=self._ref(name),
            batch_size=int(mapping.get("BatchSize", 10)),
            window_s=int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
            partial="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", ()),
            max_concurrency=mapping.get("ScalingConfig", {}).get("MaximumConcurrency"),
            visibility_s=int(self._properties(name).get("VisibilityTimeout", 30)),
        )

    def _stream_mapping(self, mapping: dict[str, Any]) -> StreamMapping:
        id = mapping.pop("id")
        only(id, mapping, _STREAM_MAPPING)
        if mapping.get("ParallelizationFactor", 1) != 1 or mapping["StartingPosition"] != "TRIM_HORIZON":
            raise TemplateError(f"{id}: the local stack reads each shard once, from its beginning")
        arn = mapping["EventSourceArn"]
        failure = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
        return StreamMapping(
            function=self._named_function(mapping["FunctionName"]),
            stream_name=self._ref(self._with_arn("AWS::Kinesis::Stream", arn)),
            stream_arn=arn,
            batch_size=int(mapping.get("BatchSize", 100)),
            window_s=int(mapping.get("MaximumBatchingWindowInSeconds", 0)),
            partial="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", ()),
            bisect=bool(mapping.get("BisectBatchOnFunctionError", False)),
            max_retries=int(mapping.get("MaximumRetryAttempts", -1)),
            max_age_s=int(mapping.get("MaximumRecordAgeInSeconds", -1)),
            failure_queue_url=self._ref(self._with_arn("AWS::SQS::Queue", failure)) if failure else "",
        )

    def _with_arn(self, kind: str, arn: str) -> str:
        for name in self._of(kind):
            if self._attribute(name, "Arn") == arn:
                return name
        raise TemplateError(f"nothing of the type {kind} has the ARN {arn}")

    def _schedule_groups(self) -> tuple[str, ...]:
        client = boto3.client("scheduler", region_name=REGION)
        names = [self._ref(name) for name in self._of("AWS::Scheduler::ScheduleGroup")]
        for name in names:
            client.create_schedule_group(Name=name)
        return tuple(names)

    def _outputs(self) -> dict[str, str]:
        found = {}
        for name, output in self._template.get("Outputs", {}).items():
            try:
                found[name] = str(self._resolve(output["Value"]))
            except TemplateError:
                continue  # of something that is left out here
        return found
