"""Identifiers. Message and envelope ids are derived, not drawn, so that doing a thing twice names it the same.

A request draws one base: a ULID whose lowest 20 bits are zero. Recipient *i* of the request is base + *i*; an
envelope's id is the ULID of its first recipient; a message id is the recipient's ULID followed by its tag.
"""

import secrets
from hashlib import blake2b

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_FIVE_BITS = bytes(ord(ALPHABET[i & 31]) for i in range(256))
_VALUE = {c: i for i, c in enumerate(ALPHABET)}

ULID_LENGTH = 26
TAG_LENGTH = 16
MESSAGE_ID_LENGTH = ULID_LENGTH + TAG_LENGTH
MESSAGE_ID_BYTES = 26
"""Of a message id where it is packed: 16 of its ULID, 10 of its tag."""
CALLBACK_TOKEN_LENGTH = 26
MAX_PER_BASE = 1 << 20
"""How many recipients one base can number."""

BLOCK = 128


def ulid_text(value: int) -> str:
    """Write a 128-bit integer as a ULID: 26 characters of Crockford's base 32."""
    out = []
    for shift in range(120, -10, -10):
        out.append(_PAIRS[value >> shift & 1023])
    return "".join(out)


def ulid_value(text: str) -> int:
    """Read a ULID's 26 characters as an integer. Raises: ValueError."""
    if len(text) != ULID_LENGTH or text[0] > "7":
        raise ValueError("not a ULID")
    value = 0
    try:
        for c in text:
            value = value << 5 | _VALUE[c]
    except KeyError:
        raise ValueError("not a ULID") from None
    return value


def new_base(now_ms: int) -> str:
    """Draw a base for one request: 48 bits of time, 60 random bits, 20 zero bits."""
    return ulid_text(now_ms << 80 | secrets.randbits(60) << 20)


def derived_base(at_ms: int, *parts: str) -> str:
    """The base that follows from a time and names, such as a run, a shard and a position."""
    digest = blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return ulid_text(at_ms << 80 | (int.from_bytes(digest) >> 4) << 20)


def base_of(ulid: str) -> str:
    """The base that a recipient's ULID is counted from. Raises: ValueError."""
    return ulid_text(ulid_value(ulid) & ~(MAX_PER_BASE - 1))


def ulid_time(text: str) -> int:
    """The milliseconds since the epoch in a ULID or anything that begins with one. Raises: ValueError."""
    return ulid_value(text[:ULID_LENGTH]) >> 80


def first_ulid_at(ms: int) -> str:
    """The least ULID of a millisecond: a bound for ranges by time."""
    return ulid_text(ms << 80)


class Numbering:
    """Writes base + i quickly: only the last four characters change within a base."""

    __slots__ = ("_low", "_prefix")

    def __init__(self, base: str) -> None:
        self._prefix = base[: ULID_LENGTH - 4]
        self._low = ulid_value(base) & (MAX_PER_BASE - 1)

    def __call__(self, i: int) -> str:
        """The ULID of base + i. Raises: ValueError beyond what one base can number."""
        low = self._low + i
        if not 0 <= low < MAX_PER_BASE:
            raise ValueError("too many recipients for one base")
        return self._prefix + _PAIRS[low >> 10] + _PAIRS[low & 1023]


class Tagger:
    """Makes tags: 16 base-32 characters of BLAKE2b keyed with the tenant's salt, of channel and normalised address.

    A tag names a recipient's partition without naming the recipient.
    """

    __slots__ = ("_keyed",)

    def __init__(self, salt: bytes, channel: str) -> None:
        self._keyed = blake2b(channel.encode() + b"\x1f", key=salt, digest_size=TAG_LENGTH)

    def __call__(self, address: str) -> str:
        """The tag of a normalised address."""
        h = self._keyed.copy()
        h.update(address.encode())
        # Five bits of each byte: one C call, where packing 80 bits by shifts takes twice as long as the hash.
        return h.digest().translate(_FIVE_BITS).decode()


def callback_token(salt: bytes, account: str, generation: int) -> str:
    """The token in an account's callback URL: 26 base-32 characters (130 bits) of BLAKE2b keyed with the tenant's salt.

    It is kept nowhere, and another generation has another one.
    """
    # No channel has this name, so no tag is made from the same.
    text = f"callback\x1f{account}\x1f{generation}"
    return blake2b(text.encode(), key=salt, digest_size=CALLBACK_TOKEN_LENGTH).digest().translate(_FIVE_BITS).decode()


def random_tag() -> str:
    """A tag that is nobody's."""
    return "".join(secrets.choice(ALPHABET) for _ in range(TAG_LENGTH))


def tag_of(message_id: str) -> str:
    """The tag within a message id. Raises: ValueError if it is not one."""
    if len(message_id) != MESSAGE_ID_LENGTH:
        raise ValueError("not a message id")
    ulid_value(message_id[:ULID_LENGTH])
    return message_id[ULID_LENGTH:]


def is_message_id(text: str) -> bool:
    """Whether a text has the form of a message id."""
    try:
        tag = tag_of(text)
    except ValueError:
        return False
    return not set(tag) - set(ALPHABET)


def pack_message_id(message_id: str) -> bytes:
    """A message id as `MESSAGE_ID_BYTES` bytes. Raises: ValueError, KeyError if it is not one."""
    tag = 0
    for c in message_id[ULID_LENGTH:]:
        tag = tag << 5 | _VALUE[c]
    return ulid_value(message_id[:ULID_LENGTH]).to_bytes(16) + tag.to_bytes(MESSAGE_ID_BYTES - 16)


def unpack_message_id(packed: bytes) -> str:
    """The message id that was packed."""
    tag = int.from_bytes(packed[16:])
    letters = "".join(ALPHABET[tag >> shift & 31] for shift in range(5 * (TAG_LENGTH - 1), -5, -5))
    return ulid_text(int.from_bytes(packed[:16])) + letters


def block_of(message_id: str) -> tuple[str, int]:
    """The ULID at which the message's block of `BLOCK` begins, and the message's place in the block.

    What is told of messages later than dispatch does goes on the stream by blocks: few records for many messages, and
    repeats of an event meet in one shard. Raises: ValueError.
    """
    value = ulid_value(message_id[:ULID_LENGTH])
    return ulid_text(value & ~(BLOCK - 1)), value & (BLOCK - 1)


def root_of(envelope_id: str) -> str:
    """The envelope that an envelope descends from: everything before the first `/`."""
    return envelope_id.partition("/")[0]
