"""What the Tencent Cloud sandbox calls back, as the vendor's documents show it."""

import json
from typing import Any

import pytest

from local.sandbox.base import Callback
from local.sandbox.tencent_receipts import PLAYERS
from shared.providers.base import Provider
from tests.contract.sms.support import message
from tests.contract.sms.tencent.support import ABROAD, APP, ONE, TWO, Sandbox
from tests.contract.sms.tencent.test_tencent_receipts import ANSWER, SUCCESS

URL = "http://localhost/callbacks/default/sms/TOKEN"


@pytest.fixture
def called(sandbox: Sandbox) -> list[tuple[Callback, float]]:
    """What the sandbox calls back, and in how many seconds."""
    made: list[tuple[Callback, float]] = []
    sandbox.call_back = lambda callback, after_s: made.append((callback, after_s))
    sandbox.callback_urls[APP] = URL
    return made


def bodies(called: list[tuple[Callback, float]]) -> list[Any]:
    return [json.loads(callback.body) for callback, _ in called]


def test_reports_have_the_documented_fields_and_come_together(
    provider: Provider, called: list[tuple[Callback, float]]
) -> None:
    provider.send([message(ONE), message(TWO)])
    [(callback, after_s)] = called
    assert (callback.url, callback.content_type, callback.tries, after_s) == (URL, "application/json", 3, 2)
    [reports] = bodies(called)
    assert [each["mobile"] for each in reports] == [ONE[3:], TWO[3:]]
    assert all(each.keys() == SUCCESS.keys() for each in reports)
    assert {each["nationcode"] for each in reports} == {"86"}
    assert callback.good(200, b'{"result":0,"errmsg":"OK"}')
    assert not any(callback.good(*answer) for answer in ((200, b"OK"), (200, b'{"result":1}'), (503, b'{"result":0}')))


def test_at_most_a_hundred_reports_come_at_once(provider: Provider, called: list[tuple[Callback, float]]) -> None:
    provider.send([message(f"+86138{i:08d}") for i in range(150)])
    assert [len(each) for each in bodies(called)] == [100, 50]


def test_our_id_is_told_where_support_has_switched_it_on(
    sandbox: Sandbox, provider: Provider, called: list[tuple[Callback, float]]
) -> None:
    sandbox.records.tells_context = True
    sent = message(ONE)
    provider.send([sent])
    assert bodies(called)[0][0]["ext"] == sent.message_id


def test_players_answer_and_fail_as_their_numbers_say(provider: Provider, called: list[tuple[Callback, float]]) -> None:
    for end in ("002001", "000001", "001002", "000000"):
        provider.send([message(PLAYERS[:-1] + end)])
    answer = next(body for body in bodies(called) if isinstance(body, dict))
    assert answer.keys() == ANSWER.keys()
    assert answer["text"] == "R"
    told = [each for body in bodies(called) if isinstance(body, list) for each in body]
    assert [(each["mobile"][-4:], each["errmsg"]) for each in told] == [
        ("2001", "DELIVRD"),
        ("0001", "MK:0001"),
        ("1002", "DELIVRD"),
        ("1002", "DELIVRD"),
    ]


def test_nothing_is_called_back_of_what_was_not_taken_or_where_no_url_is(
    sandbox: Sandbox, provider: Provider, called: list[tuple[Callback, float]]
) -> None:
    provider.send([message(ABROAD[:-9])])
    assert called == []
    sandbox.callback_urls.clear()
    provider.send([message(ONE)])
    assert called == []
