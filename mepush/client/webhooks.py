"""Verifies events that mePush sends to your endpoint: `verify(body, headers, secret)`. Python alone, no other package.

By the Standard Webhooks specification 1.0.0, so any of its libraries does as well.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

TOLERANCE_S = 300
"""How far an event's time may be from yours: what somebody has recorded, and sends again later, is refused."""
_PREFIX = "whsec_"


class WebhookError(ValueError):
    """It is no event of mePush, or not one of now: answer with 400 and look no further."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    tolerance: float = TOLERANCE_S,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Verify an event, and return it: `{"type": ..., "timestamp": ..., "data": {...}}`.

    body: as it came, byte for byte, not parsed and written again. headers: in any case. secret: `whsec_...`, or several
    of which one must fit. tolerance: in seconds. Its id, by which repeats are known, is the header `webhook-id`.
    Raises: WebhookError; ValueError for a secret that is none.
    """
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    found = {name.lower(): value for name, value in headers.items()}
    id, at, signatures = (found.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id or not at or not signatures:
        raise WebhookError("the headers webhook-id, webhook-timestamp and webhook-signature are missing")
    if not (at.isascii() and at.isdigit() and len(at) < 15):
        raise WebhookError("webhook-timestamp is no time")
    if abs(now() - int(at)) > tolerance:
        raise WebhookError("webhook-timestamp is too old, or ahead; compare the clocks")
    text = b".".join((id.encode("utf-8", "replace"), at.encode(), body))
    wanted = [hmac.digest(key, text, hashlib.sha256) for key in keys]
    # All are compared, whichever fits: how long it takes says nothing.
    fits = [hmac.compare_digest(given, each) for given in _signatures(signatures) for each in wanted]
    if not any(fits):
        raise WebhookError("no signature fits; is it this endpoint's secret, and the body as it came?")
    try:
        event = json.loads(body)
    except ValueError:
        raise WebhookError("the body is no JSON") from None
    if not isinstance(event, dict):
        raise WebhookError("the body is no JSON object")
    return event


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("give the secret as it was shown: whsec_...")
    return key


def _signatures(text: str) -> list[bytes]:
    """Those of version 1, which are HMAC-SHA256; others are for other readers."""
    found = []
    for each in text.split(" "):
        version, _, value = each.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
