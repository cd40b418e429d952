"""Answers what providers ask at an account's callback URL: what they say is on the queue before they are told so."""

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.api.headers import with_security
from shared.aws.receipts import ReceiptQueue
from shared.aws.secrets import SecretError, SecretStore
from shared.base.logs import log_error
from shared.errors import NotQueuedError
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.ids import CALLBACK_TOKEN_LENGTH, callback_token
from shared.model.receipts import Arrived
from shared.model.sizes import size
from shared.providers.callbacks import MAX_ARRIVED_BYTES, Answered, Asked, CallbackRefusedError, callback_of
from shared.providers.spec import ProviderSpec
from shared.providers.table import PROVIDERS
from shared.store.catalog import Catalog

logger = Logger(child=True)

MAX_BODY_BYTES = 500_000
"""Of what is called with: a thousand receipts of a text message are half of it."""

NOT_FOUND = Answered("Not Found", 404, "text/plain")
"""Of whatever is wrong with a callback URL: who guesses learns nothing."""
TOO_LARGE = Answered("Too Large", 413, "text/plain")
BROKEN = Answered("Internal Server Error", 500, "text/plain")
COME_AGAIN = Answered("Service Unavailable", 503, "text/plain")
"""Vendors call again after these two."""


_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PATH = {"tenant": _NAME, "account": _NAME, "token": re.compile(rf"[0-9A-Z]{{{CALLBACK_TOKEN_LENGTH}}}")}
"""What may stand in a callback URL, by the names of its parts."""


class Taken(Struct, frozen=True):
    """What is answered, and of which provider."""

    answered: Answered
    provider: str | None = None
    """None if the callback URL leads nowhere."""


class Callbacks:
    """Answers callbacks. secrets: makes the store of secrets, when first needed."""

    def __init__(self, catalog: Catalog, secrets: Callable[[], SecretStore], queue: ReceiptQueue, clock: Clock) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._queue = queue
        self._clock = clock

    def run(self, event: Mapping[str, Any]) -> Taken:
        """Answer one event (HTTP API, payload 2.0). Raises: what the catalog's table raises."""
        account = self._account(event.get("pathParameters") or {})
        if account is None:
            return Taken(NOT_FOUND)
        spec = PROVIDERS[account.provider]
        return Taken(self._answer(event, account, spec), spec.name)

    def _account(self, path: Mapping[str, str]) -> Account | None:
        """The account whose callback URL was called, at most as old as the catalog's memory."""
        if not all(pattern.fullmatch(path[name]) for name, pattern in _PATH.items()):
            return None  # without a look at any table
        tenant = self._catalog.tenant(path["tenant"])
        account = self._catalog.account(path["tenant"], path["account"]) if tenant is not None else None
        if tenant is None or account is None:
            return None
        token = callback_token(tenant.salt, account.id, account.callback_generation)
        right = hmac.compare_digest(path["token"], token)
        spec = PROVIDERS.get(account.provider)
        return account if right and spec is not None and spec.callback else None

    def _answer(self, event: Mapping[str, Any], account: Account, spec: ProviderSpec) -> Answered:
        asked = _asked(event)
        if len(asked.body) > MAX_BODY_BYTES:
            return TOO_LARGE
        try:
            secret = self._secret(account) if spec.callback_needs_secret else {}
            answered = callback_of(spec).answer(asked, secret, account.settings)
            if any(size(body) > MAX_ARRIVED_BYTES for body in answered.arrived):
                return TOO_LARGE
            self._put(account, answered)
        except CallbackRefusedError as error:
            logger.warning("callback refused", provider=spec.name, account=account.id, why=str(error))
            return Answered("Refused", error.status, "text/plain")
        except (NotQueuedError, SecretError) as error:
            log_error(logger, "callback not taken", error, provider=spec.name, account=account.id)
            return COME_AGAIN
        except Exception as error:  # vendors send what they like: they are answered, and nothing of it is logged
            log_error(logger, "callback cannot be answered", error, provider=spec.name, account=account.id)
            return BROKEN
        return answered

    def _secret(self, account: Account) -> Mapping[str, str]:
        return self._secrets().get(account.tenant, account.id, account.secret_version)

    def _put(self, account: Account, answered: Answered) -> None:
        now = self._clock.now_ms()
        for body in answered.arrived:
            arrived = Arrived(provider=account.provider, tenant=account.tenant, account=account.id, at=now, body=body)
            self._queue.put(arrived)


def as_response(answered: Answered) -> dict[str, Any]:
    """An answer as API Gateway takes it."""
    headers = with_security({"content-type": answered.content_type})
    return {"statusCode": answered.status, "headers": headers, "body": answered.body}


def _asked(event: Mapping[str, Any]) -> Asked:
    text: str = event.get("body") or ""
    return Asked(
        method=event["requestContext"]["http"]["method"],
        query=event.get("queryStringParameters") or {},
        headers=event.get("headers") or {},
        body=base64.b64decode(text) if event.get("isBase64Encoded") else text.encode(errors="replace"),
    )
