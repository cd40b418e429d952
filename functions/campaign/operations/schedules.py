"""Schedules of campaigns: what callers may set, how they are shown, and that EventBridge follows the catalog."""

from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools import Logger

from shared.api.campaigns import ScheduleIn, ScheduleView
from shared.api.fields import moment, moment_or_none
from shared.aws.campaign_schedules import CampaignSchedules
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import FieldError, NotAppliedError
from shared.model.campaigns import Campaign, Schedule
from shared.policy.cron import At, Expression, ExpressionError, Rate
from shared.policy.starts import FIRST_ZONE, expression_of, next_starts
from shared.store.campaigns import Campaigns

logger = Logger(child=True)

_ATTEMPTS = 5
_LAST_YEAR = 2199
_END_MS = 7_258_118_400_000
"""The end of that year, in milliseconds since the epoch."""
_EARLY = (
    f"; by the recipients' own clocks it begins where it is that time first on earth ({FIRST_ZONE}, UTC+14), hours "
    "before it is that time elsewhere"
)


def read_schedule(
    given: ScheduleIn, time_zone: str, now: int, before: Schedule | None
) -> tuple[Schedule, list[FieldError]]:
    """What to store of a schedule, and what is wrong with it.

    What is left open is settled now, so that nothing moves it later: its time zone is the tenant's (`time_zone`), and a
    rate begins one interval from now, or as it did if it is the same as `before`.
    """
    schedule = Schedule(
        expression=given.expression,
        time_zone=given.time_zone or time_zone,
        local=given.local,
        starts_at=_ms(given.starts_at),
        ends_at=_ms(given.ends_at),
        window_minutes=given.window_minutes,
        overlap=given.overlap,
    )
    try:
        expression = expression_of(schedule)
    except ExpressionError as error:
        return schedule, [_wrong("expression", f"cannot be read: {error}")]
    if isinstance(expression, Rate) and schedule.starts_at is None:
        same = before is not None and before.model_copy(update={"starts_at": None}) == schedule
        # In whole seconds, as EventBridge Scheduler has it: no firing may come before what is said here.
        starts_at = before.starts_at if same and before is not None else -(-now // 1000) * 1000 + expression.every_ms
        schedule = schedule.model_copy(update={"starts_at": starts_at})
    return schedule, _problems(schedule, expression, now)


def schedule_view(schedule: Schedule, now: int, archived: bool) -> ScheduleView:
    """A schedule as callers see it, with its next firings."""
    return ScheduleView(
        expression=schedule.expression,
        time_zone=schedule.time_zone or "UTC",
        local=schedule.local,
        starts_at=moment_or_none(schedule.starts_at),
        ends_at=moment_or_none(schedule.ends_at),
        window_minutes=schedule.window_minutes,
        overlap=schedule.overlap,
        next=[] if archived else [moment(at) for at in next_starts(schedule, now)],
    )


@dataclass(frozen=True, slots=True)
class Follower:
    """Has EventBridge Scheduler follow what the catalog says of campaigns."""

    campaigns: Campaigns
    schedules: CampaignSchedules

    def apply(self, tenant: str, campaign_id: str) -> None:
        """Write a campaign's schedule as it is saved, changed or not: so a call that broke off here can be repeated.

        Raises: NotAppliedError.
        """
        try:
            found = self.campaigns.load(tenant, campaign_id)
            for _ in range(_ATTEMPTS):
                if found is None:
                    return
                self._write(found.value)
                # Two who change it at once may write in another order than they saved: the last look decides.
                later = self.campaigns.load(tenant, campaign_id)
                if later is not None and later.rev == found.rev:
                    return
                found = later
        except AWS_ERRORS as error:
            log_error(logger, "schedule not applied", error, campaign=campaign_id)
        raise NotAppliedError(
            f"The campaign `{campaign_id}` is saved. Send the same request again to have its schedule applied.",
            title="The campaign is saved, but its schedule does not follow it yet",
        )

    def _write(self, campaign: Campaign) -> None:
        if campaign.schedule is None or campaign.archived:
            self.schedules.delete(campaign.tenant, campaign.id)
        else:
            self.schedules.put(campaign.tenant, campaign.id, campaign.schedule)


def _problems(schedule: Schedule, expression: Expression, now: int) -> list[FieldError]:
    errors = [_wrong(name, f"is not between the years 1970 and {_LAST_YEAR}") for name in _far(schedule)]
    if isinstance(expression, At):
        errors += _once(schedule, expression, now)
    elif not errors:
        errors = _recurring(schedule, expression, now)
    if isinstance(expression, Rate) and schedule.local:
        errors.append(_wrong("local", "a rate knows no clocks; leave it out, or give a cron or an at"))
    return errors


def _far(schedule: Schedule) -> list[str]:
    values = {"starts_at": schedule.starts_at, "ends_at": schedule.ends_at}
    return [name for name, ms in values.items() if ms is not None and not 0 <= ms < _END_MS]


def _once(schedule: Schedule, expression: At, now: int) -> list[FieldError]:
    given = {"starts_at": schedule.starts_at, "ends_at": schedule.ends_at}
    errors = [_wrong(name, "an `at` fires just once; leave it out") for name, ms in given.items() if ms is not None]
    if expression.at_ms <= now:
        zone = FIRST_ZONE if schedule.local else schedule.time_zone
        why = f"is in the past in {zone}{_EARLY if schedule.local else ''}"
        errors.append(_wrong("expression", f"{why}; give a later time, or start a run without a schedule"))
    elif expression.at_ms >= _END_MS:
        errors.append(_wrong("expression", f"is after the year {_LAST_YEAR}"))
    return errors


def _recurring(schedule: Schedule, expression: Expression, now: int) -> list[FieldError]:
    starts_at, ends_at = schedule.starts_at, schedule.ends_at
    if ends_at is not None and ends_at <= now:
        return [_wrong("ends_at", "is in the past; give a later time, or leave it out")]
    if ends_at is not None and starts_at is not None and ends_at <= starts_at:
        first = "when it begins" if isinstance(expression, Rate) else "starts_at"
        return [_wrong("ends_at", f"is not after {first}, {moment(starts_at):%Y-%m-%dT%H:%M:%SZ}; give a later time")]
    if not next_starts(schedule, now, count=1):
        until = "ends_at" if ends_at is not None else f"the year {_LAST_YEAR}"
        return [_wrong("expression", f"would start no run until {until}: there is no such time")]
    return []


def _wrong(field: str, message: str) -> FieldError:
    return FieldError(field=f"schedule.{field}", message=message)


def _ms(at: datetime | None) -> int | None:
    # By the second, as EventBridge Scheduler has it.
    return None if at is None else int(at.timestamp()) * 1000
