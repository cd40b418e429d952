"""The prints of the suppression list, over moto and in memory: they save requests, and nobody is missed for them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.memory.values import size
from shared.base.shared_reads import SharedReads
from shared.model.suppression import Suppressed
from shared.model.words import Channel
from shared.store import suppressions as store
from shared.store.suppressions import Mark, Suppressions
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.shared.store.suppressing import DiedError, Dying, add, entry, nobody, remove
from tests.memory import tables

EMAIL = Channel.EMAIL
SECONDS = 60
"""Far more than anything here takes: it only keeps a failing test from hanging."""
EVERYBODY = [nobody(n) for n in range(300)]
TAGS = [each.tag for each in EVERYBODY[:100]]
MARK = {"pk": {"S": "suppressing#default#email"}, "sk": {"S": "mark"}}


class Asked:
    """A client that counts its requests and may do something before each. keys: how many were looked up."""

    def __init__(self, client: Any) -> None:
        self._client, self.names, self.keys = client, Counter[str](), 0
        self.before: Callable[[str], None] = lambda name: None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name == "exceptions":
            return found

        def call(**arguments: Any) -> Any:
            self.before(name)
            self.names[name] += 1
            for asked in arguments.get("RequestItems", {}).values():
                self.keys += len(asked["Keys"])
            return found(**arguments)

        return call

    def taken(self) -> tuple[dict[str, int], int]:
        """The requests since the last time, by name, and the keys in them."""
        taken = dict(self.names), self.keys
        self.names.clear()
        self.keys = 0
        return taken


@pytest.fixture(params=["moto", "memory"])
def client(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Asked]:
    if request.param == "moto":
        aws: Aws = request.getfixturevalue("aws")
        yield Asked(aws.dynamodb)
    else:
        with tables(clock, "catalog") as dynamodb:
            yield Asked(dynamodb)


@pytest.fixture
def listed(client: Asked, clock: FakeClock) -> Suppressions:
    return Suppressions(client, "catalog", clock)  # type: ignore[arg-type]  # it passes calls on


def entries(*numbers: int) -> list[Suppressed]:
    return [EVERYBODY[n].plus([entry()]) for n in numbers]


def prints(client: Any) -> list[str] | None:
    """What the mark has."""
    item = client.get_item(TableName="catalog", Key=MARK, ConsistentRead=True)["Item"]
    return sorted(item["prints"]["SS"]) if "prints" in item else None


def found(listed: Suppressions, reads: SharedReads | None = None) -> set[str]:
    return set(listed.find("default", EMAIL, TAGS, reads))


def test_only_those_are_looked_up_whose_print_is_there(client: Asked, listed: Suppressions) -> None:
    add(listed, EVERYBODY[3], entry())
    listed.add_all(entries(4, 200), {})
    found(listed)  # that there is a list at all is asked once in a while
    client.taken()
    assert found(listed) == {TAGS[3], TAGS[4]}
    assert client.taken() == ({"get_item": 1, "batch_get_item": 1}, 2)
    assert set(listed.find("default", EMAIL, [each.tag for each in EVERYBODY[100:200]])) == set()
    assert client.taken() == ({"get_item": 1}, 0)
    assert listed.find("default", EMAIL, []) == {}
    assert client.taken() == ({}, 0)


def test_a_batch_reads_the_mark_once_and_not_before_it_began(client: Asked, listed: Suppressions) -> None:
    add(listed, EVERYBODY[3], entry())
    # A process that knows nothing yet asks no more.
    for _ in range(2):
        reads = SharedReads()
        with ThreadPoolExecutor(10) as pool:
            parts = [[each.tag for each in EVERYBODY[start : start + 30]] for start in range(0, 300, 30)]
            asked = [pool.submit(listed.find, "default", EMAIL, part, reads) for part in parts]
            assert [set(each.result(SECONDS)) for each in asked] == [{TAGS[3]}, *([set()] * 9)]
        assert client.taken()[0].get("get_item") == 1
    add(listed, EVERYBODY[4], entry())
    assert found(listed, SharedReads()) == {TAGS[3], TAGS[4]}


def test_channels_and_tenants_have_marks_of_their_own(listed: Suppressions) -> None:
    add(listed, nobody(1), entry())
    add(listed, nobody(2, Channel.SMS), entry())
    add(listed, nobody(3, tenant="other"), entry())
    reads = SharedReads()
    assert set(listed.find("default", EMAIL, TAGS, reads)) == {TAGS[1]}
    assert set(listed.find("default", Channel.SMS, TAGS, reads)) == {TAGS[2]}
    assert set(listed.find("other", EMAIL, TAGS, reads)) == {TAGS[3]}


def test_who_was_removed_is_looked_up_and_not_found(client: Asked, listed: Suppressions) -> None:
    add(listed, EVERYBODY[3], entry())
    remove(listed, EVERYBODY[3])
    assert prints(client) == [TAGS[3][:6]]
    assert found(listed) == set()
    add(listed, EVERYBODY[3], entry())
    assert found(listed) == {TAGS[3]}


def test_one_who_shares_a_print_is_not_taken_for_another(client: Asked, listed: Suppressions) -> None:
    twin = EVERYBODY[3].model_copy(update={"tag": TAGS[3][:6] + TAGS[4][6:]})
    add(listed, twin, entry())
    client.taken()
    assert found(listed) == set()
    assert client.taken() == ({"get_item": 1, "batch_get_item": 1}, 1)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_whoever_adds_may_die_at_every_call(client: Asked, clock: FakeClock, after: bool, at_once: bool) -> None:
    listed = Suppressions(client, "catalog", clock)  # type: ignore[arg-type]  # it passes calls on
    for at in range(1, 6):
        dying = Suppressions(Dying(client, at, after), "catalog", clock)  # type: ignore[arg-type]  # it passes calls on
        numbers = (3 * at, 3 * at + 1, 3 * at + 2) if at_once else (at,)
        try:
            if at_once:
                dying.add_all(entries(*numbers), {})
            else:
                add(dying, EVERYBODY[at], entry())
        except DiedError:
            pass
        else:
            assert at > 3
        # Whoever has an entry by then is found, and nobody else.
        there = set(listed.load_all("default", EMAIL, TAGS))
        clock.advance(store.NOT_IN_USE_SECONDS)
        assert found(listed) == there
        for n in numbers:
            add(listed, EVERYBODY[n], entry())
        clock.advance(store.NOT_IN_USE_SECONDS)
        assert found(listed) == there | {TAGS[n] for n in numbers}


def test_a_mark_from_before_there_were_prints_tells_of_nobody(client: Asked, listed: Suppressions) -> None:
    add(listed, EVERYBODY[3], entry())
    # As what was deployed before left it.
    client.put_item(TableName="catalog", Item=MARK)
    add(listed, EVERYBODY[4], entry())
    listed.add_all(entries(5, 6), {})
    assert prints(client) is None
    client.taken()
    assert found(listed) == {TAGS[n] for n in (3, 4, 5, 6)}
    assert client.taken() == ({"get_item": 1, "batch_get_item": 1}, 100)
    # That it never will is remembered.
    assert found(listed) == {TAGS[n] for n in (3, 4, 5, 6)}
    assert client.taken() == ({"batch_get_item": 1}, 100)


def test_what_is_deployed_before_may_add_at_the_same_time(client: Asked, listed: Suppressions) -> None:
    add(listed, EVERYBODY[3], entry())
    # It puts the mark first, or with the entry, and knows of no prints.
    client.put_item(TableName="catalog", Item=MARK)
    client.put_item(**listed._write(entries(4)[0], None)["Put"])
    add(listed, EVERYBODY[5], entry())
    assert found(listed) == {TAGS[n] for n in (3, 4, 5)}


def test_beyond_the_limit_there_are_no_prints_for_good(
    client: Asked, listed: Suppressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_PRINTS", 20)
    listed.add_all(entries(*range(18)), {})
    there = listed.load_all("default", EMAIL, TAGS)
    # Those who are there already take no room.
    listed.add_all(entries(*range(19)), there)
    add(listed, EVERYBODY[19], entry())
    assert prints(client) == sorted({tag[:6] for tag in TAGS[:20]})
    add(listed, EVERYBODY[20], entry())
    assert prints(client) is None
    add(listed, EVERYBODY[21], entry())
    remove(listed, EVERYBODY[0])
    assert prints(client) is None
    client.taken()
    assert found(listed) == set(TAGS[1:22])
    assert client.taken() == ({"get_item": 1, "batch_get_item": 1}, 100)


def test_more_at_once_than_there_is_room_for_are_found_too(
    client: Asked, listed: Suppressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_PRINTS", 20)
    listed.add_all(entries(*range(21)), {})
    assert prints(client) is None
    assert found(listed) == set(TAGS[:21])


def test_prints_are_added_while_others_find_that_there_are_too_many(
    client: Asked, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_PRINTS", 20)
    other = Suppressions(client._client, "catalog", clock)
    other.add_all(entries(*range(15)), {})
    updates = 0

    def before(name: str) -> None:
        nonlocal updates
        updates += name == "update_item"
        if name == "update_item" and updates == 2:
            # Between the write that found no room and the one that takes all prints away.
            add(other, EVERYBODY[50], entry())

    client.before = before
    listed = Suppressions(client, "catalog", clock)  # type: ignore[arg-type]  # it passes calls on
    listed.add_all(entries(*range(20, 26)), {})
    assert updates == 2
    assert prints(client) is None
    assert found(listed) == {*TAGS[:15], *TAGS[20:26], TAGS[50]}


def test_the_largest_mark_takes_four_read_units(clock: FakeClock) -> None:
    many = [EVERYBODY[0].model_copy(update={"tag": f"{n:06d}{TAGS[0][6:]}"}) for n in range(store.MOST_PRINTS)]
    with tables(clock, "catalog") as dynamodb:
        Suppressions(dynamodb, "catalog", clock).add_all([each.plus([entry()]) for each in many], {})
        mark = dynamodb.get_item(TableName="catalog", Key=MARK)["Item"]
    assert len(mark["prints"]["SS"]) == store.MOST_PRINTS
    # A tenant's name may be longer.
    assert size(mark) + 100 <= 4 * 4096


def test_a_mark_without_prints_leaves_nobody_out() -> None:
    assert Mark(None).perhaps(TAGS) == TAGS
    assert Mark(frozenset()).perhaps(TAGS) == []
    assert Mark(frozenset({TAGS[1][:6]})).perhaps(TAGS) == [TAGS[1]]


@pytest.mark.parametrize("limit", [10_000, 40], ids=["with prints", "beyond the limit"])
def test_whoever_was_added_before_a_question_began_is_found(
    limit: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_PRINTS", limit)
    writers, readers, each_adds = 4, 3, 24
    lock, added, done = threading.Lock(), set[str](), threading.Event()
    missed: list[set[str]] = []
    together = threading.Barrier(writers + readers)
    with tables(clock, "catalog") as dynamodb:

        def write(writer: int) -> None:
            # Each a process of its own, which remembers nothing of the others.
            mine = Suppressions(dynamodb, "catalog", clock)
            together.wait(SECONDS)
            for n in range(writer * each_adds, (writer + 1) * each_adds, 2):
                add(mine, EVERYBODY[n], entry())
                mine.add_all(entries(n + 1), {})
                with lock:
                    added.update(each.tag for each in EVERYBODY[n : n + 2])

        def read(reader: int) -> int:
            mine, times = Suppressions(dynamodb, "catalog", clock), 0
            together.wait(SECONDS)
            while not done.is_set() or times == 0:
                with lock:
                    before = set(added)
                missed.append(before - set(mine.find("default", EMAIL, [each.tag for each in EVERYBODY], None)))
                times += 1
            return times

        add(Suppressions(dynamodb, "catalog", clock), EVERYBODY[299], entry())
        with ThreadPoolExecutor(writers + readers) as pool:
            reading = [pool.submit(read, n) for n in range(readers)]
            for each in [pool.submit(write, n) for n in range(writers)]:
                each.result(SECONDS)
            done.set()
            assert sum(each.result(SECONDS) for each in reading) == len(missed)
        assert [each for each in missed if each] == []
        last = Suppressions(dynamodb, "catalog", clock).find("default", EMAIL, [each.tag for each in EVERYBODY])
        assert set(last) == {*(each.tag for each in EVERYBODY[: writers * each_adds]), EVERYBODY[299].tag}
        assert (prints(dynamodb) is None) is (limit == 40)
