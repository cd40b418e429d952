"""Cards that are to show who pressed them: tried some times, and of no consequence for messages."""

from collections import Counter
from typing import Any

import pytest

from functions.receipts.cards import WAITS_S, Cards
from functions.receipts.receiving import Receiver
from shared.model.accounts import Account
from shared.model.content import Content, WecomTemplateCard, WecomText
from shared.model.outcome import AccountDown, Change, Changed, Rejected, Retry
from shared.model.reasons import Reason
from shared.model.receipts import CardChange, as_json
from shared.model.templates import TemplateVersion
from shared.model.tenants import Tenant
from shared.model.words import Channel
from tests.samples import NOW, TENANT

CHANGE = CardChange(
    card="code", tenant="default", account="app", template="alarm", version=3, member="ada", at=NOW + 180_000
)
CARD = WecomTemplateCard(type="template_card", card={}, taken="{member} 已于 {time} 接手")
BUSY = Retry(Reason.PROVIDER_BUSY, "-1")
ACCOUNT = Account(
    id="app",
    tenant="default",
    name="app",
    channel=Channel.WECOM,
    provider="app",
    settings={},
    created_at=0,
    updated_at=0,
)


class World:
    """What the function works with. outcomes: of the calls of WeCom, one after the other."""

    def __init__(self, *outcomes: Change | Exception, content: Content = CARD) -> None:
        self.outcomes, self.content = list(outcomes), content
        self.asked: list[tuple[str, str]] = []
        self.queued: list[tuple[CardChange, int]] = []
        self.account: Account | None = ACCOUNT
        self.cards = Cards(self, self, self)

    def tenant(self, tenant_id: str) -> Tenant:
        return TENANT.model_copy(update={"time_zone": "Asia/Shanghai"})

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion:
        assert (tenant, template_id) == ("default", "alarm")
        return TemplateVersion(template=template_id, version=version, content=self.content, created_at=0)

    def find(self, tenant: str, account_id: str) -> Account | None:
        return self.account

    def provider(self, account: Account) -> Any:
        return self

    def change_card(self, response_code: str, text: str) -> Change:
        self.asked.append((response_code, text))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def change(self, change: CardChange, delay_s: int = 0) -> None:
        self.queued.append((change, delay_s))

    def run(self, change: CardChange) -> Counter[str]:
        """What is counted as not changed once all tries are made."""
        nothing: Any = _Nothing()
        found: Counter[str] = Counter()
        todo = [change]
        while todo:
            before = len(self.queued)
            receiver = Receiver(nothing, nothing, nothing, self.cards, nothing, nothing, nothing, _Clock())
            received = receiver.run({"Records": [{"messageId": "0", "body": as_json(todo.pop())}]})
            assert received.failed == []
            found += received.unchanged
            todo = [each for each, _ in self.queued[before:]]
        return found


class _Clock:
    def now_ms(self) -> int:
        return NOW


class _Nothing:
    """Has nothing to do."""

    def everybody(self, matches: Any) -> Any:
        return [], []

    def ask(self, matches: Any) -> None:
        assert matches == []

    def wait(self, waiting: Any, delay_s: int) -> None:
        assert waiting.waiting == []

    def add(self, matches: Any, now: int) -> None:
        assert matches == []

    def take(self, matches: Any) -> Any:
        return []


def test_it_shows_who_took_it_and_when_by_the_tenants_clock() -> None:
    world = World(Changed())
    assert world.run(CHANGE) == {}
    assert world.asked == [("code", "ada 已于 18:03 接手")]


@pytest.mark.parametrize("trouble", [BUSY, AccountDown(Reason.CREDENTIALS_REFUSED, "40001"), RuntimeError("broken")])
def test_what_may_pass_is_tried_again_some_times_and_then_counted(trouble: Any) -> None:
    world = World(trouble, Changed())
    assert world.run(CHANGE) == {} and [wait for _, wait in world.queued] == [5]
    world = World(*[trouble] * 9)
    assert world.run(CHANGE) == {"default/app": 1}
    assert [wait for _, wait in world.queued] == list(WAITS_S) and len(world.asked) == len(WAITS_S) + 1


def test_what_wecom_refuses_is_counted_at_once() -> None:
    world = World(Rejected(Reason.CONTENT_INVALID, "40058"))
    assert world.run(CHANGE) == {"default/app": 1} and world.queued == []


def test_a_template_that_wants_none_has_none() -> None:
    for content in (WecomText(type="text", content="x"), CARD.model_copy(update={"taken": None})):
        world = World(content=content)
        assert world.cards.change(CHANGE) and world.asked == []


def test_an_account_that_is_gone_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.account = None
    assert world.cards.change(CHANGE) and world.asked == [] and [wait for _, wait in world.queued] == [5]
