"""A stolen key sends so many texts a day and no more, whatever numbers, countries and processes it takes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.ingest.texts import TextLimits
from shared.api.kit import Api
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, Scope
from shared.store.bootstrap import new_key
from shared.store.texts import Of, Texts
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.test_ingest import Desk, add_code
from tests.memory import tables
from tests.security.attempts import Attempts

OF = Of("default", "k", "all")


@pytest.fixture
def guard(clock: FakeClock) -> Iterator[Any]:
    with tables(clock, "guard") as dynamodb:
        yield dynamodb


@pytest.fixture
def desk(aws: Aws, clock: FakeClock) -> Desk:
    made = Desk(aws, clock)
    add_code(made)
    settings = TenantSettings(
        version=1, countries=["CN", "HK", "GB"], texts_per_key_per_day=6, texts_abroad_per_key_per_day=2
    )
    made.catalog.save_settings("default", settings, None, samples.change())
    return made


def process(desk: Desk) -> None:
    """Another process takes over: what the one before had by itself is gone."""
    aws, clock = desk.aws, desk.clock
    texts = Texts(aws.dynamodb, aws.guard, clock)
    metrics = EphemeralMetrics(namespace="mePush", service="ingest")
    desk.ingest = replace(desk.ingest, limits=TextLimits(desk.catalog, texts, metrics, clock, "mepush"))
    desk.api = Api({"send_messages": desk.ingest.send_messages})


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


def test_numbers_and_countries_beyond_the_limit_are_rejected_one_by_one(desk: Desk, attempts: Attempts) -> None:
    status, body = desk.send(texts_to(*(abroad(n) for n in range(4)), *(home(n) for n in range(6))))
    assert status == 202
    for message in body["messages"]:
        kept = message["index"] in (0, 1, 4, 5, 6, 7)
        attempts.check(f"number {message['index']}", held=kept == (message["status"] == "accepted"))
        attempts.check("with its reason", held=kept or message["reason"] == "key_limit")
    assert "2025-01-16T00:00:00" in body["messages"][2]["detail"]
    for n in range(20):
        process(desk)
        number = abroad(n) if n % 2 else home(50 + n)
        attempts.check(f"{number} in another process", held=desk.send(texts_to(number))[0] == 422)


def test_a_repeat_takes_no_places_and_gets_the_same_answer(desk: Desk, attempts: Attempts) -> None:
    wanted = texts_to(*(home(n) for n in range(4)))
    first = desk.send(wanted, idempotency_key="a")
    for _ in range(5):
        process(desk)
        attempts.check("a repeat", held=desk.send(wanted, idempotency_key="a") == first)
    more = texts_to(*(home(n) for n in range(10, 14)))
    status, body = desk.send(more, idempotency_key="b")
    attempts.check("two are left", held=(status, body["accepted"], body["rejected"]) == (202, 2, 2))
    attempts.check("the same in part", held=desk.send(more, idempotency_key="b") == (status, body))


def test_a_keys_own_limit_counts_and_test_keys_take_none(desk: Desk, attempts: Attempts) -> None:
    key, _ = new_key(samples.NOW, "default", "shop", KeyKind.LIVE, [Scope.SEND], texts_per_day=1)
    desk.catalog.create_key(key, samples.change())
    desk.caller |= {"key_id": key.id}
    attempts.check("one", held=desk.send(texts_to(home(1)))[0] == 202)
    attempts.check("no second", held=desk.send(texts_to(home(2)))[0] == 422)
    desk.caller |= {"kind": "test"}
    attempts.check("a test key's is played", held=desk.send(texts_to(home(3)))[0] == 202)


def test_what_cannot_be_counted_is_not_accepted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, attempts: Attempts
) -> None:
    def down(*_: Any) -> None:
        raise RuntimeError

    wanted = texts_to(home(1))
    with monkeypatch.context() as patched:
        patched.setattr(Texts, "_add", down)
        for headers in ({}, {"idempotency_key": "a"}):
            status, body = desk.send(wanted, **headers)
            attempts.check(json.dumps(body), held=status == 503)
    attempts.check("nothing is queued", held=not desk.envelopes("sms.verification"))
    attempts.check("the key is free", held=desk.send(wanted, idempotency_key="a")[0] == 202)
