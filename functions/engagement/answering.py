"""Answers clicks and fetches of pictures: leads on, and has the timeline say so.

Whoever clicks gets where the link leads, whatever fails here. A `HEAD` only looks, so it is answered and not told.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from aws_lambda_powertools import Logger

from functions.engagement.machines import sign_of
from functions.engagement.page import HEADERS, asking, thanks, try_later
from shared.api.headers import with_security
from shared.api.language import Language, language_of
from shared.aws.errors import AWS_ERRORS
from shared.aws.receipts import ReceiptQueue
from shared.base.logs import log_error
from shared.errors import NotQueuedError
from shared.model.clock import Clock
from shared.model.ids import new_base, random_tag, tag_of
from shared.model.receipts import Receipt, Waiting
from shared.model.words import Channel, Stage
from shared.policy.suppression import wants_no_tracking
from shared.policy.tracking import ACKNOWLEDGE_PATH, CLICK_PATH, Tracked, read_token
from shared.store.catalog import Catalog
from shared.store.suppressions import Suppressions

logger = Logger(child=True)

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PICTURE: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A GIF of one transparent pixel."""
_NOT_KEPT = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
"""Each opening is to be seen, and where a link leads is not to be told whose it was."""


class Engagement:
    """Answers events of the HTTP API (payload 2.0)."""

    def __init__(self, catalog: Catalog, suppressions: Suppressions, queue: ReceiptQueue, clock: Clock) -> None:
        self._catalog = catalog
        self._suppressions = suppressions
        self._queue = queue
        self._clock = clock

    def run(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one event."""
        http, path = event["requestContext"]["http"], event.get("pathParameters") or {}
        raw, headers = event.get("rawPath", ""), event.get("headers") or {}
        clicks, acknowledges = raw.startswith(CLICK_PATH), raw.startswith(ACKNOWLEDGE_PATH)
        try:
            found = self._read(path)
        except AWS_ERRORS as error:
            log_error(logger, "link not read", error)
            return _text(503, "This does not work just now. Please try again in a minute.", {"retry-after": "60"})
        # A picture's token leads nowhere, and a link's is no picture.
        if found is None or (bool(found[1].target), found[1].acknowledges) != (clicks or acknowledges, acknowledges):
            return _text(404, "This link is not complete, or was never one of ours. Open it from the message again.")
        tenant, tracked = found
        if acknowledges:
            return self._acknowledge(tenant, tracked, http["method"], language_of(headers.get("accept-language", "")))
        if http["method"] == "GET":
            self._tell(tenant, tracked, headers.get("user-agent", ""))
        return _redirect(tracked.target) if clicks else _picture()

    def _acknowledge(self, tenant: str, tracked: Tracked, method: str, language: Language) -> dict[str, Any]:
        """Ask, or tell what was said. Scanners follow links and press no buttons, so a `GET` says nothing."""
        if method != "POST":
            return _html(200, asking(language))
        now = self._clock.now_ms()
        said = Receipt(stage=Stage.ACKNOWLEDGED, at=now, tenant=tenant, message_id=tracked.message_id, note="link")
        try:
            self._queue.wait(Waiting(since=now, tries=0, waiting=[said]), 0)
        except (*AWS_ERRORS, NotQueuedError) as error:
            # Whoever says it is to know that it was not heard.
            log_error(logger, "acknowledgement not told", error)
            return _html(503, try_later(language))
        return _html(200, thanks(tracked.target, language))

    def _read(self, path: Mapping[str, str]) -> tuple[str, Tracked] | None:
        tenant = self._catalog.tenant(path["tenant"]) if _TENANT.fullmatch(path.get("tenant", "")) else None
        tracked = None if tenant is None else read_token(tenant.salt, path.get("token", ""))
        return None if tenant is None or tracked is None else (tenant.id, tracked)

    def _tell(self, tenant: str, tracked: Tracked, agent: str) -> None:
        now = self._clock.now_ms()
        receipt = receipt_of(tenant, tracked, agent, now)
        try:
            if tracked.message_id is None or not self._unwanted(tenant, tracked.message_id):
                self._queue.wait(Waiting(since=now, tries=0, waiting=[receipt]), 0)
        except (*AWS_ERRORS, NotQueuedError) as error:
            # People go where they wanted to go; what is not told is not counted.
            log_error(logger, "opening or click not told", error)

    def _unwanted(self, tenant: str, message_id: str) -> bool:
        """Whether the recipient wants no tracking, also of messages from before they said so."""
        tag = tag_of(message_id)
        found = self._suppressions.load_all(tenant, Channel.EMAIL, [tag]).get(tag)
        return found is not None and wants_no_tracking(found.value.entries)


def receipt_of(tenant: str, tracked: Tracked, agent: str, now: int) -> Receipt:
    """What an opening or a click tells. agent: who says that it is (User-Agent)."""
    sign = sign_of(agent, tracked.message_id, now)
    # Each fetch counts once, however often it is told; whose it is nobody knows, so nobody's second one is left out.
    message_id = tracked.message_id or new_base(now) + random_tag()
    channel, _, origin = tracked.origin.partition("_")
    anonymous = tracked.message_id is None
    return Receipt(
        stage=Stage.CLICKED if tracked.number else Stage.OPENED,
        at=now,
        tenant=tenant,
        message_id=message_id,
        machine=sign is not None,
        sign=sign,
        place=tracked.number,
        link=tracked.link if tracked.number else None,
        anonymous=anonymous,
        channel=Channel(channel) if anonymous else None,
        origin=f"{tenant}__{origin}" if anonymous else None,
    )


def _redirect(target: str) -> dict[str, Any]:
    return {"statusCode": 302, "headers": with_security({**_NOT_KEPT, "location": target}), "body": ""}


def _picture() -> dict[str, Any]:
    headers = with_security({**_NOT_KEPT, "content-type": "image/gif"})
    # Mail programs show it from another site than this one.
    headers["cross-origin-resource-policy"] = "cross-origin"
    body = base64.b64encode(PICTURE).decode()
    return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}


def _html(status: int, body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": with_security({**_NOT_KEPT, **HEADERS}), "body": body}


def _text(status: int, text: str, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    headers = with_security({**_NOT_KEPT, "content-type": "text/plain; charset=utf-8", **(more or {})})
    return {"statusCode": status, "headers": headers, "body": text}
