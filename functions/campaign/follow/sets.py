"""Who is among those of a run that are written to again: by the events of each message. Pure: no I/O.

The number 0 of an event says that a message came to a stage at all, or what became of it before anybody redrove it
(`shared.store.counters.counted_as`). So a set asks for a few keys per message, in rounds: first the one that settles
most. Every set needs something that is known of a message. So one whose events are lost is in none.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from functions.campaign.follow.reasons import Why
from shared.model.campaigns import Follows, Who
from shared.model.events import fold
from shared.model.words import Stage
from shared.policy.engagement import ENGAGED
from shared.store.kept_events import KeptEvent

Found = Mapping[str, KeptEvent]
"""By stage."""

_ANSWERED = (Stage.COMPLAINED, Stage.UNSUBSCRIBED, Stage.ACKNOWLEDGED)
"""What people do who are not to be asked again."""

ROUNDS: Mapping[Who, Sequence[Sequence[Stage]]] = {
    Who.FAILED: (
        (Stage.SENT,),
        (
            *(Stage.FAILED, Stage.EXPIRED, Stage.DEAD_LETTERED, Stage.UNKNOWN),
            *(Stage.SUPPRESSED, Stage.CAPPED, Stage.DUPLICATE, Stage.RECALLED),
        ),
    ),
    Who.UNDELIVERED: ((Stage.UNDELIVERED,), _ANSWERED),
    Who.NO_RECEIPT: (
        (Stage.DELIVERED,),
        (Stage.SENT, Stage.UNDELIVERED, Stage.OPENED, Stage.CLICKED, *_ANSWERED),
        (Stage.DEAD_LETTERED,),
    ),
    Who.NOT_OPENED: (
        (Stage.OPENED,),
        (Stage.SENT, Stage.CLICKED, Stage.UNDELIVERED, *_ANSWERED),
        (Stage.DEAD_LETTERED,),
    ),
    Who.NOT_CLICKED: (
        (Stage.CLICKED,),
        (Stage.SENT, Stage.UNDELIVERED, *_ANSWERED),
        (Stage.DEAD_LETTERED,),
    ),
}
"""Which events of a message are asked for, until it is settled."""

_SAID = {
    Stage.COMPLAINED: Why.COMPLAINED,
    Stage.UNSUBSCRIBED: Why.UNSUBSCRIBED,
    Stage.ACKNOWLEDGED: Why.ACKNOWLEDGED,
}
_HEARD: Mapping[Who, Mapping[Stage, Why]] = {
    Who.UNDELIVERED: _SAID,
    Who.NO_RECEIPT: {
        **_SAID,
        Stage.UNDELIVERED: Why.UNDELIVERED,
        Stage.DELIVERED: Why.DELIVERED,
        Stage.CLICKED: Why.CLICKED,
        Stage.OPENED: Why.OPENED,
    },
    # Who clicks has opened it, whether or not their program loaded its pictures.
    Who.NOT_OPENED: {
        **_SAID,
        Stage.UNDELIVERED: Why.UNDELIVERED,
        Stage.CLICKED: Why.CLICKED,
        Stage.OPENED: Why.OPENED,
    },
    Who.NOT_CLICKED: {**_SAID, Stage.UNDELIVERED: Why.UNDELIVERED, Stage.CLICKED: Why.CLICKED},
}
"""What is said of those who are not in a set, by what counts most."""
_STOPPED = (Stage.RECALLED, Stage.SUPPRESSED, Stage.CAPPED, Stage.DUPLICATE)
_REPORTED = frozenset({Stage.DELIVERED, Stage.UNDELIVERED, Stage.OPENED, Stage.CLICKED, *_ANSWERED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What else decides."""

    follows: Follows
    now: int
    """In milliseconds since the epoch."""
    speaking: Container[str | None] = frozenset()
    """Accounts whose providers say what was delivered; for those of whom nothing was said."""
    passing: bool = False
    """Whether messages of the run came back for now; for the same."""


def settled(facts: Facts, found: Found, asked: int) -> Why | None:
    """What becomes of a message by the events that were found in the first `asked` rounds; None if that is not known.

    What is still not known after the last round is so by all events of the message (`by_all`).
    """
    last = asked == len(ROUNDS[facts.follows.who])
    match facts.follows.who:
        case Who.FAILED:
            return _failed(found, last)
        case Who.UNDELIVERED:
            return _undelivered(found, last)
        case _:
            why = _silent(facts, found, asked)
            # A message that came back for now has a receipt, whose number nobody knows.
            look = why is Why.PICKED and facts.follows.who is Who.NO_RECEIPT and facts.passing
            return None if look else why


def by_all(facts: Facts, events: Sequence[KeptEvent]) -> Why:
    """What becomes of a message by all its events."""
    if not events:
        return Why.NO_OUTCOME
    if facts.follows.who is Who.FAILED:
        return _failed_by_all(events)
    if any(e.transient for e in events) and facts.follows.who is Who.NO_RECEIPT:
        why = _silent(facts, _first(events), len(ROUNDS[Who.NO_RECEIPT]))
        return Why.UNDELIVERED_FOR_NOW if why is Why.PICKED else why or Why.NOT_SENT
    return _silent(facts, _first(events), len(ROUNDS[facts.follows.who])) or Why.NOT_SENT


def may_be_revised(found: Found) -> bool:
    """Whether what seems to be a person's may have been a machine's."""
    return not ENGAGED.isdisjoint(found)


def _failed(found: Found, last: bool) -> Why | None:
    if Stage.SENT in found:
        return Why.SENT
    if not last:
        return None
    if Stage.UNKNOWN in found:
        return Why.MAYBE_SENT
    if Stage.DEAD_LETTERED in found:
        # Somebody may have redriven it since.
        return None
    if any(stage in found for stage in _STOPPED):
        return Why.NOT_SENT
    return Why.PICKED if Stage.FAILED in found or Stage.EXPIRED in found else Why.NO_OUTCOME


def _failed_by_all(events: Sequence[KeptEvent]) -> Why:
    state = fold(events).state
    if state in (Stage.FAILED, Stage.EXPIRED, Stage.DEAD_LETTERED, Stage.DISCARDED):
        doubtful = any(e.maybe_sent for e in events if e.stage == Stage.DEAD_LETTERED)
        return Why.MAYBE_SENT if doubtful else Why.PICKED
    if state is Stage.UNKNOWN:
        return Why.MAYBE_SENT
    if state in _STOPPED:
        return Why.NOT_SENT
    return Why.SENT if any(e.stage in (Stage.SENT, *_REPORTED) for e in events) else Why.NO_OUTCOME


def _undelivered(found: Found, last: bool) -> Why | None:
    if Stage.UNDELIVERED not in found:
        return Why.NOT_UNDELIVERED
    return (_heard(Who.UNDELIVERED, found) or Why.PICKED) if last else None


def _silent(facts: Facts, found: Found, asked: int) -> Why | None:
    if (heard := _heard(facts.follows.who, found)) is not None:
        return heard
    if asked == 1:
        return None
    if (sent := found.get(Stage.SENT)) is None:
        # Somebody may have redriven it since, if it is a dead letter.
        return None if asked == 2 or Stage.DEAD_LETTERED in found else Why.NOT_SENT
    if facts.now - sent.at < facts.follows.patience_ms:
        return Why.TOO_RECENT
    if facts.follows.who is Who.NO_RECEIPT and sent.account not in facts.speaking:
        return Why.ACCOUNT_SILENT
    return Why.PICKED


def _heard(who: Who, found: Found) -> Why | None:
    return next((why for stage, why in _HEARD[who].items() if stage in found), None)


def _first(events: Sequence[KeptEvent]) -> Found:
    """Those events by which a set decides, of a message that may have been redriven."""
    found = {e.stage: e for e in events if e.stage in _REPORTED and _counts(e)}
    sent = [event for event in events if event.stage == Stage.SENT]
    return {**found, Stage.SENT: max(sent, key=lambda e: e.nth)} if sent else found


def _counts(event: KeptEvent) -> bool:
    """Whether it was said at all, once and for good; of openings and clicks, by a person."""
    return not event.machine if event.stage in ENGAGED else not event.nth
