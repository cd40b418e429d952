"""The named queries give the right numbers on a small archive, some of whose events are there twice."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from functions.archive.packing import packed
from infra.archive_queries import QUERIES
from shared.model.events import EventRow, FallenTo, StreamRecord
from shared.model.ids import ulid_text
from shared.model.words import Channel, KeyKind, MessageClass
from tests.archive import ask, read_back, write_hour

DAY = int(datetime(2026, 11, 10, 9, 30, tzinfo=UTC).timestamp() * 1000)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FIRST, LAST = "2026-11-10-00", "2026-11-30-23"
ALL = (FIRST, LAST, "default")
_numbers = count(1)


def message(at: int, channel: Channel, *rows: dict[str, Any], **more: Any) -> tuple[str, StreamRecord]:
    """A message's ULID, and a record that tells its events, the first of which is that it was accepted."""
    base = ulid_text(at << 80 | next(_numbers) << 20)
    shown = {"masked_address": more.pop("to")} if "to" in more else {}
    accepted = EventRow(index=0, tag="A" * 16, stage="accepted", nth=0, at=at, **shown)
    events = [accepted, *(EventRow(index=0, tag="A" * 16, **{"nth": 0, "at": at + 1000, **row}) for row in rows)]
    facts: dict[str, Any] = {
        "tenant": "default",
        "message_class": MessageClass.MARKETING,
        "template": "sale",
        "version": 1,
        "request": base,
        **more,
    }
    return base, StreamRecord(envelope=base, channel=channel, events=events, **facts)


def sent(ms: int = 1000, account: str = "mail", provider: str = "ses") -> dict[str, Any]:
    return {"stage": "sent", "account": account, "provider": provider, "ms": ms}


def said(stage: str, after: int, account: str = "mail", provider: str = "ses", **more: Any) -> dict[str, Any]:
    return {"stage": stage, "account": account, "provider": provider, "ms": after, **more}


def emails(at: int, **more: Any) -> Iterator[tuple[str, StreamRecord]]:
    """Ten: eight sent, five arrived of which one came back later, two opened, one by a machine alone, one clicked."""

    def made(*rows: dict[str, Any]) -> tuple[str, StreamRecord]:
        timed = [{**{k: v for k, v in row.items() if k != "ms"}, "at": at + row["ms"]} for row in rows]
        for row in timed:
            if row["stage"] == "delivered":
                row["took_ms"] = row["at"] - at - 1000
        return message(at, Channel.EMAIL, *timed, **more)

    opened = [said("opened", 60_000), said("opened", 60_000, nth=60)]
    clicked = [said("clicked", 2 * HOUR_MS), said("clicked", 2 * HOUR_MS, nth=7200)]
    yield made(sent(), said("delivered", 3000), *opened, *clicked)
    yield made(
        sent(), said("delivered", 3000), *opened, said("opened", HOUR_MS, nth=3600), said("acknowledged", HOUR_MS)
    )
    yield made(sent(), said("delivered", 3000), said("opened", 5000, nth=5, machine=True))
    yield made(sent(), said("delivered", 101_000), said("unsubscribed", HOUR_MS))
    yield made(
        sent(), said("delivered", 3000), said("undelivered", HOUR_MS, reason="address_unknown", code="550 5.1.1")
    )
    yield made(sent(), said("undelivered", 2000, reason="mailbox_full", transient=True, nth=2, code="452 4.2.2"))
    yield made(sent(), said("complained", DAY_MS))
    yield made(said("retrying", 500, reason="throttled", code="Throttling"), {**sent(5000)})
    yield made(said("failed", 1000, reason="address_unknown", code="550 5.1.1"))
    yield made(said("dead_lettered", 1000, account="other", reason="throttled", code="Throttling"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten emails on each of two days; each record is in the archive twice, in different hours."""
    folder = tmp_path_factory.mktemp("archive")
    records = [record for _, record in (*emails(DAY), *emails(DAY + DAY_MS, version=2))]
    records += [record for _, record in emails(DAY - 30 * DAY_MS)]  # accepted before the hours that are asked for
    for record in records[20:]:
        del record.events[0]
    records += [record for _, record in emails(DAY, kind=KeyKind.TEST)]
    records += [record for _, record in emails(DAY, tenant="other")]
    records += [record for _, record in emails(DAY, template="other", tenant="other")]
    _write(folder, records)
    return folder


def _write(folder: Path, records: list[StreamRecord]) -> None:
    numbered = [(str(number), record) for number, record in enumerate(records)]
    for hour, part in (("2026-11-10-10", numbered), ("2026-11-12-00", numbered), ("2026-12-01-00", numbered[:5])):
        write_hour(folder, hour, [pack.data for pack in packed(part)])


def test_copies_are_in_the_files(folder: Path) -> None:
    ids = [row["event_id"] for row in read_back(folder)]
    assert len(ids) > 2 * len(set(ids))


def test_the_funnel_is_by_the_day_of_acceptance(folder: Path) -> None:
    numbers = {"accepted": 10, "sent": 8, "not_sent": 2, "delivered": 4, "undelivered": 1}
    numbers |= {"opened": 2, "clicked": 1, "acknowledged": 1, "complained": 1, "unsubscribed": 1}
    assert ask(folder, "funnel", *ALL, "sale") == [
        {"day": date(2026, 11, 10), "version": 1, **numbers},
        {"day": date(2026, 11, 11), "version": 2, **numbers},
    ]
    assert ask(folder, "funnel", FIRST, "2026-11-10-09", "default", "sale") == []


def test_reasons_are_by_provider_and_account(folder: Path) -> None:
    found = ask(folder, "reasons", *ALL)
    assert {(each["channel"], each["provider"]) for each in found} == {("email", "ses")}
    # Two days, and the messages from before the hours: what is said of them came within.
    assert {
        (each["account"], each["stage"], each["reason"], each["provider_code"]): each["messages"] for each in found
    } == {
        ("mail", "undelivered", "address_unknown", "550 5.1.1"): 3,
        ("mail", "undelivered", "mailbox_full", "452 4.2.2"): 3,
        ("mail", "retrying", "throttled", "Throttling"): 3,
        ("mail", "failed", "address_unknown", "550 5.1.1"): 3,
        ("other", "dead_lettered", "throttled", "Throttling"): 3,
    }
    assert all(each["events"] == 3 for each in found)


def test_delivery_is_a_share_with_its_times(folder: Path) -> None:
    (found,) = ask(folder, "delivery", *ALL)
    assert (found["provider"], found["account"], found["channel"], found["calling_code"]) == (
        "ses",
        "mail",
        "email",
        None,
    )
    assert (found["sent"], found["delivered"], found["undelivered"]) == (24, 12, 3)
    assert found["delivered_percent"] == 50
    # 21 of 24 after a second, three after five; of 15 deliveries three took 100 seconds.
    assert (found["sent_p50_ms"], found["delivered_p50_ms"]) == (1000, 2000)
    assert (found["sent_p99_ms"], found["delivered_p99_ms"]) == (5000, 100_000)


def test_texts_are_told_apart_by_their_country(tmp_path: Path) -> None:
    found = []
    for to in ("+86138****1234", "+86139****1234", "+141****0123"):
        _, record = message(DAY, Channel.SMS, {"stage": "sent", "provider": "aws", "account": "sms"}, to=to)
        # Receipts tell of no address, and dispatch states acceptance again without one.
        bare = EventRow(index=0, tag="A" * 16, stage="accepted", nth=0, at=DAY)
        found += [record, StreamRecord(**_facts(record), events=[bare])]
    _write(tmp_path, found)
    answer = ask(tmp_path, "delivery", *ALL)
    assert {each["calling_code"]: each["sent"] for each in answer} == {"86": 2, "1": 1}


def _facts(record: StreamRecord) -> dict[str, Any]:
    names = ("tenant", "envelope", "channel", "message_class", "template", "version", "request")
    return {name: getattr(record, name) for name in names}


def test_a_message_is_told_in_its_order_with_what_took_its_place(tmp_path: Path) -> None:
    fallen = {
        "stage": "failed",
        "reason": "address_unknown",
        "fell_back_to": FallenTo("email", "sale-mail", 1, "B" * 16),
    }
    id, record = message(DAY, Channel.SMS, fallen)
    rows = [
        EventRow(index=0, tag="B" * 16, stage=stage, nth=0, at=DAY + at)
        for stage, at in (("accepted", 2000), ("sent", 3000))
    ]
    other = StreamRecord(**_facts(record) | {"envelope": f"{id}/f1", "channel": Channel.EMAIL}, events=rows)
    _write(tmp_path, [record, other, message(DAY, Channel.SMS)[1]])
    for asked in (id, f"{id}{'A' * 16}"):
        found = ask(tmp_path, "message", *ALL, asked)
        assert [(each["channel"], each["stage"], each["fallback_channel"]) for each in found] == [
            ("sms", "accepted", None),
            ("sms", "failed", "email"),
            ("email", "accepted", None),
            ("email", "sent", None),
        ]
    assert found[1]["at"] == datetime(2026, 11, 10, 9, 30, 1)  # noqa: DTZ001 - Parquet's timestamps are in UTC without saying so


def test_a_run_is_by_variant_version_and_hour(tmp_path: Path) -> None:
    run = f"spring.{ulid_text(DAY << 80)}"
    records = [record for _, record in emails(DAY, run=run, variant="a")]
    records += [record for _, record in emails(DAY, run=run, variant="b", version=2)]
    records += [record for _, record in emails(DAY, run=f"autumn.{ulid_text(DAY << 80)}")]
    _write(tmp_path, records)
    found = ask(tmp_path, "run", *ALL, run)
    assert [(each["variant"], each["version"]) for each in found] == [("a", 1)] * 4 + [("b", 2)] * 4
    for part in (found[:4], found[4:]):
        hours = [(each["hour_of_event"].day, each["hour_of_event"].hour) for each in part]
        assert hours == [(10, 9), (10, 10), (10, 11), (11, 9)]
        assert [each["accepted"] for each in part] == [10, 0, 0, 0]
        assert [each["sent"] for each in part] == [8, 0, 0, 0]
        assert [each["not_sent"] for each in part] == [2, 0, 0, 0]
        assert [each["delivered"] for each in part] == [5, 0, 0, 0]
        assert [each["opened"] for each in part] == [2, 0, 0, 0]
        assert [(each["undelivered"], each["unsubscribed"]) for each in part] == [(0, 0), (1, 1), (0, 0), (0, 0)]
        assert [each["clicked"] for each in part] == [0, 0, 1, 0]
        assert [each["acknowledged"] for each in part] == [0, 1, 0, 0]
        assert [each["complained"] for each in part] == [0, 0, 0, 1]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_asks_for_what_its_comment_says(query: Any) -> None:
    text = query.text("mepush_archive")
    (parsed,) = sqlglot.parse(text, read="athena")
    assert parsed is not None
    wanted = len([line for line in text.splitlines() if line.startswith("-- ")]) - 1
    assert len(list(parsed.find_all(sqlglot.exp.Placeholder))) == wanted == text.count("?")
    assert len(text.encode()) < 262_144  # Athena API reference, CreateNamedQuery
