"""Fallback to another channel: who falls back, and the envelope by which. Pure.

The decision is part of a recipient's row, so it is recorded before anything follows from it, and a repeat of what
follows makes the same message.
"""

from collections.abc import Collection, Iterable, Mapping

from shared.model.envelope import Envelope, EnvelopeRecipient, FallbackLeg
from shared.model.events import EventRow, FallenTo, awaits
from shared.model.words import Channel, Stage
from shared.policy.fallback import expires_at, falls_back


def decide(envelope: Envelope, rows: Iterable[EventRow]) -> None:
    """Note in the rows of an envelope who falls back; doing it again changes nothing.

    Nobody does of whom a try may have come through, nor once the time to live of all is over. Who falls back when the
    tries are used up has failed: as a dead letter it could be sent anew, a second time. Whose message was sent, and
    has to come to more than that, waits for it.
    """
    if not envelope.fallback:
        return
    leg = envelope.fallback[0]
    recipients = {recipient.index: recipient for recipient in envelope.recipients}
    for row in rows:
        if row.stage == Stage.SENT:
            row.awaits = awaits(envelope, recipients[row.index], row.at)
            continue
        there = recipients[row.index].other_addresses.get(leg.channel)
        if there is None or row.fell_back_to is not None or row.maybe_sent or row.index in envelope.maybe_sent:
            continue
        if row.at < leg.expires_at and falls_back(row.stage, row.reason, envelope.message_class):
            row.fell_back_to = FallenTo(leg.channel.value, leg.template, leg.version, there[1])
            if row.stage == Stage.DEAD_LETTERED:
                row.stage = Stage.FAILED.value


def fallen(
    envelope: Envelope, suffix: str, recipients: Collection[int], by_i: Mapping[int, EventRow]
) -> Envelope | None:
    """The envelope by which recipients that fell back are sent to; None if this envelope knows no address for them.

    by_i: the recorded rows, which say where to. A repeated request may have been planned with another fallback: what
    it does not know is sent by who recorded it.
    """
    rows = [by_i[i] for i in recipients]
    fell = rows[0].fell_back_to
    if fell is None:
        return None
    place = next((k for k, leg in enumerate(envelope.fallback) if leg.channel == fell.channel), None)
    if place is None:
        return None
    leg, rest = envelope.fallback[place], envelope.fallback[place + 1 :]
    at = max(row.at for row in rows)
    return envelope.child(
        suffix,
        [_there(r, leg, rest) for r in envelope.recipients if r.index in recipients],
        channel=Channel(fell.channel),
        template=fell.template,
        version=fell.version,
        variables={name: value for name, value in envelope.variables.items() if name in leg.variables},
        accepted_at=at,
        expires_at=expires_at(rest, at, leg.expires_at),
        attempt=0,
        generation=0,
        avoid=[],
        times_asked=0,
        maybe_sent=[],
        times_put_off=0,
        attachments=[],
        fallback=rest,
    )


def _there(recipient: EnvelopeRecipient, leg: FallbackLeg, rest: list[FallbackLeg]) -> EnvelopeRecipient:
    """A recipient as the other channel knows it."""
    to, tag = recipient.other_addresses[leg.channel]
    return EnvelopeRecipient(
        index=recipient.index,
        address=to,
        tag=tag,
        variables={name: value for name, value in recipient.variables.items() if name in leg.variables},
        reference=recipient.reference,
        time_zone=recipient.time_zone,
        other_addresses={each.channel: recipient.other_addresses[each.channel] for each in rest},
        stands_in_for=recipient.tag,
    )
