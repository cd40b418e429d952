"""What is on the queue of receipts: what providers say, and what is no receipt at all."""

import json

import pytest

from shared.model.receipts import Arrived, Notice
from shared.model.wire import UnreadableError
from shared.providers.reading import read_queued

NOW = 1_764_000_000_000
TRIED = "Successfully validated SNS topic for Amazon SES event publishing."
SES_TRIED = json.dumps({"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have subscribed."})
EVENT = json.dumps({"eventType": "Delivery", "mail": {"messageId": "m"}, "delivery": {}})


def passed_on(message: str) -> str:
    """By a topic of SNS, as it comes without raw delivery."""
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": message})


@pytest.mark.parametrize("text", [TRIED, f"\n {TRIED}", SES_TRIED, "You have chosen to subscribe to the topic t."])
def test_messages_that_try_a_topic_are_no_receipts_raw_or_not(text: str) -> None:
    assert read_queued(text, NOW) == Notice("topic")
    assert read_queued(passed_on(text), NOW) == Notice("topic")


def test_an_event_of_ses_is_read_raw_or_not() -> None:
    wanted = Arrived(provider="ses", at=NOW, body=EVENT)
    assert read_queued(EVENT, NOW) == read_queued(passed_on(EVENT), NOW) == wanted


@pytest.mark.parametrize("text", ["", " ", "{", '{"eventType": "Delivery"', "[]", "{}", '{"notificationType": "New"}'])
def test_what_is_broken_or_of_an_unknown_kind_is_not_dropped(text: str) -> None:
    for queued in (text, passed_on(text)):
        with pytest.raises(UnreadableError):
            read_queued(queued, NOW)


def test_an_event_that_quotes_the_word_is_an_event_all_the_same() -> None:
    event = json.dumps({"eventType": "Delivery", "mail": {"subject": "AmazonSnsSubscriptionSucceeded"}})
    assert isinstance(read_queued(event, NOW), Arrived)
