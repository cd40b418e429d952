"""Five transient bounces in a row, without a delivery, put an address on the list."""

from typing import Any

import pytest

from shared.model.ids import derived_base
from shared.model.receipts import Receipt
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, Stage
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.receipts.harness import ReceiptsHarness, ids, receipt
from tests.samples import NOW

TO = "u0@example.com"
BOUNCED = {TO: [SuppressionReason.BOUNCE]}


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> ReceiptsHarness:
    return ReceiptsHarness(aws, clock)


def message(harness: ReceiptsHarness, n: int, **changes: Any) -> str:
    """The id of a message that was sent to the recipient on the n-th day."""
    base = derived_base(NOW + n * 86_400_000, str(n))
    harness.clock.set(NOW + n * 86_400_000 + 600_000)
    [message_id] = ids(harness.sent(1, **{"id": base, "request": base, **changes}))
    return message_id


def soft(message_id: str, reason: str = "mailbox_full", **more: Any) -> Receipt:
    facts: dict[str, Any] = {"transient": True, "reason": reason, "address": TO}
    return receipt(message_id, Stage.UNDELIVERED, **facts | more)


def bounce(harness: ReceiptsHarness, n: int, **more: Any) -> str:
    found = message(harness, n)
    harness.receive(soft(found, **more))
    harness.tell_all()
    return found


def test_the_fifth_in_a_row_lists_the_recipient(harness: ReceiptsHarness) -> None:
    for n in range(4):
        bounce(harness, n)
    assert harness.listed() == {}
    bounce(harness, 4)
    assert harness.listed() == BOUNCED


def test_a_delivery_begins_anew(harness: ReceiptsHarness) -> None:
    for n in range(4):
        bounce(harness, n)
    harness.receive(receipt(message(harness, 4)))
    harness.tell_all()
    for n in range(5, 9):
        bounce(harness, n)
    assert harness.listed() == {}
    bounce(harness, 9)
    assert harness.listed() == BOUNCED


def test_what_nothing_was_reported_of_neither_counts_nor_begins_anew(harness: ReceiptsHarness) -> None:
    for n in range(12):
        if n % 3 == 0:
            bounce(harness, n)
        else:
            message(harness, n)
    assert harness.listed() == {}
    bounce(harness, 12)
    assert harness.listed() == BOUNCED


def test_one_message_counts_once_however_often_it_is_said(harness: ReceiptsHarness) -> None:
    found = bounce(harness, 0)
    for k in range(1, 8):
        harness.receive(soft(found, at=NOW + 60_000 * k))
        harness.tell_all()
    assert harness.listed() == {}


@pytest.mark.parametrize("reason", ["content_refused", "not_delivered", "provider_busy", "sender_refused"])
def test_what_is_not_the_recipients_does_not_count(harness: ReceiptsHarness, reason: str) -> None:
    for n in range(6):
        bounce(harness, n, reason=reason)
    assert harness.listed() == {}


def test_a_telephone_that_is_off_says_nothing_of_its_number(harness: ReceiptsHarness) -> None:
    for n in range(6):
        base = derived_base(NOW + n, str(n))
        [message_id] = ids(harness.sent(1, Channel.SMS, id=base, request=base))
        harness.receive(soft(message_id, "recipient_unreachable", provider="aws", address="+8613800000000"))
        harness.tell_all()
    assert harness.listed(Channel.SMS) == {}
