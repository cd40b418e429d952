"""What the archive costs: a campaign by SES with a delivery receipt for each message, on its way to Firehose.

Lambda gathers up to five minutes of the stream; here a batch is what is there when the queues are done. Glue, which
Firehose asks for the table, and Athena, which is paid for by what a query reads, are not in it.
"""

import base64
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench.bill import Meter, price
from bench.campaign import LOG_BYTES_PER_INVOCATION, MEMORY_SHARE, ROWS, _run
from bench.figures import Figure, cpu_medians
from bench.requests import Platform
from functions.archive.archiving import Archiver
from functions.archive.function import FUNCTIONS
from local.seed import first_key
from local.stack import LocalStack
from mepush.client.api import Client
from tests.archive import rows_of, write_hour

STREAM = "mepush-archive"
(_SPEC,) = FUNCTIONS


class _Taking:
    """A Firehose that takes everything."""

    def put(self, records: list[bytes]) -> int | None:
        return None


def _event_us(datas: list[bytes], events: int) -> float:
    """Processor time of the function per event that it is handed, botocore left out: a call carries thousands."""
    records = [{"kinesis": {"sequenceNumber": "1", "data": base64.b64encode(data).decode()}} for data in datas]
    archiver = Archiver(_Taking())

    def work() -> int:
        archiver.run({"Records": records})
        return events

    return cpu_medians([work])[0]


def _parquet_bytes(taken: list[bytes]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        write_hour(Path(folder), "2026-11-01-00", taken)
        (path,) = Path(folder).rglob("*.parquet")
        assert pq.read_metadata(path).num_rows > ROWS
        return path.stat().st_size


def run() -> list[Figure]:
    """archive_usd_per_million, archive_records_per_1000_events, archive_cpu."""
    with LocalStack(threads=False, memory=True, archive=True) as stack:
        assert stack.memory is not None
        Platform(stack).send_emails_by("mail-ses")
        meter, firehose = Meter(stack.client("dynamodb")), stack.memory.firehose
        stack.counting.observe(meter)
        with Client(stack.url, first_key(stack)) as api:
            _run(stack, api, "warm", 200)
            meter.clear()
            before, billed = len(firehose.taken(STREAM)), firehose.billed[STREAM]
            invoked = stack.runner.invocations[_SPEC.name]
            held = {id: len(records) for id, records in _held(stack).items()}
            _run(stack, api, "measured", ROWS)
        datas = [record["data"] for id, records in _held(stack).items() for record in records[held[id] :]]
        taken, billed = firehose.taken(STREAM)[before:], firehose.billed[STREAM] - billed
        invoked = stack.runner.invocations[_SPEC.name] - invoked
        stream_bytes = meter.stream_bytes
    events = sum(1 for record in taken for _ in rows_of(record))
    cpu = _event_us(datas, events)
    seconds = events * cpu / 1e6 / (MEMORY_SHARE * _SPEC.memory_mb / 1024)
    lines = (
        ("Firehose, by 5 KB of a record", "firehose_ingest_gb", billed / 1e9),
        ("Firehose, to Parquet", "firehose_conversion_gb", sum(map(len, taken)) / 1e9),
        ("Kinesis out, once more", "kinesis_ondemand_out_gb", stream_bytes / 1e9),
        ("Lambda", "lambda_gb_second_arm64", seconds * _SPEC.memory_mb / 1024),
        ("Lambda requests", "lambda_request", invoked),
        ("Logs", "cloudwatch_logs_ingest_gb", invoked * LOG_BYTES_PER_INVOCATION / 1e9),
    )
    _show(lines, events, _parquet_bytes(taken))
    usd = sum(quantity * price(name) for _, name, quantity in lines) / ROWS * 1e6
    return [
        Figure("archive_usd_per_million", usd, "US dollars", most=0.2),
        Figure("archive_records_per_1000_events", 1000 * len(taken) / events, "records of Firehose", most=5),
        Figure("archive_cpu", cpu, "µs CPU per event", most=40),
    ]


def _held(stack: LocalStack) -> dict[str, list[dict[str, Any]]]:
    assert stack.memory is not None
    return stack.memory.kinesis.held(stack.outputs["StreamName"])


def _show(lines: tuple[tuple[str, str, float], ...], events: int, size: int) -> None:
    bill = Table("for a million emails", "quantity", "US dollars")
    for label, name, quantity in lines:
        bill.add_row(label, f"{quantity / ROWS * 1e6:,.2f}", f"{quantity / ROWS * 1e6 * price(name):.4f}")
    gigabytes = size / ROWS * 1e6 / 1e9
    console = Console(width=120)
    console.print(bill)
    console.print(
        f"{events / ROWS:.2f} events per email; {gigabytes:.2f} GB of Parquet for a million, "
        f"{gigabytes * price('s3_storage_gb_month'):.4f} dollars a month, "
        f"{gigabytes / 1e3 * price('athena_scanned_tb'):.4f} for a query that reads all of it"
    )
