"""One-shot schedules: envelopes that are due later than SQS can delay."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from aws_lambda_powertools import Logger
from pydantic_core import from_json, to_json

from shared.aws.errors import AWS_ERRORS

logger = Logger(child=True)

SEND_MESSAGE = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
"""The universal target: unlike the SQS target it takes a MessageGroupId on standard queues (EventBridge Scheduler user
guide, "Using universal targets")."""
MAX_NAME = 64
MAX_INPUT_BYTES = 256_000
"""Of what a schedule gives to its target (EventBridge Scheduler API reference, Target: 256 KB). The body stands in it
as a text, so each of its quotes has another escape there."""


class Schedules:
    """Creates schedules that send one queue message and then delete themselves."""

    def __init__(self, client: Any, group: str, role_arn: str, dlq_arn: str) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dlq_arn = dlq_arn

    def create(self, envelope_id: str, due_at: int, queue_url: str, body: str, group_id: str) -> bool:
        """Have `body` sent to a queue at `due_at` (ms since the epoch; precision one minute); False if it failed.

        The name follows from the time and the envelope's id, so creating it twice leaves one schedule.
        """
        name = schedule_name(envelope_id, due_at)
        # A schedule fires within the minute it names, never before it: the next whole second is early enough.
        at = datetime.fromtimestamp(-(-due_at // 1000), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        try:
            self._client.create_schedule(
                Name=name,
                GroupName=self._group,
                ClientToken=name,
                ScheduleExpression=f"at({at})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": SEND_MESSAGE,
                    "RoleArn": self._role_arn,
                    # What could not be sent within a day of tries is kept there, not lost.
                    "DeadLetterConfig": {"Arn": self._dlq_arn},
                    "Input": schedule_input(queue_url, body, group_id),
                },
            )
        except self._client.exceptions.ConflictException:
            return True
        except AWS_ERRORS as error:
            logger.warning("schedule not created", error=type(error).__name__)
            return False
        return True


def schedule_input(queue_url: str, body: str, group_id: str) -> str:
    """What a schedule gives to its target, so that it sends a message."""
    return to_json({"QueueUrl": queue_url, "MessageBody": body, "MessageGroupId": group_id}).decode()


class TokenError(ValueError):
    """A token for the next page that Scheduler does not know."""


def schedule_name(envelope_id: str, due_at: int) -> str:
    """A schedule's name (at most 64 of `[0-9a-zA-Z-_.]`): the minute in which it is due, then the envelope's id.

    Names are the only thing by which schedules can be listed (EventBridge Scheduler API reference, ListSchedules).
    """
    minute = datetime.fromtimestamp(due_at / 1000, UTC).strftime("%Y%m%d%H%M")
    rest = envelope_id.replace("/", ".")
    if len(rest) > MAX_NAME - len(minute) - 1:
        rest = f"{rest[:26]}.{blake2b(rest.encode(), digest_size=12).hexdigest()}"
    return f"{minute}.{rest}"


def due_at_of(name: str) -> datetime:
    """The minute in which a schedule is due, from its name. Raises: ValueError."""
    return datetime.strptime(name.partition(".")[0], "%Y%m%d%H%M").replace(tzinfo=UTC)


def prefixes_before(ms: int) -> Iterator[str]:
    """Beginnings of the names of all schedules that were due before a time, to ten minutes; up to two years back."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    yield from (f"{year}" for year in (at.year - 2, at.year - 1))
    yield from (f"{at:%Y}{month:02d}" for month in range(1, at.month))
    yield from (f"{at:%Y%m}{day:02d}" for day in range(1, at.day))
    yield from (f"{at:%Y%m%d}{hour:02d}" for hour in range(at.hour))
    yield from (f"{at:%Y%m%d%H}{ten}" for ten in range(at.minute // 10))


class DueSchedules:
    """Finds schedules, those whose time has passed among them, and what they are to send."""

    def __init__(self, client: Any, group: str) -> None:
        self._client = client
        self._group = group

    def before(self, ms: int) -> Iterator[str]:
        """The names of the schedules that were due before a time (ms since the epoch; to ten minutes)."""
        for prefix in prefixes_before(ms):
            arguments = {"GroupName": self._group, "NamePrefix": prefix, "MaxResults": 100}
            while True:
                answer = self._client.list_schedules(**arguments)
                yield from (found["Name"] for found in answer["Schedules"])
                if not answer.get("NextToken"):
                    break
                arguments["NextToken"] = answer["NextToken"]

    def page(self, limit: int, token: str | None) -> tuple[list[str], str | None]:
        """Up to `limit` (at most 100) names of schedules, and what to ask for the next ones with.

        Raises: TokenError for a token that is none of this listing.
        """
        arguments = {"GroupName": self._group, "MaxResults": limit} | ({"NextToken": token} if token else {})
        try:
            answer = self._client.list_schedules(**arguments)
        except self._client.exceptions.ClientError as error:
            # AWS does not document by which of these it refuses a token.
            if token and error.response["Error"]["Code"] in ("ValidationException", "InvalidToken"):
                raise TokenError from error
            raise
        return [found["Name"] for found in answer["Schedules"]], answer.get("NextToken")

    def input_of(self, name: str) -> str | None:
        """What a schedule gives to its target; None when it is gone, as after it fired."""
        try:
            found = self._client.get_schedule(GroupName=self._group, Name=name)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        return str(found["Target"].get("Input", ""))

    def replace(self, name: str, input: str) -> bool:
        """Have a schedule give something else to its target; False when it is gone, as after it fired."""
        try:
            found = self._client.get_schedule(GroupName=self._group, Name=name)
            # An update replaces every field (EventBridge Scheduler API reference, UpdateSchedule).
            kept = {field: found[field] for field in _FIELDS if field in found}
            target = {**found["Target"], "Input": input}
            self._client.update_schedule(GroupName=self._group, Name=name, Target=target, **kept)
        except self._client.exceptions.ResourceNotFoundException:
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete a schedule; one that is gone already is no error."""
        try:
            self._client.delete_schedule(GroupName=self._group, Name=name)
        except self._client.exceptions.ResourceNotFoundException:
            logger.info("schedule was gone already", schedule=name)


_FIELDS = ("ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "ActionAfterCompletion")


def message_of(text: str) -> dict[str, str] | None:
    """The queue message in a schedule's input, as SendMessage takes it; None if it is none."""
    try:
        found = from_json(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not {"QueueUrl", "MessageBody"} <= found.keys():
        return None
    message = {name: found[name] for name in ("QueueUrl", "MessageBody", "MessageGroupId") if name in found}
    return message if all(isinstance(value, str) for value in message.values()) else None
