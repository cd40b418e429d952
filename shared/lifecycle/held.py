"""What messages hold so that no duplicates and no more than a cap are sent, and how it is given back.

That is done once it is recorded that they ended unsent, and before anything follows from it: a dead letter can be
redriven only when its message holds nothing any more. Doing it again changes nothing.
"""

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct, field

from shared.lifecycle.verdict import UNSENT
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.ids import Numbering
from shared.model.templates import Template
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, Stage
from shared.policy.resolve import resolve
from shared.store.caps import Caps
from shared.store.claims import Claimant
from shared.store.duplicates import Duplicates
from shared.store.ledger import Entry

_RELEASES = UNSENT | {Stage.DEAD_LETTERED}


class Held(Struct):
    """What is known of what an envelope's messages hold."""

    marks: dict[int, str] = field(default_factory=dict)
    """Recipient -> the digest of its content."""
    slots: set[int] = field(default_factory=set)
    """Recipients that count for their cap."""
    new_marks: set[int] = field(default_factory=set)
    """`new_marks` and `new_slots`: those of them that were taken when the envelope was decided, at `at` (milliseconds
    since the epoch); the others were held before."""
    new_slots: set[int] = field(default_factory=set)
    at: int = 0


def claimants_of(envelope: Envelope, recipients: Iterable[EnvelopeRecipient]) -> list[Claimant]:
    """The messages of some of an envelope's recipients, as those that take something."""
    number = Numbering(envelope.root)
    return [Claimant(number(r.index), r.tag, envelope.generation) for r in recipients]


class Configured(Protocol):
    """Where it is read what people have configured; seconds old at most."""

    def settings(self, tenant: str) -> TenantSettings: ...

    def template(self, tenant: str, template_id: str) -> Template | None: ...


class Releases:
    """Gives back what messages hold that ended unsent; shared by threads. No request is made where no policy is set."""

    def __init__(self, configured: Configured, duplicates: Duplicates, caps: Caps) -> None:
        self._configured = configured
        self._duplicates = duplicates
        self._caps = caps

    def release(
        self, envelope: Envelope, rows: Iterable[EventRow], held: Held | None = None, seen: Entry | None = None
    ) -> None:
        """Give back what an envelope's messages hold that ended unsent.

        rows: what is recorded of the envelope. held: what is known of them, if it was decided here. seen: the entry
        that its ledger had before. Raises: what the table raises.
        """
        ended = {each.index for each in rows if each.stage in _RELEASES and not each.maybe_sent}
        if held is None:
            held = Held()
        elif seen is None and "/" not in envelope.id:
            # Nobody decided on this envelope before, or on one that it follows from.
            ended &= held.marks.keys() | held.slots
        marks, slots = set(ended), set(ended)
        if seen is not None and seen.closed and held.at > seen.lease:
            # All was decided, and whoever did it was gone, before this was taken: what was free then has had its time.
            marks |= held.new_marks
            slots |= held.new_slots
        if envelope.kind is not KeyKind.TEST and (marks or slots):
            self._give_back(envelope, marks, slots, held)

    def _give_back(self, envelope: Envelope, marks: set[int], slots: set[int], held: Held) -> None:
        template = self._configured.template(envelope.tenant, envelope.template)
        settings = self._configured.settings(envelope.tenant)
        policies = resolve(settings, template, envelope.channel, envelope.message_class)
        wanted = [r for r in envelope.recipients if r.index in marks or r.index in slots]
        claimants = {r.index: claimant for r, claimant in zip(wanted, claimants_of(envelope, wanted), strict=True)}
        if policies.duplicate_seconds and marks:
            claims = {claimants[i]: held.marks.get(i) for i in sorted(marks)}
            self._duplicates.release(envelope.tenant, envelope.template, claims)
        if policies.cap is not None and policies.cap.count and slots:
            of = envelope.tenant, envelope.channel, envelope.message_class
            self._caps.release(of, [claimants[i] for i in sorted(slots)])
