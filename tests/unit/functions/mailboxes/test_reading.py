"""Looking into mailboxes: each within its time, and no one's trouble is another's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.mailboxes import reading
from functions.mailboxes.reading import FAILED_MS, Looked, Reader
from shared.aws.secrets import SecretMissingError
from shared.model.accounts import Account, AccountState
from shared.model.inboxes import InboxProblem, InboxState, Place
from shared.model.receipts import Arrived
from shared.model.words import Channel
from shared.net.network import Network
from shared.providers.mailboxes import Found
from shared.store.catalog_items import CatalogConflictError, Stored
from tests.fakes import FakeClock

PROBLEM = InboxProblem(code="x", summary="It refused.", action="Mend it.")


def account(id: str, tenant: str = "acme", **more: Any) -> Account:
    facts: dict[str, Any] = {"channel": Channel.EMAIL, "provider": "smtp", "settings": {}, "secret_version": 1}
    return Account(id=id, tenant=tenant, name=id, created_at=0, updated_at=0, **facts | more)


class Mailboxes:
    """What the platform has: accounts, what is known of their mailboxes, and what looking into each comes to."""

    def __init__(self, *accounts: Account) -> None:
        self.all = accounts
        self.states: dict[str, Stored[InboxState]] = {}
        self.log: list[str] = []
        self.found: dict[str, Found | Exception] = {}
        self.broken: set[str] = set()
        self.taken: set[str] = set()

    # of tenants and accounts

    def list_tenants(self) -> list[str]:
        return sorted({each.tenant for each in self.all})

    def list_accounts(self, tenant: str) -> list[Account]:
        if tenant in self.broken:
            raise OSError("the table does not answer")
        return [each for each in self.all if each.tenant == tenant]

    # of what is known

    def inbox(self, tenant: str, account: str) -> Stored[InboxState] | None:
        if account in self.broken:
            raise OSError("the table does not answer")
        return self.states.get(account)

    def save(self, tenant: str, account: str, state: InboxState, over: int | None) -> int:
        if account in self.taken:
            raise CatalogConflictError("taken")
        self.log.append(f"save {account}")
        self.states[account] = Stored(state, (over or 0) + 1)
        return (over or 0) + 1

    # of secrets

    def get(self, tenant: str, account: str, version: int) -> dict[str, Any]:
        if f"secret {account}" in self.broken:
            raise SecretMissingError("gone")
        return {"password": "p"}

    # of the queue

    def put_all(self, arrived: list[Arrived]) -> None:
        self.log.append(f"queue {len(arrived)}")

    # of the vendor

    def where(self, settings: Any) -> str | None:
        return "here"

    def look(self, account: Account, *_: Any) -> Found:
        self.log.append(f"look {account.id}")
        found = self.found.get(account.id, Found(place=Place(number=1)))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def run(mailboxes: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, remaining_ms: int = 290_000) -> Looked:
    named = lambda each: None if each.provider != "smtp" else (mailboxes, "here")  # noqa: E731 - a patch
    monkeypatch.setattr(reading, "mailbox_of", named)
    with ThreadPoolExecutor(1) as pool:
        reader = Reader(mailboxes, mailboxes, mailboxes, mailboxes, mailboxes, Network(), clock, pool)
        return reader.run(lambda: remaining_ms)


def test_a_look_is_claimed_then_queued_then_stored(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Mailboxes(account("a"))
    one.found["a"] = Found(place=Place(number=9), receipts=[Arrived(provider="smtp", at=1, body="{}")])
    looked = run(one, clock, monkeypatch)
    assert one.log == ["save a", "look a", "queue 1", "save a"]
    assert (looked.bounces, looked.problems) == (1, 0)
    assert one.states["a"].value.place.number == 9


def test_only_active_accounts_that_name_a_mailbox_are_looked_at(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Mailboxes(account("a"), account("b", state=AccountState.DISABLED), account("c", provider="ses"))
    run(one, clock, monkeypatch)
    assert [each for each in one.log if each.startswith("look")] == ["look a"]


def test_nobodys_trouble_is_anothers(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("listing", "state", "secret", "raises", "taken", "fails", "good")
    one = Mailboxes(*(account(name, tenant=name) for name in names))
    one.broken = {"listing", "state", "secret secret"}
    one.taken = {"taken"}
    one.found = {"raises": ZeroDivisionError(), "fails": Found(place=Place(), problem=PROBLEM)}
    looked = run(one, clock, monkeypatch)
    assert [each for each in one.log if each.startswith("look")] == ["look fails", "look good", "look raises"]
    # Without its secret, failing by itself, and in a way that nobody foresaw.
    assert (looked.problems, looked.broken) == (3, 1)
    assert one.states["secret"].value.problem == reading.NO_SECRET
    assert one.states["good"].value.looked_at == clock.now_ms()
    # Who broke off is not asked again at once.
    assert one.states["raises"].value.next_at > clock.now_ms()


def test_one_that_has_failed_for_hours_is_told_apart_even_while_it_is_left_alone(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Mailboxes(account("a"))
    one.found["a"] = Found(place=Place(), problem=PROBLEM)
    assert run(one, clock, monkeypatch).failed == 0
    seen = []
    for _ in range(40):
        clock.advance(600)
        looked = run(one, clock, monkeypatch)
        assert looked.problems == 1
        seen.append(looked.failed)
    hours = FAILED_MS // 600_000
    assert seen == [0] * (hours - 1) + [1] * (40 - hours + 1)
    assert sum(each.startswith("look") for each in one.log) == 6


def test_without_time_a_mailbox_is_left_and_whoever_waits_longest_is_first(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Mailboxes(account("a"), account("b"))
    looked = run(one, clock, monkeypatch, remaining_ms=30_000)
    assert (looked.left, one.log) == (2, [])
    one.states["a"] = Stored(InboxState(where="here", secret_version=1, looked_at=5), 1)
    run(one, clock, monkeypatch)
    assert [each for each in one.log if each.startswith("look")] == ["look b", "look a"]


def test_a_queue_that_takes_nothing_leaves_the_place_as_it_was(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Mailboxes(account("a"))

    def refuse(arrived: list[Arrived]) -> None:
        raise OSError("the queue does not answer")

    monkeypatch.setattr(one, "put_all", refuse)
    one.found["a"] = Found(place=Place(number=9), receipts=[Arrived(provider="smtp", at=1, body="{}")])
    assert run(one, clock, monkeypatch).broken == 1
    assert one.states["a"].value.place.number is None
