"""Rows are packed closely, and each pack names where its stream has to begin again."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.archive.packing import Numbered, packed
from shared.aws.firehose import MAX_RECORD_BYTES
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import new_base
from shared.model.words import Channel, MessageClass


def record(number: int, events: int, stage: str = "sent") -> Numbered:
    base = new_base(1_790_000_000_000)
    rows = [EventRow(index=i, tag="A" * 16, stage=stage, nth=0, at=1_790_000_000_500) for i in range(events)]
    facts: dict[str, Any] = {"template": "t", "version": 1, "request": base, "tenant": "default", "envelope": base}
    return f"{number:05d}", StreamRecord(
        channel=Channel.EMAIL, message_class=MessageClass.MARKETING, events=rows, **facts
    )


def rows_of(data: bytes) -> list[dict[str, Any]]:
    """JSON objects, one behind the other."""
    text, decoder, at, found = data.decode(), json.JSONDecoder(), 0, []
    while at < len(text):
        row, at = decoder.raw_decode(text, at)
        found.append(row)
    return found


@given(st.lists(st.integers(0, 40), max_size=20), st.integers(1, 20_000))
def test_every_event_is_in_one_pack_in_its_order(events: list[int], most: int) -> None:
    records = [record(number, count) for number, count in enumerate(events)]
    packs = list(packed(records, most))
    found = [row["event_id"] for pack in packs for row in rows_of(pack.data)]
    wanted = [f"{id[:26]}-email-sent-0" for _, each in records for id, _ in each.message_ids()]
    assert found == wanted
    assert all(len(pack.data) <= most or len(rows_of(pack.data)) == 1 for pack in packs)


@given(st.lists(st.integers(0, 40), max_size=20), st.integers(400, 20_000))
def test_a_pack_names_the_first_record_that_it_has_events_of(events: list[int], most: int) -> None:
    records = [record(number, count) for number, count in enumerate(events)]
    numbers = {id[:26]: number for number, each in records for id, _ in each.message_ids()}
    packs = list(packed(records, most))
    for pack in packs:
        assert pack.sequence == numbers[rows_of(pack.data)[0]["message"]]
    assert all(before.sequence <= after.sequence for before, after in pairwise(packs))


def test_packs_are_nearly_full() -> None:
    packs = list(packed(record(number, 100) for number in range(100)))
    assert [len(pack.data) for pack in packs[:-1]] and all(
        0.99 * MAX_RECORD_BYTES < len(pack.data) <= MAX_RECORD_BYTES for pack in packs[:-1]
    )


def test_a_row_that_is_said_twice_is_there_once() -> None:
    once = record(1, 3, "accepted")
    (pack,) = packed([once, ("00002", once[1])])
    assert len(rows_of(pack.data)) == 3 and pack.sequence == "00001"
