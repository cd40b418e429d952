"""What bounces of SMTP accounts say of messages, as they come off the queue."""

import pytest

from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.email.smtp.bounce_mail.kinds import Bounce, Complaint
from shared.providers.email.smtp.receipts import as_body, read, says_something
from shared.providers.reading import read_receipts

ID = "01KBA5M0000000000000000000A1B2C3D4E5F6G7H8"
TO, AT = "bob@example.net", 1_764_500_000_999


def arrived(body: str, tenant: str | None = "acme") -> Arrived:
    return Arrived(provider="smtp", tenant=tenant, account="mail", at=AT, body=body)


def said(what: Bounce | Complaint) -> Receipt:
    (receipt,) = read_receipts(arrived(as_body(what)))
    assert isinstance(receipt, Receipt)
    return receipt


def bounce(status: str | None, diagnostic: str | None = None, *, action: str = "failed", id: str | None = ID) -> Bounce:
    return Bounce(action=action, message_id=id, address=TO, status=status, diagnostic=diagnostic)


@pytest.mark.parametrize(
    ("status", "diagnostic", "reason", "transient", "listed"),
    [
        ("5.1.1", "smtp; 550 5.1.1 user unknown", Reason.ADDRESS_UNKNOWN, False, True),
        ("5.1.1", None, Reason.ADDRESS_UNKNOWN, False, True),
        ("5.0.0", "smtp; 550 Mailbox not found", Reason.ADDRESS_UNKNOWN, False, True),
        (None, "550 No such user here", Reason.ADDRESS_UNKNOWN, False, True),
        ("5.1.2", "dns; host not found", Reason.ADDRESS_UNKNOWN, False, True),
        ("5.2.2", "X-Postfix; Mailbox is full", Reason.MAILBOX_FULL, True, False),
        ("4.2.2", "452 4.2.2 over quota", Reason.MAILBOX_FULL, True, False),
        ("4.4.7", "smtp; 421 4.4.7 too old", Reason.PROVIDER_BUSY, True, False),
        ("5.4.7", None, Reason.RECIPIENT_BLOCKED, True, False),
        ("5.7.515", "550 5.7.515 Access denied, sending domain", Reason.SENDER_REFUSED, False, False),
        ("5.7.1", "smtp; 554 5.7.1 rejected as spam", Reason.CONTENT_REFUSED, False, False),
        # A bare code, or the words of QQ Mail for a content that it does not like, say nothing of the address.
        ("5.0.0", None, Reason.RECIPIENT_BLOCKED, False, False),
        ("5.3.0", "550 Mail content denied. http://service.mail.qq.com/", Reason.RECIPIENT_BLOCKED, False, False),
        (None, None, Reason.NOT_DELIVERED, False, False),
        # A code that nobody knows is passed on.
        ("5.99.123", "550 5.99.123 strange", Reason.RECIPIENT_BLOCKED, False, False),
    ],
)
def test_a_failure_has_its_reason_and_lists_who_is_not_there(
    status: str | None, diagnostic: str | None, reason: Reason, transient: bool, listed: bool
) -> None:
    found = said(bounce(status, diagnostic))
    assert (found.stage, found.reason, found.transient) == (Stage.UNDELIVERED, reason, transient)
    assert found.suppresses == (SuppressionReason.BOUNCE if listed else None)
    assert (found.tenant, found.message_id, found.address, found.at) == ("acme", ID, TO, AT)
    assert (found.account, found.latest) == (None, False)
    assert "@" not in (found.code or "")
    assert (status or "") in (found.code or "")


def test_a_delay_is_no_end() -> None:
    found = said(bounce("4.4.1", "smtp; 451 4.4.1 no answer", action="delayed"))
    assert (found.stage, found.suppresses, found.code) == (Stage.DELAYED, None, "451 4.4.1")


def test_who_got_it_got_it_and_what_went_on_says_nothing() -> None:
    assert said(bounce("2.0.0", action="delivered")).stage is Stage.DELIVERED
    for action in ("relayed", "expanded"):
        assert not says_something(bounce("2.0.0", action=action))
        assert read(arrived(as_body(bounce("2.0.0", action=action)))) == []


def test_a_complaint_lists_unless_it_is_none() -> None:
    found = said(Complaint(kind="abuse", message_id=ID))
    assert (found.stage, found.suppresses, found.code) == (Stage.COMPLAINED, SuppressionReason.COMPLAINT, "abuse")
    for kind in ("not-spam", "auth-failure"):
        assert not says_something(Complaint(kind=kind, message_id=ID))
        assert read(arrived(as_body(Complaint(kind=kind, message_id=ID)))) == []


def test_an_address_alone_means_the_last_message_through_the_account_and_lists_nobody() -> None:
    """Anybody can write such a mail: nobody's codes must stop for it."""
    found = said(bounce("5.1.1", id=None))
    assert (found.message_id, found.address, found.account, found.latest) == (None, TO, "mail", True)
    assert (found.stage, found.suppresses) == (Stage.UNDELIVERED, None)
    assert said(Complaint(kind="abuse", address=TO)).suppresses is None


@pytest.mark.parametrize(
    "one", [arrived("{}"), arrived("no json"), arrived('{"action": "failed"}'), arrived("[]"), arrived('{"action": 1}')]
)
def test_what_cannot_be_read_is_refused(one: Arrived) -> None:
    with pytest.raises(UnreadableError):
        read(one)


def test_a_bounce_of_nobodys_mailbox_is_refused() -> None:
    with pytest.raises(UnreadableError):
        read(arrived(as_body(bounce("5.1.1")), tenant=None))


def test_nothing_is_on_the_queue_but_what_is_needed() -> None:
    assert as_body(bounce("5.1.1", "smtp; 550 no")) == (
        f'{{"action":"failed","message_id":"{ID}","address":"{TO}","status":"5.1.1","diagnostic":"smtp; 550 no"}}'
    )
