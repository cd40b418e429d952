"""Which run is followed, and why one cannot be."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions.campaign.follow.finding import check_known
from shared.errors import ConflictError, ForbiddenError, InvalidError, PlatformError
from shared.model.campaigns import Audience, Campaign, Columns, Follows, Schedule, Who
from shared.model.runs import Purpose, Run, RunState
from shared.model.tasks import StartTask
from shared.model.templates import TrackingMode
from shared.model.words import KeyKind
from shared.policy.files import KEEP_DAYS
from tests.samples import NOW, TENANT, template
from tests.unit.functions.campaign.run_harness import RunHarness, run_harness

DAY_MS = 86_400_000
UNKNOWN = "spring.01JHMPFN8022ECZH5CSHTK0000"


@pytest.fixture
def one() -> Iterator[RunHarness]:
    with run_harness() as found:
        yield found


def finished(one: RunHarness, **changes: Any) -> Run:
    """A run of `spring` that is over, changed."""
    run = one.start(one.campaign(audience=Audience(file="people.csv", columns=Columns(to="E-Mail", reference="id"))))
    one.drain()
    return change(one, run, **changes)


def change(one: RunHarness, run: Run, **changes: Any) -> Run:
    found = one.campaigns.change_run(TENANT.id, run.id, lambda stored: stored.moved(**changes))
    assert found is not None
    return found


def follower(one: RunHarness, who: str = "not_opened", columns: Columns | None = None, **which: Any) -> Campaign:
    """A campaign that follows a run, saved."""
    audience = Audience(follows=Follows(who=Who(who), **which), columns=columns or Columns())
    return one.campaign(id="again", audience=audience)


def test_a_run_is_followed_as_it_was_read(one: RunHarness) -> None:
    before = finished(one)
    run = one.start(follower(one, campaign="spring"))
    audience = run.campaign.audience
    assert audience.follows == Follows(run=before.id, who=Who.NOT_OPENED)
    assert audience.columns == Columns(to="E-Mail", reference="id")
    assert (audience.file, audience.format) == (None, "csv")
    assert run.file is not None and before.file is not None
    assert (run.file.key, run.file.version, run.file.rewritten) == (before.file.key, before.file.version, True)


def test_people_may_be_written_to_at_another_address(one: RunHarness) -> None:
    before = finished(one)
    run = one.start(follower(one, run=before.id, columns=Columns(to="phone")))
    assert run.campaign.audience.columns == Columns(to="phone")


def test_the_latest_run_that_sent_and_is_over_is_meant(one: RunHarness) -> None:
    first = finished(one)
    second = finished(one)
    assert second.id > first.id
    # A check, one of a test key, and one that goes on come later and are not meant.
    checked = one.start(one.campaign(), purpose=Purpose.CHECK)
    one.drain()
    assert one.run(checked.id).state is RunState.CHECKED
    one.files.kind = KeyKind.TEST
    tried = one.start(one.campaign(), kind=KeyKind.TEST)
    one.files.kind = KeyKind.LIVE
    change(one, tried, state=RunState.FINISHED, sending_at=NOW, over_at=NOW)
    going = one.start(one.campaign())
    change(one, going, state=RunState.SENDING, sending_at=NOW)
    run = one.start(follower(one, campaign="spring"))
    assert run.campaign.audience.follows is not None
    assert run.campaign.audience.follows.run == second.id


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"state": RunState.SENDING}, ConflictError, "is not over"),
        ({"state": RunState.PAUSED}, ConflictError, "is not over"),
        ({"purpose": Purpose.CHECK, "sending_at": None}, InvalidError, "has sent nothing"),
        ({"state": RunState.FAILED, "sending_at": None}, InvalidError, "has sent nothing"),
        ({"kind": KeyKind.TEST}, ForbiddenError, "is one of test keys"),
        ({"kind": KeyKind.TEAM}, ForbiddenError, "is one of team keys"),
        ({"over_at": NOW - KEEP_DAYS * DAY_MS - 3_600_000}, InvalidError, "kept for 60 days"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_what_to_do(
    one: RunHarness, changes: dict[str, Any], error: type[PlatformError], said: str
) -> None:
    before = finished(one, **changes)
    with pytest.raises(error) as caught:
        one.start(follower(one, run=before.id))
    assert said in caught.value.detail
    assert one.campaigns.open_runs(TENANT.id, "again") == []


@pytest.mark.parametrize("changes", [{"state": RunState.CANCELLED}, {"state": RunState.FAILED}])
def test_one_that_ended_early_is_followed_as_far_as_it_sent(one: RunHarness, changes: dict[str, Any]) -> None:
    before = finished(one, **changes)
    assert one.start(follower(one, run=before.id)).state is RunState.PLANNING


def test_what_does_not_exist_is_named(one: RunHarness) -> None:
    for campaign, field in ((follower(one, run=UNKNOWN), "run"), (follower(one, campaign="none"), "campaign")):
        with pytest.raises(InvalidError) as error:
            one.start(campaign)
        assert [e.field for e in error.value.errors] == [f"audience.follows.{field}"]


def test_the_same_people_are_not_written_to_twice_by_one_campaign(one: RunHarness) -> None:
    before = finished(one)
    campaign = follower(one, run=before.id)
    run = one.start(campaign)
    change(one, run, state=RunState.FINISHED, sending_at=NOW, over_at=NOW)
    one.drain()
    with pytest.raises(ConflictError, match=f"already, by its run `{run.id}`"):
        one.start(campaign)
    # What only looks is no follow-up, nor is one for others, or of another run.
    one.start(campaign, purpose=Purpose.CHECK)
    one.drain()
    other = one.start(follower(one, who="undelivered", run=before.id))
    change(one, other, state=RunState.FAILED, over_at=NOW)
    one.drain()
    # That one sent nothing, so it may be tried again.
    assert one.start(follower(one, who="undelivered", run=before.id)).state is RunState.PLANNING


def test_a_schedule_follows_each_run_once(one: RunHarness) -> None:
    finished(one)
    follower(one, campaign="spring")
    stored = one.campaigns.load(TENANT.id, "again")
    assert stored is not None
    one.campaign(id="again", audience=stored.value.audience, schedule=Schedule(expression="rate(1 day)"))

    def fire(day: int) -> Run:
        run = one.starter.fire(StartTask(tenant=TENANT.id, campaign="again", scheduled_at=f"2025-02-0{day}T11:00:00Z"))
        assert run is not None
        return run

    first = fire(1)
    assert first.state is RunState.PLANNING
    change(one, first, state=RunState.FINISHED, sending_at=NOW, over_at=NOW)
    one.drain()
    second = fire(2)
    assert (second.state, second.started_by) == (RunState.SKIPPED, "schedule")
    assert "has followed the run" in (second.problem or "")
    # The campaign that is followed has another run meanwhile.
    later = one.start(one.campaign())
    one.drain()
    third = fire(3)
    assert third.campaign.audience.follows is not None
    assert (third.state, third.campaign.audience.follows.run) == (RunState.PLANNING, later.id)


@pytest.mark.parametrize("who", list(Who))
def test_nobody_is_followed_by_what_an_anonymous_template_cannot_tell(who: Who) -> None:
    silent = who in (Who.NOT_OPENED, Who.NOT_CLICKED)
    follows, plain = Follows(run=UNKNOWN, who=who), template()[0]
    check_known(follows, [plain, None, plain.model_copy(update={"tracking": TrackingMode.RECIPIENT})])
    anonymous = plain.model_copy(update={"tracking": TrackingMode.ANONYMOUS})
    if not silent:
        return check_known(follows, [plain, anonymous])
    with pytest.raises(InvalidError) as raised:
        check_known(follows, [plain, anonymous])
    [error] = raised.value.errors
    assert error.field == "audience.follows.who" and "nobody knows who" in error.message
    return None
