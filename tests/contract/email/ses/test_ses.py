"""The Amazon SES provider, by boto3, against its sandbox."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault, Response
from local.sandbox.ses import SesSandbox
from shared.model.accounts import NoSecret, Rate
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.base import Outgoing, Verification
from shared.providers.email.ses import provider as ses
from shared.providers.email.ses.provider import SesProvider
from shared.store.tokens import MemoryTokenCache
from tests.contract.email.ses.recorded import AWS_SECRET, Recorded
from tests.contract.email.support import HTML, SUBJECT, TEXT, closed_port, email, send_one, silent, tools
from tests.fakes import FakeClock

TO = "zhang.san@example.com"
R = Reason
TOGETHER = " Up to 50 messages go by one call."


def provider_at(url: str, **settings: Any) -> SesProvider:
    clock = FakeClock()
    values = {"provider": "ses", "region": "eu-west-1", "from_address": "notice@example.com", "endpoint": url}
    return ses.build(ses.Settings.model_validate(values | settings), NoSecret(), tools(clock, MemoryTokenCache(clock)))


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Recorded, SesProvider]]:
    """One sandbox and one provider for most tests: boto3 takes a tenth of a second to make a client."""
    with Recorded() as found:
        made = provider_at(found.url, from_name="通知中心 🎉", reply_to="help@example.com", configuration_set="mepush")
        yield found, made
        made.close()


@pytest.fixture
def sandbox(pair: tuple[Recorded, SesProvider]) -> Recorded:
    found, _ = pair
    found.outbox.clear()
    found.faults.clear()
    found.requests.clear()
    found.answer = None
    return found


@pytest.fixture
def provider(pair: tuple[Recorded, SesProvider]) -> SesProvider:
    return pair[1]


def test_what_arrives_is_what_was_sent(sandbox: Recorded, provider: SesProvider) -> None:
    message = email()
    outcome = send_one(provider, message)
    (delivery,) = sandbox.outbox.all("ses", TO)
    assert outcome == Sent(delivery.id)
    assert delivery.data["subject"] == SUBJECT
    assert delivery.data["text"] == TEXT
    assert delivery.data["html"] == HTML
    assert delivery.data["from_name"] == "通知中心 🎉"
    assert delivery.data["from_address"] == "notice@example.com"
    assert delivery.data["reply_to"] == "help@example.com"
    assert delivery.data["message_id"] == message.message_id
    assert delivery.data["tags"] == {"mepush_message_id": message.message_id}
    assert delivery.data["configuration_set"] == "mepush"
    assert json.loads(sandbox.requests[0].body)["Destination"] == {"ToAddresses": [TO]}


def fault(kind: Any, **changes: Any) -> Fault:
    return Fault(kind, **changes)


CODES = {
    "TooManyRequestsException": Retry(R.THROTTLED, "TooManyRequestsException"),
    "ThrottlingException": Retry(R.THROTTLED, "ThrottlingException"),
    "ThrottlingException Daily message quota exceeded.": Retry(R.QUOTA_EXHAUSTED, "ThrottlingException"),
    "TooManyRequestsException Daily message quota exceeded.": Retry(R.QUOTA_EXHAUSTED, "TooManyRequestsException"),
    "LimitExceededException": Retry(R.QUOTA_EXHAUSTED, "LimitExceededException"),
    "LimitExceededException Maximum sending rate exceeded.": Retry(R.THROTTLED, "LimitExceededException"),
    "MessageRejected Virus found": Rejected(R.CONTENT_REFUSED, "MessageRejected"),
    "MessageRejected Email address is not verified.": AccountDown(R.SENDER_REFUSED, "MessageRejected"),
    "MessageRejected Sending suspended for this account.": AccountDown(R.ACCOUNT_SUSPENDED, "MessageRejected"),
    "BadRequestException Illegal address": Rejected(R.ADDRESS_INVALID, "BadRequestException"),
    "BadRequestException": Rejected(R.CONTENT_INVALID, "BadRequestException"),
    "AccountSuspendedException": AccountDown(R.ACCOUNT_SUSPENDED, "AccountSuspendedException"),
    "SendingPausedException": AccountDown(R.ACCOUNT_SUSPENDED, "SendingPausedException"),
    "MailFromDomainNotVerifiedException": AccountDown(R.SENDER_REFUSED, "MailFromDomainNotVerifiedException"),
    "NotFoundException": AccountDown(R.ACCOUNT_MISCONFIGURED, "NotFoundException"),
    "AccessDeniedException": AccountDown(R.CREDENTIALS_REFUSED, "AccessDeniedException"),
    "UnrecognizedClientException": AccountDown(R.CREDENTIALS_REFUSED, "UnrecognizedClientException"),
    "InternalServiceErrorException": Unknown(R.PROVIDER_ERROR, "InternalServiceErrorException"),
    "BrandNewException": Retry(R.UNRECOGNISED_ANSWER, "BrandNewException"),
}


@pytest.mark.parametrize("code", CODES)
def test_error_codes(code: str, sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.faults.add(fault("code", code=code))
    assert send_one(provider, email()) == CODES[code]
    # Once only: SES has no idempotency key.
    assert (len(sandbox.requests), sandbox.outbox.count()) == (1, 0)


@pytest.mark.parametrize(
    ("played", "expected", "accepted"),
    [
        (fault("throttle"), Retry(R.THROTTLED, "TooManyRequestsException"), 0),
        (fault("throttle", to=TO), Retry(R.THROTTLED, "TooManyRequestsException"), 0),
        (fault("status", status=500), Unknown(R.PROVIDER_ERROR, "500"), 0),
        (fault("status", status=502), Unknown(R.PROVIDER_ERROR, "502"), 0),
        (fault("status", status=503), Unknown(R.PROVIDER_ERROR, "503"), 0),
        (fault("outage", seconds=60), Unknown(R.PROVIDER_ERROR, "503"), 0),
        (fault("status", status=418), Retry(R.UNRECOGNISED_ANSWER, "418"), 0),
        (fault("bad_json"), Unknown(R.UNRECOGNISED_ANSWER, "200"), 0),
        (fault("reset_before"), Unknown(R.CONNECTION_LOST, "ConnectionClosedError"), 0),
        (fault("reset_after"), Unknown(R.CONNECTION_LOST, "ConnectionClosedError"), 1),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_mishaps(played: Fault, expected: Outcome, accepted: int, sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.faults.add(played)
    assert send_one(provider, email()) == expected
    assert (len(sandbox.requests), sandbox.outbox.count()) == (1, accepted)
    sandbox.faults.clear()
    assert isinstance(send_one(provider, email()), Sent)


@pytest.mark.parametrize(
    "answer",
    [
        Response.of({}),
        Response.of({"MessageId": None}),
        Response.of({"MessageId": ""}),
        Response(200, b""),
        Response(200, b"<html>a proxy's page</html>", {"Content-Type": "text/html"}),
        Response(200, b"[]"),
        Response(204, b""),
        Response(200, b"\xff\xfe"),
    ],
    ids=lambda answer: repr(answer.body),
)
def test_odd_answers_leave_the_outcome_unknown(answer: Response, sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.answer = answer
    outcome = send_one(provider, email())
    assert isinstance(outcome, Unknown)
    assert outcome.reason is R.UNRECOGNISED_ANSWER
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[]", b'{"message": 5}', b"null"])
def test_errors_without_a_readable_body(body: bytes, sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.answer = Response(429, body, {"x-amzn-ErrorType": "TooManyRequestsException:http://internal"})
    outcome = send_one(provider, email())
    assert isinstance(outcome, (Retry, Unknown))
    sandbox.answer = Response(500, body)
    assert isinstance(send_one(provider, email()), Unknown)


def test_an_answer_that_never_comes(sandbox: Recorded) -> None:
    with silent() as port:
        provider = provider_at(f"http://127.0.0.1:{port}", read_timeout_s=0.1)
        assert send_one(provider, email()) == Unknown(R.TIMED_OUT, "ReadTimeoutError")
        provider.close()


def test_nobody_there() -> None:
    provider = provider_at(f"http://127.0.0.1:{closed_port()}")
    assert send_one(provider, email()) == Retry(R.CONNECTION_FAILED, "EndpointConnectionError")
    verified = provider.verify()
    assert (verified.ok, verified.raw_code) == (False, "EndpointConnectionError")
    provider.close()


def test_no_credentials(sandbox: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    provider = provider_at(sandbox.url)
    assert send_one(provider, email()) == AccountDown(R.CREDENTIALS_REFUSED, "NoCredentialsError")
    assert provider.verify().summary == "AWS does not let the platform's role use SES here."
    assert sandbox.requests == []
    provider.close()


def test_the_functions_own_region(sandbox: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-1")
    provider = provider_at(sandbox.url, region=None)
    assert isinstance(send_one(provider, email()), Sent)
    assert "/ap-southeast-1/ses/" in sandbox.requests[0].headers["authorization"]
    provider.close()


@pytest.mark.parametrize(
    ("to", "code"), [("张三@example.com", "non_ascii_local_part"), ("a@b.com\r\nBcc: c@d.com", "not_well_formed")]
)
def test_addresses_that_never_leave(to: str, code: str, sandbox: Recorded, provider: SesProvider) -> None:
    assert send_one(provider, email(to=to)) == Rejected(R.ADDRESS_INVALID, code)
    assert sandbox.requests == []


def test_eight_threads_share_one_client(sandbox: Recorded) -> None:
    provider = provider_at(sandbox.url)
    together = threading.Barrier(8)
    messages = [email(number, f"u{number}@example.com") for number in range(40)]

    def share(thread: int) -> list[Outcome]:
        together.wait(5)
        return [send_one(provider, message) for message in messages[thread::8]]

    with ThreadPoolExecutor(8) as threads:
        outcomes = [outcome for part in threads.map(share, range(8)) for outcome in part]
    assert {type(outcome) for outcome in outcomes} == {Sent}
    assert {delivery.to for delivery in sandbox.outbox.all()} == {message.to for message in messages}
    provider.close()


def test_a_group_is_answered_in_order(sandbox: Recorded, provider: SesProvider) -> None:
    messages: list[Outgoing] = [email(n, f"u{n}@example.com") for n in range(3)]
    sandbox.faults.add(fault("code", code="MessageRejected", to="u1@example.com"))
    assert [type(outcome) for outcome in provider.send(messages)] == [Sent, Rejected, Sent]


def test_closed_and_used_again(sandbox: Recorded) -> None:
    provider = provider_at(sandbox.url)
    provider.close()
    assert isinstance(send_one(provider, email()), Sent)
    provider.close()
    assert isinstance(send_one(provider, email()), Sent)
    provider.close()


# Verifying


def test_verify_in_production(sandbox: Recorded, provider: SesProvider) -> None:
    send_one(provider, email())
    words = "SES takes messages: up to 50,000 a day (1 in the last 24 hours), 14 a second." + TOGETHER
    assert provider.verify() == Verification(True, words, rate=Rate(per_second=14, burst=14, per_day=50_000))


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (
            {
                "SendingEnabled": True,
                "ProductionAccessEnabled": False,
                "SendQuota": {"Max24HourSend": 200, "MaxSendRate": 1},
            },
            Verification(
                True,
                "SES takes messages, but the account is in the SES sandbox: only verified recipients, "
                "up to 200 a day (0 in the last 24 hours), 1 a second." + TOGETHER,
                "Request production access in the SES console before you send to anyone else.",
                rate=Rate(per_second=1, burst=1, per_day=200),
            ),
        ),
        (
            {
                "SendingEnabled": True,
                "ProductionAccessEnabled": True,
                "SendQuota": {"Max24HourSend": -1, "MaxSendRate": 0.5},
            },
            Verification(
                True,
                "SES takes messages: without a daily limit, 0.5 a second." + TOGETHER,
                rate=Rate(per_second=0.5, burst=1),
            ),
        ),
        (
            {"SendingEnabled": False, "ProductionAccessEnabled": True, "EnforcementStatus": "SHUTDOWN"},
            Verification(
                False,
                "SES has paused sending from this account in this region.",
                "Open the SES console: it says why and how to ask for a review.",
                "SHUTDOWN",
            ),
        ),
    ],
    ids=["sandbox", "unlimited", "paused"],
)
def test_verify_says_what_the_account_may(
    account: dict[str, Any], expected: Verification, sandbox: Recorded, provider: SesProvider
) -> None:
    sandbox.answer = Response.of(account | {"VerifiedForSendingStatus": True})
    assert provider.verify() == expected


SENDER = "notice@mail.example.com"


@pytest.mark.parametrize(
    ("verified", "pending", "expected"),
    [
        ({SENDER}, set(), None),
        ({"mail.example.com"}, set(), None),
        ({"example.com"}, {SENDER}, None),
        (
            {"other.example.com", "com"},
            set(),
            ("knows neither the sender notice@mail.example.com", "NotFoundException"),
        ),
        (set(), {SENDER, "example.com"}, ("has not verified notice@mail.example.com yet", "PENDING")),
        (set(), {"example.com"}, ("has not verified example.com yet", "PENDING")),
    ],
)
def test_verify_wants_a_sender_that_is_verified(
    verified: set[str], pending: set[str], expected: tuple[str, str] | None
) -> None:
    with SesSandbox(verified=frozenset(verified), pending=frozenset(pending)) as sandbox:
        provider = provider_at(sandbox.url, from_address=SENDER)
        found = provider.verify()
        provider.close()
    assert found.ok is (expected is None)
    if expected is not None:
        words, code = expected
        assert words in found.summary and found.raw_code == code
        assert "SES console" in found.action


def test_a_sender_that_cannot_be_looked_at_is_not_called_fine(sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.faults.add(fault("code", code="AccessDeniedException", at="GetEmailIdentity"))
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, "AccessDeniedException")
    assert "ses:GetEmailIdentity" in found.action


@pytest.mark.parametrize(
    ("played", "code", "words"),
    [
        (
            fault("code", code="AccessDeniedException"),
            "AccessDeniedException",
            "does not let the platform's role use SES",
        ),
        (fault("throttle"), "TooManyRequestsException", "asked to slow down"),
        (fault("bad_json"), "200", "answered with something"),
        (fault("reset_before"), "ConnectionClosedError", "connection broke"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_verify_words(played: Fault, code: str, words: str, sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.faults.add(replace(played, at="GetAccount"))
    verified = provider.verify()
    assert (verified.ok, verified.raw_code) == (False, code)
    assert words in verified.summary
    assert verified.action


# The sandbox's own rules


def test_the_sandbox_refuses_as_ses_does() -> None:
    with SesSandbox(
        production=False, verified=frozenset({"example.com"}), configuration_sets=frozenset({"c"})
    ) as sandbox:
        provider = provider_at(sandbox.url)
        assert isinstance(send_one(provider, email()), Sent)
        stranger = email(to="stranger@example.org")
        assert send_one(provider, stranger) == Rejected(R.RECIPIENT_NOT_VERIFIED, "MessageRejected")
        assert "in the SES sandbox" in provider.verify().summary
        sandbox.production = True
        assert isinstance(send_one(provider, stranger), Sent)
        sandbox.sending_enabled = False
        assert send_one(provider, email()) == AccountDown(R.ACCOUNT_SUSPENDED, "SendingPausedException")
        assert not provider.verify().ok
        provider.close()
        sandbox.sending_enabled = True
        unknown_set = provider_at(sandbox.url, configuration_set="other")
        assert send_one(unknown_set, email()) == AccountDown(R.ACCOUNT_MISCONFIGURED, "NotFoundException")
        unknown_set.close()


LIST = "MessageRejected Email address is not verified. The following identities failed the check in region EU-WEST-1: "


@pytest.mark.parametrize(
    ("identities", "expected"),
    [
        (TO, Rejected(R.RECIPIENT_NOT_VERIFIED, "MessageRejected")),
        (TO.upper(), Rejected(R.RECIPIENT_NOT_VERIFIED, "MessageRejected")),
        ("notice@example.com", AccountDown(R.SENDER_REFUSED, "MessageRejected")),
        (f"notice@example.com, {TO}", AccountDown(R.SENDER_REFUSED, "MessageRejected")),
        (f"{TO}, notice@example.com", AccountDown(R.SENDER_REFUSED, "MessageRejected")),
        # Somebody else's, such as a bounce address that the account sets.
        ("bounces@other.example", AccountDown(R.SENDER_REFUSED, "MessageRejected")),
    ],
)
def test_of_identities_that_are_not_verified_the_senders_decides(
    identities: str, expected: Outcome, sandbox: Recorded, provider: SesProvider
) -> None:
    sandbox.faults.add(fault("code", code=LIST + identities))
    assert send_one(provider, email()) == expected


def test_a_recipient_of_the_ses_sandbox_is_told_of_it() -> None:
    cause, cure = EXPLANATIONS[R.RECIPIENT_NOT_VERIFIED]
    assert "sandbox" in cause and "production access" in cure


# Settings and secrets


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"endpoint": "https://ses.example.com"},
            "give the vendor's own address, such as https://email.eu-west-1.amazonaws.com",
        ),
        (
            {"endpoint": "http://email.eu-west-1.amazonaws.com"},
            "give the vendor's own address, such as https://email.eu-west-1.amazonaws.com",
        ),
        ({"from_address": "a@b.com\nBcc: c@d.com"}, "give an email address in ASCII"),
        ({"region": "nowhere"}, "String should match pattern"),
        ({"configuration_set": "a b"}, "String should match pattern"),
        ({"access_key": "AKIA"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], words: str) -> None:
    settings = {"provider": "ses", "from_address": "notice@example.com"}
    with pytest.raises(ValidationError, match=words):
        ses.Settings.model_validate(settings | changes)


def test_a_real_endpoint_is_accepted() -> None:
    url = "https://email.eu-west-1.amazonaws.com"
    assert ses.Settings(provider="ses", from_address="a@b.com", endpoint=url).endpoint == url


def test_secrets_addresses_and_bodies_stay_out_of_logs(
    sandbox: Recorded, provider: SesProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shown = [repr(provider), repr(vars(provider))]
    for code in ("BrandNewException " + TO, "MessageRejected " + TO):
        sandbox.faults.add(fault("code", code=code))
        shown.append(repr(send_one(provider, email())))
    sandbox.answer = Response.of({"MessageId": None, "to": TO})
    shown.append(repr(send_one(provider, email())))
    assert len(caplog.records) >= 2
    for text in (caplog.text, *(str(vars(record)) for record in caplog.records), *shown):
        assert not any(secret in text for secret in (AWS_SECRET, TO, "张三", SUBJECT))
