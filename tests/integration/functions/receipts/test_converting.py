"""Reports of codes that were given back: asked for once, tried some times, and of no consequence for messages."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from functions.receipts.converting import SPEND_S, WAITS_S, Converting, Told
from functions.receipts.matching import Matched
from shared.errors import NotQueuedError
from shared.model.accounts import Account, AccountState
from shared.model.outcome import AccountDown, Rejected, Report, Reported, Retry, Unknown
from shared.model.reasons import Reason
from shared.model.receipts import Converted, Receipt
from shared.model.words import Channel, Stage
from shared.store.kept_events import KeptEvent
from tests.samples import NOW, TENANT

BUSY = Retry(Reason.PROVIDER_BUSY, "Throttling")
ACCOUNT = Account(
    id="texts",
    tenant="default",
    name="Texts",
    channel=Channel.SMS,
    provider="aws",
    settings={},
    created_at=0,
    updated_at=0,
)


class World:
    """Accounts, their provider, the queue and the time. outcomes: of the provider's calls; after them all goes well."""

    def __init__(self, *outcomes: Report | Exception, call_s: float = 0) -> None:
        self.outcomes, self.call_s = list(outcomes), call_s
        self.accounts: dict[str, Account] = {"texts": ACCOUNT}
        self.reported: list[tuple[str, int]] = []
        self.queued: list[tuple[Converted, int]] = []
        self.takes: Callable[[], bool] = lambda: True
        self.now = 0.0
        self.converting = Converting(self, self, self, spent=lambda: self.now)

    def account(self, tenant: str, account_id: str) -> Account | None:
        assert tenant == TENANT.id
        return self.accounts.get(account_id)

    def provider(self, account: Account) -> Any:
        return self

    def report_conversion(self, provider_message_id: str, at: int) -> Report:
        self.now += self.call_s
        self.reported.append((provider_message_id, at))
        outcome = self.outcomes.pop(0) if self.outcomes else Reported()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def convert(self, converted: Sequence[Converted], delay_s: int = 0) -> None:
        if not self.takes():
            raise NotQueuedError("reports not queued")
        self.queued += [(each, delay_s) for each in converted]

    def ask(self, *matches: Matched) -> list[str]:
        """The provider's ids that are to be reported."""
        self.converting.ask(matches)
        return [each.converted for each, _ in self.queued]

    def tell(self, *converted: Converted) -> Told:
        return self.converting.tell([(str(i), each) for i, each in enumerate(converted)])


def converted(id: str = "p-1", account: str = "texts", tries: int = 0) -> Converted:
    return Converted(converted=id, tenant=TENANT.id, account=account, at=NOW, tries=tries)


def given_back(id: str = "p-1", stage: Stage = Stage.VERIFIED, told: bool = False, **more: Any) -> Matched:
    facts: dict[str, Any] = {"account": "texts", "provider": "aws", "provider_id": id, "kind": "live"}
    event = KeptEvent(stage="sent", nth=0, at=NOW - 60_000, **facts | more)
    return Matched(Receipt(stage=stage, at=NOW, tenant=TENANT.id, message_id="m"), TENANT.id, "m", event, told)


def test_each_code_is_asked_for_with_the_time_when_it_was_given_back() -> None:
    world = World()
    assert world.ask(given_back("p-1"), given_back("p-2")) == ["p-1", "p-2"]
    assert world.queued[0] == (converted("p-1"), 0)


@pytest.mark.parametrize(
    "match",
    [
        given_back(stage=Stage.DELIVERED),
        given_back(told=True),
        given_back(kind="test"),
        given_back(account=None),
        given_back(id=""),
        given_back(account="gone"),
    ],
    ids=["no code", "told before", "of a test key", "not sent", "not known to the provider", "its account is gone"],
)
def test_nothing_else_is_asked_for(match: Matched) -> None:
    assert World().ask(match) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"state": AccountState.DISABLED},
        {"settings": {"report_conversion": False}},
        {"provider": "tencent"},
        {"provider": "smtp"},
        {"provider": "unheard-of"},
    ],
    ids=["off", "switched off", "not switched on", "takes no reports", "unknown"],
)
def test_an_account_that_wants_no_reports_gets_none_even_of_those_that_wait(changes: dict[str, Any]) -> None:
    world = World()
    world.accounts["texts"] = ACCOUNT.model_copy(update=changes)
    assert world.ask(given_back()) == []
    assert world.tell(converted()) == Told() and world.reported == []


def test_a_queue_that_does_not_take_it_is_told_so() -> None:
    world = World()
    world.takes = lambda: False
    with pytest.raises(NotQueuedError):
        world.ask(given_back())


@pytest.mark.parametrize(
    "trouble",
    [
        BUSY,
        Unknown(Reason.UNRECOGNISED_ANSWER, ""),
        AccountDown(Reason.CREDENTIALS_REFUSED, "x"),
        RuntimeError("broken"),
    ],
)
def test_what_may_pass_is_tried_again_with_growing_waits_then_comes_back(trouble: Any) -> None:
    world = World(*[trouble] * (len(WAITS_S) + 1))
    todo, waits = converted(), list[int]()
    while not (told := world.tell(todo)).failed:
        todo, wait = world.queued[-1]
        waits.append(wait)
        assert len(waits) <= len(WAITS_S) and told.refused == {}
    assert tuple(waits) == WAITS_S and len(world.reported) == len(WAITS_S) + 1
    assert world.tell(todo) == Told(), "it is made as soon as the provider answers"


def test_what_a_provider_does_not_want_is_counted_and_not_tried_again() -> None:
    world = World(Rejected(Reason.UNRESOLVED, "ResourceNotFoundException"))
    told = world.tell(converted("p-1"), converted("p-2"))
    assert told.refused == {"default/texts": 1} and told.failed == [] and world.queued == []
    assert [id for id, _ in world.reported] == ["p-1", "p-2"], "the others are reported all the same"


def test_an_account_in_trouble_is_not_asked_again_for_each_and_holds_up_no_other() -> None:
    world = World(BUSY)
    world.accounts["more"] = ACCOUNT.model_copy(update={"id": "more"})
    told = world.tell(converted("p-1"), converted("p-2"), converted("p-3", "more"))
    assert told == Told() and world.reported == [("p-1", NOW), ("p-3", NOW)]
    assert [(each.converted, each.tries, wait) for each, wait in world.queued] == [("p-1", 1, 5), ("p-2", 1, 5)]


def test_what_there_is_no_time_for_waits_and_it_is_no_try() -> None:
    world = World(call_s=SPEND_S)
    assert world.tell(converted("p-1"), converted("p-2", tries=len(WAITS_S))) == Told()
    assert world.reported == [("p-1", NOW)]
    assert world.queued == [(converted("p-2", tries=len(WAITS_S)), 1)]


def test_what_cannot_be_put_back_comes_back_by_itself() -> None:
    world = World(BUSY)
    world.takes = lambda: False
    assert world.tell(converted("p-1"), converted("p-2")).failed == ["0", "1"]
