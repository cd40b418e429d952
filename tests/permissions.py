"""Which rights of the functions the tests used: what is granted and never asked for is found at the end of a whole run.

The local stack refuses what is not granted (`local/permissions.py`), so each of its tests shows that rights suffice.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.deployment import Statement

FOLDER = Path(__file__).parents[1] / "build" / "permissions"
"""A file per process, a line per right that was used."""

Right = tuple[str, str, str]
"""Function, action, and what it is done to, without what differs between queues of a kind, or names of files."""

_NAMES = ((r".*:table/\w+-Tables([A-Z][a-z]+).*", r"\1"), (r".*:sqs:.*-dlq$", "dead letters"), (r".*:sqs:.*", "queue"))


def general(function: str, action: str, resource: str) -> Right:
    """A right as it is counted. resource: an ARN, perhaps with wildcards."""
    for pattern, name in _NAMES:
        if re.match(pattern, resource):
            return function, action, re.sub(pattern, name, resource)
    bucket = re.fullmatch(r"arn:aws:s3:::[^/]+(?:/([a-z]+)/.*)?", resource)
    if bucket:
        return function, action, bucket[1] or "bucket"
    return function, action, resource.partition(":123456789012:")[2] or resource


def granted(permissions: Mapping[str, Iterable[Statement]]) -> set[Right]:
    """All that the policies of a stack grant."""
    return {
        general(function, action, resource)
        for function, statements in permissions.items()
        for statement in statements
        for action in statement.actions
        for resource in statement.resources
    }


def note(used: Iterable[tuple[str, str, str]]) -> None:
    """Add what a stack's functions used to this process's file."""
    lines = sorted({"\t".join(general(*each)) for each in used})
    if lines:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


def noted() -> set[Right]:
    """What was used since the run began, by all processes."""
    found = set()
    for path in FOLDER.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            function, action, resource = line.split("\t")
            found.add((function, action, resource))
    return found
