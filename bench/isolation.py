"""Whether a campaign delays codes: the real dispatcher on simulated queues, clock and provider.

A million marketing messages are queued, and codes arrive all the while, all of them through one account whose rate both
share. Compared is the time from acceptance to the provider's answer with that on an idle system.

What is simulated: event source mappings with their caps of concurrency, batches of ten, the time that a provider and
AWS take. An invocation's envelopes are worked off one after the other, which is slower than on its threads, for both.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, ClassVar

import boto3

from bench.figures import Figure
from bench.sample import TENANT, dispatcher
from infra.stage import stage_named
from local.memory.engine import Memory
from shared.aws.queue import Dispatch
from shared.base.shared_reads import SharedReads
from shared.dispatch.accounts import Accounts
from shared.dispatch.sending import Sender
from shared.model.accounts import Account, Rate
from shared.model.content import SmsContent
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import StreamRecord
from shared.model.ids import Numbering, Tagger, derived_base
from shared.model.outcome import Outcome, Sent
from shared.model.suppression import SuppressionEntry
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant, TenantSettings
from shared.model.words import Channel, MessageClass
from shared.providers.base import Outgoing, Provider, Verification

BACKLOG = 1_000_000
SECONDS = 120
CODES_PER_S = 20
RATE = Rate(per_second=500, burst=50)
"""Of the account; a tenth of it is kept for codes."""
START = 1_764_000_000_000
AWS_MS = 8
"""What a write to DynamoDB takes, and about what a batch to SQS or Kinesis takes."""
SLOW_MS, FAST_MS = 400, 60
"""A provider answers between these; most answers are near the faster end."""
BATCH = 10
TEMPLATES = {MessageClass.VERIFICATION: "code", MessageClass.MARKETING: "sale"}


class SimulatedClock:
    """A clock that only the simulation moves, by fractions of a millisecond."""

    def __init__(self) -> None:
        self.at = float(START)

    def now_ms(self) -> int:
        return int(self.at)

    def sleep(self, seconds: float) -> None:
        self.at += seconds * 1000


class Unhurried:
    """Lambda's context, with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


_TIME = Unhurried()


class Inline(Executor):
    """Runs what it is given at once."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*args, **kwargs))
        return future


class SimulatedProvider(Provider):
    """Takes every message after a while. answered: when it took each code."""

    threads: ClassVar[int] = 1
    at_once: ClassVar[int] = 8
    """Calls that it would take side by side, which here follow each other that much faster."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._random = random.Random(7)
        self.answered: dict[str, float] = {}

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        took = FAST_MS + (SLOW_MS - FAST_MS) * self._random.random() ** 6
        code = getattr(group[0].content, "text", "").startswith("code")
        self._clock.at += took if code else took / self.at_once
        if code:
            self.answered[group[0].message_id] = self._clock.at
        return [Sent("1") for _ in group]

    def verify(self) -> Verification:
        return Verification(True, "fine")


class Stores:
    """Configuration, queues and stream of the dispatcher. queued: what it put on queues."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.queued: list[Dispatch] = []
        self._account = Account(
            id="sms", tenant="default", name="sms", channel=Channel.SMS, provider="aws", settings={}, rate=RATE,
            created_at=0, updated_at=0,
        )  # fmt: skip
        self._templates = {name: _template(name, message_class) for message_class, name in TEMPLATES.items()}

    def tenant(self, tenant_id: str) -> Tenant:
        return TENANT

    def settings(self, tenant: str) -> TenantSettings:
        return TenantSettings()

    def template(self, tenant: str, template_id: str) -> Template:
        return self._templates[template_id][0]

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion:
        return self._templates[template_id][1]

    def account(self, tenant: str, account_id: str) -> Account:
        return self._account

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]:
        return {}

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str], reads: SharedReads
    ) -> dict[str, list[SuppressionEntry]]:
        return {}

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]:
        self._clock.at += AWS_MS
        self.queued += dispatches
        return set()

    def too_large(self, dispatches: Sequence[Dispatch]) -> set[str]:
        return set()

    def put(self, records: Sequence[StreamRecord]) -> None:
        self._clock.at += AWS_MS


class Timed:
    """A DynamoDB client whose calls take a while."""

    def __init__(self, client: Any, clock: SimulatedClock) -> None:
        self._client = client
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        if name in ("update_item", "transact_write_items"):
            self._clock.at += AWS_MS
        return getattr(self._client, name)


class _Accounts(Accounts):
    def __init__(self, stores: Stores, clock: SimulatedClock, provider: Provider) -> None:
        catalog: Any = stores
        super().__init__(catalog, catalog, catalog, clock)
        self._only = provider

    def provider(self, account: Account) -> Provider:
        return self._only


class Simulation:
    """Queues of two classes and the functions that work on them."""

    def __init__(self, client: Any) -> None:
        self.clock = SimulatedClock()
        self.provider = SimulatedProvider(self.clock)
        self._stores = Stores(self.clock)
        self._dispatcher = dispatcher(
            Channel.SMS,
            self._stores,
            Timed(client, self.clock),
            clock=self.clock,
            accounts=_Accounts(self._stores, self.clock, self.provider),
            sender=Sender(self.clock, Inline(), sleep=self.clock.sleep),
            envelopes=Inline(),
        )
        self._caps = dict(stage_named("prod").concurrency)
        self._busy = dict.fromkeys(MessageClass, 0)
        self._waiting: dict[MessageClass, deque[Envelope]] = {each: deque() for each in MessageClass}
        self._due: list[tuple[float, int, MessageClass, Envelope | None]] = []
        self._numbers = iter(range(10**9))

    def queue(self, at: float, envelope: Envelope) -> None:
        """Have a queue show an envelope at a time."""
        heapq.heappush(self._due, (at, next(self._numbers), envelope.message_class, envelope))

    def run(self, until: Callable[[], bool]) -> None:
        """Work until it is enough."""
        while self._due and not until():
            at, _, message_class, envelope = heapq.heappop(self._due)
            if envelope is None:
                self._busy[message_class] -= 1
            else:
                self._waiting[message_class].append(envelope)
            self._work(at, message_class)

    def _work(self, at: float, message_class: MessageClass) -> None:
        waiting = self._waiting[message_class]
        while waiting and self._busy[message_class] < self._caps[message_class]:
            batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            self._busy[message_class] += 1
            self.clock.at = at
            records = [{"messageId": str(i), "body": each.to_json()} for i, each in enumerate(batch)]
            answer = self._dispatcher.run({"Records": records}, _TIME)
            if answer["batchItemFailures"]:
                raise RuntimeError("an envelope was handed back")
            for dispatch in self._stores.queued:
                self.queue(max(self.clock.at, dispatch.due_at or 0), dispatch.envelope)
            self._stores.queued.clear()
            heapq.heappush(self._due, (self.clock.at, next(self._numbers), message_class, None))


def _template(name: str, message_class: MessageClass) -> tuple[Template, TemplateVersion]:
    values = {"tenant": "default", "name": name, "channel": "sms", "class": message_class, "accounts": ["sms"]}
    head = Template.model_validate(
        {"id": name, **values, "latest": 1, "published": 1, "created_at": 0, "updated_at": 0}
    )
    content = SmsContent(text=f"{name} {{{{ n }}}}")
    return head, TemplateVersion(
        template=name, version=1, content=content, required=["n"], created_at=0, published_at=1
    )


def _envelopes(message_class: MessageClass, name: str, at: float, count: int) -> Envelope:
    base = derived_base(int(at), message_class.value, name)
    tagger, first = Tagger(TENANT.salt, "sms"), hash_free(name)
    recipients = []
    for i in range(count):
        to = f"+86{13_000_000_000 + first + i}"
        recipients.append(EnvelopeRecipient(i, to, tagger(to), {"n": "123456"}))
    return Envelope(
        id=Numbering(base)(0), tenant="default", channel=Channel.SMS, message_class=message_class,
        template=TEMPLATES[message_class], version=1, request=base, accepted_at=int(at),
        expires_at=int(at) + 3 * 86_400_000, recipients=recipients,
    )  # fmt: skip


def hash_free(name: str) -> int:
    """A number that another name has not."""
    return int(name) * 100


@contextmanager
def _table() -> Iterator[Any]:
    memory = Memory(SimulatedClock())
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    memory.dynamodb.adopt({"TableName": "guard", "KeySchema": keys, "AttributeDefinitions": types})
    with memory.attached():
        session = boto3.session.Session("testing", "testing", region_name="us-east-1")
        yield session.client("dynamodb")


def code_p99(backlog: int) -> float:
    """Milliseconds from acceptance to the provider's answer, of 99 in 100 codes; backlog: marketing messages queued."""
    chance, at = random.Random(1), float(START)
    accepted: dict[str, float] = {}
    with _table() as client:
        simulation = Simulation(client)
        for k in range(backlog // 100):
            simulation.queue(START, _envelopes(MessageClass.MARKETING, str(k), START, 100))
        for k in range(SECONDS * CODES_PER_S):
            at += chance.expovariate(CODES_PER_S / 1000)
            code = _envelopes(MessageClass.VERIFICATION, str(50_000_000 + k), at, 1)
            accepted[code.root + code.recipients[0].tag] = at
            simulation.queue(at, code)
        simulation.run(lambda: len(simulation.provider.answered) == len(accepted))
    took = sorted(simulation.provider.answered[each] - at for each, at in accepted.items())
    return took[len(took) * 99 // 100]


def run() -> list[Figure]:
    """code_p99_under_backlog: over the same codes on an idle system."""
    idle, loaded = code_p99(0), code_p99(BACKLOG)
    return [Figure("code_p99_under_backlog", loaded, "ms", "idle", idle, most=1.1)]
