"""Takes an erased recipient out of what waits, is recorded or is told, so that the messages still count. Pure.

A message keeps its place, its stages and its times. Address, variables, references and the provider's id go, and
another tag takes the place of the recipient's.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import Awaits, EventRow, FallenTo, StreamRecord
from shared.model.ids import ULID_LENGTH
from shared.model.veils import Veil, Veils, veil_name

Finder = Callable[[str], Veil | None]
"""Tag -> the veil that covers it."""


def finder(veils: Veils, ulid: str) -> Finder:
    """Finds the veils of recipients of an envelope or request of this age. ulid: what it begins with."""

    def find(tag: str) -> Veil | None:
        veil = veils.get(veil_name(tag))
        return veil if veil is not None and veil.covers(ulid) else None

    return find


def veiled_envelope(envelope: Envelope, veils: Veils) -> Envelope:
    """An envelope without those who are erased: each has an empty address, and ends unsent. The same one if none is.

    Of whom an account was to be asked, nobody can say any more that nothing was sent.
    """
    find = finder(veils, envelope.id[:ULID_LENGTH])
    recipients = [_veiled_recipient(each, find) for each in envelope.recipients]
    if all(new is old for new, old in zip(recipients, envelope.recipients, strict=True)):
        return envelope
    gone = {each.index for each in recipients if not each.address}
    asked = {index: account for index, account in envelope.ask_account.items() if index not in gone}
    unsure = sorted({*envelope.maybe_sent, *(envelope.ask_account.keys() & gone)})
    changed = replace(envelope, recipients=recipients, ask_account=asked, maybe_sent=unsure)
    if len(gone) == len(recipients):
        return replace(changed, variables={}, reference=None, attachments=[], proof=None)
    return changed


def _veiled_recipient(recipient: EnvelopeRecipient, find: Finder) -> EnvelopeRecipient:
    stands_in_for = _veiled_tag(recipient.stands_in_for, find)
    if veil := find(recipient.tag):
        return EnvelopeRecipient(recipient.index, "", veil.tag, stands_in_for=stands_in_for)
    others = {channel: at for channel, at in recipient.other_addresses.items() if find(at[1]) is None}
    if len(others) == len(recipient.other_addresses) and stands_in_for == recipient.stands_in_for:
        return recipient
    return replace(recipient, other_addresses=others, stands_in_for=stands_in_for)


def veiled_rows(rows: Sequence[EventRow], find: Finder) -> list[EventRow]:
    """Rows of an envelope without those who are erased; others are the same ones."""
    return [veiled_row(row, find) for row in rows]


def veiled_row(row: EventRow, find: Finder) -> EventRow:
    """A row without whom it is about, if they are erased; without whom its message fell back to, or stands in for."""
    fell, stands_in_for = _veiled_fall(row.fell_back_to, find), _veiled_tag(row.stands_in_for, find)
    awaits = _veiled_awaits(row.awaits, find)
    if veil := find(row.tag):
        return replace(
            row,
            tag=veil.tag,
            masked_address=None,
            sealed_address=None,
            because_of=None,
            reference=None,
            provider_id=None,
            note=None,
            by=None,
            indexed=False,
            fell_back_to=fell,
            stands_in_for=stands_in_for,
            awaits=awaits,
        )
    if fell is row.fell_back_to and stands_in_for == row.stands_in_for and awaits is row.awaits:
        return row
    return replace(row, fell_back_to=fell, stands_in_for=stands_in_for, awaits=awaits)


def veiled_record(record: StreamRecord, veils: Veils) -> StreamRecord:
    """A record of the stream without those who are erased; the same one if none is."""
    rows = veiled_rows(record.events, finder(veils, record.envelope[:ULID_LENGTH]))
    if all(new is old for new, old in zip(rows, record.events, strict=True)):
        return record
    alone = all(new.tag != old.tag for new, old in zip(rows, record.events, strict=True))
    return replace(record, events=rows, reference=None if alone else record.reference)


def _veiled_fall(fell: FallenTo | None, find: Finder) -> FallenTo | None:
    if fell is None or (veil := find(fell.tag)) is None:
        return fell
    return replace(fell, tag=veil.tag)


def _veiled_awaits(awaits: Awaits | None, find: Finder) -> Awaits | None:
    if awaits is None or (to := _veiled_fall(awaits.to, find)) is awaits.to or to is None:
        return awaits
    return replace(awaits, to=to)


def _veiled_tag(tag: str | None, find: Finder) -> str | None:
    return veil.tag if tag is not None and (veil := find(tag)) else tag
