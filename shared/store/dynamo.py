"""DynamoDB's batch calls, with what they leave unprocessed tried again, and its queries to their end."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from aws_lambda_powertools import Logger

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import UnavailableError

logger = Logger(child=True)

Item = dict[str, Any]
"""An item as the low-level client has it: attribute name -> {type: value}."""

MAX_GET = 100
MAX_WRITE = 25
TRIES = 6


def key_of(item: Item) -> tuple[str, str]:
    """An item's partition key and sort key."""
    return item["pk"]["S"], item["sk"]["S"]


class StoreError(UnavailableError):
    """A table did not take or give everything after several tries."""


def batch_get(
    client: Any, table: str, keys: Sequence[Item], *, consistent: bool, projection: str | None = None
) -> list[Item]:
    """Read items by key (distinct; any number). Raises: StoreError, or what the client raises."""
    found: list[Item] = []
    options: dict[str, Any] = {"ConsistentRead": consistent}
    if projection:
        options["ProjectionExpression"] = projection
    for start in range(0, len(keys), MAX_GET):
        left: Sequence[Item] = keys[start : start + MAX_GET]

        def ask(left: Sequence[Item]) -> Sequence[Item]:
            answer = client.batch_get_item(RequestItems={table: {"Keys": left, **options}})
            found.extend(answer["Responses"].get(table, ()))
            unprocessed = answer.get("UnprocessedKeys") or {}
            return unprocessed[table]["Keys"] if table in unprocessed else ()

        _until_done(ask, left)
    return found


def query_all(client: Any, **asked: Any) -> Iterator[Item]:
    """All items of a query, in its order; a page is asked for when the one before is used up.

    Raises: what the client raises.
    """
    for page in query_pages(client, **asked):
        yield from page


def query_pages(client: Any, **asked: Any) -> Iterator[list[Item]]:
    """The items of a query, page by page; a filter may leave a page empty. Raises: what the client raises."""
    while True:
        answer = client.query(**asked)
        yield answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def batch_put(client: Any, table: str, items: Sequence[Item], pool: Executor | None = None) -> None:
    """Put items (with distinct keys; any number), several batches at a time on `pool`.

    Raises: StoreError, or what the client raises; some items may have been put then.
    """

    _batch_write(client, table, [{"PutRequest": {"Item": item}} for item in items], pool)


def put_what_goes(
    client: Any, table: str, items: Sequence[Item], most: int, pool: Executor | None = None
) -> list[Item]:
    """Put items (with distinct keys; any number), and return those that the table does not take.

    A batch is refused as a whole for one item that cannot be put: it is halved as long as one half goes through.
    Raises: StoreError for more than `most`, soon.
    """
    refused: list[Item] = []

    def put(batch: Sequence[Item]) -> bool:
        try:
            batch_put(client, table, batch)
        except AWS_ERRORS as error:
            log_error(logger, "a batch was not put", error)
            return False
        return True

    def go(batch: Sequence[Item]) -> None:
        if len(refused) <= most and not put(batch):
            refused.extend(_smallest(put, batch))

    batches = [items[start : start + MAX_WRITE] for start in range(0, len(items), MAX_WRITE)]
    run: Callable[..., Iterable[None]] = map if pool is None or len(batches) < 2 else pool.map
    for _ in run(go, batches):
        pass
    if len(refused) > most:
        raise StoreError("the table does not take items")
    # Whatever it was may be over by now.
    again = [refused[start : start + MAX_WRITE] for start in range(0, len(refused), MAX_WRITE)]
    return [item for batch in again if not put(batch) for item in batch]


def _smallest(put: Callable[[Sequence[Item]], bool], refused: Sequence[Item]) -> Sequence[Item]:
    """What is left of a refused batch when all of it has been put that goes."""
    while len(refused) > 1:
        halves = [half for half in (refused[: len(refused) // 2], refused[len(refused) // 2 :]) if not put(half)]
        if len(halves) != 1:
            return refused if halves else ()
        refused = halves[0]
    return refused


def batch_delete(client: Any, table: str, keys: Sequence[Item]) -> None:
    """Delete items by key (distinct; any number), whether they are there or not.

    Raises: StoreError, or what the client raises; some items may have been deleted then.
    """
    _batch_write(client, table, [{"DeleteRequest": {"Key": key}} for key in keys])


def _batch_write(client: Any, table: str, requests: Sequence[Item], pool: Executor | None = None) -> None:
    def write(left: Sequence[Item]) -> Sequence[Item]:
        answer = client.batch_write_item(RequestItems={table: left})
        unprocessed: Sequence[Item] = (answer.get("UnprocessedItems") or {}).get(table, ())
        return unprocessed

    batches = [requests[start : start + MAX_WRITE] for start in range(0, len(requests), MAX_WRITE)]
    run: Callable[..., Iterable[None]] = map if pool is None or len(batches) < 2 else pool.map
    for _ in run(lambda batch: _until_done(write, batch), batches):
        pass


def _until_done(call: Callable[[Sequence[Item]], Sequence[Item]], left: Sequence[Item]) -> None:
    for attempt in range(TRIES):
        left = call(left)
        if not left:
            return
        # What is unprocessed was throttled: full jitter, as the API reference of BatchWriteItem advises.
        time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - no secret
    raise StoreError(f"{len(left)} items left unprocessed")
