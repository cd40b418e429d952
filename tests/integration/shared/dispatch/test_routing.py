"""The health of accounts in real tables: counted exactly, forgotten in time, and shifted once by whoever is first."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any

import pytest

from shared.dispatch.accounts import Accounts
from shared.dispatch.routing import Routing
from shared.model.accounts import Account
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.words import Channel, KeyKind
from shared.policy.routing import BUCKET_MS, TRIES, Buckets, Shift
from shared.store.audit import AuditLog, AuditSearch
from shared.store.catalog_items import CatalogConflictError
from shared.store.counters import HEALTH_TTL_S, Counters, health_scope
from shared.store.health import HealthStore
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import FIRST_SEQUENCE, Fragile, Killed, TraceHarness, rows
from tests.samples import NOW, change, envelope


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> TraceHarness:
    return TraceHarness(aws, clock)


def counted(harness: TraceHarness, account: str) -> dict[int, Counter[str]]:
    scope = health_scope("default", account)
    return Counters(harness.aws.dynamodb, "counters").read(scope, 10**8, 10**9 - 1)


def told(count: int = 6) -> list[tuple[int, StreamRecord]]:
    """Envelopes of which some messages went through `b` since `a` was down, some timed out, and all were retried."""
    records = []
    for k in range(count):
        one = envelope(10, start=1000 * k)
        via: Any = {"provider": "smtp", "took_ms": 30}
        over = [["a", "credentials_refused", "535"]]
        sent: list[EventRow] = rows(one, "sent", account="b", passed_over=over, **via)[:5]
        lost = rows(one, "retrying", 1, account="a", reason="timed_out", **via)[5:]
        records += [record_of(one, accepted_rows(one) + sent), record_of(one, sent + lost), record_of(one, lost)]
    return list(enumerate(records, FIRST_SEQUENCE))


EXPECTED_A = {NOW // BUCKET_MS: Counter({TRIES: 60, "credentials_refused": 30, "timed_out": 30})}
EXPECTED_B = {NOW // BUCKET_MS: Counter({TRIES: 30})}


def test_health_is_exact_whatever_is_repeated(harness: TraceHarness) -> None:
    records, chance = told(), random.Random(3)
    for _ in range(5):
        harness.aggregate(records[: chance.randrange(1, len(records))])
    harness.aggregate(records)
    assert counted(harness, "a") == EXPECTED_A and counted(harness, "b") == EXPECTED_B
    kept = harness.counters("default#account#b")
    assert {name: n for name, n in kept.items() if "@" not in name} == {"sent": 30}


def test_health_is_exact_wherever_the_trace_dies(harness: TraceHarness) -> None:
    records = told(2)
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(records, counting)
    whole = counted(harness, "a")
    for at in range(1, counting.calls + 1):
        for table in ("timeline", "counters"):
            for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        with pytest.raises(Killed):
            harness.aggregate(records, Fragile(harness.aws.dynamodb, at, after=True))
        harness.aggregate(records)
        assert counted(harness, "a") == whole


def test_it_costs_no_request_and_is_forgotten(harness: TraceHarness) -> None:
    counting, plain = Fragile(harness.aws.dynamodb), Fragile(harness.aws.dynamodb)
    one = envelope(3)
    harness.aggregate([(1, record_of(one, rows(one, "sent", account="a", provider="smtp", took_ms=30)))], counting)
    harness.aggregate([(2, record_of(one, rows(one, "sent", 1, account="a", provider="smtp")))], plain)
    assert counting.calls == plain.calls and counted(harness, "a") == {NOW // BUCKET_MS: Counter({TRIES: 3})}
    items = harness.aws.dynamodb.scan(TableName="counters")["Items"]
    with_ttl = {item["pk"]["S"]: int(item["ttl"]["N"]) for item in items if "ttl" in item}
    # Counts, checkpoints and marks are kept.
    assert with_ttl == {"health#default#a": NOW // 1000 + HEALTH_TTL_S}


def test_messages_of_test_keys_say_nothing_of_an_account(harness: TraceHarness) -> None:
    one = envelope(3, kind=KeyKind.TEST)
    harness.aggregate([(1, record_of(one, rows(one, "sent", account="test", provider="test", took_ms=0)))])
    assert counted(harness, "test") == {}


def test_a_record_of_however_many_accounts_and_times_fits_a_transaction(harness: TraceHarness) -> None:
    one = envelope(100)
    found = rows(one, "sent", provider="smtp", took_ms=30)
    for i, each in enumerate(found):
        each.account, each.at = f"a{i % 3}", NOW + i * BUCKET_MS
    harness.aggregate([(1, record_of(one, found))])
    assert harness.counters() == {"sent": 100}


# Shifts


class Together(HealthStore):
    """Lets everybody read before anybody writes, and one write after the other: moto's transactions are not atomic."""

    _writing = Lock()

    def __init__(self, aws: Aws, barrier: Barrier) -> None:
        super().__init__(aws.dynamodb, aws.catalog, Counters(aws.dynamodb, "counters"))
        self._barrier = barrier

    def shift(self, tenant: str, account: str, shift: Shift, over: int | None, record: AuditRecord) -> None:
        with self._writing:
            super().shift(tenant, account, shift, over, record)

    def buckets(self, tenant: str, account: str, now: int) -> Buckets:
        found = super().buckets(tenant, account, now)
        if found:
            self._barrier.wait(10)
        return found


def accounts(*names: str) -> list[Account]:
    return [
        Account(id=name, tenant="default", name=name, channel=Channel.SMS, provider="aws", settings={},
                created_at=0, updated_at=0)
        for name in names
    ]  # fmt: skip


def routing(health: HealthStore, clock: Clock) -> Routing:
    nothing: Any = None
    return Routing(Accounts(nothing, nothing, nothing, clock), health, clock)


def trouble(harness: TraceHarness, sequence: int) -> None:
    one = envelope(50, start=1000 * sequence)
    found = rows(one, "retrying", 1, account="a", provider="aws", took_ms=30, reason="connection_failed")
    for each in found:
        each.at = harness.clock.now_ms()
    harness.aggregate([(sequence, record_of(one, found))])


def test_of_many_processes_that_see_the_trouble_one_shifts_and_leaves_one_record(harness: TraceHarness) -> None:
    barrier = Barrier(4)
    stores = [Together(harness.aws, barrier) for _ in range(4)]
    trouble(harness, 1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda s: routing(s, harness.clock).route("default", accounts("a", "b"), None), stores))
    assert [route.weights for route in found] == [{"a": 20.0, "b": 100.0}] * 4
    log = AuditLog(harness.aws.dynamodb, harness.aws.catalog)
    [record] = log.page("default", AuditSearch(0, NOW + 10**6), 10).items
    assert (record.who, record.target) == ("routing", "account/a")
    assert record.after is not None and record.after["reason"] == (
        "50 of 50 tries went wrong in the last 30 s, most with connection_failed"
    )


def test_a_shift_over_what_has_changed_leaves_no_record(harness: TraceHarness) -> None:
    store = HealthStore(harness.aws.dynamodb, harness.aws.catalog, Counters(harness.aws.dynamodb, "counters"))
    store.shift("default", "a", Shift(factor=0.5, since=1), None, change())
    for over in (None, 2):
        with pytest.raises(CatalogConflictError):
            store.shift("default", "a", Shift(factor=0.2, since=2), over, change())
    stored = store.last_shift("default", "a")
    assert stored is not None and (stored.rev, stored.value.factor) == (1, 0.5)
    assert (
        len(AuditLog(harness.aws.dynamodb, harness.aws.catalog).page("default", AuditSearch(0, NOW + 1), 10).items) == 1
    )
    store.shift("default", "a", Shift(factor=0.2, since=2), 1, change())
    assert store.last_shifts("default", ["a", "b"]) == {"a": Shift(factor=0.2, since=2)}


def test_it_comes_back_step_by_step(harness: TraceHarness) -> None:
    one = routing(
        HealthStore(harness.aws.dynamodb, harness.aws.catalog, Counters(harness.aws.dynamodb, "counters")),
        harness.clock,
    )
    trouble(harness, 1)
    weights = []
    for _ in range(30):
        weights.append(one.route("default", accounts("a", "b"), {"a": 1000}).weights["a"])
        harness.clock.advance(10)
    assert list(dict.fromkeys(weights)) == [200.0, 500.0, 1000.0]
