"""What the stream is told of receipts."""

from itertools import product
from typing import Any

from functions.receipts.matching import Matched
from functions.receipts.telling import records_of
from shared.lifecycle.verdict import CODE_BYTES
from shared.model.events import EventRow
from shared.model.ids import BLOCK, Numbering
from shared.model.receipts import Receipt
from shared.model.words import Stage
from shared.store.kept_events import KeptEvent
from tests.samples import NOW, REQUEST

TAG = "ABCDEFGHJKMNPQRS"
SENT = KeptEvent(
    stage="sent",
    nth=0,
    at=NOW + 2_000,
    account="mail",
    provider="ses",
    channel="email",
    message_class="marketing",
    template="sale",
    version=3,
    request=REQUEST,
    kind="live",
    run="spring.R",
    variant="b",
    request_reference="ref-1",
)


def matched(index: int = 0, stage: Stage = Stage.DELIVERED, event: KeptEvent = SENT, **more: Any) -> Matched:
    receipt = Receipt(**{"provider": "ses", "stage": stage, "at": NOW + 5_000, "provider_id": "p", **more})
    return Matched(receipt, "default", Numbering(REQUEST)(index) + TAG, event)


def rows_of(*matches: Matched, now: int = NOW + 60_000) -> list[EventRow]:
    return [row for record in records_of(matches, now) for row in record.events]


def test_an_event_has_what_its_message_has() -> None:
    [record] = records_of([matched(7)], NOW + 60_000)
    assert (record.template, record.version, record.run, record.variant) == ("sale", 3, "spring.R", "b")
    assert (record.message_class, record.kind, record.reference, record.request) == (
        *("marketing", "live", "ref-1"),
        REQUEST,
    )
    [(message_id, row)] = record.message_ids()
    assert message_id == matched(7).message_id
    assert (row.account, row.provider, row.provider_id, row.took_ms) == ("mail", "ses", "p", 3_000)


def test_a_burst_is_told_in_few_records_and_each_message_always_in_the_same_shard() -> None:
    records = records_of([matched(i) for i in range(1000)], NOW + 60_000)
    assert len(records) == -(-1000 // BLOCK)
    alone = {matched(i).message_id: records_of([matched(i)], NOW)[0].partition_key for i in range(1000)}
    together = {id: record.partition_key for record in records for id, _ in record.message_ids()}
    assert together == alone


def test_what_is_said_twice_has_one_name_and_what_is_said_anew_another() -> None:
    times = [NOW + 5_000, NOW + 5_999, NOW + 6_000]
    told_once = (Stage.DELIVERED, Stage.UNDELIVERED, Stage.ACKNOWLEDGED, Stage.COMPLAINED, Stage.UNSUBSCRIBED)
    for stage, soft in product(told_once, (False,)):
        assert {row.nth for row in rows_of(*(matched(0, stage, at=at, transient=soft) for at in times))} == {0}
    assert [row.nth for row in rows_of(*(matched(0, Stage.DELAYED, at=at) for at in times))] == [5, 6]
    assert [row.nth for row in rows_of(*(matched(0, Stage.UNDELIVERED, at=at, transient=True) for at in times))] == [
        5,
        6,
    ]


def test_the_name_of_an_event_does_not_depend_on_our_clock() -> None:
    ahead = matched(0, Stage.DELAYED, at=NOW + 500_000)
    [early], [late] = rows_of(ahead, now=NOW + 1_000), rows_of(ahead, now=NOW + 900_000)
    assert early.nth == late.nth == 500
    assert (early.at, late.at) == (NOW + 1_000, NOW + 500_000), "nothing happened later than now"


def test_an_opening_counts_its_message_once_and_each_time_apart() -> None:
    first, again, robot = (
        matched(0, Stage.OPENED, at=NOW + 5_000),
        matched(0, Stage.OPENED, at=NOW + 9_000),
        matched(0, Stage.OPENED, at=NOW + 3_000, machine=True),
    )
    assert [(row.nth, row.machine) for row in rows_of(robot, first, again, first)] == [
        *((3, True), (0, False), (5, False), (9, False)),
    ]


def test_how_long_it_took_is_told_of_deliveries_only_and_never_negative() -> None:
    accepted = KeptEvent(stage="accepted", nth=0, at=NOW, channel="email", message_class="marketing", kind="live")
    assert [row.took_ms for row in rows_of(matched(0, Stage.UNDELIVERED))] == [None]
    assert [row.took_ms for row in rows_of(matched(0, event=accepted))] == [None]
    assert [row.took_ms for row in rows_of(matched(0, at=NOW + 1_500))] == [0]


def test_a_long_code_is_cut() -> None:
    [row] = rows_of(matched(0, Stage.UNDELIVERED, code="x" * 999))
    assert row.code is not None and len(row.code.encode()) <= CODE_BYTES
