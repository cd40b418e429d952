"""Fallback of sent messages on the whole local stack: a WeCom card waits to be acknowledged, a text to be delivered."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.faults import FaultInput
from local.sandbox.aws_sms_receipts import NUMBERS
from local.seed import EXAMPLES, account_body
from local.stack import LocalStack
from mepush.files.accounts import read_accounts
from tests.e2e.test_receipts_wecom import CONTENT, App

pytestmark = pytest.mark.xdist_group("local-stack")

ARRIVES, COMES_BACK = NUMBERS["delivered"], NUMBERS["invalid"]
MINUTES = 20
TEXTS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "email": ("mail-ses", {"type": "email", "subject": "Disk full", "text": "Look at it."}, None),
    "sms": ("sms-aws", {"type": "sms", "text": "Disk full"}, {"template": "email", "until": "delivered"}),
}
CARD = {"template": "sms", "after_minutes": MINUTES, "until": "acknowledged"}


class Alarms(App):
    """Sends alarms by a card, which falls back to a text, and that to an email."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.patch("/v1/settings", {"countries": ["CN", "GB", "US"]})
        for name, (account, content, fallback) in TEXTS.items():
            [entry] = read_accounts(EXAMPLES / "accounts.toml", account)
            self.post("/v1/accounts", account_body(entry, stack.sandboxes))
            self._add(name, account, content, fallback)
        self._add("card", "wecom-app", {**CONTENT, "taken": "Taken by {member} at {time}"}, CARD)

    def _add(self, name: str, account: str, content: dict[str, Any], fallback: dict[str, Any] | None) -> None:
        template = {"id": name, "name": name, "class": "notification", "accounts": [account], "fallback": fallback}
        self.post("/v1/templates", {**template, "content": content})
        self.post(f"/v1/templates/{name}/versions/1/publish", {})

    def alarm(self, member: str, sms: str, email: str) -> str:
        """Send an alarm, and have all happen that does at once; returns the first message's id."""
        person = {"to": member, "fallback": {"sms": sms, "email": email}}
        answer = self.post("/v1/messages", {"template": "card", "recipients": [person]})
        self.stack.drain(until_due=True, horizon_s=60)
        return str(answer["messages"][0]["message_id"])

    def shown(self, member: str) -> str | None:
        """What the buttons of a member's last card have become."""
        [card] = self.stack.outbox.all("app", member)[-1:]
        return card.data.get("buttons_became")

    def after(self, minutes: float) -> None:
        """Have all happen that does in so many minutes."""
        until = self.stack.clock.now_ms() + 60_000 * minutes
        self.stack.drain(until_due=True, horizon_s=60 * minutes)
        self.stack.clock.advance(max(0.0, (until - self.stack.clock.now_ms()) / 1000))

    def chain(self, message_id: str) -> list[dict[str, Any]]:
        """A message, and those that took its place."""
        found = [self.message(message_id)]
        while other := found[-1]["falls_back_to"]:
            found.append(self.message(other["message_id"]))
        assert [each["fallback_of"] for each in found] == [None, *(each["message_id"] for each in found[:-1])]
        assert self.get("/v1/balance")["in_flight"] == 0
        return found


@pytest.fixture(scope="module")
def alarms() -> Iterator[Alarms]:
    with LocalStack(threads=False, memory=True) as stack, closing(Alarms(stack)) as it:
        yield it


def ends(chain: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["channel"], each["status"]) for each in chain]


def story(message: dict[str, Any]) -> list[str]:
    return [event["stage"] for event in message["timeline"]]


def test_a_card_that_nobody_takes_becomes_a_text_and_that_an_email(alarms: Alarms) -> None:
    id = alarms.alarm("nora", COMES_BACK, "nora@example.com")
    [card] = alarms.chain(id)
    assert ends([card]) == [("wecom", "sent")]
    assert "It falls back to sms (template sms) if it is not acknowledged by " in card["timeline"][-1]["text"]
    alarms.after(MINUTES - 2)
    assert len(alarms.chain(id)) == 1, "it has time yet"
    alarms.after(10)
    card, text, email = alarms.chain(id)
    assert ends([card, text, email]) == [("wecom", "sent"), ("sms", "undelivered"), ("email", "delivered")]
    assert story(card) == ["accepted", "sent", "fell_back"]
    assert "Nobody acknowledged it in the minutes" in card["timeline"][-1]["text"]
    assert f"It falls back to message {text['message_id']} by sms" in card["timeline"][-1]["text"]
    assert sorted(story(text)) == ["accepted", "fell_back", "sent", "undelivered"]
    assert f"It takes the place of message {card['message_id']}." in text["timeline"][0]["text"]
    # Somebody presses the card all the same: both timelines say what happened.
    assert alarms.press("nora", "approve") == (200, "")
    card = alarms.message(id)
    assert card["status"] == "acknowledged" and story(card)[-3:] == ["fell_back", "clicked", "acknowledged"]
    assert "How: approve, by no***." in card["timeline"][-1]["text"]
    assert len(alarms.chain(id)) == 3


def test_what_is_taken_in_time_goes_nowhere_else(alarms: Alarms) -> None:
    before = alarms.stack.outbox.count()
    id = alarms.alarm("omar", ARRIVES, "omar@example.com")
    alarms.press("omar", "approve")
    alarms.after(2 * MINUTES)
    assert ends(alarms.chain(id)) == [("wecom", "acknowledged")]
    assert alarms.stack.outbox.count() == before + 1


def test_a_card_that_somebody_takes_says_so_to_all_who_have_it(alarms: Alarms) -> None:
    team = ("sam", "tara", "uma")
    people = [{"to": each, "fallback": {"sms": ARRIVES, "email": f"{each}@example.com"}} for each in team]
    answer = alarms.post("/v1/messages", {"template": "card", "recipients": people})
    alarms.stack.drain(until_due=True, horizon_s=60)
    assert [alarms.shown(each) for each in team] == [None] * 3
    alarms.stack.faults.add(FaultInput(provider="app", kind="status", status=502, at="message/update_template_card"))
    # WeCom tells whole seconds.
    alarms.stack.clock.advance(1)
    pressed = datetime.fromtimestamp(alarms.stack.clock.now(), ZoneInfo("Asia/Shanghai"))
    alarms.press("tara", "approve")
    alarms.after(2 * MINUTES)
    [shown] = {alarms.shown(each) for each in team}
    assert shown in {f"Taken by tara at {pressed + timedelta(minutes=m):%H:%M}" for m in range(2)}
    # Nobody else needs another message: none can press the card any more.
    for message in answer["messages"]:
        assert ends(alarms.chain(message["message_id"])) == [("wecom", "acknowledged")]
        last = alarms.message(message["message_id"])["timeline"][-1]
        assert last["stage"] == "acknowledged" and "by ta***" in last["text"]


def test_a_text_that_arrives_ends_it(alarms: Alarms) -> None:
    id = alarms.alarm("pia", ARRIVES, "pia@example.com")
    alarms.after(MINUTES + 10)
    assert ends(alarms.chain(id)) == [("wecom", "sent"), ("sms", "delivered")]


def test_who_is_recalled_gets_nothing_more(alarms: Alarms) -> None:
    early, late = (alarms.alarm(name, ARRIVES, f"{name}@example.com") for name in ("quinn", "rosa"))
    alarms.post(f"/v1/messages/{early}/recall", {})
    alarms.after(MINUTES + 10)
    assert [story(each)[-1] for each in alarms.chain(early)] == ["withdrawn"]
    # Too late for the other message: the recall finds it, and says so.
    answer = alarms.post(f"/v1/messages/{late}/recall", {})
    assert [each["result"] for each in answer["messages"]] == ["withdrawn", "too_late"]


def test_a_test_key_plays_it(alarms: Alarms) -> None:
    key = alarms.post("/v1/keys", {"name": "CI", "kind": "test", "scopes": ["send", "read"]})["key"]
    live = alarms._http.headers["Authorization"]
    before = alarms.stack.outbox.count()
    alarms._http.headers["Authorization"] = f"Bearer {key}"
    try:
        id = alarms.alarm("delivered", "+447400900002", "delivered@example.com")
        alarms.after(MINUTES + 10)
        chain = alarms.chain(id)
    finally:
        alarms._http.headers["Authorization"] = live
    assert ends(chain) == [("wecom", "delivered"), ("sms", "undelivered"), ("email", "delivered")]
    assert alarms.stack.outbox.count() == before
