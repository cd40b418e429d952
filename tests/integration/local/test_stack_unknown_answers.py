"""Answers that are lost, through the whole platform: who is asked, what is sent again, and what the timeline says."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from local.faults import FaultInput
from local.sandbox.tencent import TencentSandbox
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.model.words import MessageClass

pytestmark = pytest.mark.xdist_group("local-stack")

M = MessageClass
PROVIDER_FAULTS = {
    "smtp": ("mail-smtp", "email"),
    "ses": ("mail-ses", "email"),
    "tencent": ("sms-tencent", "sms"),
    "aws": ("sms-aws", "sms"),
    "app": ("wecom-app", "wecom"),
    "robot": ("wecom-robot", "wecom"),
}
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "Hello", "text": "Hello {{ name }}"},
    "sms": {"type": "sms", "text": "Hello {{ name }}", "tencent": {"template_id": "1900002", "params": ["{{ name }}"]}},
    "wecom": {"type": "text", "content": "Hello {{ name }}"},
}
ASKED = "It is not known whether the provider took the message; it is asked before anything else is done."
AGAIN = "It is not known whether the provider took the message; one of this class is sent again all the same."


class Platform:
    """A local stack that does nothing by itself, with a template per provider and class."""

    def __init__(self, stack: LocalStack, api: Client) -> None:
        self.stack, self._api = stack, api
        self._numbers = itertools.count(1)
        api.patch("/v1/settings", {"countries": ["CN", "GB"]})
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            api.post("/v1/accounts", account_body(entry, stack.sandboxes))
        for provider, (account, channel) in PROVIDER_FAULTS.items():
            for each in MessageClass:
                name = f"{provider}-{each}"
                body = {"id": name, "name": name, "class": each, "accounts": [account], "content": CONTENTS[channel]}
                api.post("/v1/templates", body | {"sample": {"name": "1234"}})
                api.post(f"/v1/templates/{name}/versions/1/publish", {})

    def address(self, provider: str) -> str:
        """A new one."""
        n = next(self._numbers)
        return {
            "email": f"u{n}@example.com",
            "sms": f"+86138{n:08d}" if provider == "tencent" else f"+44740{n:07d}",
            "wecom": "@group" if provider == "robot" else f"member{n}",
        }[PROVIDER_FAULTS[provider][1]]

    def lose(self, provider: str, kind: str, **more: Any) -> None:
        """Lose the answer to the next call that sends."""
        at = "dot" if (provider, kind) == ("smtp", "reset_before") else None
        self.stack.faults.add(FaultInput.model_validate({"provider": provider, "kind": kind, "at": at, **more}))

    def send(self, provider: str, message_class: MessageClass, to: str) -> str:
        """Have a message accepted and tried once; its id."""
        body = {"template": f"{provider}-{message_class}", "recipients": [{"to": to, "variables": {"name": "1234"}}]}
        [accepted] = self._api.send(body)["messages"]
        self.stack.drain()
        return str(accepted["message_id"])

    def message(self, message_id: str) -> Any:
        """What the API says of it."""
        return self._api.get(f"/v1/messages/{message_id}")

    def send_to(self, template: str, to: Sequence[str]) -> None:
        """Have one content sent to several, until all is done."""
        self._api.send({"template": template, "variables": {"name": "1234"}, "recipients": [{"to": t} for t in to]})
        self.stack.drain(until_due=True)

    def run(self, provider: str, message_class: MessageClass, kind: str) -> tuple[Any, int, float]:
        """Send a message whose first answer is lost, and wait until all is done: what the API says of it, how often it
        was accepted, and the seconds from acceptance until its end."""
        to = self.address(provider)
        before = self.stack.outbox.accepted(to)
        self.lose(provider, kind)
        message_id = self.send(provider, message_class, to)
        begun = self.stack.clock.now()
        self.stack.drain(until_due=True)
        return self.message(message_id), self.stack.outbox.accepted(to) - before, self.stack.clock.now() - begun


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    log_file = tmp_path_factory.mktemp("unknown") / "functions.log"
    # What is known by the answer alone; tests/e2e/test_receipts.py has what receipts say later.
    with (
        LocalStack(threads=False, log_file=log_file, receipts=False) as stack,
        Client(stack.url, first_key(stack)) as api,
    ):
        yield Platform(stack, api)


@pytest.fixture
def platform(running: Platform) -> Iterator[Platform]:
    yield running
    for sandbox in running.stack.sandboxes.values():
        sandbox.faults.clear()


def steps(message: Any) -> list[str]:
    """The stages of a message, in order."""
    return [event["stage"] for event in message["timeline"]]


def texts(message: Any) -> list[str]:
    """What its timeline says of what is tried or asked again."""
    return [event["text"] for event in message["timeline"] if event["stage"] == "retrying"]


def waited(message: Any) -> float:
    """The seconds between its last two events."""
    put_off, end = (datetime.fromisoformat(event["at"]) for event in message["timeline"][-2:])
    return (end - put_off).total_seconds()


@pytest.mark.parametrize(
    ("message_class", "after_s"), [(M.VERIFICATION, 5), (M.NOTIFICATION, 30), (M.MARKETING, 60)], ids=str
)
def test_tencent_is_asked_and_knows(message_class: MessageClass, after_s: int, platform: Platform) -> None:
    found, accepted, _ = platform.run("tencent", message_class, "reset_after")
    assert (found["status"], found["final"], accepted) == ("sent", True, 1)
    assert steps(found) == ["accepted", "retrying", "sent"]
    assert texts(found)[0].startswith(ASKED)
    assert found["timeline"][-1]["provider_message_id"].startswith("5000:")
    assert after_s - 1 <= waited(found) < after_s + 10


def test_until_tencent_is_asked_the_message_says_so(platform: Platform) -> None:
    platform.lose("tencent", "reset_after")
    found = platform.message(platform.send("tencent", M.MARKETING, platform.address("tencent")))
    assert (found["status"], found["final"]) == ("retrying", False)
    assert found["explanation"].startswith(ASKED) and found["action"] == "Nothing: the platform asks by itself."
    platform.stack.drain(until_due=True)


@pytest.mark.parametrize(("message_class", "checks"), [(M.VERIFICATION, 1), (M.NOTIFICATION, 1), (M.MARKETING, 3)])
def test_what_tencent_never_took_is_sent_again(message_class: MessageClass, checks: int, platform: Platform) -> None:
    found, accepted, _ = platform.run("tencent", message_class, "reset_before")
    assert (found["status"], accepted) == ("sent", 1)
    assert steps(found) == ["accepted", *["retrying"] * (checks + 1), "sent"]
    assert all(text.startswith(ASKED) for text in texts(found)[:-1])
    if message_class is M.MARKETING:
        assert "has no record of it" in texts(found)[-1], "marketing only once that is certain"
    else:
        assert texts(found)[-1].startswith(AGAIN)


def test_tencent_that_cannot_tell_leaves_marketing_unknown(platform: Platform) -> None:
    to = platform.address("tencent")
    platform.lose("tencent", "reset_after")
    message_id = platform.send("tencent", M.MARKETING, to)
    records = cast(TencentSandbox, platform.stack.sandboxes["tencent"]).records
    # Somebody else's message to the same number in the same second.
    [ours] = records.of(to)
    records.add(to, replace(ours, serial="5000:another", context=""))
    platform.stack.drain(until_due=True)
    found = platform.message(message_id)
    assert (found["status"], found["final"]) == ("unknown", True)
    assert (found["timeline"][-1]["reason"], found["timeline"][-1]["code"]) == ("unresolved", "ambiguous")
    assert steps(found) == ["accepted", *["retrying"] * 4, "unknown"]
    assert "could not tell for certain" in found["explanation"]
    assert found["action"] == "Ask the recipient or the provider before sending again."
    assert platform.stack.outbox.accepted(to, message_id) == 1


@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
@pytest.mark.parametrize("provider", ["smtp", "ses", "aws", "app", "robot"])
def test_marketing_is_not_sent_again_where_nobody_can_be_asked(provider: str, kind: str, platform: Platform) -> None:
    found, accepted, seconds = platform.run(provider, M.MARKETING, kind)
    assert (found["status"], found["final"]) == ("unknown", True)
    assert steps(found) == ["accepted", "unknown"] and seconds < 1
    assert accepted == (1 if kind == "reset_after" else 0)
    assert found["explanation"].startswith("It is not known whether the provider took the message. The connection")
    assert found["action"] == "Ask the recipient or the provider before sending again."


@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
@pytest.mark.parametrize("message_class", [M.VERIFICATION, M.NOTIFICATION], ids=str)
@pytest.mark.parametrize("provider", ["smtp", "ses", "aws", "app", "robot"])
def test_other_classes_are_sent_again(
    provider: str, message_class: MessageClass, kind: str, platform: Platform
) -> None:
    found, accepted, _ = platform.run(provider, message_class, kind)
    assert (found["status"], steps(found)) == ("sent", ["accepted", "retrying", "sent"])
    [text] = texts(found)
    assert text.startswith(f"{AGAIN} The connection broke after the message had left")
    # A WeCom app shows an identical message once.
    assert accepted == (2 if kind == "reset_after" and provider != "app" else 1)


def test_a_group_of_members_is_sent_again_as_it_was_and_shows_once(platform: Platform) -> None:
    members = [platform.address("app") for _ in range(5)]
    platform.lose("app", "reset_after")
    platform.send_to(f"app-{M.NOTIFICATION}", members)
    assert [platform.stack.outbox.accepted(to) for to in members] == [1] * 5
