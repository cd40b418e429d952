"""A batch of the stream goes into the archive, or is handed over again from where it did not."""

import base64
from typing import Any

from functions.archive.archiving import Archiver
from tests.unit.functions.archive.test_packing import record, rows_of


class Taking:
    """Takes all records before a place."""

    def __init__(self, left: int | None = None) -> None:
        self._left = left
        self.records: list[bytes] = []

    def put(self, records: list[bytes]) -> int | None:
        self.records += records
        return self._left


def batch(*datas: bytes) -> dict[str, Any]:
    return {
        "Records": [
            {"kinesis": {"sequenceNumber": f"{number:05d}", "data": base64.b64encode(data).decode()}}
            for number, data in enumerate(datas)
        ]
    }


def test_all_of_a_batch_is_archived() -> None:
    firehose = Taking()
    datas = [record(number, 5)[1].to_json() for number in range(3)]
    assert Archiver(firehose).run(batch(*datas)) == {"batchItemFailures": []}
    assert sum(len(rows_of(data)) for data in firehose.records) == 15


def test_what_was_not_taken_comes_again_from_its_first_record_on() -> None:
    # 100 events are some 50 KB: packs of a megabyte begin in the middle of the batch.
    datas = [record(number, 100)[1].to_json() for number in range(60)]
    first = Archiver(Taking(1)).run(batch(*datas))["batchItemFailures"]
    ((_, number),) = first[0].items()
    assert len(first) == 1 and 10 < int(number) < 50


def test_a_record_that_cannot_be_read_holds_up_no_other() -> None:
    firehose = Taking()
    datas = [b"{", record(1, 2)[1].to_json(), b"\xff"]
    assert Archiver(firehose).run(batch(*datas)) == {"batchItemFailures": []}
    assert sum(len(rows_of(data)) for data in firehose.records) == 2


def test_a_batch_without_events_asks_for_nothing() -> None:
    firehose = Taking()
    assert Archiver(firehose).run(batch(record(0, 0)[1].to_json())) == {"batchItemFailures": []}
    assert firehose.records == []
