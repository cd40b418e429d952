"""Events of who is erased count once, whichever of their two names they come under, and hold nobody."""

from typing import Any

import pytest

from shared.model.events import EventRow, StreamRecord
from shared.model.tenants import TenantSettings
from shared.model.veils import Veil, veil_name
from shared.model.words import MessageClass
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import TraceHarness
from tests.integration.functions.trace.test_aggregate_at_once import told
from tests.samples import NOW


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> TraceHarness:
    return TraceHarness(aws, clock)


STAND_IN = "VVVVVVVVVVVVVVVV"
DAY_S = 86_400


def _tag(record: StreamRecord) -> str:
    return record.events[0].tag


def _named(record: StreamRecord) -> StreamRecord:
    for row in record.events:
        row.masked_address, row.reference, row.provider_id = "a***@example.com", "order-7", "p-1"
    return record


def _items(harness: TraceHarness) -> list[Any]:
    found: list[Any] = harness.aws.dynamodb.scan(TableName="timeline")["Items"]
    return found


def test_a_repeat_after_the_erasure_counts_nothing_twice(harness: TraceHarness) -> None:
    record = _named(told(0, "sent"))
    tag = _tag(record)
    harness.aggregate([(1, record)])
    harness.veils = {veil_name(tag): Veil(STAND_IN, NOW)}
    harness.aggregate([(2, _named(told(0, "sent", "delivered")))])
    assert harness.counters() == harness.timeline() == {"accepted": 1, "sent": 1, "delivered": 1}
    text = str([item for item in _items(harness) if item["pk"]["S"].startswith("default#V")])
    assert text.count("pk") == 3
    for gone in (tag, "a***@example.com", "order-7", "p-1"):
        assert gone not in text


def test_newer_messages_are_kept_as_they_are(harness: TraceHarness) -> None:
    record = _named(told(0, "sent"))
    harness.veils = {veil_name(_tag(record)): Veil(STAND_IN, 0)}
    harness.aggregate([(1, record)])
    assert STAND_IN not in str(_items(harness))


@pytest.mark.parametrize(("message_class", "days"), [(MessageClass.MARKETING, 30), (MessageClass.VERIFICATION, 90)])
def test_a_class_is_kept_as_long_as_the_settings_say(
    harness: TraceHarness, message_class: MessageClass, days: int
) -> None:
    harness.tenant_settings = TenantSettings(retention={MessageClass.MARKETING: 30})
    record = told(0, "sent")
    record.message_class = message_class
    harness.aggregate([(1, record)])
    lives = {int(item["ttl"]["N"]) for item in _items(harness)}
    assert lives == {harness.clock.now_ms() // 1000 + days * DAY_S}


def test_what_was_kept_stays_as_long_as_it_was_to(harness: TraceHarness) -> None:
    harness.aggregate([(1, told(0))])
    # The list of an hour's requests is written with each of a request's records.
    before = [item for item in _items(harness) if "#hour#" not in item["pk"]["S"]]
    harness.tenant_settings = TenantSettings(retention=dict.fromkeys(MessageClass, 7))
    harness.aggregate([(2, told(100))])
    assert [item for item in _items(harness) if item in before] == before


def test_a_row_of_others_names_nobody_who_is_erased(harness: TraceHarness) -> None:
    record = told(0)
    row: EventRow = record.events[0]
    row.stands_in_for = "AAAAAAAAAAAAAAAA"
    harness.veils = {veil_name("AAAAAAAAAAAAAAAA"): Veil(STAND_IN, NOW)}
    harness.aggregate([(1, record)])
    assert "AAAAAAAAAAAAAAAA" not in str(_items(harness)) and STAND_IN in str(_items(harness))
