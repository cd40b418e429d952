"""What comes back to the mailbox of an SMTP account, from the mail that is sent to the timeline and the list."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count, pairwise
from typing import Any

import httpx
import pytest

from local.sandbox.returned import SIMULATOR
from local.seed import account_body, first_key
from local.stack import LocalStack
from shared.aws import receipts
from shared.aws.receipts import ReceiptQueue
from shared.store.inboxes import Inboxes

pytestmark = pytest.mark.xdist_group("local-stack")

LETTER = {"type": "email", "subject": "Sale", "text": "Everything must go."}
SENDER = {"id": "mail", "name": "Mail", "settings": {"provider": "smtp", "from_address": "shop@example.com"}}


class Sender:
    """Sends through an SMTP account whose bounces are read."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.mailbox = stack.mailbox
        headers = {"Authorization": f"Bearer {first_key(stack)}"}
        self.http = httpx.Client(base_url=stack.url, headers=headers, timeout=30)
        body = account_body(SENDER, stack.sandboxes)
        body["settings"]["bounce_mailbox"] = self.mailbox.settings()
        body["secret"] = {"mailbox_password": self.mailbox.password}
        self.post("/v1/accounts", body)
        template = {"id": "letter", "name": "Letter", "class": "notification", "accounts": ["mail"]}
        self.post("/v1/templates", {**template, "content": LETTER})
        self.post("/v1/templates/letter/versions/1/publish", {})
        # The schedules fire for the first time.
        stack.drain()

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    def send(self, *names: str) -> list[str]:
        """Send to addresses of the simulator; returns the messages' ids."""
        recipients = [{"to": f"{name}@{SIMULATOR}"} for name in names]
        answer = self.post("/v1/messages", {"template": "letter", "recipients": recipients})
        self.stack.drain()
        return [each["message_id"] for each in answer["messages"]]

    def wait(self, minutes: float = 10) -> None:
        """Let time pass, and all schedules fire that are due then."""
        self.stack.skip(60 * minutes)
        self.stack.drain(until_due=True, horizon_s=120)

    def counts_once(self, message_id: str) -> None:
        """See that a message is undelivered, in its timeline and in the counters."""
        assert self.stages(message_id) == ["accepted", "sent", "undelivered"]
        assert self.get("/v1/stats/templates/letter")["stages"] == {"accepted": 1, "sent": 1, "undelivered": 1}

    def stages(self, message_id: str) -> list[str]:
        return [each["stage"] for each in self.get(f"/v1/messages/{message_id}")["timeline"]]


@pytest.fixture
def sender() -> Iterator[Sender]:
    with LocalStack(threads=False, memory=True) as stack:
        made = Sender(stack)
        with closing(made.http):
            yield made


EXPECTED: dict[str, tuple[str, str | None, bool]] = {
    "bounce": ("undelivered", "address_unknown", True),
    "full": ("undelivered", "mailbox_full", False),
    "later": ("undelivered", None, False),
    "delayed": ("delayed", None, False),
    "arrived": ("delivered", None, False),
    "led-on": ("sent", None, False),
    "content": ("undelivered", "content_refused", False),
    "complaint": ("complained", None, True),
    "notspam": ("sent", None, False),
    "autoreply": ("sent", None, False),
    "qq": ("undelivered", "address_unknown", False),
    "netease": ("undelivered", "address_unknown", True),
    "quiet": ("sent", None, False),
}
"""Who it is sent to -> the status, its reason (None: not looked at), and whether the recipient is on the list then."""


def test_what_comes_back_is_in_the_timeline_and_on_the_list(sender: Sender) -> None:
    ids = dict(zip(EXPECTED, sender.send(*EXPECTED), strict=True))
    assert {tuple(sender.stages(each)) for each in ids.values()} == {("accepted", "sent")}

    sender.wait()

    for name, (status, reason, _) in EXPECTED.items():
        found = sender.get(f"/v1/messages/{ids[name]}")
        deciding = [each for each in found["timeline"] if each["stage"] == found["status"]][-1]
        assert found["status"] == status, name
        assert reason is None or deciding.get("reason") == reason, name
    listed = sender.post("/v1/suppressions/query", {"channel": "email"})["suppressions"]
    assert {each["address"].partition("@")[0] for each in listed} == {
        name for name, (_, _, is_listed) in EXPECTED.items() if is_listed
    }
    by_name = {each["address"].partition("@")[0]: each["entries"][0] for each in listed}
    assert (by_name["bounce"]["reason"], by_name["bounce"]["message"]) == ("bounce", ids["bounce"])
    assert by_name["complaint"]["reason"] == "complaint"
    view = sender.get("/v1/accounts/mail/mailbox")
    assert view["configured"]
    assert (view["failures"], view["problem"], view["unreadable"]) == (0, None, [])
    assert view["counts"] == {"bounces": 9, "complaints": 2, "auto_replies": 1, "unreadable": 0, "others": 0}


def test_a_recipient_who_came_back_is_not_sent_to_again(sender: Sender) -> None:
    sender.send("bounce")
    sender.wait()
    [again] = sender.send("bounce")
    assert sender.stages(again) == ["accepted", "suppressed"]


def test_the_same_mails_are_not_read_again_and_new_ones_are(sender: Sender) -> None:
    [first] = sender.send("bounce+1")
    sender.wait()
    [second] = sender.send("bounce+2")
    sender.wait()
    sender.wait()
    assert (sender.stages(first)[-1], sender.stages(second)[-1]) == ("undelivered", "undelivered")
    assert sender.mailbox.logins == 4
    assert sum(each.startswith("UID FETCH") for each in sender.mailbox.commands) == 4
    assert sender.get("/v1/accounts/mail/mailbox")["counts"]["bounces"] == 2


def test_what_is_read_a_second_time_counts_once(sender: Sender) -> None:
    [message_id] = sender.send("bounce")
    sender.wait()
    sender.mailbox.folder.renumber()
    sender.wait()
    assert sender.get("/v1/accounts/mail/mailbox")["counts"]["bounces"] == 2
    sender.counts_once(message_id)


# A process that is killed stops without a word, wherever it is.


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", ["claim", "queue", "queued", "stored"])
def test_a_function_that_is_killed_loses_nothing_and_counts_nothing_twice(
    sender: Sender, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sender.send(*(f"bounce+{i}" for i in range(12)))
    kills = iter([True])

    def killing(original: Any, before: bool, nth: int) -> Any:
        calls = count(1)

        def call(*given: Any) -> Any:
            dies = next(calls) == nth and next(kills, False)
            if dies and before:
                raise Killed
            done = original(*given)
            if dies:
                raise Killed
            return done

        return call

    target, name, before, nth = {
        # after it is noted that a look begins
        "claim": (Inboxes, "save", False, 1),
        # with ten of twelve receipts on the queue
        "queue": (receipts, "send_batch", True, 2),
        # with all of them there, before it is stored how far the mailbox was read
        "queued": (ReceiptQueue, "put_all", False, 1),
        # with everything done
        "stored": (Inboxes, "save", False, 2),
    }[at]
    assert sender.get("/v1/accounts/mail/mailbox")["counts"]["bounces"] == 0
    with monkeypatch.context() as patched:
        patched.setattr(target, name, killing(getattr(target, name), before, nth))
        with pytest.raises(Killed):
            sender.stack.skip(600)
            sender.stack.invoke("mailboxes", {})
    read = sender.get("/v1/accounts/mail/mailbox")["counts"]["bounces"]
    assert read == (len(ids) if at == "stored" else 0)
    # Killed once, it is not asked again at once: the service would take that for an attack.
    logins = sender.mailbox.logins
    sender.stack.invoke("mailboxes", {})
    assert sender.mailbox.logins == logins

    sender.wait()
    sender.wait()

    for message_id in ids:
        assert sender.stages(message_id) == ["accepted", "sent", "undelivered"]
    assert sender.get("/v1/stats/templates/letter")["stages"]["undelivered"] == len(ids)
    listed = sender.post("/v1/suppressions/query", {"channel": "email"})["suppressions"]
    assert [len(each["entries"]) for each in listed] == [1] * len(ids)
    assert (
        sender.stack.client("sqs").get_queue_attributes(
            QueueUrl=sender.stack.outputs["ReceiptsUrl"], AttributeNames=["All"]
        )["Attributes"]["ApproximateNumberOfMessages"]
        == "0"
    )


def test_a_mailbox_that_fails_is_asked_ever_more_rarely_and_says_why(sender: Sender) -> None:
    sender.send("bounce")
    sender.mailbox.refusals = 100
    before = sender.mailbox.logins
    tries = []
    for _ in range(80):
        sender.wait()
        tries.append(sender.mailbox.logins - before)
    when = [10 * (i + 1) for i, (a, b) in enumerate(pairwise([0, *tries])) if b > a]
    assert [b - a for a, b in pairwise(when)] == [10, 20, 40, 80, 160, 320]
    view = sender.get("/v1/accounts/mail/mailbox")
    assert (view["failures"], view["problem"]["code"]) == (7, "login_refused")
    assert "authorization code" in view["problem"]["action"]
    # A new secret is tried at once.
    sender.mailbox.refusals = 0
    change = sender.http.patch("/v1/accounts/mail", json={"secret": {"mailbox_password": sender.mailbox.password}})
    assert change.is_success
    sender.wait()
    view = sender.get("/v1/accounts/mail/mailbox")
    assert (view["failures"], view["counts"]["bounces"], view["failing_since"]) == (0, 1, None)


def test_one_mailbox_in_trouble_does_not_stop_another(sender: Sender) -> None:
    body = account_body(SENDER | {"id": "ailing"}, sender.stack.sandboxes)
    body["settings"]["bounce_mailbox"] = sender.mailbox.settings() | {"port": 1}
    sender.post("/v1/accounts", {**body, "secret": {"mailbox_password": "x"}})
    [message_id] = sender.send("bounce")
    sender.wait()
    assert sender.stages(message_id)[-1] == "undelivered"
    view = sender.get("/v1/accounts/ailing/mailbox")
    assert (view["failures"], view["problem"]["code"]) == (1, "connection_refused")
    assert sender.get("/v1/accounts/mail/mailbox")["failures"] == 0


def test_a_disabled_account_is_left_alone(sender: Sender) -> None:
    assert sender.http.patch("/v1/accounts/mail", json={"state": "disabled"}).is_success
    logins = sender.mailbox.logins
    sender.wait()
    assert sender.mailbox.logins == logins
