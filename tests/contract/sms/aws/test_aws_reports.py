"""What AWS is told of texts whose code was given back: of verifications alone."""

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from local.sandbox.aws_sms import FEEDBACK_MS, AwsSmsSandbox
from local.sandbox.base import Fault
from shared.model.outcome import AccountDown, Rejected, Report, Reported, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from tests.contract.sms.support import Recorded, closed_url, message, sms, tools
from tests.fakes import FakeClock

TO, SENDER = "+14255550100", "+12065550100"


class Sandbox(Recorded, AwsSmsSandbox):
    """The sandbox, with its requests kept."""


def provider_at(url: str, **settings: object) -> Provider:
    values = {"provider": "aws", "origination_identity": SENDER, "region": "us-east-1", "endpoint": url, **settings}
    return build_provider(values, {}, tools())


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Sandbox, Provider, FakeClock]]:
    """One for all: boto3 takes a tenth of a second to make a client."""
    clock = FakeClock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", "AKIACONTRACT")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "contract-secret-access-key")
        with Sandbox(identities=frozenset({SENDER}), clock=clock) as found:
            made = provider_at(found.url)
            yield found, made, clock
            made.close()


@pytest.fixture
def sandbox(pair: tuple[Sandbox, Provider, FakeClock]) -> Sandbox:
    pair[0].faults.clear()
    pair[0].requests.clear()
    return pair[0]


@pytest.fixture
def provider(pair: tuple[Sandbox, Provider, FakeClock]) -> Provider:
    return pair[1]


@pytest.fixture
def clock(pair: tuple[Sandbox, Provider, FakeClock]) -> FakeClock:
    return pair[2]


def send(provider: Provider, checked: bool = True) -> str:
    """AWS's id of a text."""
    (outcome,) = provider.send([replace(message(TO, sms(None, text="135790")), checked=checked)])
    assert isinstance(outcome, Sent)
    return outcome.provider_message_id or ""


def test_a_code_that_was_given_back_is_reported_as_received(
    sandbox: Sandbox, provider: Provider, clock: FakeClock
) -> None:
    id = send(provider)
    assert sandbox.feedback(id) is None
    assert provider.report_conversion(id, 0) == Reported()
    assert provider.report_conversion(id, 0) == Reported(), "twice does no harm"
    clock.advance(FEEDBACK_MS / 1000)
    assert sandbox.feedback(id) == "RECEIVED"
    assert json.loads(sandbox.requests[-1].body) == {"MessageId": id, "MessageFeedbackStatus": "RECEIVED"}


def test_what_is_not_reported_within_an_hour_is_taken_for_failed(
    sandbox: Sandbox, provider: Provider, clock: FakeClock
) -> None:
    id = send(provider)
    clock.advance(FEEDBACK_MS / 1000 - 1)
    assert sandbox.feedback(id) is None
    clock.advance(1)
    assert sandbox.feedback(id) == "FAILED"


def test_of_no_other_text_aws_waits_for_a_report(sandbox: Sandbox, provider: Provider) -> None:
    id = send(provider, checked=False)
    assert "MessageFeedbackEnabled" not in json.loads(sandbox.requests[-1].body)
    assert provider.report_conversion(id, 0) == Rejected(Reason.UNRESOLVED, "ResourceNotFoundException")


def test_an_account_may_switch_it_off(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACONTRACT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "contract-secret-access-key")
    off = provider_at(sandbox.url, report_conversion=False)
    send(off)
    assert "MessageFeedbackEnabled" not in json.loads(sandbox.requests[-1].body)
    off.close()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("code", at="PutMessageFeedback", code="ResourceNotFoundException"), Rejected),
        (Fault("code", at="PutMessageFeedback", code="ValidationException"), Rejected),
        (Fault("code", at="PutMessageFeedback", code="AccessDeniedException"), AccountDown),
        (Fault("code", at="PutMessageFeedback", code="ThrottlingException"), Retry),
        (Fault("reset_after", at="PutMessageFeedback"), Unknown),
        (Fault("bad_json", at="PutMessageFeedback"), Unknown),
    ],
    ids=lambda each: each.code or each.kind if isinstance(each, Fault) else "",
)
def test_what_its_errors_mean(sandbox: Sandbox, provider: Provider, fault: Fault, kind: type[Report]) -> None:
    id = send(provider)
    sandbox.faults.add(fault)
    assert isinstance(provider.report_conversion(id, 0), kind)


def test_nobody_there_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACONTRACT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "contract-secret-access-key")
    nowhere = provider_at(closed_url())
    assert isinstance(nowhere.report_conversion("id", 0), Retry | AccountDown)
    nowhere.close()
