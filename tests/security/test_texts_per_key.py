"""A stolen key sends so many texts a day and no more, whatever numbers, countries and processes it takes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from msgspec.structs import replace

from functions.ingest.texts import TextLimits
from shared.api.kit import Api
from shared.aws.queue import Queues
from shared.model.templates import Fallback
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, Scope
from shared.store.bootstrap import new_key
from shared.store.catalog import Catalog
from shared.store.idempotency import Idempotency
from shared.store.texts import Of, Texts
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock, logged, out_of_reach
from tests.integration.functions.ingest.test_service import IngestHarness, add_code
from tests.memory import tables
from tests.security.attempts import Attempts

OF = Of("default", "k", "all")


@pytest.fixture
def guard(clock: FakeClock) -> Iterator[Any]:
    with tables(clock, "guard") as dynamodb:
        yield dynamodb


@pytest.fixture
def ingest_harness(aws: Aws, clock: FakeClock) -> IngestHarness:
    made = IngestHarness(aws, clock)
    add_code(made)
    settings = TenantSettings(
        version=1, countries=["CN", "HK", "GB"], texts_per_key_per_day=6, texts_abroad_per_key_per_day=2
    )
    made.catalog.save_settings("default", settings, None, samples.change())
    return made


def process(ingest_harness: IngestHarness) -> None:
    """Another process takes over: what the one before had by itself is gone."""
    aws, clock = ingest_harness.aws, ingest_harness.clock
    texts = Texts(aws.dynamodb, aws.guard, clock)
    metrics = EphemeralMetrics(namespace="mePush", service="ingest")
    ingest_harness.ingest = replace(
        ingest_harness.ingest, limits=TextLimits(ingest_harness.catalog, texts, metrics, clock, "mepush")
    )
    ingest_harness.api = Api({"send_messages": ingest_harness.ingest.send_messages})


def texts_to(*numbers: str) -> dict[str, Any]:
    return {"template": "code", "recipients": [{"to": n} for n in numbers], "variables": {"code": "123456"}}


def home(n: int) -> str:
    return f"+86138{n:08d}"


def abroad(n: int) -> str:
    return f"+852912345{n:02d}"


def test_many_processes_at_once_get_exactly_the_limit(guard: Any, clock: FakeClock, attempts: Attempts) -> None:
    for limit in (0, 1, 7, 100, 1999):
        of = Of("default", f"k{limit}", "all")
        crowd = [Texts(guard, "guard", clock) for _ in range(16)]
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(crowd[n % 16].take, of, 1 + n % 9, limit) for n in range(480)]
            got = sum(each.result().places for each in asked)
        attempts.check(f"limit {limit}: {got}", held=got == limit)


def test_a_busy_process_asks_once_per_block_and_begins_anew_at_midnight(
    guard: Any, clock: FakeClock, attempts: Attempts
) -> None:
    texts = Texts(guard, "guard", clock)
    near = [texts.take(OF, 1, 10_000).near for _ in range(10_500)]
    item = guard.get_item(TableName="guard", Key={"pk": {"S": "texts#default#k#2025-01-15"}, "sk": {"S": "all"}})
    attempts.check("all are taken, none beyond", held=item["Item"]["taken"]["N"] == "10000")
    attempts.check("near is said once", held=sum(near) == 1)
    clock.set((clock.now_ms() // 86_400_000 + 1) * 86_400_000 - 1)
    attempts.check("a moment before midnight", held=texts.take(OF, 1, 10_000).places == 0)
    clock.advance(ms=1)
    attempts.check("at midnight", held=texts.take(OF, 1, 10_000).places == 1)


def test_numbers_and_countries_beyond_the_limit_are_rejected_one_by_one(
    ingest_harness: IngestHarness, attempts: Attempts
) -> None:
    status, body = ingest_harness.send(texts_to(*(abroad(n) for n in range(4)), *(home(n) for n in range(6))))
    assert status == 202
    for message in body["messages"]:
        kept = message["index"] in (0, 1, 4, 5, 6, 7)
        attempts.check(f"number {message['index']}", held=kept == (message["status"] == "accepted"))
        attempts.check("with its reason", held=kept or message["reason"] == "key_limit")
    assert "2025-01-16T00:00:00" in body["messages"][2]["detail"]
    for n in range(20):
        process(ingest_harness)
        number = abroad(n) if n % 2 else home(50 + n)
        attempts.check(f"{number} in another process", held=ingest_harness.send(texts_to(number))[0] == 422)


def test_a_repeat_takes_no_places_and_gets_the_same_answer(ingest_harness: IngestHarness, attempts: Attempts) -> None:
    wanted = texts_to(*(home(n) for n in range(4)))
    first = ingest_harness.send(wanted, idempotency_key="a")
    for _ in range(5):
        process(ingest_harness)
        attempts.check("a repeat", held=ingest_harness.send(wanted, idempotency_key="a") == first)
    more = texts_to(*(home(n) for n in range(10, 14)))
    status, body = ingest_harness.send(more, idempotency_key="b")
    attempts.check("two are left", held=(status, body["accepted"], body["rejected"]) == (202, 2, 2))
    attempts.check("the same in part", held=ingest_harness.send(more, idempotency_key="b") == (status, body))


def test_a_keys_own_limit_counts_and_test_keys_take_none(ingest_harness: IngestHarness, attempts: Attempts) -> None:
    key, _ = new_key(samples.NOW, "default", "shop", KeyKind.LIVE, [Scope.SEND], texts_per_day=1)
    ingest_harness.catalog.create_key(key, samples.change())
    ingest_harness.caller |= {"key_id": key.id}
    attempts.check("one", held=ingest_harness.send(texts_to(home(1)))[0] == 202)
    attempts.check("no second", held=ingest_harness.send(texts_to(home(2)))[0] == 422)
    ingest_harness.caller |= {"kind": "test"}
    attempts.check("a test key's is played", held=ingest_harness.send(texts_to(home(3)))[0] == 202)


def test_what_cannot_be_counted_is_not_accepted(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch, attempts: Attempts
) -> None:
    def down(*_: Any) -> None:
        raise out_of_reach("dynamodb")

    wanted = texts_to(home(1))
    with monkeypatch.context() as patched:
        patched.setattr(Texts, "_add", down)
        for headers in ({}, {"idempotency_key": "a"}):
            status, body = ingest_harness.send(wanted, **headers)
            attempts.check(json.dumps(body), held=status == 503)
    attempts.check("nothing is queued", held=not ingest_harness.envelopes("sms.verification"))
    attempts.check("the key is free", held=ingest_harness.send(wanted, idempotency_key="a")[0] == 202)


def places(ingest_harness: IngestHarness, which: str = "all", key: str = "k", date: str = "2025-01-15") -> int:
    item = {"pk": {"S": f"texts#default#{key}#{date}"}, "sk": {"S": which}}
    found = ingest_harness.aws.dynamodb.get_item(TableName=ingest_harness.aws.guard, Key=item, ConsistentRead=True)
    return int(found["Item"]["taken"]["N"]) if "Item" in found else 0


def test_what_may_fall_back_to_a_text_counts_whether_it_does_or_not(
    ingest_harness: IngestHarness, attempts: Attempts
) -> None:
    ingest_harness.add_template(samples.SMS, id="text")
    ingest_harness.add_template(id="mail", fallback=Fallback(template="text"))

    def mails(*numbers: str, **own: Any) -> dict[str, Any]:
        people = [{"to": f"u{n}@example.com", "fallback": {"sms": number}} for n, number in enumerate(numbers)]
        return {"template": "mail", "recipients": people, "variables": {"name": "n", "code": "1"}, **own}

    status, body = ingest_harness.send(mails(*(home(n) for n in range(8))))
    attempts.check("six may", held=(status, body["accepted"], body["rejected"]) == (202, 6, 2))
    refused = body["messages"][7]
    attempts.check("by its field", held=refused["field"] == "recipients.7.fallback.sms")
    attempts.check("with its reason", held=refused["reason"] == "key_limit")
    attempts.check("and what to do", held="or now without `fallback.sms`" in refused["detail"])
    attempts.check("no text in its stead", held=ingest_harness.send(texts_to(home(9)))[0] == 422)
    alone = {"template": "mail", "to": "u@example.com", "variables": {"name": "n", "code": "1"}}
    attempts.check("an email alone", held=ingest_harness.send(alone)[0] == 202)
    attempts.check("is not counted", held=places(ingest_harness) == 6)


def test_a_number_abroad_to_fall_back_to_counts_abroad(ingest_harness: IngestHarness, attempts: Attempts) -> None:
    ingest_harness.add_template(samples.SMS, id="text")
    ingest_harness.add_template(id="mail", fallback=Fallback(template="text"))
    for n in range(5):
        process(ingest_harness)
        person = {"to": f"u{n}@example.com", "fallback": {"sms": abroad(n)}}
        sent = ingest_harness.send(
            {"template": "mail", "recipients": [person], "variables": {"name": "n", "code": "1"}}
        )
        attempts.check(abroad(n), held=sent[0] == (202 if n < 2 else 422))


def settle(ingest_harness: IngestHarness, **changes: int) -> None:
    """Change the settings by another process."""
    elsewhere = Catalog(ingest_harness.aws.dynamodb, ingest_harness.aws.catalog, ingest_harness.clock)
    stored = elsewhere.load_settings("default")
    assert stored is not None
    changed = stored.value.model_copy(update={"version": stored.value.version + 1, **changes})
    elsewhere.save_settings("default", changed, stored.rev, samples.change())


def test_a_limit_that_is_raised_counts_at_once(ingest_harness: IngestHarness, attempts: Attempts) -> None:
    attempts.check("all", held=ingest_harness.send(texts_to(*(home(n) for n in range(7))))[1]["rejected"] == 1)
    settle(ingest_harness, texts_per_key_per_day=8)
    attempts.check("two more", held=ingest_harness.send(texts_to(home(10), home(11)))[1]["accepted"] == 2)
    attempts.check("no third", held=ingest_harness.send(texts_to(home(12)))[0] == 422)
    settle(ingest_harness, texts_per_key_per_day=20)
    body = ingest_harness.send(texts_to(*(abroad(n) for n in range(3))))[1]
    attempts.check("abroad stays", held=(body["accepted"], body["rejected"]) == (2, 1))
    settle(ingest_harness, texts_abroad_per_key_per_day=3)
    attempts.check("abroad, too", held=ingest_harness.send(texts_to(abroad(5)))[0] == 202)
    attempts.check("not beyond", held=ingest_harness.send(texts_to(abroad(6)))[0] == 422)
    attempts.check("each counts once", held=(places(ingest_harness), places(ingest_harness, "abroad")) == (11, 3))


def test_a_limit_that_is_lowered_counts_within_ten_seconds(ingest_harness: IngestHarness, attempts: Attempts) -> None:
    attempts.check("one", held=ingest_harness.send(texts_to(home(1)))[0] == 202)
    settle(ingest_harness, texts_per_key_per_day=1)
    ingest_harness.clock.advance(10)
    attempts.check("no second", held=ingest_harness.send(texts_to(home(2)))[0] == 422)
    # So a stolen key is stopped.
    settle(ingest_harness, texts_per_key_per_day=0)
    ingest_harness.clock.advance(10 + 86_400)
    attempts.check("nor tomorrow", held=ingest_harness.send(texts_to(home(3)))[0] == 422)


def test_alarms_are_told_once_near_and_at_each_refusal_and_name_no_number(
    ingest_harness: IngestHarness,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    attempts: Attempts,
) -> None:
    def told(sent: dict[str, Any]) -> list[dict[str, Any]]:
        capsys.readouterr()
        ingest_harness.send(sent)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]

    attempts.check("nothing at half", held=told(texts_to(home(1), home(2), home(3))) == [])
    [near] = told(texts_to(home(4)))
    attempts.check("near", held=near["KeyLimitNear"] == [1.0])
    attempts.check("not again", held=told(texts_to(home(5), home(6))) == [])
    for n in (7, 8):
        [reached] = told(texts_to(home(n)))
        attempts.check(f"reached {n}", held=reached["KeyLimitReached"] == [1.0])
        [metrics] = reached["_aws"]["CloudWatchMetrics"]
        attempts.check("as the alarm has it", held=sorted(metrics["Dimensions"][0]) == ["deployment", "service"])
        attempts.check("its values", held=(reached["deployment"], reached["service"]) == ("mepush", "ingest"))
    said = [(r.getMessage(), vars(r).get("key"), vars(r).get("tenant")) for r in caplog.records]
    attempts.check("the log names the key", held=("key limit near", "k", "default") in said)
    attempts.check("at each", held=said.count(("key limit reached", "k", "default")) == 2)
    attempts.check("no number", held=home(7)[-6:] not in logged(caplog.records))


class Killed(BaseException):
    """The process ends here."""


CRASHES = {
    "before places are taken": (Texts, "take", False),
    "before places are kept": (Idempotency, "keep", False),
    "once places are kept": (Idempotency, "keep", True),
    "before anything is queued": (Queues, "send", False),
    "once all is queued": (Queues, "send", True),
    "before the claim is marked": (Idempotency, "finish", False),
}
LOST_ONCE = {"before places are kept"}
"""Here nobody can know that there were any: they count as spent."""


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_loses_no_message_and_a_repeat_takes_places_once(
    ingest_harness: IngestHarness, where: str, monkeypatch: pytest.MonkeyPatch, attempts: Attempts
) -> None:
    of, name, after = CRASHES[where]
    real = getattr(of, name)

    def killed(*args: Any, **options: Any) -> Any:
        if after:
            real(*args, **options)
        raise Killed

    wanted = texts_to(home(1), abroad(1))
    with monkeypatch.context() as patched:
        patched.setattr(of, name, killed)
        with pytest.raises(Killed):
            ingest_harness.send(wanted, idempotency_key="a")
    had = {e.id for e in ingest_harness.envelopes("sms.verification")}
    process(ingest_harness)
    attempts.check("while somebody may be at it", held=ingest_harness.send(wanted, idempotency_key="a")[0] == 409)
    ingest_harness.clock.advance(30)
    status, body = ingest_harness.send(wanted, idempotency_key="a")
    attempts.check("all are accepted", held=(status, body["accepted"], body["rejected"]) == (202, 2, 0))
    found = {e.id for e in ingest_harness.envelopes("sms.verification")}
    attempts.check("under the same ids", held=len(found) == 1 and had in (set(), found))
    spent = 4 if where in LOST_ONCE else 2
    attempts.check(
        f"{places(ingest_harness)} places",
        held=(places(ingest_harness), places(ingest_harness, "abroad")) == (spent, spent // 2),
    )
    attempts.check("the same answer", held=ingest_harness.send(wanted, idempotency_key="a") == (status, body))
    attempts.check("and no more places", held=places(ingest_harness) == spent)


def test_places_that_a_crash_has_lost_are_there_again_on_the_next_day(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch, attempts: Attempts
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Queues, "send", killed)
        for _ in range(2):
            with pytest.raises(Killed):
                ingest_harness.send(texts_to(*(home(n) for n in range(3))))
    attempts.check("none today", held=ingest_harness.send(texts_to(home(1)))[0] == 422)
    ingest_harness.clock.set((ingest_harness.clock.now_ms() // 86_400_000 + 1) * 86_400_000)
    attempts.check("tomorrow", held=ingest_harness.send(texts_to(*(home(n) for n in range(6))))[1]["accepted"] == 6)


def test_a_repeat_on_the_next_day_gets_the_same_answer_and_takes_nothing_of_it(
    ingest_harness: IngestHarness, attempts: Attempts
) -> None:
    ingest_harness.clock.set((ingest_harness.clock.now_ms() // 86_400_000 + 1) * 86_400_000 - 1000)
    wanted = texts_to(*(home(n) for n in range(8)))
    first = ingest_harness.send(wanted, idempotency_key="a")
    attempts.check("in part", held=(first[1]["accepted"], first[1]["rejected"]) == (6, 2))
    ingest_harness.clock.advance(2)
    attempts.check("the same", held=ingest_harness.send(wanted, idempotency_key="a") == first)
    attempts.check("nothing of the new day", held=places(ingest_harness, date="2025-01-16") == 0)


def test_who_was_refused_whole_is_accepted_with_the_same_key_on_the_next_day(
    ingest_harness: IngestHarness, attempts: Attempts
) -> None:
    ingest_harness.send(texts_to(*(home(n) for n in range(6))))
    ingest_harness.clock.set((ingest_harness.clock.now_ms() // 86_400_000 + 1) * 86_400_000 - 1000)
    wanted = texts_to(home(10))
    attempts.check("refused", held=ingest_harness.send(wanted, idempotency_key="a")[0] == 422)
    attempts.check("again", held=ingest_harness.send(wanted, idempotency_key="a")[0] == 422)
    ingest_harness.clock.advance(2)
    attempts.check("accepted", held=ingest_harness.send(wanted, idempotency_key="a")[0] == 202)
    attempts.check("and queued", held=len(ingest_harness.envelopes("sms.verification")) == 2)
