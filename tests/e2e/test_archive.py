"""The archive of a whole demonstration: Parquet files that pyarrow reads, with each event that is counted."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.demo import run_demo
from local.sandbox.base import Outbox
from local.seed import first_key, seed
from local.stack import LocalStack
from mepush.client.api import Client
from shared.model.events import EventRow
from shared.policy.engagement import ENGAGED
from shared.store.counters import HOUR_MS, Counters, counted_as
from tests.archive import ask, read_back, write_hour

pytestmark = pytest.mark.xdist_group("local-stack")

STREAM = "mepush-archive"
HOURS = ("2026-11-01-00", "2026-11-01-00", "default")
"""All is written as if it came within one hour."""


class Drained:
    """A stack without threads, for the demonstration: it waits by having everything happen."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack

    @property
    def url(self) -> str:
        return self._stack.url

    @property
    def outbox(self) -> Outbox:
        return self._stack.outbox

    def wait_quiet(self, timeout: float) -> bool:
        self._stack.drain(100_000, until_due=True, horizon_s=7200)
        return True


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, Path]]:
    """A stack on which the demonstration has run, and the folder of its archive. Firehose refuses each record
    when it first comes."""
    with LocalStack(threads=False, memory=True, archive=True) as stack:
        assert stack.memory is not None
        seen: set[bytes] = set()

        def is_new(data: bytes) -> bool:
            before = len(seen)
            seen.add(data)
            return len(seen) > before

        stack.memory.firehose.refuse = is_new
        key = first_key(stack)
        seed(stack.url, key, stack.sandboxes)
        report = run_demo(Drained(stack), key, timeout=120)
        Drained(stack).wait_quiet(0)
        assert report.mismatches == [] and len(seen) > 3
        folder = tmp_path_factory.mktemp("archive")
        write_hour(folder, HOURS[0], stack.memory.firehose.taken(STREAM))
        yield stack, folder


def events(folder: Path) -> list[dict[str, Any]]:
    """One row of each event."""
    return list({row["event_id"]: row for row in read_back(folder)}.values())


def counted(row: dict[str, Any]) -> str:
    """The name by which the trace counts an event."""
    if row["stage"] in ENGAGED:
        # Number 0 says that it happened at all.
        return f"{row['stage']}{'.machine' if row['by_machine'] else '.times' if row['number'] else ''}"
    facts = {name: row[name] for name in ("stage", "transient")}
    return counted_as(EventRow(index=0, tag="", nth=row["number"], at=0, machine=row["by_machine"], **facts))


def test_the_archive_has_each_event_that_is_counted(shown: tuple[LocalStack, Path]) -> None:
    stack, folder = shown
    counters = Counters(stack.client("dynamodb"), stack.outputs["CountersTable"])
    hour = int(stack.clock.now_ms()) // HOUR_MS
    by_hour = counters.read("default#tenant", hour - 48, hour + 1)
    wanted = sum(by_hour.values(), Counter[str]())
    found = Counter(counted(row) for row in events(folder))
    assert found == wanted
    assert {"accepted", "rejected", "sent", "delivered", "undelivered", "opened", "clicked"} <= set(found)
    assert found["accepted"] > 100


def test_the_archive_knows_no_address_and_no_tag(shown: tuple[LocalStack, Path]) -> None:
    stack, folder = shown
    with Client(stack.url, first_key(stack)) as api:
        requests = {row["request"] for row in events(folder)}
        messages = [m for id in sorted(requests)[:20] for m in api.pages(f"/v1/requests/{id}", "messages")]
    assert len(messages) > 20
    text = "\n".join(str(row) for row in read_back(folder))
    assert "@" not in text and "***" not in text
    for message in messages:
        assert message["message_id"][:26] in text and message["message_id"][26:] not in text


def test_a_lone_message_can_be_asked_for(shown: tuple[LocalStack, Path]) -> None:
    _, folder = shown
    delivered = next(row for row in events(folder) if row["stage"] == "delivered")
    stages = [row["stage"] for row in ask(folder, "message", *HOURS, delivered["message"])]
    # A provider's clock may say that it was delivered before the answer came.
    assert stages[0] == "accepted" and {"sent", "delivered"} <= set(stages)


def test_what_is_asked_is_what_the_api_says(shown: tuple[LocalStack, Path]) -> None:
    stack, folder = shown
    template = Counter(row["template"] for row in events(folder) if row["stage"] == "sent").most_common(1)[0][0]
    answer = ask(folder, "funnel", *HOURS, template)
    with Client(stack.url, first_key(stack)) as api:
        stages = api.get(f"/v1/stats/templates/{template}")["stages"]
    for name in ("accepted", "sent"):
        assert sum(row[name] for row in answer) == stages[name] > 0
