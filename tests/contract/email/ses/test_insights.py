"""Exports of SES's message insights: the shapes that a file may have, and whose messages are in it."""

import json
from typing import Any

import pytest

from shared.model.receipts import Arrived
from shared.model.wire import UnreadableError
from shared.providers.base import PullError
from shared.providers.email.ses.insights import _texts
from shared.providers.email.ses.receipts import read

ID = "01KAV2M3X80000000000000000ABCDEFGHJKMNPQRS"
TAGS = [{"Name": "mepush_message_id", "Value": ID}, {"Name": "mepush_deployment", "Value": "mepush"}]


def record(*events: dict[str, Any], tags: Any = TAGS, **more: Any) -> dict[str, Any]:
    insights = [{"Destination": "ada@example.com", "Isp": "Gmail", "Events": list(events)}]
    return {"MessageId": "0100-ses", "EmailTags": tags, "Insights": insights, **more}


DELIVERED = {"Timestamp": "2026-11-30T09:00:00Z", "Type": "DELIVERY"}
BOUNCED = {
    "Timestamp": 1_796_029_200,
    "Type": "BOUNCE",
    "Details": {"Bounce": {"BounceType": "PERMANENT", "BounceSubType": "General", "DiagnosticCode": "550 5.1.1 no"}},
}


def said(file: bytes) -> list[Any]:
    bodies = [body for texts in _texts(file, "mepush") for body in texts]
    arrived = [Arrived(provider="ses", tenant="acme", account="mail", at=5, body=body) for body in bodies]
    return [receipt for each in arrived for receipt in read(each)]


@pytest.mark.parametrize(
    "write",
    [
        lambda records: json.dumps(records),
        lambda records: json.dumps({"MessageInsights": records}),
        lambda records: "\n".join(map(json.dumps, records)) + "\n",
    ],
)
def test_a_file_is_an_array_or_holds_one_or_has_a_record_in_each_line(write: Any) -> None:
    found = said(write([record(DELIVERED), record(BOUNCED)]).encode())
    assert [(each.stage, each.message_id, each.at) for each in found] == [
        ("delivered", ID, 1_796_029_200_000),
        ("undelivered", ID, 1_796_029_200_000),
    ]
    assert (found[1].reason, found[1].suppresses) == ("address_unknown", "bounce")


def test_names_are_read_in_any_case_and_a_record_may_hold_its_events_itself() -> None:
    flat = {
        "messageId": "0100-ses",
        "destination": "ada@example.com",
        "events": [{"type": "delivery"} | _lower(DELIVERED)],
    }
    [found] = said(json.dumps([flat]).encode())
    # Without tags it is found by the address, of whose account was asked.
    assert (found.tenant, found.message_id, found.provider_id) == ("acme", None, "0100-ses")
    assert found.address == "ada@example.com"


def _lower(values: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in values.items()}


def test_mails_of_others_in_the_same_aws_account_are_left_out() -> None:
    foreign = record(DELIVERED, tags=[{"Name": "team", "Value": "x"}])
    elsewhere = record(DELIVERED, tags=[TAGS[0], {"Name": "mepush_deployment", "Value": "other"}])
    assert said(json.dumps([foreign, elsewhere, {"MessageId": "m"}, 7, record()]).encode()) == []


def test_openings_and_clicks_are_not_told_anew() -> None:
    assert said(json.dumps([record({"Timestamp": "2026-11-30T09:00:00Z", "Type": "OPEN"})]).encode()) == []


def test_many_are_told_a_hundred_at_a_time() -> None:
    texts = list(_texts(json.dumps([record(DELIVERED)] * 250).encode(), "mepush"))
    assert [len(json.loads(text)["messageInsights"]) for (text,) in texts] == [100, 100, 50]


def test_a_file_that_cannot_be_read_is_said() -> None:
    with pytest.raises(PullError):
        said(b"MessageId,Destination\n1,2\n")
    assert said(b"") == []
    with pytest.raises(UnreadableError):
        read(Arrived(provider="ses", tenant="acme", at=5, body='{"messageInsights": 7}'))
