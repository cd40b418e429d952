"""Takes a person out of the timeline: their events stay without them, and what leads to them goes."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from functions.erasures.person import Person
from functions.erasures.search.result import Result
from functions.erasures.search.tables import texts_of
from shared.model.ids import ULID_LENGTH
from shared.store.dynamo import Item, batch_delete, key_of
from shared.store.kept_events import EventKey, read_event
from shared.store.timeline import Timeline
from shared.store.veiled_items import veiled_event

EVENTS, REQUESTS, REFERENCES, PROVIDERS, REVISED, OTHERS = (
    "timeline: events",
    "timeline: requests",
    "timeline: references",
    "timeline: providers' ids",
    "timeline: notes on openings and clicks",
    "timeline: messages they fell back from or to",
)


class TimelineItems:
    """Looks at items of the timeline."""

    def __init__(self, client: Any, table: str, timeline: Timeline, person: Person) -> None:
        self._client = client
        self._table = table
        self._timeline = timeline
        self._person = person
        self._own = f"{person.tenant}#{person.tag}"
        self._references = f"{person.tenant}#reference#"
        self._requests = f"{person.tenant}#request#"
        self._revised = f"{person.tenant}#revised#"

    def __call__(self, items: Sequence[Item], result: Result) -> None:
        """Take the person out of some items. Raises: what the table raises."""
        events: dict[EventKey, Item] = {}
        gone: dict[EventKey, Item] = {}
        for item in items:
            pk, sk = key_of(item)
            if pk == self._own:
                if self._person.covers(sk):
                    events[pk, sk] = veiled_event(item, self._person.veil)
                    gone |= {key_of(key): key for key in self._references_of(item)}
            elif self._leads_to(pk, sk, item):
                gone[pk, sk] = {"pk": item["pk"], "sk": item["sk"]}
                result.erased[self._place(pk)] += 1
            elif any(map(self._person.tagged, texts_of(item))):
                self._rewrite(item, result)
        self._timeline.rename(events)
        batch_delete(self._client, self._table, list(gone.values()))
        result.erased[EVENTS] += len(events)

    def _place(self, pk: str) -> str:
        if pk.startswith(self._references):
            return REFERENCES
        return REVISED if pk.startswith(self._revised) else PROVIDERS

    def _leads_to(self, pk: str, sk: str, item: Item) -> bool:
        """Whether an item does nothing but lead to a message of the person, or has their address as its word."""
        if pk.startswith(self._references):
            word = pk.removeprefix(self._references)
            named = self._person.may_be_in(word) and self._person.is_named(word)
            return named or self._person.covers(sk.partition("#")[2])
        if pk.startswith(self._revised):
            return self._person.covers(pk.removeprefix(self._revised))
        if pk.startswith("provider:"):
            tenant, _, message_id = item["d"]["S"].partition("#")
            return tenant == self._person.tenant and self._person.covers(message_id)
        return False

    def _references_of(self, item: Item) -> Iterator[Item]:
        """The items by which words find an event's message, or its request if that is of nobody else."""
        event, message_id = read_event(item["d"]["S"]), item["sk"]["S"].partition("#")[0]
        words = {event.reference, event.accepted.reference if event.accepted else None} - {None}
        for word in sorted(filter(None, words)):
            yield _key(f"{self._references}{word}", f"message#{message_id}")
        if event.request_reference and self._alone(event.request):
            yield _key(f"{self._references}{event.request_reference}", f"request#{event.request}")

    def _alone(self, request: str) -> bool:
        tags = {id[ULID_LENGTH:] for id in self._timeline.request_messages(self._person.tenant, request)}
        return tags <= {self._person.tag, self._person.veil.tag}

    def _rewrite(self, item: Item, result: Result) -> None:
        """Name the person by the veil's tag in an item of others: a request's, or another message's."""
        pk, _ = key_of(item)
        changed = dict(item)
        for name in ("d", "h"):
            if name in item:
                changed[name] = {"S": self._person.untagged(item[name]["S"])}
        if changed == item:
            return
        if pk.startswith(self._requests) and "h" in changed and self._is_alone(changed):
            header = from_json(changed["h"]["S"])
            header.pop("reference", None)
            changed["h"] = {"S": to_json(header).decode()}
        self._client.put_item(
            TableName=self._table,
            Item=changed,
            ConditionExpression="d = :seen",
            ExpressionAttributeValues={":seen": item["d"]},
        )
        result.erased[REQUESTS if pk.startswith(self._requests) else OTHERS] += 1

    def _is_alone(self, item: Item) -> bool:
        return {id[ULID_LENGTH:] for id in from_json(item["d"]["S"])} == {self._person.veil.tag}


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
