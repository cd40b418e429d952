"""Which envelopes carry on from an envelope's recorded rows: their ids, and when they are due. Pure.

It needs no addresses, so that whoever has the ledger alone can follow a message from envelope to envelope.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.model.events import EventRow
from shared.model.words import Stage


@dataclass(frozen=True, slots=True)
class Child:
    """An envelope that carries on. suffix: of its id. recipients: by number. attempt: tries that it has behind it.

    due_at: milliseconds since the epoch; None for now. unsure: recipient -> the account that is to be asked first.
    doubtful: others of whom an earlier try may have come through.
    """

    suffix: str
    recipients: Sequence[int]
    attempt: int
    due_at: int | None = None
    unsure: Mapping[int, str] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()


def children(
    rows: Iterable[EventRow],
    everyone: Iterable[int],
    attempt: int,
    unsure: Mapping[int, str],
    doubtful: Collection[int] = frozenset(),
) -> list[Child]:
    """The envelopes that carry on from one of `everyone` at try `attempt`, once its ledger is closed with `rows`.

    unsure, doubtful: of the envelope itself. Recipients without a row are carried on by a continuation, and those that
    are tried again by a child for each time at which they are due; most often that is one.
    """
    by_i = {row["i"]: row for row in rows}
    found = []
    left = [i for i in everyone if i not in by_i]
    if left:
        asked = {i: unsure[i] for i in left if i in unsure}
        found.append(Child("c1", left, attempt, None, asked, frozenset(doubtful).intersection(left)))
    due: dict[int, list[int]] = defaultdict(list)
    for i, row in by_i.items():
        if row["s"] == Stage.RETRYING:
            due[row["until"]].append(i)
    for k, until in enumerate(sorted(due)):
        suffix = f"r{attempt + 1}" if k == 0 else f"r{attempt + 1}.{k}"
        asked = {i: by_i[i]["acc"] for i in due[until] if by_i[i].get("unsure")}
        in_doubt = frozenset(i for i in due[until] if i in doubtful or by_i[i].get("maybe"))
        found.append(Child(suffix, due[until], attempt + 1, until, asked, in_doubt))
    return found


def dead_letters(rows: Iterable[EventRow], generation: int) -> list[tuple[str, list[int]]]:
    """(suffix, recipients) of the dead letters that an envelope's rows make: one for each reason and account."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row["s"] == Stage.DEAD_LETTERED:
            groups[row.get("why", ""), row.get("acc", "")].append(row["i"])
    first = f"d{generation}"
    return [(f"{first}.{k}" if k else first, groups[cause]) for k, cause in enumerate(sorted(groups))]
