"""How far a run is, and what came of it: from the counters, which are exact, and from its shards."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.campaign.check.reasons import explain
from functions.campaign.follow.reasons import EXPLANATIONS as WHY
from functions.campaign.follow.reasons import Why
from shared.api.campaigns import (
    CheckReport,
    FollowCount,
    FollowView,
    Progress,
    ReasonCount,
    RejectedView,
    RunView,
    SampleView,
    VariantResult,
)
from shared.api.fields import moment, moment_or_none
from shared.model.campaigns import SILENT, Who
from shared.model.given_up import explain_given_up
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.runs import Run, RunState, Shard, Tally
from shared.model.words import OUTCOMES, Stage
from shared.store.counters import HOUR_MS, Counters, run_scope, transient_name
from shared.store.shards import Shards

_RECEIPTS = (
    *(Stage.DELIVERED, Stage.UNDELIVERED, transient_name(Stage.UNDELIVERED), Stage.DELAYED),
    *(Stage.OPENED, Stage.CLICKED, Stage.ACKNOWLEDGED, Stage.COMPLAINED, Stage.UNSUBSCRIBED),
)
_NEVER: Mapping[Who, tuple[str, Sequence[Why]]] = {
    Who.NOT_OPENED: ("opened", (Why.OPENED, Why.CLICKED, Why.ACKNOWLEDGED)),
    Who.NOT_CLICKED: ("clicked in", (Why.CLICKED, Why.ACKNOWLEDGED)),
}
_REASON = ":"
_VARIABLE = "."


@dataclass(frozen=True, slots=True)
class Counted:
    """What the counters know of a run."""

    stages: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    """By `<stage>:<reason>`."""
    variants: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By name, then by stage."""

    @property
    def ended(self) -> int:
        """Messages with an outcome."""
        return sum(outcomes(self.stages).values())


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reads what is known of runs."""

    counters: Counters
    shards: Shards

    def view(self, run: Run) -> RunView:
        """A run as callers see it."""
        counted = self.counted(run)
        shards = [] if run.planned is None else self.shards.all(run.tenant, run.id, consistent=False)
        return view_of(run, shards, counted)

    def counted(self, run: Run, variants: bool = True) -> Counted:
        """What the counters know of a run, what happened since it was over included. variants: apart, too."""
        if run.sending_at is None:
            return Counted()
        found = self._read(run_scope(run.tenant, run.id), run)
        if not found:
            return Counted(run.outcomes, run.reasons, run.by_variant)
        stages = {name: n for name, n in found.items() if _REASON not in name}
        reasons = {name: n for name, n in found.items() if _REASON in name}
        apart: dict[str, Mapping[str, int]] = {}
        if variants and len(run.variants) > 1:
            for variant in run.variants:
                counts = self._read(run_scope(run.tenant, run.id, variant.name), run)
                apart[variant.name] = {name: n for name, n in counts.items() if _REASON not in name}
        return Counted(stages, reasons, apart)

    def _read(self, scope: str, run: Run) -> Counter[str]:
        # All messages of a run have its time in their ids.
        hour = run.fired_at // HOUR_MS
        return sum(self.counters.read(scope, hour, hour).values(), Counter())


def outcomes(stages: Mapping[str, int]) -> dict[str, int]:
    """The outcomes among stages, with what redrives opened again taken off the dead letters."""
    found = {stage.value: n for stage in Stage if stage in OUTCOMES and (n := stages.get(stage, 0))}
    if again := stages.get(Stage.REDRIVEN, 0):
        found[Stage.DEAD_LETTERED] = found.get(Stage.DEAD_LETTERED, 0) - again
    return {stage: n for stage, n in found.items() if n}


def tally_of(shards: Sequence[Shard]) -> Tally:
    """What sending made of all shards so far."""
    total = Tally()
    for shard in shards:
        total = total.plus(shard.sent)
    return total


def checked_of(shards: Sequence[Shard]) -> Tally:
    """What the check found so far."""
    total = Tally()
    for shard in shards:
        total = total.plus(shard.checked or Tally())
    return total


def with_report(run: Run, counted: Counted) -> Run:
    """A run that is over, with its report."""
    return run.moved(
        outcomes=dict(counted.stages),
        reasons=dict(counted.reasons),
        by_variant={name: dict(stages) for name, stages in counted.variants.items()},
    )


def progress_of(run: Run, shards: Sequence[Shard], counters: Mapping[str, int]) -> Progress:
    """How far a run is. counters: of the run, by stage."""
    ended = outcomes(counters)
    planned = None if run.checked_at is None else run.tally.messages
    accepted = counters.get(Stage.ACCEPTED, 0)
    if not run.over:
        # What is queued and not counted yet; the trace is some seconds behind.
        accepted = max(accepted, tally_of(shards).accepted)
    rate = _per_minute(run)
    left = None
    if rate and planned is not None and run.state is RunState.SENDING:
        left = max(0, planned - sum(ended.values())) * 60 / rate
    return Progress(
        planned=planned,
        rows_read=_rows_read(run, shards),
        accepted=accepted,
        outcomes=ended,
        in_flight=max(0, accepted - sum(ended.values())),
        per_minute=rate,
        seconds_left=left,
    )


def check_report(run: Run, tally: Tally) -> CheckReport:
    """What the check found."""
    return CheckReport(
        rows=tally.rows,
        distinct=tally.distinct,
        duplicates=tally.duplicates,
        rejected=[
            _rejected(run, key, n, tally)
            for key, n in sorted(tally.rejected.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        suppressed=tally.suppressed,
        held_out=tally.held_out,
        messages=tally.messages,
        estimate=run.estimate,
    )


def variants_of(run: Run, counted: Counted) -> list[VariantResult]:
    """The variants in numbers."""
    found = []
    for variant in run.variants:
        stages = dict(counted.variants.get(variant.name, {}) if len(run.variants) > 1 else counted.stages)
        found.append(
            VariantResult(
                name=variant.name,
                template=variant.template,
                version=variant.version,
                weight=variant.weight,
                accepted=stages.get(Stage.ACCEPTED, 0),
                stages={stage: n for stage, n in stages.items() if stage != Stage.ACCEPTED},
            )
        )
    return found


def receipts_of(stages: Mapping[str, int]) -> dict[str, int]:
    """What was said of messages after they were sent."""
    return {name: n for name in _RECEIPTS if (n := stages.get(name, 0))}


def _follow_view(run: Run) -> FollowView | None:
    follows = run.campaign.audience.follows
    if follows is None:
        return None
    others = sorted(run.picked.items(), key=lambda pair: (-pair[1], pair[0]))
    return FollowView(
        run=follows.run or "",
        who=follows.who,
        after_hours=follows.patience_ms // 3_600_000 if follows.who in SILENT else None,
        rows=None if run.planned_at is None else sum(run.picked.values()),
        picked=None if run.planned_at is None else run.picked.get(Why.PICKED, 0),
        others=[FollowCount(why=why, rows=n, explanation=WHY.get(why, "")) for why, n in others if why != Why.PICKED],
        warning=_doubtful(follows.who, run.picked),
    )


def _doubtful(who: Who, picked: Mapping[str, int]) -> str | None:
    """Why it may be that more people did something than is known."""
    if picked.get(Why.PICKED, 0) and who in _NEVER and not any(picked.get(why) for why in _NEVER[who][1]):
        return (
            f"Nobody is known to have {_NEVER[who][0]} any message of that run. Probably that is not measured: "
            "unless it is tracked, everybody is written to again."
        )
    return None


def reasons_of(reasons: Mapping[str, int]) -> list[ReasonCount]:
    """Why messages were not sent, the most frequent first. reasons: `<stage>:<reason>` -> how many."""
    found = []
    for name, n in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        stage, _, reason = name.partition(_REASON)
        if stage == Stage.DEAD_LETTERED or reason not in Reason.__members__.values():
            explanation, action = explain_given_up(reason)
        else:
            explanation, action = EXPLANATIONS[Reason(reason)]
        found.append(ReasonCount(stage=stage, reason=reason, messages=n, explanation=explanation, action=action))
    return found


def view_of(run: Run, shards: Sequence[Shard], counted: Counted) -> RunView:
    """A run as callers see it. shards: all of it, none before it is planned."""
    return RunView(
        id=run.id,
        campaign=run.campaign.id,
        name=run.campaign.name,
        purpose=run.purpose,
        state=run.state,
        problem=run.problem,
        kind=run.kind,
        started_by=run.started_by,
        fired_at=moment(run.fired_at),
        approved_by=run.approved_by,
        started_at=moment_or_none(run.sending_at),
        over_at=moment_or_none(run.over_at),
        throttle=run.throttle,
        file=run.campaign.audience.file,
        follows=_follow_view(run),
        check=None if run.checked_at is None else check_report(run, run.tally),
        progress=progress_of(run, shards, counted.stages),
        variants=variants_of(run, counted),
        receipts=receipts_of(counted.stages),
        reasons=reasons_of(counted.reasons),
        seconds=_seconds(run),
        fees=_fees(run, counted),
    )


def _rejected(run: Run, key: str, n: int, tally: Tally) -> RejectedView:
    reason, _, variable = key.partition(_VARIABLE if _VARIABLE in key else _REASON)
    shown = run.campaign.audience.format.shown
    samples = [SampleView(row=shown(row), problem=problem) for row, problem in tally.samples.get(key, ())]
    return RejectedView(reason=reason, variable=variable or None, rows=n, explanation=explain(reason), samples=samples)


def _rows_read(run: Run, shards: Sequence[Shard]) -> int:
    if run.checked_at is not None and (run.sending_at is None or run.over):
        return run.tally.rows
    tallies = [(shard.sent if run.sending_at is not None else shard.checked) or Tally() for shard in shards]
    return sum(tally.rows for tally in tallies)


def _per_minute(run: Run) -> float | None:
    """Outcomes a minute over the last looks of the driver."""
    if run.over or len(run.marks) < 2:
        return None
    (began, before), (ended, after) = run.marks[0], run.marks[-1]
    return round(max(0, after - before) * 60_000 / (ended - began), 1) if ended > began else None


def _seconds(run: Run) -> float | None:
    if run.sending_at is None or run.over_at is None:
        return None
    return max(0, run.over_at - run.sending_at - run.paused_ms) / 1000


def _fees(run: Run, counted: Counted) -> list[dict[str, Any]]:
    """What was estimated, for as many messages as were sent."""
    if run.estimate is None or not run.estimate.messages or run.sending_at is None:
        return []
    share = counted.stages.get(Stage.SENT, 0) / run.estimate.messages
    return [
        {
            "account": fee.account,
            "provider": fee.provider,
            "units": round(fee.units * share),
            "amount": None if fee.amount is None else round(fee.amount * share, 2),
            "currency": fee.currency,
        }
        for fee in run.estimate.fees
    ]
