"""Asking providers for receipts: who is asked, and what is kept before more is asked for."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from functions.pulling.asking import MOST, PUTS, SPARE_MS, Asked, Asker
from shared.errors import NotQueuedError
from shared.model.accounts import Account, AccountState
from shared.model.receipts import Arrived
from shared.model.words import Channel
from shared.providers.base import PullError
from shared.store.catalog import Catalog
from tests.fakes import FakeClock, logged
from tests.memory import tables
from tests.samples import change


class Telling:
    """A provider that tells what it is given, call by call; an error is raised where it stands."""

    def __init__(self, *calls: Sequence[str] | Exception) -> None:
        self.calls = list(calls)

    def pulled(self) -> Iterator[Sequence[str]]:
        while self.calls:
            call = self.calls.pop(0)
            if isinstance(call, Exception):
                raise call
            yield call


class Queue:
    """Holds what is put on it, after so many refusals of each."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.refuses: dict[str, int] = {}

    def put(self, arrived: Arrived) -> None:
        if self.refuses.get(arrived.body, 0):
            self.refuses[arrived.body] -= 1
            raise NotQueuedError("receipts not queued")
        self.arrived.append(arrived)

    @property
    def bodies(self) -> list[str]:
        return [each.body for each in self.arrived]


class Site:
    """Accounts, each with the provider that a test gives it."""

    def __init__(self, client: Any, clock: FakeClock) -> None:
        self.catalog = Catalog(client, "catalog", clock)
        self.clock, self.queue = clock, Queue()
        self.providers: dict[str, Telling] = {}
        self.remaining_ms = 300_000
        for tenant in ("default", "other"):
            self.catalog.ensure_tenant(tenant)

    def account(self, id: str, *calls: Sequence[str] | Exception, tenant: str = "default", **changes: Any) -> None:
        values = {"provider": "tencent", "settings": {"pull_receipts": True}, "state": AccountState.ACTIVE, **changes}
        made = Account(id=id, tenant=tenant, name=id, channel=Channel.SMS, created_at=1, updated_at=1, **values)
        self.catalog.create_account(made, change())
        self.providers[id] = Telling(*calls)

    def provider(self, account: Account) -> Telling:
        return self.providers[account.id]

    def ask(self) -> Asked:
        accounts: Any = self
        queue: Any = self.queue
        return Asker(self.catalog, accounts, queue, self.clock).run(lambda: self.remaining_ms)


@pytest.fixture
def site(clock: FakeClock) -> Iterator[Site]:
    with tables(clock, "catalog") as client:
        yield Site(client, clock)


def test_what_is_told_is_on_the_queue_and_for_whom(site: Site) -> None:
    site.account("sms", ["a", "b"], ["c"])
    site.account("theirs", ["d"], tenant="other")
    assert site.ask() == Asked(told=4)
    now = site.clock.now_ms()
    assert site.queue.arrived == [
        Arrived(provider="tencent", tenant=tenant, account=account, at=now, body=body)
        for tenant, account, body in [
            *(("default", "sms", body) for body in "abc"),
            ("other", "theirs", "d"),
        ]
    ]


def test_only_those_are_asked_that_want_it_and_can_be(site: Site) -> None:
    site.account("unwanted", ["a"], settings={"pull_receipts": False})
    site.account("silent", ["b"], settings={})
    site.account("disabled", ["c"], state=AccountState.DISABLED)
    site.account("deaf", ["d"], provider="aws")
    site.account("gone", ["e"], provider="no-such")
    assert site.ask() == Asked()
    assert site.queue.bodies == []


def test_more_is_asked_for_only_when_what_was_told_is_kept(site: Site) -> None:
    site.account("sms", ["a", "b"], ["c"])
    site.queue.refuses = {"a": PUTS}
    assert site.ask() == Asked(failed=["sms"])
    # What nobody tells again is tried until its end; and no more is taken that would be lost as well.
    assert site.queue.bodies == ["b"]
    assert site.providers["sms"].calls == [["c"]]
    assert site.ask() == Asked(told=1)


def test_what_the_queue_takes_at_last_is_not_lost(site: Site) -> None:
    site.account("sms", ["a", "b"])
    site.queue.refuses = {"a": PUTS - 1}
    assert site.ask() == Asked(told=2)
    assert sorted(site.queue.bodies) == ["a", "b"]


def test_one_that_fails_keeps_no_other_from_theirs(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.account("a", ["1"], PullError("UnauthorizedOperation.RequestPermissionDeny"))
    site.account("b", KeyError("13800138000"))
    site.account("c", ["2"])
    assert site.ask() == Asked(told=1, failed=["a", "b"])
    assert site.queue.bodies == ["1", "2"]
    text = logged(caplog.records)
    assert "UnauthorizedOperation.RequestPermissionDeny" in text
    assert "13800138000" not in text


def test_nobody_takes_all_of_the_time(site: Site) -> None:
    site.account("a", *[["x"]] * (MOST + 5))
    site.account("b", ["y"])
    assert site.ask() == Asked(told=MOST + 1)
    assert site.queue.bodies[-1] == "y"
    assert len(site.providers["a"].calls) == 5


def test_at_the_end_of_its_time_it_stops_between_two_calls(site: Site) -> None:
    site.account("a", ["1"], ["2"])
    site.account("b", ["3"])
    site.remaining_ms = SPARE_MS - 1
    assert site.ask() == Asked(unasked=2)
    site.remaining_ms = SPARE_MS
    put = site.queue.put

    def slow(arrived: Arrived) -> None:
        put(arrived)
        site.remaining_ms = 0

    site.queue.put = slow  # type: ignore[method-assign]  # the queue, made slow
    assert site.ask() == Asked(told=1, unasked=1)
    assert (site.queue.bodies, site.providers["a"].calls) == (["1"], [["2"]])
