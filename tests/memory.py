"""Tables in memory for tests that ask them a lot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.memory.engine import Memory
from shared.aws import clients
from shared.model.clock import Clock


@contextmanager
def tables(clock: Clock, *names: str) -> Iterator[Any]:
    """A DynamoDB client that has these tables, empty, within the block."""
    memory = Memory(clock)
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    for name in names:
        memory.dynamodb.adopt({"TableName": name, "KeySchema": keys, "AttributeDefinitions": types})
    with memory.attached():
        yield clients.client("dynamodb")
