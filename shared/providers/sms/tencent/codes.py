"""Tencent Cloud's SMS codes and what each means to us (Tencent Cloud docs: product/382/59177, api/382/52075).

The documents do not say which code comes for the whole request and which for one number: both places use this table.
"""

import logging

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Unknown
from shared.model.reasons import Reason

log = logging.getLogger(__name__)

Kind = type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown]
Meaning = tuple[Kind, Reason]

RECIPIENT: dict[str, Meaning] = {
    "FailedOperation.PhoneNumberInBlacklist": (Rejected, Reason.RECIPIENT_OPTED_OUT),
    "FailedOperation.PhoneNumberParseFail": (Rejected, Reason.ADDRESS_INVALID),
    "InvalidParameterValue.IncorrectPhoneNumber": (Rejected, Reason.ADDRESS_INVALID),
    "UnsupportedOperation.UnsupportedRegion": (Rejected, Reason.REGION_NOT_ENABLED),
    "LimitExceeded.AppCountryOrRegionInBlacklist": (Rejected, Reason.REGION_NOT_ENABLED),
    "LimitExceeded.PhoneNumberThirtySecondLimit": (Retry, Reason.RECIPIENT_LIMIT),
    "LimitExceeded.DeliveryFrequencyLimit": (Retry, Reason.RECIPIENT_LIMIT),
    "LimitExceeded.PhoneNumberOneHourLimit": (Rejected, Reason.RECIPIENT_LIMIT),
    "LimitExceeded.PhoneNumberDailyLimit": (Rejected, Reason.RECIPIENT_LIMIT),
    "LimitExceeded.PhoneNumberSameContentDailyLimit": (Rejected, Reason.RECIPIENT_LIMIT),
    "LimitExceeded.AppCountryOrRegionDailyLimit": (Retry, Reason.QUOTA_EXHAUSTED),
}
"""Codes that speak of one number. For a request of several numbers they cannot say which: see `request_outcome`."""

CONTENT: dict[str, Meaning] = {
    "FailedOperation.ContainSensitiveWord": (Rejected, Reason.CONTENT_REFUSED),
    "InvalidParameter.DirtyWordFound": (Rejected, Reason.CONTENT_REFUSED),
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": (Rejected, Reason.CONTENT_REFUSED),
    "InvalidParameterValue.ContentLengthLimit": (Rejected, Reason.CONTENT_TOO_LONG),
    "InvalidParameterValue.TemplateParameterLengthLimit": (Rejected, Reason.CONTENT_TOO_LONG),
    "InvalidParameterValue.TemplateParameterFormatError": (Rejected, Reason.CONTENT_INVALID),
    "FailedOperation.TemplateIncorrectOrUnapproved": (Rejected, Reason.TEMPLATE_REFUSED),
    "FailedOperation.TemplateUnapprovedOrNotExist": (Rejected, Reason.TEMPLATE_REFUSED),
    "FailedOperation.TemplateIdNotExist": (Rejected, Reason.TEMPLATE_REFUSED),
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": (Rejected, Reason.TEMPLATE_REFUSED),
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": (Rejected, Reason.TEMPLATE_REFUSED),
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone": (Rejected, Reason.TEMPLATE_REFUSED),
    # Of the account's owner, but only marketing templates meet it: the account's codes must go on.
    "UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny": (Rejected, Reason.TEMPLATE_REFUSED),
    "FailedOperation.MarketingSendTimeConstraint": (Retry, Reason.WRONG_HOUR),
}

REQUEST: dict[str, Meaning] = {
    code: (Rejected, Reason.CONTENT_INVALID)
    for code in (
        "MissingParameter",
        "MissingParameter.EmptyPhoneNumberSet",
        "InvalidParameter",
        "InvalidParameter.InvalidParameters",
        "InvalidParameterValue.MultiSmsInfoSetEmpty",
        "FailedOperation.FailResolvePacket",
        "FailedOperation.JsonParseFail",
        "FailedOperation.OtherError",
        "FailedOperation.ParametersOtherError",
        "InternalError.JsonParseFail",
        "InternalError.RestApiInterfaceNotExist",
        "LimitExceeded.PhoneNumberCountLimit",
        "UnsupportedOperation",
        "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        "UnsupportedOperation.ContainDomesticPhoneNumber",
        "RequestSizeLimitExceeded",
        "UnknownParameter",
    )
}

ACCOUNT: dict[str, Meaning] = {
    "AuthFailure.SignatureExpire": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "InternalError.RequestTimeException": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "InternalError.SigFieldMissing": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "InternalError.SigVerificationFail": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "UnauthorizedOperation.RequestPermissionDeny": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "UnauthorizedOperation.RequestIpNotInWhitelist": (AccountDown, Reason.ADDRESS_NOT_TRUSTED),
    "IpNotInWhitelist": (AccountDown, Reason.ADDRESS_NOT_TRUSTED),
    "IpInBlacklist": (AccountDown, Reason.ADDRESS_NOT_TRUSTED),
    "UnauthorizedOperation.SdkAppIdIsDisabled": (AccountDown, Reason.ACCOUNT_SUSPENDED),
    "UnauthorizedOperation.ServiceSuspendDueToArrears": (AccountDown, Reason.BALANCE_EXHAUSTED),
    "FailedOperation.InsufficientBalanceInSmsPackage": (AccountDown, Reason.BALANCE_EXHAUSTED),
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "InvalidParameterValue.SdkAppIdNotExist": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "InvalidParameter.AppidAndBizId": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "UnsupportedRegion": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "UnsupportedProtocol": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "InvalidAction": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ActionOffline": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "NoSuchVersion": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    # The signature is the account's setting, not the template's.
    "FailedOperation.SignatureIncorrectOrUnapproved": (AccountDown, Reason.SENDER_REFUSED),
    "LimitExceeded.AppDailyLimit": (AccountDown, Reason.QUOTA_EXHAUSTED),
}

MOMENT: dict[str, Meaning] = {
    # Quotas of one half of the account, so the other half goes on.
    "LimitExceeded.AppMainlandChinaDailyLimit": (Retry, Reason.QUOTA_EXHAUSTED),
    "LimitExceeded.AppGlobalDailyLimit": (Retry, Reason.QUOTA_EXHAUSTED),
    "LimitExceeded.DailyLimit": (Retry, Reason.QUOTA_EXHAUSTED),
    "LimitExceeded.GlobalSmsSendingRateLimit": (Retry, Reason.THROTTLED),
    "ServiceUnavailable": (Retry, Reason.PROVIDER_BUSY),
    "ResourceUnavailable": (Retry, Reason.PROVIDER_BUSY),
    "InternalError.Timeout": (Unknown, Reason.TIMED_OUT),
    "InternalError.SendAndRecvFail": (Unknown, Reason.TIMED_OUT),
}

CODES: dict[str, Meaning] = RECIPIENT | CONTENT | REQUEST | ACCOUNT | MOMENT

FAMILIES: dict[str, Meaning] = {
    "AuthFailure": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "UnauthorizedOperation": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "RequestLimitExceeded": (Retry, Reason.THROTTLED),
    # The vendor's own failure may lie before or after the hand-over to the carrier.
    "InternalError": (Unknown, Reason.PROVIDER_ERROR),
}
"""What a code means that is not in the table itself, by the word before its first dot."""

# Seconds; of a day's quota or a day's window it is asked once an hour whether it is over.
WAITS: dict[str, float] = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30.0,
    "LimitExceeded.DeliveryFrequencyLimit": 30.0,
    "LimitExceeded.AppCountryOrRegionDailyLimit": 3600.0,
    "LimitExceeded.AppMainlandChinaDailyLimit": 3600.0,
    "LimitExceeded.AppGlobalDailyLimit": 3600.0,
    "LimitExceeded.DailyLimit": 3600.0,
    "FailedOperation.MarketingSendTimeConstraint": 3600.0,
}


def outcome_of(code: str) -> Outcome:
    """What a code means for one number, or for a request of one. An unmapped code is logged and becomes `Retry`."""
    meaning = CODES.get(code) or FAMILIES.get(code.partition(".")[0])
    if meaning is None:
        log.warning("unmapped code", extra={"provider": "tencent", "code": code})
        meaning = (Retry, Reason.UNRECOGNISED_ANSWER)
    kind, reason = meaning
    if kind is Retry:
        return Retry(reason, code, WAITS.get(code))
    return kind(reason, code)


def request_outcome(code: str, numbers: int) -> Outcome:
    """What a code for a whole request means for each of its numbers.

    A code that speaks of one number does not condemn the others: nothing was sent, so all of them are tried again.
    """
    outcome = outcome_of(code)
    if numbers > 1 and code in RECIPIENT and isinstance(outcome, Rejected):
        return Retry(outcome.reason, code)
    return outcome


WORDS: dict[str, tuple[str, str]] = {
    "AuthFailure.SecretIdNotFound": (
        "Tencent Cloud does not know this secret id.",
        "Copy the key again from the console's API key page (访问密钥), and check that it is enabled.",
    ),
    "AuthFailure.SignatureFailure": (
        "The secret key does not belong to the secret id.",
        "Enter the SecretKey that was shown together with this SecretId.",
    ),
    "AuthFailure.SignatureExpire": (
        "The clock of this machine and Tencent Cloud's are more than five minutes apart.",
        "Set this machine's clock right.",
    ),
    "AuthFailure.TokenFailure": ("The token is not valid.", "Use a permanent key, not a temporary one."),
    "AuthFailure.UnauthorizedOperation": (
        "The key's owner may not use the SMS interface.",
        "Give the sub-account the policy QcloudSMSFullAccess, or allow it sms:SendSms, sms:SendStatusStatistics, "
        "sms:DescribeSendRecordList and sms:PullSmsSendStatusByPhoneNumber.",
    ),
    "InvalidParameterValue.SdkAppIdNotExist": (
        "There is no SMS application with this SdkAppId.",
        "Copy the SdkAppId from the SMS console's application list (应用管理).",
    ),
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": (
        "The SdkAppId does not belong to the account of this key.",
        "Use an SdkAppId and an API key of the same Tencent Cloud account.",
    ),
    "UnauthorizedOperation.RequestIpNotInWhitelist": (
        "The application takes requests from listed IP addresses only, and this one is not listed.",
        "Add the platform's outgoing IP address in the SMS console, or switch the check off.",
    ),
    "UnauthorizedOperation.ServiceSuspendDueToArrears": (
        "The service is suspended because the account is in arrears.",
        "Pay the balance in the Tencent Cloud console.",
    ),
    "UnauthorizedOperation.SdkAppIdIsDisabled": (
        "Tencent Cloud has disabled this SdkAppId.",
        "Ask Tencent Cloud's SMS support why.",
    ),
}
"""What a code of `verify` means to the person who set the account up, and what to do; others take their reason's."""
