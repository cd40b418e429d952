"""Cards that can be pressed carry our ids, and what the events of an app say of messages and accounts."""

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from local.sandbox.base import Outbox
from local.sandbox.wecom import WecomSandbox
from shared.model.content import RenderedWecom
from shared.model.ids import MESSAGE_ID_LENGTH
from shared.model.receipts import Alert, Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.base import Outgoing
from shared.providers.reading import read_receipts
from shared.providers.wecom.app.events import ALERTS, Event, as_json
from shared.providers.wecom.app.provider import Secret
from shared.providers.wecom.app.receipts import NOTE_BYTES
from shared.providers.wecom.app.tasks import Task, read_task_id, task_id_of
from shared.providers.wecom.limits import TASK_ID
from tests.contract.wecom.kit import make_app, wecom
from tests.fakes import FakeClock

NOTICE: dict[str, Any] = {"card_type": "text_notice", "main_title": {"title": "t"}}
NOTICE["card_action"] = {"type": 1, "url": "https://example.com"}
BUTTONS: dict[str, Any] = {"card_type": "button_interaction", "main_title": {"title": "t"}}
BUTTONS["button_list"] = [{"text": "Yes", "key": "yes"}]
MENU = {**NOTICE, "action_menu": {"desc": "d", "action_list": [{"text": "a", "key": "a"}]}}


def id_of(n: int) -> str:
    return f"01JHN00000000000000000{n:04d}TAGTAGTAGTAGTAG{n % 10}"


def sent(card: dict[str, Any], *to: str, outbox: Outbox | None = None) -> dict[str, Any]:
    """Whom each card went to that left: task id -> recipients, joined."""
    content: RenderedWecom = wecom("template_card", card=card)
    with WecomSandbox(outbox) as sandbox:
        provider = make_app(sandbox.url, FakeClock())
        groups = provider.group([Outgoing(id_of(n), each, content) for n, each in enumerate(to)])
        for group in groups:
            assert all(outcome is not None and type(outcome).__name__ == "Sent" for outcome in provider.send(group))
        provider.close()
        found: dict[str, list[str]] = {}
        for each in sandbox.outbox.all():
            found.setdefault(each.data["body"].get("task_id"), []).append(each.to)
    return {task_id: " ".join(sorted(some)) for task_id, some in found.items()}


@pytest.mark.parametrize("card", [BUTTONS, MENU])
def test_a_card_that_can_be_pressed_carries_the_id_of_its_message(card: dict[str, Any]) -> None:
    assert sent(card, "ada") == {id_of(0): "ada"}
    assert sent(card, "@all") == {id_of(0): "@all"}
    assert sent(card, "ada", "bob") == {id_of(0) + "@": "ada bob"}


def test_members_and_others_get_cards_of_their_own_task_ids() -> None:
    assert sent(BUTTONS, "ada", "party:1", "bob", "party:2") == {
        id_of(0) + "@": "ada bob",
        id_of(1): "party:1 party:2",
    }


def test_a_card_that_cannot_be_pressed_goes_to_all_at_once_without_a_task_id() -> None:
    assert sent(NOTICE, "ada", "party:1") == {None: "ada party:1"}


def test_a_callers_own_task_id_stays() -> None:
    assert sent({**BUTTONS, "task_id": "mine"}, "ada") == {"mine": "ada"}


def test_the_task_id_is_the_same_for_the_same_messages_and_such_as_wecom_takes() -> None:
    ids = [id_of(n) for n in range(3)]
    assert task_id_of(ids, members=True) == task_id_of(ids[::-1], members=True)
    for task_id in (task_id_of(ids, members=True), task_id_of(ids, members=False)):
        assert TASK_ID.match(task_id)
        assert len(task_id) <= MESSAGE_ID_LENGTH + 1


@pytest.mark.parametrize("task_id", ["", "mine", "@", id_of(1)[:-1], id_of(1) + "@@", id_of(1).lower(), "é"])
def test_other_task_ids_are_not_taken_for_ours(task_id: str) -> None:
    assert read_task_id(task_id) is None
    assert read(Event(event="template_card_event", at=5, member="ada", task_id=task_id)) == []


def test_a_card_that_is_sent_again_after_a_lost_answer_shows_once() -> None:
    content = wecom("template_card", card=BUTTONS)
    group = [Outgoing(id_of(n), to, content) for n, to in enumerate(("ada", "bob"))]
    others = [Outgoing(id_of(n + 5), to, content) for n, to in enumerate(("ada", "bob"))]
    with WecomSandbox() as sandbox:
        provider = make_app(sandbox.url, FakeClock())
        for some in (group, group[::-1], others):
            provider.send(some)
        provider.close()
        # Another message with the same content is another card.
        assert [each.to for each in sandbox.outbox.all()] == ["ada", "bob", "ada", "bob"]


def read(event: Event) -> list[Receipt | Alert]:
    arrived = Arrived(provider="app", tenant="acme", account="app-1", at=9, body=as_json(event))
    return list(read_receipts(arrived))


@pytest.mark.parametrize("name", ["template_card_event", "template_card_menu_event"])
@pytest.mark.parametrize("several", [False, True])
def test_what_is_pressed_is_a_click_on_the_message(name: str, several: bool) -> None:
    task_id = id_of(7) + ("@" if several else "")
    clicked, acknowledged = read(Event(event=name, at=5000, member="Ada", task_id=task_id, key="yes"))
    expected = Receipt(
        provider="app",
        stage=Stage.CLICKED,
        at=5000,
        tenant="acme",
        account="app-1",
        message_id=id_of(7),
        address="ada",
        same_request=several,
        code=name,
        note="yes",
        by="ada",
    )
    assert (clicked, acknowledged) == (expected, replace(expected, stage=Stage.ACKNOWLEDGED))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_a_press_acknowledges_unless_the_template_says_otherwise(several: bool, taken: bool) -> None:
    for acknowledges, stages in ((True, ["clicked", "acknowledged"]), (False, ["clicked"])):
        ids = [id_of(n) for n in range(7, 9 if several else 8)]
        task_id = task_id_of(ids, members=True, acknowledges=acknowledges, taken=taken)
        found = read(Event(event="template_card_event", at=5, member="ada", task_id=task_id, key="no"))
        assert [each.stage for each in found if isinstance(each, Receipt)] == stages
        assert read_task_id(task_id) == Task(id_of(7), several, acknowledges, taken)


def test_a_long_key_is_cut() -> None:
    [receipt, _] = read(Event(event="template_card_event", at=5, member="a", task_id=id_of(1), key="键" * 999))
    assert isinstance(receipt, Receipt) and receipt.note is not None
    assert 0 < len(receipt.note.encode()) <= NOTE_BYTES


def test_who_has_left_is_not_to_be_written_to() -> None:
    [receipt] = read(Event(event="unsubscribe", at=5, member="ada"))
    assert isinstance(receipt, Receipt)
    assert (receipt.stage, receipt.latest, receipt.address, receipt.suppresses) == (
        *(Stage.UNSUBSCRIBED, True, "ada", SuppressionReason.PROVIDER),
    )


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_what_wecom_thinks_of_the_app_is_said_of_the_account(name: str) -> None:
    assert read(Event(event=name, at=5)) == [Alert(provider="app", tenant="acme", account="app-1", event=name)]


def test_what_is_not_one_of_our_events_says_nothing_or_is_refused() -> None:
    assert read(Event(event="enter_agent", at=5)) == []
    for body in ("", "[]", "{}", '{"event": "unsubscribe", "at": "now"}'):
        with pytest.raises(UnreadableError):
            read_receipts(Arrived(provider="app", at=9, body=body))


KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"callback_token": "QDG6eK"}, "both"),
        ({"callback_aes_key": KEY}, "both"),
        ({"callback_token": "", "callback_aes_key": KEY}, "1 to 32"),
        ({"callback_token": "a" * 33, "callback_aes_key": KEY}, "1 to 32"),
        ({"callback_token": "a b", "callback_aes_key": KEY}, "1 to 32"),
        ({"callback_token": "a", "callback_aes_key": KEY[:-1]}, "43"),
        ({"callback_token": "a", "callback_aes_key": KEY + "="}, "43"),
    ],
)
def test_the_two_for_callbacks_are_given_together_and_as_wecom_shows_them(given: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        Secret.model_validate({"corp_secret": "s", **given})
    assert KEY[:20] not in str(caught.value)


def test_the_two_may_be_left_out_or_copied_with_blanks_around() -> None:
    assert Secret.model_validate({"corp_secret": "s"}).callback_token is None
    found = Secret.model_validate({"corp_secret": "s", "callback_token": " QDG6eK\n", "callback_aes_key": KEY})
    assert found.callback_token is not None and found.callback_token.get_secret_value() == "QDG6eK"
