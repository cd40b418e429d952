"""Deploys the platform's template into moto and reads back what came of it.

Each resource is made by the model that moto's CloudFormation makes it with. The CloudFormation service itself stays
out: importing it takes three seconds, and it works out references no better than `local.template`.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from local.deployment import (
    ACCOUNT,
    REGION,
    Authorizer,
    Deployment,
    Function,
    Invocations,
    QueueMapping,
    Route,
    Rule,
    Statement,
    StreamMapping,
)
from local.patterns import check_pattern
from local.template import Resolver, TemplateError, only, split

STACK = "mepush"
ON_DEMAND_SHARDS = 4
"""What an on-demand stream begins with (Kinesis developer guide, "Choose the right mode")."""

# Type -> module and class, the property that names one, and the attribute that holds its ARN. The classes could tell
# their attributes as CloudFormation does, but that imports the whole of it.
_MODELS = {
    "AWS::DynamoDB::Table": ("moto.dynamodb.models", "Table", "TableName", "table_arn"),
    "AWS::IAM::Role": ("moto.iam.models", "Role", "RoleName", "arn"),
    "AWS::Kinesis::Stream": ("moto.kinesis.models", "Stream", "Name", "arn"),
    "AWS::S3::Bucket": ("moto.s3.models", "FakeBucket", "BucketName", "arn"),
    "AWS::SQS::Queue": ("moto.sqs.models", "Queue", "QueueName", "queue_arn"),
}
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

_FUNCTION = "AWS::Lambda::Function"

# The reference to one of these is its name, which is this property.
_NAMED = {
    "AWS::Events::EventBus": "Name",
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Scheduler::ScheduleGroup": "Name",
}
_RULE = frozenset({"Description", "EventBusName", "EventPattern", "Name", "State", "Targets"})
_TARGET = frozenset({"Arn", "DeadLetterConfig", "Id", "RetryPolicy"})
_INVOCATIONS = frozenset(
    {"DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier"}
)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def logical_name(handler: str) -> str:
    """A function's name from its handler: `functions.<name>.handler...`, or `<name>_<module>` for another module."""
    match = re.fullmatch(r"functions\.(\w+)\.(\w+)\.\w+", handler)
    if match is None:
        raise TemplateError(f"a handler is functions.<name>.<module>.<function>, not {handler}")
    return match[1] if match[2] == "handler" else f"{match[1]}_{match[2]}"


def _physical_name(kind: str, name: str) -> str:
    """A name as CloudFormation makes one up."""
    made_up = f"{STACK}-{name}-{secrets.token_hex(6).upper()}"
    return made_up.lower() if kind == "AWS::S3::Bucket" else made_up


def deploy(
    template: Mapping[str, Any],
    *,
    client: Callable[[str], Any],
    api_url: str,
    overrides: Mapping[str, str] | None = None,
) -> Deployment:
    """Make the template's resources in moto, which must be on, and read back what came of it.

    client: makes boto3 clients. api_url: where the local gateway listens. overrides: environment variables whose value
    differs here, set where a function has the variable. Raises: TemplateError.
    """
    return _Deployer(template, client, api_url, overrides or {}).run()


class _Deployer:
    def __init__(
        self, template: Mapping[str, Any], client: Callable[[str], Any], api_url: str, overrides: Mapping[str, str]
    ) -> None:
        self._template = template
        self._client = client
        self._api_url = api_url
        self._overrides = overrides
        self._made, self._played = split(template)
        self._resources: dict[str, Any] = {}
        self._functions: dict[str, Function] = {}
        self._resolve = Resolver(_PSEUDO, self._ref, self._attribute)

    def run(self) -> Deployment:
        for name in self._made:
            self._ref(name)
        functions = self._functions.values()
        self._functions_by_name = {function.name: function for function in functions}
        self._by_arn = {function.arn: function.name for function in functions}
        self._by_arn |= {function.physical_name: function.name for function in functions}
        self._what_models_ignore()
        mappings = [self._properties(name) | {"id": name} for name in self._of("AWS::Lambda::EventSourceMapping")]
        mappings = [m for m in mappings if m.get("Enabled", True)]
        return Deployment(
            functions=self._functions_by_name,
            routes=tuple(self._route(name) for name in self._of("AWS::ApiGatewayV2::Route")),
            queue_mappings=tuple(self._queue_mapping(m) for m in mappings if ":sqs:" in m["EventSourceArn"]),
            stream_mappings=tuple(self._stream_mapping(m) for m in mappings if ":sqs:" not in m["EventSourceArn"]),
            queues=self._physical("AWS::SQS::Queue"),
            tables=self._physical("AWS::DynamoDB::Table"),
            streams=self._physical("AWS::Kinesis::Stream"),
            buckets=self._physical("AWS::S3::Bucket"),
            schedule_groups=self._schedule_groups(),
            schedules=tuple(self._properties(name) for name in self._of("AWS::Scheduler::Schedule")),
            buses=tuple(self._ref(name) for name in self._of("AWS::Events::EventBus")),
            rules=tuple(self._rules()),
            invocations=dict(self._invocations(name) for name in self._of("AWS::Lambda::EventInvokeConfig")),
            permissions=self._permissions(),
            delivery_streams=tuple(self._ref(name) for name in self._of("AWS::KinesisFirehose::DeliveryStream")),
            alarms=tuple(self._alarms()),
            outputs=self._outputs(),
        )

    def _resource(self, name: str) -> Any:
        """What moto made of a resource, making it on first use."""
        if name not in self._resources:
            kind = self._made[name]["Type"]
            module, model, name_property, _ = _MODELS[kind]
            properties = self._properties(name)
            if properties.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND":
                properties["ShardCount"] = ON_DEMAND_SHARDS  # the model ignores the mode
            physical = properties.get(name_property) or _physical_name(kind, name)
            self._resources[name] = getattr(import_module(module), model).create_from_cloudformation_json(
                physical, {"Type": kind, "Properties": properties}, ACCOUNT, REGION
            )
        return self._resources[name]

    def _function(self, name: str) -> Function:
        if name not in self._functions:
            resource = self._made[name]["Properties"]
            handler, physical = resource["Handler"], self._resolve(resource.get("FunctionName", f"{STACK}-{name}"))
            variables = resource.get("Environment", {}).get("Variables", {})
            environment = {key: self._text(value) for key, value in variables.items()}
            self._functions[name] = Function(
                name=logical_name(handler),
                physical_name=physical,
                arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{physical}",
                handler=handler,
                timeout_s=int(resource.get("Timeout", 3)),
                memory_mb=int(resource.get("MemorySize", 128)),
                environment=environment | {k: v for k, v in self._overrides.items() if k in environment},
            )
        return self._functions[name]

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
            if self._made[name]["Type"] == "AWS::Lambda::Function":
                return self._function(name).physical_name
            return str(self._resource(name).physical_resource_id)
        kind, properties = self._known(name)
        if kind == "AWS::ApiGatewayV2::Api":
            return "local"
        named = properties.get(_NAMED.get(kind, "StageName"))
        return str(self._resolve(named)) if named else name

    def _attribute(self, name: str, attribute: str) -> str:
        if name in self._made and attribute == "Arn":
            kind = self._made[name]["Type"]
            if kind == "AWS::Lambda::Function":
                return self._function(name).arn
            return str(getattr(self._resource(name), _MODELS[kind][3]))
        if name in self._made and attribute in ("QueueUrl", "QueueName"):
            return self._ref(name) if attribute == "QueueUrl" else self._ref(name).rpartition("/")[2]
        kind, _ = self._known(name)
        if (kind, attribute) == ("AWS::ApiGatewayV2::Api", "ApiEndpoint"):
            return self._api_url
        if (kind, attribute) == ("AWS::Scheduler::ScheduleGroup", "Arn"):
            return f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{self._ref(name)}"
        if (kind, attribute) == ("AWS::Events::EventBus", "Arn"):
            return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{self._ref(name)}"
        raise TemplateError(f"the local stack does not know {attribute} of {name}")

    def _text(self, value: Any) -> str:
        """A value worked out, with the API's address where it leads here."""
        return str(self._resolve(value)).replace(f"https://local.execute-api.{REGION}.amazonaws.com", self._api_url)

    def _known(self, name: str) -> tuple[str, Mapping[str, Any]]:
        if name not in self._played:
            raise TemplateError(f"{name} is left out of the local stack, or this of it is not known")
        return self._played[name]["Type"], self._played[name].get("Properties", {})

    def _what_models_ignore(self) -> None:
        """Tables' times to live, and buckets' versions."""
        for name in self._of("AWS::DynamoDB::Table"):
            wanted = self._properties(name).get("TimeToLiveSpecification")
            if wanted:
                self._client("dynamodb").update_time_to_live(TableName=self._ref(name), TimeToLiveSpecification=wanted)
        for name in self._of("AWS::S3::Bucket"):
            wanted = self._properties(name).get("VersioningConfiguration")
            if wanted:
                self._client("s3").put_bucket_versioning(Bucket=self._ref(name), VersioningConfiguration=wanted)

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
        id = mapping.pop("id")
        only(id, mapping, _SQS_MAPPING)
        arn = mapping["EventSourceArn"]
        name = self._with_arn("AWS::SQS::Queue", arn)
        return QueueMapping(
            id=id,
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

    def _alarms(self) -> Iterator[dict[str, Any]]:
        """Without whom they tell: nobody, here."""
        for resource in self._template["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                yield self._resolve({k: v for k, v in resource["Properties"].items() if k != "AlarmActions"})

    def _rules(self) -> Iterator[Rule]:
        for name in self._of("AWS::Events::Rule"):
            properties = self._properties(name)
            only(name, properties, _RULE)
            if properties.get("State", "ENABLED") != "ENABLED":
                continue
            check_pattern(name, properties["EventPattern"])
            targets = properties["Targets"]
            for target in targets:
                only(f"a target of {name}", target, _TARGET)
            arns = [target["Arn"] for target in targets]
            queues = [arn for arn in arns if ":sqs:" in arn]
            functions = [arn for arn in arns if arn not in queues]
            for arn in functions:
                self._named_function(arn)
            dead = [target["DeadLetterConfig"]["Arn"] for target in targets if "DeadLetterConfig" in target]
            yield Rule(
                name=properties.get("Name", name),
                bus=properties.get("EventBusName", "default").rpartition("/")[2],
                pattern=properties["EventPattern"],
                functions=tuple(functions),
                queue_urls=tuple(self._ref(self._with_arn("AWS::SQS::Queue", arn)) for arn in queues),
                dead_letter_urls=tuple(self._ref(self._with_arn("AWS::SQS::Queue", arn)) for arn in dead),
            )

    def _invocations(self, name: str) -> tuple[str, Invocations]:
        properties = self._properties(name)
        only(name, properties, _INVOCATIONS)
        only(f"destinations of {name}", properties.get("DestinationConfig", {}), frozenset({"OnFailure"}))
        function = self._functions_by_name[self._named_function(properties["FunctionName"])]
        failure = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", "")
        return function.arn, Invocations(
            max_retries=int(properties.get("MaximumRetryAttempts", 2)),
            max_age_s=int(properties.get("MaximumEventAgeInSeconds", 21_600)),
            failure_queue_url=self._ref(self._with_arn("AWS::SQS::Queue", failure)) if failure else "",
        )

    def _permissions(self) -> dict[str, tuple[Statement, ...]]:
        found: dict[str, tuple[Statement, ...]] = {}
        roles = {
            self._resolve(self._made[name]["Properties"].get("Role", name)): self._function(name).name
            for name in self._of(_FUNCTION)
        }
        policies = {
            self._attribute(name, "Arn"): self._template["Resources"][name]["Properties"].get("Policies", ())
            for name in self._of("AWS::IAM::Role")
        }
        for arn, function in roles.items():
            documents = [policy["PolicyDocument"]["Statement"] for policy in policies.get(arn, ())]
            found[function] = tuple(self._statement(each) for several in documents for each in several)
        return found

    def _statement(self, statement: Mapping[str, Any]) -> Statement:
        if statement["Effect"] != "Allow":
            raise TemplateError("the local stack knows statements that allow, and no others")
        resources = []
        for each in _listed(statement["Resource"]):
            with suppress(TemplateError):  # of something that is left out here
                resources.append(str(self._resolve(each)))
        conditions = self._resolve(statement.get("Condition", {}))
        return Statement(tuple(_listed(statement["Action"])), tuple(resources), conditions)

    def _with_arn(self, kind: str, arn: str) -> str:
        for name in self._of(kind):
            if self._attribute(name, "Arn") == arn:
                return name
        raise TemplateError(f"nothing of the type {kind} has the ARN {arn}")

    def _schedule_groups(self) -> tuple[str, ...]:
        names = [self._ref(name) for name in self._of("AWS::Scheduler::ScheduleGroup")]
        for name in names:
            self._client("scheduler").create_schedule_group(Name=name)
        return tuple(names)

    def _outputs(self) -> dict[str, str]:
        found = {}
        for name, output in self._template.get("Outputs", {}).items():
            try:
                found[name] = self._text(output["Value"])
            except TemplateError:
                continue  # of something that is left out here
        return found
