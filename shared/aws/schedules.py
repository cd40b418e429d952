"""One-shot schedules: envelopes that are due later than SQS can delay."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from aws_lambda_powertools import Logger
from pydantic_core import to_json

logger = Logger(child=True)

SEND_MESSAGE = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
"""The universal target: unlike the SQS target it takes a MessageGroupId on standard queues (EventBridge Scheduler user
guide, "Using universal targets")."""


class Schedules:
    """Creates schedules that send one queue message and then delete themselves."""

    def __init__(self, client: Any, group: str, role_arn: str, dlq_arn: str) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dlq_arn = dlq_arn

    def create(self, envelope_id: str, due_at: int, queue_url: str, body: str, group_id: str) -> bool:
        """Have `body` sent to a queue at `due_at` (ms since the epoch; precision one minute); False if it failed.

        The name follows from the envelope's id, so creating it twice leaves one schedule.
        """
        name = _name(envelope_id)
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
                    "Input": to_json({"QueueUrl": queue_url, "MessageBody": body, "MessageGroupId": group_id}).decode(),
                },
            )
        except self._client.exceptions.ConflictException:
            return True
        except Exception as error:  # botocore's errors share no useful base with the connection's
            logger.warning("schedule not created", error=type(error).__name__)
            return False
        return True


def _name(envelope_id: str) -> str:
    """A schedule's name (at most 64 of `[0-9a-zA-Z-_.]`) from an envelope's id."""
    name = envelope_id.replace("/", ".")
    if len(name) <= 64:
        return name
    return f"{name[:26]}.{blake2b(name.encode(), digest_size=16).hexdigest()}"
