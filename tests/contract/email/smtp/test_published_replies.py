"""Every published reply, played by the sandbox, becomes what the table says; so do replies that people reported."""

from collections.abc import Callable

import pytest

from local.faults import FaultInput, problems
from local.sandbox.base import Fault
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.smtp_words import PUBLISHED, published
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent
from shared.model.reasons import Reason as R
from shared.providers.base import Outgoing
from shared.providers.email.smtp.provider import SmtpProvider
from shared.providers.email.smtp.replies.entry import SESSION
from tests.contract.email.support import send_one

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]
PASSWORD = "abcdefghijklmnop"
SHOP = "shop@example.com"
ADA = "ada@example.net"


def sent_to(sandbox: SmtpSandbox, make: Make, message: Outgoing) -> Outcome:
    provider = make(sandbox, PASSWORD, username=SHOP, from_address=SHOP)
    outcome = send_one(provider, message)
    provider.close()
    return outcome


def test_the_sandbox_plays_every_published_reply(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(username=SHOP, password=PASSWORD) as sandbox:
        for name, entry in PUBLISHED.items():
            sandbox.faults.add(published(name, ADA))
            outcome = sent_to(sandbox, smtp_provider, outgoing(ADA))
            assert not isinstance(outcome, Sent)
            if entry.sample().step not in SESSION or entry.kind is not Retry:
                assert (type(outcome), outcome.reason) == (entry.kind, entry.reason), name
            sandbox.faults.clear()
        assert isinstance(sent_to(sandbox, smtp_provider, outgoing(ADA)), Sent)


def test_the_desk_takes_a_published_reply_by_its_name() -> None:
    given = FaultInput(provider="smtp", kind="code", code="@gmail.daily_limit", to=ADA)
    assert problems(given) == []
    assert (given.fault().at, given.fault().status, given.fault().times) == ("dot", 550, 1)
    unknown = FaultInput(provider="smtp", kind="code", code="@gmail.nothing")
    assert [problem.field for problem in problems(unknown)] == ["code"]
    elsewhere = FaultInput(provider="smtp", kind="code", code="@gmail.daily_limit", at="rcpt")
    assert [problem.field for problem in problems(elsewhere)] == ["at"]


QQ_LOGIN = (
    "Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system "
    "is busy. More information at https://help.example.com/detail/108/1023"
)
LIMIT_PAGE = "Daily user sending limit exceeded. For more information see https://support.example.com"


@pytest.mark.parametrize(
    ("step", "status", "text", "expected"),
    [
        ("login", 535, QQ_LOGIN, AccountDown(R.CREDENTIALS_REFUSED, "535")),
        (
            "login",
            535,
            "Login Fail. Please enter your authorization code to login.",
            AccountDown(R.CREDENTIALS_REFUSED, "535"),
        ),
        ("login", 535, "Error: authentication failed, system busy", Retry(R.PROVIDER_BUSY, "535")),
        ("login", 550, "User has no permission", AccountDown(R.CREDENTIALS_REFUSED, "550")),
        ("login", 454, "4.7.0 Too many login attempts, please try again later.", Retry(R.THROTTLED, "454 4.7.0")),
        ("mail", 550, f"5.4.5 {LIMIT_PAGE}", Retry(R.QUOTA_EXHAUSTED, "550 5.4.5")),
        ("rcpt", 550, f"5.4.5 {LIMIT_PAGE}", Retry(R.QUOTA_EXHAUSTED, "550 5.4.5")),
        ("dot", 550, f"5.4.5 {LIMIT_PAGE}", Retry(R.QUOTA_EXHAUSTED, "550 5.4.5")),
        ("rcpt", 550, "5.4.5 Daily user sending quota exceeded. abc - gsmtp", Retry(R.QUOTA_EXHAUSTED, "550 5.4.5")),
        ("dot", 550, "send spam mail rejected: exceeded hour limit", Retry(R.THROTTLED, "550")),
        (
            "rcpt",
            550,
            "5.1.90 Your message cannot be sent because you have reached your daily limit for message recipients",
            Retry(R.QUOTA_EXHAUSTED, "550 5.1.90"),
        ),
        (
            "dot",
            550,
            f"User {SHOP} has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25 allowed.",
            Retry(R.QUOTA_EXHAUSTED, "550"),
        ),
        (
            "rcpt",
            550,
            f"Verification failed for <{SHOP}>\nSender verify failed",
            AccountDown(R.SENDER_REFUSED, "550"),
        ),
        ("rcpt", 550, "5.7.1 Unable to relay", AccountDown(R.ACCOUNT_MISCONFIGURED, "550 5.7.1")),
        (
            "rcpt",
            554,
            "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example",
            AccountDown(R.ADDRESS_NOT_TRUSTED, "554 5.7.1"),
        ),
        (
            "rcpt",
            550,
            "5.7.1 Service unavailable; client host blocked using a list",
            AccountDown(R.ADDRESS_NOT_TRUSTED, "550 5.7.1"),
        ),
        ("rcpt", 554, f"5.7.1 <{ADA}>: Relay access denied", AccountDown(R.ACCOUNT_MISCONFIGURED, "554 5.7.1")),
        ("rcpt", 450, "4.2.0 Greylisted, see http://postgrey.example/help", Retry(R.RECIPIENT_BUSY, "450 4.2.0")),
        ("dot", 550, "Ip frequency limited.", Retry(R.THROTTLED, "550")),
        ("dot", 550, "Mail content denied.", Rejected(R.CONTENT_REFUSED, "550")),
        ("dot", 554, "DT:SPM smtp,someid", Rejected(R.CONTENT_REFUSED, "554 DT:SPM")),
        ("dot", 552, "5.2.3 Message size exceeds fixed limit", Rejected(R.CONTENT_TOO_LONG, "552 5.2.3")),
        ("rcpt", 452, "4.2.2 The account that you tried to reach is over quota", Retry(R.MAILBOX_FULL, "452 4.2.2")),
        ("rcpt", 550, "5.1.1 no such user", Rejected(R.ADDRESS_UNKNOWN, "550 5.1.1")),
        ("rcpt", 550, "5.1.1 <starttls@example.net> User unknown", Rejected(R.ADDRESS_UNKNOWN, "550 5.1.1")),
        ("rcpt", 550, "<throttle@example.net>: no such user", Rejected(R.ADDRESS_UNKNOWN, "550")),
        ("dot", 553, "Mail from must equal authorized user", AccountDown(R.SENDER_REFUSED, "553")),
        (
            "dot",
            554,
            f"Message rejected: Email address is not verified. The following identities failed the check in region "
            f"EU-WEST-1: {ADA}",
            Rejected(R.RECIPIENT_NOT_VERIFIED, "554"),
        ),
    ],
)
def test_replies_that_people_reported(
    step: str, status: int, text: str, expected: Outcome, smtp_provider: Make, outgoing: Message
) -> None:
    with SmtpSandbox(username=SHOP, password=PASSWORD) as sandbox:
        sandbox.faults.add(Fault("code", text, status, at=step))
        assert sent_to(sandbox, smtp_provider, outgoing(ADA)) == expected


def test_qq_mails_refusal_of_a_login_is_told_in_words(smtp_provider: Make) -> None:
    with SmtpSandbox(username=SHOP, password=PASSWORD) as sandbox:
        sandbox.faults.add(published("qq.login"))
        found = smtp_provider(sandbox, PASSWORD, username=SHOP, from_address=SHOP).verify()
    assert (found.ok, found.summary, found.raw_code) == (False, "127.0.0.1 refused the login.", "535")
    assert "authorization code" in found.action
