"""Envelopes whose messages were sent and may still fall back, in the guard table: `awaiting#<envelope id>`.

Beside the envelope stands what was decided of each of its recipients: that another message follows, or that none does.
The first decision stays, so that of a receipt, a recall and the end of the time one alone counts. Either may come
before the envelope is there: receipts can be faster than the dispatcher.
"""

import zlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct

from shared.errors import LostError
from shared.model.clock import Clock
from shared.model.envelope import Envelope, read_envelope

KEPT_S = 86_400
"""How long an envelope is kept after the end of its messages' time to live."""
EARLY_S = 4 * 86_400
"""How long a decision is kept whose envelope is not there."""
TRIES = 20

_DECIDED = "r"
_BODY = "body"


class What(StrEnum):
    """What was decided of a recipient."""

    ARRIVED = "arrived"
    """It came to what it had to, or the recipient wants nothing more: no other message follows."""
    RECALLED = "recalled"
    """No other message follows."""
    LATE = "late"
    """Its time was over: another message follows, with those of all whose time was."""
    UNDELIVERED = "undelivered"
    """It came back: another message follows at once."""


FELL = frozenset({What.LATE, What.UNDELIVERED})


class Decision(NamedTuple):
    """What was decided, and when (milliseconds since the epoch)."""

    what: What
    at: int


class Awaiting(Struct, frozen=True):
    """What is kept of an envelope."""

    envelope: Envelope | None
    """With those recipients alone whose messages wait; None if it is not there yet."""
    decisions: Mapping[int, Decision]
    """By recipient."""

    @property
    def open(self) -> list[int]:
        """Recipients of whom nothing is decided."""
        recipients = self.envelope.recipients if self.envelope is not None else []
        return [each.index for each in recipients if each.index not in self.decisions]


class AwaitingStore:
    """Keeps them; thread-safe."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def keep(self, envelope: Envelope) -> None:
        """Keep an envelope beside what is decided already; doing it again changes nothing.

        Raises: what the client raises.
        """
        ends_at = envelope.ends_at if envelope.ends_at is not None else self._clock.now_ms()
        self._client.update_item(
            TableName=self._table,
            Key=_key(envelope.id),
            UpdateExpression="SET #body = :body, #ttl = :ttl",
            ExpressionAttributeNames={"#body": _BODY, "#ttl": "ttl"},
            ExpressionAttributeValues={
                ":body": {"B": zlib.compress(envelope.to_json().encode(), 1)},
                ":ttl": {"N": str(ends_at // 1000 + KEPT_S)},
            },
        )

    def read(self, envelope_id: str) -> Awaiting:
        """What is kept under an envelope's id. Raises: what the client raises."""
        answer = self._client.get_item(TableName=self._table, Key=_key(envelope_id), ConsistentRead=True)
        return _awaiting(answer.get("Item") or {})

    def decide(self, envelope_id: str, recipients: Iterable[int], what: What) -> dict[int, Decision]:
        """Decide on recipients of whom nothing was decided, on all of them in one write.

        Returns what is decided of each, now or before. Raises: what the client raises; LostError if others decide on
        one after the other in the meantime, without end.
        """
        wanted = sorted(set(recipients))
        decision = Decision(what, self._clock.now_ms())
        before: dict[int, Decision] = {}
        for _ in range(TRIES):
            left = [i for i in wanted if i not in before]
            found = self._write(envelope_id, left, decision) if left else {}
            if found is None:
                return {i: before.get(i, decision) for i in wanted}
            before |= found
            if not left:
                return {i: before[i] for i in wanted}
        raise LostError("others decide on the same recipients")

    def _write(self, envelope_id: str, left: list[int], decision: Decision) -> Mapping[int, Decision] | None:
        """None once it is decided, else what was decided before."""
        names = {f"#{_DECIDED}{i}": f"{_DECIDED}{i}" for i in left}
        sets = ", ".join(f"{name} = :new" for name in names)
        early = self._clock.now_ms() // 1000 + EARLY_S
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(envelope_id),
                UpdateExpression=f"SET {sets}, #ttl = if_not_exists(#ttl, :ttl)",
                ConditionExpression=" AND ".join(f"attribute_not_exists({name})" for name in names),
                ExpressionAttributeNames={**names, "#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":new": {"S": f"{decision.what}@{decision.at}"},
                    ":ttl": {"N": str(early)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            found = _awaiting(error.response.get("Item") or {}).decisions
            # The client repeats a write whose answer was lost, and then meets its own.
            return None if all(found.get(i) == decision for i in left) else found
        return None


def _key(envelope_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"awaiting#{envelope_id}"}, "sk": {"S": "fallback"}}


def _awaiting(item: Mapping[str, Any]) -> Awaiting:
    decided = {
        int(name[1:]): _decision(value["S"])
        for name, value in item.items()
        if name[0] == _DECIDED and name[1:].isdecimal()
    }
    body = item.get(_BODY)
    return Awaiting(None if body is None else read_envelope(zlib.decompress(body["B"]).decode()), decided)


def _decision(text: str) -> Decision:
    what, _, at = text.partition("@")
    return Decision(What(what), int(at))
