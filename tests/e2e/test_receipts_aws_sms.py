"""What AWS says of texts after it took them, from its sandbox to the timeline, the counters and the list."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from local.faults import FaultInput
from local.sandbox.aws_sms_receipts import FAILURE, NUMBERS, SUCCESS, as_published, by_topic, reply
from local.stack import LocalStack
from tests.e2e.test_receipts import Sender

pytestmark = pytest.mark.xdist_group("local-stack")

TEXT = {"type": "sms", "text": "Your parcel has arrived."}
LONG = {"type": "sms", "text": "Your parcel has arrived. " * 12}
COUNTRIES = ["CN", "GB", "US", "HK"]


class Texter(Sender):
    """Sends texts through AWS's account of the examples."""

    def __init__(self, stack: LocalStack, content: dict[str, Any], message_class: str) -> None:
        super().__init__(stack, "sms-aws", content, message_class)
        self._http.patch("/v1/settings", json={"countries": COUNTRIES}).raise_for_status()

    def hear(self, message: dict[str, Any]) -> None:
        """Have a topic put a message on the queue of receipts, and everything happen that follows."""
        self.stack.client("sqs").send_message(QueueUrl=self.stack.outputs["ReceiptsUrl"], MessageBody=by_topic(message))
        self.drain()

    def provider_id(self, message_id: str) -> str:
        [found] = [d for d in self.stack.outbox.all("aws") if d.message_id == message_id]
        return found.id

    def stages(self, message_id: str) -> list[str]:
        return [each["stage"] for each in self.message(message_id)["timeline"]]


@pytest.fixture
def texter(request: pytest.FixtureRequest) -> Iterator[Texter]:
    content, message_class = getattr(request, "param", (TEXT, "notification"))
    with LocalStack(threads=False, memory=True) as stack, closing(Texter(stack, content, message_class)) as it:
        yield it


FAILED = ["accepted", "sent", "undelivered"]
STAGES: dict[str, tuple[str, list[str], str | None]] = {
    "delivered": ("delivered", ["accepted", "sent", "delivered"], None),
    "carrier": ("delivered", ["accepted", "sent", "delivered"], None),
    "both": ("delivered", ["accepted", "sent", "delivered"], None),
    "reordered": ("delivered", ["accepted", "sent", "delivered"], None),
    "doubled": ("delivered", ["accepted", "sent", "delivered"], None),
    "invalid": ("undelivered", FAILED, "address_unknown"),
    "bad_message": ("undelivered", FAILED, "content_invalid"),
    "off": ("undelivered", FAILED, "recipient_unreachable"),
    "carrier_off": ("undelivered", FAILED, "no_route"),
    "blocked": ("undelivered", FAILED, "recipient_blocked"),
    "carrier_blocked": ("undelivered", FAILED, "carrier_blocked"),
    "spam": ("undelivered", FAILED, "content_refused"),
    "protected": ("undelivered", FAILED, "region_not_enabled"),
    "expired": ("undelivered", FAILED, "recipient_unreachable"),
    "unknown": ("undelivered", FAILED, "not_delivered"),
    "late": ("delivered", ["accepted", "sent", "undelivered", "delivered"], None),
    "new": ("undelivered", FAILED, "not_delivered"),
    "silent": ("sent", ["accepted", "sent"], None),
}
"""What a number's texts come to -> status, timeline, and the reason of the status."""


def test_each_receipt_of_aws_is_in_the_timeline_and_counted(texter: Texter) -> None:
    ids = texter.send(*(NUMBERS[name] for name in STAGES), SUCCESS[0], FAILURE[0])

    for (name, (status, stages, reason)), message_id in zip(STAGES.items(), ids, strict=False):
        found = texter.message(message_id)
        assert [each["stage"] for each in found["timeline"]] == stages, name
        deciding = [each for each in found["timeline"] if each["stage"] == found["status"]]
        assert (found["status"], found["final"], deciding[-1].get("reason")) == (status, True, reason), name
    assert [texter.message(each)["status"] for each in ids[-2:]] == ["delivered", "undelivered"]
    counted = texter.get("/v1/stats/templates/letter")["stages"]
    wanted = [stage for _, stages, _ in STAGES.values() for stage in stages] + ["delivered", "undelivered"]
    undelivered = counted["undelivered"] + counted["undelivered.transient"]
    assert (counted["delivered"], undelivered, counted["sent"]) == (
        *(wanted.count("delivered"), wanted.count("undelivered"), len(ids)),
    )
    # That a text was not delivered says nothing for certain of a number, which may be somebody else's tomorrow.
    assert texter.post("/v1/suppressions/query", {"channel": "sms"})["suppressions"] == []


def test_people_see_how_far_a_text_is_known_to_have_come(texter: Texter) -> None:
    carrier, handset = texter.send(NUMBERS["carrier"], NUMBERS["delivered"])
    said = [texter.message(each)["timeline"][-1]["text"] for each in (carrier, handset)]
    assert "The provider said: TEXT_SUCCESSFUL. How far that is known: as far as the recipient's carrier." in said[0]
    assert said[1].find("The provider said: TEXT_DELIVERED.") > 0


@pytest.mark.parametrize("texter", [(LONG, "notification")], indirect=True)
def test_a_text_of_which_a_part_failed_is_not_delivered(texter: Texter) -> None:
    half, whole = texter.send(NUMBERS["half"], NUMBERS["delivered"])
    assert texter.stages(half) == ["accepted", "sent", "undelivered", "delivered"]
    assert [texter.message(each)["status"] for each in (half, whole)] == ["undelivered", "delivered"]


@pytest.mark.parametrize("texter", [(TEXT, "marketing")], indirect=True)
def test_who_replies_stop_gets_no_more_marketing(texter: Texter) -> None:
    to = NUMBERS["delivered"]
    [message_id] = texter.send(to)
    texter.hear(reply(to, "+12065550152", "Stop", texter.provider_id(message_id)))
    # Twice, and about nothing of ours.
    texter.hear(reply(to, "+12065550152", "Stop", texter.provider_id(message_id)))
    texter.hear(reply(to, "+12065550152", "Stop", "somebody-elses"))
    texter.hear(reply(to, "+12065550152", "Stop", None))

    assert texter.stages(message_id) == ["accepted", "sent", "delivered", "unsubscribed"]
    [listed] = texter.post("/v1/suppressions/query", {"channel": "sms"})["suppressions"]
    [entry] = listed["entries"]
    assert (listed["address"], entry["reason"], entry["scope"], entry["message"]) == (
        *(to, "unsubscribe", "marketing", message_id),
    )
    [again] = texter.send(to)
    assert texter.message(again)["status"] == "suppressed"


def test_a_topic_tells_what_a_lost_answer_did_not(texter: Texter) -> None:
    """Of the first copy no id of AWS's is known: what rides along finds the message."""
    texter.stack.faults.add(FaultInput(provider="aws", kind="reset_after", at="SendTextMessage"))
    to = NUMBERS["silent"]
    [message_id] = texter.send(to)
    first = texter.stack.outbox.all("aws")[0]
    params = {"DestinationPhoneNumber": to, "Context": first.data["context"]}
    texter.hear(as_published("DELIVERED", params, first.id, texter.stack.clock.now_ms(), 1))

    assert "delivered" in texter.stages(message_id)
    assert texter.message(message_id)["status"] == "delivered"
