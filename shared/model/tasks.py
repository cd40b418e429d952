"""What the campaign function is told to do: one message each on the queue `campaigns`. Doing one twice is harmless."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from shared.model.base import Model


class _Task(Model):
    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: str


class StartTask(_Task):
    """A schedule has fired."""

    task: Literal["start"] = "start"
    campaign: str
    scheduled_at: str
    """The time that it meant, as EventBridge Scheduler writes it."""


class PlanTask(_Task):
    """Cut a run's file into shards."""

    task: Literal["plan"] = "plan"
    run: str


class CheckTask(_Task):
    """Judge the rows of a shard, then of the others of its chain: every `Run.chains`-th from it on."""

    task: Literal["check"] = "check"
    run: str
    shard: int


class CompareTask(_Task):
    """Find the addresses that stand more than once, once all shards are checked."""

    task: Literal["compare"] = "compare"
    run: str


class SendTask(_Task):
    """Queue the messages of a shard, then of the others of its chain."""

    task: Literal["send"] = "send"
    run: str
    shard: int


class ReleaseTask(_Task):
    """Put back on their queues what was held while a run was paused."""

    task: Literal["release"] = "release"
    run: str
    bucket: int
    """Of the parking place."""


class DriveTask(_Task):
    """Look at a run: move it on, mend what broke off, apply its stop rule."""

    task: Literal["drive"] = "drive"
    run: str
    tick: int
    """Its number."""


Task = StartTask | PlanTask | CheckTask | CompareTask | SendTask | ReleaseTask | DriveTask
_TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="task")])


def read_task(text: str) -> Task:
    """A task from its message. Raises: pydantic.ValidationError."""
    return _TASK.validate_json(text)
