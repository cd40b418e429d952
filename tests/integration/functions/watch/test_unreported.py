"""Messages of yesterday of which nothing was reported: counted once a day, by account."""

from typing import Any

import pytest

from functions.watch.unreported import DAY_MS, SETTLED_MS, is_due
from shared.model.accounts import Account
from shared.model.events import record_of
from shared.model.words import Channel
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.samples import NOW, change, envelope


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    return WatchHarness(aws, clock)


def test_they_are_counted_the_morning_after_and_once(harness: WatchHarness) -> None:
    for name, provider in (("mail", "ses"), ("server", "smtp")):
        facts: Any = {"settings": {}, "created_at": NOW, "updated_at": NOW}
        made = Account(id=name, tenant="default", name=name, channel=Channel.EMAIL, provider=provider, **facts)
        harness.catalog.create_account(made, change())
        one = envelope(5, start=1000 * len(name))
        harness.accept(one)
        harness.close(one, rows_of(one, "sent", account=name, provider=provider))
        if name == "mail":
            harness.tell(record_of(one, rows_of(one, "delivered", account=name, provider=provider)[:2]))
            harness.trace()
    found = []
    # From ten o'clock until noon of the day after.
    for _ in range(26):
        found.append(harness.sweep().no_receipt)
        harness.clock.advance(HOUR_S)
    assert [each for each in found if each] == [{"default/mail": 3}]
    assert found.index({"default/mail": 3}) == 20, "at six"


def test_a_day_is_due_when_it_has_settled_and_not_at_the_first_sweep_of_all() -> None:
    six = 20_000 * DAY_MS + SETTLED_MS
    assert is_due(six, six - 1) and is_due(six + DAY_MS, six)
    assert not is_due(six + 1, six) and not is_due(six - 1, six - DAY_MS) and not is_due(six, None)
