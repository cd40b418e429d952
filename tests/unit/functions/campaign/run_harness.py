"""Runs on tables in memory: their own parts are the real ones; what reads files and sends is played."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from functions.campaign.check.rows import Good
from functions.campaign.run.driving import Driver
from functions.campaign.run.releasing import Releasing
from functions.campaign.run.reporting import Reporter
from functions.campaign.run.starting import Starter
from functions.campaign.run.tasks import Steps, Worker
from functions.campaign.send.pacing import Pacer
from functions.campaign.send.packing import Packer
from functions.campaign.send.sending import Sending, Slice
from shared.aws.queue import Dispatch
from shared.model.campaigns import Audience, Campaign, Variant
from shared.model.events import StreamRecord
from shared.model.ids import Tagger, root_of
from shared.model.runs import AudienceFile, Estimate, Purpose, Run, Shard, Tally
from shared.model.tasks import Task, read_task
from shared.model.words import KeyKind, Stage
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.counters import HOUR_MS, CounterKey, Counters, place
from shared.store.parking import Parking
from shared.store.rates import Rates
from shared.store.shards import Shards
from tests.fakes import FakeClock
from tests.memory import tables
from tests.samples import TENANT, change, template

EFFECTS = frozenset({"BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"})
MOST_STEPS = 3000
KEY = "key-one"


class CrashError(BaseException):
    """The end of a function's process."""


class CrashPoints:
    """Counts calls with an effect, and dies before or after one of them."""

    def __init__(self) -> None:
        self.counted = 0
        self.at: int | None = None
        self.after = False
        self.struck: str | None = None

    def arm(self, at: int | None, after: bool = False) -> None:
        """Die at the call of that number, counted from 0 and from now."""
        self.counted, self.at, self.after, self.struck = 0, at, after, None

    def call(self, name: str, make: Callable[[], Any]) -> Any:
        """Make a call."""
        here = self.at is not None and self.counted == self.at
        self.counted += 1
        if here:
            self.struck = name
            if not self.after:
                raise CrashError(name)
        answer = make()
        if here:
            raise CrashError(name)
        return answer


@dataclass
class Queue:
    """The queue of tasks. waiting: (due, number, task)."""

    clock: FakeClock
    points: CrashPoints
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    sent: Counter[str] = field(default_factory=Counter)

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None:
        def put() -> None:
            for task in tasks:
                self.sent[task.task] += 1
                delay = min(900, max(0, round(delay_s)))
                self.waiting.append((self.clock.now_ms() + 1000 * delay, next(self.numbers), task.model_dump_json()))

        self.points.call("tasks", put)

    def put_back(self, receipt: str, delay_s: int) -> None:
        raise AssertionError("nothing is to be put back")

    def take(self) -> tuple[Task, int] | None:
        """The next task that is due, and when the next is due otherwise."""
        if not self.waiting:
            return None
        self.waiting.sort()
        due, _, text = self.waiting.pop(0)
        if due > self.clock.now_ms():
            self.clock.set(due)
        return read_task(text), due


@dataclass
class Outbox:
    """The queues of envelopes, and the stream. refuse: how many envelopes are refused next."""

    points: CrashPoints
    envelopes: dict[str, Dispatch] = field(default_factory=dict)
    records: list[StreamRecord] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    refuse: int = 0
    before: Callable[[], None] | None = None
    clock: FakeClock = field(default_factory=FakeClock)

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]:
        if self.before is not None:
            self.before()
        failed = {d.envelope.id for d in dispatches[: self.refuse]}
        self.refuse = max(0, self.refuse - len(dispatches))

        def put() -> None:
            for dispatch in dispatches:
                if dispatch.envelope.id not in failed:
                    known = self.envelopes.setdefault(dispatch.envelope.id, dispatch)
                    same = [r.index for r in known.envelope.recipients] == [
                        r.index for r in dispatch.envelope.recipients
                    ]
                    assert same, "an envelope changed between two tries"
                    self.times.append((self.clock.now_ms(), len(dispatch.envelope.recipients)))

        self.points.call("queues", put)
        return failed

    def put(self, records: Sequence[StreamRecord]) -> None:
        self.points.call("stream", lambda: self.records.extend(records))

    def addresses(self) -> Counter[str]:
        """How often each address is in an envelope."""
        return Counter(r.address for d in self.envelopes.values() for r in d.envelope.recipients)


class Rows:
    """Plans, checks and reads a file of so many rows, of which every tenth has no address."""

    def __init__(self, shards: Shards, clock: FakeClock, sizes: Sequence[int]) -> None:
        self.shards = shards
        self.clock = clock
        self.sizes = sizes
        self.fails: Exception | None = None

    @property
    def good(self) -> int:
        return sum(sum(1 for row in range(size) if row % 10) for size in self.sizes)

    def plan(self, run: Run, remaining_s: Callable[[], float]) -> Run:
        if self.fails is not None:
            raise self.fails
        first, shards = 1, []
        for number, size in enumerate(self.sizes):
            shards.append(Shard(number=number, key="k", version="v", start=0, end=size, first_row=first, rows=size))
            first += size
        self.shards.create(run.tenant, run.id, shards)
        return run.moved(planned=len(self.sizes), rows=sum(self.sizes))

    def check(self, run: Run, shard: Shard) -> Shard:
        good = sum(1 for row in range(shard.rows) if row % 10)
        rejected = {"address_invalid": shard.rows - good}
        return shard.model_copy(update={"checked": Tally(rows=shard.rows, good=good, rejected=rejected)})

    def sample(self, run: Run, shards: Sequence[Shard]) -> list[Good]:
        return []

    def compare(self, run: Run, shards: Sequence[Shard], remaining_s: Callable[[], float]) -> bool:
        return True

    def estimate(self, run: Run, sample: Sequence[Good]) -> Estimate:
        return Estimate(messages=run.tally.messages)

    def open(self, run: Run, shard: Shard) -> "_Rest":
        return _Rest(run, shard)


class _Rest:
    def __init__(self, run: Run, shard: Shard) -> None:
        self._run = run
        self._shard = shard
        self._row = shard.next_row
        self._packer = Packer(run, {v.name: 3600 for v in run.variants}, "UTC")

    def take(self, rows: int) -> Slice | None:
        if self._row >= self._shard.rows:
            return None
        assert self._row % self._run.block == 0
        assert rows % self._run.block == 0
        end = min(self._row + rows, self._shard.rows)
        tagger = Tagger(TENANT.salt, "email")
        goods = []
        for row in range(self._row, end):
            if row % 10:
                to = f"u{self._shard.first_row + row}@example.com"
                goods.append(Good(row, to, tagger(to), {"name": "x"}, "", "", self._run.variants[0].name))
        tally = Tally(rows=end - self._row, good=len(goods), accepted=len(goods))
        self._row = end
        return Slice(self._packer.pack(self._shard.number, goods), tally, end, end)


class Files:
    """A bucket in which every file is but those that are missing. kind: of the key that uploaded them."""

    def __init__(self) -> None:
        self.missing = False
        self.kind = KeyKind.LIVE

    def head(self, key: str) -> AudienceFile | None:
        return None if self.missing else AudienceFile(key=key, version="v1", size=1000, kind=self.kind)


class RunHarness:
    """Runs of the campaign `spring`. sizes: rows of its file's shards."""

    def __init__(self, client: Any, clock: FakeClock, sizes: Sequence[int], slice_rows: int) -> None:
        self.clock = clock
        self.points = CrashPoints()
        self.tasks = Queue(clock, self.points)
        self.outbox = Outbox(self.points, clock=clock)
        self.catalog = Catalog(client, "catalog", clock)
        self.catalog.ensure_tenant(TENANT.id)
        self.catalog.create_template(*template(), change())
        self.campaigns = Campaigns(client, "catalog", clock)
        self.shards = Shards(client, "guard", clock)
        self.counters = Counters(client, "counters")
        self.parking = Parking(client, "guard", clock)
        self.files = Files()
        self.rates = Rates(client, "guard", clock)
        self.starter = Starter(self.campaigns, self.catalog, self.files, self.tasks, clock)
        self.reporter = Reporter(self.counters, self.shards)
        self.rows = Rows(self.shards, clock, sizes)
        self.pacer = Pacer(self.rates, self.catalog, clock)
        self.pool = ThreadPoolExecutor(1)
        self.sending = Sending(
            self.campaigns,
            self.shards,
            self.rows,
            self.pacer,
            self.outbox,
            self.outbox,  # type: ignore[arg-type]  # plays the queues
            self.tasks,
            clock,
            self.pool,
            slice_rows,
        )
        self.driver = Driver(self.campaigns, self.shards, self.starter, self.reporter, self.tasks, clock)
        releasing = Releasing(self.campaigns, self.parking, self.outbox, self.tasks)  # type: ignore[arg-type]  # plays its parts
        steps = Steps(
            self.starter, self.rows, self.rows, self.rows, self.rows, self.rows, self.sending, releasing, self.driver
        )
        self.worker = Worker(steps, self.campaigns, self.shards, self.tasks, clock)  # type: ignore[arg-type]  # plays its parts
        self.remaining_ms = 600_000
        self.counted = 0
        self.trace = True
        self.ends = Stage.SENT
        self.reported: Sequence[str] = ()
        self._sequence = -1
        self._hook(client)

    def campaign(self, **changes: Any) -> Campaign:
        """The campaign, saved anew."""
        values: dict[str, Any] = {
            "id": "spring",
            "tenant": TENANT.id,
            "name": "Spring",
            "variants": (Variant(name="main", template="welcome"),),
            "audience": Audience(file="people.csv"),
        }
        campaign = Campaign(**values | changes)
        stored = self.campaigns.load(TENANT.id, campaign.id)
        self.campaigns.save(campaign, None if stored is None else stored.rev, change())
        return campaign

    def start(self, campaign: Campaign | None = None, kind: KeyKind = KeyKind.LIVE, **more: Any) -> Run:
        """Start a run by hand."""
        found = campaign or self.campaign()
        purpose = more.pop("purpose", Purpose.SEND)
        return self.starter.start(TENANT.id, found, self.clock.now_ms(), KEY, kind, purpose, **more)

    def run(self, id: str) -> Run:
        """A run as it is now."""
        stored = self.campaigns.load_run(TENANT.id, id)
        assert stored is not None
        return stored.value

    def step(self) -> bool:
        """Do the next task; one whose function died comes again. False if there is none."""
        found = self.tasks.take()
        if found is None:
            return False
        task, _ = found
        self.clock.advance(ms=5)
        try:
            self.worker.do(task, lambda: self.remaining_ms)
        except CrashError:
            self.points.at = None
            again = self.clock.now_ms() + 900_000
            self.tasks.waiting.append((again, next(self.tasks.numbers), task.model_dump_json()))
        if self.trace:
            self.count()
        return True

    def drain(self, until: Callable[[], bool] = lambda: False) -> None:
        """Do tasks until none is left, or something is so."""
        for _ in range(MOST_STEPS):
            if until() or not self.step():
                return
        raise AssertionError(f"no end: {self.tasks.sent}")

    def count(self) -> None:
        """Be the trace, and dispatch: every message that the stream knows is accepted, and comes to its end."""
        seen: dict[CounterKey, Counter[str]] = {}
        known = {root_of(r.envelope) for r in self.outbox.records[: self.counted]}
        for record in self.outbox.records[self.counted :]:
            if record.envelope in known:
                continue
            known.add(record.envelope)
            n = sum(1 for row in record.events if row.stage == Stage.ACCEPTED)
            scope = f"{record.tenant}#run#{record.run}"
            counts = {Stage.ACCEPTED.value: n, self.ends.value: n, f"{self.ends}:address_unknown": n}
            counts |= dict.fromkeys(self.reported, n)
            seen.setdefault((scope, self._hour(record)), Counter()).update(counts)
        self.counted = len(self.outbox.records)
        if seen:
            old, self._sequence = self._sequence, self._sequence + 1
            at, self.points.at = self.points.at, None
            self.counters.add("shard", old, self._sequence, seen, first=self._sequence, aside=False)
            self.points.counted, self.points.at = self.points.counted - 1, at

    def _hour(self, record: StreamRecord) -> str:
        stored = self.campaigns.load_run(record.tenant, record.run or "")
        assert stored is not None
        return place(stored.value.fired_at // HOUR_MS)

    def _hook(self, client: Any) -> None:
        call = client._make_api_call

        def through(operation: str, parameters: Any) -> Any:
            if operation not in EFFECTS:
                return call(operation, parameters)
            return self.points.call(operation, lambda: call(operation, parameters))

        client._make_api_call = through


@contextmanager
def run_harness(sizes: Sequence[int] = (1000, 1000, 500), slice_rows: int = 10_000) -> Iterator[RunHarness]:
    """A harness on empty tables."""
    clock = FakeClock()
    with tables(clock, "catalog", "guard", "counters") as client:
        one = RunHarness(client, clock, sizes, slice_rows)
        try:
            yield one
        finally:
            # The process keeps the client.
            vars(client).pop("_make_api_call", None)
            one.pool.shutdown()
