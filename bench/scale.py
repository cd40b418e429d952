"""How long ten million emails take and what holds them up: counted work per message against published limits.

A simulation, second by second, of the way from the queue to the trace. What a message costs is measured on this machine
(`campaign.py`); what AWS gives is what its documents say. Nothing here was measured in AWS.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from bench.bill import price
from bench.campaign import WAIT_S, Facts, measured
from bench.figures import Figure

MESSAGES = 10_000_000
ACCOUNT_RATES = (14, 100, 500, 2000, 10_000)
"""Emails a second that an SES account may send: 14 is what many begin with; the others are granted on request."""
CONCURRENCY = (2, 5, 20, 100)
"""Invocations of the dispatch function at once: the queue's own cap (`mepush settings`), out of the account's 1,000."""

MEMORY_SHARE = 1024 / 1769
"""Of a processor, at the dispatch and trace functions' memory (Lambda developer guide, "Configure memory")."""
FIRST_CONCURRENCY, MORE_PER_MINUTE = 5, 300
"""A queue's mapping begins with 5 invocations and adds up to 300 a minute (Lambda developer guide, SQS scaling)."""
NEW_TABLE_WRITES, MOST_TABLE_WRITES = 4_000, 40_000
"""Write units a second that a new on-demand table takes at once, and the quota per table (DynamoDB developer guide)."""
NEW_STREAM_BYTES, MOST_STREAM_BYTES = 4_000_000, 200_000_000
"""An on-demand stream begins with 4 MB/s and takes twice its last peak, up to 200 MB/s (Kinesis developer guide)."""
SHARD_BYTES = 1_000_000
WRITE_S = 0.012
"""How long a BatchWriteItem takes: an assumption. One carries 25 items; ten are on their way at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one setting allows. All rates are per second."""

    account: float
    concurrency: int
    table_writes: float = NEW_TABLE_WRITES
    stream_bytes: float = NEW_STREAM_BYTES

    def warmed(self) -> "Limits":
        """After the table and the stream were made ready for it."""
        return replace(self, table_writes=MOST_TABLE_WRITES, stream_bytes=MOST_STREAM_BYTES)


@dataclass(frozen=True, slots=True)
class Result:
    """How it went. first: what held it up for most of the time."""

    seconds: int
    first: str
    peak: float


def dispatch_rates(facts: Facts, limits: Limits, second: int) -> Iterator[tuple[str, float]]:
    """What each limit lets through dispatch in a second, in messages."""
    functions = min(limits.concurrency, FIRST_CONCURRENCY + MORE_PER_MINUTE * second / 60)
    by_waiting = 1 / WAIT_S["mail-ses"]
    by_processor = MEMORY_SHARE * 1e6 / facts.dispatch_us
    yield "the account's rate", limits.account
    yield "functions at once", functions * min(by_waiting, by_processor)
    yield "writes of the guard table", limits.table_writes / facts.guard_units


def trace_rates(facts: Facts, limits: Limits) -> Iterator[tuple[str, float]]:
    """The same for the trace."""
    shards = max(1.0, limits.stream_bytes / SHARD_BYTES)
    each = facts.trace_us / 1e6 / MEMORY_SHARE + facts.timeline_items / 25 * WRITE_S / 10
    yield "the stream", limits.stream_bytes / facts.stream_bytes
    yield "the trace's functions", shards / each
    yield "writes of the timeline", limits.table_writes / facts.timeline_units


def simulate(facts: Facts, limits: Limits, messages: int = MESSAGES) -> Result:
    """Send that many messages; expansion is so much faster than the rest that all are queued at once."""
    queued, sent, traced, second, peak = float(messages), 0.0, 0.0, 0, 0.0
    held: Counter[str] = Counter()
    while traced < messages and second < 40 * 86_400:
        name, rate = min(dispatch_rates(facts, limits, second), key=lambda each: each[1])
        now = min(rate, queued)
        queued, sent, peak = queued - now, sent + now, max(peak, now)
        stage, trace = min(trace_rates(facts, limits), key=lambda each: each[1])
        traced += min(trace, sent - traced)
        # What is behind for more than a few seconds is what holds all up.
        held[stage if sent - traced > 5 * trace else name] += 1
        second += 1
    return Result(second, held.most_common(1)[0][0], peak)


def run() -> list[Figure]:
    """Minutes for ten million emails by account and concurrency; usd_per_ten_million_emails."""
    facts = measured("mail-ses")
    for title, warm in (("a new deployment", False), ("tables and stream made ready", True)):
        table = Table("emails a second", *(f"{n} functions" for n in CONCURRENCY), title=f"10,000,000 emails, {title}")
        for account in ACCOUNT_RATES:
            cells = []
            for concurrency in CONCURRENCY:
                limits = Limits(account, concurrency)
                result = simulate(facts, limits.warmed() if warm else limits)
                cells.append(f"{result.seconds / 60:,.0f} min\n{result.first}")
            table.add_row(str(account), *cells)
        Console(width=150).print(table)
    ours = facts.usd_per_million * 10
    pinpoint = MESSAGES * (price("pinpoint_mta_endpoint") + price("pinpoint_email"))
    return [
        Figure("usd_per_ten_million_emails", ours, "US dollars, without the provider's fee", "Pinpoint's", pinpoint),
        Figure("minutes_per_ten_million_emails", simulate(facts, Limits(10_000, 100).warmed()).seconds / 60, "minutes"),
    ]
