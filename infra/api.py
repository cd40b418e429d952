"""The HTTP API: a route per operation, the authorizer, access logs and throttles."""

import json
import re
from collections.abc import Mapping, Sequence

from aws_cdk import Stack
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.domain import ApiDomain
from infra.functions import log_group
from infra.nag import acknowledge
from infra.stage import Stage
from shared.api.operation import Operation
from shared.api.operations import BY_ID, OPERATIONS
from shared.function import OpenRoutes

# Neither query strings nor bodies nor callers' network addresses: none is needed to find a request again. No paths
# either: those of open routes hold what opens them.
_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "integration_ms": "$context.integrationLatency",
    "integration_error": "$context.integrationErrorMessage",
    "authorizer_error": "$context.authorizer.error",
    "tenant": "$context.authorizer.tenant",
    "key_id": "$context.authorizer.key_id",
}
_PAYLOAD = "2.0"


Opened = Mapping[str, tuple[lambda_.IFunction, Sequence[OpenRoutes]]]
"""Functions with open routes, by their names, and those routes."""


class HttpApi(Construct):
    """The API and its default stage. functions: by the names that operations give. opened: those without operations.

    Made of the CloudFormation types themselves: the constructs over them tie an integration's id to whichever route
    comes first, and know no authorizer without an identity source.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        functions: Mapping[str, lambda_.IFunction],
        opened: Opened,
        authorizer: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        domain = stage.domain
        self._api = apigatewayv2.CfnApi(
            self,
            "Http",
            name=stage.prefix,
            protocol_type="HTTP",
            # With a name of its own it is reached by no other.
            disable_execute_api_endpoint=None if domain is None else True,
        )
        self.url = f"https://{self._api.ref}.execute-api.{stack.region}.{stack.url_suffix}"
        if domain is not None:
            self.url = f"https://{domain.name}"
        self._authorizer = self._make_authorizer(authorizer)
        called = {**functions, **{name: function for name, (function, _) in opened.items()}}
        self._integrations = {name: self._integration(name, function) for name, function in called.items()}
        routes = {key: self._route(operation, key) for operation in OPERATIONS for key in operation.route_keys}
        open_routes = [(name, each) for name, (_, some) in opened.items() for each in some]
        routes |= {key: self._open_route(name, key, each.reason) for name, each in open_routes for key in each.routes}
        made = self._stage(stage, routes, [each for _, each in open_routes])
        if domain is not None:
            ApiDomain(self, "Domain", domain=domain, api_id=self._api.ref, stage=made.ref)

    def _make_authorizer(self, function: lambda_.IFunction) -> apigatewayv2.CfnAuthorizer:
        # It lets everyone through and says who it is: functions answer 401 as a problem detail of ours. So a missing
        # key must reach it (no identity source), and nothing is cached in front of it.
        stack = Stack.of(self)
        authorizer = apigatewayv2.CfnAuthorizer(
            self,
            "Authorizer",
            api_id=self._api.ref,
            name="api-key",
            authorizer_type="REQUEST",
            authorizer_payload_format_version=_PAYLOAD,
            authorizer_result_ttl_in_seconds=0,
            authorizer_uri=(
                f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions/"
                f"{function.function_arn}/invocations"
            ),
            enable_simple_responses=True,
        )
        self._permit("AuthorizerPermission", function, f"authorizers/{authorizer.ref}")
        return authorizer

    def _integration(self, name: str, function: lambda_.IFunction) -> apigatewayv2.CfnIntegration:
        id = name.title().replace("_", "")
        self._permit(f"{id}Permission", function, "*/*/*")
        return apigatewayv2.CfnIntegration(
            self,
            f"{id}Integration",
            api_id=self._api.ref,
            integration_type="AWS_PROXY",
            integration_uri=function.function_arn,
            payload_format_version=_PAYLOAD,
        )

    def _permit(self, id: str, function: lambda_.IFunction, source: str) -> None:
        """Let this API, and no other, call a function."""
        stack = Stack.of(self)
        lambda_.CfnPermission(
            self,
            id,
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="apigateway.amazonaws.com",
            source_arn=stack.format_arn(service="execute-api", resource=self._api.ref, resource_name=source),
        )

    def _route(self, operation: Operation, key: str) -> apigatewayv2.CfnRoute:
        guarded = operation.scope is not None
        route = apigatewayv2.CfnRoute(
            self,
            operation.id.title().replace("_", "") + ("Head" if key.startswith("HEAD ") else ""),
            api_id=self._api.ref,
            route_key=key,
            target=f"integrations/{self._integrations[operation.function].ref}",
            authorization_type="CUSTOM" if guarded else "NONE",
            authorizer_id=self._authorizer.ref if guarded else None,
        )
        if not guarded:
            acknowledge(route, "APIG4", "describes the API, holds no data, and is meant to be read without a key")
        return route

    def _open_route(self, function: str, key: str, reason: str) -> apigatewayv2.CfnRoute:
        route = apigatewayv2.CfnRoute(
            self,
            "Open" + "".join(word.title() for word in re.findall(r"\w+", key)),
            api_id=self._api.ref,
            route_key=key,
            target=f"integrations/{self._integrations[function].ref}",
            authorization_type="NONE",
        )
        acknowledge(route, "APIG4", reason)
        return route

    def _stage(
        self, stage: Stage, routes: Mapping[str, apigatewayv2.CfnRoute], open_routes: Sequence[OpenRoutes]
    ) -> apigatewayv2.CfnStage:
        access_logs = log_group(self, "AccessLogs", f"/aws/vendedlogs/{stage.prefix}/access", stage)
        settings = _throttles(stage, open_routes)
        made = apigatewayv2.CfnStage(
            self,
            "Stage",
            api_id=self._api.ref,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigatewayv2.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=stage.rate_per_s, throttling_burst_limit=stage.burst
            ),
            route_settings=settings,
            access_log_settings=apigatewayv2.CfnStage.AccessLogSettingsProperty(
                destination_arn=access_logs.log_group_arn, format=json.dumps(_ACCESS_LOG)
            ),
        )
        for key in settings:
            # API Gateway takes no settings of routes that are not there yet.
            made.node.add_dependency(routes[key])
        return made


def _throttles(stage: Stage, open_routes: Sequence[OpenRoutes]) -> dict[str, dict[str, int]]:
    """Routes with a throttle of their own: that of sending is not used up by other calls, open pages have little.

    API Gateway counts before it asks who calls, so a throttle cannot tell callers apart.
    """
    sending = {"ThrottlingRateLimit": stage.rate_per_s, "ThrottlingBurstLimit": stage.burst}
    pages = {"ThrottlingRateLimit": stage.page_rate_per_s, "ThrottlingBurstLimit": stage.page_burst}
    found = {BY_ID["send_messages"].route_key: sending}
    found |= {key: pages for each in OPERATIONS if each.scope is None for key in each.route_keys}
    return found | {key: sending if each.many else pages for each in open_routes for key in each.routes}
