"""Manages accounts, templates, keys, settings and the suppression list, and answers who changed them."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from functions.manage.accounts import account_operations
from functions.manage.audit import audit_operations
from functions.manage.deployment import deployment_operations
from functions.manage.deps import deps
from functions.manage.domains import domain_operations
from functions.manage.guard import guard_operations
from functions.manage.keys import key_operations
from functions.manage.links import link_operations
from functions.manage.mailboxes import mailbox_operations
from functions.manage.mirroring import mirror_operations
from functions.manage.reviews import review_operations
from functions.manage.settings import settings_operations
from functions.manage.suppressions import suppression_operations
from functions.manage.templates import template_operations
from shared.api.kit import Api
from shared.wiring.starting import start

logger = Logger()


@cache
def api() -> Api:
    """The function's API, built on first use."""
    parts = deps()
    return Api(
        {
            **account_operations(parts),
            **mailbox_operations(parts),
            **domain_operations(parts),
            **mirror_operations(parts),
            **template_operations(parts),
            **link_operations(parts),
            **review_operations(parts),
            **key_operations(parts),
            **settings_operations(parts),
            **guard_operations(parts),
            **deployment_operations(parts),
            **suppression_operations(parts),
            **audit_operations(parts),
        }
    )


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    return api()(event)


start(api)
