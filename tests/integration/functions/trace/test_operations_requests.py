"""Whoever looks something up waits as long among a million messages as among a hundred: requests to AWS are counted."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions.trace.api_deps import reading_of
from shared.api.kit import Api
from shared.model.events import StreamRecord, accepted_rows, record_of
from shared.model.ids import Numbering, Tagger, derived_base
from shared.store.counters import HOUR_MS, Group, place, template_scope
from shared.store.dynamo import batch_put
from shared.store.kept_events import event_item, event_key, reference_items
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import TraceHarness, rows
from tests.memory import tables
from tests.samples import NOW, change, envelope, template

HUNDRED, MILLION = 100, 1_000_000
TO_ONE = 10_000
"""So many of a million messages go to one address and have one reference, and so many others are one part of a run."""
ANN = "ann@example.com"
RUN = "spring.01KAV2M3X80000000000000000"
SHARDS, HOURS = 4, 24
GROUPS = [Group(version, account, None, None) for version in (1, 2, 3) for account in (None, "mail-a", "mail-b")]


class Counting:
    """A client whose requests are counted, by operation."""

    def __init__(self, client: Any) -> None:
        self._client, self.exceptions = client, client.exceptions
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self.counts[name] += 1
            return operation(**arguments)

        return call


class Filled:
    """The trace with so many messages."""

    def __init__(self, harness: TraceHarness, messages: int) -> None:
        self.harness, self.messages = harness, messages
        harness.catalog.create_template(*template(), change())
        self._count(messages)
        self._sequence = 0
        self.ann = self._to_ann(min(messages, TO_ONE))
        self.request = self._request(min(messages, 1000), None)
        self.part_of_run = self._request(min(messages, TO_ONE), RUN)

    def _count(self, messages: int) -> None:
        """Counters that say that there were so many, over a day."""
        each = str(messages // (HOURS * SHARDS * len(GROUPS)) + 1)
        stages = {name: {"N": each} for name in ("accepted", "sent", "delivered", "opened", "sent@40", "delivered@33")}
        items = [
            {
                "pk": {"S": template_scope("default", "welcome")},
                "sk": {"S": f"{place(NOW // HOUR_MS - hour, group)}#events/shardId-{shard}"},
                **stages,
            }
            for hour in range(HOURS)
            for shard in range(SHARDS)
            for group in GROUPS
        ]
        batch_put(self.harness.aws.dynamodb, "counters", items)

    def _to_ann(self, count: int) -> list[str]:
        """Messages to one address, each of a request of its own, with one reference; returns their ids."""
        tag, ids, items = Tagger(self.harness.salt, "email")(ANN), [], []
        for k in range(count):
            at = NOW - 1000 * k
            base = derived_base(at, "ann", str(k))
            one = envelope(1, id=base, request=base, accepted_at=at)
            one.recipients[0].address, one.recipients[0].tag = ANN, tag
            one.recipients[0].reference = "order-7"
            record = record_of(one, accepted_rows(one) + rows(one, "sent") + rows(one, "delivered"))
            for id, row in record.message_ids():
                items.append(event_item(event_key("default", id, row), record, row, 0))
            items += reference_items(record, [(id, row) for id, row in record.message_ids()][:1], 0)
            ids.append(Numbering(base)(0) + tag)
        batch_put(self.harness.aws.dynamodb, "timeline", items)
        return ids

    def _request(self, count: int, run: str | None) -> str:
        """A request of so many messages, or the part of a run; returns its id."""
        base = derived_base(NOW, "request", run or "")
        for start in range(0, count, 100):
            one = envelope(min(100, count - start), id=Numbering(base)(start), request=base, run=run)
            self._tell(record_of(one, accepted_rows(one) + rows(one, "sent")))
        return base

    def _tell(self, record: StreamRecord) -> None:
        self._sequence += 1
        self.harness.aggregate([(self._sequence, record)])

    def ask(self, route: str, body: Any = None, path: Any = None, **query: str) -> tuple[Any, Counter[str]]:
        """An answer, and which requests it took. Each function is a new process, which remembers nothing."""
        client = Counting(self.harness.aws.dynamodb)
        caller = {"tenant": "default", "key_id": "k", "kind": "live", "scopes": "read", "problem": ""}
        # The catalog is remembered by whoever has asked it before, however many messages there are.
        parts = self.harness.parts(client)
        answer = Api(reading_of(parts).operations())(
            {
                "routeKey": route,
                "headers": {},
                "pathParameters": path or {},
                "queryStringParameters": query,
                "body": None if body is None else json.dumps(body),
                "requestContext": {"authorizer": {"lambda": caller}},
            }
        )
        assert answer["statusCode"] == 200, answer["body"]
        return json.loads(answer["body"]), client.counts

    def asked(self) -> dict[str, Counter[str]]:
        """Which requests each look-up takes."""
        found = {}
        by_address: dict[str, Any] = {"to": ANN, "channel": "email", "limit": 20}
        for name, query in (("address", by_address), ("reference", {"reference": "order-7", "limit": 20})):
            page, found[f"by {name}"] = self.ask("POST /v1/messages/query", query)
            assert [each["message_id"] for each in page["messages"]] == self.ann[:20]
            more = query | {"cursor": page["cursor"]}
            page, found[f"by {name}, the second page"] = self.ask("POST /v1/messages/query", more)
            assert [each["message_id"] for each in page["messages"]] == self.ann[20:40]
        message, found["by message"] = self.ask("GET /v1/messages/{id}", path={"id": self.ann[7]})
        assert message["status"] == "delivered"
        for name, request in (("request", self.request), ("part of a run", self.part_of_run)):
            page, found[f"by {name}"] = self.ask("GET /v1/requests/{id}", path={"id": request}, limit="50")
            assert page["counts"] == {"sent": 50}
        stats, found["a template's figures"] = self.ask("GET /v1/stats/templates/{id}", path={"id": "welcome"})
        assert 0 <= stats["stages"]["accepted"] - self.messages <= self.messages / 2 + 2000
        return found


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> Iterator[TraceHarness]:
    with tables(clock, "catalog", "timeline", "counters"):
        yield TraceHarness(aws, clock)


EXPECTED = {
    "by address": {"query": 1},
    "by address, the second page": {"query": 1},
    "by reference": {"query": 23},
    "by reference, the second page": {"query": 22},
    "by message": {"query": 1},
    "by request": {"query": 51},
    "by part of a run": {"query": 51},
    "a template's figures": {"query": 1},
}


@pytest.mark.parametrize("messages", [HUNDRED, MILLION])
def test_a_look_up_takes_as_many_requests_however_many_messages_there_are(harness: TraceHarness, messages: int) -> None:
    assert Filled(harness, messages).asked() == EXPECTED
