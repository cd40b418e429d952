"""Why emails came back."""

import pytest

from shared.model.reasons import Reason
from shared.providers.email.bounces import bounced, is_for_ever, speaks_against_the_address


@pytest.mark.parametrize(
    ("status", "diagnostic", "reason", "code"),
    [
        ("5.1.1", "smtp; 550 5.1.1 <ada@example.com>: User unknown", "address_unknown", "550 5.1.1"),
        (None, "smtp; 550-5.1.1 The email account does not exist.", "address_unknown", "550 5.1.1"),
        ("5.1.2", "dns; host not found", "address_unknown", "550 5.1.2"),
        ("5.1.10", None, "address_unknown", "550 5.1.10"),
        ("5.4.4", "smtp; 550 5.4.4 Invalid domain", "address_unknown", "550 5.4.4"),
        ("5.2.2", "smtp; 552 5.2.2 Over quota", "mailbox_full", "552 5.2.2"),
        ("4.2.2", "smtp; 452-4.2.2 The recipient's inbox is out of storage space", "mailbox_full", "452 4.2.2"),
        ("5.7.1", "smtp; 550 5.7.1 Message rejected as spam", "content_refused", "550 5.7.1"),
        (None, None, "not_delivered", ""),
        ("", "the dog ate it", "not_delivered", ""),
        # As of a reply to the recipient's name that says no more.
        ("5.9.9", "smtp; 599 5.9.9 ?", "recipient_blocked", "599 5.9.9"),
        # Not us it was who had to log in there.
        (None, "smtp; 535 5.7.8 Authentication failed", "not_delivered", "535 5.7.8"),
    ],
)
def test_codes_and_words_say_why(status: str | None, diagnostic: str | None, reason: str, code: str) -> None:
    assert bounced(status, diagnostic, "ada@example.com") == (reason, code)


def test_the_address_itself_decides_nothing() -> None:
    to = "mailbox.full.over.quota@example.com"
    assert bounced("5.1.1", f"smtp; 550 5.1.1 <{to}>: no such user", to)[0] == "address_unknown"


def test_what_is_for_ever() -> None:
    assert is_for_ever("5.1.1", None) and is_for_ever(None, "smtp; 550 5.4.4 no domain")
    assert not is_for_ever("5.2.2", None) and not is_for_ever(None, None) and not is_for_ever("4.1.1", "smtp; 450")


def test_only_what_is_said_of_the_address_speaks_against_it() -> None:
    against = {reason for reason in Reason if speaks_against_the_address(reason)}
    assert {Reason.ADDRESS_UNKNOWN, Reason.MAILBOX_FULL, Reason.RECIPIENT_BLOCKED, Reason.NOT_DELIVERED} <= against
    assert not against & {Reason.CONTENT_REFUSED, Reason.SENDER_REFUSED, Reason.THROTTLED, Reason.PROVIDER_ERROR}
