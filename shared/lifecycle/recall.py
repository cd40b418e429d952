"""What becomes of recipients that are recalled, from what is recorded of them. Pure.

Whoever marked them and whoever has the envelope come to the same rows by this, so what one tells the other repeats.
"""

from collections.abc import Collection, Iterable, Mapping

from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.ledger import Marks

_STOPPABLE = frozenset({Stage.RETRYING, Stage.DEFERRED, Stage.DEAD_LETTERED})


def stoppable(row: EventRow) -> bool:
    """Whether a row gives way to a recall as long as the ledger is open: nothing has followed from it yet."""
    return row.stage in _STOPPABLE or row.fell_back_to is not None


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
    rows = {row.index: row for row in known}
    for i, mark in marks.items():
        row = rows.get(i)
        if i not in tags or (row is not None and not stoppable(row)):
            continue
        doubt = i in in_doubt or (row is not None and bool(row.maybe_sent or row.ask_account))
        # Nobody can say of a try that may have come through that it was stopped.
        stage = Stage.UNKNOWN if doubt else Stage.RECALLED
        result = EventRow(index=i, tag=tags[i], stage=stage.value, nth=generation, at=mark.at)
        result.reason, result.note = Reason.RECALLED, mark.by
        if row is not None:
            # What it tells of the try that came to nothing.
            result.account, result.provider, result.took_ms = row.account, row.provider, row.took_ms
            result.code, result.passed_over = row.code, row.passed_over
        rows[i] = result
    return list(rows.values())


def stopped_in(envelope: Envelope, known: Iterable[EventRow], marks: Marks) -> list[EventRow]:
    """`stopped`, for who has the envelope itself."""
    tags = {recipient.index: recipient.tag for recipient in envelope.recipients}
    return stopped(known, marks, tags, envelope.generation, {*envelope.maybe_sent, *envelope.ask_account})
