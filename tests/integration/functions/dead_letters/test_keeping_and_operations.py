"""Dead letters: kept once, found by what they are, redriven and discarded once, whatever dies in between."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from threading import Lock
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace as changed

from functions.dead_letters.deps import deciding_of, keeper_of
from functions.dead_letters.function import KeeperSettings
from functions.dead_letters.keeping import Taken
from functions.trace.words import describe
from shared.api.kit import Api, Call, Caller
from shared.base.channels import queue_name
from shared.lifecycle.redrive import ABANDONED_MS, Order
from shared.model.envelope import Envelope, read_envelope
from shared.model.events import EventRow, StreamRecord, read_record
from shared.model.ids import Numbering, new_base
from shared.model.letters import Letter, LetterState, letters_of, redriven, unreadable
from shared.model.policies import Cap, Policies
from shared.model.words import Channel, KeyKind, MessageClass, Scope
from shared.store.audit import AuditSearch
from shared.store.caps import Caps
from shared.store.catalog import Catalog
from shared.store.claims import Answer, Claimant
from shared.store.dead_letters import HISTORY_S, OPEN, Choice
from shared.store.duplicates import Duplicates
from shared.store.dynamo import StoreError
from shared.store.ledger import Entry
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import NOW, change, envelope, recipients, template

URLS = {queue_name(c, m): f"https://sqs/{c}-{m}" for c in Channel for m in MessageClass}
HERE = {"channel": "email", "class": "notification"}
LIST, REDRIVE, DISCARD = "GET /v1/dead-letters", "POST /v1/dead-letters/redrive", "POST /v1/dead-letters/discard"


class Killed(BaseException):
    """The function dies here; nothing may catch it."""


class Fate:
    """Counts calls to AWS and dies before or after the n-th."""

    def __init__(self) -> None:
        self.calls, self.at, self.after = 0, 0, False
        self.lock = Lock()

    def arm(self, at: int, after: bool = False) -> None:
        self.calls, self.at, self.after = 0, at, after

    def strike(self, after: bool) -> None:
        if not after:
            self.calls += 1
        if self.calls == self.at and self.after is after:
            raise Killed


class Fragile:
    """A client under a fate."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client, self._fate = client, fate
        self.exceptions = getattr(client, "exceptions", None)

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            # moto looks and writes in two steps, DynamoDB in one.
            with self._fate.lock:
                self._fate.strike(after=False)
                try:
                    return operation(**arguments)
                finally:
                    self._fate.strike(after=True)

        return call


class Wire:
    """SQS and Kinesis as far as they are used: remember what they are given. refused: an SQS that takes nothing."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, str]] = []
        self.records: list[StreamRecord] = []
        self.put_back: list[tuple[str, str]] = []
        self.refused = self.deaf = False

    def send_message_batch(self, QueueUrl: str, Entries: Sequence[dict[str, Any]]) -> Any:
        if self.refused:
            return {"Failed": [{"Id": e["Id"], "Code": "InternalError"} for e in Entries]}
        self.bodies += [(QueueUrl, e["MessageBody"]) for e in Entries]
        return {"Successful": [{"Id": e["Id"]} for e in Entries]}

    def send_message(self, QueueUrl: str, MessageBody: str, MessageGroupId: str) -> None:
        self.put_back.append((QueueUrl, MessageBody))

    def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> Any:
        if self.deaf:
            raise ClientError({"Error": {"Code": "InternalFailure"}}, "PutRecords")
        self.records += [read_record(r["Data"]) for r in Records]
        return {"FailedRecordCount": 0, "Records": []}

    def children(self) -> dict[str, tuple[str, Envelope]]:
        """What was sent, by envelope id; what was sent twice must be the same to the byte."""
        found: dict[str, tuple[str, str]] = {}
        for url, body in self.bodies:
            assert found.setdefault(json.loads(body)["id"], (url, body)) == (url, body)
        return {id: (url, read_envelope(body)) for id, (url, body) in found.items()}

    def events(self) -> dict[tuple[str, str, int], EventRow]:
        """What was told, by message, stage and number; what was told twice must be the same."""
        found: dict[tuple[str, str, int], EventRow] = {}
        for record in self.records:
            for message_id, row in record.message_ids():
                assert found.setdefault((message_id, row.stage, row.nth), row) == row
        return found


def received(message_id: str, body: str, times: int = 7) -> dict[str, Any]:
    """A message of a dead-letter queue."""
    attributes = {"ApproximateReceiveCount": str(times), "SentTimestamp": str(NOW)}
    arn = "arn:aws:sqs:us-east-1:1:mepush-email-notification-dlq"
    return {"messageId": message_id, "body": body, "attributes": attributes, "eventSourceARN": arn}


class DeadLetterHarness:
    """The functions' parts over moto's tables."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.aws, self.clock, self.wire, self.fate = aws, clock, Wire(), Fate()
        dynamodb: Any = Fragile(aws.dynamodb, self.fate)
        wire: Any = Fragile(self.wire, self.fate)
        clients = {"dynamodb": dynamodb, "sqs": wire, "kinesis": wire, "scheduler": None}
        settings = KeeperSettings(
            catalog_table="catalog",
            guard_table="guard",
            stream_name="events",
            queue_urls=json.dumps(URLS),
            schedule_group="",
            schedule_role_arn="",
            schedule_dlq_arn="",
            receipts_url="https://sqs/receipts",
        )
        # What is configured is read without fail.
        catalog = Catalog(aws.dynamodb, "catalog", clock)
        parts = Parts(settings, client=clients.__getitem__, clock=clock, catalog=catalog, keys=catalog)
        self.store, self.ledger, self.redriver, self.audit_log = (
            parts.letters,
            parts.ledger,
            parts.redriver,
            parts.audit_log,
        )
        self.keeper, self.deciding = keeper_of(parts), deciding_of(parts)
        self.api = Api(self.deciding.operations())

    def take(self, *bodies: str) -> Taken:
        return self.keeper.run({"Records": [received(f"m{k}", body) for k, body in enumerate(bodies)]})

    def keep(self, *envelopes: Envelope) -> None:
        assert self.take(*(e.to_json() for e in envelopes)).failed == []

    def letters(self, tenant: str = "default", states: Any = frozenset(LetterState)) -> list[Letter]:
        return list(self.store.find(tenant, URLS, Choice(states)))

    def call(self, route: str, body: Any = None, tenant: str = "default", **query: str) -> tuple[int, Any]:
        caller = {"tenant": tenant, "key_id": "k1", "kind": "live", "scopes": "read manage", "problem": ""}
        answer = self.api(
            {
                "routeKey": route,
                "queryStringParameters": query,
                "body": None if body is None else json.dumps(body),
                "requestContext": {"authorizer": {"lambda": caller}},
            }
        )
        return answer["statusCode"], json.loads(answer["body"])

    def wipe(self) -> None:
        for table in ("catalog", "guard"):
            for item in self.aws.dynamodb.scan(TableName=table)["Items"]:
                self.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        self.wire.bodies.clear()
        self.wire.records.clear()

    def left(self) -> Counter[str]:
        """The catalog's items by kind, but for the audit log's."""
        kinds = Counter(i["pk"]["S"].split("#")[0] for i in self.aws.dynamodb.scan(TableName="catalog")["Items"])
        return kinds - Counter(audit=kinds["audit"])


@pytest.fixture
def harness(aws: Aws) -> DeadLetterHarness:
    return DeadLetterHarness(aws, FakeClock(NOW + 60_000))


CAUSES = [("throttled", "4", "b"), ("throttled", "4", "a"), ("given_up", "", "")]


def dead(count: int = 5, start: int = 0, causes: Sequence[tuple[str, str, str]] = CAUSES, **changes: Any) -> Envelope:
    """An envelope of given-up recipients, whose causes take turns."""
    one = envelope(count, start=start, **changes)
    reasons = {r.index: causes[k % len(causes)] for k, r in enumerate(one.recipients)}
    return changed(one, id=f"{one.id}/r1/d0", attempt=7, avoid=["x"], reasons=reasons)


def at_every_call(
    harness: DeadLetterHarness, prepare: Callable[[], None], act: Callable[[], None], check: Callable[[], None]
) -> int:
    """Die at every call of `act`, before and after it, repeat it, and check; returns how many calls there are."""
    prepare()
    harness.fate.arm(0)
    act()
    calls = harness.fate.calls
    check()
    for at in range(1, calls + 1):
        for after in (False, True):
            harness.wipe()
            harness.fate.arm(0)
            prepare()
            harness.fate.arm(at, after)
            with pytest.raises(Killed):
                act()
            harness.fate.arm(0)
            # A repeat comes later, and must be the same for all that.
            harness.clock.advance(1)
            act()
            check()
    return calls


# Keeping


def test_an_envelope_is_split_by_reason_and_account(harness: DeadLetterHarness) -> None:
    one = dead()
    assert harness.take(one.to_json()) == Taken(3, [])
    found = {letter.id: letter for letter in harness.letters()}
    assert [(found[id].reason, found[id].account, found[id].code, found[id].recipients) for id in sorted(found)] == [
        ("given_up", "", "", 1),
        ("throttled", "a", "4", 2),
        ("throttled", "b", "4", 2),
    ]
    assert sorted(found) == [one.id, f"{one.id}.1", f"{one.id}.2"]
    texts = [harness.store.text(letter) for letter in found.values()]
    numbers = [r.index for text in texts if text for r in read_envelope(text).recipients]
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    head = found[one.id]
    assert (head.state, head.dead_at, head.accepted_at) == ("kept", harness.clock.now_ms(), NOW)
    # Neither addresses nor variables are readable in the table.
    assert "example.com" not in str(harness.aws.dynamodb.scan(TableName="catalog"))


def test_a_letter_is_kept_once(harness: DeadLetterHarness) -> None:
    one = dead()
    assert harness.take(one.to_json(), one.to_json()) == Taken(3, [])
    first = harness.letters()
    harness.clock.advance(60)
    assert harness.take(one.to_json()) == Taken(0, [])
    assert harness.letters() == first
    assert harness.wire.records == []


MALFORMED = '{"id": "x", "template": "welcome", "recipients": [{"to": "ann@example.com"}, {}]}'


def test_what_is_malformed_is_kept_as_it_is_and_is_not_logged(
    harness: DeadLetterHarness, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        harness.take(
            dead(1).to_json(), MALFORMED, "{", '["\\ud800', "[]", '{"tenant": 5, "template": "../x", "recipients": 7}'
        )
    status, page = harness.call(LIST, reason="unreadable")
    found = {(each["template"], each["recipients"], each["class"]) for each in page["dead_letters"]}
    assert status == 200 and found == {("welcome", 2, "notification"), ("", 0, "notification")}
    assert len(page["dead_letters"]) == 5
    assert "could not be read" in page["dead_letters"][0]["explanation"]
    assert "ann@example.com" not in caplog.text + "".join(capsys.readouterr()) + json.dumps(page)
    assert "example.com" not in str(harness.aws.dynamodb.scan(TableName="catalog"))


@pytest.mark.parametrize("what", [REDRIVE, DISCARD])
def test_what_nobody_could_read_is_decided_on_like_any_letter(harness: DeadLetterHarness, what: str) -> None:
    harness.take(dead(1).to_json(), MALFORMED)
    body = {"reason": "unreadable"} | ({"note": "not ours"} if what is DISCARD else {})
    status, tally = harness.call(what, body)
    assert (status, tally["letters"], tally["left"]) == (200, 1, False)
    assert harness.wire.put_back == ([(URLS["email.notification"], MALFORMED)] if what is REDRIVE else [])
    assert harness.call(what, body)[1]["letters"] == 0
    assert harness.left() == Counter(dead=2, letter=1)
    # Once it is kept, it does not come back when its queue delivers it again.
    harness.take(dead(1).to_json(), MALFORMED)
    assert len(harness.letters(states=OPEN)) == 1


def test_putting_back_may_die_anywhere(harness: DeadLetterHarness) -> None:
    def act() -> None:
        harness.call(REDRIVE, {"all": True})
        harness.clock.advance(ABANDONED_MS / 1000 + 1)
        harness.redriver.resume(harness.clock.now_ms() + 60_000)

    def check() -> None:
        assert {body for _, body in harness.wire.put_back} == {MALFORMED}
        assert harness.left() == Counter(dead=1)
        harness.wire.put_back.clear()

    at_every_call(harness, lambda: assert_kept(harness.take(MALFORMED)), act, check)


def assert_kept(taken: Taken) -> None:
    assert taken == Taken(1, [])


@pytest.mark.parametrize(("error", "times", "kept"), [
    (KeyError("x"), 4, False), (KeyError("x"), 5, True), (ConnectionError(), 100, False), (StoreError(), 100, False),
    (ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem"), 100, False),
    (ClientError({"Error": {"Code": "ValidationException"}}, "UpdateItem"), 5, True),
])  # fmt: skip
def test_a_letter_that_cannot_be_worked_on_is_kept_as_it_is_unless_that_may_pass(
    harness: DeadLetterHarness, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int, kept: bool
) -> None:
    def fails(*_: Any) -> None:
        raise error

    body = envelope(2).to_json()
    monkeypatch.setattr(harness.ledger, "acquire", fails)
    taken = harness.keeper.run({"Records": [received("m0", body, times)]})
    assert taken == (Taken(1, []) if kept else Taken(0, ["m0"]))
    monkeypatch.undo()
    if kept:
        [letter] = harness.letters()
        assert (letter.reason, letter.recipients) == ("unreadable", 2)
        harness.call(REDRIVE, {"all": True})
        assert [text for _, text in harness.wire.put_back] == [body]


@pytest.mark.parametrize("size", [1, 340_000, 1_000_000])
def test_a_letter_of_any_size_that_a_queue_holds_is_kept_and_redriven(harness: DeadLetterHarness, size: int) -> None:
    noise = base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()
    one = dead(1, recipients=recipients(1, name=noise))
    assert harness.take(one.to_json()) == Taken(1, [])
    [letter] = harness.letters()
    assert letter.parts == (1 if size < 400_000 else 3)
    assert harness.left() == Counter(dead=1, letter=letter.parts)
    assert harness.call(REDRIVE, {"all": True})[1]["letters"] == 1
    [(_, child)] = harness.wire.children().values()
    assert child.recipients == one.recipients
    assert harness.left() == Counter(dead=1)


def test_a_wait_that_no_schedule_takes_becomes_a_letter(harness: DeadLetterHarness) -> None:
    one = envelope(1, recipients=recipients(1, name="汉" * 90_000))
    until = harness.clock.now_ms() + 3_600_000
    waits: EventRow = EventRow(index=0, tag=one.recipients[0].tag, stage="deferred", nth=1, at=NOW, due_at=until)
    waits.reason = "quiet_hours"
    harness.ledger.acquire(one.id, Entry("someone", NOW, [waits], closed=True))
    assert harness.take(one.to_json()) == Taken(1, [])
    [letter] = harness.letters()
    assert (letter.id, letter.reason, letter.recipients) == (f"{one.id}/w1/d0", "too_large", 1)
    assert Counter(stage for _, stage, _ in harness.wire.events()) == {"accepted": 1, "deferred": 1, "dead_lettered": 1}
    assert harness.wire.children() == {}
    # Sent anew it need not wait.
    assert harness.call(REDRIVE, {"all": True})[1]["letters"] == 1
    assert list(harness.wire.children()) == [f"{one.id}/w1/d0/g1"]


def test_an_envelope_that_its_queue_gave_up_is_settled(harness: DeadLetterHarness) -> None:
    """Of four: one was sent, one was in flight, two were not reached."""
    one = envelope(4)
    sent: EventRow = EventRow(
        index=0, tag=one.recipients[0].tag, stage="sent", nth=0, at=NOW, account="a", provider="p"
    )
    harness.ledger.acquire(one.id, Entry("someone", NOW, [sent], {"a": [1]}))
    assert harness.take(one.to_json()) == Taken(1, [])
    [letter] = harness.letters()
    assert (letter.id, letter.reason, letter.account, letter.recipients) == (f"{one.id}/d0", "given_up", "", 2)
    stages = Counter(stage for _, stage, _ in harness.wire.events())
    assert stages == {"accepted": 4, "sent": 1, "retrying": 1, "dead_lettered": 2}
    [(id, (url, child))] = harness.wire.children().items()
    assert (id, url, [r.index for r in child.recipients]) == (f"{one.id}/r1", URLS["email.notification"], [1])


def test_what_its_queue_gave_up_is_no_reason_to_hold_back_the_next_one(harness: DeadLetterHarness) -> None:
    """Of two, one was in flight and may have been sent."""
    policies = Policies(duplicate_seconds=3600, cap=Cap(count=1, minutes=60))
    Catalog(harness.aws.dynamodb, "catalog", harness.clock).create_template(*template(policies=policies), change())
    guard = harness.aws.dynamodb, "guard", harness.clock
    duplicates, caps, of = Duplicates(*guard), Caps(*guard), ("default", Channel.EMAIL, MessageClass.NOTIFICATION)
    one, later = (
        [Claimant(Numbering(base)(r.index), r.tag, 0) for r in envelope(2).recipients]
        for base in (envelope(2).id, new_base(NOW))
    )
    harness.ledger.acquire(envelope(2).id, Entry("someone", NOW, [], {"a": [1]}))
    for messages in (one, later):
        duplicates.take("default", "welcome", dict.fromkeys(messages, "c"), 3600)
        caps.take(of, messages, 1, NOW - 1)
    harness.keep(envelope(2))
    marks = duplicates.take("default", "welcome", dict.fromkeys(later, "c"), 3600)
    assert [claim.answer for claim in marks] == [Answer.TAKEN, Answer.REFUSED]
    slots = caps.take(of, later, 1, NOW - 1)
    assert [claim.answer for claim in slots] == [Answer.TAKEN, Answer.REFUSED]


def test_an_envelope_that_somebody_works_on_comes_back(harness: DeadLetterHarness) -> None:
    one = envelope(2)
    harness.ledger.acquire(one.id, Entry("someone", harness.clock.now_ms() + 1))
    assert harness.take(one.to_json(), dead(1, start=9).to_json()) == Taken(1, ["m0"])
    harness.clock.advance(1)
    assert harness.take(one.to_json()) == Taken(1, [])


def test_nothing_is_acknowledged_before_all_that_follows_is_done(harness: DeadLetterHarness) -> None:
    one = envelope(2)
    harness.ledger.acquire(one.id, Entry("someone", NOW, [], {"a": [0]}))
    harness.wire.refused = True
    assert harness.take(one.to_json()).failed == ["m0"]
    harness.wire.refused, harness.wire.deaf = False, True
    assert harness.take(one.to_json()).failed == ["m0"]
    harness.wire.deaf = False
    assert harness.take(one.to_json()).failed == []
    assert len(harness.wire.children()) == len(harness.letters()) == 1


def test_keeping_may_die_at_every_call(harness: DeadLetterHarness) -> None:
    one, given_up = dead(), envelope(3, start=500)

    def prepare() -> None:
        harness.ledger.acquire(given_up.id, Entry("someone", NOW, [], {"a": [0]}))

    def act() -> None:
        harness.keep(one, given_up)

    def check() -> None:
        assert sorted(letter.recipients for letter in harness.letters()) == [1, 2, 2, 2]
        assert harness.left() == {"dead": 4, "letter": 4}
        assert list(harness.wire.children()) == [f"{given_up.id}/r1"]
        assert Counter(s for _, s, _ in harness.wire.events()) == {"accepted": 3, "retrying": 1, "dead_lettered": 2}

    assert at_every_call(harness, prepare, act, check) >= 8


# Redriving and discarding


def redrive(harness: DeadLetterHarness) -> None:
    while harness.call(REDRIVE, HERE)[1]["left"]:
        pass


def test_a_redrive_sends_anew_with_fresh_tries_and_time(harness: DeadLetterHarness) -> None:
    one = dead(2, causes=[("throttled", "4", "a")])
    harness.keep(one)
    harness.clock.advance(86_400)
    now = harness.clock.now_ms()
    tally = {"letters": 1, "recipients": 2, "carried_on": 0, "failed": 0, "left": False}
    assert harness.call(REDRIVE, {"account": "a"}) == (200, tally)
    [(id, (url, child))] = harness.wire.children().items()
    assert (id, url) == (f"{one.id}/g1", URLS["email.notification"])
    assert (child.attempt, child.generation, child.avoid, child.reasons) == (0, 1, [], {})
    assert child.expires_at == now + 3 * 86_400_000
    assert child.recipients == one.recipients and child.version == one.version
    assert {(s, n, row.at) for (_, s, n), row in harness.wire.events().items()} == {("redriven", 1, now)}
    [letter] = harness.letters()
    assert (letter.state, letter.by, letter.changed_at) == ("redriven", "k1", now)
    [item] = [i for i in harness.aws.dynamodb.scan(TableName="catalog")["Items"] if i["pk"]["S"].startswith("dead#")]
    assert int(item["ttl"]["N"]) == now // 1000 + HISTORY_S


def test_the_time_to_live_stays_what_it_was_over_redrives(harness: DeadLetterHarness) -> None:
    [(letter, body)] = letters_of(dead(1, expires_at=NOW + 300_000), NOW)
    for generation in (1, 2, 3):
        at = NOW + generation * 86_400_000
        child = redriven(letter.model_copy(update={"changed_at": at}), body)
        assert (child.generation, child.expires_at) == (generation, at + 300_000)
        again = child.child(f"d{generation}", child.recipients, reasons=body.reasons)
        [(letter, body)] = letters_of(again, at)
    late = letter.model_copy(update={"id": "x" * 400}), changed(body, expires_at=NOW + 400 * 86_400_000)
    assert redriven(*late).expires_at == letter.changed_at + 3 * 86_400_000


def test_ids_stay_short_enough_for_a_key_over_any_number_of_redrives() -> None:
    one, seen = dead(1), set()
    for _ in range(100):
        [(letter, body)] = letters_of(one, NOW)
        child = redriven(letter, body)
        seen.add(child.id)
        assert child.root == one.root
        one = child.child("r1/r2/r3/r4/r5/r6/r7/d1", child.recipients, reasons=body.reasons)
        assert len(one.id) < 400
    assert len(seen) == 100


def test_a_letter_does_not_come_back_when_its_queue_delivers_it_again(harness: DeadLetterHarness) -> None:
    one, other = dead(2, causes=CAUSES[:1]), dead(2, start=50, causes=CAUSES[:1])
    harness.keep(one, other)
    harness.call(REDRIVE, {"ids": [one.id]})
    harness.call(DISCARD, {"ids": [other.id], "note": "over"})
    assert harness.take(one.to_json(), other.to_json()) == Taken(0, [])
    assert harness.letters(states=OPEN) == [] and harness.left() == {"dead": 2}


def test_redriving_may_die_at_every_call(harness: DeadLetterHarness) -> None:
    one = dead()

    def check() -> None:
        assert {letter.state for letter in harness.letters()} == {"redriven"}
        assert harness.left() == {"dead": 3}
        children = harness.wire.children()
        assert sorted(children) == sorted(f"{letter.id}/g1" for letter in harness.letters())
        assert sorted(r.index for _, e in children.values() for r in e.recipients) == [0, 1, 2, 3, 4]
        assert Counter((s, n) for _, s, n in harness.wire.events()) == {("redriven", 1): 5}

    assert at_every_call(harness, lambda: harness.keep(one), lambda: redrive(harness), check) >= 10


def test_discarding_may_die_at_every_call(harness: DeadLetterHarness) -> None:
    one = dead()

    def act() -> None:
        while harness.call(DISCARD, HERE | {"note": "The sale is over"})[1]["left"]:
            pass

    def check() -> None:
        assert {(letter.state, letter.note) for letter in harness.letters()} == {("discarded", "The sale is over")}
        assert harness.left() == {"dead": 3}
        assert harness.wire.bodies == []
        events = harness.wire.events()
        assert Counter((s, n) for _, s, n in events) == {("discarded", 0): 5}
        assert all("The sale is over" in describe(row) for row in events.values())

    assert at_every_call(harness, lambda: harness.keep(one), act, check) >= 9


def test_what_was_begun_is_carried_on_by_whoever_comes_next(harness: DeadLetterHarness) -> None:
    """Neither a discard nor the watch turns a redrive that was begun into something else."""
    for resume in (False, True):
        harness.wipe()
        harness.keep(dead(2, causes=CAUSES[:1]))
        harness.fate.arm(4)
        with pytest.raises(Killed):
            redrive(harness)
        harness.fate.arm(0)
        assert [letter.state for letter in harness.letters()] == ["redriving"]
        if resume:
            until = harness.clock.now_ms() + 10**9
            assert harness.redriver.resume(until).carried_on == 0
            harness.clock.advance(ms=ABANDONED_MS + 1)
            assert harness.redriver.resume(until).carried_on == 1
            assert harness.redriver.resume(until).carried_on == 0
        else:
            status, tally = harness.call(DISCARD, {"all": True, "note": "no"})
            assert (status, tally["letters"], tally["carried_on"], tally["left"]) == (200, 0, 1, False)
        assert [letter.state for letter in harness.letters()] == ["redriven"]
        assert len(harness.wire.children()) == 1 and {s for _, s, _ in harness.wire.events()} == {"redriven"}


def test_two_redrives_of_the_same_letters_send_one_child_and_count_once(harness: DeadLetterHarness) -> None:
    harness.keep(*(dead(2, start=10 * k, causes=CAUSES[:1]) for k in range(6)))
    order = Order(LetterState.REDRIVING, "k1")
    one, two = harness.letters(), iter(harness.letters())
    until = harness.clock.now_ms() + 1000
    first = harness.redriver.carry_out(islice(two, 3), order, until)
    # The other one has read all six as kept, and finds three of them gone.
    second = harness.redriver.carry_out(iter(one), order, until)
    assert (first.letters, second.letters, second.carried_on, second.failed) == (3, 3, 0, 0)
    assert len(harness.wire.children()) == 6
    assert {letter.state for letter in harness.letters()} == {"redriven"}


def test_redrives_at_the_same_time_send_one_child_and_count_once(harness: DeadLetterHarness) -> None:
    harness.keep(*(dead(1, start=k, causes=CAUSES[:1]) for k in range(8)))

    def work(_: int) -> int:
        done = 0
        while True:
            _, tally = harness.call(REDRIVE, {"all": True})
            done += int(tally["letters"])
            if not tally["left"]:
                return done

    with ThreadPoolExecutor(4) as pool:
        counted = list(pool.map(work, range(4)))
    assert sum(counted) == 8
    assert len(harness.wire.children()) == 8
    assert {letter.state for letter in harness.letters()} == {"redriven"}
    assert harness.left() == {"dead": 8}


def test_what_fails_is_said_and_left_for_another_try(harness: DeadLetterHarness) -> None:
    harness.keep(dead(2, causes=CAUSES[:1]))
    harness.wire.refused = True
    assert harness.call(REDRIVE, {"all": True})[1] == {
        "letters": 0,
        "recipients": 0,
        "carried_on": 0,
        "failed": 1,
        "left": True,
    }
    harness.wire.refused, harness.wire.deaf = False, True
    assert harness.call(REDRIVE, {"all": True})[1]["failed"] == 1
    harness.wire.deaf = False
    assert harness.call(REDRIVE, {"all": True})[1]["letters"] == 1
    assert len(harness.wire.children()) == 1


def test_a_call_ends_when_its_time_is_up(harness: DeadLetterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.keep(*(dead(1, start=k, causes=CAUSES[:1]) for k in range(45)))
    order = Order(LetterState.REDRIVING, "k1")
    now = harness.clock.now_ms()
    put = harness.wire.put_records

    def slow(**arguments: Any) -> Any:
        harness.clock.advance(10)
        return put(**arguments)

    monkeypatch.setattr(harness.wire, "put_records", slow)
    tally = harness.redriver.carry_out(iter(harness.letters()), order, now + 15_000)
    assert (tally.letters, tally.left) == (40, True)
    rest = harness.redriver.carry_out(iter(harness.letters(states=OPEN)), order, harness.clock.now_ms() + 15_000)
    assert (rest.letters, rest.left) == (5, False)


def test_a_pool_works_as_one_thread_does(harness: DeadLetterHarness) -> None:
    harness.keep(dead())
    with ThreadPoolExecutor(4) as pool:
        harness.redriver._pool = pool
        assert harness.call(REDRIVE, {"all": True})[1]["recipients"] == 5


# The API


@pytest.fixture
def filled(harness: DeadLetterHarness) -> DeadLetterHarness:
    harness.keep(
        dead(3, start=0),
        dead(1, start=20, causes=CAUSES[:1], template="sale", message_class="marketing"),
        dead(1, start=40, causes=[("no_account", "", "")], channel=Channel.SMS, message_class="verification"),
        dead(1, start=60, causes=CAUSES[1:2]),
    )
    harness.keep(dead(1, start=80, tenant="other"))
    return harness


def test_the_list_shows_newest_first_what_it_is_and_what_to_do(filled: DeadLetterHarness) -> None:
    filled.clock.advance(90)
    status, page = filled.call(LIST)
    assert (status, page["cursor"]) == (200, None)
    ids = [letter["id"] for letter in page["dead_letters"]]
    assert len(ids) == 6 and ids == sorted(ids, reverse=True)
    sms = page["dead_letters"][1]
    assert (sms["channel"], sms["class"], sms["template"], sms["account"]) == ("sms", "verification", "welcome", None)
    assert (sms["reason"], sms["state"], sms["age_seconds"], sms["recipients"]) == ("no_account", "kept", 90, 1)
    assert "No active account" in sms["explanation"] and "Bind" in sms["action"]
    # Of what was given up nobody may say that it is tried again by itself.
    assert not [each for each in page["dead_letters"] if "by itself" in each["action"]]
    assert (sms["changed_at"], sms["changed_by"], sms["note"]) == (None, None, None)
    assert "example.com" not in json.dumps(page) and "+86" not in json.dumps(page)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 6),
        ({"channel": "email"}, 5),
        ({"class": "marketing"}, 1),
        ({"channel": "sms", "class": "verification"}, 1),
        ({"channel": "wecom"}, 0),
        ({"template": "sale"}, 1),
        ({"account": "a"}, 2),
        ({"account": "a", "template": "sale"}, 0),
        ({"reason": "throttled"}, 4),
        ({"state": "redriven"}, 0),
    ],
)
def test_filters_are_exact_for_the_list_and_for_a_redrive(
    filled: DeadLetterHarness, filters: dict[str, str], count: int
) -> None:
    found = filled.call(LIST, **filters)[1]["dead_letters"]
    assert len(found) == count
    if filters and "state" not in filters:
        tally = filled.call(REDRIVE, filters)[1]
        assert (tally["letters"], tally["recipients"]) == (count, sum(letter["recipients"] for letter in found))
        assert {letter["id"] for letter in filled.call(LIST, state="redriven")[1]["dead_letters"]} == {
            letter["id"] for letter in found
        }
        assert len(filled.call(LIST)[1]["dead_letters"]) == 6 - count


def test_the_list_comes_in_pages(filled: DeadLetterHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.store.dead_letters.PAGE", 2)
    ids: list[str] = []
    cursor: dict[str, str] = {}
    for size in (4, 2):
        page = filled.call(LIST, limit="4", **cursor)[1]
        assert len(page["dead_letters"]) == size
        ids += [letter["id"] for letter in page["dead_letters"]]
        cursor = {"cursor": page["cursor"]}
    assert cursor == {"cursor": None}
    assert ids == [letter["id"] for letter in filled.call(LIST)[1]["dead_letters"]]
    assert len(filled.call(LIST, reason="throttled", limit="3")[1]["dead_letters"]) == 3


def test_letters_are_chosen_by_id(filled: DeadLetterHarness) -> None:
    ids = [letter.id for letter in filled.letters()][:2]
    tally = filled.call(REDRIVE, {"ids": [*ids, *ids, "nope"], "channel": "email"})[1]
    assert tally["letters"] == 2
    assert filled.call(REDRIVE, {"ids": ids})[1]["letters"] == 0


def test_a_tenant_sees_and_moves_its_own_letters_only(filled: DeadLetterHarness) -> None:
    assert len(filled.call(LIST, tenant="other")[1]["dead_letters"]) == 1
    assert filled.call(DISCARD, {"all": True, "note": "x"}, tenant="other")[1]["letters"] == 1
    assert len(filled.letters(states=OPEN)) == 6


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        (REDRIVE, {}, ""),
        (REDRIVE, {"all": False}, ""),
        (REDRIVE, {"all": True, "template": "sale"}, ""),
        (REDRIVE, {"all": "true"}, "all"),
        (REDRIVE, {"channel": "fax"}, "channel"),
        (REDRIVE, {"class": "spam"}, "class"),
        (REDRIVE, {"message_class": "marketing"}, "message_class"),
        (REDRIVE, {"reason": "bad luck"}, "reason"),
        (REDRIVE, {"ids": []}, "ids"),
        (REDRIVE, {"ids": ["a b"]}, "ids.0"),
        (REDRIVE, {"all": True, "note": "x"}, "note"),
        (DISCARD, {"all": True}, "note"),
        (DISCARD, {"all": True, "note": ""}, "note"),
        (DISCARD, {"all": True, "note": " \n"}, "note"),
        (DISCARD, {"note": "x"}, ""),
    ],
)
def test_a_wrong_request_is_refused_by_field(filled: DeadLetterHarness, route: str, body: Any, field: str) -> None:
    status, problem = filled.call(route, body)
    assert (status, field in [error["field"] for error in problem["errors"]]) == (422, True)
    assert len(filled.letters(states=OPEN)) == 6


@pytest.mark.parametrize(
    "query", [{"channel": "fax"}, {"state": "lost"}, {"limit": "0"}, {"cursor": "%%"}, {"cursor": ""}, {"to": "x"}]
)
def test_a_wrong_query_is_refused_by_field(filled: DeadLetterHarness, query: dict[str, str]) -> None:
    status, problem = filled.call(LIST, **query)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, [f"query.{next(iter(query))}"])


def test_entries_compare_by_choice() -> None:
    [(letter, _), *_] = letters_of(dead(1), NOW)
    assert Choice().takes(letter) and Choice(template="welcome").takes(letter)
    assert not Choice(account="z").takes(letter)
    assert not replace(Choice(), states=frozenset({LetterState.DISCARDED})).takes(letter)


def test_who_decided_is_in_the_audit_log_even_if_nothing_more_was_done(filled: DeadLetterHarness) -> None:
    redriver = filled.redriver

    def records() -> list[tuple[str, str, Any]]:
        found = filled.audit_log.page("default", AuditSearch(0, filled.clock.now_ms() + 1), 10).items
        return [(record.action, record.who, record.after) for record in found]

    def killed(*_: Any) -> Any:
        raise Killed

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(type(redriver), "carry_out", killed)
        filled.call(REDRIVE, {"template": "welcome"})
    [(action, who, after)] = records()
    assert (action, who, after["template"]) == ("redrive_dead_letters", "k1", "welcome")
    filled.clock.advance(1)
    assert filled.call(DISCARD, {"all": True, "note": "too late"})[0] == 200
    assert [record[0] for record in records()] == ["discard_dead_letters", "redrive_dead_letters"]
    filled.call(LIST)
    assert len(records()) == 2


def test_a_team_key_does_not_reach_what_nobody_could_read(harness: DeadLetterHarness) -> None:
    letter = unreadable(MALFORMED, "email.notification", "m1", NOW, NOW)
    harness.store.keep(letter, MALFORMED)
    keys = {kind: Caller("default", "k1", kind, frozenset(Scope)) for kind in KeyKind}
    calls = {kind: Call("list_dead_letters", caller, {}, {}, b"", None, None) for kind, caller in keys.items()}
    assert harness.deciding._reaches(calls[KeyKind.LIVE], letter, None)
    assert not harness.deciding._reaches(calls[KeyKind.TEST], letter, None)
    assert not harness.deciding._reaches(calls[KeyKind.TEAM], letter, frozenset({"email:ann@example.com"}))
