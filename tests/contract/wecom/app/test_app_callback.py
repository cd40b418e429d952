"""Callbacks of WeCom: its own example, what our sandbox makes of its pages, and what others may try."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from local.sandbox.wecom import AGENT_ID, CORP_ID
from local.sandbox.wecom_callbacks import AES_KEY, TOKEN, Calling
from shared.model.clock import SystemClock
from shared.providers.callbacks import Answered, Asked, CallbackRefusedError, callback_of
from shared.providers.table import PROVIDERS
from shared.providers.wecom.app.crypto import decrypt
from shared.providers.wecom.app.events import Event

NOW_S = 1_780_000_000
SECRET = {"corp_secret": "s", "callback_token": TOKEN, "callback_aes_key": AES_KEY}
SETTINGS: dict[str, Any] = {"corp_id": CORP_ID, "agent_id": AGENT_ID}
WECOM = Calling(CORP_ID, AGENT_ID)

# The example that comes with WeCom's own libraries.
EXAMPLE_SECRET = {"callback_token": "QDG6eK", "callback_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"}
EXAMPLE_SETTINGS = {"corp_id": "wx5823bf96d3bd56c7", "agent_id": 218}
EXAMPLE_S = 1_409_659_589
EXAMPLE_QUERY = {
    "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
    "timestamp": str(EXAMPLE_S),
    "nonce": "263014780",
    "echostr": "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time, in seconds since the epoch; to be changed."""
    found = [NOW_S]
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: found[0] * 1000)
    return found


def answer(asked: Asked, secret: Mapping[str, str] = SECRET, settings: Mapping[str, Any] = SETTINGS) -> Answered:
    return callback_of(PROVIDERS["app"]).answer(asked, secret, settings)


def get(query: Mapping[str, str] | str) -> Asked:
    return Asked("GET", dict(parse_qsl(query)) if isinstance(query, str) else query, {}, b"")


def post(call: tuple[str, str]) -> Asked:
    return Asked("POST", dict(parse_qsl(call[0])), {}, call[1].encode())


def told(call: tuple[str, str], **settings: Any) -> list[Event]:
    answered = answer(post(call), settings=SETTINGS | settings)
    assert (answered.status, answered.body, answered.content_type) == (200, "", "text/plain")
    return [msgspec.json.decode(body, type=Event) for body in answered.arrived]


def test_wecoms_own_example_is_answered(now: list[int]) -> None:
    now[0] = EXAMPLE_S
    answered = answer(get(EXAMPLE_QUERY), EXAMPLE_SECRET, EXAMPLE_SETTINGS)
    assert answered == Answered("1616140317555161061", content_type="text/plain")


def test_a_plus_sign_that_became_a_blank_on_the_way_is_one_again(now: list[int]) -> None:
    now[0] = EXAMPLE_S
    query = EXAMPLE_QUERY | {"echostr": EXAMPLE_QUERY["echostr"].replace("+", " ")}
    assert answer(get(query), EXAMPLE_SECRET, EXAMPLE_SETTINGS).body == "1616140317555161061"


@pytest.mark.parametrize("length", range(0, 70, 3))
def test_a_text_of_any_length_comes_back(length: int) -> None:
    text = "企" * (length // 3) + "x" * (length % 3)
    assert answer(get(WECOM.question(text, NOW_S))).body == text


def test_what_is_pressed_is_told_with_what_we_use_of_it() -> None:
    fields = {"EventKey": "approve", "TaskId": "task-1", "CardType": "button_interaction", "ResponseCode": "R"}
    assert told(WECOM.event("template_card_event", NOW_S - 9, "ZhangSan", fields)) == [
        Event(
            event="template_card_event",
            at=(NOW_S - 9) * 1000,
            member="ZhangSan",
            task_id="task-1",
            key="approve",
            response_code="R",
        )
    ]


def test_answers_to_questions_within_a_card_are_not_kept() -> None:
    item = "<SelectedItem><QuestionKey>q</QuestionKey><EventKey>no</EventKey></SelectedItem>"
    chosen = f"<SelectedItems>{item}</SelectedItems>"
    xml = (
        f"<xml>{chosen}<MsgType>event</MsgType><Event>template_card_event</Event><CreateTime>{NOW_S}</CreateTime>"
        "<EventKey>submit</EventKey><EventKey>again</EventKey><TaskId>t&amp;1</TaskId></xml>"
    )
    [event] = told(WECOM.message(xml, NOW_S))
    assert (event.key, event.task_id) == ("submit", "t&1")


@pytest.mark.parametrize("name", ["enter_agent", "click", "view", "LOCATION", "subscribe", "change_contact", "new_one"])
def test_events_that_say_nothing_to_us_go_nowhere(name: str) -> None:
    assert told(WECOM.event(name, NOW_S, "a")) == []


def test_what_members_write_goes_nowhere() -> None:
    text = "<MsgType>text</MsgType><Event>unsubscribe</Event><Content>a &lt;!DOCTYPE&gt;</Content>"
    xml = f"<xml>{text}<CreateTime>{NOW_S}</CreateTime></xml>"
    assert told(WECOM.message(xml, NOW_S)) == []


def test_events_of_another_app_with_the_same_url_are_not_ours() -> None:
    call = WECOM.event("unsubscribe", NOW_S, "a")
    assert len(told(call)) == 1
    assert told(call, agent_id=AGENT_ID + 1) == []


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
@pytest.mark.parametrize("value", ["", "x", "1780000001", "ü", "\udc80"])
def test_what_is_not_signed_so_is_refused(name: str, value: str) -> None:
    asked = post(WECOM.event("unsubscribe", NOW_S, "a"))
    with pytest.raises(CallbackRefusedError, match="signature"):
        answer(msgspec.structs.replace(asked, query={**asked.query, name: value}))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Calling(CORP_ID, AGENT_ID, token="another"), "callback_token"),
        (Calling(CORP_ID, AGENT_ID, aes_key=AES_KEY[::-1]), "callback_aes_key"),
        (Calling("ww-another-corp", AGENT_ID), "another corporation"),
        (Calling(f"{CORP_ID}x", AGENT_ID), "another corporation"),
        (Calling("", AGENT_ID), "another corporation"),
    ],
    ids=["token", "key", "corporation", "a longer one", "none"],
)
def test_who_knows_one_thing_less_is_refused(other: Calling, why: str) -> None:
    for asked in (get(other.question("1", NOW_S)), post(other.event("unsubscribe", NOW_S, "a"))):
        with pytest.raises(CallbackRefusedError, match=why) as caught:
            answer(asked)
        # A wrong key cannot be told from rubbish, if what it gives has no corporation in it.
        assert caught.value.status in ((400, 403) if why == "callback_aes_key" else (403,))


@pytest.mark.parametrize(("late_s", "good"), [(0, True), (3600, True), (3601, False), (-3600, True), (-3601, False)])
def test_what_was_signed_more_than_an_hour_ago_is_refused(now: list[int], late_s: int, good: bool) -> None:
    call = WECOM.event("unsubscribe", NOW_S, "a")
    now[0] += late_s
    if good:
        assert len(told(call)) == 1
    else:
        with pytest.raises(CallbackRefusedError, match="hour"):
            answer(post(call))


@pytest.mark.parametrize("missing", ["callback_token", "callback_aes_key"])
def test_an_account_without_the_two_is_told_so(missing: str) -> None:
    with pytest.raises(CallbackRefusedError, match="callback_token"):
        answer(get(WECOM.question("1", NOW_S)), {k: v for k, v in SECRET.items() if k != missing})


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Event>&b;</Event></xml>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Event>&a;</Event></xml>'
DEEP = "<xml>" + "<a>" * 50 + "</a>" * 50 + "</xml>"


@pytest.mark.parametrize("xml", [BOMB, OUTSIDE, DEEP, "", "<xml>", "no xml", "<xml>&nbsp;</xml>", "\ufeff", "<a/><b/>"])
def test_xml_that_is_none_or_declares_something_is_refused_inside_and_outside(xml: str) -> None:
    with pytest.raises(CallbackRefusedError):
        answer(post(WECOM.message(xml, NOW_S)))
    with pytest.raises(CallbackRefusedError):
        answer(post((WECOM.message("<xml/>", NOW_S)[0], xml)))


@pytest.mark.parametrize("time", ["", "now", "-1", "1" * 13, "１"])
def test_an_event_without_a_time_is_refused(time: str) -> None:
    xml = f"<xml><MsgType>event</MsgType><Event>unsubscribe</Event><CreateTime>{time}</CreateTime></xml>"
    with pytest.raises(CallbackRefusedError, match="time"):
        answer(post(WECOM.message(xml, NOW_S)))


def _encrypted(plain: bytes) -> str:
    key = base64.b64decode(AES_KEY + "=")
    encryptor = Cipher(AES256(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


@pytest.mark.parametrize(
    "encrypted",
    [
        "",
        "A",
        "AAAA",
        "é",
        _encrypted(b""),
        _encrypted(b"\0" * 32),
        _encrypted(b"\x21" * 64),
        _encrypted(b"r" * 16 + b"\xff\xff\xff\xff" + b"x" * 11 + b"\x01"),
        _encrypted(b"r" * 16 + b"\x00\x00\x00\x0c" + b"x" * 11 + b"\x01"),
        _encrypted(b"\x20" * 32),
        _encrypted(b"r" * 12 + b"\x04\x04\x04\x04"),
        _encrypted(b"r" * 30 + b"\x01\x02"),
    ],
)
def test_what_is_encrypted_badly_is_refused_and_never_breaks(encrypted: str) -> None:
    with pytest.raises(CallbackRefusedError):
        decrypt(AES_KEY, encrypted, CORP_ID)


def test_padding_of_up_to_32_bytes_is_taken_off() -> None:
    body = b"r" * 16 + (12 - len("x")).to_bytes(4) + b"x" * 11 + b"corp" + b"\x1d" * 29
    assert len(body) == 64
    assert decrypt(AES_KEY, _encrypted(body), "corp") == b"x" * 11


@pytest.mark.parametrize("key", ["", "short", "!" * 43, "é" * 43, AES_KEY + "A"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(CallbackRefusedError):
        decrypt(key, WECOM.encrypted(b"x"), CORP_ID)


def test_a_refusal_says_nothing_of_what_came() -> None:
    refusals = []
    for call in (Calling("ww-secret-corp", AGENT_ID), Calling(CORP_ID, AGENT_ID, token="secretToken")):
        with pytest.raises(CallbackRefusedError) as caught:
            answer(post(call.event("unsubscribe", NOW_S, "secret.member")))
        refusals.append(str(caught.value))
    assert not re.search("secret|ww", " ".join(refusals))
