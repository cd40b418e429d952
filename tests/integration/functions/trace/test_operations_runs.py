"""What anyone can see of a run's messages while they are queued, and when they are sent: on the whole platform."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local.pollers import QueuePoller
from local.timeline_items import is_event
from mepush.client.errors import ApiError
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform, campaign_platform


@pytest.fixture(scope="module")
def one() -> Iterator[CampaignPlatform]:
    with campaign_platform() as found:
        yield found


def request(one: CampaignPlatform, base: str) -> list[dict[str, Any]]:
    """A request's messages, page by page; none while the trace does not know them."""
    try:
        return list(one.api.pages(f"/v1/requests/{base}", "messages"))
    except ApiError:
        return []


def stages(message: dict[str, Any]) -> list[str]:
    return [event["stage"] for event in message["timeline"]]


def test_each_message_of_a_run_is_seen_from_the_queue_to_its_end(one: CampaignPlatform) -> None:
    people = one.people(250)
    one.file(people)
    variants = [{"name": "a", "template": "spring"}, {"name": "b", "template": "summer"}]
    run = one.start(one.campaign(variants=variants))
    base = one.run(run).shard_base(0)
    seen: list[dict[str, Any]] = []

    def queued() -> bool:
        seen[:] = [m for m in request(one, base) if m["status"] == "accepted"]
        return bool(seen)

    # Nobody takes what is queued, so that it can be looked at.
    pollers = one.stack._pollers
    taking = [p for p in pollers if isinstance(p, QueuePoller) and p.mapping.function == "dispatch_email"]
    pollers[:] = [p for p in pollers if p not in taking]
    one.work(queued)
    pollers[:] = [*taking, *pollers]
    assert seen
    for message in (seen[0], seen[-1]):
        assert one.api.get(f"/v1/messages/{message['message_id']}") == message
        assert (message["run"], message["request_id"], message["final"]) == (run, base, False)
    one.work()
    messages = request(one, base)
    assert len(messages) == 250
    assert all(m["run"] == run and stages(m) == ["accepted", "sent"] and m["to"] for m in messages)
    by_variant = Counter(m["variant"] for m in messages)
    assert {each["name"]: each["accepted"] for each in one.view(run)["variants"]} == by_variant
    found = one.api.post("/v1/messages/query", {"to": people[7]})["messages"]
    assert [(m["run"], stages(m)) for m in found] == [(run, ["accepted", "sent"])]
    one.check(run, people)
    items = one.stack.client("dynamodb").scan(TableName=one.stack.outputs["TimelineTable"])["Items"]
    mine = [item for item in items if run in item.get("d", {}).get("S", "") and is_event(item["pk"]["S"])]
    assert len(mine) == 250
