"""Metrics are told once of what was counted once."""

import json
from collections import Counter

import pytest

from functions.trace import aggregate
from functions.trace.live import NAMES
from shared.model.events import accepted_rows, record_of
from shared.model.words import KeyKind
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, TraceHarness, history, rows
from tests.samples import envelope


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> TraceHarness:
    return TraceHarness(aws, clock)


def told(capsys: pytest.CaptureFixture[str], dimension: str = "class") -> Counter[str]:
    """What all lines with a dimension come to."""
    total: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)
        if dimension in found:
            total.update({name: int(found[name][0]) for name in NAMES.values() if name in found})
    return total


def test_repeats_are_told_once(harness: TraceHarness, capsys: pytest.CaptureFixture[str]) -> None:
    records = history()
    for _ in range(3):
        harness.aggregate(records)
    assert told(capsys) == {"Accepted": 120, "Sent": 120, "Retries": 4}


def test_a_lone_message_is_told_of(harness: TraceHarness, capsys: pytest.CaptureFixture[str]) -> None:
    one = envelope(1)
    sent = rows(one, "sent", account="main", provider="smtp", provider_id="p")
    for _ in range(2):
        harness.aggregate([(5, record_of(one, accepted_rows(one) + sent))])
    assert told(capsys, "account") == {"Sent": 1}


def test_a_batch_that_dies_anywhere_is_never_told_of_twice(
    harness: TraceHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "MAX_AT_ONCE", -1)
    one = envelope(3)
    records = [(5, record_of(one, accepted_rows(one) + rows(one, "sent", account="main", provider="smtp")))]
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(records, counting)
    told(capsys)
    whole = Counter({"Accepted": 3, "Sent": 3})
    seen = []
    for at in range(1, counting.calls + 1):
        for after in (False, True):
            for table in ("timeline", "counters"):
                for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                    harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
            with pytest.raises(Killed):
                harness.aggregate(records, Fragile(harness.aws.dynamodb, at, after))
            harness.aggregate(records)
            seen.append(told(capsys))
    # Only where it dies with the answer of the transaction that counted is it not told of at all.
    assert Counter(map(bool, seen)) == {True: len(seen) - 1, False: 1}
    assert all(each == whole for each in seen if each)


def test_messages_of_a_campaign_are_told_by_what_their_envelopes_state(
    harness: TraceHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    one = envelope(40, run="spring.01KAV2M3X80000000000000000")
    accepted = record_of(one, accepted_rows(one))
    harness.aggregate([(5, accepted), (6, accepted)])
    assert told(capsys) == {"Accepted": 40}


def test_messages_of_test_keys_are_not_told_of(harness: TraceHarness, capsys: pytest.CaptureFixture[str]) -> None:
    one = envelope(3, kind=KeyKind.TEST)
    harness.aggregate([(5, record_of(one, accepted_rows(one)))])
    assert harness.counters() == {"accepted": 3}
    assert told(capsys) == {}
