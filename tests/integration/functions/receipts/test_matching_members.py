"""Receipts that name a member: of whom a card went to several at once, and who has left an app's scope."""

from typing import Any

import pytest

from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import accepted_rows, record_of
from shared.model.ids import Tagger
from shared.model.receipts import Alert, Arrived, Receipt, as_json
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, Stage
from shared.providers.wecom.app import events
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.receipts.harness import ReceiptsHarness, ids
from tests.integration.functions.trace.test_aggregate import rows
from tests.samples import NOW, envelope

MEMBERS = ("ada", "bob", "cyd")


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> ReceiptsHarness:
    return ReceiptsHarness(aws, clock)


def sent(harness: ReceiptsHarness, *members: str, account: str = "app-1", **changes: Any) -> Envelope:
    """Messages of one request to members, sent by one call."""
    tag = Tagger(harness.tenant.salt, "wecom")
    found = [EnvelopeRecipient(index=i, address=each, tag=tag(each)) for i, each in enumerate(members)]
    one = envelope(channel=Channel.WECOM, recipients=found, **changes)
    via: Any = {"account": account, "provider": "app", "provider_id": f"msg-{one.id}"}
    harness.tell(record_of(one, accepted_rows(one) + rows(one, "sent", **via)))
    return one


def pressed(message_id: str, member: str, at: int = NOW + 60_000, **more: Any) -> Receipt:
    given: dict[str, Any] = {"provider": "app", "tenant": "default", "account": "app-1", "same_request": True}
    return Receipt(stage=Stage.CLICKED, at=at, message_id=message_id, address=member, note="yes", **given | more)


def test_of_a_card_to_several_each_members_own_message_is_meant(harness: ReceiptsHarness) -> None:
    every = ids(sent(harness, *MEMBERS))
    # Later ones are not meant.
    later = envelope(start=0, id="01JJN0000000000000000G0000", request="01JJN0000000000000000G0000").id
    sent(harness, *MEMBERS, id=later, request=later, accepted_at=NOW + 1000)

    # WeCom's ids have no case of their own.
    harness.receive(pressed(every[0], "Bob"), pressed(every[0], "cyd", account=None))
    harness.receive(pressed(every[0], "Bob"))
    harness.tell_all()

    assert [harness.stages(each).count("clicked") > 0 for each in every] == [False, True, True]
    assert harness.queue.waiting == []


@pytest.mark.parametrize(
    "more",
    [{"member": "dan"}, {"member": ""}, {"member": "party:1|2"}, {"account": "app-2"}, {"tenant": "nobody"}],
    ids=str,
)
def test_whoever_got_no_such_card_is_nobody(harness: ReceiptsHarness, more: dict[str, Any]) -> None:
    [first, *_] = ids(sent(harness, *MEMBERS))
    harness.receive(pressed(first, more.pop("member", "bob"), **more))
    assert harness.stream.records == []
    assert len(harness.queue.waiting) == 1


def test_a_card_to_one_is_found_by_its_id_whoever_presses_it(harness: ReceiptsHarness) -> None:
    [message_id] = ids(sent(harness, "party:2"))
    harness.receive(pressed(message_id, "bob", same_request=False), pressed(message_id, "ada", same_request=False))
    harness.tell_all()
    assert "clicked" in harness.stages(message_id)


def test_who_has_left_is_listed_by_the_last_message(harness: ReceiptsHarness) -> None:
    [message_id] = ids(sent(harness, "ada"))
    left = events.as_json(events.Event(event="unsubscribe", at=NOW + 60_000, member="Ada"))
    arrived = Arrived(provider="app", tenant="default", account="app-1", at=NOW, body=left)
    harness.receive_bodies(as_json(arrived))
    harness.tell_all()
    assert harness.stages(message_id)[-1] == "unsubscribed"
    assert harness.listed(Channel.WECOM) == {"ada": [SuppressionReason.PROVIDER]}


def test_what_is_said_of_accounts_is_handed_on_and_is_about_no_message(harness: ReceiptsHarness) -> None:
    said = events.as_json(events.Event(event="inactive_alert", at=NOW))
    arrived = Arrived(provider="app", tenant="default", account="app-1", at=NOW, body=said)
    received = harness.receive_bodies(as_json(arrived))
    assert received.alerts == [Alert(provider="app", tenant="default", account="app-1", event="inactive_alert")]
    assert (harness.stream.records, harness.queue.waiting, received.failed) == ([], [], [])
