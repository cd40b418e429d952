"""The API's description (OpenAPI 3.1), made from the table of operations and the models that they read and write."""

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.api.dead_letters import DiscardRequest, RedriveRequest
from shared.api.examples import EXAMPLES
from shared.api.field_docs import DescribedFields
from shared.api.manage import AccountCreate, AccountUpdate
from shared.api.messages import SendRequest
from shared.api.operation import Operation
from shared.api.operations import OPERATIONS
from shared.api.problems import CONTENT_TYPE, Problem
from shared.api.pumping import HandState
from shared.api.suppressions import SuppressionAdd, SuppressionQuery
from shared.api.trace import MessageQuery
from shared.model.campaigns import SILENT, Audience, Follows
from shared.model.content import APPROVED, ApprovedTemplate, EmailContent, SmsContent, WecomFile, WecomImage
from shared.model.pumping import PrefixState
from shared.model.suppression import SuppressionScope
from shared.model.templates import Fallback
from shared.model.words import Until
from shared.providers.registry import provider_module
from shared.providers.table import PROVIDERS

Json = dict[str, Any]
_REF = "#/components/schemas/"
_APPROVED = "TencentTemplate"
_SECURITY = "apiKey"

_DESCRIPTION = """\
Send email, SMS and WeCom messages, and see what became of each.

Every call carries an API key: `Authorization: Bearer mp_...`. Errors are problem details (RFC 9457) that name each
field that is wrong and say what to do. A message is accepted once it is queued; ask for it by its id to see its way.
"""

_TAGS = {
    "messages": "Send messages, and follow them.",
    "verifications": "Send codes, and check them.",
    "attachments": "Files for emails to carry.",
    "requests": "The messages of one request.",
    "audiences": "Files of recipients.",
    "campaigns": "What goes to all of a file's recipients, and when.",
    "runs": "Single firings of campaigns: follow them, hold them, end them.",
    "deferred": "What waits for its time.",
    "balance": "That nothing is lost, in numbers.",
    "stats": "Counts for a template.",
    "health": "How the platform is.",
    "dead-letters": "What was given up: look at it, redrive it, discard it.",
    "accounts": "The providers that messages go out through.",
    "domains": "Senders' domains: whether mail from them will land.",
    "templates": "What is sent: content with placeholders, in versions.",
    "keys": "Who may call.",
    "settings": "What holds for everything, in versions.",
    "deployment": "What all tenants of a deployment share.",
    "suppressions": "Who must not be written to, and why.",
    "erasures": "Forget people, and see how far that is.",
    "webhooks": "Have events sent to your own endpoints.",
    "audit": "Every change: who, what, before and after.",
    "description": "This description.",
}

_STATUSES = {
    200: "Done.",
    201: "Created.",
    202: "Accepted: it is queued, or under way. Of messages, each recipient has its own result.",
    204: "Done; there is no body.",
    400: "The body is not JSON, or not UTF-8.",
    401: "There is no valid API key.",
    403: "The API key may not do this.",
    404: "There is no such thing.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
    415: "The body is not JSON by its content type.",
    422: "The request is well formed, but something in it is not valid; `errors` names the fields.",
    429: "Asked too often; ask again in as many seconds as `Retry-After` says.",
    500: "An error of the platform; try again.",
    503: "Nothing could be done now; try again, with the same Idempotency-Key.",
}

_PARAMETERS: dict[str, Json] = {
    "id": {"type": "string", "minLength": 1, "maxLength": 100},
    "prefix": {"type": "string", "pattern": "^[1-9][0-9]{0,6}$"},
    "domain": {
        "type": "string",
        "maxLength": 253,
        "pattern": "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
    },
    "version": {"type": "integer", "minimum": 1, "maximum": 999_999},
}

_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "Your own name for the request, such as an order number. A repeated request under the same name gets the same "
        "answer and sends nothing again; another body under it is refused with 422."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "example": "order-20250115-0042",
}

_NONE: Json = {"type": "null"}
_FILTERS = ("channel", "class", "template", "account", "reason", "ids")
_ALL: Json = {
    "required": ["all"],
    "properties": {"all": {"const": True}, **dict.fromkeys(_FILTERS, _NONE)},
}
_SOME: Json = {
    "properties": {"all": {"const": False}},
    "anyOf": [{"required": [name], "properties": {name: {"not": _NONE}}} for name in _FILTERS],
}
"""Dead letters are chosen either all or by a filter."""


def document(server_url: str | None = None) -> Json:
    """The whole description. server_url: where the API is; None for where this description was read."""
    schemas = _schemas()
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mePush",
            "version": "1.0.0",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": server_url or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "mp_<kind>_<id>_<secret>",
                    "description": "An API key with the scope that the operation names.",
                }
            },
        },
    }


def _operation(operation: Operation, schemas: Json) -> Json:
    found: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.scope is None:
        found["security"] = []
    else:
        found["description"] = f"Needs a key with the scope `{operation.scope}`."
        found["security"] = [{_SECURITY: [operation.scope.value]}]
    if operation.request is not None:
        content: Json = {"schema": {"$ref": _REF + _name(operation.request, schemas, "Input")}}
        if operation.id in EXAMPLES:
            content["examples"] = {name: {"value": value} for name, value in EXAMPLES[operation.id].items()}
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def _tag(operation: Operation) -> str:
    parts = operation.path.split("/")
    return parts[2] if parts[1] == "v1" else "description"


def _parameters(operation: Operation) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    if operation.id in ("send_messages", "start_verification"):
        found.append(_IDEMPOTENCY_KEY)
    if operation.query is not None:
        schema = operation.query.model_json_schema(schema_generator=DescribedFields)
        required, kinds = set(schema.get("required", ())), schema.get("$defs", {})
        found += [_query(name, name in required, field, kinds) for name, field in schema["properties"].items()]
    return found


def _query(name: str, required: bool, field: Json, definitions: Json) -> Json:
    # A parameter that is absent is not null: only the other kind can be written in a query.
    kind = next(kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null")
    # The words of a closed vocabulary are few enough to stand here.
    kind = definitions[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    schema = {key: value for key, value in kind.items() if key not in {"title", "default", "description"}}
    if field.get("default") is not None:
        schema["default"] = field["default"]
    text = field.get("description", kind.get("description"))
    described = {} if text is None else {"description": text}
    return {"name": name, "in": "query", "required": required, **described, "schema": schema}


def _responses(operation: Operation, schemas: Json) -> Json:
    good: Json = {"description": _STATUSES[operation.success]}
    if operation.response is not None:
        good["content"] = {
            "application/json": {"schema": {"$ref": _REF + _name(operation.response, schemas, "Output")}}
        }
    elif operation.id == "get_openapi":
        good["content"] = {"application/json": {"schema": {"type": "object"}}}
    elif operation.id == "get_docs":
        good["content"] = {"text/html": {"schema": {"type": "string"}}}
    errors = {*operation.errors, 500, 503} | ({401, 403} if operation.scope is not None else set())
    return {str(operation.success): good, **{str(status): _problem(status) for status in sorted(errors)}}


def _problem(status: int) -> Json:
    found: Json = {
        "description": _STATUSES[status],
        "content": {CONTENT_TYPE: {"schema": {"$ref": _REF + Problem.__name__}}},
    }
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Always `Bearer`."}}
    if status == 429:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}}
    return found


def _schemas() -> Json:
    """All models: those of requests as they are read, those of answers as they are written."""
    models: list[tuple[type[BaseModel], Any]] = [(Problem, "serialization")]
    for operation in OPERATIONS:
        models += [(operation.request, "validation")] if operation.request is not None else []
        models += [(operation.response, "serialization")] if operation.response is not None else []
    _, definitions = models_json_schema(
        list(dict.fromkeys(models)), ref_template=_REF + "{model}", schema_generator=DescribedFields
    )
    schemas: Json = definitions["$defs"]
    # What the models check beyond their fields.
    schemas[SendRequest.__name__]["oneOf"] = [_given("to", "string"), _given("recipients", "array")]
    schemas[SendRequest.__name__]["if"] = {
        "properties": {"once_per_reference": {"const": True}},
        "required": ["once_per_reference"],
    }
    schemas[SendRequest.__name__]["then"] = {
        "properties": {"reference": {"type": "string", "minLength": 1}},
        "required": ["reference"],
    }
    schemas[SuppressionQuery.__name__]["anyOf"] = [
        {"properties": {"address": _NONE}},
        _given("channel", "string"),
    ]
    schemas[SuppressionAdd.__name__]["anyOf"] = [
        {"properties": {"topic": _NONE}},
        {"required": ["scope"], "properties": {"scope": {"const": SuppressionScope.MARKETING}}},
    ]
    schemas[HandState.__name__]["anyOf"] = [
        {"properties": {"minutes": _NONE}},
        {"properties": {"state": {"enum": [PrefixState.HELD, PrefixState.RELEASED]}}},
    ]
    schemas[MessageQuery.__name__]["oneOf"] = [
        _given("to", "string"),
        _given("addresses", "array"),
        _given("reference", "string"),
    ]
    schemas[MessageQuery.__name__]["anyOf"] = [{"properties": {"channel": _NONE}}, _given("to", "string")]
    schemas[Audience.__name__]["oneOf"] = [_given("file", "string"), _given("follows", "object")]
    schemas[Follows.__name__]["oneOf"] = [_given("run", "string"), _given("campaign", "string")]
    schemas[Follows.__name__]["anyOf"] = [
        {"properties": {"after_hours": _NONE}},
        {"properties": {"who": {"enum": sorted(SILENT)}}},
    ]
    schemas[Fallback.__name__]["anyOf"] = [
        {"properties": {"until": {"enum": sorted({*Until} - {Until.ACKNOWLEDGED})}}},
        _given("after_minutes", "integer"),
    ]
    for name in (RedriveRequest.__name__, DiscardRequest.__name__):
        schemas[name]["oneOf"] = [_ALL, _SOME]
    schemas[EmailContent.__name__]["anyOf"] = [_given("html", "string"), _given("text", "string")]
    schemas[SmsContent.__name__]["anyOf"] = [_given("text", "string"), _given(APPROVED, "object")]
    # Clients that were made from the description know this model by the vendor's name.
    schemas[_APPROVED] = {**schemas.pop(ApprovedTemplate.__name__), "title": _APPROVED}
    schemas[SmsContent.__name__]["properties"][APPROVED]["anyOf"][0] = {"$ref": _REF + _APPROVED}
    for name in (WecomFile.__name__, WecomImage.__name__):
        schemas[name]["oneOf"] = [_given("media_id", "string"), _given("data", "string")]
    for name in (EmailContent.__name__, SmsContent.__name__):
        # It has a default for code of ours; a caller's content is told apart by it.
        schemas[name]["required"] = ["type", *schemas[name].get("required", ())]
    settings, secrets = _provider_schemas(schemas)
    _substitute(schemas[AccountCreate.__name__], settings, secrets, nullable=False)
    _substitute(schemas[AccountUpdate.__name__], settings, secrets, nullable=True)
    return schemas


def _given(name: str, kind: str) -> Json:
    """A form in which an optional field is there, and not null."""
    return {"required": [name], "properties": {name: {"type": kind}}}


def _provider_schemas(schemas: Json) -> tuple[Json, Json]:
    """Add the settings and the secret of each provider, and return what stands for any of them."""
    settings: dict[str, str] = {}
    secrets: list[str] = []
    for provider in PROVIDERS:
        module = provider_module(provider)
        settings[provider] = _add(schemas, module.Settings, provider, "Settings")
        secrets.append(_add(schemas, module.Secret, provider, "Secret"))
    return (
        {
            "oneOf": [{"$ref": ref} for ref in settings.values()],
            "discriminator": {"propertyName": "provider", "mapping": settings},
        },
        {"anyOf": [{"$ref": ref} for ref in secrets]},
    )


def _add(schemas: Json, model: type[BaseModel], provider: str, what: str) -> str:
    """Add a provider's model under a name of its own (their modules all use the same) and return its place."""
    prefix = provider.capitalize()
    schema = model.model_json_schema(ref_template=_REF + prefix + "{model}", schema_generator=DescribedFields)
    for name, definition in schema.pop("$defs", {}).items():
        schemas[prefix + name] = definition
    schemas[prefix + what] = {**schema, "title": prefix + what}
    return _REF + prefix + what


def _substitute(schema: Json, settings: Json, secrets: Json, nullable: bool) -> None:
    properties = schema["properties"]
    for name, text, kinds in (
        ("settings", "The settings of the provider that `provider` names.", settings),
        ("secret", "The secret of that provider. It never comes back.", secrets),
    ):
        found: Json = {"anyOf": [kinds, {"type": "null"}]} if nullable else dict(kinds)
        properties[name] = {"title": name.capitalize(), "description": text, **found}


def _name(model: type[BaseModel], schemas: Json, mode: str) -> str:
    """A model's name among the schemas; one that is both read and written may have two."""
    name = model.__name__
    return name if name in schemas else f"{name}-{mode}"
