"""Links by which recipients unsubscribe: each is of one message, names nobody, and cannot be made up. Pure.

A link holds the message's id and a MAC of it, under a key that follows from the tenant's salt: nothing is stored. It is
short, since mail servers fold long headers, and a folded `List-Unsubscribe` has broken signatures.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from shared.model.ids import MESSAGE_ID_BYTES, pack_message_id, unpack_message_id

VARIABLE: Final = "unsubscribe_url"
"""The placeholder by which a template shows the link."""
PATH: Final = "/u/"
TOKEN_LENGTH: Final = 48
_MAC_BYTES: Final = 10
"""80 bits: who guesses has to ask us each time."""
_PURPOSE: Final = b"unsubscribe"

STAND_IN: Final = f"https://unsubscribe.invalid{PATH}{'x' * TOKEN_LENGTH}"
"""What templates are filled in with, the same for all: equal messages stay equal until each gets its own link."""


def link(public_url: str, tenant: str, salt: bytes, message_id: str) -> str:
    """The link of a message. public_url: of the API, without a slash at its end."""
    return f"{public_url}{PATH}{tenant}/{token(salt, message_id)}"


def token(salt: bytes, message_id: str) -> str:
    """What names a message in its link: 48 letters, digits, hyphens and underscores."""
    packed = pack_message_id(message_id)
    return urlsafe_b64encode(packed + _mac(salt, packed)).decode()


def message_of(salt: bytes, given: str) -> str | None:
    """The id of the message that a token names; None for a token that is none of ours."""
    if len(given) != TOKEN_LENGTH or not given.isascii():
        return None
    try:
        data = urlsafe_b64decode(given)
    except ValueError:
        return None
    packed, mac = data[:MESSAGE_ID_BYTES], data[MESSAGE_ID_BYTES:]
    # Of one that can be written in two ways only the one that we write counts.
    if not hmac.compare_digest(mac, _mac(salt, packed)) or urlsafe_b64encode(data).decode() != given:
        return None
    return unpack_message_id(packed)


def _mac(salt: bytes, packed: bytes) -> bytes:
    return blake2b(packed, key=salt[:64], person=_PURPOSE, digest_size=_MAC_BYTES).digest()
