"""The suppression list in the catalog table: one item per recipient, spread over 32 partitions per channel.

An item holds the normalised address, which an export needs and which no log may show. Writes are guarded by the
revision that they replace, so that no entry is lost by changes at the same time. A mark says that a channel has a list
at all: where nobody is on one, dispatch asks for nothing.

The mark also holds prints: the beginnings of the tags of all who are on the list, or ever were. So who is asked about
is looked up only if the mark has their print; nobody is on the list whose print is missing. For that

- prints are added before the entries are written, and stay when these are removed;
- a mark has prints from the first one on or never: one from before there were prints never gets any;
- beyond `MOST_PRINTS` they are removed for good. Who finds a mark without prints looks everybody up.

ADR 32 has the reasons.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.base.cache import TtlCache
from shared.base.shared_reads import SharedReads
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.ids import ALPHABET, TAG_LENGTH
from shared.model.suppression import Suppressed, SuppressionEntry
from shared.model.words import Channel
from shared.store.audit import audit_put
from shared.store.catalog_items import (
    CatalogConflictError,
    CursorError,
    Page,
    Stored,
    conflicts,
    from_cursor,
    item_of,
    key_of,
    put_of,
    read_item,
    to_cursor,
    unchanged,
)
from shared.store.dynamo import Item, batch_get

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 5
MAX_QUERIES = 150
"""Per page: all partitions of three channels and some more, within a second or two."""
BATCH = 100
PRINT_LENGTH = 6
"""Characters of a tag, of five bits each: of a million who are not on a list of 2,000, two have a print there."""
MOST_PRINTS = 2_500
"""So many are 15,000 bytes, which the mark takes four read units to read, and 15 write units to add to."""
DIRECTLY = 10
"""So many are looked up without the mark, which may take as many read units to read as so many entries."""
IN_USE_SECONDS = 600
NOT_IN_USE_SECONDS = 10
"""How long it may take until the first entry of a channel counts."""

_ROOM = "attribute_not_exists(pk) OR (attribute_exists(prints) AND size(prints) <= :room)"

Recorder = Callable[[Suppressed, Suppressed], AuditRecord]
"""Makes the audit log's record of a change from a recipient before and after."""


class Mark(Struct, frozen=True):
    """What the mark of a channel's list says."""

    prints: frozenset[str] | None
    """None if it does not tell who is on the list."""

    @classmethod
    def of(cls, item: Item) -> "Mark":
        """The mark that an item is."""
        return cls(frozenset(item["prints"]["SS"]) if "prints" in item else None)

    def perhaps(self, tags: Sequence[str]) -> Sequence[str]:
        """Those who may be on the list; the others are not."""
        return tags if self.prints is None else [tag for tag in tags if _print(tag) in self.prints]


class Suppressions:
    """Reads and writes the list; thread-safe. pool: for the writes of an import."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, pool: Executor | None = None) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._pool = pool
        # Whether a list's mark has prints; who remembers that too long asks once more than needed, and misses nobody.
        self._telling: TtlCache[bool] = TtlCache(clock, IN_USE_SECONDS, 500, NOT_IN_USE_SECONDS)

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str], reads: SharedReads | None = None
    ) -> dict[str, Sequence[SuppressionEntry]]:
        """The entries of those who are on the list, by tag: of all who were on it when `reads` was made, or when this
        began if there is none.

        One call for up to `DIRECTLY` tags. For more, one for the mark, which all share who ask with the same `reads`,
        and one for each hundred whose print it has; for each hundred of all, if it has no prints. No call where a
        channel has no list; its first entry counts ten seconds later. Raises: StoreError, or what the client raises.
        """
        if not tags:
            return {}
        key, shared = _mark(tenant, channel), reads or SharedReads()

        def mark() -> Mark | None:
            return shared.get(key, lambda: self._read_mark(key))

        def has_prints() -> bool | None:
            found = mark()
            return None if found is None else found.prints is not None

        telling = self._telling.get(key, has_prints)
        if telling is None:
            return {}
        asked: Sequence[str] = list(dict.fromkeys(tags))
        if telling and len(asked) > DIRECTLY:
            known = mark()
            asked = known.perhaps(asked) if known else []
        return {tag: stored.value.entries for tag, stored in self.load_all(tenant, channel, asked).items()}

    def load_all(self, tenant: str, channel: Channel, tags: Collection[str]) -> dict[str, Stored[Suppressed]]:
        """Recipients as they are now, by tag. Raises: as `find`."""
        # One address may stand twice in an envelope, and a batch must not name a key twice.
        keys = [key_of(_pk(tenant, channel, tag), tag) for tag in dict.fromkeys(tags)]
        items = batch_get(self._client, self._table, keys, consistent=True)
        return {item["sk"]["S"]: read_item(Suppressed, item) for item in items}

    def change(
        self, recipient: Suppressed, change: Callable[[Suppressed], Suppressed], recorder: Recorder
    ) -> tuple[Suppressed, Suppressed]:
        """Change a recipient's entries, with a record in the same transaction; returns it before and after.

        recipient: without entries. A change that changes nothing writes nothing.
        Raises: CatalogConflictError if others keep changing it.
        """
        for _ in range(ATTEMPTS):
            found = self.load_all(recipient.tenant, recipient.channel, [recipient.tag])
            seen = found.get(recipient.tag)
            before = recipient if seen is None else seen.value
            after = change(before)
            if after.entries == before.entries:
                return before, after
            if seen is None:
                self._add_prints(after.tenant, after.channel, [after.tag])
            writes = [self._write(after, seen), audit_put(self._table, recorder(before, after))]
            try:
                with conflicts():
                    self._client.transact_write_items(TransactItems=writes)
            except CatalogConflictError:
                continue
            return before, after
        raise CatalogConflictError("others keep changing this recipient")

    def add_all(self, wanted: Sequence[Suppressed], seen: Mapping[str, Stored[Suppressed]]) -> None:
        """Add entries to distinct recipients of one channel, without a record; done again it changes nothing.

        seen: the recipients as `load_all` found them. Some may be added when it raises.
        Raises: CatalogConflictError if others keep changing one of them; what the client raises.
        """
        # Who is on the list has a print already.
        if new := [each.tag for each in wanted if each.tag not in seen]:
            self._add_prints(wanted[0].tenant, wanted[0].channel, new)
        run: Callable[..., Any] = map if self._pool is None else self._pool.map
        for _ in run(lambda each: self._add(each, seen.get(each.tag)), wanted):
            pass

    def page(
        self,
        tenant: str,
        channels: Sequence[Channel],
        wanted: Callable[[Suppressed], bool],
        limit: int,
        cursor: str | None = None,
    ) -> Page[Suppressed]:
        """A page of at most `limit` recipients, in no order that means anything.

        It may hold fewer, even none, and yet have a cursor. Raises: CursorError.
        """
        found: list[Suppressed] = []
        queries = 0
        for channel, after in _partitions(channels, cursor):
            more = True
            while more:
                position = to_cursor(f"{channel}#{after}")
                if queries == MAX_QUERIES:
                    return Page(found, position)
                items, more = self._query(tenant, channel, after, max(limit + 1 - len(found), BATCH))
                queries += 1
                for each in items:
                    if wanted(each):
                        # One more than asked for, so that a full last page has no cursor to an empty one.
                        if len(found) == limit:
                            return Page(found, to_cursor(f"{channel}#{after}"))
                        found.append(each)
                    after = each.tag
        return Page(found, None)

    def forget_print(self, tenant: str, channel: Channel, tag: str) -> None:
        """Have the mark of a channel's list tell no more of somebody who is not on it any longer.

        Whoever else has the same print keeps it. Raises: what the client raises.
        """
        found = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :print)",
            ExpressionAttributeValues={":pk": {"S": _pk(tenant, channel, tag)}, ":print": {"S": _print(tag)}},
            ConsistentRead=True,
        )
        if found["Items"]:
            return
        # A mark that lost its last one would pass for one that never had any.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=key_of(_mark(tenant, channel), "mark"),
                UpdateExpression="DELETE prints :old",
                ConditionExpression="size(prints) > :one",
                ExpressionAttributeValues={":old": {"SS": [_print(tag)]}, ":one": {"N": "1"}},
            )

    def _read_mark(self, key: str) -> Mark | None:
        got = self._client.get_item(TableName=self._table, Key=key_of(key, "mark"), ConsistentRead=True)
        return Mark.of(got["Item"]) if "Item" in got else None

    def _add_prints(self, tenant: str, channel: Channel, tags: Collection[str]) -> None:
        """Have a channel's mark tell of those who are about to be on its list, if it has prints.

        Whatever others add or remove at the same time undoes none of it. Raises: what the client raises.
        """
        key = key_of(_mark(tenant, channel), "mark")
        if not self._took(key, sorted({_print(tag) for tag in tags})):
            self._client.update_item(TableName=self._table, Key=key, UpdateExpression="REMOVE prints")

    def _took(self, key: Any, prints: Sequence[str]) -> bool:
        """Add prints to a mark, unless it has none by now; False if they are too many."""
        if len(prints) > MOST_PRINTS:
            return False
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="ADD prints :new",
                ConditionExpression=_ROOM,
                ExpressionAttributeValues={
                    ":new": {"SS": prints},
                    ":room": {"N": str(MOST_PRINTS - len(prints))},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            refused: Any = error.response
            return "prints" not in refused["Item"]
        return True

    def _add(self, wanted: Suppressed, seen: Stored[Suppressed] | None) -> None:
        for _ in range(ATTEMPTS):
            before = wanted.model_copy(update={"entries": []}) if seen is None else seen.value
            after = before.plus(wanted.entries)
            if after.entries == before.entries:
                return
            try:
                with conflicts():
                    self._client.put_item(**self._write(after, seen)["Put"])
            except CatalogConflictError:
                found = self.load_all(wanted.tenant, wanted.channel, [wanted.tag])
                seen = found.get(wanted.tag)
                continue
            return
        raise CatalogConflictError("others keep changing this recipient")

    def _write(self, after: Suppressed, seen: Stored[Suppressed] | None) -> Any:
        """The part of a transaction that saves a recipient, or deletes it when no entry is left."""
        pk, over = _pk(after.tenant, after.channel, after.tag), None if seen is None else seen.rev
        if not after.entries:
            return {"Delete": {"TableName": self._table, "Key": key_of(pk, after.tag), **unchanged(over)}}
        # Revisions begin with the time: one that was deleted and added again must not pass for the one before.
        rev = self._clock.now_ms() if over is None else over + 1
        return {"Put": put_of(self._table, item_of(pk, after.tag, after, rev), over)}

    def _query(self, tenant: str, channel: Channel, after: str, limit: int) -> tuple[list[Suppressed], bool]:
        got = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk > :after",
            ExpressionAttributeValues={":pk": {"S": _pk(tenant, channel, after)}, ":after": {"S": after}},
            ConsistentRead=True,
            Limit=limit,
        )
        return [read_item(Suppressed, item).value for item in got["Items"]], "LastEvaluatedKey" in got


def _print(tag: str) -> str:
    return tag[:PRINT_LENGTH]


def _mark(tenant: str, channel: Channel) -> str:
    return f"suppressing#{tenant}#{channel}"


def _pk(tenant: str, channel: Channel, tag: str) -> str:
    return f"suppressed#{tenant}#{channel}#{tag[0]}"


def _partitions(channels: Sequence[Channel], cursor: str | None) -> Iterator[tuple[Channel, str]]:
    """The partitions from a cursor on, each with what its first sort key is greater than."""
    every = [(channel, first) for channel in channels for first in ALPHABET]
    if cursor is None:
        yield from every
        return
    name, _, after = from_cursor(cursor, "").partition("#")
    if name not in set(channels) or len(after) not in (1, TAG_LENGTH) or set(after) - set(ALPHABET):
        raise CursorError("not a cursor of this listing")
    channel = Channel(name)
    yield channel, after
    yield from every[every.index((channel, after[0])) + 1 :]
