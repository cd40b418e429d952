"""Each runbook is played: the fault, its alarm, the commands of the page, and the alarm off again."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from local.faults import FaultInput
from local.runtime import ThrottledError
from local.sandbox.tencent import TencentSandbox
from local.sandbox.tencent_receipts import Untold
from local.seed import account_body
from local.stack import LocalStack
from tests.e2e.runbooks import FOLDER, Player, pages
from tests.e2e.verifying import Site
from tests.receiver import receiving

pytestmark = pytest.mark.xdist_group("local-stack")

PREFIX = "mepush-"
LETTER = {"type": "email", "subject": "News", "text": "There is news."}
MAIL = {"id": "mail", "name": "Mail", "settings": {"provider": "smtp", "from_address": "shop@example.com"}}
NO_RECEIPT = json.dumps({"detail-type": "Email Bounced", "source": "aws.ses", "detail": "this is no receipt"})
PAGES = {page.name: page for page in pages()}
NOT_PLAYED = {"archive-gaps": "Firehose's metrics and its bucket are AWS's own"}
ILL = (0, 1)
"""How commands may end while something is wrong: `mepush doctor` says so by 1."""
HOUR = 60
"""In minutes."""

played: dict[str, list[str]] = {}


class World(Site):
    """A stack that is well, with accounts and templates."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        body = account_body(MAIL, stack.sandboxes)
        body["settings"]["bounce_mailbox"] = stack.mailbox.settings()
        body["secret"] = {"mailbox_password": stack.mailbox.password}
        self.call("/v1/accounts", body)
        template = {"id": "letter", "name": "Letter", "class": "notification", "accounts": ["mail"]}
        self.call("/v1/templates", {**template, "content": LETTER})
        self.call("/v1/templates/letter/versions/1/publish", {})
        self.wait(10)

    def book(self, name: str) -> Player:
        player = Player(self.stack, self.key, PAGES[name])
        played[name] = player.played
        return player

    def send(self, to: str) -> str:
        answer = self.call("/v1/messages", {"template": "letter", "to": to})
        self.stack.drain()
        return str(answer["messages"][0]["message_id"])

    def wait(self, minutes: float) -> None:
        """Let time pass, with all that happens in it."""
        end = self.stack.clock.now() + 60 * minutes
        while (left := end - self.stack.clock.now()) > 0:
            # What recurs is not waited for by `drain`.
            step = min(left, 300)
            self.stack.drain(20_000, until_due=True, horizon_s=step)
            self.stack.clock.advance(max(0.0, min(step, end - self.stack.clock.now())))
            self.stack.drain(20_000)

    def state(self, alarm: str) -> str:
        return self.stack.alarms.state(PREFIX + alarm)

    def until_on(self, alarm: str, minutes: int) -> None:
        """Wait until an alarm is on, for so long at the most."""
        for _ in range(minutes):
            if self.state(alarm) == "ALARM":
                return
            self.wait(1)
        raise AssertionError(f"{alarm} is never on; on are {[each.name for each in self.stack.alarms.raised()]}")

    def queue(self, name: str) -> dict[str, Any]:
        """A queue's address and name in AWS, as the pages call them."""
        url = self.stack.client("sqs").get_queue_url(QueueName=PREFIX + name)["QueueUrl"]
        return {"QUEUE_URL": url, "QUEUE_ARN": f"arn:aws:sqs:us-east-1:123456789012:{PREFIX}{name}"}

    def put(self, name: str, body: str) -> None:
        self.stack.client("sqs").send_message(QueueUrl=self.queue(name)["QUEUE_URL"], MessageBody=body)

    def mails(self, to: str) -> int:
        return len(self.stack.outbox.all("smtp", to))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with LocalStack(threads=False, memory=True) as stack, closing(World(stack)) as it:
        yield it


@pytest.fixture(autouse=True)
def mended(world: World) -> Iterator[None]:
    """Each begins some minutes after another, with functions that work."""
    yield
    world.stack.fails.clear()
    world.wait(5)


def test_a_function_fails(world: World) -> None:
    book = world.book("function-fails")
    world.stack.fails["dispatch_email"] = RuntimeError("a deployment that is broken")
    world.send("ann@example.com")
    assert world.state("errors-dispatch-email") == "ALARM"
    assert "1 in flight" in book.play("Look", codes=ILL)
    world.stack.fails.clear()
    world.wait(20)
    assert world.state("errors-dispatch-email") == "OK"
    assert "+ 0 in flight" in book.play("It is over")
    assert world.mails("ann@example.com") == 1


def test_a_function_is_held_back(world: World) -> None:
    book = world.book("function-held-back")
    world.stack.fails["dispatch_email"] = ThrottledError("Rate Exceeded")
    for n in range(6):
        world.stack.clock.advance(60)
        world.send(f"held-{n}@example.com")
    assert world.state("throttles-dispatch-email") == "ALARM"
    assert "6 in flight" in book.play("Look", codes=ILL)
    book.play("Mend", codes=(1,), RUN="no-such-run")
    world.stack.fails.clear()
    world.wait(20)
    assert world.state("throttles-dispatch-email") == "OK" and "+ 0 in flight" in book.play("It is over")


def test_messages_are_given_up(world: World) -> None:
    book = world.book("messages-given-up")
    world.stack.faults.add(FaultInput(provider="smtp", kind="outage_refused", seconds=60 * 3 * HOUR))
    world.send("bea@example.com")
    world.send("cid@example.com")
    world.start("+8613800138000", channel="email", fallback={"email": "dee@example.com"})
    world.until_on("dead-letters-email-notification", 3 * HOUR)
    world.wait(1)
    letter, other = world.get("/v1/dead-letters")["dead_letters"]
    assert letter["reason"] == other["reason"]
    said = book.play("Look", codes=ILL, REQUEST=letter["request_id"])
    assert letter["reason"] in said and "dead letters wait" in said
    world.wait(3 * HOUR)
    book.play("Mend", only="mepush account verify", ACCOUNT="mail")
    book.play("Mend", only="mepush dlq redrive", LETTER=letter["id"], REASON=letter["reason"])
    world.wait(10)
    assert [world.mails(each) for each in ("bea@example.com", "cid@example.com")] == [1, 1]
    book.play("Mend", only="mepush dlq discard", codes=ILL, REASON=letter["reason"])
    assert "dead letters wait" not in book.play("It is over")


def test_dead_letters_are_not_taken(world: World) -> None:
    book = world.book("dead-letters-stuck")
    world.stack.fails["dead_letters"] = RuntimeError("a table that refuses")
    world.put("email-notification-dlq", "what is no envelope")
    world.stack.drain()
    assert world.state("dead-letters-stuck-email-notification") == "ALARM"
    assert "not taken from their queues" in book.play("Look", codes=ILL)
    world.stack.fails.clear()
    world.wait(20)
    assert world.state("dead-letters-stuck-email-notification") == "OK"
    book.play("It is over")


def test_work_of_the_platform_is_given_up(world: World) -> None:
    book, queue = world.book("work-given-up"), world.queue("receipts-dlq")
    world.put("receipts", NO_RECEIPT)
    world.until_on("dead-letters-receipts", 2 * HOUR)
    said = book.play("Look", codes=ILL, **queue)
    assert "1 receipts cannot be read" in said and "is no receipt" in said
    world.wait(1)
    book.play("Mend", only="aws sqs start-message-move-task", **queue)
    assert world.state("dead-letters-receipts") == "OK", "it is on its queue again"
    world.until_on("dead-letters-receipts", 2 * HOUR)
    book.play("Mend", only="aws sqs purge-queue", **queue)
    assert world.state("dead-letters-receipts") == "OK"
    book.play("It is over")


@pytest.mark.parametrize(("queue", "words"), [("schedules", "could not be put on their queues"), ("trace", "given up")])
def test_the_watch_brings_back_what_it_can(world: World, queue: str, words: str) -> None:
    book, names = world.book("brought-back"), world.queue(f"{queue}-dlq")
    world.put(f"{queue}-dlq", "what nobody wrote")
    assert world.state(f"dead-letters-{queue}") == "ALARM"
    said = book.play("Look", codes=ILL, **names)
    assert words in said and "what nobody wrote" in said
    world.wait(15)
    book.play("Mend", **names)
    assert world.state(f"dead-letters-{queue}") == "OK"
    assert "+ 0 in flight" in book.play("It is over")


def test_events_are_left_out(world: World) -> None:
    book, queue = world.book("events-left-out"), world.queue("events-dlq")
    world.put("events-dlq", "an event that was refused")
    assert world.state("dead-letters-events") == "ALARM"
    assert "an event that was refused" in book.play("Look", codes=ILL, **queue)
    book.play("Mend", **queue)
    assert world.state("dead-letters-events") == "OK"
    book.play("It is over")


def test_messages_are_stuck(world: World) -> None:
    book = world.book("messages-stuck")
    world.stack.fails["dispatch_email"] = RuntimeError("broken")
    id = world.send("eve@example.com")
    world.stack.client("sqs").purge_queue(QueueUrl=world.queue("email-notification")["QUEUE_URL"])
    world.stack.fails.clear()
    world.until_on("in-flight-too-long", 4 * HOUR)
    said = book.play("Look", codes=ILL, MESSAGE=id)
    assert "have been in flight for too long" in said and "accepted" in said
    book.play("Mend", MESSAGE=id, codes=ILL)
    world.wait(2 * HOUR)
    assert world.state("in-flight-too-long") == "OK"
    assert "+ 0 in flight" in book.play("It is over") and world.mails("eve@example.com") == 0


def test_nothing_sweeps(world: World) -> None:
    book = world.book("no-sweep")
    world.stack.fails["watch"] = RuntimeError("broken")
    world.until_on("no-sweep", HOUR)
    assert "Nothing has looked for stuck messages" in book.play("Look", codes=ILL)
    world.stack.fails.clear()
    world.wait(6)
    assert world.state("no-sweep") == "OK" and "nothing stuck" in book.play("It is over")


def test_receipts_are_behind(world: World) -> None:
    book = world.book("behind")
    world.stack.fails["receipts"] = RuntimeError("broken")
    world.put("receipts", json.dumps({"look": "none", "due_at": 1}))
    world.stack.drain()
    world.stack.clock.advance(60 * HOUR + 60)
    assert world.state("receipts-old") == "ALARM"
    book.play("Look", codes=ILL)
    book.play("Mend", codes=(1,), RUN="no-such-run")
    world.stack.fails.clear()
    world.wait(20)
    assert world.state("receipts-old") == "OK"
    assert "stream lag   0 s" in book.play("It is over")


def test_callbacks_are_refused(world: World) -> None:
    book = world.book("callbacks-refused")
    shown = book.play("Look", codes=ILL, ACCOUNT="sms-tencent")
    [url] = set(re.findall(r"http://\S+/callbacks/\S+", shown))
    for _ in range(5):
        world.api.post(url, content="what Tencent Cloud never says")
    assert world.state("callbacks-refused") == "ALARM"
    renewed = book.play("Mend", ACCOUNT="sms-tencent")
    assert url not in renewed and "/callbacks/" in renewed
    world.wait(16)
    assert world.api.post(url, content="what Tencent Cloud never says").status_code == 404
    assert world.state("callbacks-refused") == "OK"
    book.play("It is over", ACCOUNT="sms-tencent")


def test_a_mailbox_cannot_be_read(world: World, tmp_path: Path) -> None:
    book, good = world.book("mailbox-unread"), world.stack.mailbox.password
    world.stack.mailbox.password = "another-code"
    world.until_on("mailboxes-failed", 10 * HOUR)
    said = book.play("Look", codes=ILL, ACCOUNT="mail")
    assert "mail" in said and good not in said
    accounts, secrets = tmp_path / "accounts.toml", tmp_path / "secrets.toml"
    shown = world.get("/v1/accounts/mail")
    lines = ['[[account]]\nid = "mail"\nname = "Mail"\n[account.settings]']
    for name, value in shown["settings"].items():
        if value is not None and not isinstance(value, dict):
            lines.append(f"{name} = {json.dumps(value)}")
    lines.append("[account.settings.bounce_mailbox]")
    lines += [f"{name} = {json.dumps(value)}" for name, value in world.stack.mailbox.settings().items()]
    accounts.write_text("\n".join(lines))
    secrets.write_text('[mail]\nmailbox_password = "another-code"\n')
    book.play("Mend", ACCOUNT="mail", ACCOUNTS_FILE=str(accounts), SECRETS_FILE=str(secrets))
    world.wait(20)
    assert world.state("mailboxes-failed") == "OK"
    book.play("It is over", ACCOUNT="mail")


def test_an_account_cannot_be_asked_for_receipts(world: World) -> None:
    book = world.book("receipts-not-pulled")
    headers = {"Authorization": f"Bearer {world.key}"}
    shown = world.get("/v1/accounts/sms-tencent")
    settings = {**shown["settings"], "pull_receipts": True}
    world.api.patch("/v1/accounts/sms-tencent", json={"settings": settings}, headers=headers).raise_for_status()
    world.until_on("pulls-failed", 3 * HOUR)
    book.play("Look", codes=ILL, ACCOUNT="sms-tencent")
    sandbox = world.stack.sandboxes["tencent"]
    assert isinstance(sandbox, TencentSandbox)
    sandbox.untold[settings["sdk_app_id"]] = Untold(world.stack.clock)
    world.wait(20)
    book.play("Mend", ACCOUNT="sms-tencent")
    assert world.state("pulls-failed") == "OK"
    book.play("It is over", ACCOUNT="sms-tencent")


def test_telephone_numbers_are_held(world: World) -> None:
    book, numbers = world.book("numbers-held"), [f"+86139{n:08d}" for n in range(42)]
    world.api.patch(
        "/v1/settings",
        json={"verification_guard": {"mode": "enforce"}},
        headers={"Authorization": f"Bearer {world.key}"},
    )
    world.wait(1)
    for number in numbers[:40]:
        world.start(number)
    world.stack.clock.advance(130)
    refused = [
        world.post("/v1/verifications", {"to": each, "template": "code", "purpose": "login"}) for each in numbers[40:]
    ]
    assert [each.status_code for each in refused] == [429, 429]
    world.until_on("prefixes-held-ingest", 1)
    said = book.play("Look")
    [prefix] = set(re.findall(r"hold_prefix\s+verification-guard/prefix/(\d+)", said)) or {"8613900"}
    book.play("Mend", PREFIX=prefix)
    assert prefix in book.play("It is over")


def test_an_endpoint_is_paused(world: World) -> None:
    book = world.book("endpoint-paused")
    with receiving() as receiver:
        receiver.answer = lambda _: 410
        world.call("/v1/webhooks", {"id": "orders", "url": receiver.url})
        world.wait(1)
        world.send("fay@example.com")
        world.until_on("webhooks-paused", 10)
        assert "gone" in book.play("Look", WEBHOOK="orders")
        world.send("guy@example.com")
        world.wait(1)
        receiver.answer = lambda _: 204
        book.play("Mend", WEBHOOK="orders")
        world.wait(10)
        assert "delivered" in book.play("It is over", WEBHOOK="orders")


def test_a_key_sends_very_much(world: World) -> None:
    book = world.book("key-limit")
    made = world.call("/v1/keys", {"name": "shop", "scopes": ["send"], "texts_per_day": 1})
    world.post("/v1/messages", {"template": "code", "to": "+8613800138009", "variables": {"code": "1"}}, made["key"])
    book.play("Look", codes=ILL, KEY=made["id"])
    book.play("Mend", KEY=made["id"])


def test_each_alarm_has_one_page_and_says_which(world: World) -> None:
    listed = re.findall(r"\(([a-z-]+)\.md\) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(PAGES)
    for properties in world.stack.deployment.alarms:
        name = properties["AlarmName"].removeprefix(PREFIX)
        found = [page.name for page in PAGES.values() if any(fnmatch(name, pattern) for pattern in page.alarms)]
        assert len(found) == 1, f"{name} has the pages {found}"
        assert f"docs/runbooks/{found[0]}.md" in properties["AlarmDescription"]


def test_the_stack_is_well_again(world: World) -> None:
    world.wait(HOUR)
    assert [each.name for each in world.stack.alarms.raised()] == []


def test_every_command_was_played() -> None:
    wanted = {
        n: {c for each in page.commands.values() for c in each} for n, page in PAGES.items() if n not in NOT_PLAYED
    }
    assert {name: set(commands) for name, commands in played.items()} == wanted
