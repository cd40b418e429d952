"""Links and pictures that tell that a message was opened or clicked: they hold all there is to know. Pure.

A token holds the message's id, the link's number and where it leads, and a MAC of all three: nothing is stored, and
nobody can have the platform lead anywhere that a message of its own did not lead.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from shared.model.ids import MESSAGE_ID_BYTES, pack_message_id, unpack_message_id

CLICK_PATH: Final = "/c/"
OPEN_PATH: Final = "/o/"
MOST_LINKS: Final = 255
"""Of a message that are tracked; those behind them lead straight on."""
MOST_TARGET_BYTES: Final = 2000
"""Of where a link leads; longer ones lead straight on. API Gateway takes 10 KB of path and headers together."""
_MAC_BYTES: Final = 10
"""80 bits: who guesses has to ask us each time."""
_PURPOSE: Final = b"tracking"
_AS_IT_IS: Final = "%:/?#[]@!$&'()*+,;=-._~"
"""What stands in URLs beside letters and digits (RFC 3986)."""


class Tracked(Struct, frozen=True):
    """What a token says."""

    message_id: str
    number: int
    """Of the link among those of the message that are tracked, from 1; 0 is the picture."""
    target: str = ""
    """Where the link leads: a URL of ASCII characters."""


def click_link(public_url: str, tenant: str, salt: bytes, message_id: str, number: int, target: str) -> str | None:
    """The link that leads to a target by way of the platform; None for a target that cannot go so.

    target: a URL that begins with http:// or https://. number: at most `MOST_LINKS`.
    """
    ascii_only = quote(target, safe=_AS_IT_IS)
    if len(ascii_only) > MOST_TARGET_BYTES:
        return None
    return f"{public_url}{CLICK_PATH}{tenant}/{_token(salt, Tracked(message_id, number, ascii_only))}"


def open_link(public_url: str, tenant: str, salt: bytes, message_id: str) -> str:
    """The address of the picture that is fetched when a message is opened."""
    return f"{public_url}{OPEN_PATH}{tenant}/{_token(salt, Tracked(message_id, 0))}"


def read_token(salt: bytes, given: str) -> Tracked | None:
    """What a token says; None for one that is none of ours."""
    try:
        data = urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except ValueError:
        return None
    start = MESSAGE_ID_BYTES + 1 + _MAC_BYTES
    if len(data) < start:
        return None
    packed, number, mac, target = (
        data[:MESSAGE_ID_BYTES],
        data[MESSAGE_ID_BYTES],
        data[MESSAGE_ID_BYTES + 1 : start],
        data[start:],
    )
    if not hmac.compare_digest(mac, _mac(salt, packed, number, target)):
        return None
    # The MAC is ours, so what it is of was packed here.
    return Tracked(unpack_message_id(packed), number, target.decode("ascii"))


def _token(salt: bytes, tracked: Tracked) -> str:
    packed, target = pack_message_id(tracked.message_id), tracked.target.encode("ascii")
    mac = _mac(salt, packed, tracked.number, target)
    return urlsafe_b64encode(packed + bytes([tracked.number]) + mac + target).rstrip(b"=").decode()


def _mac(salt: bytes, packed: bytes, number: int, target: bytes) -> bytes:
    # The first two are of one length each, so no two tokens are the same bytes.
    return blake2b(packed + bytes([number]) + target, key=salt[:64], person=_PURPOSE, digest_size=_MAC_BYTES).digest()
