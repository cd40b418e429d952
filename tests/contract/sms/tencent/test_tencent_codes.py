"""Every code of Tencent Cloud that sending can meet has a meaning."""

import logging

import pytest
from tencentcloud.sms.v20210111 import errorcodes

from shared.model.outcome import AccountDown, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.sms.tencent import codes as tencent_codes
from shared.providers.sms.tencent.codes import CODES, FAMILIES, RECIPIENT, WAITS, WORDS, outcome_of, request_outcome

SDK_CODES = frozenset(v for k, v in vars(errorcodes).items() if k.isupper() and isinstance(v, str))

# Of the interfaces that manage signatures and templates, or fetch statistics and receipts.
NOT_OF_SENDING = frozenset(
    {
        "FailedOperation.ForbidAddMarketingTemplates",
        "FailedOperation.MissingSignature",
        "FailedOperation.MissingSignatureList",
        "FailedOperation.MissingSignatureToModify",
        "FailedOperation.MissingTemplateList",
        "FailedOperation.MissingTemplateToModify",
        "FailedOperation.NotEnterpriseCertification",
        "FailedOperation.ProhibitSubAccountUse",
        "FailedOperation.QualificationIdNotApproved",
        "FailedOperation.SignIdNotExist",
        "FailedOperation.SignNumberLimit",
        "FailedOperation.TemplateAlreadyPassedCheck",
        "FailedOperation.TemplateNumberLimit",
        "InvalidParameterValue.BeginTimeVerifyFail",
        "InvalidParameterValue.EndTimeVerifyFail",
        "InvalidParameterValue.ImageInvalid",
        "InvalidParameterValue.InvalidDocumentType",
        "InvalidParameterValue.InvalidInternational",
        "InvalidParameterValue.InvalidSignPurpose",
        "InvalidParameterValue.InvalidSmsType",
        "InvalidParameterValue.InvalidStartTime",
        "InvalidParameterValue.InvalidTemplateFormat",
        "InvalidParameterValue.InvalidUsedMethod",
        "InvalidParameterValue.LimitVerifyFail",
        "InvalidParameterValue.MarketingTemplateWithoutUnsubscribe",
        "InvalidParameterValue.OffsetVerifyFail",
        "InvalidParameterValue.QualificationIdNotFound",
        "InvalidParameterValue.SignAlreadyPassedCheck",
        "InvalidParameterValue.SignExistAndUnapproved",
        "InvalidParameterValue.SignNameLengthTooLong",
        "InvalidParameterValue.TemplateWithDirtyWords",
        "InvalidParameterValue.UnsupportedTemplateVariable",
    }
)

# Common to all interfaces (Tencent Cloud docs: api/382/52075), so not in the SDK's list.
COMMON = (
    "ActionOffline",
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.InvalidSecretId",
    "AuthFailure.MFAFailure",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "AuthFailure.TokenFailure",
    "AuthFailure.UnauthorizedOperation",
    "InternalError",
    "InvalidAction",
    "InvalidParameter",
    "IpInBlacklist",
    "IpNotInWhitelist",
    "MissingParameter",
    "NoSuchVersion",
    "RequestLimitExceeded",
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
    "RequestLimitExceeded.IPLimitExceeded",
    "RequestLimitExceeded.UinLimitExceeded",
    "RequestSizeLimitExceeded",
    "ResourceUnavailable",
    "ServiceUnavailable",
    "UnknownParameter",
    "UnsupportedProtocol",
    "UnsupportedRegion",
)


def test_the_list_of_codes_that_sending_never_meets_is_up_to_date() -> None:
    assert len(SDK_CODES) > 90
    assert NOT_OF_SENDING <= SDK_CODES
    assert not NOT_OF_SENDING & set(CODES)


@pytest.mark.parametrize("code", sorted((SDK_CODES - NOT_OF_SENDING) | set(COMMON)))
def test_every_code_that_sending_may_meet_has_a_meaning(code: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = outcome_of(code)
    assert not isinstance(outcome, Sent)
    assert outcome.raw_code == code
    assert outcome.reason is not Reason.UNRECOGNISED_ANSWER
    assert not caplog.records


def test_the_table_names_no_code_that_the_vendor_does_not() -> None:
    assert set(CODES) <= SDK_CODES | set(COMMON)
    assert set(WAITS) <= set(CODES)
    assert all(CODES[code][0] is Retry for code in WAITS)
    assert set(WORDS) <= SDK_CODES | set(COMMON)
    parts = [tencent_codes.RECIPIENT, tencent_codes.CONTENT, tencent_codes.REQUEST, tencent_codes.ACCOUNT]
    assert sum(map(len, [*parts, tencent_codes.MOMENT])) == len(CODES), "each code is in one part only"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("FailedOperation.PhoneNumberInBlacklist", Rejected(Reason.RECIPIENT_OPTED_OUT, "")),
        ("InvalidParameterValue.IncorrectPhoneNumber", Rejected(Reason.ADDRESS_INVALID, "")),
        ("LimitExceeded.PhoneNumberThirtySecondLimit", Retry(Reason.RECIPIENT_LIMIT, "", 30.0)),
        ("LimitExceeded.PhoneNumberOneHourLimit", Rejected(Reason.RECIPIENT_LIMIT, "")),
        ("LimitExceeded.PhoneNumberDailyLimit", Rejected(Reason.RECIPIENT_LIMIT, "")),
        ("LimitExceeded.AppDailyLimit", AccountDown(Reason.QUOTA_EXHAUSTED, "")),
        ("LimitExceeded.AppCountryOrRegionInBlacklist", Rejected(Reason.REGION_NOT_ENABLED, "")),
        ("LimitExceeded.GlobalSmsSendingRateLimit", Retry(Reason.THROTTLED, "")),
        ("RequestLimitExceeded.UinLimitExceeded", Retry(Reason.THROTTLED, "")),
        ("FailedOperation.MarketingSendTimeConstraint", Retry(Reason.WRONG_HOUR, "", 3600.0)),
        ("FailedOperation.ContainSensitiveWord", Rejected(Reason.CONTENT_REFUSED, "")),
        ("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", Rejected(Reason.TEMPLATE_REFUSED, "")),
        ("FailedOperation.InsufficientBalanceInSmsPackage", AccountDown(Reason.BALANCE_EXHAUSTED, "")),
        ("UnauthorizedOperation.RequestIpNotInWhitelist", AccountDown(Reason.ADDRESS_NOT_TRUSTED, "")),
        ("InvalidParameterValue.SdkAppIdNotExist", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "")),
        ("InternalError.RequestTimeException", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "")),
        ("InternalError.SigVerificationFail", AccountDown(Reason.CREDENTIALS_REFUSED, "")),
        ("InternalError", Unknown(Reason.PROVIDER_ERROR, "")),
        ("InternalError.NewKind", Unknown(Reason.PROVIDER_ERROR, "")),
        ("InternalError.SendAndRecvFail", Unknown(Reason.TIMED_OUT, "")),
        ("InternalError.JsonParseFail", Rejected(Reason.CONTENT_INVALID, "")),
        ("UnauthorizedOperation.NewKind", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "")),
    ],
)
def test_meanings(code: str, expected: object) -> None:
    found = outcome_of(code)
    assert not isinstance(found, Sent)
    assert found == type(expected)(expected.reason, code, *([expected.after] if isinstance(expected, Retry) else []))  # type: ignore[attr-defined, call-arg] # one of the four


def test_an_unmapped_code_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert outcome_of("FailedOperation.NewKind") == Retry(Reason.UNRECOGNISED_ANSWER, "FailedOperation.NewKind")
    assert [(r.getMessage(), vars(r)["code"]) for r in caplog.records] == [("unmapped code", "FailedOperation.NewKind")]


@pytest.mark.parametrize("code", sorted(RECIPIENT))
def test_a_request_of_several_numbers_is_never_refused_for_one_of_them(code: str) -> None:
    assert isinstance(request_outcome(code, 200), Retry)
    assert request_outcome(code, 1) == outcome_of(code)


@pytest.mark.parametrize("code", sorted((set(CODES) - set(RECIPIENT)) | set(FAMILIES)))
def test_other_codes_mean_the_same_for_any_number_of_numbers(code: str) -> None:
    assert request_outcome(code, 200) == outcome_of(code)
