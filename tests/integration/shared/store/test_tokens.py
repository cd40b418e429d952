"""The token caches: in memory, and on a table that moto serves."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from shared.aws import clients
from shared.providers.base import Token, TokenCache
from shared.store.tokens import MEMORY_ENTRIES, DynamoTokenCache, MemoryTokenCache
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "guard"
HOUR = 3_600_000
MINUTE = 60_000


class Vendor:
    """Gives out tokens t1, t2, ... that live two hours, and counts."""

    def __init__(self, clock: FakeClock, lifetime_ms: int = 2 * HOUR) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.lifetime_ms = lifetime_ms
        self.calls = 0

    def fetch(self) -> Token:
        with self._lock:
            self.calls += 1
            return Token(f"t{self.calls}", self._clock.now_ms() + self.lifetime_ms)


@pytest.fixture
def vendor(clock: FakeClock) -> Vendor:
    return Vendor(clock)


@pytest.fixture(scope="module")
def table(_moto: Any) -> Iterator["DynamoDBClient"]:
    """One table for all tests of the file: making it takes longer than the tests."""
    with _moto():
        client: DynamoDBClient = clients.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        yield client


@pytest.fixture
def client(table: "DynamoDBClient") -> "DynamoDBClient":
    """The client of the table, without the items of earlier tests."""
    for key in ("k", "a", "b"):
        table.delete_item(TableName=TABLE, Key={"pk": {"S": f"token#{key}"}, "sk": {"S": "token"}})
    return table


class OneAtATime:
    """DynamoDB serialises writes to an item; moto leaves that to its caller."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._lock = threading.Lock()

    def get_item(self, **arguments: Any) -> Any:
        with self._lock:
            return self._client.get_item(**arguments)

    def update_item(self, **arguments: Any) -> Any:
        with self._lock:
            return self._client.update_item(**arguments)


Process = Callable[..., DynamoTokenCache]


@pytest.fixture
def process(client: "DynamoDBClient", clock: FakeClock) -> Process:
    """Makes a cache as another process would have it: its own memory, the same table; waiting moves the clock."""

    def sleep(seconds: float) -> None:
        clock.advance(seconds)

    def make(**options: Any) -> DynamoTokenCache:
        return DynamoTokenCache(client, TABLE, clock, **({"sleep": sleep} | options))

    return make


@pytest.fixture(params=["memory", "dynamo"])
def cache(request: pytest.FixtureRequest, clock: FakeClock) -> TokenCache:
    if request.param == "memory":
        return MemoryTokenCache(clock)
    made: DynamoTokenCache = request.getfixturevalue("process")()
    return made


def item(client: "DynamoDBClient", key: str = "k") -> dict[str, Any]:
    found = client.get_item(TableName=TABLE, Key={"pk": {"S": f"token#{key}"}, "sk": {"S": "token"}})
    return dict(found.get("Item", {}))


# What both caches promise.


def test_a_token_is_fetched_once_and_kept(cache: TokenCache, vendor: Vendor) -> None:
    assert [cache.get("k", vendor.fetch) for _ in range(3)] == ["t1"] * 3
    assert vendor.calls == 1


def test_keys_do_not_share_tokens(cache: TokenCache, vendor: Vendor) -> None:
    assert cache.get("a", vendor.fetch) != cache.get("b", vendor.fetch)


def test_a_token_is_refreshed_five_minutes_before_it_ends(cache: TokenCache, vendor: Vendor, clock: FakeClock) -> None:
    cache.get("k", vendor.fetch)
    clock.advance(ms=2 * HOUR - 5 * MINUTE - 1)
    assert cache.get("k", vendor.fetch) == "t1"
    clock.advance(ms=1)
    assert cache.get("k", vendor.fetch) == "t2"


def test_a_token_with_little_time_left_is_still_kept(cache: TokenCache, vendor: Vendor, clock: FakeClock) -> None:
    vendor.lifetime_ms = 4 * MINUTE
    cache.get("k", vendor.fetch)
    clock.advance(ms=3 * MINUTE)
    assert cache.get("k", vendor.fetch) == "t1"
    clock.advance(ms=MINUTE)
    assert cache.get("k", vendor.fetch) == "t2"


def test_a_token_that_has_already_ended_is_not_kept(cache: TokenCache, vendor: Vendor) -> None:
    vendor.lifetime_ms = 0
    assert [cache.get("k", vendor.fetch) for _ in range(2)] == ["t1", "t2"]


def test_a_rejected_token_is_replaced_once(cache: TokenCache, vendor: Vendor) -> None:
    cache.get("k", vendor.fetch)
    assert cache.get("k", vendor.fetch, rejected="t1") == "t2"
    assert cache.get("k", vendor.fetch, rejected="t1") == "t2"
    assert vendor.calls == 2


def test_what_fetch_raises_reaches_the_caller_and_the_next_call_fetches_again(
    cache: TokenCache, vendor: Vendor
) -> None:
    def fail() -> Token:
        raise LookupError("no")

    with pytest.raises(LookupError):
        cache.get("k", fail)
    assert cache.get("k", vendor.fetch) == "t1"


def test_many_threads_cause_one_fetch(cache: TokenCache, clock: FakeClock) -> None:
    barrier = threading.Barrier(8)
    vendor = Vendor(clock)

    def ask() -> str:
        barrier.wait(10)
        return cache.get("k", vendor.fetch)

    with ThreadPoolExecutor(8) as pool:
        answers = [f.result(10) for f in [pool.submit(ask) for _ in range(8)]]
    assert (set(answers), vendor.calls) == ({"t1"}, 1)


def test_many_threads_reject_a_token_and_cause_one_refresh(cache: TokenCache, vendor: Vendor) -> None:
    old = cache.get("k", vendor.fetch)
    barrier = threading.Barrier(8)

    def ask() -> str:
        barrier.wait(10)
        return cache.get("k", vendor.fetch, rejected=old)

    with ThreadPoolExecutor(8) as pool:
        answers = [f.result(10) for f in [pool.submit(ask) for _ in range(8)]]
    assert (set(answers), vendor.calls) == ({"t2"}, 2)


def test_memory_stays_bounded(clock: FakeClock, vendor: Vendor) -> None:
    cache = MemoryTokenCache(clock)
    for n in range(MEMORY_ENTRIES + 1):
        cache.get(str(n), vendor.fetch)
    assert cache.get(str(MEMORY_ENTRIES), vendor.fetch) == f"t{MEMORY_ENTRIES + 1}"
    assert cache.get("0", vendor.fetch) == f"t{MEMORY_ENTRIES + 2}"


# What the shared one adds.


def test_processes_share_a_token(process: Process, vendor: Vendor, client: "DynamoDBClient") -> None:
    assert [process().get("k", vendor.fetch) for _ in range(3)] == ["t1"] * 3
    assert vendor.calls == 1
    kept = item(client)
    assert kept["value"] == {"S": "t1"}
    assert int(kept["ttl"]["N"]) > int(kept["expires_at"]["N"]) // 1000
    assert not kept.keys() & {"lock_until", "lock_owner"}


def test_a_token_read_from_the_table_ends_when_its_fetcher_said(
    process: Process, vendor: Vendor, clock: FakeClock
) -> None:
    process().get("k", vendor.fetch)
    clock.advance(ms=2 * HOUR - 6 * MINUTE)
    late = process()
    assert late.get("k", vendor.fetch) == "t1"
    clock.advance(ms=MINUTE)
    assert late.get("k", vendor.fetch) == "t2"


def test_two_processes_at_once_cause_one_fetch(client: "DynamoDBClient", clock: FakeClock) -> None:
    vendor = Vendor(clock)
    fetching, waiting = threading.Event(), threading.Event()

    def slow_fetch() -> Token:
        fetching.set()
        assert waiting.wait(10)
        return vendor.fetch()

    def wait_a_little(_seconds: float) -> None:
        waiting.set()
        first.result(10)

    holder = DynamoTokenCache(client, TABLE, clock)
    waiter = DynamoTokenCache(client, TABLE, clock, sleep=wait_a_little)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(holder.get, "k", slow_fetch)
        assert fetching.wait(10)
        assert waiter.get("k", vendor.fetch) == "t1"
        assert first.result(10) == "t1"
    assert vendor.calls == 1


def test_two_processes_reject_a_token_and_cause_one_refresh(client: "DynamoDBClient", clock: FakeClock) -> None:
    vendor, refreshed, barrier = Vendor(clock), threading.Event(), threading.Barrier(2)
    table: Any = OneAtATime(client)

    def wait(_seconds: float) -> None:
        assert refreshed.wait(10)

    def ask(cache: DynamoTokenCache) -> str:
        barrier.wait(10)
        token = cache.get("k", vendor.fetch, rejected="t1")
        refreshed.set()
        return token

    caches = [DynamoTokenCache(table, TABLE, clock, sleep=wait) for _ in range(2)]
    assert [cache.get("k", vendor.fetch) for cache in caches] == ["t1", "t1"]
    with ThreadPoolExecutor(2) as pool:
        answers = [f.result(10) for f in [pool.submit(ask, cache) for cache in caches]]
    assert (answers, vendor.calls) == (["t2", "t2"], 2)


def test_a_process_that_was_late_does_not_replace_a_fresh_token(process: Process, vendor: Vendor) -> None:
    process().get("k", vendor.fetch)
    late = process()
    real, racing = late._take_turn, process()

    def refreshed_between_read_and_lock(*args: Any, **update: Any) -> bool:
        late._update = real_update  # type: ignore[method-assign] # the seam of this test: another process acts in between
        racing.get("k", vendor.fetch, rejected="t1")
        return real_update(*args, **update)

    real_update = late._update
    late._update = refreshed_between_read_and_lock  # type: ignore[method-assign] # as above
    turn = real("k", "t1")
    assert not isinstance(turn, str | None) and turn.value == "t2"
    assert vendor.calls == 2


def locked_by_a_dead_process(process: Process, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    class ProcessDiedError(BaseException):
        pass

    def die() -> Token:
        raise ProcessDiedError

    dead = process(**options)
    monkeypatch.setattr(dead, "_attempt", lambda *_, **__: False)
    with pytest.raises(ProcessDiedError):
        dead.get("k", die)


def test_the_lock_of_a_dead_process_is_taken_over_when_it_ends(
    process: Process, vendor: Vendor, client: "DynamoDBClient", clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_by_a_dead_process(process, monkeypatch, lock_seconds=2)
    assert "lock_until" in item(client)
    started = clock.now_ms()
    assert process(polls=100, poll_seconds=0.5).get("k", vendor.fetch) == "t1"
    assert clock.now_ms() - started == 2000
    assert "lock_until" not in item(client)


def test_waiting_is_bounded(
    process: Process, vendor: Vendor, client: "DynamoDBClient", clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_by_a_dead_process(process, monkeypatch, lock_seconds=60)
    started = clock.now_ms()
    assert process(polls=4, poll_seconds=0.5).get("k", vendor.fetch) == "t1"
    assert clock.now_ms() - started == 2000
    assert item(client)["value"] == {"S": "t1"}


def test_a_failed_fetch_releases_the_lock(process: Process, vendor: Vendor, clock: FakeClock) -> None:
    def fail() -> Token:
        raise LookupError("no")

    started = clock.now_ms()
    with pytest.raises(LookupError):
        process().get("k", fail)
    assert process().get("k", vendor.fetch) == "t1"
    assert clock.now_ms() == started, "nobody had to wait for a lock"


def test_an_overtaken_fetcher_does_not_store_its_older_token(
    process: Process, vendor: Vendor, client: "DynamoDBClient", clock: FakeClock
) -> None:
    def overtaken() -> Token:
        mine = vendor.fetch()
        clock.advance(ms=20_000)
        assert process().get("k", vendor.fetch) == "t2"
        return mine

    assert process(lock_seconds=15).get("k", overtaken) == "t1"
    assert item(client)["value"] == {"S": "t2"}


class BrokenClient:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_item(self, **_: Any) -> Any:
        raise self._error

    def update_item(self, **_: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetItem"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
)
def test_an_unreachable_table_costs_a_fetch_and_no_message(error: Exception, vendor: Vendor, clock: FakeClock) -> None:
    broken: Any = BrokenClient(error)
    cache = DynamoTokenCache(broken, TABLE, clock)
    assert [cache.get("k", vendor.fetch) for _ in range(2)] == ["t1", "t1"]


def test_tokens_are_not_logged(
    process: Process, vendor: Vendor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="shared")
    broken: Any = BrokenClient(ClientError({"Error": {"Code": "X", "Message": ""}}, "GetItem"))
    DynamoTokenCache(broken, TABLE, clock).get("k", vendor.fetch)
    assert len(caplog.records) == 2
    assert "t1" not in str([vars(record) for record in caplog.records])
