"""What a WeCom app says by callbacks, from its sandbox through the API's door to the timeline and the list."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import httpx
import pytest

from local.sandbox.wecom import AGENT_ID, CORP_ID, CORP_SECRET, WecomSandbox
from local.sandbox.wecom_callbacks import AES_KEY, TOKEN, Calling
from local.stack import LocalStack
from shared.model.ids import callback_token
from shared.store.catalog import Catalog
from tests.e2e.test_receipts import Sender

pytestmark = pytest.mark.xdist_group("local-stack")

CARD = {
    "card_type": "button_interaction",
    "main_title": {"title": "Leave of {{ name }}"},
    "button_list": [{"text": "Approve", "key": "approve"}, {"text": "Refuse", "key": "refuse"}],
}
CONTENT = {"type": "template_card", "card": {**CARD, "main_title": {"title": "A leave is to be approved"}}}
SECRET = {"corp_secret": CORP_SECRET, "callback_token": TOKEN, "callback_aes_key": AES_KEY}


class App(Sender):
    """Sends cards through the app of the examples, which WeCom calls back."""

    wecom = Calling(CORP_ID, AGENT_ID)

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack, "wecom-app", CONTENT, "notification")
        self._http.patch("/v1/accounts/wecom-app", json={"secret": SECRET}).raise_for_status()
        catalog = Catalog(stack.client("dynamodb"), stack.environment("manage")["CATALOG_TABLE"], stack.clock)
        tenant = catalog.tenant("default")
        assert tenant is not None
        self.url = f"{stack.url}/callbacks/default/wecom-app/{callback_token(tenant.salt, 'wecom-app', 0)}"

    @property
    def now_s(self) -> int:
        return self.stack.clock.now_ms() // 1000

    def ask(self, wecom: Calling, text: str) -> httpx.Response:
        return httpx.get(f"{self.url}?{wecom.question(text, self.now_s)}")

    def call(self, event: str, member: str, fields: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Have WeCom tell of an event, and everything happen that follows."""
        query, body = self.wecom.event(event, self.now_s, member, fields)
        answer = httpx.post(f"{self.url}?{query}", content=body, headers={"content-type": "text/xml"})
        self.drain()
        return answer.status_code, answer.text

    def press(self, member: str, key: str, task_id: str | None = None) -> tuple[int, str]:
        """Have a member press a button of the last card that it got."""
        [card] = [d.data["body"] for d in self.stack.outbox.all("app") if d.to == member][-1:]
        own = task_id is None
        sandbox = self.stack.sandboxes["wecom"]
        assert isinstance(sandbox, WecomSandbox)
        code = {"ResponseCode": sandbox.response_code(card["task_id"])} if own else {}
        return self.call("template_card_event", member, {"EventKey": key, "TaskId": task_id or card["task_id"], **code})

    def timeline(self, message_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.message(message_id)["timeline"]
        return found


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    with LocalStack(threads=False, memory=True) as stack, closing(App(stack)) as it:
        yield it


def test_wecom_finds_that_the_url_is_ours(app: App) -> None:
    answer = app.ask(app.wecom, "1616140317555161061")
    assert (answer.status_code, answer.text) == (200, "1616140317555161061")
    assert answer.headers["content-type"].startswith("text/plain")
    assert app.ask(Calling(CORP_ID, AGENT_ID, token="another"), "1").status_code == 403


def test_what_is_pressed_is_told_of_the_members_own_message(app: App) -> None:
    ada, bob, cyd = app.send("ada", "bob", "cyd")
    assert app.press("bob", "approve") == app.press("bob", "approve") == (200, "")
    assert app.press("ada", "refuse", task_id="somebody-elses") == (200, "")

    assert [app.message(each)["status"] for each in (ada, bob, cyd)] == ["sent", "acknowledged", "sent"]
    clicked = [each for each in app.timeline(bob) if each["stage"] == "clicked"]
    assert "What was pressed: approve, by bo***." in clicked[-1]["text"]
    assert [each["stage"] for each in app.timeline(bob)].count("acknowledged") == 1
    assert not any("buttons_became" in d.data for d in app.stack.outbox.all("app"))
    assert "does not tell whether a message arrives" in str(app.message(ada))


def test_who_has_left_the_app_gets_nothing_more_by_wecom(app: App) -> None:
    [message_id] = app.send("dan")
    assert app.call("unsubscribe", "Dan") == (200, "")
    # WeCom's time has seconds alone, so this may come before what happened in the same one.
    assert "unsubscribed" in [each["stage"] for each in app.timeline(message_id)]
    [listed] = app.post("/v1/suppressions/query", {"channel": "wecom"})["suppressions"]
    assert (listed["address"], [each["reason"] for each in listed["entries"]]) == ("dan", ["provider"])
    # Dispatch remembers for a while who is on the list.
    app.stack.clock.advance(60)
    [again] = app.send("dan")
    assert app.message(again)["status"] == "suppressed"


def test_what_wecom_thinks_of_the_app_troubles_no_message(app: App) -> None:
    assert app.call("inactive_alert", "sys") == (200, "")
    assert app.stack.client("sqs").get_queue_attributes(
        QueueUrl=app.stack.outputs["ReceiptsUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "0"}
