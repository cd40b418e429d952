"""Who gets which variant of a campaign, and who is held out: always the same for the same recipient. Pure: no I/O."""

from collections.abc import Sequence
from hashlib import blake2b

BUCKETS = 10_000
_HELD_OUT = 255


class Split:
    """Divides the recipients of a campaign by their tags.

    Of ten thousand equal buckets the last `holdout_percent` are held out, the others divided by weight.
    """

    def __init__(self, campaign: str, weights: Sequence[int], holdout_percent: float) -> None:
        self._hash = blake2b(campaign.encode() + b"\x1f", digest_size=8)
        self._places = _places(weights, BUCKETS - round(holdout_percent * BUCKETS / 100))
        self._all = _places(weights, BUCKETS)

    def __call__(self, tag: str) -> int | None:
        """The place of a recipient's variant; None if the recipient is held out."""
        place = self._places[self._drawn(tag) % BUCKETS]
        return None if place == _HELD_OUT else place

    def otherwise(self, tag: str) -> int:
        """The place of the variant that somebody who is held out would have got."""
        return self._all[self._drawn(tag) // BUCKETS % BUCKETS]

    def _drawn(self, tag: str) -> int:
        h = self._hash.copy()
        h.update(tag.encode())
        return int.from_bytes(h.digest())


def _places(weights: Sequence[int], kept: int) -> bytes:
    """For each bucket the place of its variant."""
    ends = [round(kept * sum(weights[: i + 1]) / sum(weights)) for i in range(len(weights))]
    return bytes(next((i for i, end in enumerate(ends) if bucket < end), _HELD_OUT) for bucket in range(BUCKETS))
