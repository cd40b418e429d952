"""What the feed makes, to whom it goes, and what becomes of it."""

import json
from typing import Any

import pytest

from shared.model.audit import record_change
from shared.model.events import EventRow, StreamRecord
from shared.model.webhooks import WebhookState
from shared.model.words import KeyKind, Stage
from shared.store.kept_events import event_item, event_key
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.webhooks.harness import WebhooksHarness, body_of, record


@pytest.fixture
def hooks(aws: Aws, clock: FakeClock) -> WebhooksHarness:
    return WebhooksHarness(aws, clock)


def _bodies(hooks: WebhooksHarness) -> list[Any]:
    return [body_of(each) for each in hooks.waiting()]


def test_a_tenant_without_endpoints_costs_one_read_in_ten_seconds(hooks: WebhooksHarness, aws: Aws) -> None:
    from functions.webhooks.deps import feed_of
    from tests.integration.functions.webhooks.harness import Inline, Strike

    strike = Strike()
    feed = feed_of(hooks.parts(strike), Inline())
    for _ in range(3):
        import base64

        data = base64.b64encode(record(5).to_json()).decode()
        feed.run({"Records": [{"kinesis": {"data": data, "sequenceNumber": "1", "approximateArrivalTimestamp": 1.5}}]})
    assert strike.calls == 1


def test_each_endpoint_hears_of_what_it_asks_for(hooks: WebhooksHarness) -> None:
    hooks.hook("all")
    hooks.hook("failures", types=["message.failed"])
    hooks.hook("tests", kinds=["test"])
    for stage in Stage:
        hooks.feed(record(1, stage.value))
    hooks.feed(record(1, "sent"))
    live = [each["type"] for each in _bodies(hooks)]
    optional = {"accepted", "deferred", "retrying", "redriven", "delayed"}
    # Of openings and clicks the rows of number 0 say only that there was one.
    silent = {"opened", "clicked"}
    wanted = [f"message.{stage}" for stage in Stage if stage not in optional | silent]
    assert sorted(live) == sorted([*wanted, "message.failed", "message.sent"])


def test_messages_of_test_keys_are_told_to_who_asks_for_them(hooks: WebhooksHarness) -> None:
    hooks.hook("mine")
    one = record(1)
    one.kind = KeyKind.TEST
    hooks.feed(one)
    assert hooks.waiting() == []
    hooks.hook("tests", kinds=["test"])
    hooks.feed(one)
    [body] = _bodies(hooks)
    assert body["data"]["kind"] == "test"


def test_a_click_is_told_once(hooks: WebhooksHarness) -> None:
    hooks.hook()
    one = record(1, "clicked")
    [first] = one.events
    one.events.append(EventRow(index=0, tag=first.tag, stage="clicked", nth=61, at=first.at))
    hooks.feed(one, one)
    [body] = _bodies(hooks)
    assert body["type"] == "message.clicked"


def test_what_a_receipt_tells_says_whom_it_is_about(hooks: WebhooksHarness, aws: Aws) -> None:
    hooks.hook()
    sent = record(2, "sent", masked_address="a***@example.com", reference="order-7")
    for id, row in sent.message_ids():
        if row.index == 0:
            item = event_item(event_key(sent.tenant, id, row), sent, row, 2**31)
            aws.dynamodb.put_item(TableName="timeline", Item=item)
    told = [
        EventRow(index=i, tag=row.tag, stage=stage, nth=nth, at=row.at)
        for i, row in enumerate(sent.events)
        for stage, nth in (("delivered", 0), ("opened", 60))
    ]
    sent.events = told
    hooks.feed(sent)
    found = [(each["data"].get("to"), each["data"].get("reference")) for each in _bodies(hooks)]
    # Of the second the timeline knows nothing yet.
    assert found == [("a***@example.com", "order-7")] * 2 + [(None, None)] * 2


def test_nothing_of_the_content_and_everything_clipped(hooks: WebhooksHarness) -> None:
    hooks.hook()
    long = "\u0001😀" * 5_000
    hooks.feed(
        record(
            1,
            "failed",
            reason="a_reason_of_another_time",
            code=long,
            reference=long,
            provider_id=long,
            note="A person's words",
            masked_address="a***@example.com",
        )
    )
    [message] = hooks.waiting()
    body = body_of(message)
    assert len(json.dumps(body).encode()) < 20_000
    assert body["data"]["reason"] == "a_reason_of_another_time" and "reason_text" not in body["data"]
    assert "A person's words" not in message["body"]


def test_an_endpoint_that_is_removed_gets_nothing_more(hooks: WebhooksHarness) -> None:
    hooks.hook()
    hooks.endpoint.answer = lambda url: 500
    hooks.feed(record(1))
    hooks.deliver()
    stored = hooks.parts().webhooks.load_webhook("default", "mine")
    assert stored is not None
    gone = record_change(hooks.clock.now_ms(), "default", "k", "delete_webhook", "webhook/mine", {}, None)
    hooks.parts().webhooks.delete_webhook(stored.value, stored.rev, gone)
    hooks.deliver_all()
    assert len(hooks.endpoint.tried) == 1 and hooks.waiting() == []


def test_an_endpoint_that_hangs_holds_up_no_other(hooks: WebhooksHarness) -> None:
    hooks.hook("hangs")
    hooks.hook("works")
    hooks.endpoint.answer = lambda url: None if "hangs" in url else 200
    hooks.feed(record(30))
    from functions.webhooks.deps import sender_of
    from tests.integration.functions.webhooks.harness import Inline

    sender = sender_of(hooks.parts(), hooks.endpoint, Inline())
    messages = hooks.waiting()
    for start in range(0, len(messages), 10):
        sender.run({"Records": messages[start : start + 10]})
    tried = [url for url, _, _ in hooks.endpoint.tried]
    assert tried.count("https://works.example.com") == 30
    # Three tell that it hangs; the others wait, which counts as no try.
    assert tried.count("https://hangs.example.com") == 3


def test_what_is_held_is_kept_in_order_and_found_page_by_page(hooks: WebhooksHarness) -> None:
    hooks.hook(state=WebhookState.PAUSED)
    for _ in range(3):
        hooks.feed(record(40))
        hooks.clock.advance(86_400)
    assert hooks.waiting() == []
    store = hooks.parts().deliveries
    whole = list(store.newest("default", "mine", (hooks.clock.now_ms(), "~"), store.oldest_time()))
    places = [(each.delivery.at, each.delivery.id) for each in whole]
    assert len(places) == 120 and places == sorted(places, reverse=True)
    found, before = [], (hooks.clock.now_ms(), "~")
    while page := [each for each, _ in zip(store.newest("default", "mine", before, 0), range(7), strict=False)]:
        found += [(each.delivery.at, each.delivery.id) for each in page]
        before = found[-1]
    assert found == places
    hooks.clock.advance(20 * 86_400)
    assert list(store.newest("default", "mine", (hooks.clock.now_ms(), "~"), store.oldest_time())) == []


def test_a_record_that_cannot_be_read_holds_up_nothing(hooks: WebhooksHarness) -> None:
    class Broken(StreamRecord):
        def to_json(self) -> bytes:
            return b"{"

    hooks.hook()
    good = record(1)
    fields = {name: getattr(good, name) for name in good.__struct_fields__}
    hooks.feed(Broken(**fields), good)
    assert len(hooks.waiting()) == 1
    hooks.put_back([{"messageId": "x", "body": "{"}])
    hooks.deliver()
    # It comes back until the queue gives it up.
    assert [each["body"] for each in hooks.waiting()] == ["{"]


def test_the_others_of_a_tenant_and_other_tenants_are_apart(hooks: WebhooksHarness) -> None:
    hooks.hook("a")
    other = record(1)
    other.tenant = "other"
    hooks.feed(other)
    assert hooks.waiting() == []


def test_what_goes_wrong_with_one_takes_no_other_with_it(hooks: WebhooksHarness) -> None:
    hooks.hook("breaks")
    hooks.hook("works")

    def answer(url: str) -> int:
        if "breaks" in url:
            raise RuntimeError("a mistake of ours")
        return 200

    hooks.endpoint.answer = answer
    hooks.feed(record(2))
    hooks.deliver()
    assert len(hooks.endpoint.taken) == 2
    assert [state for _, state, _ in hooks.kept("breaks")] == ["waiting"] * 2


def test_an_event_that_comes_days_late_has_all_its_tries(hooks: WebhooksHarness) -> None:
    hooks.hook()
    one = record(1)
    hooks.clock.advance(6 * 86_400)
    hooks.endpoint.answer = lambda url: 500
    hooks.feed(one, arrived_days_ago=6)
    hooks.deliver_all()
    assert [(state, tries) for _, state, tries in hooks.kept()] == [("failed", 10)]
