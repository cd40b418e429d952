"""Conditional updates for many messages at once: each holds for itself, and who is refused learns what is there.

A transaction holds for all of its updates or for none, and says of which ones the condition failed. So these are
answered, and the others are written again without them.
"""

import random
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from shared.store.dynamo import Item, StoreError

Update = dict[str, Any]
"""Parameters of UpdateItem, with a condition that returns the item when it fails."""

MAX_TOGETHER = 100
"""Updates in a transaction (DynamoDB developer guide, "Quotas")."""
ROUNDS = 6
TRIES = 8


class Claimant(NamedTuple):
    """A message that takes something for its recipient."""

    ulid: str
    """The first part of its id."""
    tag: str
    """The recipient's."""
    generation: int
    """Of its envelope."""


class Answer(Enum):
    """What became of a claim: taken now, had by the same message already, or refused."""

    TAKEN = auto()
    HAD = auto()
    REFUSED = auto()


class Claim(NamedTuple):
    """What became of a claim and, if it was refused, what stood in its way."""

    answer: Answer
    held_by: str = ""
    """The ULID of the message that has what was claimed."""
    at: int | None = None
    """Milliseconds since the epoch: see `Duplicates.take` and `Caps.take`."""


def update_each(client: Any, updates: Sequence[Update]) -> list[Item | None]:
    """Carry out up to 100 updates; returns for each None, or the item that its condition refused.

    One request if no condition fails and no two are of the same item. Of the same item the first one comes first.
    Raises: StoreError; what the client raises. Some updates may be carried out then.
    """
    answers: list[Item | None] = [None] * len(updates)
    left = list(range(len(updates)))
    for attempt in range(ROUNDS):
        together = _distinct(updates, left)
        if len(together) < 2:
            break
        reasons = _transact(client, [updates[i] for i in together])
        refused = {i: reason.get("Item") or {} for i, reason in zip(together, reasons, strict=False) if _failed(reason)}
        for i, item in refused.items():
            answers[i] = item
        done = refused if reasons else together
        left = [i for i in left if i not in done]
        if reasons and not refused:
            _nap(attempt)
    for i in left:
        answers[i] = _alone(client, updates[i])
    return answers


def _distinct(updates: Sequence[Update], left: Sequence[int]) -> list[int]:
    """The first update of each item: a transaction may not name one twice."""
    found: dict[tuple[str, str], int] = {}
    for i in left:
        key = updates[i]["Key"]
        found.setdefault((key["pk"]["S"], key["sk"]["S"]), i)
    return list(found.values())[:MAX_TOGETHER]


def _transact(client: Any, updates: Sequence[Update]) -> list[dict[str, Any]]:
    """Why each update was not carried out; empty if all were."""
    try:
        client.transact_write_items(TransactItems=[{"Update": update} for update in updates])
    except client.exceptions.TransactionCanceledException as error:
        return list(error.response["CancellationReasons"])
    return []


def _failed(reason: dict[str, Any]) -> bool:
    """Whether the condition failed; all else is of the moment, such as another transaction with the same item."""
    return bool(reason["Code"] == "ConditionalCheckFailed")


def _alone(client: Any, update: Update) -> Item | None:
    for attempt in range(TRIES):
        try:
            client.update_item(**update)
        except client.exceptions.ConditionalCheckFailedException as error:
            item: Item = error.response.get("Item") or {}
            return item
        except client.exceptions.TransactionConflictException:
            _nap(attempt)
        else:
            return None
    raise StoreError("an item is always in another transaction")


def _nap(attempt: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - no secret
