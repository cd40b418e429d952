"""Reads a CloudFormation template: what moto makes, what the local stack plays itself, what has no meaning here."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Resource = Mapping[str, Any]

MADE_BY_MOTO = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::Kinesis::Stream",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
    }
)
"""Types that moto makes; of functions it needs only what they are called."""

PLAYED_HERE = frozenset(
    {
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
        "AWS::Events::EventBus",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::KinesisFirehose::DeliveryStream",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Scheduler::Schedule",
        "AWS::Scheduler::ScheduleGroup",
    }
)
"""Types that moto does not know, or would act on in its own way; the local stack reads them from the template."""

WITHOUT_MEANING_HERE = frozenset(
    {
        "AWS::Athena::NamedQuery",
        "AWS::Athena::WorkGroup",
        "AWS::CDK::Metadata",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::Events::EventBusPolicy",
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::IAM::ManagedPolicy",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
        "AWS::Logs::LogStream",
        "AWS::Logs::MetricFilter",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)
"""Types that watch or permit: nothing that a message travels through."""


class TemplateError(Exception):
    """The template holds something that the local stack cannot be faithful to; says what."""


def split(template: Mapping[str, Any]) -> tuple[dict[str, Resource], dict[str, Resource]]:
    """The resources that moto makes and those played here, by logical id.

    Raises: TemplateError for a type in none of the three lists, since moto would skip it without a word.
    """
    made: dict[str, Resource] = {}
    played: dict[str, Resource] = {}
    for name, resource in template["Resources"].items():
        kind = resource["Type"]
        if kind in MADE_BY_MOTO:
            made[name] = resource
        elif kind in PLAYED_HERE:
            played[name] = resource
        elif kind not in WITHOUT_MEANING_HERE:
            raise TemplateError(f"{name} is of the type {kind}, which the local stack does not know")
        if "Condition" in resource:
            raise TemplateError(f"{name} has a condition, which the local stack does not read")
    return made, played


def rewrite(value: Any, replace: Callable[[str, Any], Any]) -> Any:
    """Copy a value, with each intrinsic function (`Ref`, `Fn::...`) replaced by `replace(name, argument)`."""
    if isinstance(value, list):
        return [rewrite(each, replace) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or name.startswith("Fn::"):
            return replace(name, argument)
    return {key: rewrite(each, replace) for key, each in value.items()}


class Resolver:
    """Works out intrinsic functions. ref, attribute: look up a logical id, and an attribute of one."""

    def __init__(
        self, pseudo: Mapping[str, str], ref: Callable[[str], str], attribute: Callable[[str, str], str]
    ) -> None:
        self._pseudo = pseudo
        self._ref_of = ref
        self._attribute_of = attribute

    def __call__(self, value: Any) -> Any:
        """The value with every intrinsic function worked out. Raises: TemplateError."""
        return rewrite(value, self._intrinsic)

    def _intrinsic(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return self._get_att(argument)
            case "Fn::Join":
                return argument[0].join(str(self(part)) for part in self(argument[1]))
            case "Fn::Select":
                return self(argument[1])[int(argument[0])]
            case "Fn::Split":
                return str(self(argument[1])).split(argument[0])
            case "Fn::Sub":
                return self._sub(argument)
        raise TemplateError(f"the local stack does not know {name}")

    def _ref(self, name: str) -> str:
        return self._pseudo[name] if name in self._pseudo else self._ref_of(name)

    def _get_att(self, argument: Any) -> str:
        name, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
        return self._attribute_of(name, attribute)

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self(variables[name]))
            return self._get_att(name) if "." in name else self._ref(name)

        return re.sub(r"\$\{([^}]+)\}", value, text)


def only(name: str, properties: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises: TemplateError if a resource has properties that the local stack does not honour."""
    unknown = sorted(set(properties) - known)
    if unknown:
        raise TemplateError(f"{name} sets {', '.join(unknown)}, which the local stack does not honour")
