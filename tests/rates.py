"""How many messages went within a time, for tests of rates."""

from collections.abc import Iterable


def most_within(times: Iterable[int], seconds: float) -> int:
    """The most of `times` (milliseconds) that any window of that length holds, its ends included."""
    found, begin, most = sorted(times), 0, 0
    for end, time in enumerate(found):
        while time - found[begin] > seconds * 1000:
            begin += 1
        most = max(most, end - begin + 1)
    return most
