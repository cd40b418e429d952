"""The HTTP API: routes, the authorizer, throttles and access logs."""

import json

from infra.specs import FUNCTIONS
from infra.stage import stage_named
from shared.api.operations import OPERATIONS
from shared.function import OpenRoutes
from tests.infra.template import Template, called, short

OPENED = [(spec, each) for spec in FUNCTIONS.values() for each in spec.triggers if isinstance(each, OpenRoutes)]
"""Functions and the routes of theirs that are no operations."""


def test_every_operation_has_a_route_to_its_function_and_there_is_no_other(prod: Template) -> None:
    integrations = prod.of("ApiGatewayV2::Integration")
    targets = {f"integrations/${{{id}}}": each.properties["IntegrationUri"] for id, each in integrations.items()}
    routes = {
        route.properties["RouteKey"]: targets[route.properties["Target"]]
        for route in prod.of("ApiGatewayV2::Route").values()
    }
    operations = {key: called(FUNCTIONS[each.function]) for each in OPERATIONS for key in each.route_keys}
    assert routes == operations | {key: called(spec) for spec, each in OPENED for key in each.routes}
    assert {"HEAD /docs", "HEAD /openapi.json"} <= set(routes)
    assert len(prod.of("ApiGatewayV2::Route")) == len(routes)


def test_a_route_has_the_authorizer_if_its_operation_has_a_scope(prod: Template) -> None:
    guards = {
        route.properties["RouteKey"]: (route.properties["AuthorizationType"], route.properties.get("AuthorizerId"))
        for route in prod.of("ApiGatewayV2::Route").values()
    }
    guarded, free = ("CUSTOM", "${ApiAuthorizer}"), ("NONE", None)
    operations = {key: guarded if each.scope else free for each in OPERATIONS for key in each.route_keys}
    assert guards == operations | {key: free for _, each in OPENED for key in each.routes}
    assert set(guards.values()) == {guarded, free}


def test_a_request_without_a_key_reaches_the_authorizer(prod: Template) -> None:
    (authorizer,) = prod.of("ApiGatewayV2::Authorizer").values()
    assert authorizer.properties == {
        "ApiId": "${ApiHttp}",
        "Name": "api-key",
        "AuthorizerType": "REQUEST",
        "AuthorizerPayloadFormatVersion": "2.0",
        "AuthorizerResultTtlInSeconds": 0,
        "EnableSimpleResponses": True,
        "AuthorizerUri": (
            "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
            "${AuthorizeLive}/invocations"
        ),
    }


def test_functions_get_the_payload_that_they_read(prod: Template) -> None:
    integrations = [each.properties for each in prod.of("ApiGatewayV2::Integration").values()]
    assert len(integrations) == 14
    assert {(each["IntegrationType"], each["PayloadFormatVersion"]) for each in integrations} == {("AWS_PROXY", "2.0")}


def test_the_stage_is_throttled_and_deploys_by_itself(dev: Template, prod: Template) -> None:
    for template, stage in ((dev, stage_named("dev")), (prod, stage_named("prod"))):
        (found,) = template.of("ApiGatewayV2::Stage").values()
        assert found.properties["StageName"] == "$default"
        assert found.properties["AutoDeploy"] is True
        assert found.properties["DefaultRouteSettings"] == {
            "ThrottlingRateLimit": stage.rate_per_s,
            "ThrottlingBurstLimit": stage.burst,
        }


def test_what_needs_no_key_cannot_use_up_the_throttle_of_sending(prod: Template) -> None:
    (found,) = prod.of("ApiGatewayV2::Stage").values()
    stage, pages = stage_named("prod"), ("GET /docs", "GET /openapi.json", "HEAD /docs", "HEAD /openapi.json")
    little = {"ThrottlingRateLimit": stage.page_rate_per_s, "ThrottlingBurstLimit": stage.page_burst}
    own = {"ThrottlingRateLimit": stage.rate_per_s, "ThrottlingBurstLimit": stage.burst}
    many = ("/callbacks/{tenant}/{account}/{token}", "/u/{tenant}/{token}")
    opened = [f"{method} {path}" for path in many for method in ("GET", "POST")]
    tracked = ("/c/{tenant}/{token}", "/o/{tenant}/{token}")
    opened += [f"{method} {path}" for path in tracked for method in ("GET", "HEAD")]
    opened += [f"{method} /a/{{tenant}}/{{token}}" for method in ("GET", "HEAD", "POST")]
    assert found.properties["RouteSettings"] == {
        "POST /v1/messages": own,
        **dict.fromkeys(opened, own),
        **dict.fromkeys(pages, little),
    }
    assert little["ThrottlingRateLimit"] * 100 <= stage.rate_per_s
    # CloudFormation makes these first: API Gateway refuses settings of routes that are not there.
    routes = {id: each.properties["RouteKey"] for id, each in prod.of("ApiGatewayV2::Route").items()}
    assert {routes[short(id)] for id in found.raw["DependsOn"]} == set(found.properties["RouteSettings"])


def test_what_needs_no_key_is_served_by_a_small_function_without_rights(prod: Template) -> None:
    assert [spec.name for spec, _ in OPENED] == ["callbacks", "engagement", "preferences"]
    pages = {operation.function for operation in OPERATIONS if operation.scope is None}
    assert pages == {"describe"}
    function = prod.functions()["describe"].properties
    assert (function["MemorySize"], function["Timeout"]) == (128, 5)
    assert FUNCTIONS["describe"].packages == ()


def test_access_logs_hold_what_finds_a_request_again_and_nothing_of_its_content(prod: Template) -> None:
    (stage,) = prod.of("ApiGatewayV2::Stage").values()
    settings = stage.properties["AccessLogSettings"]
    assert settings["DestinationArn"] == "${ApiAccessLogs.Arn}"
    logged = set(json.loads(settings["Format"]).values())
    assert {"$context.requestId", "$context.routeKey", "$context.status", "$context.authorizer.key_id"} <= logged
    assert not [each for each in logged if "identity" in each or "query" in each.lower() or "protocol" in each]
    # The token of a callback URL opens it.
    assert "$context.path" not in logged
