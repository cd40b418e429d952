"""Answers a recipient's page: a look changes nothing, since mail scanners open links too; a post changes the list.

The suppression list is changed before anything is told or answered, and each step may be repeated.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from functions.preferences.page import HEADERS, no_such_link, preferences, try_later
from functions.preferences.wishes import (
    BY,
    ONE_CLICK,
    BadFormError,
    Wish,
    read_form,
    wish_of,
    wish_on,
    with_wish,
)
from shared.api.headers import with_security
from shared.api.language import Language, language_of
from shared.api.suppressions import SuppressionAudit
from shared.aws.errors import AWS_ERRORS
from shared.aws.receipts import ReceiptQueue
from shared.base.logs import log_error
from shared.model.audit import AuditRecord, record_change
from shared.model.clock import Clock
from shared.model.ids import tag_of
from shared.model.receipts import Receipt, Waiting
from shared.model.suppression import Suppressed
from shared.model.tenants import Tenant
from shared.model.topics import Topic
from shared.model.words import Channel, Stage
from shared.policy.unsubscribing import message_of
from shared.store.catalog import Catalog
from shared.store.kept_events import event_key_of
from shared.store.suppressions import Suppressions
from shared.store.timeline import Timeline

logger = Logger(child=True)

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class _Who(Struct, frozen=True):
    """Whose page it is."""

    tenant: Tenant
    message_id: str
    topics: Mapping[str, Topic]


class Preferences:
    """Answers events of the HTTP API (payload 2.0)."""

    def __init__(
        self, catalog: Catalog, suppressions: Suppressions, timeline: Timeline, queue: ReceiptQueue, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._suppressions = suppressions
        self._timeline = timeline
        self._queue = queue
        self._clock = clock

    def run(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one event."""
        headers = event.get("headers") or {}
        language = language_of(headers.get("accept-language", ""))
        try:
            who = self._who(event.get("pathParameters") or {})
            if who is None:
                return _html(404, no_such_link(language))
            if event["requestContext"]["http"]["method"] == "POST":
                return self._post(who, _body(event), headers.get("content-type", ""), language)
            recipient = self._recipient(who, "")
            return _html(200, preferences(who.topics, wish_on(recipient, who.topics), language, saved=False))
        except AWS_ERRORS as error:
            log_error(logger, "preferences not shown or not saved", error)
            # Mail programs and people try again.
            return _html(503, try_later(language))

    def _who(self, path: Mapping[str, str]) -> _Who | None:
        if not _TENANT.fullmatch(path.get("tenant", "")):
            return None
        tenant = self._catalog.tenant(path["tenant"])
        message_id = None if tenant is None else message_of(tenant.salt, path.get("token", ""))
        if tenant is None or message_id is None:
            return None
        return _Who(tenant, message_id, self._catalog.settings(tenant.id).topics)

    def _post(self, who: _Who, body: bytes, content_type: str, language: Language) -> dict[str, Any]:
        about, masked = self._message(who)
        try:
            form = read_form(body, content_type)
        except BadFormError:
            form = {}
        wish = wish_of(form, who.topics, about)
        recipient = self._recipient(who, masked)
        if wish is None:
            return _html(400, preferences(who.topics, wish_on(recipient, who.topics), language, saved=False))
        after = self._save(who, recipient, wish, add=ONE_CLICK[0] in form or form.get("do") == ["none"])
        # To a mail program this is the answer too: it must be no redirect (RFC 8058).
        return _html(200, preferences(who.topics, wish_on(after, who.topics), language, saved=True))

    def _message(self, who: _Who) -> tuple[str | None, str]:
        """(the topic of the message's template, the recipient's address, masked), as far as they are still known."""
        key = event_key_of(who.tenant.id, who.message_id, Stage.SENT)
        event = self._timeline.read([key]).get(key)
        if event is None:
            return None, ""
        template = self._catalog.template(who.tenant.id, event.template)
        return (None if template is None else template.topic), event.masked_address or ""

    def _recipient(self, who: _Who, masked: str) -> Suppressed:
        """The recipient as the list has them. Links are in emails alone."""
        tag = tag_of(who.message_id)
        found = self._suppressions.load_all(who.tenant.id, Channel.EMAIL, [tag]).get(tag)
        if found is not None:
            return found.value
        return Suppressed(tenant=who.tenant.id, channel=Channel.EMAIL, address=masked, tag=tag)

    def _save(self, who: _Who, recipient: Suppressed, wish: Wish, *, add: bool) -> Suppressed:
        now = self._clock.now_ms()

        def change(found: Suppressed) -> Suppressed:
            return with_wish(found, wish, who.topics, at=now, message=who.message_id, add=add)

        def record(before: Suppressed, after: Suppressed) -> AuditRecord:
            target = f"suppression/{before.channel}/{before.tag}"
            return record_change(now, who.tenant.id, BY, "set_preferences", target, _shown(before), _shown(after))

        empty = recipient.model_copy(update={"entries": []})
        _, after = self._suppressions.change(empty, change, record)
        if wish.nothing or wish.unwanted:
            self._tell(who, now)
        return after

    def _tell(self, who: _Who, now: int) -> None:
        """Have the timeline say that the recipient unsubscribed by this message."""
        receipt = Receipt(stage=Stage.UNSUBSCRIBED, at=now, tenant=who.tenant.id, message_id=who.message_id)
        self._queue.wait(Waiting(since=now, tries=0, waiting=[receipt]), 0)


def _shown(recipient: Suppressed) -> dict[str, Any] | None:
    """A recipient as the audit log shows it."""
    view = SuppressionAudit.of(recipient)
    return None if view is None else view.model_dump(mode="json")


def _body(event: Mapping[str, Any]) -> bytes:
    text: str = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode(errors="replace")


def _html(status: int, page: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": with_security(HEADERS), "body": page}
