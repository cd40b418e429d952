"""What moto does too slowly, by the wrong clock or unsafely among threads, put right for the local stack.

Each patch says why it is there; results stay what they were (the tests compare them with moto's own).
"""

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import moto.core.responses as responses
import moto.dynamodb.models as dynamodb
import moto.kinesis.models as kinesis
import moto.s3.models as s3
import moto.sqs.models as sqs
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from local.clock import LocalClock

FIRST_SEQUENCE_NUMBER = 49_650_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000
"""Sequence numbers of AWS have 56 digits and differ between shards; moto's begin at 1 in each."""

MOTO_LOCK = threading.RLock()
"""Held while moto answers a request: its backends are plain dicts and lists. One lock for all, since services call each
other, and the work is Python's, which runs one thread at a time anyway."""
_LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)$")


@contextmanager
def patched(clock: LocalClock) -> Iterator[None]:
    """Have moto keep `clock`'s time and be fast and safe among threads, within the block."""
    with ExitStack() as stack:
        # Every answer says what time it is.
        date = (responses, "utcnow", clock.utcnow)
        patches = (date, *_queue(clock), *_sqs(clock), *_kinesis(clock), *_s3(clock), *_dynamodb(), *_dispatch())
        for target, name, value in patches:
            stack.enter_context(patch.object(target, name, value))
        yield


Patch = tuple[Any, str, Any]


def _dispatch() -> list[Patch]:
    original: Callable[..., Any] = BotocoreStubber.__call__

    def call(self: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
        # Sandbox providers are real servers: nothing of theirs is moto's, and their threads must not wait here.
        if _LOOPBACK.match(urlsplit(request.url).hostname or ""):
            return None
        with MOTO_LOCK:
            return original(self, event_name, request, **kwargs)

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        # moto remembers every message, record and copy of an item that ever was, for a dashboard that is not here.
        return object.__new__(cls)

    return [(BotocoreStubber, "__call__", call), (BaseModel, "__new__", staticmethod(new))]


def _s3(clock: LocalClock) -> list[Patch]:
    return [
        # By it an object says when it was written.
        (s3, "utcnow", clock.utcnow),
        # Unlike all else (see `_dispatch`), moto has to remember objects: their contents are open files.
        (s3.FakeKey, "__new__", staticmethod(vars(BaseModel)["__new__"])),
    ]


class LazyAttributes(dict[str, Any]):
    """A queue's attributes whose three counts, each a walk over all messages, are made when somebody looks."""

    COUNTS: Mapping[str, str] = {
        "ApproximateNumberOfMessages": "approximate_number_of_messages",
        "ApproximateNumberOfMessagesDelayed": "approximate_number_of_messages_delayed",
        "ApproximateNumberOfMessagesNotVisible": "approximate_number_of_messages_not_visible",
    }

    def __init__(self, queue: Any, plain: Mapping[str, Any]) -> None:
        super().__init__(plain)
        self._queue = queue

    def __getitem__(self, key: str) -> Any:
        count = self.COUNTS.get(key)
        return getattr(self._queue, count) if count else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        return self[key]

    def items(self) -> Any:
        return {key: self[key] for key in self}.items()

    def values(self) -> Any:
        return {key: self[key] for key in self}.values()


def _queue(clock: LocalClock) -> list[Patch]:
    snake_case = lru_cache(maxsize=None)(camelcase_to_underscores)
    original_delete = sqs.Queue.delete_message

    def messages(self: Any) -> list[Any]:
        # As moto's, but one look at the clock for all messages instead of two for each.
        now = clock.now() * 1000
        return [m for m in self._messages if now > m.visible_at and now >= m.delayed_until]

    def attributes(self: Any) -> LazyAttributes:
        # moto reads one attribute or another several times per message sent or received, and each time made all,
        # with their counts.
        names = [*self.BASE_ATTRIBUTES, *(self.FIFO_ATTRIBUTES if self.fifo_queue else ())]
        names += self.KMS_ATTRIBUTES if self.kms_master_key_id else ()
        plain = {name: None if name in LazyAttributes.COUNTS else getattr(self, snake_case(name)) for name in names}
        if self.redrive_policy:
            plain["RedrivePolicy"] = json.dumps(self.redrive_policy)
        texts = {name: str(value).lower() for name, value in plain.items() if isinstance(value, bool)}
        return LazyAttributes(self, plain | texts)

    def delete_message(self: Any, receipt_handle: str) -> None:
        # moto walks all messages and all their old handles twice; the current handle, early in the list, is the rule.
        for i, message in enumerate(self._messages):
            if message.receipt_handle == receipt_handle:
                self.pending_messages.discard(message)
                self.deleted_messages.update(message.all_receipt_handles)
                del self._messages[i]
                return
        original_delete(self, receipt_handle)

    return [
        (sqs.Queue, "messages", property(messages)),
        (sqs.Queue, "attributes", property(attributes)),
        (sqs.Queue, "delete_message", delete_message),
    ]


def _sqs(clock: LocalClock) -> list[Patch]:
    original_receive = sqs.SQSBackend.receive_message

    def receive_message(
        self: Any, queue_name: str, count: int, wait_seconds_timeout: int, visibility_timeout: int, *rest: Any
    ) -> Any:
        queue = self.get_queue(queue_name)
        oldest = (clock.now() - queue.message_retention_period) * 1000
        while queue._messages and queue._messages[0].sent_timestamp <= oldest:
            # SQS deletes what is past its retention; moto stops in front of it, and nothing is received ever after.
            queue.pending_messages.discard(queue._messages.pop(0))
        # Waiting would hold the lock that whoever sends must take. Pollers are woken by what is sent instead.
        return original_receive(self, queue_name, count, 0, visibility_timeout, *rest)

    return [
        # Visibility, delays and time stamps are of the stack's time; moto's own also makes four objects per look.
        (sqs, "unix_time", lambda dt=None: clock.now()),
        (sqs, "unix_time_millis", lambda dt=None: clock.now() * 1000),
        (sqs.SQSBackend, "receive_message", receive_message),
    ]


def _kinesis(clock: LocalClock) -> list[Patch]:
    def put_record(self: Any, partition_key: str, data: str, explicit_hash_key: str) -> str:
        # moto lists all sequence numbers to find the last one.
        last = next(reversed(self.records)) if self.records else FIRST_SEQUENCE_NUMBER + self._shard_id * 10**50
        self.records[last + 1] = kinesis.Record(partition_key, data, last + 1, explicit_hash_key)
        return str(last + 1)

    def get_records(self: Any, last_sequence_id: str, limit: int | None) -> tuple[list[Any], int, int]:
        # moto walks from the oldest record each time. Numbers within a shard have no gaps: go straight to the next.
        last = int(last_sequence_id)
        if not self.records:
            return [], last, 0
        newest = next(reversed(self.records))
        first = max(last + 1, next(iter(self.records)))
        until = newest if limit is None else min(newest, first + limit - 1)
        found = [self.records[number] for number in range(first, until + 1)]
        if not found:
            return [], last, 0
        behind = self.records[newest].created_at - found[-1].created_at
        return found, found[-1].sequence_number, int(behind * 1000)

    def get_max_sequence_number(self: Any) -> int:
        return next(reversed(self.records)) if self.records else 0

    return [
        (kinesis, "utcnow", clock.utcnow),
        (kinesis.Shard, "put_record", put_record),
        (kinesis.Shard, "get_records", get_records),
        (kinesis.Shard, "get_max_sequence_number", get_max_sequence_number),
        # moto keeps two metrics for each put, for ever; nobody reads them here.
        (kinesis.KinesisBackend, "_send_stream_metrics", lambda self, *args, **kwargs: None),
    ]


def _dynamodb() -> list[Patch]:
    original_query = Table.query
    original_transact = dynamodb.DynamoDBBackend.transact_write_items

    def query(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        # moto sorts the whole table to find one partition.
        index_name = kwargs.get("index_name", args[6] if len(args) > 6 else None)
        if index_name is None and hash_key is not None and self.has_range_key:
            partition = copy.copy(self)
            partition.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
            return original_query(partition, hash_key, *args, **kwargs)
        return original_query(self, hash_key, *args, **kwargs)

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        # moto copies the whole table once per action, to go back to if one fails. Copy the items named instead.
        names = {op["TableName"] for action in transact_items for op in action.values() if "TableName" in op}
        tables = [self.tables[name] for name in names if name in self.tables]
        if len(transact_items) > 100 or any(table.stream_shard is not None for table in tables):
            return original_transact(self, transact_items)
        before = [_snapshot(self, op) for action in transact_items for op in action.values()]
        try:
            with patch.object(Table, "__deepcopy__", lambda table, memo: table, create=True):
                original_transact(self, transact_items)
        except Exception:  # of any kind: nothing of the transaction may stay
            for restore in before:
                restore()
            raise

    return [
        (Table, "query", query),
        (dynamodb.DynamoDBBackend, "transact_write_items", transact_write_items),
    ]


def _snapshot(backend: Any, op: Mapping[str, Any]) -> Callable[[], None]:
    """Remember the item an action names, and return what puts it back."""
    table = backend.tables.get(op.get("TableName"))
    keys = op.get("Key") or op.get("Item") or {}
    if table is None or any(name not in keys for name in table.table_key_attrs):
        return lambda: None
    hash_key = DynamoType(keys[table.hash_key_attr])
    if table.range_key_attr is None:
        holder, key = table.items, hash_key
        known = hash_key in table.items
    else:
        known = hash_key in table.items
        holder, key = table.items[hash_key], DynamoType(keys[table.range_key_attr])
        if not known:
            del table.items[hash_key]
    existed = known and key in holder
    item = copy.deepcopy(holder[key]) if existed else None

    def restore() -> None:
        place = table.items if table.range_key_attr is None else table.items[hash_key]
        if existed:
            place[key] = item
        else:
            place.pop(key, None)

    return restore
