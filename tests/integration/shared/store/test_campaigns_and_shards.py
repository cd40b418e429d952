"""Campaigns, runs and shards as they are stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from shared.model.audit import record_change
from shared.model.campaigns import Audience, Campaign, StopRule, Variant
from shared.model.runs import Run, RunState, Shard, Tally, run_id
from shared.model.words import Channel, MessageClass
from shared.store.campaigns import CONTROL_SECONDS, Campaigns
from shared.store.catalog_items import CatalogConflictError
from shared.store.shards import Shards
from tests.fakes import FakeClock
from tests.memory import tables

NOW = 1_790_000_000_000


@dataclass
class Stores:
    """Both stores on tables in memory."""

    campaigns: Campaigns
    shards: Shards
    clock: FakeClock
    client: Any


@pytest.fixture
def stores() -> Iterator[Stores]:
    clock = FakeClock(NOW)
    with tables(clock, "catalog", "guard") as client:
        yield Stores(Campaigns(client, "catalog", clock), Shards(client, "guard", clock), clock, client)


def campaign(id: str = "spring") -> Campaign:
    return Campaign(
        id=id,
        tenant="default",
        name="Spring",
        variants=(Variant(name="all", template="sale"),),
        audience=Audience(file="uploads/a.csv"),
    )


def run(fired_at: int = NOW, state: RunState = RunState.PLANNING, of: str = "spring") -> Run:
    return Run(
        id=run_id("default", of, fired_at),
        tenant="default",
        fired_at=fired_at,
        state=state,
        state_at=fired_at,
        state_by="schedule",
        started_by="schedule",
        campaign=campaign(of),
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        created_at=fired_at,
    )


def record(action: str = "create_campaign") -> Any:
    return record_change(NOW, "default", "key", action, "campaign/spring", None, {"name": "Spring"})


def test_a_campaign_is_saved_once_and_changed_from_what_it_is(stores: Stores) -> None:
    stores.campaigns.save(campaign(), None, record())
    with pytest.raises(CatalogConflictError):
        stores.campaigns.save(campaign(), None, record())
    found = stores.campaigns.load("default", "spring")
    assert found is not None
    assert found.value == campaign()
    stores.campaigns.save(found.value.changed(name="Other"), found.rev, record("update_campaign"))
    with pytest.raises(CatalogConflictError):
        stores.campaigns.save(found.value, found.rev, record("update_campaign"))


def test_campaigns_come_in_pages(stores: Stores) -> None:
    for id in ("c", "a", "b"):
        stores.campaigns.save(campaign(id), None, record())
    first = stores.campaigns.page("default", 2)
    assert ([c.id for c in first.items], first.cursor is None) == (["a", "b"], False)
    second = stores.campaigns.page("default", 2, first.cursor)
    assert ([c.id for c in second.items], second.cursor) == (["c"], None)


def test_one_firing_is_one_run_however_often_it_comes(stores: Stores) -> None:
    assert stores.campaigns.create_run(run())
    assert not stores.campaigns.create_run(run())
    assert run_id("default", "spring", NOW) != run_id("default", "spring", NOW + 60_000)
    assert run_id("default", "spring", NOW) != run_id("default", "summer", NOW)


def test_runs_come_newest_first_and_open_ones_in_order(stores: Stores) -> None:
    fired = [NOW + i * 60_000 for i in range(3)]
    for at in fired:
        stores.campaigns.create_run(run(at))
    stores.campaigns.create_run(run(of="other"))
    page = stores.campaigns.runs("default", "spring", 2)
    assert [r.fired_at for r in page.items] == [fired[2], fired[1]]
    rest = stores.campaigns.runs("default", "spring", 2, page.cursor)
    assert ([r.fired_at for r in rest.items], rest.cursor) == ([fired[0]], None)
    stores.campaigns.change_run("default", run(fired[1]).id, lambda r: r.to(RunState.FINISHED, NOW, "platform"))
    assert stores.campaigns.open_runs("default", "spring") == [run(fired[0]).id, run(fired[2]).id]
    assert len(stores.campaigns.open_runs("default")) == 3


def test_a_run_that_is_skipped_was_never_open(stores: Stores) -> None:
    stores.campaigns.create_run(run(state=RunState.SKIPPED))
    assert stores.campaigns.open_runs("default") == []


def test_a_change_is_made_from_what_is_there(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.campaigns.create_run(run())
    other = Campaigns(stores.client, "catalog", stores.clock)
    seen: list[int] = []

    def change(found: Run) -> Run:
        seen.append(found.rows)
        if len(seen) == 1:
            other.change_run("default", found.id, lambda r: r.moved(rows=7))
        return found.moved(chains=3)

    after = stores.campaigns.change_run("default", run().id, change)
    assert after is not None
    assert (seen, after.rows, after.chains) == ([0, 7], 7, 3)
    assert stores.campaigns.change_run("default", "spring.nothing", lambda r: r) is None


def test_dispatch_learns_of_another_state_within_two_seconds(stores: Stores) -> None:
    stores.campaigns.create_run(run(state=RunState.SENDING))
    reader = Campaigns(stores.client, "catalog", stores.clock)
    first = reader.control("default", run().id)
    assert first is not None
    assert (first.state, first.by) == (RunState.SENDING, "schedule")
    stores.campaigns.change_run("default", run().id, lambda r: r.to(RunState.PAUSED, stores.clock.now_ms(), "key7"))
    fresh = reader.control("default", run().id, fresh=True)
    assert fresh is not None
    assert fresh.state is RunState.PAUSED
    third = Campaigns(stores.client, "catalog", stores.clock)
    assert third.control("default", run().id) == fresh
    stores.campaigns.change_run("default", run().id, lambda r: r.to(RunState.SENDING, stores.clock.now_ms(), "key7"))
    stores.clock.advance(CONTROL_SECONDS)
    again = third.control("default", run().id)
    assert again is not None
    assert again.state is RunState.SENDING
    assert reader.control("default", "spring.unknown") is None


def shard(number: int = 0, **more: Any) -> Shard:
    return Shard(number=number, key="k", version="v", start=0, end=10, first_row=1, rows=3, **more)


def test_of_two_who_work_on_a_shard_one_gets_on(stores: Stores) -> None:
    stores.shards.create("default", "r", [shard(1), shard(0)])
    assert [s.number for s in stores.shards.all("default", "r")] == [0, 1]
    one, two = (stores.shards.load("default", "r", 1) for _ in range(2))
    assert one is not None
    assert two is not None
    moved = one.value.model_copy(update={"next_row": 2, "sent": Tally(rows=2)})
    saved = stores.shards.save("default", "r", moved, one.rev)
    assert saved is not None
    assert stores.shards.save("default", "r", two.value.model_copy(update={"next_row": 1}), two.rev) is None
    # The same write again, as the client repeats one whose answer was lost.
    assert stores.shards.save("default", "r", moved, one.rev) == saved
    assert stores.shards.load("default", "r", 2) is None


def test_a_second_planner_leaves_shards_alone_on_which_somebody_works(stores: Stores) -> None:
    stores.shards.create("default", "r", [shard(0), shard(1)])
    found = stores.shards.load("default", "r", 1)
    assert found is not None
    moved = found.value.model_copy(update={"next_row": 2})
    assert stores.shards.save("default", "r", moved, found.rev) is not None
    stores.shards.create("default", "r", [shard(n) for n in range(150)])
    assert [s.next_row for s in stores.shards.all("default", "r")] == [0, 2] + [0] * 148


def test_tallies_add_up() -> None:
    one = Tally(rows=2, rejected={"a": 1}, variants={"x": 1}, samples={"a": tuple((n, "bad") for n in range(4))})
    two = Tally(rows=3, rejected={"a": 2, "b": 1}, variants={"y": 1}, samples={"a": ((9, "bad"), (10, "bad"))})
    total = one.plus(two)
    assert (total.rows, total.rejected, total.variants) == (5, {"a": 3, "b": 1}, {"x": 1, "y": 1})
    assert [row for row, _ in total.samples["a"]] == [0, 1, 2, 3, 9]


def test_a_run_that_a_newer_function_wrote_is_read(stores: Stores) -> None:
    """While a deployment goes on, or after one that is taken back."""
    stores.campaigns.create_run(run())
    item = stores.client.get_item(TableName="catalog", Key=stored_key(stores))["Item"]
    newer = from_json(item["doc"]["S"])
    newer["later"] = 1
    newer["campaign"]["audience"]["later"] = newer["campaign"]["variants"][0]["later"] = {"much": "more"}
    newer["campaign"]["stop_rule"] = {"after": 5, "later_percent": 7}
    stores.client.put_item(TableName="catalog", Item={**item, "doc": {"S": to_json(newer).decode()}})
    found = stores.campaigns.load_run("default", run().id)
    assert found is not None
    assert found.value.campaign == campaign().changed(stop_rule=StopRule(after=5))
    # One from before there were follow-ups and a rule for what comes back is read, too.
    del newer["campaign"]["audience"]["follows"], newer["picked"]
    newer["campaign"]["stop_rule"] = {"after": 5, "failures_percent": None, "complaints_percent": None}
    stores.client.put_item(TableName="catalog", Item={**item, "doc": {"S": to_json(newer).decode()}})
    found = stores.campaigns.load_run("default", run().id)
    assert found is not None
    assert found.value.campaign.stop_rule == StopRule(after=5, complaints_percent=None, undelivered_percent=5)
    assert (found.value.campaign.audience.follows, found.value.picked) == (None, {})


def stored_key(stores: Stores) -> dict[str, Any]:
    """The key of the only run's item."""
    [item] = [i for i in stores.client.scan(TableName="catalog")["Items"] if i["sk"]["S"].startswith("run#")]
    return {"pk": item["pk"], "sk": item["sk"]}
