"""Takes a person out of the catalog: the suppression list, dead letters, and what the audit log says of them."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from functions.erasures.person import Person
from functions.erasures.search.result import Result
from functions.erasures.search.tables import texts_of
from shared.model.envelope import read_envelope
from shared.model.suppression import Suppressed
from shared.model.wire import UnreadableError
from shared.policy.veiling import veiled_envelope
from shared.store.catalog_items import item_of, put_of, read_item
from shared.store.dynamo import Item, key_of, query_all
from shared.store.suppressions import Suppressions

SUPPRESSED, LETTERS, AUDIT = "suppression list", "dead letters", "audit log"
KEYS, RECORDS = "recipients of team keys", "audit records that people's changes made"
GONE = "erased"
"""What stands for an address in the audit log."""


class CatalogItems:
    """Looks at items of the catalog."""

    def __init__(self, client: Any, table: str, suppressions: Suppressions, person: Person) -> None:
        self._client = client
        self._table = table
        self._suppressions = suppressions
        self._person = person

    def __call__(self, items: Sequence[Item], result: Result) -> None:
        """Take the person out of some items. Raises: what the table raises."""
        for item in items:
            pk, sk = key_of(item)
            kind = pk.partition("#")[0]
            if kind == "suppressed" and sk == self._person.tag:
                self._suppressed(item, result)
            elif kind == "letter" and sk == "body":
                self._letter(pk, result)
            elif kind == "audit":
                self._record(item, result)
            elif sk.startswith("key#") and pk == f"tenant#{self._person.tenant}" and self._names(item):
                result.left[KEYS] += 1

    def _suppressed(self, item: Item, result: Result) -> None:
        stored = read_item(Suppressed, item)
        kept = self._kept(stored.value)
        if kept == stored.value:
            return
        if kept.entries:
            change = {"Put": put_of(self._table, item_of(*key_of(item), kept, stored.rev + 1), stored.rev)}
            self._client.put_item(**change["Put"])
        else:
            self._client.delete_item(
                TableName=self._table,
                Key={"pk": item["pk"], "sk": item["sk"]},
                ConditionExpression="#rev = :rev",
                ExpressionAttributeNames={"#rev": "rev"},
                ExpressionAttributeValues={":rev": item["rev"]},
            )
            self._suppressions.forget_print(self._person.tenant, self._person.channel, self._person.tag)
        result.erased[SUPPRESSED] += 1

    def _kept(self, found: Suppressed) -> Suppressed:
        """What stays of somebody on the list: who must not be written to, by the tag alone; or only what is newer."""
        bare = {"note": "", "message": None}
        old = [each.model_copy(update=bare) for each in found.entries if each.at <= self._person.veil.at]
        new = [each for each in found.entries if each.at > self._person.veil.at]
        entries = [*old, *new] if self._person.keep_suppression else new
        return found.model_copy(update={"entries": entries, "address": found.address if new else ""})

    def _letter(self, pk: str, result: Result) -> None:
        """Take the person out of a dead letter: whoever redrives it sends it to the others."""
        parts = list(self._parts(pk))
        text = zlib.decompress(b"".join(bytes(part["doc"]["B"]) for part in parts)).decode()
        changed = self._without(text)
        if changed == text:
            return
        data = zlib.compress(changed.encode())
        size = max(1, -(-len(data) // len(parts)))
        docs = [data[i * size : (i + 1) * size] for i in range(len(parts))]
        writes = [
            {"Put": {"TableName": self._table, "Item": part | {"doc": {"B": doc}}, **_STILL}}
            for part, doc in zip(parts, docs, strict=True)
        ]
        self._client.transact_write_items(TransactItems=writes)
        result.erased[LETTERS] += 1

    def _parts(self, pk: str) -> Iterator[Item]:
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )
        numbered = {int(item["sk"]["S"].partition(".")[2] or 0): item for item in found}
        return (numbered[number] for number in sorted(numbered))

    def _without(self, text: str) -> str:
        """A letter's text without the person. One that nobody can read loses what looks like them."""
        try:
            envelope = read_envelope(text)
        except UnreadableError:
            return self._person.struck(self._person.untagged(text))
        changed = veiled_envelope(envelope, self._person.veils)
        return text if changed is envelope else changed.to_json()

    def _record(self, item: Item, result: Result) -> None:
        doc = item["doc"]["S"]
        if self._person.tagged(doc):
            self._client.update_item(
                TableName=self._table,
                Key={"pk": item["pk"], "sk": item["sk"]},
                UpdateExpression="SET doc = :new",
                ConditionExpression="doc = :seen",
                ExpressionAttributeValues={":new": {"S": self._unnamed(doc)}, ":seen": item["doc"]},
            )
            result.erased[AUDIT] += 1
        elif item["pk"]["S"].startswith(f"audit#{self._person.tenant}#") and self._names(item):
            result.left[RECORDS] += 1

    def _unnamed(self, doc: str) -> str:
        """A record without the person: the veil's tag for theirs, no masked address, no note."""
        found = from_json(self._person.untagged(doc))
        if self._person.veil.tag in found["target"]:
            for side in ("before", "after"):
                found[side] = found[side] and _without_words(found[side])
        return to_json(found).decode()

    def _names(self, item: Item) -> bool:
        return any(map(self._person.named_in, texts_of(item)))


_STILL = {"ConditionExpression": "attribute_exists(pk)"}


def _without_words(view: dict[str, Any]) -> dict[str, Any]:
    entries = [{**each, "note": "", "message": None} for each in view.get("entries", ())]
    return {**view, **({"address": GONE} if "address" in view else {}), **({"entries": entries} if entries else {})}
