"""Schedules of campaigns: one each in a group of their own, which puts a task on the queue whenever a run is due.

The schedule says what the catalog says, so writing it can be repeated. It is compared before it is changed: whoever
renames a campaign in the minute in which it is due must not take that firing away.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from aws_lambda_powertools import Logger
from pydantic_core import to_json

from shared.aws.schedules import MAX_NAME, SEND_MESSAGE
from shared.model.campaigns import Schedule
from shared.model.clock import Clock
from shared.model.tasks import StartTask
from shared.policy.cron import At, Expression, Rate
from shared.policy.starts import expression_of, next_starts, zone_of

logger = Logger(child=True)

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""Replaced, at each firing, by the time that the schedule meant, such as 2026-11-26T09:00:00Z (EventBridge Scheduler
user guide, "Adding context attributes")."""
_DIGEST_BYTES = 12


class CampaignSchedules:
    """Writes the schedules of campaigns; thread-safe.

    group: of the schedules. role_arn: with which they fire. dlq_arn: where what cannot be delivered goes. queue_url: of
    the campaign function's tasks.
    """

    def __init__(self, client: Any, group: str, role_arn: str, dlq_arn: str, queue_url: str, clock: Clock) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dlq_arn = dlq_arn
        self._queue_url = queue_url
        self._clock = clock

    def put(self, tenant: str, campaign: str, schedule: Schedule) -> None:
        """Have a campaign's runs start as its schedule says. Raises: what EventBridge Scheduler raises."""
        now, name = self._clock.now_ms(), schedule_name(tenant, campaign)
        wanted = self._wanted(tenant, campaign, schedule, now)
        there = self._find(name)
        if there is not None and _same(there, wanted, expression_of(schedule), now):
            return
        if not next_starts(schedule, now, count=1):
            # All its firings are past: nothing that an earlier schedule left may fire for it.
            self.delete(tenant, campaign)
            return
        # Another call may make or take away what is not as it was found; one of the three is then what is wanted.
        steps = (self._create, self._update, self._create) if there is None else (self._update, self._create)
        any(step(name, wanted) for step in steps)

    def delete(self, tenant: str, campaign: str) -> None:
        """Have no runs of a campaign start by a schedule; one that is gone already is no error.

        Raises: what EventBridge Scheduler raises.
        """
        try:
            self._client.delete_schedule(GroupName=self._group, Name=schedule_name(tenant, campaign))
        except self._client.exceptions.ResourceNotFoundException:
            logger.info("the campaign had no schedule", campaign=campaign)

    def _wanted(self, tenant: str, campaign: str, schedule: Schedule, now: int) -> dict[str, Any]:
        task = StartTask(tenant=tenant, campaign=campaign, scheduled_at=SCHEDULED_TIME)
        message = {"QueueUrl": self._queue_url, "MessageBody": task.model_dump_json()}
        window = schedule.window_minutes
        wanted: dict[str, Any] = {
            "ScheduleExpression": schedule.expression,
            "ScheduleExpressionTimezone": zone_of(schedule, "UTC"),
            "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": window} if window else {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "State": "ENABLED",
            "Target": {
                # As those of envelopes: what cannot be delivered is found by the watch in a form that it can send.
                "Arn": SEND_MESSAGE,
                "RoleArn": self._role_arn,
                "DeadLetterConfig": {"Arn": self._dlq_arn},
                "Input": to_json(message).decode(),
            },
        }
        if (start := _start(schedule, now)) is not None:
            wanted["StartDate"] = _date(start)
        if schedule.ends_at is not None and not isinstance(expression_of(schedule), At):
            wanted["EndDate"] = _date(schedule.ends_at)
        return wanted

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client.get_schedule(GroupName=self._group, Name=name)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        return found

    def _create(self, name: str, wanted: dict[str, Any]) -> bool:
        """Make it; False if there is one of the name."""
        try:
            self._client.create_schedule(GroupName=self._group, Name=name, **wanted)
        except self._client.exceptions.ConflictException:
            return False
        return True

    def _update(self, name: str, wanted: dict[str, Any]) -> bool:
        """Replace it; False if there is none."""
        try:
            self._client.update_schedule(GroupName=self._group, Name=name, **wanted)
        except self._client.exceptions.ResourceNotFoundException:
            return False
        return True


def schedule_name(tenant: str, campaign: str) -> str:
    """The name of a campaign's schedule: at most 64 of `[0-9a-zA-Z-_.]`."""
    name = f"{tenant}.{campaign}"
    if len(name) <= MAX_NAME:
        return name
    digest = blake2b(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[: MAX_NAME - 1 - len(digest)]}.{digest}"


def _start(schedule: Schedule, now: int) -> int | None:
    """What EventBridge Scheduler is told to begin with. It takes none that is past (user guide, "Schedule types")."""
    expression = expression_of(schedule)
    if isinstance(expression, At) or schedule.starts_at is None:
        return None
    if isinstance(expression, Rate):
        # Its firings are counted from here.
        return next(iter(next_starts(schedule, now, count=1)), None)
    return schedule.starts_at if schedule.starts_at > now else None


def _same(there: dict[str, Any], wanted: dict[str, Any], expression: Expression, now: int) -> bool:
    """Whether a schedule is already what it should be."""
    plain = ("ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "State", "EndDate")
    target = {name: there["Target"].get(name) for name in wanted["Target"]}
    if target != wanted["Target"] or any(there.get(name) != wanted.get(name) for name in plain):
        return False
    begun, begins = there.get("StartDate"), wanted.get("StartDate")
    if begun is None or begins is None:
        # A beginning that is past says nothing any more.
        return begins is None and (begun is None or begun <= _date(now))
    if isinstance(expression, Rate):
        return bool((begins - begun).total_seconds() * 1000 % expression.every_ms == 0)
    return bool(begun == begins)


def _date(ms: int) -> datetime:
    # To the second, as boto writes it.
    return datetime.fromtimestamp(ms // 1000, UTC)
