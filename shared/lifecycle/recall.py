"""What becomes of recipients that are recalled, from what is recorded of them. Pure.

Whoever marked them and whoever has the envelope come to the same rows by this, so what one tells the other repeats.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import cast

from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.ledger import Marks

_STOPPABLE = frozenset({Stage.RETRYING, Stage.DEFERRED, Stage.DEAD_LETTERED})
_TRY = frozenset({"acc", "prov", "ms", "code", "over"})
"""What a row tells of the try that came to nothing."""


def stoppable(row: EventRow) -> bool:
    """Whether a row gives way to a recall as long as the ledger is open: nothing has followed from it yet."""
    return row["s"] in _STOPPABLE or "fell" in row


def stopped(
    known: Iterable[EventRow],
    marks: Marks,
    tags: Mapping[int, str],
    generation: int,
    in_doubt: Collection[int],
) -> list[EventRow]:
    """The rows of an envelope whose ledger is not closed yet, with those of its recalled recipients.

    known: rows that are recorded, and those of recipients that were in flight; each that is an outcome stands, unless
    it falls back. tags: of the envelope's recipients. in_doubt: those of whom an earlier try may have come through.
    """
    rows = {row["i"]: row for row in known}
    for i, mark in marks.items():
        row = rows.get(i)
        if i not in tags or (row is not None and not stoppable(row)):
            continue
        doubt = i in in_doubt or (row is not None and bool(row.get("maybe") or row.get("unsure")))
        # Nobody can say of a try that may have come through that it was stopped.
        stage = Stage.UNKNOWN if doubt else Stage.RECALLED
        result: EventRow = {"i": i, "tag": tags[i], "s": stage.value, "n": generation, "at": mark.at}
        result["why"], result["note"] = Reason.RECALLED, mark.by
        if row is not None:
            result |= cast(EventRow, {name: value for name, value in row.items() if name in _TRY})
        rows[i] = result
    return list(rows.values())


def stopped_in(envelope: Envelope, known: Iterable[EventRow], marks: Marks) -> list[EventRow]:
    """`stopped`, for who has the envelope itself."""
    tags = {recipient["i"]: recipient["tag"] for recipient in envelope.recipients}
    return stopped(known, marks, tags, envelope.generation, {*envelope.doubtful, *envelope.unsure})
