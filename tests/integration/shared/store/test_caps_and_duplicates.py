"""Marks against duplicates and slots of caps, over moto and in memory: exact, whatever comes at once or again."""

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.ids import TAG_LENGTH, Numbering, new_base
from shared.model.policies import MAX_CAP
from shared.model.words import Channel, MessageClass
from shared.store.caps import Caps
from shared.store.claims import ROUNDS, Answer, Claimant, update_each
from shared.store.duplicates import Duplicates
from shared.store.dynamo import StoreError
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.memory import tables

CODES = ("default", Channel.SMS, MessageClass.VERIFICATION)
TAKEN, HAD, REFUSED = Answer.TAKEN, Answer.HAD, Answer.REFUSED
number = Numbering(new_base(1_736_935_200_000))


def message(n: int, recipient: int = 0, generation: int = 0) -> Claimant:
    """A message by number, to a recipient by number."""
    return Claimant(number(n), f"{recipient:0{TAG_LENGTH}d}", generation)


class Asked:
    """A client that counts its requests, and may do something before each."""

    def __init__(self, client: Any) -> None:
        self._client, self.names = client, list[str]()
        self.before: Callable[[str], None] = lambda name: None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name == "exceptions":
            return found

        def call(**arguments: Any) -> Any:
            self.names.append(name)
            self.before(name)
            return found(**arguments)

        return call


@pytest.fixture(params=["moto", "memory"])
def client(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Asked]:
    if request.param == "moto":
        aws: Aws = request.getfixturevalue("aws")
        yield Asked(aws.dynamodb)
    else:
        with tables(clock, "guard") as dynamodb:
            yield Asked(dynamodb)


@pytest.fixture
def many(request: pytest.FixtureRequest, whole: bool) -> int:
    """As many recipients as an envelope has; of moto, which takes most of a minute for these, fewer in a plain run."""
    return 100 if whole or request.node.callspec.params["client"] == "memory" else 20


@pytest.fixture
def duplicates(client: Asked, clock: FakeClock) -> Duplicates:
    return Duplicates(client, "guard", clock)


@pytest.fixture
def caps(client: Asked, clock: FakeClock) -> Caps:
    return Caps(client, "guard", clock)


def mark(found: Duplicates, *messages: Claimant, content: str = "c", seconds: int = 60) -> list[Answer]:
    return [claim.answer for claim in found.take("default", "welcome", dict.fromkeys(messages, content), seconds)]


def count(found: Caps, clock: FakeClock, *messages: Claimant, most: int = 3, seconds: int = 600) -> list[Answer]:
    return [claim.answer for claim in found.take(CODES, messages, most, clock.now_ms() - seconds * 1000)]


def test_who_is_refused_learns_for_what(duplicates: Duplicates, caps: Caps, clock: FakeClock) -> None:
    start = clock.now_ms()
    mark(duplicates, message(0))
    [claim] = duplicates.take("default", "welcome", {message(1): "c"}, 60)
    assert (claim.answer, claim.held_by, claim.at) == (REFUSED, message(0).ulid, start + 60_000)
    for i in range(3):
        count(caps, clock, message(i))
        clock.advance(1)
    # Of three the oldest must get older before a fourth may go.
    [refused] = caps.take(CODES, [message(3)], 3, start - 1)
    assert (refused.answer, refused.held_by, refused.at) == (REFUSED, message(0).ulid, start)


# Duplicates


def test_the_same_content_goes_once_until_its_mark_ends(duplicates: Duplicates, clock: FakeClock) -> None:
    assert mark(duplicates, message(0)) == [TAKEN]
    clock.advance(59.999)
    assert mark(duplicates, message(1)) == [REFUSED]
    assert mark(duplicates, message(0)) == [HAD]
    clock.advance(ms=1)
    # The first one's mark has ended for itself, too.
    assert mark(duplicates, message(1)) == [TAKEN]
    assert mark(duplicates, message(0)) == [REFUSED]


def test_other_contents_recipients_templates_and_tenants_are_none_of_its_business(duplicates: Duplicates) -> None:
    mark(duplicates, message(0))
    assert mark(duplicates, message(1), content="other") == [TAKEN]
    assert mark(duplicates, message(2, recipient=1)) == [TAKEN]
    assert [claim.answer for claim in duplicates.take("default", "bye", {message(3): "c"}, 60)] == [TAKEN]
    assert [claim.answer for claim in duplicates.take("other", "welcome", {message(4): "c"}, 60)] == [TAKEN]


def test_a_released_mark_lets_the_next_one_through(duplicates: Duplicates, client: Asked) -> None:
    mark(duplicates, message(0))
    duplicates.release("default", "welcome", {message(0): "c"})
    duplicates.release("default", "welcome", {message(0): "c"})
    assert mark(duplicates, message(1)) == [TAKEN]
    # What is another's stays.
    duplicates.release("default", "welcome", {message(0): "c"})
    assert mark(duplicates, message(2)) == [REFUSED]


def test_a_mark_is_found_without_its_content(duplicates: Duplicates) -> None:
    mark(duplicates, message(0))
    mark(duplicates, message(1), content="other")
    duplicates.release("default", "welcome", {message(0): None, message(7): None})
    assert mark(duplicates, message(2)) == [TAKEN]
    assert mark(duplicates, message(3), content="other") == [REFUSED]


@pytest.mark.parametrize("client", ["memory"], indirect=True)
def test_a_mark_is_found_behind_many_pages_of_others(duplicates: Duplicates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.memory.dynamodb.MAX_PAGE_BYTES", 300)
    for n in range(8):
        mark(duplicates, message(n), content=str(n))
    duplicates.release("default", "welcome", {message(6): None})
    answers = [mark(duplicates, message(9), content=str(n)) for n in range(8)]
    assert answers == [[TAKEN] if n == 6 else [REFUSED] for n in range(8)]


def test_what_an_earlier_generation_lets_go_is_not_the_later_ones(duplicates: Duplicates) -> None:
    mark(duplicates, message(0, generation=1))
    duplicates.release("default", "welcome", {message(0): None})
    duplicates.release("default", "welcome", {message(0): "c"})
    assert mark(duplicates, message(1)) == [REFUSED]
    assert mark(duplicates, message(0)) == [HAD]
    duplicates.release("default", "welcome", {message(0, generation=2): "c"})
    assert mark(duplicates, message(1)) == [TAKEN]


def test_a_hundred_are_marked_and_released_in_one_request_each(
    duplicates: Duplicates, client: Asked, many: int
) -> None:
    everyone = [message(n, recipient=n) for n in range(many)]
    assert mark(duplicates, *everyone) == [TAKEN] * many
    duplicates.release("default", "welcome", dict.fromkeys(everyone, "c"))
    assert client.names == ["transact_write_items"] * 2
    assert mark(duplicates, *everyone) == [TAKEN] * many


def test_some_that_are_refused_do_not_keep_the_others_back(duplicates: Duplicates, client: Asked) -> None:
    mark(duplicates, message(0, recipient=0), message(1, recipient=1))
    client.names.clear()
    found = mark(duplicates, message(5, recipient=0), message(1, recipient=1), *(message(n, n) for n in range(10, 20)))
    assert found == [REFUSED, HAD, *[TAKEN] * 10]
    assert client.names == ["transact_write_items"] * 2


def test_of_one_recipient_twice_in_an_envelope_one_gets_through(duplicates: Duplicates) -> None:
    assert mark(duplicates, message(0), message(1, recipient=1), message(2)) == [TAKEN, TAKEN, REFUSED]


def test_a_lone_one_is_no_transaction(duplicates: Duplicates, caps: Caps, client: Asked, clock: FakeClock) -> None:
    mark(duplicates, message(0))
    count(caps, clock, message(0))
    assert client.names == ["update_item"] * 2


# Caps


def test_a_window_slides(caps: Caps, clock: FakeClock) -> None:
    for n in range(3):
        assert count(caps, clock, message(n)) == [TAKEN]
        clock.advance(100)
    assert count(caps, clock, message(3)) == [REFUSED]
    clock.advance(299.999)
    assert count(caps, clock, message(3)) == [REFUSED]
    clock.advance(ms=1)
    # The first one is ten minutes old, the second one is not.
    assert count(caps, clock, message(3), message(4)) == [TAKEN, REFUSED]


def test_a_message_counts_once(caps: Caps, clock: FakeClock) -> None:
    assert count(caps, clock, message(0), most=2) == [TAKEN]
    for _ in range(3):
        clock.advance(60)
        assert count(caps, clock, message(0), most=2) == [HAD]
    assert count(caps, clock, message(1), most=2) == [TAKEN]
    assert count(caps, clock, message(0), message(2), most=2) == [HAD, REFUSED]
    # A cap that has been lowered since does not take back what is there.
    assert count(caps, clock, message(0), message(1), most=1) == [HAD, HAD]


def test_a_message_whose_slot_has_ended_takes_another(caps: Caps, clock: FakeClock) -> None:
    count(caps, clock, message(0), most=2)
    clock.advance(601)
    assert count(caps, clock, message(0), most=2) == [TAKEN]
    assert count(caps, clock, message(1), message(2), most=2) == [TAKEN, REFUSED]
    clock.advance(601)
    count(caps, clock, message(3), message(4), most=2)
    assert count(caps, clock, message(0), most=2) == [REFUSED]


def test_channels_classes_recipients_and_tenants_count_by_themselves(caps: Caps, clock: FakeClock) -> None:
    count(caps, clock, message(0), most=1)
    for of in (
        ("other", Channel.SMS, MessageClass.VERIFICATION),
        ("default", Channel.EMAIL, MessageClass.VERIFICATION),
        ("default", Channel.SMS, MessageClass.MARKETING),
    ):
        assert [claim.answer for claim in caps.take(of, [message(1)], 1, 0)] == [TAKEN]
    assert count(caps, clock, message(2, recipient=1), most=1) == [TAKEN]
    assert count(caps, clock, message(3), most=1) == [REFUSED]


def test_caps_of_different_sizes_count_together(caps: Caps, clock: FakeClock) -> None:
    for n in range(5):
        assert count(caps, clock, message(n), most=5) == [TAKEN]
    assert count(caps, clock, message(5), most=3) == [REFUSED]
    assert count(caps, clock, message(5), most=6) == [TAKEN]
    assert count(caps, clock, message(6), most=6) == [REFUSED]
    for n in range(6, MAX_CAP):
        assert count(caps, clock, message(n), most=MAX_CAP) == [TAKEN]
    assert count(caps, clock, message(MAX_CAP), most=MAX_CAP) == [REFUSED]


@pytest.mark.parametrize("who", range(4))
def test_a_released_slot_is_the_next_ones(caps: Caps, clock: FakeClock, who: int) -> None:
    for n in range(4):
        count(caps, clock, message(n), most=4)
        clock.advance(1)
    for _ in range(2):
        caps.release(CODES, [message(who)])
    assert count(caps, clock, *(message(n) for n in range(4) if n != who), most=4) == [HAD] * 3
    assert count(caps, clock, message(4), message(5), most=4) == [TAKEN, REFUSED]


def test_what_an_earlier_generation_gives_back_is_not_the_later_ones_slot(caps: Caps, clock: FakeClock) -> None:
    count(caps, clock, message(0, generation=1), most=1)
    caps.release(CODES, [message(0), message(1)])
    assert count(caps, clock, message(1), most=1) == [REFUSED]
    caps.release(CODES, [message(0, generation=1)])
    assert count(caps, clock, message(1), most=1) == [TAKEN]


def test_a_hundred_are_counted_in_one_request_and_released_in_two(
    caps: Caps, client: Asked, clock: FakeClock, many: int
) -> None:
    everyone = [message(n, recipient=n) for n in range(many)]
    assert count(caps, clock, *everyone, most=MAX_CAP) == [TAKEN] * many
    caps.release(CODES, everyone)
    assert client.names == ["transact_write_items", "batch_get_item", "transact_write_items"]
    assert count(caps, clock, *everyone, most=1) == [TAKEN] * many


def test_of_one_recipient_all_are_released(caps: Caps, clock: FakeClock) -> None:
    several = [message(n) for n in range(5)]
    assert count(caps, clock, *several, most=5) == [TAKEN] * 5
    caps.release(CODES, several)
    assert count(caps, clock, *(message(n) for n in range(5, 10)), most=5) == [TAKEN] * 5


def test_a_slot_is_released_though_it_moves_in_between(caps: Caps, client: Asked, clock: FakeClock) -> None:
    count(caps, clock, message(0), most=4)
    others = iter(range(1, 3))

    def meanwhile(name: str) -> None:
        n = next(others, None) if name == "update_item" else None
        if n is not None:
            client.before, kept = (lambda name: None), client.before
            count(caps, clock, message(n), most=4)
            client.before = kept

    client.before = meanwhile
    caps.release(CODES, [message(0)])
    assert count(caps, clock, message(3), message(4), message(5), most=4) == [TAKEN, TAKEN, REFUSED]


# At once


def at_once(calls: Sequence[Callable[[], list[Answer]]]) -> list[Answer]:
    """The answers of calls that threads make at the same time."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], list[Answer]]) -> list[Answer]:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(itertools.chain.from_iterable(pool.map(run, calls)))


@pytest.mark.parametrize("client", ["memory"], indirect=True)
@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("most", [1, 5, MAX_CAP])
def test_of_many_that_come_at_once_exactly_so_many_get_through(
    caps: Caps, clock: FakeClock, each: int, most: int
) -> None:
    wanted = [[message(16 * k + j, recipient=j) for j in range(each)] for k in range(24)]
    answers = at_once([partial(count, caps, clock, *group, most=most) for group in wanted])
    assert answers.count(TAKEN) == most * each
    assert answers.count(REFUSED) == (24 - most) * each


@pytest.mark.parametrize("client", ["memory"], indirect=True)
def test_of_many_with_one_content_one_gets_through(duplicates: Duplicates) -> None:
    answers = at_once([partial(mark, duplicates, message(n)) for n in range(24)])
    assert (answers.count(TAKEN), answers.count(REFUSED)) == (1, 23)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 11), st.integers(1, 4)),
        st.tuples(st.just("release"), st.integers(0, 11), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 59, 60, 61, 300]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_caps_are_as_a_list_of_times_would_have_it(steps: list[Step]) -> None:
    """Whatever comes in whatever order, with caps of several sizes: as if all times were kept and counted."""
    clock = FakeClock()
    with tables(clock, "guard") as dynamodb:
        caps, kept = Caps(dynamodb, "guard", clock), list[tuple[int, int]]()
        for what, n, most in steps:
            if what == "wait":
                clock.advance(n)
                continue
            if what == "release":
                caps.release(CODES, [message(n)])
                latest = max((k for k, (_, who) in enumerate(kept) if who == n), default=None)
                kept = [each for k, each in enumerate(kept) if k != latest]
                continue
            now = clock.now_ms()
            recent = [who for at, who in kept if at > now - 60_000]
            expected = HAD if n in recent else TAKEN if len(recent) < most else REFUSED
            assert count(caps, clock, message(n), most=most, seconds=60) == [expected]
            if expected is TAKEN:
                kept.append((now, n))


@settings(max_examples=100, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 1, 2_000, 9_999, 10_000, 10_001]), min_size=1, max_size=40),
    most=st.integers(1, 5),
)
def test_within_no_window_there_are_more_than_the_cap(gaps: list[int], most: int) -> None:
    clock, sent = FakeClock(), list[int]()
    with tables(clock, "guard") as dynamodb:
        caps = Caps(dynamodb, "guard", clock)
        for n, gap in enumerate(gaps):
            clock.advance(ms=gap)
            if count(caps, clock, message(n), most=most, seconds=10) == [TAKEN]:
                sent.append(clock.now_ms())
    assert all(later - first >= 10_000 for first, later in zip(sent, sent[most:], strict=False))


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["mark", "release", "wait"]), st.integers(0, 4), st.sampled_from("ab")), max_size=30
    )
)
def test_marks_are_as_a_table_of_ends_would_have_it(steps: list[tuple[str, int, str]]) -> None:
    clock, ends = FakeClock(), defaultdict[str, tuple[int, int]](lambda: (-1, 0))
    with tables(clock, "guard") as dynamodb:
        found = Duplicates(dynamodb, "guard", clock)
        for what, n, content in steps:
            if what == "wait":
                clock.advance(20 * n)
            elif what == "release":
                found.release("default", "welcome", {message(n): content})
                if ends[content][0] == n:
                    ends[content] = (n, 0)
            else:
                holder, end = ends[content]
                free = end <= clock.now_ms()
                expected = TAKEN if free else HAD if holder == n else REFUSED
                assert mark(found, message(n), content=content) == [expected]
                if free:
                    ends[content] = (n, clock.now_ms() + 60_000)


# What DynamoDB may answer


def refusal(client: Asked, operation: str, code: str, reasons: list[str]) -> Exception:
    answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": each} for each in reasons]}
    found: Exception = client.exceptions.from_code(code)(answer, operation)
    return found


@pytest.mark.parametrize("client", ["memory"], indirect=True)
@pytest.mark.parametrize("times", [1, ROUNDS - 1, ROUNDS, ROUNDS + 3])
def test_a_conflict_with_another_transaction_is_tried_again_and_in_the_end_alone(
    client: Asked, duplicates: Duplicates, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("shared.store.claims.time.sleep", naps.append)
    left = itertools.count()

    def conflict(name: str) -> None:
        if next(left) < times:
            if name == "update_item":
                raise refusal(client, "UpdateItem", "TransactionConflictException", [])
            reasons = ["None", "TransactionConflict", "None"]
            raise refusal(client, "TransactWriteItems", "TransactionCanceledException", reasons)

    client.before = conflict
    updates = [message(n, recipient=n) for n in range(3)]
    assert mark(duplicates, *updates) == [TAKEN] * 3
    assert client.names.count("transact_write_items") == min(times + 1, ROUNDS)


@pytest.mark.parametrize("client", ["memory"], indirect=True)
def test_what_is_always_in_another_transaction_is_given_up(client: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.store.claims.time.sleep", lambda seconds: None)

    def conflict(name: str) -> None:
        raise refusal(client, "UpdateItem", "TransactionConflictException", [])

    client.before = conflict
    update = {"TableName": "guard", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
    with pytest.raises(StoreError):
        update_each(client, [update])


@pytest.mark.parametrize("client", ["memory"], indirect=True)
def test_other_errors_are_raised(client: Asked, duplicates: Duplicates) -> None:
    def broken(name: str) -> None:
        raise ClientError({"Error": {"Code": "InternalServerError"}}, name)

    client.before = broken
    for group in ([message(0)], [message(0), message(1, recipient=1)]):
        with pytest.raises(ClientError):
            mark(duplicates, *group)
