"""Tencent Cloud's callbacks: what is answered, and what goes on the queue of it."""

import json
from typing import Any

import pytest

from shared.model.wire import UnreadableError
from shared.providers.callbacks import MAX_ARRIVED_BYTES, Answered, Asked, CallbackRefusedError, callback_of
from shared.providers.table import PROVIDERS
from tests.contract.sms.tencent.test_tencent_receipts import ANSWER, SUCCESS, read

TAKEN = '{"result":0,"errmsg":"OK"}'


def call(body: Any, method: str = "POST") -> Answered:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    asked = Asked(method=method, query={}, headers={"content-type": "application/x-www-form-urlencoded"}, body=raw)
    return callback_of(PROVIDERS["tencent"]).answer(asked, {}, {"sdk_app_id": "1400006666"})


def test_no_secret_is_needed() -> None:
    assert PROVIDERS["tencent"].callback
    assert not PROVIDERS["tencent"].callback_needs_secret


def test_reports_are_answered_as_the_vendor_wants_and_go_on_as_they_came() -> None:
    answered = call([SUCCESS])
    assert (answered.status, answered.content_type, answered.body) == (200, "application/json", TAKEN)
    (body,) = answered.arrived
    assert json.loads(body) == [SUCCESS]
    assert call([]).arrived == ()


def test_a_burst_of_a_thousand_reports_goes_on_in_pieces_that_fit() -> None:
    entries = [{**SUCCESS, "sid": f"5000:{i}"} for i in range(1000)]
    answered = call(entries)
    assert answered.body == TAKEN
    assert len(answered.arrived) == 10
    assert all(len(body.encode()) < MAX_ARRIVED_BYTES for body in answered.arrived)
    assert [found.provider_id for body in answered.arrived for found in read(body)] == [e["sid"] for e in entries]


@pytest.mark.parametrize("odd", [7, None, {}, {"mobile": "13800138000"}, {**SUCCESS, "sid": None}])
def test_what_cannot_be_read_keeps_nothing_else_back(odd: object) -> None:
    good, bad = call([SUCCESS, odd, SUCCESS]).arrived
    assert len(read(good)) == 2
    assert json.loads(bad) == [odd]
    with pytest.raises(UnreadableError):
        read(bad)


def test_of_an_answer_only_that_somebody_wants_no_more_goes_on() -> None:
    answered = call({**ANSWER, "text": " ｔｄ "})
    assert answered.body == TAKEN
    (body,) = answered.arrived
    assert json.loads(body) == {
        "mobile": "13800138000",
        "nationcode": "86",
        "sign": "腾讯云",
        "time": 1457336869,
        "text": "R",
    }
    assert len(read(body)) == 1
    assert call(ANSWER) == Answered(TAKEN)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[", b'{"mobile"', b"null", b'"R"', {}, {"text": "R"}, b"[" * 100_000], ids=range(9)
)
def test_what_is_neither_is_refused_without_a_word_of_it(body: Any) -> None:
    with pytest.raises(CallbackRefusedError) as caught:
        call(body)
    assert str(caught.value) in {"no JSON", "neither reports nor an answer"}


def test_nothing_is_read_that_was_not_posted() -> None:
    with pytest.raises(CallbackRefusedError):
        call([SUCCESS], "GET")
