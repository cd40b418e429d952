"""What AWS says of texts, as its pages show it, and what we read in it."""

import json
from typing import Any

import pytest

from local.sandbox.aws_sms_receipts import as_published, by_topic, on_the_bus, reply
from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.reading import read_queued, read_receipts

OURS = "01JHN000000000000000000000TAGTAGTAGTAGTAGT"
TO, FROM, THEIRS = "+14255550156", "+12065550152", "862a8790-60c0-4430-9b2b-658bdexample"
AT, NOW = 1_686_975_103_470, 1_686_975_200_000
CONTEXT = {"mepush_message_id": OURS, "mepush_tenant": "acme"}


def event(status: str, parts: int = 1, context: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    params = {"DestinationPhoneNumber": TO, "OriginationIdentity": FROM, "Context": context or {}}
    return as_published(status, params, THEIRS, AT, parts) | more


def queued(body: str) -> list[Receipt]:
    arrived = read_queued(body, NOW)
    assert isinstance(arrived, Arrived)
    found = read_receipts(arrived)
    return [each for each in found if isinstance(each, Receipt)]


def by_bus(found: dict[str, Any]) -> str:
    detail = on_the_bus(found)
    return json.dumps(
        {"source": "aws.sms-voice", "detail-type": "Text Message Delivery Status Updated", "detail": detail}
    )


def one(status: str, **more: Any) -> Receipt:
    (receipt,) = queued(by_topic(event(status, **more)))
    return receipt


@pytest.mark.parametrize(
    ("status", "stage", "reason", "transient"),
    [
        ("DELIVERED", Stage.DELIVERED, None, False),
        ("SUCCESSFUL", Stage.DELIVERED, None, False),
        ("INVALID", Stage.UNDELIVERED, Reason.ADDRESS_UNKNOWN, False),
        ("INVALID_MESSAGE", Stage.UNDELIVERED, Reason.CONTENT_INVALID, False),
        ("SPAM", Stage.UNDELIVERED, Reason.CONTENT_REFUSED, False),
        ("BLOCKED", Stage.UNDELIVERED, Reason.RECIPIENT_BLOCKED, False),
        ("CARRIER_BLOCKED", Stage.UNDELIVERED, Reason.CARRIER_BLOCKED, False),
        ("PROTECT_BLOCKED", Stage.UNDELIVERED, Reason.REGION_NOT_ENABLED, False),
        ("UNREACHABLE", Stage.UNDELIVERED, Reason.RECIPIENT_UNREACHABLE, True),
        ("CARRIER_UNREACHABLE", Stage.UNDELIVERED, Reason.NO_ROUTE, True),
        ("TTL_EXPIRED", Stage.UNDELIVERED, Reason.RECIPIENT_UNREACHABLE, True),
        ("UNKNOWN", Stage.UNDELIVERED, Reason.NOT_DELIVERED, True),
        ("FAILED", Stage.UNDELIVERED, Reason.NOT_DELIVERED, False),
        ("UNROUTABLE", Stage.UNDELIVERED, Reason.NO_ROUTE, False),
        ("BRAND_NEW", Stage.UNDELIVERED, Reason.NOT_DELIVERED, True),
    ],
)
def test_each_status_has_a_meaning(status: str, stage: Stage, reason: Reason | None, transient: bool) -> None:
    receipt = one(status)
    assert (receipt.stage, receipt.reason, receipt.transient) == (stage, reason, transient)
    assert (receipt.code, receipt.at, receipt.suppresses) == (f"TEXT_{status}", AT, None)
    assert receipt.may_arrive is (status in ("UNKNOWN", "BRAND_NEW")), "all others are told when it is over"


@pytest.mark.parametrize("status", ["QUEUED", "PENDING", "SENT", "ACCEPTED"])
def test_texts_on_their_way_are_no_news(status: str) -> None:
    assert queued(by_topic(event(status, isFinal=False))) == []


def test_a_new_status_that_is_not_the_last_leaves_the_text_open() -> None:
    receipt = one("HELD_BY_CUSTOMS", isFinal=False)
    assert (receipt.stage, receipt.code, receipt.reason) == (Stage.DELAYED, "TEXT_HELD_BY_CUSTOMS", None)


def test_people_see_that_a_carrier_took_a_text_and_no_more() -> None:
    assert (one("SUCCESSFUL").note, one("DELIVERED").note) == ("as far as the recipient's carrier", None)


def test_a_topic_names_our_message_and_the_bus_the_providers_alone() -> None:
    found = event("DELIVERED", context=CONTEXT)
    (topic,), (bus,), (raw,) = queued(by_topic(found)), queued(by_bus(found)), queued(json.dumps(found))
    assert (topic.tenant, topic.message_id, topic.provider_id, topic.address) == ("acme", OURS, THEIRS, TO)
    assert raw == topic
    assert (bus.tenant, bus.message_id, bus.provider_id, bus.address) == (None, None, THEIRS, None)


def test_somebody_elses_context_is_not_ours() -> None:
    receipt = one("DELIVERED", context={"account": "bar"})
    assert (receipt.tenant, receipt.message_id, receipt.provider_id) == (None, None, THEIRS)


@pytest.mark.parametrize("status", ["UNREACHABLE", "CARRIER_UNREACHABLE", "TTL_EXPIRED"])
def test_a_part_that_failed_is_for_good_whatever_becomes_of_the_others(status: str) -> None:
    assert (one(status).transient, one(status, parts=2).transient) == (True, False)


def test_a_part_of_which_nothing_is_known_has_not_failed() -> None:
    assert one("UNKNOWN", parts=2).transient


def test_only_what_says_so_ends_a_recipients_consent() -> None:
    receipt = one("UNREACHABLE", messageStatusDescription="Phone number is opted out")
    assert (receipt.reason, receipt.transient) == (Reason.RECIPIENT_OPTED_OUT, False)
    assert receipt.suppresses is SuppressionReason.UNSUBSCRIBE


@pytest.mark.parametrize(
    "text", ["STOP", "stop", " Stop. ", "\uff33\uff34\uff2f\uff30", "stop all", "Arret", "td", "OPT-OUT", "退订"]
)
def test_a_reply_that_wants_no_more_unsubscribes(text: str) -> None:
    (receipt,) = queued(by_topic(reply(TO, FROM, text, THEIRS)))
    assert (receipt.stage, receipt.suppresses) == (Stage.UNSUBSCRIBED, SuppressionReason.UNSUBSCRIBE)
    assert (receipt.provider_id, receipt.address, receipt.at, receipt.tenant) == (THEIRS, TO, NOW, None)


@pytest.mark.parametrize("text", ["", "Please don't stop", "When does it end?", "1", "STOPP", "yes", "🛑"])
def test_other_replies_are_not_for_us(text: str) -> None:
    assert queued(by_topic(reply(TO, FROM, text, THEIRS))) == []


def test_a_keyword_that_aws_found_counts_too() -> None:
    (receipt,) = queued(by_topic(reply(TO, FROM, "Stop sending me these", THEIRS) | {"messageKeyword": "STOP"}))
    assert (receipt.stage, receipt.code) == (Stage.UNSUBSCRIBED, "STOP")


def test_a_reply_that_names_no_text_is_not_lost_in_silence() -> None:
    (receipt,) = queued(by_topic(reply(TO, FROM, "STOP", None)))
    assert (receipt.provider_id, receipt.stage) == (None, Stage.UNSUBSCRIBED)


@pytest.mark.parametrize("kind", ["VOICE_ANSWERED", "MEDIA_DELIVERED", "", "TEXT"])
def test_what_is_not_about_a_text_is_no_news_but_for_one_without_a_status(kind: str) -> None:
    found = queued(by_topic(event("DELIVERED", eventType=kind)))
    assert [each.stage for each in found] == ([Stage.UNDELIVERED] if kind == "TEXT" else [])


def test_rich_messages_are_read_too() -> None:
    found = {kind: queued(by_topic(event("READ", eventType=kind))) for kind in ("RCS_READ", "RCS_FALLEN_BACK_TO_SMS")}
    assert [[each.stage for each in some] for some in found.values()] == [[Stage.OPENED], []]


@pytest.mark.parametrize(
    "more",
    [
        {"eventTimestamp": None},
        {"eventTimestamp": "yesterday"},
        {"eventTimestamp": True},
        {"messageId": ""},
        {"messageId": 7},
    ],
)
def test_what_lacks_the_needful_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        queued(by_topic(event("DELIVERED", **more)))


@pytest.mark.parametrize("body", ["", "null", "[]", "nonsense", "{}", '{"messageStatus": '])
def test_what_a_topic_passes_on_of_others_is_refused(body: str) -> None:
    with pytest.raises(UnreadableError):
        queued(json.dumps({"Type": "Notification", "Message": body}))
    with pytest.raises(UnreadableError):
        queued(body)
