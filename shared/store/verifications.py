"""Verifications in the guard table: one item per address holds all of its own.

What they are is one text, which starts replace if nobody did meanwhile. What changes with a check stands beside it, an
attribute each, so that a check is one conditional write and never meets a start.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.errors import LostError
from shared.model.clock import Clock
from shared.model.verifications import Address, State, Verification
from shared.model.words import KeyKind
from shared.policy.verifying import DAY_MS, MOST_CHECKS
from shared.store.dynamo import Item
from shared.store.pumping import approval

KEEP_S: Final = 2 * DAY_MS // 1000
TRIES: Final = 4
"""Of an approval, where another one meets it."""
_STATE, _CHECKS, _DECIDED = "s_", "c_", "e_"


class _Text(Struct, frozen=True):
    """What starts replace."""

    generation: int
    sent: tuple[int, ...]
    verifications: tuple[Verification, ...]


class Verifications:
    """The items of addresses."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def load(self, tenant: str, tag: str) -> Address:
        """What is kept of an address; of one that is not known, nothing. Raises: what the client raises."""
        answer = self._client.get_item(TableName=self._table, Key=_key(tenant, tag), ConsistentRead=True)
        item = answer.get("Item")
        return Address() if item is None else _read(item)

    def save(self, tenant: str, tag: str, before: Address, after: Address) -> None:
        """Write what a start made of an address. Its last verification must be open as it was before, or new.

        Raises: LostError if somebody was faster; what the client raises.
        """
        last = after.verifications[-1]
        there = {each.id for each in before.verifications}
        gone = there - {each.id for each in after.verifications}
        names = {"#rev": "rev", "#data": "data", "#ttl": "ttl", "#state": _STATE + last.id}
        sets = "SET #rev = :rev, #data = :data, #ttl = :ttl, #state = :open"
        removed = []
        for i, (id, kind) in enumerate((id, kind) for id in sorted(gone) for kind in (_STATE, _CHECKS, _DECIDED)):
            names[f"#r{i}"] = kind + id
            removed.append(f"#r{i}")
        condition = "attribute_not_exists(pk)" if not before.revision else "#rev = :before"
        values = {
            ":rev": {"N": str(after.revision)},
            ":data": {"S": _written(after)},
            ":ttl": {"N": str(self._clock.now_ms() // 1000 + KEEP_S)},
            ":open": {"S": State.OPEN.value},
        }
        if before.revision:
            values[":before"] = {"N": str(before.revision)}
        if last.id in there:
            condition += " AND #state = :open"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(tenant, tag),
                UpdateExpression=sets + (f" REMOVE {', '.join(removed)}" if removed else ""),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            # The client repeats a write whose answer was lost, and then meets its own.
            if self.load(tenant, tag) != after:
                raise LostError from None

    def count_wrong(self, tenant: str, tag: str, found: Verification) -> Address | None:
        """Count a wrong check; None if it counts, else the address as it is: it was decided on meanwhile, or locked."""
        names = {"#checks": _CHECKS + found.id}
        values = {":none": {"N": "0"}, ":one": {"N": "1"}}
        return self._decide(tenant, tag, found, "SET #checks = if_not_exists(#checks, :none) + :one", names, values)

    def approve(
        self, tenant: str, tag: str, found: Verification, now: int, uncounted: Callable[[], None] = lambda: None
    ) -> Address | None:
        """Approve a verification; None if that is done just now, else the address as it is.

        One of texts that were counted by the guard against pumping is counted by the same write. uncounted: is told
        that this could not be, after several tries; it is approved all the same.
        """
        if found.prefix is None or found.kind == KeyKind.TEST:
            return self._decide(tenant, tag, found, *_decision(found, State.APPROVED, now))
        update = {"Update": self._update(tenant, tag, found, *_decision(found, State.APPROVED, now))}
        counted = approval(self._table, tenant, found.prefix, found.started_at, found.texts, now)
        for _ in range(TRIES):
            try:
                self._client.transact_write_items(TransactItems=[update, counted])
                return None
            except self._client.exceptions.TransactionCanceledException as error:
                codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
                if "ConditionalCheckFailed" in codes:
                    item = error.response["CancellationReasons"][0].get("Item")
                    return self.load(tenant, tag) if item is None else _read(item)
        uncounted()
        return self._decide(tenant, tag, found, *_decision(found, State.APPROVED, now))

    def cancel(self, tenant: str, tag: str, found: Verification, now: int) -> Address | None:
        """Cancel a verification; None if that is done just now, else the address as it is."""
        return self._decide(tenant, tag, found, *_decision(found, State.CANCELLED, now))

    def _decide(
        self, tenant: str, tag: str, found: Verification, update: str, names: dict[str, str], values: Item
    ) -> Address | None:
        """One write, which counts only while the verification can be checked: of two at once one counts."""
        try:
            self._client.update_item(**self._update(tenant, tag, found, update, names, values))
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item = error.response.get("Item")
            return Address() if item is None else _read(item)
        return None

    def _update(
        self, tenant: str, tag: str, found: Verification, update: str, names: dict[str, str], values: Item
    ) -> Item:
        return {
            "TableName": self._table,
            "Key": _key(tenant, tag),
            "UpdateExpression": update,
            "ConditionExpression": "#state = :open AND (attribute_not_exists(#checks) OR #checks < :most)",
            "ExpressionAttributeNames": {"#state": _STATE + found.id, **names},
            "ExpressionAttributeValues": {
                ":open": {"S": State.OPEN.value},
                ":most": {"N": str(MOST_CHECKS)},
                **values,
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _decision(found: Verification, state: State, now: int) -> tuple[str, dict[str, str], Item]:
    """What a write that decides on a verification sets."""
    names = {"#checks": _CHECKS + found.id, "#decided": _DECIDED + found.id}
    return "SET #state = :after, #decided = :now", names, {":after": {"S": state.value}, ":now": {"N": str(now)}}


def _key(tenant: str, tag: str) -> Item:
    return {"pk": {"S": f"verification#{tenant}#{tag}"}, "sk": {"S": "state"}}


def _written(address: Address) -> str:
    """What starts replace, without what checks change."""
    bare = tuple(replace(v, checks=0, state=State.OPEN, decided_at=None) for v in address.verifications)
    return msgspec.json.encode(_Text(address.generation, address.sent, bare)).decode()


def _read(item: Item) -> Address:
    text = msgspec.json.decode(item["data"]["S"], type=_Text)
    return Address(
        revision=int(item["rev"]["N"]),
        generation=text.generation,
        sent=text.sent,
        verifications=tuple(_with_checks(each, item) for each in text.verifications),
    )


def _with_checks(found: Verification, item: Item) -> Verification:
    checks, state, decided = (item.get(kind + found.id) for kind in (_CHECKS, _STATE, _DECIDED))
    return replace(
        found,
        checks=0 if checks is None else int(checks["N"]),
        state=State.OPEN if state is None else State(state["S"]),
        decided_at=None if decided is None else int(decided["N"]),
    )
