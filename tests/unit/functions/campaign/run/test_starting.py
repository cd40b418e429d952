"""Starting runs: what is settled, and that a campaign has one at a time."""

from typing import Any

import pytest

from functions.campaign.run import control
from functions.campaign.run.starting import chains, moment, sizes
from shared.errors import ConflictError, ForbiddenError, InvalidError
from shared.model.campaigns import Overlap, Schedule, Variant
from shared.model.keys import ApiKey
from shared.model.runs import Purpose, RunState
from shared.model.tasks import DriveTask, StartTask
from shared.model.words import KeyKind, Scope
from tests.samples import NOW, TENANT, change
from tests.unit.functions.campaign.run_harness import KEY, CrashError, RunHarness, run_harness

AT = "2025-01-15T11:00:00Z"


def scheduled(one: RunHarness, overlap: Overlap = Overlap.SKIP, **more: Any) -> None:
    """Give the campaign a schedule."""
    one.campaign(schedule=Schedule(expression="cron(0 11 * * ? *)", overlap=overlap, **more))


def fire(one: RunHarness, at: str = AT) -> StartTask:
    """What a schedule sends."""
    return StartTask(tenant=TENANT.id, campaign="spring", scheduled_at=at)


def test_a_run_settles_what_it_sends() -> None:
    with run_harness() as one:
        run = one.start()
        assert run.state is RunState.PLANNING
        assert (run.channel, run.message_class) == ("email", "notification")
        assert [(v.name, v.template, v.version, v.weight) for v in run.variants] == [("main", "welcome", 1, 1)]
        assert run.file is not None
        assert (run.file.key, run.file.version, run.file.size) == ("audiences/default/people.csv", "v1", 1000)
        assert (run.started_by, run.team, run.time_zone) == (KEY, None, "Asia/Shanghai")
        assert one.campaigns.open_runs(TENANT.id) == [run.id]


def test_a_team_key_keeps_its_list() -> None:
    with run_harness() as one:
        key = ApiKey(
            id=KEY,
            tenant=TENANT.id,
            name="team",
            kind=KeyKind.TEAM,
            scopes=[Scope.SEND],
            hash="0" * 64,
            recipients=["email:a@example.com"],
            created_at=NOW,
        )
        one.catalog.create_key(key, change())
        one.files.kind = KeyKind.TEAM
        assert one.start(kind=KeyKind.TEAM).team == ("email:a@example.com",)


def test_what_cannot_be_sent_does_not_start() -> None:
    with run_harness() as one:
        with pytest.raises(InvalidError) as error:
            one.start(one.campaign(variants=(Variant(name="main", template="none"),)))
        assert [e.field for e in error.value.errors] == ["variants.0.template"]
        one.files.missing = True
        with pytest.raises(InvalidError) as error:
            one.start(one.campaign())
        assert [e.field for e in error.value.errors] == ["audience.file"]
        assert "there is no file `people.csv`; upload it" in error.value.errors[0].message
        with pytest.raises(ConflictError):
            one.start(one.campaign(archived=True))
        assert one.campaigns.open_runs(TENANT.id) == []


@pytest.mark.parametrize(
    ("throttle", "envelope", "block", "local_block", "side_by_side"),
    [
        (None, 100, 200, 1000, 16),
        (1_000_000, 100, 200, 1000, 16),
        (12_000, 100, 200, 1000, 2),
        (5_999, 100, 200, 999, 1),
        (600, 100, 100, 100, 1),
        (599, 99, 99, 99, 1),
        (60, 10, 10, 10, 1),
        (1, 1, 1, 1, 1),
    ],
)
def test_slow_runs_have_small_envelopes_and_few_chains(
    throttle: int | None, envelope: int, block: int, local_block: int, side_by_side: int
) -> None:
    assert sizes(throttle, 2, local=False) == (envelope, block)
    assert sizes(throttle, 2, local=True) == (envelope, local_block)
    assert chains(throttle) == side_by_side


def test_a_second_run_by_hand_is_refused_while_one_is_not_over() -> None:
    with run_harness() as one:
        first = one.start()
        one.clock.advance(1)
        with pytest.raises(ConflictError) as error:
            one.start()
        assert first.id in error.value.detail
        one.clock.advance(1)
        # A check is in nobody's way, nor are runs of keys of other kinds.
        assert one.start(purpose=Purpose.CHECK).state is RunState.PLANNING
        for kind in (KeyKind.TEST, KeyKind.TEAM):
            one.clock.advance(1)
            one.files.kind = kind
            assert one.start(kind=kind).state is RunState.PLANNING
        one.campaigns.change_run(TENANT.id, first.id, lambda run: control.cancel(run, NOW, KEY))
        one.clock.advance(1)
        assert one.start().state is RunState.PLANNING


@pytest.mark.parametrize("kind", [KeyKind.TEST, KeyKind.TEAM])
def test_only_a_live_key_has_a_live_keys_file_read(kind: KeyKind) -> None:
    with run_harness() as one:
        for purpose in Purpose:
            with pytest.raises(ForbiddenError) as error:
                one.start(kind=kind, purpose=purpose)
            assert error.value.errors[0].field == "audience.file"
        one.files.kind = kind
        assert one.start(kind=kind).state is RunState.PLANNING
        assert one.start().state is RunState.PLANNING


def test_two_runs_of_the_same_millisecond_have_ids_of_their_own() -> None:
    with run_harness() as one:
        first, second = one.start(), one.start(purpose=Purpose.CHECK)
        assert first.id != second.id
        assert second.fired_at == first.fired_at + 1


def test_a_schedule_that_fires_twice_starts_one_run() -> None:
    with run_harness() as one:
        scheduled(one)
        first, second = one.starter.fire(fire(one)), one.starter.fire(fire(one))
        assert first is not None
        assert second is not None
        assert first.id == second.id
        assert (first.fired_at, first.started_by) == (moment(AT), "schedule")
        assert one.campaigns.open_runs(TENANT.id) == [first.id]
        one.drain()
        assert one.outbox.addresses().total() == one.rows.good
        # Long after it is over, too.
        again = one.starter.fire(fire(one))
        assert again is not None
        assert again.state is RunState.FINISHED
        one.drain()
        assert one.tasks.sent["plan"] == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_firing_that_breaks_off_anywhere_starts_one_run(after: bool) -> None:
    strikes = 0
    for at in range(20):
        with run_harness(sizes=(20,)) as one:
            scheduled(one)
            one.points.arm(at, after)
            one.tasks.waiting.append((one.clock.now_ms(), -1, fire(one).model_dump_json()))
            one.step()
            struck, strikes = one.points.struck is not None, strikes + (one.points.struck is not None)
            one.drain()
            (run,) = one.campaigns.runs(TENANT.id, "spring", 10).items
            assert run.state is RunState.FINISHED, one.points.struck
            assert set(one.outbox.addresses().values()) == {1}
            if not struck:
                break
    assert strikes >= 4


def test_firings_that_do_not_count_any_more_start_nothing() -> None:
    with run_harness() as one:
        assert one.starter.fire(fire(one)) is None
        one.campaign()
        assert one.starter.fire(fire(one)) is None
        bounds: list[dict[str, Any]] = [{"starts_at": moment(AT) + 1}, {"ends_at": moment(AT) - 1}]
        for each in bounds:
            scheduled(one, **each)
            assert one.starter.fire(fire(one)) is None
        one.campaign(schedule=Schedule(expression="rate(1 day)"), archived=True)
        assert one.starter.fire(fire(one)) is None
        assert one.campaigns.runs(TENANT.id, "spring", 10).items == []


def test_a_firing_that_cannot_be_sent_is_seen_as_failed() -> None:
    with run_harness() as one:
        scheduled(one)
        one.files.missing = True
        run = one.starter.fire(fire(one))
        assert run is not None
        assert run.state is RunState.FAILED
        assert run.problem is not None
        assert "`audience.file`: there is no file `people.csv`" in run.problem
        assert one.campaigns.open_runs(TENANT.id) == []


def test_a_firing_is_left_out_while_the_run_before_is_not_over() -> None:
    with run_harness() as one:
        scheduled(one)
        first = one.starter.fire(fire(one))
        second = one.starter.fire(fire(one, "2025-01-15T12:00:00Z"))
        assert first is not None
        assert second is not None
        assert second.state is RunState.SKIPPED
        assert second.problem is not None
        assert first.id in second.problem
        one.drain()
        assert one.run(first.id).state is RunState.FINISHED
        third = one.starter.fire(fire(one, "2025-01-15T13:00:00Z"))
        assert third is not None
        assert third.state is RunState.PLANNING


def test_firings_wait_for_each_other_and_go_on_in_order() -> None:
    with run_harness(sizes=(20,)) as one:
        scheduled(one, Overlap.QUEUE)
        hours = ("11", "13", "12")
        runs = [one.starter.fire(fire(one, f"2025-01-15T{hour}:00:00Z")) for hour in hours]
        states = [run.state for run in runs if run is not None]
        assert states == [RunState.PLANNING, RunState.WAITING, RunState.WAITING]
        one.drain()
        found = [one.run(run.id) for run in runs if run is not None]
        assert [run.state for run in found] == [RunState.FINISHED] * 3
        first, last, middle = (run.sending_at or 0 for run in found)
        assert first < middle < last
        assert set(one.outbox.addresses().values()) == {3}


def test_what_waits_goes_on_though_the_run_before_is_cancelled_or_fails() -> None:
    with run_harness(sizes=(20,)) as one:
        scheduled(one, Overlap.QUEUE)
        first = one.starter.fire(fire(one))
        second = one.starter.fire(fire(one, "2025-01-15T12:00:00Z"))
        assert first is not None
        assert second is not None
        cancelled = one.campaigns.change_run(TENANT.id, first.id, lambda run: control.cancel(run, NOW, KEY))
        assert cancelled is not None
        one.tasks.waiting.clear()
        one.tasks.send(control.tasks_after(cancelled))
        one.drain()
        assert one.run(second.id).state is RunState.FINISHED


def test_what_waits_is_left_out_when_its_campaign_is_archived() -> None:
    with run_harness(sizes=(20,)) as one:
        scheduled(one, Overlap.QUEUE)
        one.starter.fire(fire(one))
        second = one.starter.fire(fire(one, "2025-01-15T12:00:00Z"))
        assert second is not None
        one.campaign(archived=True)
        one.drain()
        assert one.run(second.id).state is RunState.SKIPPED


def test_a_look_of_the_watch_has_a_run_go_on_that_waits_for_nobody() -> None:
    with run_harness(sizes=(20,)) as one:
        one.points.arm(1)
        with pytest.raises(CrashError):
            # The campaign is saved, then the run; nobody took the turn.
            one.start(one.campaign())
        one.points.arm(None)
        open_runs = one.campaigns.open_runs(TENANT.id)
        if not open_runs:
            one.clock.advance(1)
            one.points.arm(1)
            stored = one.campaigns.load(TENANT.id, "spring")
            assert stored is not None
            with pytest.raises(CrashError):
                one.start(stored.value)
            one.points.arm(None)
            open_runs = one.campaigns.open_runs(TENANT.id)
        (id,) = open_runs
        assert one.run(id).state is RunState.WAITING
        one.tasks.send([DriveTask(tenant=TENANT.id, run=id, tick=0)])
        one.drain()
        assert one.run(id).state is RunState.FINISHED


@pytest.mark.parametrize("overlap", list(Overlap))
def test_of_two_that_start_at_once_one_goes_on(overlap: Overlap) -> None:
    """Whatever one does while the other is at any of its calls."""
    for at in range(12):
        with run_harness(sizes=(20,)) as one:
            scheduled(one, overlap)
            visited = False

            def visit(one: RunHarness = one) -> None:
                nonlocal visited
                visited = True
                one.starter.fire(fire(one, "2025-01-15T10:30:00Z"))

            call, counted = one.campaigns._client._make_api_call, 0  # type: ignore[attr-defined]  # boto3 hides it

            def through(operation: str, parameters: Any, call: Any = call, at: int = at, visit: Any = visit) -> Any:
                nonlocal counted
                counted += 1
                if counted == at + 1:
                    visit()
                return call(operation, parameters)

            one.campaigns._client._make_api_call = through  # type: ignore[attr-defined]  # boto3 hides it
            one.starter.fire(fire(one))
            if not visited:
                break
            runs = one.campaigns.runs(TENANT.id, "spring", 10).items
            working = [run for run in runs if run.state is RunState.PLANNING]
            assert len(working) == 1, (at, [run.state for run in runs])
            one.drain()
            ends = sorted(one.run(run.id).state for run in runs)
            waited = RunState.FINISHED if overlap is Overlap.QUEUE else RunState.SKIPPED
            assert ends == sorted([RunState.FINISHED, waited]), at
    assert at > 6
