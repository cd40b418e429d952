"""Records what the platform writes: `python -m tests.wire.record` writes the files beside it.

The files say what lies in queues, streams, schedules and tables of deployments, which a newer version must read and
would have written the same. They are recorded once and stay, until a format is changed on purpose: then what was
written before must still be read (`tests/integration/test_wire.py`).
"""

import json
import os
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aws_lambda_powertools.metrics import EphemeralMetrics
from boto3.dynamodb.types import TypeDeserializer

from functions.trace.aggregate import Aggregator
from functions.trace.live import Live
from shared.aws import clients
from shared.aws.schedules import message_of
from shared.store.counters import Counters
from shared.store.timeline import Timeline
from tests.fakes import FakeClock
from tests.guarantees import test_crash_matrix as matrix
from tests.guarantees.matrix import Scenario
from tests.guarantees.platform import LOST, PROVIDER_FAULTS, Platform, platform
from tests.integration.functions.campaign.campaign_platform import campaign_platform
from tests.memory import tables
from tests.samples import NOW

FOLDER = Path(__file__).parent
PER_SHAPE = 2
"""So many are kept of those that have the same keys."""

Kinds = dict[str, dict[str, list[Any]]]
"""What was written, by kind and shape."""


def scenarios() -> Iterator[Scenario[Platform]]:
    """Runs in which everything happens: tries, doubt, fallbacks, recalls, continuations, schedules, dead letters."""
    taken, refused, in_doubt = matrix.taken, matrix.refused, matrix.in_doubt
    for provider in PROVIDER_FAULTS:
        yield matrix.sending(provider, "notification", taken, refused(1), refused(99))
    for provider in ("smtp", "tencent"):
        yield matrix.sending(provider, "marketing", taken, in_doubt(LOST), in_doubt(matrix.UNSEEN), tries=6)
    yield matrix.sending("smtp", "verification", taken, in_doubt(matrix.UNSEEN), lambda n: matrix.REFUSED)
    yield matrix.sending("smtp", "notification", taken, taken, refused(1), taken, most=2)
    yield matrix.sending("smtp", "notification", taken, refused(1), later_s=7200)
    yield matrix.failing_over("notification", "SmtpProvider", taken, refused(2), refused(99))
    yield matrix.falling_back("notification", taken, lambda n: matrix.REFUSED, refused(99))
    yield matrix.falling_back("notification", lambda n: matrix.REFUSED, refused(99), recalled=True)


def shape(value: Any) -> Any:
    """What a document is made of: its keys, and those of what is in it, as a text too; not what they hold."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, Mapping):
        return {key: shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each)) for each in value})
    return type(value).__name__


class Recorder:
    """Keeps some of each shape. found: by kind."""

    def __init__(self) -> None:
        self.found: Kinds = {}

    def keep(self, kind: str, text: str) -> None:
        """Keep a document as it was written."""
        alike = self.found.setdefault(kind, {}).setdefault(json.dumps(shape(json.loads(text))), [])
        if len(alike) < PER_SHAPE:
            alike.append(text)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Keep what a call writes."""
        if operation == "SendMessageBatch":
            for entry in parameters["Entries"]:
                body = entry["MessageBody"]
                self.keep("envelopes" if '"recipients"' in body else "tasks", body)
        elif operation == "PutRecords":
            for record in parameters["Records"]:
                self.keep("records", record["Data"].decode())
        elif operation == "CreateSchedule" and message_of(parameters["Target"]["Input"]) is not None:
            self.keep("schedules", parameters["Target"]["Input"])

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See all calls of the functions' clients within the block."""
        make = clients._make

        def watched(service: str, *arguments: Any) -> Any:
            client = make(service, *arguments)
            call = client._make_api_call

            def through(operation: str, parameters: Any) -> Any:
                self.call(service, operation, parameters)
                return call(operation, parameters)

            client._make_api_call = through
            return client

        with patch.object(clients, "_make", watched):
            yield

    def write(self) -> None:
        """Write a file for each kind, a document a line; and what the trace makes of the records."""
        for kind, shapes in sorted(self.found.items()):
            lines = [text for key in sorted(shapes) for text in shapes[key]]
            _write(kind, lines)
        _write("traced", traced(recorded("records")))


def recorded(kind: str) -> list[str]:
    """What was recorded of a kind."""
    return (FOLDER / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()


def _write(kind: str, lines: Iterable[str]) -> None:
    (FOLDER / f"{kind}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def items(client: Any, table: str) -> list[dict[str, Any]]:
    """The items of a table, in order, as JSON has them."""
    read = TypeDeserializer().deserialize
    pages = client.get_paginator("scan").paginate(TableName=table)
    there = (item for page in pages for item in page["Items"])
    found = [{key: plain(read(value)) for key, value in sorted(item.items())} for item in there]
    return sorted(found, key=lambda item: (item["pk"], item["sk"]))


def traced(records: Sequence[str]) -> Iterator[str]:
    """What the trace makes of records: the items of its two tables, a document each."""
    clock = FakeClock(NOW)
    with tables(clock, "timeline", "counters") as client:
        reader: Any = SimpleNamespace(parents=lambda shard: [])
        live = Live(EphemeralMetrics(namespace="mePush", service="trace"), "mepush", by_account=False)
        stores = Timeline(client, "timeline"), Counters(client, "counters")
        aggregator = Aggregator(*stores, clock, lambda _: 90, reader, live)
        events = [_event(number, record.encode()) for number, record in enumerate(records, 10**55)]
        if aggregator.run({"Records": events}).get("batchItemFailures"):
            raise RuntimeError("the trace did not take all records")
        for table in ("timeline", "counters"):
            yield from (json.dumps({"table": table} | item) for item in items(client, table))


def _event(number: int, data: bytes) -> dict[str, Any]:
    return {
        "kinesis": {"sequenceNumber": str(number), "data": b64encode(data).decode()},
        "eventID": f"shardId-0:{number}",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/events",
    }


def plain(value: Any) -> Any:
    """A value of DynamoDB as JSON has it; bytes as the text that they are, unpacked where they are packed."""
    if hasattr(value, "value"):
        raw = bytes(value)
        try:
            return {"zlib": zlib.decompress(raw).decode()}
        except zlib.error:
            return {"utf8": raw.decode()}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    return value if isinstance(value, str | bool | type(None)) else int(value)


def record() -> Recorder:
    """Play all scenarios, then a run of a campaign."""
    recorder = Recorder()
    with recorder.watching(), platform() as one:
        for scenario in scenarios():
            one.reset()
            scenario(one)()
            _ledgers(recorder, one)
    with recorder.watching(), campaign_platform(shard_rows=10) as found:
        people = found.people(25)
        found.file([*people, people[0], "nobody"])
        variants = [{"name": "a", "template": "spring"}, {"name": "b", "template": "summer", "weight": 3}]
        found.start(found.campaign(variants=variants))
        found.work(horizon_s=3600)
    return recorder


def _ledgers(recorder: Recorder, one: Platform) -> None:
    for item in items(one.stack.client("dynamodb"), one.table("guard")):
        if item["pk"].startswith("envelope#"):
            recorder.keep("ledgers", json.dumps(item))


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    record().write()
