"""The table from SMTP replies to outcomes."""

import logging
import re

import pytest

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Unknown
from shared.model.reasons import Blame, Reason, blame_of
from shared.providers.email.smtp.replies import REPLIES, Entry, Own, outcome_of, raw_code, read
from shared.providers.email.smtp.stream import Reply, Step

R = Reason
SENDER = "shop@shop.example"


@pytest.mark.parametrize(
    ("step", "code", "text", "expected"),
    [
        # of the moment
        (Step.MAIL, 421, "Too many concurrent SMTP connections", Retry(R.THROTTLED, "421")),
        (Step.DOT, 421, "4.4.2 timeout", Retry(R.PROVIDER_BUSY, "421 4.4.2")),
        (Step.GREETING, 421, "try later", Retry(R.PROVIDER_BUSY, "421")),
        (Step.GREETING, 554, "No SMTP service here", Retry(R.CONNECTION_FAILED, "554")),
        (Step.TLS, 454, "TLS not available", Retry(R.CONNECTION_FAILED, "454")),
        (Step.DOT, 454, "Throttling failure: Maximum sending rate exceeded.", Retry(R.THROTTLED, "454")),
        (Step.DOT, 454, "Throttling failure: Daily message quota exceeded.", Retry(R.QUOTA_EXHAUSTED, "454")),
        (Step.LOGIN, 454, "Temporary authentication failure", Retry(R.PROVIDER_BUSY, "454")),
        (Step.RCPT, 450, "4.2.0 Greylisted", Retry(R.RECIPIENT_BUSY, "450 4.2.0")),
        (Step.RCPT, 451, "local error", Retry(R.PROVIDER_BUSY, "451")),
        (Step.RCPT, 452, "4.2.2 over quota", Retry(R.MAILBOX_FULL, "452 4.2.2")),
        (Step.RCPT, 550, "Domain frequency limited", Retry(R.THROTTLED, "550")),
        (Step.RCPT, 550, "Connection frequency limited", Retry(R.THROTTLED, "550")),
        (Step.DOT, 550, "Mailbox unavailable or access denied", Retry(R.RECIPIENT_LIMIT, "550")),
        # of the account
        (Step.LOGIN, 535, "5.7.8 no", AccountDown(R.CREDENTIALS_REFUSED, "535 5.7.8")),
        (Step.LOGIN, 534, "5.7.9 Application-specific password", AccountDown(R.CREDENTIALS_REFUSED, "534 5.7.9")),
        (Step.LOGIN, 550, "no such user", AccountDown(R.CREDENTIALS_REFUSED, "550")),
        (Step.MAIL, 530, "Authentication required", AccountDown(R.CREDENTIALS_REFUSED, "530")),
        (Step.MAIL, 530, "Must issue a STARTTLS command first", AccountDown(R.ACCOUNT_MISCONFIGURED, "530")),
        (Step.MAIL, 503, "Error: need EHLO and AUTH first !", AccountDown(R.CREDENTIALS_REFUSED, "503")),
        (Step.RCPT, 503, "5.5.1 AUTH first", AccountDown(R.CREDENTIALS_REFUSED, "503 5.5.1")),
        (Step.MAIL, 501, "mail from address must be same as authorization user", AccountDown(R.SENDER_REFUSED, "501")),
        (Step.DOT, 501, "Mail from address must be same as authorization user", AccountDown(R.SENDER_REFUSED, "501")),
        (Step.MAIL, 550, "5.1.8 bad sender domain", AccountDown(R.SENDER_REFUSED, "550 5.1.8")),
        (Step.MAIL, 553, "sender not owned", AccountDown(R.SENDER_REFUSED, "553")),
        (Step.MAIL, 502, "not implemented", AccountDown(R.ACCOUNT_MISCONFIGURED, "502")),
        (Step.DOT, 554, "Access denied: User is not authorized", AccountDown(R.CREDENTIALS_REFUSED, "554")),
        (Step.RCPT, 550, "ip in prison", AccountDown(R.ADDRESS_NOT_TRUSTED, "550")),
        (
            Step.RCPT,
            450,
            "4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]",
            Retry(R.ADDRESS_NOT_TRUSTED, "450 4.7.1"),
        ),
        (
            Step.RCPT,
            550,
            "RCPT TO:<x@y.example> Recipient not accepted, policy violation: sender has no SPF record",
            AccountDown(R.SENDER_REFUSED, "550"),
        ),
        (Step.RCPT, 553, "5.3.0 <x@y.example>... Addressee unknown", Rejected(R.ADDRESS_UNKNOWN, "553 5.3.0")),
        (
            Step.RCPT,
            550,
            "5.7.1 <x@y.example>: Recipient address rejected: Inactive MailBox, not poped for more than 6 months",
            Rejected(R.ADDRESS_UNKNOWN, "550 5.7.1"),
        ),
        # of the recipient
        (Step.RCPT, 550, "5.1.1 unknown", Rejected(R.ADDRESS_UNKNOWN, "550 5.1.1")),
        (Step.RCPT, 550, "5.1.10 null MX", Rejected(R.ADDRESS_UNKNOWN, "550 5.1.10")),
        (Step.RCPT, 550, "5.1.2 bad domain", Rejected(R.ADDRESS_UNKNOWN, "550 5.1.2")),
        (Step.RCPT, 550, "5.2.1 disabled", Rejected(R.ADDRESS_UNKNOWN, "550 5.2.1")),
        (Step.RCPT, 550, "no such user", Rejected(R.ADDRESS_UNKNOWN, "550")),
        (Step.RCPT, 551, "user not local", Rejected(R.ADDRESS_UNKNOWN, "551")),
        (Step.RCPT, 550, "4.2.1 too quickly for this user", Retry(R.RECIPIENT_BUSY, "550 4.2.1")),
        (Step.RCPT, 550, "5.2.2 full", Retry(R.MAILBOX_FULL, "550 5.2.2")),
        (Step.RCPT, 552, "over storage", Retry(R.MAILBOX_FULL, "552")),
        (Step.RCPT, 553, "mailbox name not allowed", Rejected(R.ADDRESS_INVALID, "553")),
        (Step.RCPT, 501, "5.1.3 bad syntax", Rejected(R.ADDRESS_INVALID, "501 5.1.3")),
        (Step.RCPT, 554, "5.7.1 Relay access denied", AccountDown(R.ACCOUNT_MISCONFIGURED, "554 5.7.1")),
        (Step.RCPT, 554, "not today", Rejected(R.RECIPIENT_BLOCKED, "554")),
        (Step.DOT, 553, "<x> Invalid email address", Rejected(R.ADDRESS_INVALID, "553")),
        # of the content
        (Step.RCPT, 550, "5.7.1 policy", Rejected(R.RECIPIENT_BLOCKED, "550 5.7.1")),
        (Step.DOT, 550, "5.7.26 SPF and DKIM failed", AccountDown(R.SENDER_REFUSED, "550 5.7.26")),
        (Step.DOT, 554, "Transaction failed", Rejected(R.CONTENT_REFUSED, "554")),
        (Step.DOT, 554, "Message rejected: Email address is not verified.", AccountDown(R.SENDER_REFUSED, "554")),
        (Step.DOT, 552, "Message is too long.", Rejected(R.CONTENT_TOO_LONG, "552")),
        (Step.DOT, 552, "5.3.4 too big", Rejected(R.CONTENT_TOO_LONG, "552 5.3.4")),
        (Step.DOT, 554, "5.6.0 malformed", Rejected(R.CONTENT_INVALID, "554 5.6.0")),
        (Step.DOT, 500, "Line too long", Rejected(R.CONTENT_INVALID, "500")),
        (Step.DATA, 554, "no valid recipients", Rejected(R.ADDRESS_UNKNOWN, "554")),
        (Step.DATA, 451, "later", Retry(R.PROVIDER_BUSY, "451")),
        # of no sense
        (Step.DOT, 354, "again?", Unknown(R.UNRECOGNISED_ANSWER, "354")),
        (Step.DOT, -1, "rubbish", Unknown(R.UNRECOGNISED_ANSWER, "-1")),
        (Step.DATA, 250, "ok?", Retry(R.UNRECOGNISED_ANSWER, "250")),
        (Step.MAIL, 299, "ok?", Retry(R.UNRECOGNISED_ANSWER, "299")),
        (Step.RCPT, 999, "ok?", Retry(R.UNRECOGNISED_ANSWER, "999")),
    ],
)
def test_reply(step: Step, code: int, text: str, expected: Outcome) -> None:
    assert outcome_of(Reply(step, code, text)) == expected


def test_every_code_at_every_step_has_an_outcome() -> None:
    for step in Step:
        for code in (-1, 0, 99, *range(200, 600), 999):
            outcome = outcome_of(Reply(step, code, "whatever"))
            if step is Step.DOT and not 400 <= code < 600:
                assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("entry", REPLIES, ids=lambda entry: entry.name)
def test_every_kind_is_known_by_its_own_reply(entry: Entry) -> None:
    """No kind stands behind one that takes its reply."""
    assert read(entry.sample("ada@example.net", SENDER), Own(SENDER, "ada@example.net")) is entry


def test_every_kind_has_a_name_of_its_own_a_source_and_words_in_two_languages() -> None:
    assert len({entry.name for entry in REPLIES}) == len(REPLIES)
    for entry in REPLIES:
        assert entry.source.startswith("https://")
        (means, do), (means_zh, do_zh) = entry.words(), entry.words(chinese=True)
        assert means.isascii() and do.isascii() and means.endswith(".") and do.endswith(".")
        assert means_zh.endswith("。") and do_zh.endswith("。")


def test_whose_fault_a_kind_is_agrees_with_what_becomes_of_the_message() -> None:
    for entry in REPLIES:
        blame = blame_of(entry.reason)
        if entry.kind is AccountDown:
            assert blame is Blame.ACCOUNT, entry.name
        if entry.kind is Rejected:
            # An account may be refused for one recipient alone: then another is asked, and it is not down.
            assert blame in {Blame.RECIPIENT, Blame.WISH, Blame.CONTENT, Blame.ACCOUNT}, entry.name


def test_raw_codes_hold_no_text() -> None:
    reply = Reply(Step.RCPT, 550, "5.1.1 <zhang.san@example.com> unknown\n5.1.1 really")
    assert raw_code(reply) == "550 5.1.1"
    assert re.fullmatch(r"[0-9. ]+", raw_code(reply))


def test_an_unrecognised_reply_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outcome_of(Reply(Step.RCPT, 299, "<zhang.san@example.com> is odd"))
    (record,) = caplog.records
    assert (record.__dict__["step"], record.__dict__["raw_code"]) == ("rcpt", "299")
    assert "zhang" not in str(vars(record))
