"""Every operation of the API, in one table: functions, routes, scopes, the local gateway and OpenAPI follow from it."""

from shared.api.operation import Operation
from shared.api.operations.accounts import ACCOUNTS
from shared.api.operations.campaigns import CAMPAIGNS
from shared.api.operations.health import HEALTH
from shared.api.operations.messages import MESSAGES
from shared.api.operations.people import PEOPLE
from shared.api.operations.settings import SETTINGS
from shared.api.operations.templates import TEMPLATES
from shared.api.operations.verifications import VERIFICATIONS
from shared.api.operations.webhooks import WEBHOOKS

OPERATIONS: tuple[Operation, ...] = (
    *MESSAGES,
    *VERIFICATIONS,
    *HEALTH,
    *ACCOUNTS,
    *TEMPLATES,
    *SETTINGS,
    *PEOPLE,
    *CAMPAIGNS,
    *WEBHOOKS,
    Operation("get_openapi", "GET", "/openapi.json", "describe", None, "This description", None),
    Operation("get_docs", "GET", "/docs", "describe", None, "This description as a page", None),
)

BY_ID: dict[str, Operation] = {operation.id: operation for operation in OPERATIONS}
"""Operations by id."""
