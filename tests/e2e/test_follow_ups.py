"""Follow-up runs: exactly those get another message of whose first one what is said fits, and nobody gets two.

A run goes to addresses of Amazon SES's mailbox simulator and of its sandbox, which say each something else; then a run
follows for each set.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local.faults import FaultInput
from local.sandbox.ses_receipts import SIMULATOR
from tests.integration.functions.campaign.campaign_platform import campaign_platform
from tests.integration.functions.campaign.followed_run import DAY_S, SETS, FollowedRun

pytestmark = pytest.mark.xdist_group("local-stack")


@pytest.fixture(scope="module")
def world() -> Iterator[FollowedRun]:
    with campaign_platform(shard_rows=20, slice_rows=20) as one:
        yield FollowedRun(one)


@pytest.mark.parametrize("who", ["no_receipt", "not_opened", "not_clicked", "undelivered"])
def test_exactly_the_right_people_are_written_to_again(world: FollowedRun, who: str) -> None:
    before = len(world.mails("again"))
    view = world.follow(who)
    wanted = {to for to in world.sent if to.partition("+")[0] in SETS[who]}
    follows = view["follows"]
    assert follows["picked"] == len(wanted)
    assert view["check"]["rows"] == view["check"]["messages"] == len(wanted)
    # Every row of the run is told of: those to whom it was sent, the held out, the broken and the repeated one.
    assert (
        follows["picked"] + sum(each["rows"] for each in follows["others"]) == follows["rows"] == len(world.people) + 2
    )
    got = [d.to for d in world.mails("again")[before:]]
    assert len(got) == len(set(got))
    if who == "undelivered":
        # They are on the suppression list, but for those whose content was refused.
        assert {to.partition("+")[0] for to in got} == {"rejected"}
    else:
        assert set(got) == wanted
    outcomes = view["progress"]["outcomes"]
    assert sum(outcomes.values()) == view["progress"]["accepted"] == len(wanted)
    assert outcomes.get("sent", 0) == len(got)


def test_those_to_whom_it_failed_get_it_by_another_way(world: FollowedRun) -> None:
    one = world.one
    people = {kind: one.people(4, kind) for kind in ("u", "refused")}
    blocked = one.people(2, "blocked")
    for address in blocked:
        one.api.post("/v1/suppressions", {"channel": "email", "address": address, "reason": "manual"})
    for address in people["refused"]:
        one.stack.faults.add(
            FaultInput(provider="smtp", kind="code", status=550, code="5.1.1 No such user", to=address, times=-1)
        )
    one.file([*people["u"], *people["refused"], *blocked], "some.csv")
    before = one.start(one.campaign(audience={"file": "some.csv"}))
    one.work()
    assert one.view(before)["progress"]["outcomes"] == {"sent": 4, "failed": 4, "suppressed": 2}
    audience = {"follows": {"run": before, "who": "failed"}}
    run = one.start(one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience))
    one.work()
    view = one.view(run)
    assert view["follows"]["picked"] == 4
    assert {each["why"]: each["rows"] for each in view["follows"]["others"]} == {"sent": 4, "not_sent": 2}
    assert Counter(d.to for d in world.mails("again") if d.to in people["refused"]) == Counter(people["refused"])
    # Of an account that says nothing nobody misses a receipt.
    world.wait(2 * DAY_S)
    audience = {"follows": {"run": before, "who": "no_receipt"}}
    run = one.start(one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience))
    one.work()
    view = one.view(run)
    assert view["state"] == "failed"
    assert "nobody to write to: of 10 rows" in view["problem"]
    assert {each["why"]: each["rows"] for each in view["follows"]["others"]} == {"account_silent": 4, "not_sent": 6}


def test_a_follow_up_of_a_day_goes_by_what_is_known_that_day(world: FollowedRun) -> None:
    """It is set up in advance, and follows whatever run is the latest then."""
    one = world.one
    one.put(
        "to,name\n" + "".join(f"{kind}+day{i}@{SIMULATOR},Ann\n" for i in range(3) for kind in ("opened", "success"))
    )
    campaign = one.campaign(variants=[{"name": "main", "template": "sale"}])
    at = datetime.fromtimestamp(one.stack.clock.now_ms() / 1000 + 2 * DAY_S, UTC)
    schedule = {"expression": f"at({at:%Y-%m-%dT%H:%M:%S})", "time_zone": "UTC"}
    audience = {"follows": {"campaign": campaign, "who": "not_opened"}}
    again = one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience, schedule=schedule)
    one.start(campaign)
    one.work()
    assert one.api.get(f"/v1/campaigns/{again}/runs")["runs"] == []
    before = len(world.mails("again"))
    one.work(horizon_s=3 * DAY_S)
    [run] = one.api.get(f"/v1/campaigns/{again}/runs")["runs"]
    assert one.view(run["id"])["state"] == "finished"
    assert sorted(d.to for d in world.mails("again")[before:]) == [f"success+day{i}@{SIMULATOR}" for i in range(3)]


def test_a_follow_up_may_be_followed(world: FollowedRun) -> None:
    first = world.follow("not_opened")
    world.wait(2 * DAY_S)
    one, before = world.one, len(world.mails("again"))
    audience = {"follows": {"run": first["id"], "who": "not_opened"}}
    second = one.start(one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience))
    one.work()
    assert one.view(second)["follows"]["rows"] == first["follows"]["picked"]
    # None of those who were left has opened the second message.
    assert {d.to for d in world.mails("again")[before:]} == {
        to for to in world.sent if to.partition("+")[0] in SETS["not_opened"]
    }
    assert "Probably that is not measured" in one.view(second)["follows"]["warning"]


def test_a_run_pauses_by_what_comes_back(world: FollowedRun) -> None:
    one = world.one
    kinds = ["success"] * 8 + ["bounce"] * 2
    one.put("to,name\n" + "".join(f"{kinds[i % 10]}+stop{i}@{SIMULATOR},Ann\n" for i in range(400)))
    rule = {"after": 50}
    run = one.start(one.campaign(variants=[{"name": "main", "template": "sale"}], stop_rule=rule, throttle=60))
    one.work()
    view = one.view(run)
    assert view["state"] == "paused"
    assert re.fullmatch(
        r"Paused by its stop rule: of [0-9]+ messages that were sent [0-9]+ came back \(.* %; 5 % are allowed\)\. .*",
        view["problem"],
    )
    assert 50 <= view["progress"]["outcomes"]["sent"] < 400
    one.api.post(f"/v1/runs/{run}/resume", {})
    one.work()
    assert (one.view(run)["state"], one.view(run)["receipts"]["undelivered"]) == ("finished", 80)


def test_those_from_whom_it_came_back_get_it_on_another_channel(world: FollowedRun) -> None:
    one = world.one
    content = {"type": "sms", "text": "Hello {{ name }}"}
    body = {"id": "text", "name": "text", "class": "notification", "accounts": ["sms-aws"], "content": content}
    one.api.post("/v1/templates", {**body, "sample": {"name": "Ann"}})
    one.api.post("/v1/templates/text/versions/1/publish", {})
    rows = [f"{kind}+text{i}@{SIMULATOR},Ann,+8613800{i:06d}\n" for i, kind in enumerate(["bounce", "success"] * 3)]
    one.put("to,name,phone\n" + "".join(rows))
    before = one.start(one.campaign(variants=[{"name": "main", "template": "sale"}]))
    one.work()
    audience = {"follows": {"run": before, "who": "undelivered"}, "columns": {"to": "phone"}}
    run = one.start(one.campaign(variants=[{"name": "main", "template": "text"}], audience=audience))
    one.work()
    view = one.view(run)
    assert (view["state"], view["follows"]["picked"]) == ("finished", 3)
    texts = [d.to for d in one.stack.outbox.all() if d.provider not in ("ses", "smtp")]
    assert sorted(texts) == [f"+8613800{i:06d}" for i in (0, 2, 4)]
