"""Veils: what stands for a recipient who is erased, wherever a message of theirs must still be counted."""

from collections.abc import Mapping
from hashlib import blake2b

from msgspec import Struct

from shared.model.ids import ulid_time

NAME_BYTES = 10


class Veil(Struct, frozen=True):
    """What takes the place of a recipient's tag in all messages that were accepted up to a time."""

    tag: str
    """Drawn at random, so that nothing leads back from it once the veil itself is forgotten."""
    at: int
    """When the erasure was asked for, in milliseconds since the epoch."""

    def covers(self, ulid: str) -> bool:
        """Whether a message is old enough; ulid: its own, its envelope's or its request's. Raises: ValueError."""
        return ulid_time(ulid) <= self.at


Veils = Mapping[str, Veil]
"""By the name of a recipient's tag."""


def veil_name(tag: str) -> str:
    """What an erased recipient is called where the tag itself must not stand: a digest of it, 20 hex digits."""
    return blake2b(tag.encode(), digest_size=NAME_BYTES).hexdigest()
