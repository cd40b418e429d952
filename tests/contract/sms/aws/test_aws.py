"""The AWS provider, by boto3, against its sandbox."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from pydantic import ValidationError

from local.sandbox.aws_sms import AwsSmsSandbox
from local.sandbox.base import Fault, Response
from shared.model.accounts import NoSecret
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.base import Provider, Verification
from shared.providers.registry import build_provider, secret_model
from shared.providers.sms.aws.codes import CODES, WORDS
from shared.providers.sms.aws.provider import SIMULATOR, Settings
from tests.contract.sms.support import Recorded, closed_url, message, sms, tools, untrusted_url

TO = "+14255550100"
SENDER = "+12065550100"


class Sandbox(Recorded, AwsSmsSandbox):
    """The sandbox, with its requests kept."""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACONTRACT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "contract-secret-access-key")


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Sandbox, Provider]]:
    """One sandbox and one provider for most tests: boto3 takes a tenth of a second to make a client."""
    with Sandbox(identities=frozenset({SENDER})) as found:
        made = provider_at(found.url)
        yield found, made
        made.close()


@pytest.fixture
def sandbox(pair: tuple[Sandbox, Provider]) -> Sandbox:
    found, _ = pair
    found.outbox.clear()
    found.faults.clear()
    found.requests.clear()
    found.answer = None
    return found


@pytest.fixture
def provider(pair: tuple[Sandbox, Provider]) -> Provider:
    return pair[1]


def provider_at(url: str, **settings: object) -> Provider:
    values = {"provider": "aws", "origination_identity": SENDER, "region": "us-east-1", "endpoint": url, **settings}
    return build_provider(values, {}, tools())


def send_one(provider: Provider, text: str | None = "Your code is 135790.") -> Outcome:
    (outcome,) = provider.send([message(TO, sms(None, text=text))])
    assert outcome is not None
    return outcome


def test_a_text_is_sent_and_carries_our_id(sandbox: Sandbox, provider: Provider) -> None:
    outgoing = message(TO, sms("1234", "x", text="你好，135790"))
    (outcome,) = provider.send([outgoing])
    (delivery,) = sandbox.outbox.all("aws", TO)
    assert outcome == Sent(delivery.id)
    assert delivery.data == {
        "text": "你好，135790",
        "from": SENDER,
        "message_type": "TRANSACTIONAL",
        "context": {"mepush_message_id": outgoing.message_id, "mepush_tenant": "tenant"},
        "configuration_set": None,
        "max_price": None,
        "time_to_live": None,
        "protect_configuration": None,
    }


def test_settings_travel_with_every_message(sandbox: Sandbox) -> None:
    settings = {
        "message_type": "PROMOTIONAL",
        "configuration_set": "events",
        "max_price": "0.05",
        "time_to_live": 300,
        "protect_configuration": "protect-1",
    }
    provider = provider_at(sandbox.url, **settings)
    assert isinstance(send_one(provider), Sent)
    data = sandbox.outbox.all()[0].data
    assert {name: data[name] for name in settings} == settings
    provider.close()


def test_each_message_is_a_call_of_its_own(sandbox: Sandbox, provider: Provider) -> None:
    messages = [message(f"+1425555{n:04d}", sms(None, text="hello"), n) for n in range(3)]
    assert provider.group(messages) == [[m] for m in messages]
    outcomes = provider.send(messages)
    assert [isinstance(outcome, Sent) for outcome in outcomes] == [True, True, True]
    assert [d.to for d in sandbox.outbox.all()] == [m.to for m in messages]


def test_no_text_is_refused_without_a_call(sandbox: Sandbox, provider: Provider) -> None:
    (outcome,) = provider.send([message(TO, sms("1234", "1"))])
    assert outcome == Rejected(Reason.TEMPLATE_REFUSED, "no_text")
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ThrottlingException", Retry(Reason.THROTTLED, "")),
        ("InternalServerException", Unknown(Reason.PROVIDER_ERROR, "")),
        ("ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT", Rejected(Reason.RECIPIENT_OPTED_OUT, "")),
        ("ConflictException/DESTINATION_PHONE_NUMBER_NOT_VERIFIED", Rejected(Reason.RECIPIENT_NOT_VERIFIED, "")),
        (
            "ConflictException/DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
            Rejected(Reason.REGION_NOT_ENABLED, ""),
        ),
        ("ConflictException/RESOURCE_NOT_ACTIVE", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "")),
        ("ConflictException/SOMETHING_NEW", Retry(Reason.UNRECOGNISED_ANSWER, "")),
        ("AccessDeniedException", AccountDown(Reason.CREDENTIALS_REFUSED, "")),
        ("AccessDeniedException/ACCOUNT_DISABLED", AccountDown(Reason.ACCOUNT_SUSPENDED, "")),
        (
            "ServiceQuotaExceededException/MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
            AccountDown(Reason.QUOTA_EXHAUSTED, ""),
        ),
        ("ServiceQuotaExceededException/DAILY_DESTINATION_CALL_LIMIT", Rejected(Reason.RECIPIENT_LIMIT, "")),
        ("ResourceNotFoundException", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "")),
        ("ValidationException/CANNOT_PARSE", Rejected(Reason.ADDRESS_INVALID, "")),
        ("ValidationException/PRICE_OVER_THRESHOLD", Rejected(Reason.REGION_NOT_ENABLED, "")),
        ("ValidationException/SENDER_ID_NOT_SUPPORTED", Rejected(Reason.SENDER_REFUSED, "")),
        ("ValidationException/SOMETHING_NEW", Rejected(Reason.CONTENT_INVALID, "")),
        ("ExpiredTokenException", AccountDown(Reason.CREDENTIALS_REFUSED, "")),
        ("SomethingNewException", Retry(Reason.UNRECOGNISED_ANSWER, "")),
    ],
)
def test_exceptions_and_their_reasons(sandbox: Sandbox, provider: Provider, code: str, expected: Outcome) -> None:
    sandbox.faults.add(Fault("code", code=code))
    assert not isinstance(expected, Sent)
    assert send_one(provider) == type(expected)(expected.reason, code)
    assert len(sandbox.requests) == 1
    assert sandbox.outbox.count() == 0


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_row_of_the_table_is_reached_over_the_wire(sandbox: Sandbox, provider: Provider, code: str) -> None:
    sandbox.faults.add(Fault("code", code=code))
    kind, reason = CODES[code]
    assert send_one(provider) == kind(reason, code)


def test_the_table_knows_the_reasons_of_the_service_model() -> None:
    model = boto3.session.Session().client("pinpoint-sms-voice-v2", region_name="us-east-1").meta.service_model
    known = {shape.name for shape in model.operation_model("SendTextMessage").error_shapes}
    assert {code for code in known if code not in CODES} == {"ConflictException"}
    for code in CODES:
        exception, _, reason = code.partition("/")
        if reason:
            assert reason in model.shape_for(f"{exception}Reason").enum, code  # type: ignore[attr-defined] # of strings
    assert set(WORDS) - {"NoCredentialsError", "NoRegionError"} <= set(CODES)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["DestinationPhoneNumber"], Rejected(Reason.ADDRESS_INVALID, "ValidationException/INVALID_PARAMETER")),
        (
            ["OriginationIdentity"],
            AccountDown(Reason.ACCOUNT_MISCONFIGURED, "ValidationException/INVALID_PARAMETER"),
        ),
        (["MessageBody"], Rejected(Reason.CONTENT_INVALID, "ValidationException/INVALID_PARAMETER")),
        ([], Rejected(Reason.CONTENT_INVALID, "ValidationException/INVALID_PARAMETER")),
    ],
)
def test_a_validation_exception_is_read_by_the_field_it_names(
    sandbox: Sandbox, provider: Provider, fields: list[str], expected: Outcome
) -> None:
    body = {
        "__type": "ValidationException",
        "Message": "m",
        "Reason": "INVALID_PARAMETER",
        "Fields": [{"Name": name, "Message": "m"} for name in fields],
    }
    sandbox.answer = Response.of(body, 400, "application/x-amz-json-1.0")
    assert send_one(provider) == expected


def test_the_sandbox_refuses_what_the_service_refuses(sandbox: Sandbox, provider: Provider) -> None:
    raw = "ValidationException/FIELD_VALIDATION_FAILED"
    assert send_one(provider, "   ") == Rejected(Reason.CONTENT_INVALID, raw)
    raw = "ValidationException/MAXIMUM_SIZE_EXCEEDED"
    assert send_one(provider, "x" * 1601) == Rejected(Reason.CONTENT_TOO_LONG, raw)
    raw = "ValidationException/INVALID_PARAMETER"
    assert provider.send([message("+0", sms(None, text="x"))]) == [Rejected(Reason.ADDRESS_INVALID, raw)]
    assert sandbox.outbox.count() == 0


def test_a_recipient_who_opted_out() -> None:
    with Sandbox(opted_out=frozenset({TO})) as box:
        provider = provider_at(box.url)
        raw = "ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT"
        assert send_one(provider) == Rejected(Reason.RECIPIENT_OPTED_OUT, raw)
        provider.close()


@pytest.mark.parametrize(
    ("fault", "expected", "accepted"),
    [
        (Fault("throttle"), Retry(Reason.THROTTLED, "ThrottlingException"), 0),
        (Fault("status", status=500), Unknown(Reason.PROVIDER_ERROR, "500"), 0),
        (Fault("status", status=429), Retry(Reason.THROTTLED, "429"), 0),
        (Fault("outage", seconds=60), Unknown(Reason.PROVIDER_ERROR, "503"), 0),
        (Fault("bad_json"), Unknown(Reason.UNRECOGNISED_ANSWER, "no_message_id"), 0),
        (Fault("reset_before"), Unknown(Reason.CONNECTION_LOST, "ConnectionClosedError"), 0),
        (Fault("reset_after"), Unknown(Reason.CONNECTION_LOST, "ConnectionClosedError"), 1),
        (Fault("throttle", to=TO), Retry(Reason.THROTTLED, "ThrottlingException"), 0),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else "",
)
def test_faults_are_met_once_and_never_retried(
    sandbox: Sandbox, provider: Provider, fault: Fault, expected: Outcome, accepted: int
) -> None:
    sandbox.faults.add(fault)
    assert send_one(provider) == expected
    assert sandbox.outbox.count("aws") == accepted
    assert len(sandbox.requests) == 1
    sandbox.faults.clear()
    assert isinstance(send_one(provider), Sent)


def test_a_fault_bound_to_one_number_spares_the_others(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.faults.add(Fault("throttle", to="+14255550199"))
    assert isinstance(send_one(provider), Sent)


def test_a_slow_answer_is_unknown_since_the_message_may_go_out(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, timeout=0.2)
    sandbox.faults.add(Fault("delay", seconds=0.6))
    assert send_one(provider) == Unknown(Reason.TIMED_OUT, "ReadTimeoutError")
    assert len(sandbox.requests) == 1
    provider.close()


def test_an_answer_without_an_id_is_not_taken_for_success(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.answer = Response.of({}, content_type="application/x-amz-json-1.0")
    assert send_one(provider) == Unknown(Reason.UNRECOGNISED_ANSWER, "no_message_id")


def test_no_connection_means_not_sent() -> None:
    provider = provider_at(closed_url())
    assert send_one(provider) == Retry(Reason.CONNECTION_FAILED, "EndpointConnectionError")
    assert provider.verify().action.startswith("Check the region")
    provider.close()


def test_an_untrusted_certificate_means_not_sent() -> None:
    with untrusted_url() as url:
        provider = provider_at(url)
        assert send_one(provider) == Retry(Reason.CONNECTION_FAILED, "certificate_self_signed")
        provider.close()


def test_unknown_credentials_take_the_account_down() -> None:
    with Sandbox(access_keys=frozenset({"AKIAOTHER"})) as box:
        provider = provider_at(box.url)
        assert send_one(provider) == AccountDown(Reason.CREDENTIALS_REFUSED, "UnrecognizedClientException")
        assert provider.verify() == Verification(
            False, *WORDS["UnrecognizedClientException"], "UnrecognizedClientException"
        )
        provider.close()


def test_no_credentials_take_the_account_down(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    provider = provider_at(sandbox.url)
    assert send_one(provider) == AccountDown(Reason.CREDENTIALS_REFUSED, "NoCredentialsError")
    assert provider.verify().summary == "There are no AWS credentials."
    assert sandbox.requests == []
    provider.close()


def test_the_region_is_the_functions_own_unless_set(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    own, other = provider_at(sandbox.url, region=None), provider_at(sandbox.url, region="ap-southeast-1")
    send_one(own)
    send_one(other)
    scopes = [request.headers["authorization"].split("/")[2] for request in sandbox.requests]
    assert scopes == ["eu-west-1", "ap-southeast-1"]
    own.close()
    other.close()


def test_no_region_takes_the_account_down(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    provider = provider_at(sandbox.url, region=None)
    assert send_one(provider) == AccountDown(Reason.ACCOUNT_MISCONFIGURED, "NoRegionError")
    assert provider.verify().summary == "No AWS region is set."


def test_threads_share_one_provider(sandbox: Sandbox, provider: Provider) -> None:
    groups = [[message(f"+1425555{n:04d}", sms(None, text="hello"))] for n in range(60)]
    with ThreadPoolExecutor(provider.threads) as pool:
        outcomes = [outcome for found in pool.map(provider.send, groups) for outcome in found]
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    # By recipient: what another test gave up waiting for may be accepted only now.
    assert [sandbox.outbox.accepted(group[0].to, group[0].message_id) for group in groups] == [1] * 60


def test_a_closed_provider_can_be_used_again(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url)
    provider.close()
    assert isinstance(send_one(provider), Sent)
    provider.close()
    provider.close()


def test_verify_is_a_dry_run_to_the_simulator(sandbox: Sandbox, provider: Provider) -> None:
    assert provider.verify() == Verification(True, "AWS accepts messages from this origination identity.")
    assert b'"DryRun": true' in sandbox.requests[0].body
    assert SIMULATOR.encode() in sandbox.requests[0].body
    assert sandbox.outbox.count() == 0


def test_verify_names_an_unknown_identity(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, origination_identity="pool-1")
    assert provider.verify() == Verification(False, *WORDS["ResourceNotFoundException"], "ResourceNotFoundException")
    provider.close()


@pytest.mark.parametrize(
    ("code", "ok", "said"),
    [
        ("ValidationException/COUNTRY_NOT_ENABLED", True, "would not send from it to the United States"),
        ("ValidationException/INVALID_IDENTITY_FOR_DESTINATION_COUNTRY", True, "the identity"),
        ("AccessDeniedException", False, "does not let this role"),
        ("ServiceQuotaExceededException/MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", False, "quota"),
        ("InternalServerException", False, EXPLANATIONS[Reason.PROVIDER_ERROR][0]),
    ],
)
def test_verify_has_words(sandbox: Sandbox, provider: Provider, code: str, ok: bool, said: str) -> None:
    sandbox.faults.add(Fault("code", code=code))
    found = provider.verify()
    assert (found.ok, found.raw_code) == (ok, code)
    assert said in found.summary
    assert found.action


def test_secrets_and_recipients_are_in_no_log_and_no_repr(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        caplog.handler.setLevel(logging.DEBUG)
        provider = provider_at(sandbox.url)
        sandbox.faults.add(Fault("code", code="SomethingNewException"))
        assert isinstance(send_one(provider), Retry)
        assert isinstance(send_one(provider), Sent)
        provider.verify()
        provider.close()
    ours = [record for record in caplog.records if record.name.startswith("shared.")]
    assert [record.getMessage() for record in ours] == ["unmapped code"]
    told = "".join(str(vars(r)) for r in caplog.records if r.name.startswith("shared.") or r.levelno > logging.DEBUG)
    for hidden in (TO, TO[2:], "135790"):
        assert hidden not in told
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records) + repr(vars(provider))
    assert "contract-secret-access-key" not in everything


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoint": "http://sms-voice.us-east-1.amazonaws.com"},
        {"endpoint": "https://evil.example.com"},
        {"origination_identity": "has blank"},
        {"origination_identity": ""},
        {"message_type": "OTHER"},
        {"max_price": "5 dollars"},
        {"time_to_live": 4},
        {"region": "nowhere"},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"provider": "aws", "origination_identity": SENDER, **settings})


def test_there_is_no_secret() -> None:
    assert secret_model("aws") is NoSecret
