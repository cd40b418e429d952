"""Answers of AWS End User Messaging SMS, and failures without an answer, and what each means to us."""

import logging
from typing import Any

from shared.model.outcome import AccountDown, Outcome, Rejected, Report, Retry, Unknown
from shared.model.reasons import Reason
from shared.providers.base import retry_after
from shared.providers.reaching import outcome_of_reaching, report_of

log = logging.getLogger(__name__)

_Kind = type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown]

CODES: dict[str, tuple[_Kind, Reason]] = {
    "ThrottlingException": (Retry, Reason.THROTTLED),
    "InternalServerException": (Unknown, Reason.PROVIDER_ERROR),
    "ServiceQuotaExceededException": (AccountDown, Reason.QUOTA_EXHAUSTED),
    "ServiceQuotaExceededException/DAILY_DESTINATION_CALL_LIMIT": (Rejected, Reason.RECIPIENT_LIMIT),
    "AccessDeniedException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "AccessDeniedException/INSUFFICIENT_ACCOUNT_REPUTATION": (AccountDown, Reason.ACCOUNT_SUSPENDED),
    "AccessDeniedException/ACCOUNT_DISABLED": (AccountDown, Reason.ACCOUNT_SUSPENDED),
    "ResourceNotFoundException": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT": (Rejected, Reason.RECIPIENT_OPTED_OUT),
    "ConflictException/DESTINATION_PHONE_NUMBER_NOT_VERIFIED": (Rejected, Reason.RECIPIENT_NOT_VERIFIED),
    "ConflictException/DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": (
        Rejected,
        Reason.RECIPIENT_BLOCKED,
    ),
    "ConflictException/DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": (Rejected, Reason.REGION_NOT_ENABLED),
    # A pool may have no number for one country and one for the next, so this is not the whole account's.
    "ConflictException/NO_ORIGINATION_IDENTITIES_FOUND": (Rejected, Reason.SENDER_REFUSED),
    "ConflictException/MESSAGE_TYPE_MISMATCH": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ConflictException/NUMBER_CAPABILITIES_MISMATCH": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ConflictException/RESOURCE_NOT_ACTIVE": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ValidationException": (Rejected, Reason.CONTENT_INVALID),
    "ValidationException/CANNOT_PARSE": (Rejected, Reason.ADDRESS_INVALID),
    "ValidationException/COUNTRY_CODE_MISMATCH": (Rejected, Reason.ADDRESS_INVALID),
    "ValidationException/MAXIMUM_SIZE_EXCEEDED": (Rejected, Reason.CONTENT_TOO_LONG),
    # What a message costs depends on its country.
    "ValidationException/PRICE_OVER_THRESHOLD": (Rejected, Reason.REGION_NOT_ENABLED),
    "ValidationException/DESTINATION_COUNTRY_BLOCKED": (Rejected, Reason.REGION_NOT_ENABLED),
    "ValidationException/COUNTRY_NOT_ENABLED": (Rejected, Reason.REGION_NOT_ENABLED),
    "ValidationException/INTERNATIONAL_SENDING_NOT_SUPPORTED": (Rejected, Reason.REGION_NOT_ENABLED),
    "ValidationException/INVALID_IDENTITY_FOR_DESTINATION_COUNTRY": (Rejected, Reason.SENDER_REFUSED),
    "ValidationException/SENDER_ID_NOT_REGISTERED": (Rejected, Reason.SENDER_REFUSED),
    "ValidationException/SENDER_ID_NOT_SUPPORTED": (Rejected, Reason.SENDER_REFUSED),
    "ValidationException/SENDER_ID_REQUIRES_REGISTRATION": (Rejected, Reason.SENDER_REFUSED),
    "ValidationException/CHANNEL_NOT_ENABLED": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ValidationException/INVALID_ARN": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "ValidationException/RESOURCE_NOT_ACCESSIBLE": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    # Common to all services of AWS. The first two say that the request failed, a bare 503 of something before them not.
    "ServiceUnavailable": (Retry, Reason.PROVIDER_BUSY),
    "ServiceUnavailableException": (Retry, Reason.PROVIDER_BUSY),
    "UnrecognizedClientException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "InvalidSignatureException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "IncompleteSignatureException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "MissingAuthenticationTokenException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "ExpiredTokenException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "OptInRequired": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
}
"""Exception, or exception/Reason, to what it means; the more precise row wins."""

# The request's fields that come from the account's settings.
_SETTINGS_FIELDS = frozenset(
    {"originationidentity", "configurationsetname", "maxprice", "timetolive", "protectconfigurationid", "messagetype"}
)


def outcome_of_answer(response: Any) -> Outcome:
    """What an error answer of AWS means. An unmapped code is logged and becomes `Retry`."""
    code = str(response.get("Error", {}).get("Code") or "unknown")
    reason = response.get("Reason")
    raw = f"{code}/{reason}" if reason else code
    meaning = CODES.get(raw) or _of_fields(code, response) or CODES.get(code)
    if meaning is None:
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
        if status >= 500:
            meaning = (Unknown, Reason.PROVIDER_ERROR)
        elif status == 429:
            meaning = (Retry, Reason.THROTTLED)
        else:
            log.warning("unmapped code", extra={"provider": "aws", "code": raw})
            meaning = (Retry, Reason.UNRECOGNISED_ANSWER)
    kind, why = meaning
    if kind is Retry:
        return Retry(why, raw, retry_after(response.get("ResponseMetadata", {}).get("HTTPHeaders", {})))
    return kind(why, raw)


def report_of_answer(response: Any) -> Report:
    """What an error answer means to a report of a code that was given back (PutMessageFeedback, "Errors")."""
    code = str(response.get("Error", {}).get("Code") or "unknown")
    if code in ("ResourceNotFoundException", "ValidationException"):
        # AWS knows no such message, or none that is reported of: no other try finds one.
        return Rejected(Reason.UNRESOLVED, code)
    return report_of(outcome_of_answer(response))


def _of_fields(code: str, response: Any) -> tuple[_Kind, Reason] | None:
    """What a ValidationException means by the fields that it names, when its Reason does not say."""
    names = {str(field.get("Name", "")).lower() for field in response.get("Fields") or () if isinstance(field, dict)}
    if code != "ValidationException" or not names:
        return None
    if "destinationphonenumber" in names:
        return Rejected, Reason.ADDRESS_INVALID
    return (AccountDown, Reason.ACCOUNT_MISCONFIGURED) if names & _SETTINGS_FIELDS else None


def outcome_of_failure(error: Exception) -> Outcome:
    """What it means that no answer of AWS could be read: whether the request may have left decides."""
    from botocore import exceptions as botocore

    reaching = outcome_of_reaching(error)
    if reaching is not None:
        return reaching
    name = type(error).__name__
    never_sent = (botocore.EndpointConnectionError, botocore.ConnectTimeoutError, botocore.ProxyConnectionError)
    if isinstance(error, never_sent):
        return Retry(Reason.CONNECTION_FAILED, name)
    if isinstance(error, botocore.ReadTimeoutError):
        return Unknown(Reason.TIMED_OUT, name)
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        return Unknown(Reason.CONNECTION_LOST, name)
    no_credentials = (
        botocore.NoCredentialsError,
        botocore.PartialCredentialsError,
        botocore.CredentialRetrievalError,
        botocore.NoAuthTokenError,
    )
    if isinstance(error, no_credentials):
        return AccountDown(Reason.CREDENTIALS_REFUSED, name)
    if isinstance(error, botocore.NoRegionError | botocore.InvalidRegionError | botocore.UnknownServiceError):
        return AccountDown(Reason.ACCOUNT_MISCONFIGURED, name)
    if isinstance(error, botocore.ParamValidationError):
        return Rejected(Reason.CONTENT_INVALID, name)
    log.warning("unexpected failure", extra={"provider": "aws", "code": name})
    return Unknown(Reason.UNRECOGNISED_ANSWER, name)


WORDS: dict[str, tuple[str, str]] = {
    "ResourceNotFoundException": (
        "AWS knows no such origination identity, configuration set or protect configuration in this region.",
        "Check their names and the region in the AWS End User Messaging console.",
    ),
    "AccessDeniedException": (
        "AWS does not let this role or account send text messages.",
        "Allow sms-voice:SendTextMessage for the function's role, and look for a notice in the AWS console.",
    ),
    "NoCredentialsError": ("There are no AWS credentials.", "Run with a role or profile that may send."),
    "NoRegionError": ("No AWS region is set.", "Set the account's region."),
    "ExpiredTokenException": ("The AWS credentials have expired.", "Sign in again."),
    "UnrecognizedClientException": ("AWS does not know these credentials.", "Use valid AWS credentials."),
}
"""What a failed `verify` means, by exception; others take their reason's words."""
