"""What a step is: it takes an envelope's messages, and says who goes on and with which row the others end here."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from msgspec import Struct

from shared.base.shared_reads import SharedReads
from shared.dispatch.accounts import Accounts, Route
from shared.dispatch.attachments import Files
from shared.dispatch.decide.filling import Filling
from shared.dispatch.routing import Routing
from shared.dispatch.runs import Runs
from shared.lifecycle.held import Held
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow, PassedOver
from shared.model.policies import Policies
from shared.model.suppression import SuppressionEntry
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant, TenantSettings
from shared.model.words import Channel
from shared.policy.resolve import resolve
from shared.providers.base import Outgoing
from shared.store.caps import Caps
from shared.store.duplicates import Duplicates


class Suppressions(Protocol):
    """Where the step `Suppression` reads who must not be written to."""

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str], reads: SharedReads
    ) -> Mapping[str, Sequence[SuppressionEntry]]: ...


class Configured(Protocol):
    """Where the steps read what people have configured; seconds old at most."""

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def settings(self, tenant: str) -> TenantSettings: ...

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion | None: ...


class Sources(Struct, frozen=True):
    """What steps ask. One for all envelopes of a process; shared by threads."""

    configured: Configured
    runs: Runs
    accounts: Accounts
    suppressions: Suppressions
    duplicates: Duplicates
    caps: Caps
    routing: Routing
    clock: Clock
    files: Files | None = None
    """None for a channel whose messages carry no files."""
    public_url: str = ""
    """Where recipients reach the platform; empty where they cannot."""


class Candidate(Struct):
    """A message on its way through the steps."""

    recipient: EnvelopeRecipient
    outgoing: Outgoing | None = None
    """None until the step `Rendering`."""
    account: Account | None = None
    """None until the step `ChooseAccount`."""

    @property
    def message(self) -> Outgoing:
        """The rendered message. Raises: LookupError before the step `Rendering`."""
        if self.outgoing is None:
            raise LookupError("not rendered yet")
        return self.outgoing


@dataclass
class Batch:
    """The messages of one envelope that no step has ended so far, and what the envelope's steps share."""

    envelope: Envelope
    candidates: list[Candidate]
    configured: Configured
    new_filling: Callable[[], Filling]
    reads: SharedReads
    """What is read once for all envelopes that a function got together; nothing in it is older than their coming."""
    held: Held = field(default_factory=Held)
    """What the messages hold; see `shared/lifecycle/held.py`."""
    route: Route | None = None
    """How the messages may go; None until the step `ChooseAccount`."""
    untracked: Collection[str] = ()
    """The tags of recipients who do not want to be tracked; the step `Suppression` finds them."""
    passed_over: dict[int, tuple[PassedOver, ...]] = field(default_factory=dict)
    """Recipient -> the accounts that were passed over."""

    @cached_property
    def filling(self) -> Filling:
        """Fills the template in. Raises: TemplateError, TemplateGoneError; what reading the catalog raises."""
        return self.new_filling()

    @cached_property
    def template(self) -> Template | None:
        """The envelope's template. Raises: what reading the catalog raises; so do the others below."""
        return self.configured.template(self.envelope.tenant, self.envelope.template)

    @cached_property
    def settings(self) -> TenantSettings:
        """The tenant's settings."""
        return self.configured.settings(self.envelope.tenant)

    @cached_property
    def policies(self) -> Policies:
        """The policies that hold for the envelope."""
        return resolve(self.settings, self.template, self.envelope.channel, self.envelope.message_class)

    @cached_property
    def zone(self) -> str:
        """The time zone of recipients of whom none is known."""
        if self.settings.time_zone is not None:
            return self.settings.time_zone
        tenant = self.configured.tenant(self.envelope.tenant)
        return tenant.time_zone if tenant is not None else "UTC"

    def zone_of(self, candidate: Candidate) -> str:
        """The recipient's time zone."""
        return candidate.recipient.time_zone or self.zone

    def split(self, row_of: Callable[[Candidate], EventRow | None]) -> "Taken":
        """Those for whom there is no row, and the rows of the others."""
        left, rows = [], []
        for candidate in self.candidates:
            row = row_of(candidate)
            if row is None:
                left.append(candidate)
            else:
                rows.append(row)
        return left, rows

    def all_end(self, row_of: Callable[[EnvelopeRecipient], EventRow]) -> "Taken":
        """Nobody goes on: a row for each."""
        return [], [row_of(candidate.recipient) for candidate in self.candidates]


Taken = tuple[Sequence[Candidate], Sequence[EventRow]]
"""Who goes on to the next step, and the rows of those for whom this envelope ends here.

Who is in neither is carried on by a continuation: another envelope, behind what waits in the queue.
"""


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step; made once per process and shared by threads, so it keeps nothing of an envelope."""

    sources: Sources

    @abstractmethod
    def take(self, batch: Batch) -> Taken:
        """Take the batch's messages. Sends nothing. Raises: what asking the sources raises."""

    def now(self) -> int:
        """The time, in milliseconds since the epoch."""
        return self.sources.clock.now_ms()
