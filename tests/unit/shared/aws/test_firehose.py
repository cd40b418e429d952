"""Records for Firehose, within its limits and whatever it does not take."""

from collections.abc import Sequence
from typing import Any

import pytest

from local.memory.firehose import Streams
from shared.aws.firehose import MAX_BYTES, MAX_RECORDS, TRIES, Firehose


class Playing:
    """A strict Firehose that refuses records by their content, as often as is said."""

    def __init__(self, refuses: dict[bytes, int] | None = None) -> None:
        self._strict = Streams()
        self._strict.adopt("archive")
        self._refuses = refuses or {}
        self.calls: list[list[bytes]] = []

    def put_record_batch(self, DeliveryStreamName: str, Records: Sequence[Any]) -> dict[str, Any]:
        self.calls.append([each["Data"] for each in Records])
        self._strict.refuse = self._refused
        return self._strict.answer("PutRecordBatch", {"DeliveryStreamName": DeliveryStreamName, "Records": Records})

    def _refused(self, data: bytes) -> bool:
        left = self._refuses.get(data, 0)
        self._refuses[data] = left - 1
        return left > 0

    @property
    def taken(self) -> list[bytes]:
        return self._strict.taken("archive")


def put(client: Playing, records: Sequence[bytes]) -> tuple[int | None, list[float]]:
    waits: list[float] = []
    return Firehose(client, "archive", waits.append).put(records), waits


def test_calls_are_no_larger_than_firehose_takes() -> None:
    client = Playing()
    small, large = [b"%d" % i for i in range(1200)], [bytes([65 + i]) * 1_000_000 for i in range(9)]
    assert put(client, [*small, *large]) == (None, [])
    assert client.taken == [*small, *large]
    assert all(len(call) <= MAX_RECORDS and sum(map(len, call)) <= MAX_BYTES for call in client.calls)
    assert len(client.calls) == 3 + 2


def test_only_what_was_not_taken_is_tried_again_each_time_later() -> None:
    client = Playing({b"b": 1, b"d": 3})
    left, waits = put(client, [b"a", b"b", b"c", b"d"])
    assert left is None and client.calls == [[b"a", b"b", b"c", b"d"], [b"b", b"d"], [b"d"], [b"d"]]
    assert sorted(client.taken) == [b"a", b"b", b"c", b"d"]
    assert len(waits) == 3 and waits[0] < waits[1] < waits[2]


def test_what_is_not_taken_after_all_is_named_and_what_follows_waits() -> None:
    records = [b"%d" % i for i in range(MAX_RECORDS + 10)]
    client = Playing({b"7": 1000, b"9": 1000})
    left, waits = put(client, records)
    assert (left, len(waits), len(client.calls)) == (7, TRIES - 1, TRIES)
    assert b"%d" % MAX_RECORDS not in client.taken and b"8" in client.taken


def test_what_a_client_raises_is_passed_on() -> None:
    class Broken:
        def put_record_batch(self, **_: object) -> None:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        Firehose(Broken(), "archive").put([b"a"])


def test_nothing_is_nothing() -> None:
    client = Playing()
    assert put(client, []) == (None, []) and client.calls == []
