"""Access tokens that all functions share: one refresh at a time, nothing stale, no two holders evicting each other.

The first level is the process's memory. The second is an item per key in the guard table, which also carries a short
lock, so that of many processes in need of the same token one fetches it and the others wait a moment for it.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from msgspec import Struct

from shared.aws.errors import AWS_ERRORS
from shared.model.clock import Clock
from shared.providers.base import Token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

REFRESH_BEFORE_MS = 5 * 60 * 1000
MEMORY_ENTRIES = 1000


class _Held(Struct, frozen=True):
    """A token as it is kept."""

    value: str
    expires_at: int
    refresh_at: int
    """From when it is no longer handed out, in milliseconds since the epoch."""

    def usable(self, now: int, rejected: str | None) -> bool:
        return now < self.refresh_at and self.value != rejected


def _held(token: Token, now: int) -> _Held:
    # A vendor may answer a refresh with the same token until it ends. A tenth of what is left, when that is less than
    # five minutes, keeps such a token in use instead of fetching it again for every message.
    margin = min(REFRESH_BEFORE_MS, max(0, token.expires_at - now) // 10)
    return _Held(token.value, token.expires_at, token.expires_at - margin)


class _Memory:
    """Tokens of this process, with one fetch at a time per key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, tuple[threading.Lock, int]] = {}

    def get(self, key: str, fetch: Callable[[], _Held], rejected: str | None) -> str:
        held = self._held.get(key)
        if held is not None and held.usable(self._clock.now_ms(), rejected):
            return held.value
        with self._flight(key):
            held = self._held.get(key)
            if held is None or not held.usable(self._clock.now_ms(), rejected):
                held = fetch()
                self._keep(key, held)
            return held.value

    @contextmanager
    def _flight(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._flights.get(key, (threading.Lock(), 0))
            self._flights[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                users = self._flights[key][1] - 1
                if users:
                    self._flights[key] = lock, users
                else:
                    del self._flights[key]

    def _keep(self, key: str, held: _Held) -> None:
        with self._lock:
            self._held.pop(key, None)
            self._held[key] = held
            while len(self._held) > MEMORY_ENTRIES:
                del self._held[next(iter(self._held))]


class MemoryTokenCache:
    """A `TokenCache` of one process, for tests and the command line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._memory = _Memory(clock)

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        """Return the token under `key`, fetching it when none is usable. Raises: what `fetch` raises."""
        return self._memory.get(key, lambda: _held(fetch(), self._clock.now_ms()), rejected)


class DynamoTokenCache:
    """The `TokenCache` of the functions, on the guard table (`pk` = `token#<key>`, `sk` = `token`).

    lock_seconds: after which another process may take over an unfinished refresh. polls, poll_seconds: how often and
    how long apart a waiting process looks for the token before it fetches one itself. A table that cannot be reached
    costs extra fetches, never a message.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        clock: Clock,
        *,
        lock_seconds: float = 15.0,
        polls: int = 20,
        poll_seconds: float = 0.2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._lock_ms = int(lock_seconds * 1000)
        self._polls = polls
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._memory = _Memory(clock)

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        """Return the token under `key`, fetching it when none is usable. Raises: what `fetch` raises."""
        return self._memory.get(key, lambda: self._shared(key, fetch, rejected), rejected)

    def _shared(self, key: str, fetch: Callable[[], Token], rejected: str | None) -> _Held:
        owner: str | None = None
        try:
            turn = self._take_turn(key, rejected)
            if isinstance(turn, _Held):
                return turn
            owner = turn
        except AWS_ERRORS as error:
            logger.warning("The shared token cache cannot be read; fetching a token", extra={"cause": _cause(error)})
        try:
            held = _held(fetch(), self._clock.now_ms())
        except BaseException:  # whatever ends it, the others need not wait for its lock
            if owner is not None:
                self._attempt(key, **_release(owner))
            raise
        self._store(key, held, owner, rejected)
        return held

    def _take_turn(self, key: str, rejected: str | None) -> _Held | str | None:
        """Return a usable token, or the name under which this process holds the lock, or None after waiting in vain."""
        for poll in range(self._polls + 1):
            if poll:
                self._sleep(self._poll_seconds)
            item = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True).get("Item", {})
            held = _from_item(item)
            now = self._clock.now_ms()
            if held is not None and held.usable(now, rejected):
                return held
            if now >= int(item.get("lock_until", {}).get("N", "0")):
                owner = secrets.token_hex(8)
                if self._update(key, **_acquire(owner, held, now, self._lock_ms)):
                    return owner
        return None

    def _store(self, key: str, held: _Held, owner: str | None, rejected: str | None) -> None:
        if owner is not None and self._attempt(key, **_store_as_owner(held, owner)):
            return
        # Someone took the lock over, or was waited for in vain. The token that lives longest is the newest.
        self._attempt(key, **_store_if_newer(held, rejected))

    def _attempt(self, key: str, **update: Any) -> bool:
        """Update, where failing is no reason to fail the send."""
        try:
            return self._update(key, **update)
        except AWS_ERRORS as error:
            logger.warning("The shared token cache cannot be written", extra={"cause": _cause(error)})
            return False

    def _update(self, key: str, **update: Any) -> bool:
        """Update the item conditionally; False when the condition does not hold."""
        try:
            self._client.update_item(TableName=self._table, Key=_key(key), **update)
        except ClientError as error:
            if _cause(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _key(key: str) -> dict[str, Any]:
    return {"pk": {"S": f"token#{key}"}, "sk": {"S": "token"}}


def _cause(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"].get("Code", "unknown"))
    return type(error).__name__


def _from_item(item: Any) -> _Held | None:
    if "value" not in item:
        return None
    return _Held(item["value"]["S"], int(item["expires_at"]["N"]), int(item["refresh_at"]["N"]))


def _acquire(owner: str, seen: _Held | None, now: int, lock_ms: int) -> dict[str, Any]:
    """Take the lock if it is free and the token is still the one seen, so that nobody has just refreshed it."""
    condition = "(attribute_not_exists(lock_until) OR lock_until <= :now) AND "
    values: dict[str, Any] = {
        ":now": {"N": str(now)},
        ":until": {"N": str(now + lock_ms)},
        ":owner": {"S": owner},
        ":ttl": {"N": str(now // 1000 + 3600)},
    }
    if seen is None:
        condition += "attribute_not_exists(#value)"
    else:
        condition += "#value = :seen AND expires_at = :seen_expiry"
        values |= {":seen": {"S": seen.value}, ":seen_expiry": {"N": str(seen.expires_at)}}
    return {
        "UpdateExpression": "SET lock_until = :until, lock_owner = :owner, #ttl = :ttl",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#value": "value", "#ttl": "ttl"},
        "ExpressionAttributeValues": values,
    }


def _release(owner: str) -> dict[str, Any]:
    return {
        "UpdateExpression": "REMOVE lock_until, lock_owner",
        "ConditionExpression": "lock_owner = :owner",
        "ExpressionAttributeValues": {":owner": {"S": owner}},
    }


_SET_TOKEN = "SET #value = :value, expires_at = :expires_at, refresh_at = :refresh_at, #ttl = :ttl"  # noqa: S105 - no secret
_NAMES = {"#value": "value", "#ttl": "ttl"}


def _token_values(held: _Held) -> dict[str, Any]:
    return {
        ":value": {"S": held.value},
        ":expires_at": {"N": str(held.expires_at)},
        ":refresh_at": {"N": str(held.refresh_at)},
        ":ttl": {"N": str(held.expires_at // 1000 + 60)},
    }


def _store_as_owner(held: _Held, owner: str) -> dict[str, Any]:
    return {
        "UpdateExpression": f"{_SET_TOKEN} REMOVE lock_until, lock_owner",
        "ConditionExpression": "lock_owner = :owner",
        "ExpressionAttributeNames": _NAMES,
        "ExpressionAttributeValues": {**_token_values(held), ":owner": {"S": owner}},
    }


def _store_if_newer(held: _Held, rejected: str | None) -> dict[str, Any]:
    condition = "attribute_not_exists(expires_at) OR expires_at < :expires_at"
    values = _token_values(held)
    if rejected is not None:
        condition += " OR #value = :rejected"
        values[":rejected"] = {"S": rejected}
    return {
        "UpdateExpression": _SET_TOKEN,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": _NAMES,
        "ExpressionAttributeValues": values,
    }
