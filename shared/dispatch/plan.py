"""What is decided of an envelope before anything is sent: who is done with already, and which calls are to be made."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from shared.dispatch.accounts import Route
from shared.lifecycle.held import Held
from shared.model.accounts import Account
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow, PassedOver
from shared.providers.base import Outgoing, Provider

WAVE_RECIPIENTS = 34
"""How many recipients are in flight between two records: as many can be unknown after a crash.

A full envelope takes three waves. One call may carry more.
"""
RESERVE_S = 10.0
"""Kept back for recording outcomes and handing on when the function's time runs out."""


Rendered = tuple[EnvelopeRecipient, Outgoing]
"""A recipient and the message for it."""


def in_time(provider: Provider, remaining_s: float) -> bool:
    """Whether a call ends in time even at its slowest."""
    return remaining_s >= RESERVE_S + provider.worst_case_seconds


class Call(Struct, frozen=True):
    """One call of a provider."""

    account: Account
    provider: Provider
    messages: Sequence[Outgoing]
    recipients: Sequence[EnvelopeRecipient]
    """Of the messages, in the same order."""
    tried: tuple[int, int] | None = None
    """Ask what became of earlier tries, which were made within this time, and send nothing."""
    not_before: int = 0
    """When its place in the account's rate begins, in milliseconds since the epoch."""

    def fits(self, remaining_s: float) -> bool:
        """Whether the call ends in time even at its slowest."""
        return in_time(self.provider, remaining_s)

    def pairs(self) -> list[Rendered]:
        """Its recipients with their messages."""
        return list(zip(self.recipients, self.messages, strict=True))

    def without(self, done: Collection[int]) -> "Call | None":
        """The call less those recipients; None when nobody is left."""
        pairs = [(m, r) for m, r in zip(self.messages, self.recipients, strict=True) if r.index not in done]
        if len(pairs) == len(self.recipients):
            return self
        if not pairs:
            return None
        return replace(self, messages=[m for m, _ in pairs], recipients=[r for _, r in pairs])


class Plan(Struct):
    """What is decided of an envelope."""

    envelope: Envelope
    rows: list[EventRow] = field(default_factory=list)
    """Of recipients that are done with in this envelope."""
    calls: deque[Call] = field(default_factory=deque)
    """In the order in which they are made."""
    held: Held = field(default_factory=Held)
    """What the messages hold (`shared/lifecycle/held.py`)."""
    route: Route | None = None
    """How the messages may go."""
    over: dict[int, tuple[PassedOver, ...]] = field(default_factory=dict)
    """Recipient -> the accounts that were passed over, as its row will tell."""

    resumed: set[int] = field(default_factory=set)
    """Recipients whose rows were recorded before."""

    def told(self) -> list[EventRow]:
        """The rows, each with the accounts that were passed over, and the part that its account has of all messages."""
        for row in self.rows:
            if row.index in self.over:
                row.passed_over = self.over[row.index]
            if self.route is not None and row.account is not None and row.index not in self.resumed:
                row.share = self.route.share(row.account)
        return self.rows

    def resume(self, rows: Iterable[EventRow]) -> None:
        """Go on from recorded rows: they take the place of what was decided now; their recipients are not called."""
        kept = list(rows)
        done = {row.index for row in kept}
        self.resumed |= done
        self.rows = kept + [row for row in self.rows if row.index not in done]
        self.calls = deque(left for call in self.calls if (left := call.without(done)) is not None)
        # Somebody else's try may have gone another way.
        self.over = {i: passed for i, passed in self.over.items() if i not in done}

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


def calls_of(account: Account, provider: Provider, pairs: Sequence[Rendered]) -> Iterator[Call]:
    """The calls by which an account sends messages."""
    by_id = {message.message_id: recipient for recipient, message in pairs}
    for group in provider.group([message for _, message in pairs]):
        yield Call(account, provider, group, [by_id[m.message_id] for m in group])


def flight(wave: Iterable[Call]) -> dict[str, list[int]]:
    """The recipients of a wave's calls by account."""
    found: dict[str, list[int]] = {}
    for call in wave:
        found.setdefault(call.account.id, []).extend(r.index for r in call.recipients)
    return found
