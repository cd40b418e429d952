"""A dispatcher with everything around it faked, and a provider that plays a script."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec.structs import replace

from shared.aws.attachments import AttachmentGoneError
from shared.aws.queue import Dispatch, Queues
from shared.aws.schedules import Schedules
from shared.base.channels import queue_name
from shared.base.settings import GuardSettings
from shared.base.shared_reads import SharedReads
from shared.dispatch.accounts import Accounts
from shared.dispatch.attachments import Files
from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.runs import Runs
from shared.dispatch.sending import Sender
from shared.model.accounts import Account
from shared.model.attachments import AttachmentRef
from shared.model.audit import AuditRecord
from shared.model.content import Content
from shared.model.envelope import Envelope
from shared.model.events import StreamRecord
from shared.model.outcome import Outcome, Sent
from shared.model.policies import Cap, Policies
from shared.model.suppression import SuppressionEntry
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant, TenantSettings
from shared.model.veils import Veils
from shared.model.words import Channel, MessageClass
from shared.policy.routing import Buckets, Shift
from shared.providers.base import Outgoing, Provider, Verification
from shared.store.campaigns import Control
from shared.store.catalog_items import CatalogConflictError, Stored
from shared.store.ledger import Entry, HeldError, Mark
from shared.wiring.dispatch import DispatchParts
from tests import samples
from tests.fakes import FakeClock, out_of_reach

Script = Callable[[Outgoing], Outcome]


class ScriptedProvider(Provider):
    """Answers by a script; remembers what it was given."""

    threads: ClassVar[int] = 4
    worst_case_seconds: ClassVar[float] = 5.0

    def __init__(self, script: Script) -> None:
        self.script = script
        self.lock = threading.Lock()
        self.sent: list[Outgoing] = []
        self.calls = 0

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        with self.lock:
            self.calls += 1
            self.sent.extend(group)
        return [self.script(message) for message in group]

    def verify(self) -> Verification:
        return Verification(True, "fine")


@dataclass
class DispatchHarness:
    """Doubles of all that a dispatcher works with."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(samples.NOW))
    accounts: dict[str, Account] = field(default_factory=dict)
    providers: dict[str, ScriptedProvider] = field(default_factory=dict)
    templates: dict[str, tuple[Template, TemplateVersion]] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    dispatched: list[Dispatch] = field(default_factory=list)
    dead: list[Envelope] = field(default_factory=list)
    records: list[StreamRecord] = field(default_factory=list)
    tenant_settings: TenantSettings = field(default_factory=TenantSettings)
    suppressed: dict[str, list[SuppressionEntry]] = field(default_factory=dict)
    asked_of: list[list[str]] = field(default_factory=list)
    shared: list[SharedReads] = field(default_factory=list)
    stored: dict[tuple[str, str], bytes] = field(default_factory=dict)
    health: dict[str, Buckets] = field(default_factory=dict)
    health_reads: list[str] = field(default_factory=list)
    shifted: dict[str, Stored[Shift]] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    controls: dict[str, Control] = field(default_factory=dict)
    control_reads: list[tuple[str, bool]] = field(default_factory=list)
    parked: list[Envelope] = field(default_factory=list)
    veils: Veils = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    remaining_ms: Callable[[], int] = lambda: 60_000
    naps: int = 0
    guarded: bool = False
    parts: DispatchParts = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    # What the dispatcher reads

    def tenant(self, tenant_id: str) -> Tenant | None:
        return samples.TENANT

    def settings(self, tenant: str) -> TenantSettings:
        return self.tenant_settings if self.guarded else _uncapped(self.tenant_settings)

    def template(self, tenant: str, template_id: str) -> Template | None:
        found = self.templates.get(template_id)
        return found[0] if found else None

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion | None:
        found = self.templates.get(template_id)
        return found[1] if found and found[1].version == number else None

    def account(self, tenant: str, account_id: str) -> Account | None:
        return self.accounts.get(account_id)

    def of(self, tenant: str, ulid: str) -> Veils:
        return self.veils

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str], reads: SharedReads
    ) -> dict[str, list[SuppressionEntry]]:
        if "suppressions" in self.broken:
            raise out_of_reach("dynamodb")
        self.asked_of.append(list(tags))
        self.shared.append(reads)
        return {tag: entries for tag, entries in self.suppressed.items() if tag in tags}

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]:
        return {}

    def control(self, tenant: str, run: str, fresh: bool = False) -> Control | None:
        if "control" in self.broken:
            raise out_of_reach("dynamodb")
        self.control_reads.append((run, fresh))
        return self.controls.get(run)

    def read_file(self, tenant: str, ref: AttachmentRef) -> bytes:
        self._step("read_file")
        found = self.stored.get((ref.id, ref.version))
        if found is None:
            raise AttachmentGoneError(ref.id)
        return found

    def last_shift(self, tenant: str, account: str) -> Stored[Shift] | None:
        if "health" in self.broken:
            raise out_of_reach("dynamodb")
        self.health_reads.append(account)
        return self.shifted.get(account)

    def buckets(self, tenant: str, account: str, now: int) -> Buckets:
        return self.health.get(account, {})

    # What it writes

    def shift(self, tenant: str, account: str, shift: Shift, over: int | None, record: AuditRecord) -> None:
        there = self.shifted.get(account)
        if over != (None if there is None else there.rev):
            raise CatalogConflictError("changed")
        self.shifted[account] = Stored(shift, (over or 0) + 1)
        self.audit.append(record)

    def put(self, envelopes: Sequence[Envelope]) -> None:
        self._step("park")
        self.parked.extend(envelopes)

    def acquire_all(self, entries: Mapping[str, Entry]) -> dict[str, Entry | None]:
        self._step("acquire")
        seen = {id: self.entries.get(id) for id in entries}
        self.entries.update({id: deepcopy(entry) for id, entry in entries.items() if seen[id] is None})
        return seen

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None:
        self._step("acquire")
        there = self.entries.setdefault(envelope_id, deepcopy(entry))
        return None if there == entry else deepcopy(there)

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None:
        self._step("take_over")
        there = self.entries[envelope_id]
        if not there.closed and (there.owner, there.lease) == (seen.owner, seen.lease) and there.flight != seen.flight:
            return deepcopy(there)
        return self._write(envelope_id, seen, entry)

    def record(self, envelope_id: str, entry: Entry) -> Entry | None:
        self._step("record")
        return self._write(envelope_id, entry, entry)

    def _write(self, envelope_id: str, mine: Entry, entry: Entry) -> Entry | None:
        there = self.entries[envelope_id]
        if there.closed or (there.owner, there.lease) != (mine.owner, mine.lease):
            raise HeldError
        if there.recalled != entry.recalled:
            return deepcopy(there)
        self.entries[envelope_id] = deepcopy(entry)
        return None

    # What others do

    def mark(self, envelope: Envelope, *recipients: int) -> None:
        """Recall recipients of an envelope; as the ledger does it."""
        there = self.entries.get(envelope.id) or Entry("", 0)
        assert not there.closed
        new = {i: Mark(self.clock.now_ms(), "key") for i in recipients}
        self.entries[envelope.id] = replace(there, recalled={**new, **there.recalled})

    def pass_time(self, seconds: float) -> None:
        """Whoever waits for a place in a rate moves the clock."""
        self.clock.advance(seconds)

    def sleep(self, seconds: float) -> None:
        self.naps += 1
        if self.naps > 1000:
            raise AssertionError("sleeps without end")

    def _step(self, name: str) -> None:
        if name in self.broken:
            raise out_of_reach(name)
        self.log.append(name)

    # Setting up

    def add_account(self, account_id: str, script: Script, weight: int = 100, **changes: Any) -> ScriptedProvider:
        provider = ScriptedProvider(script)
        self.providers[account_id] = provider
        self.accounts[account_id] = Account(
            id=account_id, tenant="default", name=account_id, channel=Channel.EMAIL, provider="smtp",
            settings={}, weight=weight, created_at=0, updated_at=0, **changes,
        )  # fmt: skip
        return provider

    def add_template(self, content: Content = samples.EMAIL, **changes: Any) -> None:
        self.templates["welcome"] = samples.template(content, **changes)

    def run(self, *bodies: Envelope | str) -> list[str]:
        """Dispatch a batch; returns the positions of the messages that were handed back."""
        texts = [b if isinstance(b, str) else b.to_json() for b in bodies]
        event = {"Records": [{"messageId": str(i), "body": text} for i, text in enumerate(texts)]}
        answer = self.dispatcher.run(event, self)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms()

    def stages(self) -> dict[str, int]:
        """How many events of each stage were written."""
        counts: dict[str, int] = {}
        for record in self.records:
            for event in record.events:
                counts[event.stage] = counts.get(event.stage, 0) + 1
        return counts


class _Queues:
    def __init__(self, harness: DispatchHarness) -> None:
        self._harness = harness

        urls = {queue_name(c, m): f"https://sqs/{c}-{m}" for c in Channel for m in MessageClass}
        self.too_large = Queues(None, urls, Schedules(None, "", "", ""), harness.clock).too_large

    def send(self, dispatches: Sequence[Any]) -> set[str]:
        if dispatches and isinstance(dispatches[0], Envelope):
            self._harness._step("dead")
            self._harness.dead.extend(dispatches)
        elif dispatches:
            self._harness._step("queue")
            self._harness.dispatched.extend(dispatches)
        return set()


class _Stream:
    def __init__(self, harness: DispatchHarness) -> None:
        self._harness = harness

    def put(self, records: Sequence[StreamRecord]) -> None:
        if records:
            self._harness._step("stream")
        self._harness.records.extend(records)


class _Accounts(Accounts):
    def __init__(self, harness: DispatchHarness) -> None:
        super().__init__(harness, harness, None, harness.clock)  # type: ignore[arg-type]  # tokens are for real providers
        self._harness = harness

    def provider(self, account: Account) -> Provider:
        provider = self._harness.providers[account.id]
        if provider is None:
            raise RuntimeError("settings do not fit")
        return provider


def _uncapped(settings: TenantSettings) -> TenantSettings:
    """Settings without the caps that count where nobody has decided: they need a table."""
    policies = settings.policies
    without = {name: each.over(Policies(cap=Cap(count=0))) for name, each in policies}
    return settings.model_copy(update={"policies": policies.model_copy(update=without)})


PUBLIC_URL = "https://push.example.com"


@contextmanager
def harness(
    script: Script = lambda message: Sent("p-" + message.message_id[-4:]),
    dynamodb: Any = None,
    runs: Callable[[FakeClock], Runs] | None = None,
    accounts: Callable[[DispatchHarness], Accounts] = _Accounts,
    channel: Channel = Channel.EMAIL,
) -> Iterator[DispatchHarness]:
    """A harness with the template `welcome` and the account `main`. dynamodb: has the table `guard`, for policies that
    need one. runs: makes the look at runs; by default at `controls`, with `parked` as the parking place. accounts: by
    default those whose providers play scripts. channel: the dispatcher's."""
    made = DispatchHarness(guarded=dynamodb is not None)
    with ThreadPoolExecutor(8) as calls, ThreadPoolExecutor(8) as envelopes:
        queues = _Queues(made)
        made.parts = parts = DispatchParts(
            GuardSettings(guard_table="guard"),
            client=lambda service: dynamodb,
            clock=made.clock,
            catalog=made,
            suppressions=made,
            veils=made,
            health=made,
            ledger=made,
            campaigns=made,
            parking=made,
            queues=queues,
            dead_letters=queues,
            stream=_Stream(made),
            accounts=accounts(made),
            files=Files(made.read_file),
            sender=Sender(made.clock, calls, made.pass_time),
            sleep=made.sleep,
            envelopes=envelopes,
            public_url=PUBLIC_URL,
        )
        if runs is not None:
            parts.runs = runs(made.clock)
        made.dispatcher = parts.dispatcher(channel)
        made.add_template()
        made.add_account("main", script)
        yield made
