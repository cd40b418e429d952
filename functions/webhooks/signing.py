"""Signs what is sent to endpoints, by the Standard Webhooks specification 1.0.0."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64."""


def new_secret() -> str:
    """Draw a secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(id: str, at_s: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The headers of an event. at_s: when it is tried, in seconds since the epoch. keys: one signature for each."""
    text = b".".join((id.encode(), str(at_s).encode(), body))
    signatures = [base64.b64encode(hmac.digest(_key(key), text, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
