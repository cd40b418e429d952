"""What providers say of messages after they took them, from their sandboxes to the timeline, the counters and the list.

Each provider plays each trap of its receipts: late, early, doubled, reordered, wrong labels.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from local.faults import FaultInput
from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts

pytestmark = pytest.mark.xdist_group("local-stack")

LETTER = {"type": "email", "subject": "Sale", "text": "Everything must go."}


class Sender:
    """Sends through one account of the examples, and looks what became of it."""

    def __init__(self, stack: LocalStack, account: str, content: dict[str, Any], message_class: str) -> None:
        self.stack = stack
        self._http = httpx.Client(
            base_url=stack.url, headers={"Authorization": f"Bearer {first_key(stack)}"}, timeout=30
        )
        body = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == account)
        self.post("/v1/accounts", account_body(body, stack.sandboxes))
        template = {"id": "letter", "name": "Letter", "class": message_class, "accounts": [account]}
        self.post("/v1/templates", {**template, "content": content})
        self.post("/v1/templates/letter/versions/1/publish", {})

    def post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def patch(self, path: str, body: Any) -> Any:
        answer = self._http.patch(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self._http.get(path)
        answer.raise_for_status()
        return answer.json()

    def send(self, *to: str) -> list[str]:
        """Send to addresses, and have everything happen that follows; returns the messages' ids."""
        answer = self.post("/v1/messages", {"template": "letter", "recipients": [{"to": each} for each in to]})
        self.drain()
        return [each["message_id"] for each in answer["messages"]]

    def drain(self) -> None:
        self.stack.drain(until_due=True, horizon_s=4000)

    def message(self, message_id: str) -> Any:
        return self.get(f"/v1/messages/{message_id}")

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def ses() -> Iterator[Sender]:
    with (
        LocalStack(threads=False, memory=True) as stack,
        closing(Sender(stack, "mail-ses", LETTER, "notification")) as it,
    ):
        yield it


STAGES = {
    "success": ("delivered", ["accepted", "sent", "delivered"], None),
    "bounce": ("undelivered", ["accepted", "sent", "undelivered"], "address_unknown"),
    "ooto": ("delivered", ["accepted", "sent", "delivered", "undelivered"], None),
    "complaint": ("complained", ["accepted", "sent", "delivered", "complained"], None),
    "suppressionlist": ("undelivered", ["accepted", "sent", "undelivered"], "suppressed_provider"),
    "full": ("undelivered", ["accepted", "sent", "undelivered"], "mailbox_full"),
    "mislabelled": ("undelivered", ["accepted", "sent", "undelivered"], "address_unknown"),
    "late": ("undelivered", ["accepted", "sent", "delivered", "undelivered"], "address_unknown"),
    "early": ("delivered", ["accepted", "sent", "undelivered", "delivered"], None),
    "delayed": ("delivered", ["accepted", "sent", "delayed", "delivered"], None),
    "rejected": ("undelivered", ["accepted", "sent", "undelivered"], "content_refused"),
    "notspam": ("delivered", ["accepted", "sent", "delivered"], None),
    "silent": ("sent", ["accepted", "sent"], None),
}
"""What stands before the `@` of an address of the simulator -> status, timeline, and the reason of the status."""
LISTED = {"bounce": "bounce", "complaint": "complaint", "suppressionlist": "provider", "mislabelled": "bounce"}
LISTED["late"] = "bounce"


def test_each_receipt_of_ses_is_in_the_timeline_and_on_the_list(ses: Sender) -> None:
    ids = ses.send(*(f"{name}+x@{SIMULATOR}" for name in STAGES))

    for (name, (status, stages, reason)), message_id in zip(STAGES.items(), ids, strict=True):
        found = ses.message(message_id)
        assert [each["stage"] for each in found["timeline"]] == stages, name
        deciding = [each for each in found["timeline"] if each["stage"] == found["status"]]
        assert (found["status"], found["final"], deciding[-1].get("reason")) == (status, True, reason), name
    listed = ses.post("/v1/suppressions/query", {"channel": "email"})["suppressions"]
    by_name = {each["address"].partition("+")[0]: each["entries"] for each in listed}
    assert {name: [e["reason"] for e in entries] for name, entries in by_name.items()} == {
        name: [reason] for name, reason in LISTED.items()
    }
    message_ids = dict(zip(STAGES, ids, strict=True))
    assert all(entries[0]["message"] == message_ids[name] for name, entries in by_name.items())


def test_a_receipt_tells_what_a_lost_answer_did_not(ses: Sender) -> None:
    ses.stack.faults.add(FaultInput(provider="ses", kind="reset_after", at="SendEmail"))

    [message_id] = ses.send("ada@example.com")

    # It is sent again, and both copies are delivered: said once.
    assert [each["stage"] for each in ses.message(message_id)["timeline"]] == [
        *("accepted", "retrying", "delivered", "sent"),
    ]
    assert ses.message(message_id)["status"] == "delivered"
