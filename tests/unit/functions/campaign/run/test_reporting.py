"""What is told of runs: progress, the check, variants, reasons."""

from typing import Any

from functions.campaign.run.reporting import Counted, outcomes, progress_of, reasons_of, view_of
from mepush.sheets.formats import FileFormat
from shared.model.runs import Estimate, Fee, PinnedVariant, Run, RunState, Shard, Tally
from tests.samples import NOW
from tests.unit.functions.campaign.audience import run_of


def a_run(state: RunState = RunState.SENDING, **changes: Any) -> Run:
    """A run of 100 rows, of which 90 can be sent."""
    tally = Tally(
        rows=100,
        good=90,
        rejected={"address_invalid": 4, "variable_missing.name": 3},
        duplicates=2,
        held_out=1,
        suppressed=5,
        samples={"variable_missing.name": ((7, "the variable `name` is missing"),)},
    )
    values = {"planned_at": NOW, "checked_at": NOW, "sending_at": NOW, "tally": tally, "planned": 2}
    return run_of(b"to\n").moved(state=state, state_at=NOW, **values | changes)


def shard(number: int, accepted: int) -> Shard:
    """A shard of which so much is queued."""
    sent = Tally(rows=accepted + 3, good=accepted, accepted=accepted)
    return Shard(number=number, key="k", version="v", start=0, end=9, first_row=1, rows=50, sent=sent)


def test_progress_is_counted() -> None:
    counts = {"accepted": 60, "sent": 40, "failed": 2, "delivered": 30, "retrying": 3}
    found = progress_of(a_run(), [shard(0, 47), shard(1, 20)], counts)
    assert (found.planned, found.rows_read, found.accepted) == (90, 73, 67)
    assert found.outcomes == {"sent": 40, "failed": 2}
    assert found.in_flight == 25
    assert (found.per_minute, found.seconds_left) == (None, None)


def test_the_pace_is_that_of_the_last_looks() -> None:
    run = a_run(marks=((NOW, 10), (NOW + 10_000, 20), (NOW + 30_000, 40)))
    found = progress_of(run, [shard(0, 47)], {"accepted": 47, "sent": 40})
    assert found.per_minute == 60
    assert found.seconds_left == 50
    assert progress_of(run.moved(state=RunState.PAUSED), [], {"sent": 40}).seconds_left is None
    assert progress_of(run.moved(state=RunState.FINISHED), [], {"sent": 40}).per_minute is None


def test_nothing_is_planned_before_everything_is_checked() -> None:
    run = a_run(RunState.CHECKING, checked_at=None, sending_at=None, tally=Tally())
    checked = shard(0, 0).model_copy(update={"checked": Tally(rows=48, good=48)})
    found = progress_of(run, [checked, shard(1, 0)], {})
    assert (found.planned, found.rows_read, found.accepted, found.outcomes) == (None, 48, 0, {})


def test_what_was_redriven_is_in_flight_again() -> None:
    assert outcomes({"accepted": 10, "sent": 5, "dead_lettered": 6, "redriven": 3}) == {"sent": 5, "dead_lettered": 3}
    found = progress_of(a_run(), [], {"accepted": 10, "sent": 5, "dead_lettered": 6, "redriven": 3})
    assert found.in_flight == 2


def test_reasons_say_what_to_do_and_the_most_frequent_comes_first() -> None:
    found = reasons_of({"failed:address_unknown": 2, "dead_lettered:provider_busy": 7, "failed:new_reason": 1})
    assert [(r.stage, r.reason, r.messages) for r in found] == [
        ("dead_lettered", "provider_busy", 7),
        ("failed", "address_unknown", 2),
        ("failed", "new_reason", 1),
    ]
    assert found[0].action == "Redrive the message once the provider works again."
    assert "does not exist" in found[1].explanation


def test_the_check_names_reasons_and_rows() -> None:
    check = view_of(a_run(), [], Counted()).check
    assert check is not None
    assert (check.rows, check.distinct, check.duplicates, check.held_out, check.messages) == (100, 91, 2, 1, 90)
    assert [(r.reason, r.variable, r.rows) for r in check.rejected] == [
        ("address_invalid", None, 4),
        ("variable_missing", "name", 3),
    ]
    assert [(s.row, s.problem) for s in check.rejected[1].samples] == [(8, "the variable `name` is missing")]


def test_rows_of_json_are_told_by_line() -> None:
    run = a_run()
    audience = run.campaign.audience.model_copy(update={"format": FileFormat.NDJSON})
    run = run.moved(campaign=run.campaign.model_copy(update={"audience": audience}))
    check = view_of(run, [], Counted()).check
    assert check is not None
    assert [s.row for s in check.rejected[1].samples] == [7]


def test_one_variant_has_all_and_several_have_their_own() -> None:
    stages = {"accepted": 60, "sent": 40, "clicked": 4}
    (only,) = view_of(a_run(), [], Counted(stages)).variants
    assert (only.accepted, only.stages) == (60, {"sent": 40, "clicked": 4})
    pinned = tuple(PinnedVariant(name=n, template="welcome", version=1, weight=1) for n in ("a", "b"))
    apart = {"a": {"accepted": 20, "sent": 20}, "b": {"accepted": 40, "sent": 20, "clicked": 4}}
    found = view_of(a_run(variants=pinned), [], Counted(stages, {}, apart)).variants
    assert [(v.name, v.accepted, v.stages) for v in found] == [
        ("a", 20, {"sent": 20}),
        ("b", 40, {"sent": 20, "clicked": 4}),
    ]


def test_a_run_that_is_over_says_how_long_it_took_and_what_it_cost() -> None:
    fees = (
        Fee(account="sms", provider="tencent", units=180, amount=8.1, currency="CNY"),
        Fee(account="ses", provider="ses", units=90, amount=None, currency=None),
    )
    run = a_run(
        RunState.FINISHED,
        over_at=NOW + 90_000,
        paused_ms=30_000,
        estimate=Estimate(messages=90, fees=fees),
    )
    view = view_of(run, [], Counted({"accepted": 90, "sent": 45, "failed": 45}))
    assert view.seconds == 60
    assert [(f["account"], f["units"], f["amount"]) for f in view.fees] == [("sms", 90, 4.05), ("ses", 45, None)]
    assert view_of(a_run(), [], Counted()).seconds is None
