"""Ten thousand events to an endpoint that fails three times in ten: each is delivered, none is lost, repeats have the
same id."""

import json
import random
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from local.stack import LocalStack
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import new_base
from shared.model.words import Channel, MessageClass
from tests.e2e.test_webhooks import Platform
from tests.receiver import Posted, receiving

pytestmark = [pytest.mark.xdist_group("local-stack"), pytest.mark.rotates]

EVENTS = 10_000
TOGETHER = 100
DAYS_4_S = 4 * 86_400
SECOND_COPIES = 5
"""So many of the records are on the stream twice."""


def _records(now_ms: int) -> list[StreamRecord]:
    """Records that say that messages were sent, as dispatch writes them."""
    return [
        StreamRecord(
            tenant="default",
            envelope=(base := new_base(now_ms)),
            channel=Channel.EMAIL,
            message_class=MessageClass.NOTIFICATION,
            template="letter",
            version=1,
            request=base,
            events=[
                EventRow(index=i, tag=f"{i:016d}", stage="sent", nth=0, at=now_ms, masked_address="a***@example.com")
                for i in range(TOGETHER)
            ],
        )
        for _ in range(EVENTS // TOGETHER)
    ]


def test_ten_thousand_events_to_an_endpoint_that_fails_three_times_in_ten() -> None:
    chance = random.Random(34)
    taken: Counter[tuple[str, str]] = Counter()
    refused = 0

    def answer(posted: Posted) -> Any:
        nonlocal refused
        kind = chance.random()
        if kind < 0.3:
            refused += 1
            # What it says when it fails, or nothing at all; once in a while after it took the event.
            if kind < 0.01:
                taken[posted.headers["webhook-id"], json.loads(posted.body)["data"]["message_id"]] += 1
            return None if kind < 0.02 else chance.choice((500, 503, 429, 404, (302, {"location": "/"})))
        taken[posted.headers["webhook-id"], json.loads(posted.body)["data"]["message_id"]] += 1
        return 200

    with LocalStack(threads=False, memory=True) as stack, closing(Platform(stack)) as platform, receiving() as receiver:
        receiver.answer = answer
        platform.hook(receiver.url, types=["message.sent"])
        records = _records(stack.clock.now_ms())
        wanted = {id for record in records for id, _ in record.message_ids()}
        records += records[:SECOND_COPIES]
        entries = [{"Data": each.to_json(), "PartitionKey": each.partition_key} for each in records]
        stack.client("kinesis").put_records(StreamName=stack.outputs["StreamName"], Records=entries)
        stack.drain(200_000, until_due=True, horizon_s=DAYS_4_S)
        dead = stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.deployment.queues[
                next(q for q in stack.deployment.queues if q.startswith("WebhooksOutDead"))
            ],
            AttributeNames=["ApproximateNumberOfMessages"],
        )["Attributes"]["ApproximateNumberOfMessages"]
        state = platform.call("GET", "/v1/webhooks/mine")["state"]

    assert len(wanted) == EVENTS and refused > 0.3 * EVENTS
    assert {message_id for _, message_id in taken} == wanted
    # One id for each message, however often it came.
    assert len(taken) == len({id for id, _ in taken}) == EVENTS
    assert (dead, state) == ("0", "active")
