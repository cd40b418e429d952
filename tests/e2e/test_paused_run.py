"""A run is paused, resumed and cancelled on the whole local stack, with the real functions and their queues."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.aws.queue import send_batch
from shared.model.campaigns import Audience, Campaign, Variant
from shared.model.envelope import Envelope, group_id
from shared.model.ids import Numbering, derived_base
from shared.model.runs import Run, RunState, run_id
from shared.model.words import Channel, MessageClass
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.parking import BUCKETS, Parking
from tests.samples import recipients

pytestmark = pytest.mark.xdist_group("local-stack")

COUNT = 5


@dataclass
class Platform:
    """A stack that does nothing by itself, with a template and a campaign's run of which each test has its own."""

    stack: LocalStack
    api: Client
    campaigns: Campaigns
    parking: Parking

    def start(self, name: str) -> tuple[str, Envelope]:
        """A run that is sending, and an envelope of it that was not queued yet."""
        now = self.stack.clock.now_ms()
        campaign = Campaign(
            id=name, tenant="default", name=name, variants=(Variant(name="all", template="sale"),),
            audience=Audience(file="uploads/a.csv"),
        )  # fmt: skip
        run = Run(
            id=run_id("default", name, now), tenant="default", fired_at=now, state=RunState.SENDING, state_at=now,
            state_by="schedule", started_by="schedule", campaign=campaign, channel=Channel.EMAIL,
            message_class=MessageClass.MARKETING, created_at=now,
        )  # fmt: skip
        assert self.campaigns.create_run(run)
        base = derived_base(now, run.id)
        one = Envelope(
            id=Numbering(base)(0), tenant="default", channel=Channel.EMAIL, template="sale", version=1, request=base,
            run=run.id, accepted_at=now, expires_at=now + 86_400_000, recipients=recipients(COUNT),
            message_class=MessageClass.MARKETING,
        )  # fmt: skip
        return run.id, one

    def let(self, run: str, state: RunState) -> None:
        """Change a run, and wait until every function knows."""
        now = self.stack.clock.now_ms()
        self.campaigns.change_run("default", run, lambda r: r.to(state, now, "key"))
        self.stack.clock.advance(3)

    def queue(self, *envelopes: Envelope) -> None:
        url = json.loads(self.stack.environment("ingest")["QUEUE_URLS"])["email.marketing"]
        for one in envelopes:
            entry = {"MessageBody": one.to_json(), "MessageGroupId": group_id(one.tenant, one.run)}
            assert send_batch(self.stack.client("sqs"), url, [(one.id, entry)]) == set()

    def release(self, run: str) -> int:
        """Put what is held on its queue; returns how many envelopes."""
        count = 0
        for bucket in range(BUCKETS):
            for page in self.parking.pages("default", run, bucket):
                self.queue(*(envelope for envelope, _ in page))
                self.parking.delete("default", run, bucket, [envelope.id for envelope, _ in page])
                count += len(page)
        return count

    def message(self, one: Envelope, i: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/v1/messages/{Numbering(one.root)(i)}{one.recipients[i].tag}")
        return found

    def stages(self, one: Envelope) -> list[list[str]]:
        """The stages of each message."""
        return [[event["stage"] for event in self.message(one, i)["timeline"]] for i in range(COUNT)]

    def sent(self) -> int:
        return self.stack.outbox.count()


@pytest.fixture(scope="module")
def stack() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True) as stack, Client(stack.url, first_key(stack)) as api:
        [entry] = read_accounts(EXAMPLES / "accounts.toml", "mail-ses")
        api.post("/v1/accounts", account_body(entry, stack.sandboxes))
        content = {"type": "email", "subject": "Hello", "text": "Hello {{ name }}"}
        body = {"id": "sale", "name": "Sale", "class": "marketing", "accounts": ["mail-ses"], "content": content}
        api.post("/v1/templates", {**body, "sample": {"name": "you"}})
        api.post("/v1/templates/sale/versions/1/publish", {})
        dynamodb, outputs = stack.client("dynamodb"), stack.outputs
        campaigns = Campaigns(dynamodb, outputs["CatalogTable"], stack.clock)
        assert Catalog(dynamodb, outputs["CatalogTable"], stack.clock).tenant("default") is not None
        yield Platform(stack, api, campaigns, Parking(dynamodb, outputs["GuardTable"], stack.clock))


@pytest.fixture
def platform(stack: Platform) -> Platform:
    stack.stack.outbox.clear()
    return stack


def test_what_is_held_says_so_and_is_sent_once_its_run_goes_on(platform: Platform) -> None:
    run, one = platform.start("resumed")
    platform.let(run, RunState.PAUSED)
    platform.queue(one, one)
    platform.stack.drain()
    assert platform.sent() == 0 and platform.parking.any("default", run)
    seen = platform.message(one)
    assert (seen["status"], seen["timeline"][-1]["reason"], seen["final"]) == ("deferred", "run_paused", False)
    assert seen["timeline"][-1]["text"].startswith("Held while its campaign's run is paused")
    assert "until" not in {name for name, value in seen["timeline"][-1].items() if value is not None}
    platform.let(run, RunState.SENDING)
    assert platform.release(run) == 1
    # The parent comes once more, as queues may have it.
    platform.queue(one)
    platform.stack.drain()
    assert platform.sent() == COUNT and not platform.parking.any("default", run)
    assert platform.stages(one) == [["accepted", "deferred", "sent"]] * COUNT


def test_what_is_held_ends_once_its_run_is_cancelled(platform: Platform) -> None:
    run, one = platform.start("cancelled")
    platform.let(run, RunState.PAUSED)
    platform.queue(one)
    platform.stack.drain()
    platform.let(run, RunState.CANCELLED)
    assert platform.release(run) == 1
    platform.stack.drain()
    assert platform.sent() == 0
    assert platform.stages(one) == [["accepted", "deferred", "recalled"]] * COUNT
    seen = platform.message(one)
    assert (seen["status"], seen["timeline"][-1]["reason"], seen["final"]) == ("recalled", "run_cancelled", True)


def test_a_run_that_goes_on_is_sent_and_one_of_no_run_too(platform: Platform) -> None:
    _, one = platform.start("sending")
    other = replace(one, id=Numbering(derived_base(one.accepted_at, "other"))(0), run=None)
    platform.queue(one, other)
    platform.stack.drain()
    assert platform.sent() == 2 * COUNT
