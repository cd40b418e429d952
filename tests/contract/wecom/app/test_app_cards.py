"""A card shows who pressed it: one call for all who have it, by a code that is good for once."""

from collections.abc import Iterator

import pytest

from local.sandbox.base import Fault
from local.sandbox.wecom import WecomSandbox
from shared.model.outcome import AccountDown, Changed, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing
from shared.providers.wecom.app.provider import AppProvider
from tests.contract.wecom.app.test_app_receipts import BUTTONS, id_of
from tests.contract.wecom.kit import make_app, wecom
from tests.fakes import FakeClock

DAY_S = 86_400
STEP = "message/update_template_card"


class Card:
    """A card that two members have."""

    def __init__(self, sandbox: WecomSandbox, provider: AppProvider, clock: FakeClock) -> None:
        self.sandbox, self.provider, self.clock = sandbox, provider, clock
        content = wecom("template_card", card=BUTTONS, taken="Taken by {member}")
        outcomes = provider.send([Outgoing(id_of(n), to, content) for n, to in enumerate(("ada", "bob"))])
        assert all(isinstance(each, Sent) for each in outcomes)
        self.task_id = sandbox.outbox.all()[0].data["body"]["task_id"]

    def shown(self) -> list[str | None]:
        return [each.data.get("buttons_became") for each in self.sandbox.outbox.all()]


@pytest.fixture
def card() -> Iterator[Card]:
    clock = FakeClock()
    with WecomSandbox(clock=clock) as sandbox:
        provider = make_app(sandbox.url, clock)
        yield Card(sandbox, provider, clock)
        provider.close()


def test_all_who_have_it_see_who_took_it(card: Card) -> None:
    assert card.task_id.endswith("@_") and card.shown() == [None, None]
    code = card.sandbox.response_code(card.task_id)
    assert card.provider.change_card(code, "Taken by ada") == Changed()
    assert card.shown() == ["Taken by ada"] * 2
    # A code is good for once, and each press brings another.
    assert card.provider.change_card(code, "Taken by bob") == Rejected(Reason.CONTENT_INVALID, "40058")
    assert card.provider.change_card(card.sandbox.response_code(card.task_id), "Taken by bob") == Changed()
    assert card.shown() == ["Taken by bob"] * 2


def test_a_code_is_over_after_three_days(card: Card) -> None:
    code = card.sandbox.response_code(card.task_id)
    card.clock.advance(3 * DAY_S + 1)
    assert isinstance(card.provider.change_card(code, "x"), Rejected)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("code", code="45009", at=STEP), Retry),
        (Fault("code", code="60020", at=STEP), AccountDown),
        (Fault("status", status=502, at=STEP), Unknown),
        (Fault("reset_before", at=STEP), Unknown),
    ],
    ids=str,
)
def test_what_goes_wrong_has_its_reason_and_may_be_tried_again(card: Card, fault: Fault, outcome: type) -> None:
    code = card.sandbox.response_code(card.task_id)
    card.sandbox.faults.add(fault)
    assert isinstance(card.provider.change_card(code, "x"), outcome) and card.shown() == [None, None]
    assert card.provider.change_card(code, "x") == Changed()
