"""Recalls over DynamoDB's tables: every ledger on the way is marked, and what cannot be known is not claimed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from functions.recall import withdrawing
from functions.recall.deps import recalling_of
from functions.recall.function import RecallSettings
from functions.recall.operations import WORK_MS
from functions.recall.withdrawing import Withdrawer
from local.timeline_items import is_event
from shared.api.kit import Call, Caller
from shared.api.problems import problem_of
from shared.aws.stream import EventStream, StreamError
from shared.errors import NotRecordedError
from shared.model.envelope import Envelope
from shared.model.events import Facts
from shared.model.ids import Numbering
from shared.model.outcome import AccountDown, Retry, Withdrawal, Withdrawn
from shared.model.reasons import Reason
from shared.model.words import Channel, KeyKind, MessageClass, Scope
from shared.store.ledger import TTL_S, Entry, Mark
from shared.wiring.accounts import AccountParts
from tests.conftest import Aws
from tests.fakes import FakeClock, out_of_reach
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.samples import NOW, REQUEST, envelope
from tests.unit.shared.dispatch.harness import harness as dispatching


class RecallHarness:
    """A provider account that takes messages back, as a script says, and the function's parts."""

    recalls = True

    def __init__(self, harness: WatchHarness, pool: ThreadPoolExecutor) -> None:
        self.harness = harness
        self.asked: list[str] = []
        self.script: Callable[[str], Withdrawal] = lambda id: Withdrawn()
        settings = RecallSettings(
            catalog_table="catalog",
            guard_table="guard",
            counters_table="counters",
            timeline_table="timeline",
            stream_name="events",
            secret_prefix="mepush",
        )
        stream = EventStream(harness.shard, "events")
        parts = AccountParts(
            settings, pool=pool, clock=harness.clock, ledger=harness.ledger, stream=stream, accounts=self
        )
        self.operations = recalling_of(parts, pool)

    def find(self, tenant: str, account_id: str) -> Any:
        return None if account_id == "gone" else account_id

    def provider(self, account: Any) -> Any:
        if account == "broken":
            raise RuntimeError("settings do not fit")
        return self

    def recall(self, provider_message_id: str) -> Withdrawal:
        self.asked.append(provider_message_id)
        return self.script(provider_message_id)

    def __call__(self, id: str = REQUEST, kind: KeyKind = KeyKind.LIVE) -> list[Any]:
        """Recall a request or a message; the answers by message."""
        caller = Caller("default", "key", kind, frozenset({Scope.SEND}))
        what = "recall_request" if len(id) == len(REQUEST) else "recall_message"
        call = Call(what, caller, {"id": id}, {}, b"", None, None)
        answer = self.operations.operations()[what](call)
        assert sum(answer.counts.values()) == len(answer.messages)
        return list(answer.messages)


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    clock.set(NOW)
    return WatchHarness(aws, clock)


@pytest.fixture
def recalling(harness: WatchHarness) -> Any:
    with ThreadPoolExecutor(4) as pool:
        yield RecallHarness(harness, pool)


def results(answers: Sequence[Any]) -> list[str]:
    return [answer.result.value for answer in answers]


def run(harness: WatchHarness, one: Envelope) -> dict[str, int]:
    """Have a dispatcher work on an envelope; returns the stages that it tells."""
    with dispatching() as w:
        w.clock.set(harness.clock.now_ms())
        w.dispatcher._waves._ledger = harness.ledger
        assert w.run(one) == []
        for record in w.records:
            harness.tell(record)
        harness.trace()
        return w.stages()


def test_a_recall_is_told_at_once_and_once(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(5)
    harness.accept(one)
    answers = recalling()
    assert results(answers) == ["recalled"] * 5 and answers[0].before == "queued"
    harness.trace()
    assert harness.counts() == {"accepted": 5, "recalled": 5} and harness.in_flight() == 0
    harness.clock.advance(60)
    assert run(harness, one)["recalled"] == 5
    assert harness.counts() == harness.stages() == {"accepted": 5, "recalled": 5}
    assert [a.at for a in recalling()] == [a.at for a in answers]


def test_all_envelopes_of_a_request_are_found(harness: WatchHarness, recalling: RecallHarness) -> None:
    several = [envelope(2), envelope(3, start=100)]
    harness.accept(*several)
    assert results(recalling()) == ["recalled"] * 5
    for one in several:
        assert set(run(harness, one)) == {"accepted", "recalled"}


def test_of_a_ledger_in_use_what_is_in_flight_is_in_progress(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(5)
    harness.accept(one)
    rows = [
        *rows_of(one, "sent", provider_id="p", account="main", provider="smtp")[:1],
        *rows_of(one, "retrying", due_at=NOW)[1:2],
    ]
    harness.ledger.acquire(one.id, Entry("dispatcher", NOW + 60_000, rows, {"main": [2, 3]}))
    answers = recalling()
    assert results(answers) == ["too_late", "recalled", "in_progress", "in_progress", "recalled"]
    assert answers[0].status == "sent"
    entry = harness.ledger.read(one.id)
    assert entry is not None and set(entry.recalled) == {1, 2, 3, 4}
    # Asked again nothing is written, and nobody is marked anew.
    harness.clock.advance(1)
    assert results(recalling()) == results(answers)
    again = harness.ledger.read(one.id)
    assert again is not None and again.recalled == entry.recalled


def test_every_way_on_is_followed(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(4)
    harness.accept(one)
    later = NOW + 60_000
    rows = rows_of(one, "retrying", n=1, due_at=later, reason="throttled", account="main", provider="smtp", took_ms=1)[
        :2
    ]
    rows[1].maybe_sent = True
    rows += rows_of(one, "deferred", n=1, due_at=later, reason="quiet_hours")[2:3]
    children = harness.close(one, rows)
    assert sorted(child.id.rpartition("/")[2] for child in children) == ["c1", "r1", "w1"]
    answers = recalling()
    assert results(answers) == ["recalled", "unknown", "recalled", "recalled"]
    assert [a.before for a in answers] == ["retrying", None, "deferred", "queued"]
    for child in children:
        assert run(harness, child).get("sent") is None
    assert harness.stages() == {"accepted": 4, "retrying": 2, "deferred": 1, "recalled": 3, "unknown": 1}
    assert harness.counts() == harness.stages()


def test_one_message_leaves_the_others_alone(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(3)
    harness.accept(one)
    message_id = Numbering(REQUEST)(1) + one.recipients[1].tag
    [answer] = recalling(message_id)
    assert (answer.message_id, answer.result) == (message_id, "recalled")
    assert run(harness, one) == {"accepted": 3, "recalled": 1, "sent": 2}


def test_what_only_the_index_knows_is_asked_for_again(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(2)
    harness.accept(one)
    for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if is_event(item["pk"]["S"]):
            harness.aws.dynamodb.delete_item(TableName="timeline", Key={"pk": item["pk"], "sk": item["sk"]})
    assert results(recalling()) == ["in_progress"] * 2


def test_of_what_was_forgotten_nothing_is_claimed(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(2)
    harness.accept(one)
    harness.clock.advance(TTL_S - 24 * HOUR_S + 1)
    answers = recalling()
    assert results(answers) == ["unknown"] * 2 and "not known any more" in answers[0].detail
    assert harness.ledger.read(one.id) is None


def test_an_envelope_that_cannot_be_marked_does_not_keep_the_others_back(
    harness: WatchHarness, recalling: RecallHarness
) -> None:
    first, second = envelope(1), envelope(1, start=100)
    harness.accept(first, second)
    mark = harness.ledger.mark

    def marking(envelope_id: str, *arguments: Any) -> Entry:
        if envelope_id == first.id:
            raise out_of_reach("dynamodb")
        return mark(envelope_id, *arguments)

    with patch.object(harness.ledger, "mark", marking):
        assert results(recalling()) == ["in_progress", "recalled"]
    assert results(recalling()) == ["recalled"] * 2


def test_a_recall_holds_although_the_stream_is_out_of_reach(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(2)
    harness.accept(one)
    with patch.object(EventStream, "put", side_effect=StreamError):
        assert results(recalling()) == ["recalled"] * 2
    harness.trace()
    assert harness.stages() == {"accepted": 2}
    # The dispatcher tells it, or whoever asks again.
    assert results(recalling()) == ["recalled"] * 2
    harness.trace()
    assert harness.stages() == {"accepted": 2, "recalled": 2}


def test_the_watch_tells_what_a_recall_could_not(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(3)
    harness.accept(one, due_at=NOW + 30 * 24 * HOUR_S * 1000)
    harness.ledger.mark(one.id, {0: Mark(NOW, "key"), 1: Mark(NOW, "key")}, NOW, None)
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.mended) == ({"deferred": 1}, {"restated": 2})
    assert harness.counts() == {"accepted": 3, "deferred": 3, "recalled": 2}
    harness.clock.advance(2 * HOUR_S)
    assert harness.mend().mended == {}


def test_what_the_watch_ends_it_ends_as_recalled(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(4)
    harness.accept(one)
    harness.ledger.acquire(one.id, Entry("dead", NOW + 1000, [], {"main": [0, 1]}))
    harness.ledger.mark(one.id, {i: Mark(NOW, "key") for i in (1, 2)}, NOW, None)
    harness.clock.advance(4 * 24 * HOUR_S)
    harness.mend()
    assert harness.counts() == harness.stages() == {"accepted": 4, "unknown": 2, "recalled": 1, "expired": 1}
    entry = harness.ledger.read(one.id)
    assert entry is not None and entry.closed
    # In flight for nobody: of these it is never known.
    assert {row.index: row.stage for row in entry.rows} == {0: "unknown", 1: "unknown", 2: "recalled", 3: "expired"}


def test_hundreds_of_messages_are_recalled_by_few_requests(harness: WatchHarness, recalling: RecallHarness) -> None:
    several = [envelope(100, start=100 * k) for k in range(3)]
    harness.accept(*several)
    requests: list[str] = []
    count = lambda model, **_: requests.append(model.name)  # noqa: E731 - a name for what the hook asks
    harness.aws.dynamodb.meta.events.register("before-call.dynamodb", count)
    try:
        assert results(recalling()) == ["recalled"] * 300
    finally:
        harness.aws.dynamodb.meta.events.unregister("before-call.dynamodb", count)
    found = {name: requests.count(name) for name in set(requests)}
    assert (found["UpdateItem"], found["BatchGetItem"]) == (3, 2) and found["Query"] == 302


# Taking back what was sent


def wecom(
    harness: WatchHarness, count: int = 2, start: int = 0, kind: KeyKind = KeyKind.LIVE, **changes: Any
) -> Envelope:
    """Messages that a WeCom app took in one piece."""
    sent: dict[str, Any] = {"provider_id": "m1", "account": "app", "provider": "app", "took_ms": 1} | changes
    one = envelope(count, Channel.WECOM, start, kind=kind)
    harness.accept(one)
    harness.close(one, rows_of(one, "sent", **sent))
    return one


def test_what_went_out_in_one_piece_is_taken_back_by_one_call(harness: WatchHarness, recalling: RecallHarness) -> None:
    wecom(harness, 3)
    wecom(harness, 1, start=100, provider_id="m2")
    assert results(recalling()) == ["withdrawn"] * 4
    assert sorted(recalling.asked) == ["m1", "m2"]
    harness.trace()
    assert harness.counts() == harness.stages() == {"accepted": 4, "sent": 4, "withdrawn": 4}
    assert harness.in_flight() == 0
    assert results(recalling()) == ["withdrawn"] * 4 and len(recalling.asked) == 2


def test_one_of_a_piece_is_not_taken_back(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = wecom(harness, 3)
    [answer] = recalling(Numbering(REQUEST)(1) + one.recipients[1].tag)
    assert answer.result == "too_late" and "2 more" in answer.detail and recalling.asked == []


@pytest.mark.parametrize(
    ("account", "outcome", "result", "said"),
    [
        ("app", Retry(Reason.THROTTLED, "45009"), "in_progress", "slow down"),
        ("app", AccountDown(Reason.CREDENTIALS_REFUSED, "40001"), "too_late", "40001"),
        ("gone", Withdrawn(), "too_late", "No active account"),
        ("broken", Withdrawn(), "in_progress", "Ask again"),
    ],
)
def test_what_is_not_taken_back_has_a_reason(
    harness: WatchHarness, recalling: RecallHarness, account: str, outcome: Withdrawal, result: str, said: str
) -> None:
    wecom(harness, account=account)
    recalling.script = lambda id: outcome
    answers = recalling()
    assert results(answers) == [result] * 2 and said in answers[0].detail
    harness.trace()
    assert harness.stages() == {"accepted": 2, "sent": 2}


def test_a_withdrawal_that_cannot_be_told_is_asked_for_again(harness: WatchHarness, recalling: RecallHarness) -> None:
    wecom(harness)
    with patch.object(EventStream, "put", side_effect=StreamError), pytest.raises(NotRecordedError) as caught:
        recalling()
    assert problem_of(caught.value).status == 503
    assert results(recalling()) == ["withdrawn"] * 2


def test_when_the_time_is_over_the_rest_is_left_for_the_next_call(
    harness: WatchHarness, recalling: RecallHarness
) -> None:
    wecom(harness, 1)
    wecom(harness, 1, start=100, provider_id="m2")

    def slow(id: str) -> Withdrawal:
        harness.clock.advance(WORK_MS / 1000)
        return Withdrawn()

    recalling.script = slow
    with ThreadPoolExecutor(1) as pool:
        recalling.operations = replace(recalling.operations, withdrawer=Withdrawer(recalling, harness.clock, pool))  # type: ignore[arg-type]  # the harness plays it
        assert sorted(results(recalling())) == ["in_progress", "withdrawn"]
        harness.trace()
        assert results(recalling()) == ["withdrawn"] * 2


def test_providers_that_take_nothing_back_are_not_asked(harness: WatchHarness, recalling: RecallHarness) -> None:
    recalling.recalls = False
    wecom(harness, provider="robot")
    assert results(recalling()) == ["too_late"] * 2 and recalling.asked == []


def test_played_messages_are_not_taken_back(harness: WatchHarness, recalling: RecallHarness) -> None:
    wecom(harness, kind=KeyKind.TEST, provider="test", account="test")
    assert results(recalling(kind=KeyKind.TEST)) == ["too_late"] * 2 and recalling.asked == []
    assert not withdrawing.can_be_withdrawn("email", Facts(stage="sent", nth=0, at=0, provider="smtp"))


def test_marketing_is_no_different(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = envelope(1, message_class=MessageClass.MARKETING)
    harness.accept(one)
    assert results(recalling()) == ["recalled"]
    assert "sent" not in run(harness, one)
