"""What recipients got lately, in the guard table: one item per channel, class and recipient, with a slot per message.

The newest slot is the first. A message takes it if the n-th is free by then, and moves the others on: one conditional
update, so that of any number of messages that come at once exactly those get through that may. All slots are kept,
whatever the cap: templates of a class may have caps of their own, and count together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.model.clock import Clock
from shared.model.policies import DAY_MINUTES, MAX_CAP
from shared.model.words import Channel, MessageClass
from shared.store.claims import Answer, Claim, Claimant, Update, update_each
from shared.store.dynamo import Item, StoreError, batch_get

TTL_S = 2 * 60 * DAY_MINUTES
"""Longer than any cap looks back."""
_EMPTY = "0"
"""What is in a slot that nobody took: earlier than any time."""
_SLOTS = range(1, MAX_CAP + 1)
_MOVE_ON = ", ".join(f"s{k} = if_not_exists(s{k - 1}, :empty)" for k in reversed(_SLOTS[1:]))
_TAKE = f"SET {_MOVE_ON}, s1 = :mine, #ttl = :ttl"
_ROUNDS = 20

Seat = tuple[str, Channel, MessageClass]
"""Tenant, channel and class: whose messages count together."""


class Caps:
    """Slots in the guard table."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def take(self, of: Seat, messages: Sequence[Claimant], count: int, since: int) -> list[Claim]:
        """Take a slot for each message (up to 100) if fewer than `count` of its recipient are later than `since`.

        since: milliseconds since the epoch. Who is refused learns when the slot was taken that must get older. One
        request if all get one and no recipient is there twice. Raises: StoreError; what the client raises.
        """
        now = self._clock.now_ms()
        condition, before = _room(count), _until(since)
        updates: list[Update] = [
            {
                "TableName": self._table,
                "Key": _key(of, who.tag),
                "UpdateExpression": _TAKE,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#ttl": "ttl"},
                "ExpressionAttributeValues": {
                    ":mine": {"S": _slot(now, who)},
                    ":empty": {"S": _EMPTY},
                    ":since": {"S": before},
                    ":ttl": {"N": str(now // 1000 + TTL_S)},
                    **({":me": {"S": who.ulid}} if count > 1 else {}),
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            for who in messages
        ]
        found = update_each(self._client, updates)
        return [_answer(item, who, before, count) for item, who in zip(found, messages, strict=True)]

    def release(self, of: Seat, messages: Sequence[Claimant]) -> None:
        """Empty the slots that messages hold, of their generation or an earlier one.

        Raises: StoreError; what the client raises.
        """
        keys = {who.tag: _key(of, who.tag) for who in messages}
        read = batch_get(self._client, self._table, list(keys.values()), consistent=True)
        items = {item["pk"]["S"].rpartition("#")[2]: item for item in read}
        left = [(who, items.get(who.tag, {})) for who in messages]
        for _ in range(_ROUNDS):
            left = [(who, item) for who, item in left if _place(item, who) is not None]
            if not left:
                return
            found = update_each(self._client, [self._emptied(of, who, item) for who, item in left])
            # Where a slot has moved since it was read, the answer says where to.
            pairs = zip(left, found, strict=True)
            left = [(who, item if there is None else there) for (who, item), there in pairs if there is not None]
        raise StoreError("a slot moves faster than it can be emptied")

    def _emptied(self, of: Seat, who: Claimant, item: Item) -> Update:
        """The update that takes a message's slot out and closes the gap."""
        place = _place(item, who) or 1
        moves = [f"s{k} = if_not_exists(s{k + 1}, :empty)" for k in range(place, MAX_CAP)]
        return {
            "TableName": self._table,
            "Key": _key(of, who.tag),
            "UpdateExpression": f"SET {', '.join([*moves, f's{MAX_CAP} = :empty'])}",
            "ConditionExpression": f"s{place} = :held",
            "ExpressionAttributeValues": {":empty": {"S": _EMPTY}, ":held": item[f"s{place}"]},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _room(count: int) -> str:
    """Whether there is room, and the message has no slot that still counts. Beyond the n-th none counts then."""
    mine = "".join(f" AND NOT (contains(s{k}, :me) AND s{k} > :since)" for k in range(1, count))
    return f"(attribute_not_exists(s{count}) OR s{count} <= :since){mine}"


def _slot(at: int, who: Claimant) -> str:
    return f"{at:013d}#{who.ulid}#{who.generation}"


def _until(at: int) -> str:
    """What is greater than every slot of a time, and less than those of later ones."""
    return f"{at:013d}~"


def _slots(item: Mapping[str, Any]) -> Iterator[tuple[int, str, str, int]]:
    """(place, slot as it is, ULID, generation) of those that somebody took."""
    for place in _SLOTS:
        slot = item[f"s{place}"]["S"] if f"s{place}" in item else _EMPTY
        if slot != _EMPTY:
            _, ulid, generation = slot.split("#")
            yield place, slot, ulid, int(generation)


def _place(item: Mapping[str, Any], who: Claimant) -> int | None:
    """Where the slot of a message is."""
    places = (place for place, _, ulid, n in _slots(item) if ulid == who.ulid and n <= who.generation)
    return next(places, None)


def _answer(there: Mapping[str, Any] | None, who: Claimant, before: str, count: int) -> Claim:
    if there is None:
        return Claim(Answer.TAKEN)
    slots = {place: (slot, ulid) for place, slot, ulid, _ in _slots(there)}
    if any(ulid == who.ulid and slot > before for slot, ulid in slots.values()):
        return Claim(Answer.HAD)
    slot, ulid = slots.get(count, ("", ""))
    return Claim(Answer.REFUSED, ulid, int(slot.partition("#")[0]) if slot else None)


def _key(of: Seat, tag: str) -> dict[str, Any]:
    tenant, channel, message_class = of
    return {"pk": {"S": f"cap#{tenant}#{channel}#{message_class}#{tag}"}, "sk": {"S": "slots"}}
