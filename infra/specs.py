"""The functions, found: `functions/<folder>/function.py` says what its folder holds. No CDK here."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from shared.function import Functions, FunctionSpec, QueueTrigger

PYTHON_VERSION = "3.14"
"""Of the functions' runtime, the newest that AWS offers; every dependency has wheels for it."""

AWS_SERVICES = (
    "dynamodb",
    "events",
    "firehose",
    "kinesis",
    "lambda",
    "pinpoint-sms-voice-v2",
    "s3",
    "scheduler",
    "secretsmanager",
    "sesv2",
    "sqs",
)
"""The services that functions call: of boto3's models these are packaged."""

FOLDER = Path(__file__).resolve().parent.parent / "functions"


class FunctionError(Exception):
    """What a function says of itself does not fit; says why."""


def said() -> Iterator[tuple[str, FunctionSpec]]:
    """What each folder says, in order, with the folder's name."""
    for path in sorted(FOLDER.glob("*/function.py")):
        for spec in import_module(f"functions.{path.parent.name}.function").FUNCTIONS:
            yield path.parent.name, spec


def by_name(functions: Iterable[tuple[str, FunctionSpec]]) -> dict[str, FunctionSpec]:
    """Functions by logical name, from what their folders say. Raises: FunctionError."""
    found: dict[str, FunctionSpec] = {}
    for folder, spec in functions:
        if spec.folder != folder:
            raise FunctionError(f"{spec.name}: its handler is not in functions/{folder}")
        if spec.name in found:
            raise FunctionError(f"{spec.name}: two functions have this name")
        found[spec.name] = spec
    return found


FUNCTIONS = by_name(said())


def consumer(queue: str, functions: Functions) -> tuple[FunctionSpec, QueueTrigger]:
    """The one function that a queue hands its messages to, and how. Raises: FunctionError if there is not one."""
    takers = [
        (spec, trigger)
        for spec in functions.values()
        for trigger in spec.triggers
        if isinstance(trigger, QueueTrigger) and trigger.queue == queue
    ]
    if len(takers) != 1:
        raise FunctionError(f"{queue}: one function takes its messages, not {len(takers)}")
    return takers[0]
