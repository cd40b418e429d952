"""What AWS would charge for what was counted: requests, units by the sizes of items and payloads, by list prices."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.units import WriteUnits, item_bytes, looking

PRICES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("prices.json").read_text())["prices"]
"""List prices by name: `usd` for one `unit`."""

CHUNK = 65_536
"""SQS charges a request for each 64 KB of its payload (SQS pricing)."""
_READS = frozenset({"GetItem", "BatchGetItem", "Query"})
_GETS = frozenset({"s3.GetObject", "s3.HeadObject"})
_PUTS = frozenset({"s3.PutObject", "s3.CopyObject", "s3.ListObjectsV2"})


def price(name: str) -> float:
    """The price of one unit, in US dollars."""
    return float(PRICES[name]["usd"])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a bill. quantity: of `unit`s."""

    name: str
    quantity: float
    unit: str
    usd: float


class Meter:
    """Adds up what is charged for; an observer of `local.counting`. client: reads items without being counted."""

    def __init__(self, client: Any) -> None:
        self.writes = WriteUnits(client)
        self.reads = 0.0
        self.sent_chunks = 0
        self.sent_bytes = 0
        self.sent_messages = 0
        self.fair_messages = 0
        self.stream_bytes = 0

    def clear(self) -> None:
        """Begin at zero."""
        self.writes.total.clear()
        self.reads, self.stream_bytes = 0.0, 0
        self.sent_chunks, self.sent_bytes, self.sent_messages, self.fair_messages = 0, 0, 0, 0

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if service == "dynamodb":
            if looking():
                return
            self.writes(service, operation, parameters, answer)
            if operation in _READS:
                self.reads += _read_units(operation, parameters, answer)
        elif service == "sqs" and operation.startswith("SendMessage"):
            entries = parameters.get("Entries") or [parameters]
            self.sent_messages += len(entries)
            self.fair_messages += sum("MessageGroupId" in entry for entry in entries)
            size = sum(len(entry["MessageBody"].encode()) for entry in entries)
            self.sent_bytes += size
            self.sent_chunks += -(-size // CHUNK)
        elif (service, operation) == ("kinesis", "PutRecords"):
            # On-demand: each record counts up to the next KB (Kinesis pricing).
            self.stream_bytes += sum(-(-len(record["Data"]) // 1024) * 1024 for record in parameters["Records"])

    def bill(self, counts: Mapping[str, int], gb_seconds: float = 0.0, log_bytes: int = 0) -> list[Line]:
        """The lines of a bill. counts: requests that count, by `service.Operation`. gb_seconds: of functions."""
        # What is received has as many bytes as what was sent, in requests of up to ten messages.
        receives = max(counts.get("sqs.ReceiveMessage", 0), -(-self.sent_bytes // CHUNK))
        queue = self.sent_chunks + receives + counts.get("sqs.DeleteMessageBatch", 0)
        # Messages of a group alone are paid for as those of a fair queue (SQS pricing).
        fair = queue * self.fair_messages / self.sent_messages if self.sent_messages else 0
        gigabytes = self.stream_bytes / 1e9
        quantities = (
            ("dynamodb_write_request_unit", "DynamoDB writes", sum(self.writes.total.values())),
            ("dynamodb_read_request_unit", "DynamoDB reads", self.reads),
            ("sqs_standard_request", "SQS", queue),
            ("sqs_fair_queue_surcharge", "SQS fair queues", fair),
            ("kinesis_ondemand_in_gb", "Kinesis in", gigabytes),
            ("kinesis_ondemand_out_gb", "Kinesis out", gigabytes),
            ("lambda_request", "Lambda requests", counts.get("lambda.Invoke", 0)),
            ("lambda_gb_second_arm64", "Lambda", gb_seconds),
            ("s3_get", "S3 reads", sum(counts.get(name, 0) for name in _GETS)),
            ("s3_put_post_list", "S3 writes", sum(counts.get(name, 0) for name in _PUTS)),
            ("scheduler_invocation", "Scheduler", counts.get("scheduler.Invocation", 0)),
            ("cloudwatch_logs_ingest_gb", "Logs", log_bytes / 1e9),
        )
        return [
            Line(label, quantity, str(PRICES[name]["unit"]), quantity * price(name))
            for name, label, quantity in quantities
        ]


def _read_units(operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    """DynamoDB read units: by 4 KB, half as many where the answer need not be the newest."""
    if operation == "BatchGetItem":
        found = 0.0
        for table, asked in parameters["RequestItems"].items():
            items = answer.get("Responses", {}).get(table, [])
            units = sum(_four_kb(item_bytes(item)) for item in items) + len(asked["Keys"]) - len(items)
            found += units if asked.get("ConsistentRead") else units / 2
        return found
    if operation == "GetItem":
        units = _four_kb(item_bytes(answer["Item"])) if "Item" in answer else 1
    else:
        units = _four_kb(sum(item_bytes(item) for item in answer.get("Items", ())))
    return units if parameters.get("ConsistentRead") else units / 2


def _four_kb(size: int) -> int:
    return max(1, -(-size // 4096))
