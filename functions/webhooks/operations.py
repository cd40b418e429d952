"""The operations on webhooks and their deliveries. A secret is answered once, when it is drawn, and kept in Secrets
Manager alone."""

import secrets as random_secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from msgspec.structs import replace

from functions.webhooks.events import body_of
from functions.webhooks.function import SECRET_LABEL
from functions.webhooks.posting import check_url
from functions.webhooks.sending import SECRET
from functions.webhooks.signing import new_secret
from shared.api.audit import Auditor
from shared.api.fields import moment_or_none
from shared.api.kit import Call, OperationFunction
from shared.api.paging import PageQuery
from shared.api.webhooks import (
    DeliveryPage,
    DeliveryQuery,
    DeliveryView,
    Replay,
    Replayed,
    SecretRotation,
    WebhookCreate,
    WebhookDetail,
    WebhookList,
    WebhookSecretShown,
    WebhookTested,
    WebhookUpdate,
    WebhookView,
)
from shared.aws.secrets import SecretError, SecretStore
from shared.aws.webhooks import DeliveryQueue
from shared.base.logs import log_error
from shared.errors import ConflictError, NotQueuedError, invalid_field, not_found
from shared.model.clock import Clock
from shared.model.webhooks import (
    DEFAULT_TYPES,
    MAX_ENDPOINTS,
    TEST,
    Delivery,
    DeliveryState,
    KeptDelivery,
    SecretVersion,
    Stopped,
    Webhook,
    WebhookState,
    delivery_id,
)
from shared.model.words import KeyKind
from shared.net.network import Network
from shared.store.catalog_items import CatalogConflictError, CursorError, Stored, from_cursor, to_cursor
from shared.store.deliveries import Deliveries
from shared.store.webhooks import WebhookStore

logger = Logger(child=True)

MOST_LOOKED_AT = 5_000
"""Deliveries that one call looks at, whatever of them is wanted."""
_ATTEMPTS = 5
_END = "~"
"""Behind every id."""


class Webhooks:
    """The operations. network: where endpoints may be."""

    def __init__(
        self,
        webhooks: WebhookStore,
        deliveries: Deliveries,
        queue: DeliveryQueue,
        secrets: SecretStore,
        auditor: Auditor,
        clock: Clock,
        network: Network,
    ) -> None:
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._queue = queue
        self._secrets = secrets
        self._auditor = auditor
        self._clock = clock
        self._network = network

    def operations(self) -> dict[str, OperationFunction]:
        """The operations, by id."""
        return {
            "create_webhook": self.create,
            "list_webhooks": self.page,
            "get_webhook": self.get,
            "update_webhook": self.update,
            "delete_webhook": self.delete,
            "rotate_webhook": self.rotate,
            "test_webhook": self.test,
            "list_deliveries": self.list_deliveries,
            "replay_webhook": self.replay,
        }

    def create(self, call: Call) -> WebhookSecretShown:
        """Make an endpoint: first its secret, then the endpoint that names the secret's version.

        Raises: InvalidError, ConflictError.
        """
        body: WebhookCreate = call.body
        tenant, now = call.caller.tenant, self._clock.now_ms()
        if (body.url is None) is not body.bus:
            raise invalid_field("url", "give a URL, or `bus`, and not both")
        url = None if body.url is None else self._url(body.url)
        there = {each.id for each in self._webhooks.all_webhooks(tenant)}
        if body.id in there:
            raise _taken(body.id)
        if len(there) >= MAX_ENDPOINTS:
            raise ConflictError(f"There are {MAX_ENDPOINTS} webhooks already, which is the most. Remove one first.")
        secret = None if url is None else new_secret()
        webhook = Webhook(
            id=body.id,
            tenant=tenant,
            url=url,
            description=body.description,
            types=list(DEFAULT_TYPES) if body.types is None else body.types,
            kinds=[KeyKind.LIVE, KeyKind.TEAM] if body.kinds is None else list(dict.fromkeys(body.kinds)),
            secrets=[] if secret is None else [self._put_secret(tenant, body.id, secret)],
            created_at=now,
            updated_at=now,
        )
        self._deliveries.begin_anew(tenant, body.id)
        try:
            self._webhooks.save_webhook(webhook, None, self._record(call, None, webhook))
        except CatalogConflictError:
            # Another made it in this moment; it names its own version of the secret, not ours.
            raise _taken(body.id) from None
        return WebhookSecretShown(**WebhookView.of(webhook).model_dump(), secret=secret)

    def page(self, call: Call) -> WebhookList:
        """A page of the tenant's endpoints by id. Raises: InvalidError."""
        query: PageQuery = call.query
        try:
            page = self._webhooks.page_webhooks(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise _bad_cursor("query.cursor") from None
        return WebhookList(webhooks=[WebhookView.of(each) for each in page.items], cursor=page.cursor)

    def get(self, call: Call) -> WebhookDetail:
        """An endpoint, and how it is. Raises: NotFoundError."""
        webhook = self._stored(call).value
        health = self._deliveries.health(webhook.tenant, webhook.id)
        return WebhookDetail(
            **WebhookView.of(webhook).model_dump(),
            failing_since=moment_or_none(health.failing_since),
            failures=health.failures,
            last_success=moment_or_none(health.last_success),
        )

    def update(self, call: Call) -> WebhookView:
        """Change what is given. Raises: InvalidError, NotFoundError, ConflictError."""
        body: WebhookUpdate = call.body
        url = None if body.url is None else self._url(body.url)

        def change(webhook: Webhook, now: int) -> dict[str, Any]:
            if url is not None and webhook.url is None:
                raise invalid_field("url", "this webhook is the bus; make another for a URL")
            given = {"url": url, "description": body.description, "types": body.types, "kinds": body.kinds}
            return {name: value for name, value in given.items() if value is not None} | self._state(webhook, body, now)

        return WebhookView.of(self._change(call, change))

    def delete(self, call: Call) -> None:
        """Remove an endpoint, then its secret. Raises: NotFoundError, ConflictError."""
        for _ in range(_ATTEMPTS):
            stored = self._stored(call)
            webhook = stored.value
            try:
                self._webhooks.delete_webhook(webhook, stored.rev, self._record(call, webhook, None))
            except CatalogConflictError:
                continue
            if webhook.secrets:
                self._drop_secret(webhook)
            return
        raise _unsettled()

    def rotate(self, call: Call) -> WebhookSecretShown:
        """Replace the secret; events are signed with the one before, too, until its end.

        Raises: NotFoundError, ConflictError, SecretError.
        """
        body: SecretRotation = call.body
        before = self._stored(call).value
        if before.url is None:
            raise ConflictError("Events on the bus are not signed.")
        secret = new_secret()
        new = self._put_secret(before.tenant, before.id, secret)

        def change(webhook: Webhook, now: int) -> dict[str, Any]:
            if webhook.created_at != before.created_at:
                raise _unsettled()
            newest, *_ = webhook.secrets
            old = SecretVersion(version=newest.version, ends_at=now + body.overlap_seconds * 1000)
            return {"secrets": [new, old] if body.overlap_seconds else [new]}

        webhook = self._change(call, change, hidden=("secret",))
        return WebhookSecretShown(**WebhookView.of(webhook).model_dump(), secret=secret)

    def test(self, call: Call) -> WebhookTested:
        """Send a test event, whatever types the endpoint asks for. Raises: NotFoundError, ConflictError."""
        webhook, now = self._stored(call).value, self._clock.now_ms()
        self._require_active(webhook)
        body = body_of(TEST, now, {"webhook_id": webhook.id})
        id = delivery_id(TEST, webhook.id, str(now), random_secrets.token_hex(8))
        self._send(
            [Delivery(tenant=webhook.tenant, endpoint=webhook.id, id=id, type=TEST, at=now, body=body, since=now)]
        )
        return WebhookTested(delivery=id)

    def list_deliveries(self, call: Call) -> DeliveryPage:
        """A page of what was tried or held, the newest first. Raises: NotFoundError, InvalidError."""
        query: DeliveryQuery = call.query
        webhook = self._stored(call).value
        states = set(DeliveryState) if query.state is None else {query.state}
        found, cursor = self._found(webhook, query, states, query.limit, "query.cursor")
        return DeliveryPage(deliveries=[DeliveryView.of(each) for each in found], cursor=cursor)

    def replay(self, call: Call) -> Replayed:
        """Send events again that came within a time, under their ids. What waits for its next try is left as it is.

        Raises: NotFoundError, ConflictError, InvalidError.
        """
        body: Replay = call.body
        webhook = self._stored(call).value
        self._require_active(webhook)
        states = {DeliveryState.FAILED, DeliveryState.HELD} | (set() if body.only_failed else {DeliveryState.DELIVERED})
        found, cursor = self._found(webhook, body, states, body.limit, "cursor")
        now = self._clock.now_ms()
        self._send([replace(each.delivery, since=now, tries=0, due_at=None) for each in found])
        return Replayed(queued=len(found), cursor=cursor)

    def _found(
        self, webhook: Webhook, asked: DeliveryQuery | Replay, states: set[DeliveryState], limit: int, field: str
    ) -> tuple[list[KeptDelivery], str | None]:
        """Kept deliveries, and the cursor behind them. field: the cursor's."""
        before = self._before(asked.before, asked.cursor, field)
        after = self._deliveries.oldest_time() if asked.after is None else _ms(asked.after)
        if after > before[0]:
            raise invalid_field(field.replace("cursor", "after"), "is later than `before`")
        found: list[KeptDelivery] = []
        for count, each in enumerate(self._deliveries.newest(webhook.tenant, webhook.id, before, after), 1):
            if each.state in states:
                found.append(each)
            if len(found) == limit or count == MOST_LOOKED_AT:
                return found, to_cursor(f"{each.delivery.at}#{each.delivery.id}")
        return found, None

    def _before(self, before: datetime | None, cursor: str | None, field: str) -> tuple[int, str]:
        if cursor is None:
            return (self._clock.now_ms(), _END) if before is None else (_ms(before), "")
        try:
            at, _, id = from_cursor(cursor, "").partition("#")
            return int(at), id
        except ValueError:
            raise _bad_cursor(field) from None

    def _send(self, deliveries: list[Delivery]) -> None:
        """Raises: NotQueuedError."""
        if self._queue.send(deliveries, self._clock.now_ms()):
            raise NotQueuedError("Not all events could be queued. Ask again: they keep their ids.")

    def _url(self, text: str) -> str:
        try:
            return check_url(text, self._network)
        except ValueError as error:
            raise invalid_field("url", str(error)) from None

    def _state(self, webhook: Webhook, body: WebhookUpdate, now: int) -> dict[str, Any]:
        wanted = webhook.state if body.state is None else WebhookState(body.state)
        if wanted is webhook.state:
            return {}
        if wanted is WebhookState.ACTIVE:
            # First: else the next failure would stop it again at once.
            self._deliveries.begin_anew(webhook.tenant, webhook.id)
            return {"state": WebhookState.ACTIVE, "stopped": None, "stopped_at": None}
        return {"state": WebhookState.PAUSED, "stopped": Stopped.PERSON, "stopped_at": now}

    def _change(
        self, call: Call, change: Callable[[Webhook, int], dict[str, Any]], hidden: tuple[str, ...] = ()
    ) -> Webhook:
        for _ in range(_ATTEMPTS):
            stored = self._stored(call)
            before, now = stored.value, self._clock.now_ms()
            updates = {**change(before, now), "updated_at": max(now, before.updated_at + 1)}
            after = before.model_copy(update=updates)
            try:
                self._webhooks.save_webhook(after, stored.rev, self._record(call, before, after, hidden))
            except CatalogConflictError:
                continue
            return after
        raise _unsettled()

    def _stored(self, call: Call) -> Stored[Webhook]:
        found = self._webhooks.load_webhook(call.caller.tenant, call.path["id"])
        if found is None:
            raise not_found("webhook")
        return found

    def _record(self, call: Call, before: Webhook | None, after: Webhook | None, hidden: tuple[str, ...] = ()) -> Any:
        old, new = (None if each is None else WebhookView.of(each) for each in (before, after))
        id = call.path["id"] if after is None else after.id
        return self._auditor.record(call, f"webhook/{id}", old, new, hidden)

    def _put_secret(self, tenant: str, id: str, secret: str) -> SecretVersion:
        return SecretVersion(version=self._secrets.put(tenant, id, {SECRET: secret}, SECRET_LABEL))

    def _drop_secret(self, webhook: Webhook) -> None:
        try:
            self._secrets.delete(webhook.tenant, webhook.id)
        except SecretError as error:
            # Nothing reads it any more, so the caller's wish is fulfilled; what is left is for the operator.
            log_error(logger, "the secret of a removed webhook is left behind", error, webhook=webhook.id)

    @staticmethod
    def _require_active(webhook: Webhook) -> None:
        if webhook.state is not WebhookState.ACTIVE:
            raise ConflictError("The webhook is not active. Resume it first: `mepush webhook resume`.")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _taken(id: str) -> ConflictError:
    return ConflictError(f"There is a webhook `{id}` already.")


def _unsettled() -> ConflictError:
    return ConflictError("Others are changing this webhook; look at it and try again.")


def _bad_cursor(field: str) -> Exception:
    return invalid_field(field, "give back the cursor of an earlier page as it was")
