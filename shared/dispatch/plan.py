"""What is decided of an envelope before anything is sent: who is done with already, and which calls are to be made."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from shared.model.accounts import Account
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.providers.base import Outgoing, Provider

WAVE_RECIPIENTS = 34
"""How many recipients are in flight between two records: as many can be unknown after a crash.

A full envelope takes three waves. One call may carry more.
"""
RESERVE_S = 10.0
"""Kept back for recording outcomes and handing on when the function's time runs out."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a provider: the messages that it carries, and their recipients in the same order.

    tried: ask what became of earlier tries, which were made within this time, and send nothing.
    """

    account: Account
    provider: Provider
    messages: Sequence[Outgoing]
    recipients: Sequence[EnvelopeRecipient]
    tried: tuple[int, int] | None = None

    def fits(self, remaining_s: float) -> bool:
        """Whether the call ends in time even at its slowest."""
        return remaining_s >= RESERVE_S + self.provider.worst_case_seconds

    def without(self, done: Collection[int]) -> "Call | None":
        """The call less those recipients; None when nobody is left."""
        pairs = [(m, r) for m, r in zip(self.messages, self.recipients, strict=True) if r["i"] not in done]
        if len(pairs) == len(self.recipients):
            return self
        if not pairs:
            return None
        return Call(self.account, self.provider, [m for m, _ in pairs], [r for _, r in pairs], self.tried)


@dataclass(slots=True)
class Plan:
    """rows: of recipients that are decided without asking a provider. calls: in the order in which they are made."""

    envelope: Envelope
    rows: list[EventRow] = field(default_factory=list)
    calls: deque[Call] = field(default_factory=deque)

    def resume(self, rows: Iterable[EventRow]) -> None:
        """Go on from recorded rows: they take the place of what was decided now; their recipients are not called."""
        kept = list(rows)
        done = {row["i"] for row in kept}
        self.rows = kept + [row for row in self.rows if row["i"] not in done]
        self.calls = deque(left for call in self.calls if (left := call.without(done)) is not None)

    def wave(self, remaining_s: float) -> list[Call]:
        """Take the next calls off the plan: none when nothing is left, or not the time for the next one."""
        wave: list[Call] = []
        if self.calls and not self.calls[0].fits(remaining_s):
            return wave
        room = WAVE_RECIPIENTS
        while self.calls and (not wave or len(self.calls[0].recipients) <= room):
            wave.append(self.calls.popleft())
            room -= len(wave[-1].recipients)
        return wave


def flight(wave: Iterable[Call]) -> dict[str, list[int]]:
    """The recipients of a wave's calls by account."""
    found: dict[str, list[int]] = {}
    for call in wave:
        found.setdefault(call.account.id, []).extend(r["i"] for r in call.recipients)
    return found
