"""Dead letters in the catalog table: a small head per letter that lists show, and its body, which only a redrive reads.

| pk | sk | holds |
|---|---|---|
| `dead#<tenant>#<channel>.<class>` | letter id | the head; ids begin with a ULID, so they sort by acceptance |
| `letter#<tenant>#<letter id>` | `body`, and `body.1`, ... if it is large | the envelope, compressed |
| `dead#busy` | the head's pk and sk | a mark while a redrive or discard is under way |
"""

import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Any

from pydantic_core import from_json

from shared.base.channels import queue_name
from shared.model.envelope import Envelope, read_envelope
from shared.model.letters import Letter, LetterState
from shared.store.catalog_items import key_of
from shared.store.dynamo import Item, StoreError, batch_get, query_all

HISTORY_S = 90 * 86_400
"""How long the head of a letter that was redriven or discarded is kept, from then on."""
PAGE = 1000
PART_BYTES = 350_000
"""Of a body, per item: one holds 400 KB, and a transaction 4 MB (DynamoDB developer guide, "Constraints")."""

OPEN = frozenset({LetterState.KEPT, LetterState.REDRIVING, LetterState.DISCARDING})
"""States in which something is left to be done."""
_DONE = {LetterState.REDRIVING: LetterState.REDRIVEN, LetterState.DISCARDING: LetterState.DISCARDED}
_BUSY = "dead#busy"
_CHANGING = {"state", "changed_at", "by", "note"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters: those in one of the states with exactly these; None for any."""

    states: Collection[LetterState] = OPEN
    template: str | None = None
    account: str | None = None
    reason: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is one of them."""
        wanted = ((self.template, letter.template), (self.account, letter.account), (self.reason, letter.reason))
        return letter.state in self.states and all(want is None or want == found for want, found in wanted)


class DeadLetterStore:
    """Reads and writes dead letters; thread-safe. queues: where they are looked for, as `<channel>.<class>`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def keep(self, letter: Letter, text: str) -> bool:
        """Keep a letter unless its head is there; whether it was new. text: of its envelope, or whatever was found.

        Something redriven or discarded does not come back when the queue delivers it once more. A text of three
        megabytes is kept even if nothing compresses it, which is more than any queue holds.
        """
        data = zlib.compress(text.encode())
        docs = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
        letter = letter.model_copy(update={"parts": len(docs)})
        bodies = ({**key, "doc": {"B": doc}} for key, doc in zip(_body_keys(letter), docs, strict=True))
        return self._transact(self._put(_head(letter), new=True), *(self._put(body, new=True) for body in bodies))

    def begin(self, letter: Letter, state: LetterState, at: int, by: str, note: str = "") -> Letter | None:
        """Take a kept letter for redrive or discard; the letter as it is then, or None if it is no longer kept."""
        begun = letter.model_copy(update={"state": state, "changed_at": at, "by": by, "note": note})
        update = self._update(
            letter,
            "SET #state = :state, changed_at = :at, #by = :by, note = :note",
            "#state = :kept",
            {
                ":state": {"S": state},
                ":at": {"N": str(at)},
                ":by": {"S": by},
                ":note": {"S": note},
                ":kept": {"S": LetterState.KEPT},
            },
        )
        update["ExpressionAttributeNames"]["#by"] = "by"
        head = _head_key(letter)
        mark = {**_mark_key(letter), "head_pk": head["pk"], "head_sk": head["sk"], "changed_at": {"N": str(at)}}
        return begun if self._transact({"Update": update}, self._put(mark)) else None

    def finish(self, letter: Letter) -> bool:
        """Close what was begun: the body goes, the head stays for a while; whether it was this call that did it."""
        update = self._update(
            letter,
            "SET #state = :done, #ttl = :ttl",
            "#state = :state AND changed_at = :at",
            {
                ":state": {"S": letter.state},
                ":at": {"N": str(letter.changed_at)},
                ":done": {"S": _DONE[letter.state]},
                ":ttl": {"N": str(letter.changed_at // 1000 + HISTORY_S)},
            },
        )
        update["ExpressionAttributeNames"]["#ttl"] = "ttl"
        keys = (*_body_keys(letter), _mark_key(letter))
        gone = ({"Delete": {"TableName": self._table, "Key": key}} for key in keys)
        return self._transact({"Update": update}, *gone)

    def read(self, letter: Letter) -> Letter | None:
        """A letter as it is now."""
        item = self._get(_head_key(letter))
        return None if item is None else _letter(item)

    def body(self, letter: Letter) -> Envelope | None:
        """A letter's envelope; None once it is redriven or discarded. Raises: UnreadableError if it is none."""
        text = self.text(letter)
        return None if text is None else read_envelope(text)

    def text(self, letter: Letter) -> str | None:
        """What is kept of a letter; None once it is redriven or discarded."""
        items = [self._get(key) for key in _body_keys(letter)]
        found = [item["doc"]["B"] for item in items if item is not None]
        return zlib.decompress(b"".join(found)).decode() if len(found) == letter.parts else None

    def find(
        self,
        tenant: str,
        queues: Iterable[str],
        choice: Choice,
        *,
        newest_first: bool = False,
        beyond: str | None = None,
    ) -> Iterator[Letter]:
        """Letters in the order of their ids. beyond: only those behind this id."""
        parts = [self._query(_head_pk(tenant, queue), choice, newest_first, beyond) for queue in queues]
        return merge(*parts, key=lambda letter: letter.id, reverse=newest_first)

    def named(self, tenant: str, queues: Iterable[str], ids: Iterable[str], choice: Choice) -> Iterator[Letter]:
        """The letters of these ids that are there and chosen, in order; an id may lie in any of the queues."""
        keys = [key_of(_head_pk(tenant, queue), id) for queue in queues for id in sorted(set(ids))]
        found = [_letter(item) for item in batch_get(self._client, self._table, keys, consistent=True)]
        return iter(sorted((letter for letter in found if choice.takes(letter)), key=lambda letter: letter.id))

    def interrupted(self, before: int) -> list[Letter]:
        """Up to a page of letters, of all tenants, whose redrive or discard was begun before a time and not ended."""
        marks = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression="changed_at < :before",
            ExpressionAttributeValues={":pk": {"S": _BUSY}, ":before": {"N": str(before)}},
            Limit=PAGE,
        )["Items"]
        keys = [{"pk": mark["head_pk"], "sk": mark["head_sk"]} for mark in marks]
        found = [_letter(item) for item in batch_get(self._client, self._table, keys, consistent=True)]
        return [letter for letter in found if letter.state in _DONE]

    def _query(self, pk: str, choice: Choice, newest_first: bool, beyond: str | None) -> Iterator[Letter]:
        names = {"#state": "state"}
        values: Item = {f":s{k}": {"S": state} for k, state in enumerate(sorted(choice.states))}
        conditions = [f"#state IN ({', '.join(values)})"]
        for name in ("template", "account", "reason"):
            wanted = getattr(choice, name)
            if wanted is not None:
                names[f"#{name}"], values[f":{name}"] = name, {"S": wanted}
                conditions.append(f"#{name} = :{name}")
        key = "pk = :pk"
        if beyond is not None:
            key += f" AND sk {'<' if newest_first else '>'} :beyond"
            values[":beyond"] = {"S": beyond}
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression=key,
            FilterExpression=" AND ".join(conditions),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={**values, ":pk": {"S": pk}},
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
            Limit=PAGE,
        )
        yield from map(_letter, found)

    def _get(self, key: Item) -> Item | None:
        found: Item | None = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return found

    def _put(self, item: Item, *, new: bool = False) -> Item:
        put: Item = {"TableName": self._table, "Item": item}
        return {"Put": put | {"ConditionExpression": "attribute_not_exists(pk)"} if new else put}

    def _update(self, letter: Letter, expression: str, condition: str, values: Item) -> Item:
        return {
            "TableName": self._table,
            "Key": _head_key(letter),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": values,
        }

    def _transact(self, *writes: Item) -> bool:
        """Do all writes or none; whether their conditions held. Raises: StoreError when another got in the way.

        The client repeats a transaction under the same token, so one whose answer was lost is not refused as its own.
        """
        try:
            self._client.transact_write_items(TransactItems=list(writes))
        except self._client.exceptions.TransactionCanceledException as error:
            codes = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())} - {None, "None"}
            if codes == {"ConditionalCheckFailed"}:
                return False
            raise StoreError(", ".join(sorted(codes))) from None
        return True


def _head_pk(tenant: str, queue: str) -> str:
    return f"dead#{tenant}#{queue}"


def _head_key(letter: Letter) -> Item:
    return key_of(_head_pk(letter.tenant, queue_name(letter.channel, letter.message_class)), letter.id)


def _body_keys(letter: Letter) -> list[Item]:
    pk = f"letter#{letter.tenant}#{letter.id}"
    return [key_of(pk, f"body.{part}" if part else "body") for part in range(letter.parts)]


def _mark_key(letter: Letter) -> Item:
    return key_of(_BUSY, "#".join(value["S"] for value in _head_key(letter).values()))


def _head(letter: Letter) -> Item:
    texts = {name: {"S": getattr(letter, name)} for name in ("template", "account", "reason", "state", "by", "note")}
    doc = {"S": letter.model_dump_json(exclude=_CHANGING)}
    return {**_head_key(letter), **texts, "changed_at": {"N": str(letter.changed_at)}, "doc": doc}


def _letter(item: Item) -> Letter:
    changing = {name: item[name]["S"] for name in ("state", "by", "note")}
    return Letter(**from_json(item["doc"]["S"]), **changing, changed_at=int(item["changed_at"]["N"]))
