"""What lies in queues, streams, schedules and tables is read as it was written, and written again it says the same.

The order of keys means nothing; everything else is compared.
"""

import json
import zlib
from typing import Any

import pytest
from pydantic_core import to_json

from shared.aws.schedules import message_of, schedule_input
from shared.model.envelope import read_envelope
from shared.model.events import read_record
from shared.model.tasks import read_task
from shared.model.wire import UnreadableError
from shared.store.counters import Counters
from shared.store.ledger import TTL_S, Ledger
from tests.fakes import FakeClock
from tests.memory import tables
from tests.wire.record import items, recorded, traced

GUARD = "guard"


def test_enough_was_recorded() -> None:
    counts = {kind: len(recorded(kind)) for kind in ("envelopes", "records", "ledgers", "schedules", "tasks", "traced")}
    assert min(counts.values()) > 1 and counts["envelopes"] > 15 and counts["records"] > 25, counts
    keys = {key for text in recorded("records") for event in json.loads(text)["events"] for key in event}
    assert {
        "i",
        "s",
        "n",
        "at",
        "tag",
        "to",
        "acc",
        "prov",
        "pid",
        "why",
        "code",
        "until",
        "fell",
        "of",
        "maybe",
    } <= keys


@pytest.mark.parametrize("text", recorded("envelopes"))
def test_envelopes(text: str) -> None:
    assert json.loads(read_envelope(text).to_json()) == json.loads(text)


@pytest.mark.parametrize("text", recorded("records"))
def test_records_of_the_stream(text: str) -> None:
    assert json.loads(read_record(text).to_json()) == json.loads(text)


@pytest.mark.parametrize("text", recorded("schedules"))
def test_what_a_schedule_gives_to_its_queue(text: str) -> None:
    found, asked = message_of(text), json.loads(text)
    assert found is not None
    assert schedule_input(asked["QueueUrl"], asked["MessageBody"], asked["MessageGroupId"]) == text


@pytest.mark.parametrize("text", recorded("tasks"))
def test_tasks(text: str) -> None:
    assert read_task(text).model_dump_json() == text


@pytest.mark.parametrize("text", recorded("ledgers"))
def test_ledgers(text: str) -> None:
    """Read as an entry, and opened anew with it."""
    written: dict[str, Any] = json.loads(text)
    clock = FakeClock(1000 * (written["ttl"] - TTL_S))
    envelope_id = written["pk"].partition("#")[2]
    with tables(clock, GUARD) as client:
        client.put_item(TableName=GUARD, Item=_stored(written))
        entry = Ledger(client, GUARD, clock).read(envelope_id)
    assert entry is not None
    with tables(clock, GUARD) as client:
        ledger = Ledger(client, GUARD, clock)
        if entry.recalled:
            ledger.mark(envelope_id, entry.recalled, 0, None)
            there = ledger.read(envelope_id)
            assert there is not None
            if entry.owner:
                assert ledger.take_over(envelope_id, there, entry) is None
        else:
            assert ledger.acquire(envelope_id, entry) is None
        [again] = items(client, GUARD)
    assert _read(again) == _read(written)


def test_the_trace_keeps_and_counts_the_same() -> None:
    found, expected = (list(map(json.loads, lines)) for lines in (traced(recorded("records")), recorded("traced")))
    assert list(map(_read, found)) == list(map(_read, expected))


def test_counts_of_templates_from_before_they_had_groups_are_read_with_those_of_today() -> None:
    """They were one item an hour. `template_counts.jsonl` holds those that the same records made then."""
    before = [_read(json.loads(text)) for text in recorded("template_counts")]
    today = [item for item in map(_read, map(json.loads, recorded("traced"))) if "#template#" in item["pk"]]
    with tables(FakeClock(), "counters") as client:
        counters = Counters(client, "counters")
        for item in before:
            numbers = {name: n for name, n in item.items() if name not in ("table", "pk", "sk")}
            client.put_item(TableName="counters", Item=_stored({"pk": item["pk"], "sk": item["sk"], **numbers}))
            [(key, counts)] = counters.read_groups(item["pk"], 0, 10**8 - 1).items()
            assert key == (int(item["sk"].partition("#")[0]), None) and counts == numbers
            # What is counted since then of the same messages comes to as much, whatever else is counted now.
            same = [each for each in today if each["pk"] == item["pk"]]
            for name, n in numbers.items():
                assert sum(each.get(name, 0) for each in same) == n
    assert len(before) > 5


def _read(item: dict[str, Any]) -> dict[str, Any]:
    """An item with the JSON in it parsed."""
    found: dict[str, Any] = {}
    for key, value in item.items():
        text = next(iter(value.values())) if isinstance(value, dict) else value
        found[key] = json.loads(text) if isinstance(text, str) and text[:1] in ("{", "[") else text
    return found


def _stored(item: dict[str, Any]) -> dict[str, Any]:
    """An item as DynamoDB takes it."""
    return {key: _attribute(value) for key, value in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"B": zlib.compress(value["zlib"].encode(), 1) if "zlib" in value else value["utf8"].encode()}
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def test_a_format_that_changed_would_be_noticed() -> None:
    text = recorded("envelopes")[0]
    changed = to_json({**json.loads(text), "version": "1"}).decode()
    with pytest.raises(UnreadableError, match="version"):
        test_envelopes(changed)
