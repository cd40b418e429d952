"""Whole runs on the local stack, from the call that starts one to the last outcome."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.seed import first_key
from mepush.client.errors import ApiError
from shared.model.runs import RunState
from shared.model.tasks import StartTask
from tests.integration.functions.campaign.campaign_platform import TENANT, CampaignPlatform, campaign_platform


@pytest.fixture(scope="module")
def one() -> Iterator[CampaignPlatform]:
    """A platform for all tests here."""
    with campaign_platform() as found:
        yield found


def key(one: CampaignPlatform, **more: Any) -> str:
    """Another API key."""
    body = {"name": "other", "kind": "live", "scopes": ["send", "read", "manage"]}
    found: str = one.api.post("/v1/keys", body | more)["key"]
    return found


def test_a_whole_run(one: CampaignPlatform) -> None:
    people = one.people(2450)
    bad = [f"nobody-{i}" for i in range(40)]
    lines = people[:1200] + bad + people[1200:] + people[:10]
    one.file(lines)
    variants = [{"name": "a", "template": "spring"}, {"name": "b", "template": "summer", "weight": 3}]
    run = one.start(one.campaign(variants=variants))
    before = one.stack.requests.copy()
    one.work()
    view = one.view(run)
    assert (view["state"], view["problem"]) == ("finished", None)
    one.check(run, people)
    assert [shard.rows for shard in one.all_shards(run)] == [1000, 1000, 500]
    check = view["check"]
    assert (check["rows"], check["distinct"], check["duplicates"], check["messages"]) == (2500, 2450, 10, 2450)
    assert [(r["reason"], r["rows"]) for r in check["rejected"]] == [("address_invalid", 40)]
    assert view["progress"]["outcomes"] == {"sent": 2450}
    assert (view["progress"]["accepted"], view["progress"]["in_flight"]) == (2450, 0)
    by_name = {v["name"]: v for v in view["variants"]}
    assert sum(v["accepted"] for v in by_name.values()) == 2450
    assert 0.7 < by_name["b"]["stages"]["sent"] / 2450 < 0.8
    requests = one.stack.requests - before
    # All of the platform together: two variants make twice as many envelopes.
    assert requests["sqs.SendMessageBatch"] < 40
    assert requests["kinesis.PutRecords"] < 40


def test_a_run_is_paused_midway_and_goes_on(one: CampaignPlatform) -> None:
    people = one.people(2500)
    one.file(people)
    run = one.start(one.campaign())
    one.work(lambda: any(shard.next_row > 0 for shard in one.all_shards(run)))
    one.api.post(f"/v1/runs/{run}/pause", {})
    assert one.view(run)["state"] == "paused"
    one.work(horizon_s=60)
    held = sum(one.delivered(people).values())
    assert held < 2500
    one.work(horizon_s=600)
    assert sum(one.delivered(people).values()) == held
    one.api.post(f"/v1/runs/{run}/resume", {})
    one.work()
    assert one.view(run)["state"] == "finished"
    one.check(run, people)


def test_a_run_is_cancelled_midway(one: CampaignPlatform) -> None:
    people = one.people(2500)
    one.file(people)
    run = one.start(one.campaign())
    one.work(lambda: any(shard.next_row > 0 for shard in one.all_shards(run)))
    one.api.post(f"/v1/runs/{run}/cancel", {})
    one.work()
    view, counts = one.view(run), one.counts(one.run(run))
    assert view["state"] == "cancelled"
    delivered = one.delivered(people)
    assert set(delivered.values()) <= {1}
    assert 0 < counts["accepted"] < 2500
    assert counts["accepted"] == counts["sent"] + counts["recalled"]
    assert counts["sent"] == len(delivered)
    assert view["progress"]["in_flight"] == 0
    assert one.run(run).outcomes["accepted"] == counts["accepted"]


def test_a_run_that_is_paused_may_be_cancelled(one: CampaignPlatform) -> None:
    people = one.people(1500)
    one.file(people)
    run = one.start(one.campaign())
    one.work(lambda: any(shard.next_row > 0 for shard in one.all_shards(run)))
    one.api.post(f"/v1/runs/{run}/pause", {})
    one.work(horizon_s=60)
    one.api.post(f"/v1/runs/{run}/cancel", {})
    one.work()
    counts = one.counts(one.run(run))
    assert counts["accepted"] == counts["sent"] + counts["recalled"]


def test_a_throttle_holds_and_can_be_changed(one: CampaignPlatform) -> None:
    people = one.people(600)
    one.file(people)
    run = one.start(one.campaign(throttle=600))
    begun = one.stack.clock.now_ms()
    one.work(lambda: one.view(run)["progress"]["accepted"] >= 300)
    took_s = (one.stack.clock.now_ms() - begun) / 1000
    assert 15 <= took_s <= 40
    one.api.patch(f"/v1/runs/{run}", {"throttle": None})
    changed = one.stack.clock.now_ms()
    one.work(lambda: one.view(run)["progress"]["accepted"] == 600)
    assert one.stack.clock.now_ms() - changed < 10_000
    one.work()
    assert one.view(run)["state"] == "finished"
    one.check(run, people)


def test_a_run_stops_by_its_rule(one: CampaignPlatform) -> None:
    one.file(one.people(900, "refused") + one.people(100), kind="test")
    rule = {"after": 200, "failures_percent": 20}
    secret = key(one, name="test", kind="test", scopes=["send", "read"])
    with one.with_key(secret) as api:
        campaign = one.campaign(api, stop_rule=rule, throttle=6000)
        run = api.post(f"/v1/campaigns/{campaign}/runs", {})["id"]
        one.work()
        view = one.view(run)
        assert view["state"] == "paused"
        assert "allowed" in view["problem"]
        assert {(r["stage"], r["reason"]) for r in view["reasons"]} == {("failed", "address_unknown")}
        api.post(f"/v1/runs/{run}/resume", {})
    one.work()
    view = one.view(run)
    assert (view["state"], view["problem"]) == ("finished", None)
    assert view["progress"]["outcomes"] == {"sent": 100, "failed": 900}


def test_a_large_run_is_approved_by_another_person(one: CampaignPlatform) -> None:
    people = one.people(100)
    one.file(people)
    run = one.start(one.campaign(approve_above=99))
    one.work()
    assert one.view(run)["state"] == "awaiting_approval"
    with pytest.raises(ApiError):
        one.api.post(f"/v1/runs/{run}/approve", {})
    # A key that the starter has made is the same person's.
    with one.with_key(key(one)) as api, pytest.raises(ApiError):
        api.post(f"/v1/runs/{run}/approve", {})
    with one.with_key(first_key(one.stack)) as api:
        api.post(f"/v1/runs/{run}/approve", {})
    one.work()
    assert one.view(run)["state"] == "finished"
    one.check(run, people)


def test_a_run_whose_file_was_deleted_fails_with_what_to_do(one: CampaignPlatform) -> None:
    one.file(one.people(10), "gone.csv")
    run = one.start(one.campaign(audience={"file": "gone.csv"}))
    s3, bucket = one.stack.client("s3"), one.stack.outputs["AssetsBucket"]
    version = one.run(run).file
    assert version is not None
    s3.delete_object(Bucket=bucket, Key=version.key, VersionId=version.version)
    one.work()
    view = one.view(run)
    assert view["state"] == "failed"
    assert "is not in the bucket any more" in view["problem"]


def test_a_schedule_that_fires_twice_sends_once(one: CampaignPlatform) -> None:
    people = one.people(50)
    one.file(people)
    at = "2031-05-01T09:00:00"
    campaign = one.campaign(schedule={"expression": f"at({at})", "time_zone": "UTC"})
    body = StartTask(tenant=TENANT, campaign=campaign, scheduled_at=f"{at}Z").model_dump_json()
    for _ in range(2):
        one.stack.client("sqs").send_message(QueueUrl=one.stack.outputs["CampaignsUrl"], MessageBody=body)
    one.work()
    one.stack.client("sqs").send_message(QueueUrl=one.stack.outputs["CampaignsUrl"], MessageBody=body)
    one.work()
    (run,) = one.api.get(f"/v1/campaigns/{campaign}/runs")["runs"]
    assert run["state"] == "finished"
    one.check(run["id"], people)


def test_tasks_that_are_delivered_again_send_nothing_twice(one: CampaignPlatform) -> None:
    people = one.people(2100)
    one.file(people)
    run = one.start(one.campaign())
    url, sqs = one.stack.outputs["CampaignsUrl"], one.stack.client("sqs")

    def again() -> bool:
        for message in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, MaxNumberOfMessages=10).get(
            "Messages", ()
        ):
            if '"task":"drive"' not in message["Body"]:
                sqs.send_message(QueueUrl=url, MessageBody=message["Body"], DelaySeconds=1)
        return one.run(run).over

    for _ in range(30):
        one.work(again, horizon_s=2)
    one.work()
    assert one.run(run).state is RunState.FINISHED
    one.check(run, people)
