"""Links and pictures that tell that a message was opened or clicked: they hold all there is to know. Pure.

A token holds the message's id, which of its links it is and where that leads, and a MAC of all three: nothing is
stored, and nobody can have the platform lead anywhere that a message of its own did not lead. An anonymous one has the
template's version and the run in the place of the message, and is the same for everybody.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from shared.model.ids import MESSAGE_ID_BYTES, pack_message_id, unpack_message_id

CLICK_PATH: Final = "/c/"
OPEN_PATH: Final = "/o/"
ACKNOWLEDGE_PATH: Final = "/a/"
MOST_LINKS: Final = 255
"""Of a message that are tracked; those behind them lead straight on."""
MOST_TARGET_BYTES: Final = 2000
"""Of where a link leads; longer ones lead straight on. API Gateway takes 10 KB of path and headers together."""
_MAC_BYTES: Final = 10
"""80 bits: who guesses has to ask us each time."""
_PURPOSE: Final = b"tracking.2"
_ANONYMOUS: Final = b"anonymous"
_ACKNOWLEDGES: Final = b"acknowledges"
_BEFORE: Final = b"tracking"
"""Of tokens that do not say which link of the template it is; no new ones are made."""
_AS_IT_IS: Final = "%:/?#[]@!$&'()*+,;=-._~"
"""What stands in URLs beside letters and digits (RFC 3986)."""


class Tracked(Struct, frozen=True):
    """What a token says."""

    message_id: str | None
    """None of an anonymous one."""
    number: int
    """The place of the link among those of the message that are tracked, from 1; 0 is the picture."""
    target: str = ""
    """Where the link leads: a URL of ASCII characters."""
    link: int | None = None
    """Which link of the template it is, from 1 to 255; 0 for one that is none of them, None where that is not said."""
    acknowledges: bool = False
    """It leads to the page with the button by which a recipient says "I have it"."""
    origin: str = ""
    """Of an anonymous one, where it comes from (`shared/model/origin.py`): at most 255 ASCII characters."""


def click_link(public_url: str, tenant: str, salt: bytes, tracked: Tracked) -> str | None:
    """The link that leads to a target by way of the platform; None for a target that cannot go so.

    tracked: of which the target begins with http:// or https://.
    """
    ascii_only = quote(tracked.target, safe=_AS_IT_IS)
    if len(ascii_only) > MOST_TARGET_BYTES:
        return None
    path = ACKNOWLEDGE_PATH if tracked.acknowledges else CLICK_PATH
    return f"{public_url}{path}{tenant}/{_token(salt, replace(tracked, target=ascii_only))}"


def open_link(public_url: str, tenant: str, salt: bytes, message_id: str | None, origin: str = "") -> str:
    """The address of the picture that is fetched when a message is opened. message_id: None for an anonymous one."""
    return f"{public_url}{OPEN_PATH}{tenant}/{_token(salt, Tracked(message_id, 0, origin=origin))}"


def read_token(salt: bytes, given: str) -> Tracked | None:
    """What a token says; None for one that is none of ours."""
    try:
        data = urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except ValueError:
        return None
    message, anonymous = MESSAGE_ID_BYTES + 2, data[0] + 3 if data else 1
    forms = ((_PURPOSE, message), (_ACKNOWLEDGES, message), (_ANONYMOUS, anonymous), (_BEFORE, MESSAGE_ID_BYTES + 1))
    for purpose, size in forms:
        head, mac, target = data[:size], data[size : size + _MAC_BYTES], data[size + _MAC_BYTES :]
        if hmac.compare_digest(mac, _mac(salt, purpose, head + target)):
            # The MAC is ours, so what it is of was packed here.
            return _unpacked(purpose, head, target.decode("ascii"))
    return None


def _unpacked(purpose: bytes, head: bytes, target: str) -> Tracked:
    if purpose == _ANONYMOUS:
        return Tracked(None, head[-2], target, head[-1], origin=head[1:-2].decode("ascii"))
    message_id, place = unpack_message_id(head[:MESSAGE_ID_BYTES]), head[MESSAGE_ID_BYTES]
    link = None if purpose == _BEFORE else head[-1]
    return Tracked(message_id, place, target, link, acknowledges=purpose == _ACKNOWLEDGES)


def _token(salt: bytes, tracked: Tracked) -> str:
    purpose, whose = (
        (_ANONYMOUS, bytes([len(tracked.origin)]) + tracked.origin.encode("ascii"))
        if tracked.message_id is None
        else (_ACKNOWLEDGES if tracked.acknowledges else _PURPOSE, pack_message_id(tracked.message_id))
    )
    head, target = whose + bytes([tracked.number, tracked.link or 0]), tracked.target.encode("ascii")
    return urlsafe_b64encode(head + _mac(salt, purpose, head + target) + target).rstrip(b"=").decode()


def _mac(salt: bytes, purpose: bytes, signed: bytes) -> bytes:
    # How long the head is follows from the purpose, or from its first byte: no two tokens are the same bytes.
    return blake2b(signed, key=salt[:64], person=purpose, digest_size=_MAC_BYTES).digest()
