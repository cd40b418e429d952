"""Verifications on the local stack: sent by each channel, checked, and the code is in nothing that AWS is asked."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.stack import LocalStack
from mepush.main import app
from tests.e2e.verifying import Site

pytestmark = pytest.mark.xdist_group("local-stack")

numbers = count(1)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with LocalStack(threads=False, memory=True) as stack, closing(Site(stack)) as it:
        yield it


@pytest.fixture
def phone() -> str:
    return f"+86138{next(numbers):08d}"


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def test_who_enters_the_code_is_approved_once_and_the_timeline_says_so(site: Site, phone: str) -> None:
    started = site.start(phone)
    assert (started["status"], started["channel"], started["checks_left"]) == ("pending", "sms", 5)
    [code] = site.codes(phone)
    assert site.check(started["id"], wrong(code)) == ("wrong", 4)
    assert site.check(started["id"], f" {code[:3]} {code[3:]} ") == ("approved", 0)
    assert site.check(started["id"], code) == ("used", 0)
    shown = site.get(f"/v1/verifications/{started['id']}")
    assert shown["status"] == "approved" and shown["decided_at"] is not None
    message = site.get(f"/v1/messages/{started['id']}")
    assert message["status"] == "verified"
    assert [event["stage"] for event in message["timeline"]].count("verified") == 1
    stats = site.get("/v1/stats/templates/code")
    assert stats["stages"]["verified"] >= 1


def test_the_code_is_in_nothing_that_aws_is_asked(site: Site, phone: str) -> None:
    site.asked.clear()
    started = site.start(phone, length=8 - 2)
    [code] = site.codes(phone)
    site.check(started["id"], wrong(code))
    site.check(started["id"], code)
    assert len(site.asked) > 10
    assert [asked for asked in site.asked if re.search(rf"(?<!\d){code}(?!\d)", asked)] == []


def test_the_fifth_wrong_code_locks_it(site: Site, phone: str) -> None:
    started = site.start(phone)
    [code] = site.codes(phone)
    assert [site.check(started["id"], wrong(code)) for _ in range(5)] == [("wrong", n) for n in (4, 3, 2, 1, 0)]
    assert site.check(started["id"], code) == ("locked", 0)
    again = site.start(phone)
    assert again["id"] != started["id"]
    assert site.check(again["id"], site.codes(phone)[-1]) == ("approved", 0)


def test_asked_again_the_same_code_is_sent_by_the_next_channel_if_that_is_asked(site: Site, phone: str) -> None:
    mail = f"{phone[1:]}@example.com"
    started = site.start(phone)
    again = site.start(phone, channel="email", fallback={"email": mail})
    assert again["id"] == started["id"] and again["message_id"] != started["message_id"]
    assert again["messages"] == [started["message_id"], again["message_id"]]
    [code], [mailed] = site.codes(phone), site.codes(mail)
    assert code == mailed
    assert "good for 10 minutes" in str(site.got(mail)[0].data)
    assert site.check(started["id"], code) == ("approved", 0)
    assert site.get(f"/v1/messages/{again['message_id']}")["status"] == "verified"


def test_a_text_that_fails_falls_back_with_the_same_code(site: Site, phone: str) -> None:
    site.stack.faults.add(
        FaultInput(provider="tencent", kind="code", code="FailedOperation.PhoneNumberInBlacklist", to=phone)
    )
    mail = f"{phone[1:]}@example.com"
    started = site.start(phone, fallback={"email": mail})
    assert site.codes(phone) == []
    [code] = site.codes(mail)
    assert site.check(started["id"], code) == ("approved", 0)


def test_a_sixth_code_in_ten_minutes_is_refused_with_when_to_come_again(site: Site, phone: str) -> None:
    for _ in range(5):
        site.start(phone)
    assert len(set(site.codes(phone))) == 1
    refused = site.post("/v1/verifications", {"to": phone, "template": "code", "purpose": "login"})
    assert refused.status_code == 429 and 590 <= int(refused.headers["retry-after"]) <= 600
    assert phone not in refused.text
    site.stack.clock.advance(600)
    assert site.start(phone)["status"] == "pending"


def test_it_expires_and_the_message_is_not_sent_after_its_time(site: Site, phone: str) -> None:
    started = site.start(phone, valid_minutes=1)
    [code] = site.codes(phone)
    site.stack.clock.advance(60)
    assert site.check(started["id"], code) == ("expired", 0)


def test_what_it_is_bound_to_must_be_the_same(site: Site, phone: str) -> None:
    started = site.start(phone, bind="session-1")
    [code] = site.codes(phone)
    assert site.check(started["id"], code, bind="session-2") == ("wrong", 4)
    assert site.check(started["id"], code) == ("wrong", 3)
    assert site.check(started["id"], code, bind="session-1") == ("approved", 0)


def test_a_repeat_under_its_key_sends_nothing_again(site: Site, phone: str) -> None:
    first = site.start(phone, headers={"Idempotency-Key": f"k{phone}"})
    second = site.start(phone, headers={"Idempotency-Key": f"k{phone}"})
    assert (first["id"], first["message_id"]) == (second["id"], second["message_id"])
    assert len(site.codes(phone)) == 1
    other = {"to": phone, "template": "code", "purpose": "payment"}
    answer = site.post("/v1/verifications", other, **{"Idempotency-Key": f"k{phone}"})
    assert answer.status_code == 422 and "Idempotency-Key" in answer.text


def test_a_cancelled_one_counts_no_more(site: Site, phone: str) -> None:
    started = site.start(phone)
    assert site.call(f"/v1/verifications/{started['id']}/cancel", {})["status"] == "cancelled"
    assert site.check(started["id"], site.codes(phone)[-1]) == ("cancelled", 0)
    approved = site.start(phone)
    site.check(approved["id"], site.codes(phone)[-1])
    assert site.post(f"/v1/verifications/{approved['id']}/cancel", {}).status_code == 409


def test_the_recipients_language_picks_the_template(site: Site) -> None:
    mail = f"li{next(numbers)}@example.com"
    started = site.start(mail, template="code-mail", locale="zh-CN")
    assert started["template"] == "code-mail-zh"
    assert "您的验证码是" in str(site.got(mail)[0].data)
    assert site.start(mail, template="code-mail", locale="fr", purpose="other")["template"] == "code-mail"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"to": "nonsense"}, "to", "number"),
        ({"template": "missing"}, "template", "no template"),
        ({"variables": {"code": "123456"}}, "variables.code", "leave it out"),
        ({"variables": {"extra": "1"}}, "variables.extra", "leave it out"),
        ({"length": 8}, "length", "6 digits"),
        ({"length": 3}, "length", "4"),
        ({"channel": "wecom"}, "channel", "does not fall back"),
        ({"channel": "email"}, "fallback.email", "address"),
        ({"purpose": "Sign In"}, "purpose", ""),
        ({"valid_minutes": 61}, "valid_minutes", "60"),
    ],
)
def test_what_is_wrong_is_named(site: Site, body: dict[str, Any], field: str, words: str) -> None:
    asked = {"to": "+8613900000001", "template": "code", "purpose": "login", **body}
    answer = site.post("/v1/verifications", asked)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field and words in error["message"]


def test_unknown_ids_and_those_of_other_keys_are_not_found(site: Site, phone: str) -> None:
    started = site.start(phone)
    for id in ("0" * 42, "x", started["id"][:-1] + "!", started["id"][:26] + "0" * 16):
        assert site.post(f"/v1/verifications/{id}/check", {"code": "1"}).status_code == 404
    test_key = site.call("/v1/keys", {"name": "t", "kind": "test", "scopes": ["send"]})["key"]
    assert site.post(f"/v1/verifications/{started['id']}/check", {"code": "1"}, test_key).status_code == 403


def test_a_test_key_plays_every_answer_and_sends_nothing(site: Site, phone: str) -> None:
    key = site.call("/v1/keys", {"name": "t", "kind": "test", "scopes": ["send", "read"]})["key"]
    started = site.call("/v1/verifications", {"to": phone, "template": "code", "purpose": "login"}, key)
    site.stack.drain()
    assert site.got(phone) == []
    played = {}
    for digit in "023451":
        answer = site.call(f"/v1/verifications/{started['id']}/check", {"code": digit * 6}, key)
        played[digit] = answer["result"]
    assert played == dict(zip("012345", ["wrong", "approved", "expired", "locked", "used", "cancelled"], strict=True))
    shown = site.api.get(f"/v1/verifications/{started['id']}", headers={"Authorization": f"Bearer {key}"}).json()
    assert shown["status"] == "approved"


def test_a_check_takes_two_requests_right_or_wrong(site: Site, phone: str) -> None:
    started = site.start(phone)
    [code] = site.codes(phone)
    site.check(started["id"], wrong(code))
    counted = []
    for entered in (wrong(code), code):
        site.requests.clear()
        site.call(f"/v1/verifications/{started['id']}/check", {"code": entered})
        counted.append([each for each in site.requests])
        site.stack.drain()
    # An approval is counted by the write that approves.
    assert counted == [["GetItem", "UpdateItem"], ["GetItem", "TransactWriteItems"]]


def test_by_the_command(site: Site, phone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPUSH_URL", site.stack.url)
    monkeypatch.setenv("MEPUSH_KEY", site.key)

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["verify", *words])
        assert result.exit_code == code, result.output
        site.stack.drain()
        return result.output

    shown = run("start", phone, "--template", "code", "--bind", "terminal").splitlines()
    id = shown[0].removeprefix("verification ").removesuffix(": pending")
    [code] = site.codes(phone)
    assert run("check", id, wrong(code), "--bind", "terminal", code=1).startswith("wrong (4 left): ")
    assert run("check", id, code, code=1).startswith("wrong (3 left): ")
    assert run("check", id, code, "--bind", "terminal").startswith("approved: ")
    assert "decided" in run("show", id)
    again = run("start", phone, "--template", "code", "--fallback", f"email=a{phone[1:]}@example.com", "--json")
    assert '"pending"' in again
    other = again.partition('"id": "')[2].partition('"')[0]
    assert "cancelled" in run("cancel", other)
    assert "number" in run("start", "x", "--template", "code", code=1)
