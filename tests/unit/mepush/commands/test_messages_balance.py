"""`mepush balance`."""

from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import FakeApi


def test_balance_by_hour_and_in_sum(mepush: Mepush) -> None:
    ran = mepush("balance")
    rows = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 0
    assert rows[0] == ["hour", "(UTC)", "accepted", "redriven", "failed", "sent", "in", "flight"]
    assert rows[1] == ["2026-11-24", "09:00", "12", "0", "1", "10", "1"]
    assert rows[2] == ["sum", "12", "0", "1", "10", "1"]


def test_balance_takes_a_range(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("balance", "--after", "2026-11-24T00:00:00Z", "--before", "2026-11-25T00:00:00+08:00", "--json")
    assert ran.json["in_flight"] == 1
    query = api.requests[-1][1]
    assert "after=2026-11-24T00%3A00%3A00%2B00%3A00" in query
    assert "before=2026-11-25T00%3A00%3A00%2B08%3A00" in query
