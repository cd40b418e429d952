"""The Tencent Cloud provider: trying an account, its settings and its secret."""

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault
from shared.model.accounts import ProviderSettings
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.base import Provider, Verification
from shared.providers.sms.tencent.provider import Secret, Settings
from tests.contract.sms.support import closed_url, message, sms
from tests.contract.sms.tencent.support import APP, ONE, SECRET_ID, SECRET_KEY, Sandbox, provider_at


def test_verify_asks_for_statistics_of_this_application(sandbox: Sandbox, provider: Provider) -> None:
    assert provider.verify() == Verification(
        True,
        "Tencent Cloud accepts the key and the SdkAppId.",
        "The signature is first checked when a message is sent.",
    )
    (request,) = sandbox.requests
    assert request.headers["x-tc-action"] == "SendStatusStatistics"
    # The clock says 10:00 UTC, and the vendor counts in Beijing's hours.
    assert sandbox.bodies == [
        {"BeginTime": "2025011517", "EndTime": "2025011518", "SmsSdkAppId": APP, "Limit": 0, "Offset": 0}
    ]
    assert sandbox.outbox.count() == 0


def test_verify_points_out_a_missing_signature(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, sign_name=None)
    found = provider.verify()
    assert found.ok
    assert "sign_name" in found.action
    provider.close()


@pytest.mark.parametrize(
    ("settings", "raw", "said"),
    [
        ({"key": "wrong"}, "AuthFailure.SignatureFailure", "does not belong to the secret id"),
        ({"secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound", "does not know this secret id"),
        ({"sdk_app_id": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail", "does not belong to the account"),
    ],
)
def test_verify_names_what_is_wrong(sandbox: Sandbox, settings: dict[str, Any], raw: str, said: str) -> None:
    provider = provider_at(sandbox.url, **settings)
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, raw)
    assert said in found.summary
    assert found.action
    provider.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UnauthorizedOperation.RequestIpNotInWhitelist", "listed IP addresses only"),
        ("UnauthorizedOperation.ServiceSuspendDueToArrears", "in arrears"),
        ("AuthFailure.UnauthorizedOperation", "may not use the SMS interface"),
        ("AuthFailure.SignatureExpire", "clock"),
        ("InternalError.UnknownError", EXPLANATIONS[Reason.PROVIDER_ERROR][0]),
        ("Novel", EXPLANATIONS[Reason.UNRECOGNISED_ANSWER][0]),
    ],
)
def test_verify_has_words_for_codes(sandbox: Sandbox, provider: Provider, code: str, said: str) -> None:
    sandbox.faults.add(Fault("code", code=code, at="SendStatusStatistics"))
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, code)
    assert said in found.summary


def test_verify_says_when_nothing_is_reached() -> None:
    provider = provider_at(closed_url())
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, "ConnectionError")
    assert found.summary == "The provider could not be reached."
    assert "endpoint" in found.action
    provider.close()


def test_secrets_and_recipients_are_in_no_log_and_no_repr(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        provider = provider_at(sandbox.url)
        wrong = provider_at(sandbox.url, key="wrong-" + SECRET_KEY)
        for code in ("Novel", "InternalError"):
            sandbox.faults.add(Fault("code", code=code))
            provider.send([message(ONE, sms("2", "135790", "5"))])
        for found in (provider, wrong):
            found.send([message(ONE, sms("2", "135790", "5"))])
            found.verify()
            found.close()
    assert "unmapped code" in caplog.text
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    told += repr(provider) + str(vars(provider))
    for hidden in (SECRET_KEY, SECRET_ID, ONE, ONE[3:], "135790"):
        assert hidden not in told


def test_a_secret_that_cannot_be_right_is_refused_without_being_shown() -> None:
    for bad in ("", "   ", "two words", "密钥密钥", "x" * 513):
        with pytest.raises(ValidationError) as caught:
            Secret.model_validate({"secret_id": bad, "secret_key": "k"})
        assert not bad.strip() or bad not in str(caught.value)
    pasted = Secret.model_validate({"secret_id": " AKIDx\n", "secret_key": "k"})
    assert pasted.secret_id.get_secret_value() == "AKIDx"
    assert "AKIDx" not in repr(pasted)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://sms.tencentcloudapi.com",
        "https://evil.example.com",
        "https://tencentcloudapi.com.evil.example",
        "https://sms.tencentcloudapi.com/path",
        "https://sms.tencentcloudapi.com?x=1",
        "https://user@sms.tencentcloudapi.com",
        "ftp://127.0.0.1",
    ],
)
def test_endpoints_elsewhere_are_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"provider": "tencent", "sdk_app_id": APP, "endpoint": endpoint})


def test_settings_have_the_vendors_defaults() -> None:
    settings = Settings.model_validate({"provider": "tencent", "sdk_app_id": APP})
    assert isinstance(settings, ProviderSettings)
    assert (settings.region, settings.endpoint, settings.timeout) == ("ap-guangzhou", None, 10.0)
    assert Settings.model_validate(
        {"provider": "tencent", "sdk_app_id": APP, "endpoint": "https://sms.intl.tencentcloudapi.com"}
    ).endpoint
    with pytest.raises(ValidationError):
        Settings.model_validate({"provider": "tencent", "sdk_app_id": "app"})
