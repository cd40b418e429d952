"""What a campaign costs in AWS: requests, units and processor time, from the file to the last traced outcome.

A run of 10,000 rows on the local stack, its tables, queues and stream in memory. The check of the file is counted
with it; what the local stack's own bookkeeping asks for is not.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from bench import email, expand, ses
from bench.bill import Line, Meter
from bench.figures import Figure, cpu_medians
from bench.requests import OTHERS, Platform
from bench.sample import dynamodb_in_air, envelopes
from functions.trace.aggregate import Aggregator
from functions.trace.live import Live
from local.seed import first_key
from local.stack import LocalStack
from mepush.client.api import Client
from shared.aws.stream import StreamReader
from shared.dispatch.function import BATCH_SIZE
from shared.model.clock import SystemClock
from shared.model.events import accepted_rows, record_of
from shared.providers.base import MAX_CALLS
from shared.providers.email.ses.bulk import MOST
from shared.store.counters import Counters
from shared.store.timeline import Timeline

ROWS = 10_000
TEMPLATE = "emails"
PROVIDER_S = 0.06
"""How long a call of a provider takes for one message: what a function is paid for to wait."""
MANY_S = 0.5
"""How long a call of SES takes for fifty: an assumption, like the other."""
WAIT_S = {"mail-smtp": PROVIDER_S / MAX_CALLS, "mail-ses": MANY_S / MOST / BATCH_SIZE}
"""How long a function waits for a message, by account: envelopes of a batch have one call for many on its way each."""
DISPATCH_GB, CAMPAIGN_GB = 1.0, 1.73
MEMORY_SHARE = 1024 / 1769
"""Of a processor, at the dispatch and trace functions' memory (Lambda developer guide, "Configure memory")."""
LOG_BYTES_PER_INVOCATION = 900
"""The platform's own lines of an invocation (START, END, REPORT); functions log nothing of what goes well."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message of a campaign costs.

    requests: to AWS, per 1,000 messages. guard_units, timeline_units: write units per message. timeline_items: put per
    message. stream_bytes: per message. expand_us, dispatch_us, trace_us: processor time per message, in microseconds.
    lines: the bill for all rows.
    """

    requests: float
    by_name: Mapping[str, float]
    guard_units: float
    timeline_units: float
    timeline_items: float
    stream_bytes: float
    expand_us: float
    dispatch_us: float
    trace_us: float
    lines: tuple[Line, ...]

    @property
    def usd_per_million(self) -> float:
        """US dollars per million messages, without what the provider takes."""
        return sum(line.usd for line in self.lines) / ROWS * 1e6


@cache
def measured(account: str = "mail-smtp", receipts: bool = False) -> Facts:
    """Run a campaign through an account and count; once per process. receipts: each message gets one, too."""
    expand_us, by_account, trace_us = _processor_time()
    dispatch_us = by_account[account]
    with LocalStack(threads=False, memory=True, receipts=receipts) as stack:
        Platform(stack).send_emails_by(account)
        meter = Meter(stack.client("dynamodb"))
        stack.counting.observe(meter)
        with Client(stack.url, first_key(stack)) as api:
            # Functions remember what they read: a first run shows them all.
            _run(stack, api, "warm", 200)
            stack.counting.clear()
            meter.clear()
            before = dict(stack.runner.invocations)
            _run(stack, api, "measured", ROWS)
        counts = stack.counting.snapshot()
        invocations = sum(stack.runner.invocations.values()) - sum(before.values())
        written = meter.writes.total
        guard, timeline = (written.get(stack.outputs[f"{role}Table"], 0) / ROWS for role in ("Guard", "Timeline"))
        wait_s = ROWS * WAIT_S[account]
        gb_seconds = (
            max(wait_s, ROWS * dispatch_us / 1e6 / MEMORY_SHARE) * DISPATCH_GB
            + ROWS * trace_us / 1e6 / MEMORY_SHARE * DISPATCH_GB
            + ROWS * 2 * expand_us / 1e6 * CAMPAIGN_GB
        )
        lines = meter.bill(counts, gb_seconds, invocations * LOG_BYTES_PER_INVOCATION)
        by_name = {name: 1000 * n / ROWS for name, n in sorted(counts.items()) if not name.startswith(OTHERS)}
        return Facts(
            requests=sum(by_name.values()),
            by_name=by_name,
            guard_units=guard,
            timeline_units=timeline,
            timeline_items=1.0,
            stream_bytes=meter.stream_bytes / ROWS,
            expand_us=expand_us,
            dispatch_us=dispatch_us,
            trace_us=trace_us,
            lines=tuple(lines),
        )


def _run(stack: LocalStack, api: Client, id: str, rows: int) -> None:
    """Run a campaign to its end. Raises: RuntimeError if not all was sent."""
    text = io.StringIO()
    text.write("to,name,order,days\n")
    for i in range(rows):
        text.write(f"{id}{i}@example.com,张伟{i},A-{i:06d},3\n")
    file = f"{id}.csv"
    stack.client("s3").put_object(
        Bucket=stack.outputs["AssetsBucket"], Key=f"audiences/default/{file}", Body=text.getvalue().encode()
    )
    body = {"id": id, "name": id, "variants": [{"name": "all", "template": TEMPLATE}], "audience": {"file": file}}
    api.post("/v1/campaigns", body)
    run = api.post(f"/v1/campaigns/{id}/runs", {})["id"]
    stack.drain(until_due=True, max_rounds=200_000, horizon_s=4 * 3600)
    found = api.get(f"/v1/runs/{run}")
    if found["state"] != "finished" or found["progress"]["outcomes"] != {"sent": rows}:
        raise RuntimeError(f"the run is {found['state']}: {found['progress']['outcomes']} {found['problem']}")


@cache
def _processor_time() -> tuple[float, dict[str, float], float]:
    """Microseconds per message for expansion, dispatch by account, and trace."""
    figures = {figure.name: figure for figure in (*expand.run(), *email.run(), *ses.run())}
    ledger = figures["guard_cpu"]
    by_account = {
        "mail-smtp": figures["email_cpu_vs_naive"].value,
        "mail-ses": figures["ses_cpu_vs_boto3"].value + ledger.value - (ledger.baseline_value or 0.0),
    }
    return figures["expand_cpu_vs_dictreader"].value, by_account, _trace_cpu()


def _trace_cpu() -> float:
    """Of the trace, with a client that makes all requests and sends none."""
    client = dynamodb_in_air()
    clock = SystemClock()
    reader = StreamReader(SimpleNamespace(list_shards=lambda **_: {"Shards": []}))
    batches: list[dict[str, Any]] = []
    made = envelopes(20)
    for number, envelope in enumerate(made):
        envelope = replace(envelope, run="spring.01KAV2M3X80000000000000000")
        rows = accepted_rows(envelope)
        for accepted in list(rows):
            rows.append(
                replace(accepted, stage="sent", account="mail", provider="smtp", provider_id="x" * 32, took_ms=42)
            )
        data = base64.b64encode(record_of(envelope, rows).to_json()).decode()
        batches.append({"kinesis": {"sequenceNumber": str(number + 1), "data": data},
                        "eventID": "shardId-0:1", "eventSourceARN": "arn:aws:kinesis:::stream/events"})  # fmt: skip

    def work() -> int:
        # One that has seen them before would know them, and ask for nothing.
        live = Live(EphemeralMetrics(namespace="mePush", service="trace"), "bench", by_account=True)
        stores = Timeline(client, "timeline"), Counters(client, "counters")
        aggregator = Aggregator(*stores, clock, lambda _: 90, reader, live)
        aggregator.run({"Records": batches})
        return len(made) * 100

    return cpu_medians([work])[0]


def run() -> list[Figure]:
    """aws_requests_per_1000_campaign and usd_per_million_campaign_emails, with both tables; and both by SES."""
    facts, by_ses = measured(), measured("mail-ses")
    usd = facts.usd_per_million
    requests = Table("request", "per 1,000 messages")
    for name, count in facts.by_name.items():
        requests.add_row(name, f"{count:.1f}")
    bill = Table("for a million emails", "quantity", "unit", "US dollars")
    for line in facts.lines:
        quantity, dollars = (value / ROWS * 1e6 for value in (line.quantity, line.usd))
        bill.add_row(line.name, f"{quantity:,.2f}", line.unit, f"{dollars:.4f}")
    console = Console(width=120)
    console.print(requests)
    console.print(bill)
    return [
        Figure("aws_requests_per_1000_campaign", facts.requests, "AWS requests", most=130),
        Figure("usd_per_million_campaign_emails", usd, "US dollars", most=2),
        Figure("aws_requests_per_1000_campaign_ses", by_ses.requests, "AWS requests", "by SMTP", facts.requests),
        Figure("usd_per_million_campaign_emails_ses", by_ses.usd_per_million, "US dollars", "by SMTP", usd),
        Figure("trace_cpu_campaign", facts.trace_us, "µs CPU per message", most=120),
    ]
