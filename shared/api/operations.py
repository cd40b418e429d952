"""Every operation of the API, in one table: functions, routes, scopes, the local gateway and OpenAPI follow from it."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from shared.api import manage as m
from shared.api.messages import (
    Balance,
    MessagePage,
    MessageQuery,
    MessageView,
    PageQuery,
    RangeQuery,
    RequestView,
    SendRequest,
    SendResponse,
    TemplateStats,
)
from shared.model.words import Scope

ApiFunction = Literal["ingest", "manage", "trace_api"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    id: in snake case, unique; handlers are found by it. path: API Gateway's syntax, `{name}` for a parameter.
    function: which Lambda function serves it. scope: what the key must hold; None for an open page.
    success: the status of a good answer. errors: the error statuses it may answer besides 401, 403, 500 and 503.
    """

    id: str
    method: str
    path: str
    function: ApiFunction
    scope: Scope | None
    summary: str
    response: type[BaseModel] | None
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    success: int = 200
    errors: tuple[int, ...] = ()

    @property
    def route_key(self) -> str:
        """API Gateway's name of the route, such as `POST /v1/messages`."""
        return f"{self.method} {self.path}"


_BODY = (400, 413, 415, 422)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "send_messages",
        "POST",
        "/v1/messages",
        "ingest",
        Scope.SEND,
        "Send a template to one or up to 1,000 recipients",
        SendResponse,
        SendRequest,
        success=202,
        errors=(*_BODY, 409),
    ),
    Operation(
        "get_message",
        "GET",
        "/v1/messages/{id}",
        "trace_api",
        Scope.READ,
        "What happened to a message, and why",
        MessageView,
        errors=(404,),
    ),
    Operation(
        "query_messages",
        "POST",
        "/v1/messages/query",
        "trace_api",
        Scope.READ,
        "What was sent to a recipient",
        MessagePage,
        MessageQuery,
        errors=_BODY,
    ),
    Operation(
        "get_request",
        "GET",
        "/v1/requests/{id}",
        "trace_api",
        Scope.READ,
        "The messages of a request",
        RequestView,
        query=PageQuery,
        errors=(404, 422),
    ),
    Operation(
        "get_balance",
        "GET",
        "/v1/balance",
        "trace_api",
        Scope.READ,
        "Accepted, outcomes and in flight, hour by hour",
        Balance,
        query=RangeQuery,
        errors=(422,),
    ),
    Operation(
        "get_template_stats",
        "GET",
        "/v1/stats/templates/{id}",
        "trace_api",
        Scope.READ,
        "Counts for a template",
        TemplateStats,
        query=RangeQuery,
        errors=(404, 422),
    ),
    Operation(
        "create_account",
        "POST",
        "/v1/accounts",
        "manage",
        Scope.MANAGE,
        "Configure a provider account",
        m.AccountView,
        m.AccountCreate,
        success=201,
        errors=(*_BODY, 409),
    ),
    Operation(
        "list_accounts",
        "GET",
        "/v1/accounts",
        "manage",
        Scope.READ,
        "List the accounts",
        m.AccountList,
    ),
    Operation(
        "get_account",
        "GET",
        "/v1/accounts/{id}",
        "manage",
        Scope.READ,
        "An account, its secret masked",
        m.AccountView,
        errors=(404,),
    ),
    Operation(
        "update_account",
        "PATCH",
        "/v1/accounts/{id}",
        "manage",
        Scope.MANAGE,
        "Change an account",
        m.AccountView,
        m.AccountUpdate,
        errors=(*_BODY, 404, 409),
    ),
    Operation(
        "delete_account",
        "DELETE",
        "/v1/accounts/{id}",
        "manage",
        Scope.MANAGE,
        "Delete an account no template uses",
        None,
        success=204,
        errors=(404, 409),
    ),
    Operation(
        "verify_account",
        "POST",
        "/v1/accounts/{id}/verify",
        "manage",
        Scope.MANAGE,
        "Try an account",
        m.VerificationView,
        errors=(404,),
    ),
    Operation(
        "create_template",
        "POST",
        "/v1/templates",
        "manage",
        Scope.MANAGE,
        "Create a template and its first version",
        m.TemplateView,
        m.TemplateCreate,
        success=201,
        errors=(*_BODY, 409),
    ),
    Operation(
        "list_templates",
        "GET",
        "/v1/templates",
        "manage",
        Scope.READ,
        "List the templates",
        m.TemplateList,
        query=PageQuery,
        errors=(422,),
    ),
    Operation(
        "get_template",
        "GET",
        "/v1/templates/{id}",
        "manage",
        Scope.READ,
        "A template and its versions",
        m.TemplateView,
        errors=(404,),
    ),
    Operation(
        "update_template",
        "PATCH",
        "/v1/templates/{id}",
        "manage",
        Scope.MANAGE,
        "Change a template's name or accounts",
        m.TemplateView,
        m.TemplateUpdate,
        errors=(*_BODY, 404, 409),
    ),
    Operation(
        "create_version",
        "POST",
        "/v1/templates/{id}/versions",
        "manage",
        Scope.MANAGE,
        "Save a new version",
        m.VersionView,
        m.VersionCreate,
        success=201,
        errors=(*_BODY, 404, 409),
    ),
    Operation(
        "get_version",
        "GET",
        "/v1/templates/{id}/versions/{version}",
        "manage",
        Scope.READ,
        "A version of a template",
        m.VersionView,
        errors=(404, 422),
    ),
    Operation(
        "preview_version",
        "POST",
        "/v1/templates/{id}/versions/{version}/preview",
        "manage",
        Scope.READ,
        "Render a version with sample variables",
        m.Preview,
        m.PreviewRequest,
        errors=(*_BODY, 404),
    ),
    Operation(
        "publish_version",
        "POST",
        "/v1/templates/{id}/versions/{version}/publish",
        "manage",
        Scope.MANAGE,
        "Make a version the one that is sent",
        m.TemplateView,
        errors=(404, 409, 422),
    ),
    Operation(
        "copy_template",
        "POST",
        "/v1/templates/{id}/copy",
        "manage",
        Scope.MANAGE,
        "Copy a template under a new id",
        m.TemplateView,
        m.TemplateCopy,
        success=201,
        errors=(*_BODY, 404, 409),
    ),
    Operation(
        "archive_template",
        "POST",
        "/v1/templates/{id}/archive",
        "manage",
        Scope.MANAGE,
        "Stop a template being sent",
        m.TemplateView,
        errors=(404, 409),
    ),
    Operation(
        "create_key",
        "POST",
        "/v1/keys",
        "manage",
        Scope.MANAGE,
        "Make an API key; it is shown once",
        m.KeyCreated,
        m.KeyCreate,
        success=201,
        errors=_BODY,
    ),
    Operation("list_keys", "GET", "/v1/keys", "manage", Scope.MANAGE, "List the keys", m.KeyList),
    Operation(
        "revoke_key",
        "DELETE",
        "/v1/keys/{id}",
        "manage",
        Scope.MANAGE,
        "Revoke a key, within 60 seconds",
        None,
        success=204,
        errors=(404,),
    ),
    Operation("get_openapi", "GET", "/openapi.json", "manage", None, "This description", None),
    Operation("get_docs", "GET", "/docs", "manage", None, "This description as a page", None),
)

BY_ID: dict[str, Operation] = {operation.id: operation for operation in OPERATIONS}
"""Operations by id."""
