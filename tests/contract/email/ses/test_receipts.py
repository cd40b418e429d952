"""What Amazon SES says of messages, as its guide has it and as people have seen it."""

import json
from typing import Any

import pytest

from shared.model.receipts import Arrived, Receipt
from shared.model.wire import UnreadableError
from shared.providers.email.ses.receipts import read

AT = "2026-11-30T09:00:00.123Z"
AT_MS = 1_796_029_200_123
ID = "01KAV2M3X80000000000000000ABCDEFGHJKMNPQRS"
TO = "ada@example.com"


def told(kind: str, **facts: Any) -> list[Receipt]:
    """What is made of an event."""
    name = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}.get(kind, kind.lower())
    tags = {
        "mepush_message_id": [ID],
        "mepush_origin": ["acme_mail_sale_3_m_l___"],
        "ses:configuration-set": ["mepush"],
    }
    mail = {"timestamp": AT, "messageId": "0100-ses", "destination": [TO], "tags": tags}
    event = {"eventType": kind, name: {"timestamp": AT, **facts}, "mail": mail}
    body = json.dumps({"source": "aws.ses", "detail-type": "Email ...", "detail": event})
    return read(Arrived(provider="ses", at=AT_MS + 5, body=body))


def bounce(kind: str, subtype: str, status: str | None = None, diagnostic: str | None = None) -> Receipt:
    recipient = {"emailAddress": TO, "action": "failed", "status": status, "diagnosticCode": diagnostic}
    [found] = told("Bounce", bounceType=kind, bounceSubType=subtype, bouncedRecipients=[recipient], feedbackId="f")
    return found


def test_a_receipt_names_its_message_by_our_own_id() -> None:
    [found] = told("Delivery", processingTimeMillis=546, smtpResponse="250 ok", recipients=[TO])
    assert (found.message_id, found.origin, found.provider_id) == (ID, "acme_mail_sale_3_m_l___", "0100-ses")
    assert found.took_ms == 546
    assert (found.stage, found.at, found.suppresses) == ("delivered", AT_MS, None)


@pytest.mark.parametrize(
    ("subtype", "status", "diagnostic", "reason", "listed"),
    [
        ("General", "5.1.1", "smtp; 550 5.1.1 user unknown", "address_unknown", "bounce"),
        ("NoEmail", None, None, "address_unknown", "bounce"),
        ("General", None, None, "not_delivered", "bounce"),
        ("Suppressed", None, None, "suppressed_provider", "provider"),
        ("OnAccountSuppressionList", "5.1.1", "Amazon SES did not send", "suppressed_provider", "provider"),
        ("OnTenantSuppressionList", None, None, "suppressed_provider", "provider"),
        ("EmailValidationSuppressed", None, None, "address_invalid", "provider"),
        ("UnsubscribedRecipient", None, None, "recipient_opted_out", "unsubscribe"),
        ("onaccountsuppressionlist", None, None, "suppressed_provider", "provider"),
        ("SomethingOfTheFuture", "5.1.1", "smtp; 550 5.1.1 no", "address_unknown", "bounce"),
        # For the content or the sender: nobody is listed for that.
        ("General", "5.7.1", "smtp; 550 5.7.1 Message rejected as spam", "content_refused", None),
        ("General", "5.7.26", "smtp; 550-5.7.26 This mail has been blocked: SPF and DKIM", "sender_refused", None),
    ],
)
def test_permanent_bounces(
    subtype: str, status: str | None, diagnostic: str | None, reason: str, listed: str | None
) -> None:
    found = bounce("Permanent", subtype, status, diagnostic)
    assert (found.stage, found.transient, found.reason, found.suppresses) == ("undelivered", False, reason, listed)
    assert found.code is not None and found.code.startswith(f"Permanent/{subtype}") and "@" not in found.code


@pytest.mark.parametrize(
    ("kind", "subtype", "status", "diagnostic", "reason"),
    [
        ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 full", "mailbox_full"),
        ("Transient", "General", None, None, "not_delivered"),
        ("Transient", "MessageTooLarge", "5.3.4", "smtp; 552 5.3.4 too big", "content_too_long"),
        ("Transient", "ContentRejected", None, None, "content_refused"),
        ("Transient", "AttachmentRejected", None, None, "content_refused"),
        ("Transient", "CustomTimeoutExceeded", None, None, "recipient_unreachable"),
        ("Undetermined", "Undetermined", None, None, "not_delivered"),
        # Seen with this code, which says nothing of the address.
        ("Transient", "General", "5.3.0", "smtp; 550 5.3.0 mail system", None),
    ],
)
def test_transient_bounces_list_nobody(
    kind: str, subtype: str, status: str | None, diagnostic: str | None, reason: str | None
) -> None:
    found = bounce(kind, subtype, status, diagnostic)
    assert (found.stage, found.transient, found.suppresses) == ("undelivered", True, None)
    assert reason in (None, found.reason)
    assert found.may_arrive is (subtype in ("General", "Undetermined")), "it may be a reply that somebody is away"


def test_what_ses_calls_transient_though_there_is_no_such_domain_is_for_good() -> None:
    found = bounce("Transient", "General", "5.4.4", "smtp; 550 5.4.4 Invalid domain")
    assert (found.transient, found.reason, found.suppresses) == (False, "address_unknown", "bounce")
    assert found.code == "Transient/General 550 5.4.4"


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other", None])
def test_a_complaint_lists_the_recipient_that_was_written_to(kind: str | None) -> None:
    # Everybody of a domain may be named.
    others = [{"emailAddress": "eve@example.com"}, {"emailAddress": TO}]
    [found] = told("Complaint", complainedRecipients=others, complaintFeedbackType=kind, complaintSubType=None)
    assert (found.stage, found.address, found.suppresses) == ("complained", TO, "complaint")
    assert found.code == kind


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_some_feedback_is_no_complaint(kind: str) -> None:
    assert told("Complaint", complainedRecipients=[{"emailAddress": TO}], complaintFeedbackType=kind) == []


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("MailboxFull", "4.2.2", "mailbox_full"),
        ("SpamDetected", None, "content_refused"),
        ("RecipientServerError", "4.3.2", "recipient_busy"),
        ("IPFailure", None, "address_not_trusted"),
        ("SendingDeferral", None, None),
        ("Undetermined", None, None),
    ],
)
def test_a_delay_is_no_end(kind: str, status: str | None, reason: str | None) -> None:
    [found] = told("DeliveryDelay", delayType=kind, delayedRecipients=[{"emailAddress": TO, "status": status}])
    assert (found.stage, found.reason, found.transient, found.suppresses) == ("delayed", reason, False, None)


def test_what_ses_did_not_send_after_all() -> None:
    [rejected], [failed] = told("Reject", reason="Bad content"), told("Rendering Failure", errorMessage="name of Ada")
    assert (rejected.stage, rejected.reason, rejected.code) == ("undelivered", "content_refused", "Reject Bad content")
    assert (failed.stage, failed.reason, failed.code) == ("undelivered", "rendering_failed", "Rendering Failure")


@pytest.mark.parametrize(("said", "machine"), [("Likely", True), ("Unlikely", False), (None, False)])
@pytest.mark.parametrize(("kind", "stage"), [("Open", "opened"), ("Click", "clicked")])
def test_what_a_machine_opened_is_said_to_be_so(kind: str, stage: str, said: str | None, machine: bool) -> None:
    [found] = told(kind, userAgent="UA", ipAddress="192.0.2.1", **({} if said is None else {"isBotEvent": said}))
    assert (found.stage, found.machine) == (stage, machine)


def test_who_unsubscribes_from_everything_is_listed() -> None:
    [found] = told("Subscription", newTopicPreferences={"unsubscribeAll": True, "topicSubscriptionStatus": []})
    assert (found.stage, found.suppresses, found.address) == ("unsubscribed", "unsubscribe", TO)
    assert told("Subscription", newTopicPreferences={"unsubscribeAll": False}) == []


def test_feedback_of_an_identity_has_no_tags_and_is_found_by_our_header() -> None:
    mail = {"destination": [TO], "messageId": "m", "headers": [{"name": "x-mepush-message-id", "value": ID}]}
    event = {"notificationType": "Delivery", "delivery": {"timestamp": AT}, "mail": mail}
    [found] = read(Arrived(provider="ses", at=0, body=json.dumps(event)))
    assert (found.message_id, found.tenant) == (ID, "default")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"eventType": "Delivery", "mail": {}, "delivery": {}}',
        '{"eventType": "Delivery", "mail": {"tags": {"mepush_message_id": ["x"]}}, "delivery": {"timestamp": "soon"}}',
    ],
)
def test_what_cannot_be_read_says_where(body: str) -> None:
    with pytest.raises(UnreadableError):
        read(Arrived(provider="ses", at=0, body=body))
