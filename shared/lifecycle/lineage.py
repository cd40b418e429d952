"""Which envelopes carry on from an envelope's recorded rows: their ids, and when they are due. Pure.

It needs no addresses, so that whoever has the ledger alone can follow a message from envelope to envelope.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.words import Stage

LATE = "fl"
"""Ends the id of the envelope by which those fell back whose time was over after they were sent."""


def undelivered_suffix(recipient: int) -> str:
    """Ends the id of the envelope by which one fell back that was sent and came back."""
    return f"fu{recipient}"


class Child(Struct, frozen=True):
    """An envelope that carries on."""

    suffix: str
    """Of its id."""
    recipients: Sequence[int]
    """By index."""
    attempt: int
    """Tries that it has behind it."""
    due_at: int | None = None
    """In milliseconds since the epoch; None for now."""
    ask_account: Mapping[int, str] = field(default_factory=dict)
    """Recipient -> the account that is to be asked first."""
    maybe_sent: frozenset[int] = frozenset()
    """Others of whom an earlier try may have come through."""
    times_put_off: int = 0
    """How often it was put off without a try."""
    parked: bool = False
    """It is held as long as its run is paused; due_at says since when."""


def place_key(reason: str, account: str) -> str:
    """Under which name an envelope carries a place that somebody waits for: of the account, or of the recipients."""
    return f"{account}/recipients" if reason == Reason.RECIPIENT_LIMIT else account


def children(
    rows: Iterable[EventRow],
    everyone: Iterable[int],
    attempt: int,
    ask_account: Mapping[int, str],
    maybe_sent: Collection[int] = frozenset(),
    times_put_off: int = 0,
) -> list[Child]:
    """The envelopes that carry on from one of `everyone` at try `attempt`, once its ledger is closed with `rows`.

    ask_account, maybe_sent, times_put_off: of the envelope itself. Recipients without a row are carried on by a
    continuation. Those that are tried again or were put off are carried on by a child for each time at which they are
    due; most often that is one. Those that were put off without a time are parked.
    """
    by_i = {row.index: row for row in rows}
    found = []
    left = [i for i in everyone if i not in by_i]
    if left:
        asked = {i: ask_account[i] for i in left if i in ask_account}
        found.append(Child("c1", left, attempt, None, asked, frozenset(maybe_sent).intersection(left), times_put_off))
    for suffix, until, again in _due(by_i, Stage.RETRYING, f"r{attempt + 1}"):
        asked = {i: by_i[i].account or "" for i in again if by_i[i].ask_account}
        in_doubt = frozenset(i for i in again if i in maybe_sent or by_i[i].maybe_sent)
        found.append(Child(suffix, again, attempt + 1, until, asked, in_doubt, times_put_off))
    for suffix, until, put_off in _due(by_i, Stage.DEFERRED, f"w{times_put_off + 1}"):
        in_doubt = frozenset(maybe_sent).intersection(put_off)
        since = max(by_i[i].at for i in put_off) if until is None else until
        found.append(Child(suffix, put_off, attempt, since, {}, in_doubt, times_put_off + 1, parked=until is None))
    return found


def _due(by_i: Mapping[int, EventRow], stage: Stage, first: str) -> Iterator[tuple[str, int | None, list[int]]]:
    """Suffix, time and recipients of the children of a stage, by the time at which they are due; last those without."""
    due: dict[int | None, list[int]] = defaultdict(list)
    for i, row in by_i.items():
        if row.stage == stage:
            due[row.due_at].append(i)
    for k, until in enumerate(sorted(due, key=lambda time: (time is None, time))):
        yield f"{first}.{k}" if k else first, until, due[until]


def fallbacks(rows: Iterable[EventRow]) -> list[tuple[str, list[int]]]:
    """(suffix, recipients) of the envelopes by which an envelope's messages fall back; most often that is one."""
    groups: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for row in rows:
        if fell := row.fell_back_to:
            groups[fell.channel, fell.template, fell.version].append(row.index)
    return [(f"f1.{k}" if k else "f1", groups[to]) for k, to in enumerate(sorted(groups))]


def dead_letters(rows: Iterable[EventRow], generation: int) -> list[tuple[str, list[int]]]:
    """(suffix, recipients) of the dead letters that an envelope's rows make: one for each reason and account."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row.stage == Stage.DEAD_LETTERED:
            groups[(row.reason or ""), (row.account or "")].append(row.index)
    first = f"d{generation}"
    return [(f"{first}.{k}" if k else first, groups[cause]) for k, cause in enumerate(sorted(groups))]
