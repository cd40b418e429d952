"""Answers of Amazon SES, and failures without an answer, and what each means to us."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    CredentialRetrievalError,
    EndpointProviderError,
    HTTPClientError,
    IncompleteReadError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from msgspec.structs import replace

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import retry_after
from shared.providers.email.quoted import Own, unquoted
from shared.providers.reaching import outcome_of_reaching

logger = logging.getLogger(__name__)

_NOBODY = Own()
_Kind = type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown]

_BAD = Reason.ADDRESS_INVALID

# By error code (SES API v2 reference, "SendEmail", errors; IAM's common errors). A more telling text goes first, below.
ERRORS: dict[str, tuple[_Kind, Reason]] = {
    "TooManyRequestsException": (Retry, Reason.THROTTLED),
    "ThrottlingException": (Retry, Reason.THROTTLED),
    "Throttling": (Retry, Reason.THROTTLED),
    "RequestLimitExceeded": (Retry, Reason.THROTTLED),
    "LimitExceededException": (Retry, Reason.QUOTA_EXHAUSTED),
    "ConcurrentModificationException": (Retry, Reason.PROVIDER_BUSY),
    "ServiceUnavailable": (Retry, Reason.PROVIDER_BUSY),
    "ServiceUnavailableException": (Retry, Reason.PROVIDER_BUSY),
    "MessageRejected": (Rejected, Reason.CONTENT_REFUSED),
    "BadRequestException": (Rejected, Reason.CONTENT_INVALID),
    "ValidationException": (Rejected, Reason.CONTENT_INVALID),
    "AccountSuspendedException": (AccountDown, Reason.ACCOUNT_SUSPENDED),
    "SendingPausedException": (AccountDown, Reason.ACCOUNT_SUSPENDED),
    "MailFromDomainNotVerifiedException": (AccountDown, Reason.SENDER_REFUSED),
    # Only a configuration set can be missing: no message names anything else.
    "NotFoundException": (AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    "AccessDenied": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "AccessDeniedException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "ExpiredToken": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "ExpiredTokenException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "IncompleteSignature": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "InvalidClientTokenId": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "InvalidSignatureException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "MissingAuthenticationTokenException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "OptInRequired": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "SignatureDoesNotMatch": (AccountDown, Reason.CREDENTIALS_REFUSED),
    "UnrecognizedClientException": (AccountDown, Reason.CREDENTIALS_REFUSED),
    # SES says nothing about whether the message went out.
    "InternalServiceErrorException": (Unknown, Reason.PROVIDER_ERROR),
    "InternalFailure": (Unknown, Reason.PROVIDER_ERROR),
}

# Words in the text of a code above that change what it means (SES Developer Guide, "Errors related to quotas" and
# "Email sending errors"), without the addresses that it quotes. Of those that are not verified, SES names each.
_TEXTS: tuple[tuple[str, str, _Kind, Reason], ...] = (
    ("ThrottlingException", r"daily (message|sending) quota", Retry, Reason.QUOTA_EXHAUSTED),
    ("TooManyRequestsException", r"daily (message|sending) quota", Retry, Reason.QUOTA_EXHAUSTED),
    ("LimitExceededException", r"maximum sending rate", Retry, Reason.THROTTLED),
    ("MessageRejected", r"failed the check in region \S+: .*<sender>", AccountDown, Reason.SENDER_REFUSED),
    ("MessageRejected", r"failed the check in region \S+: .*<recipient>", Rejected, Reason.RECIPIENT_NOT_VERIFIED),
    ("MessageRejected", r"address is not verified", AccountDown, Reason.SENDER_REFUSED),
    ("MessageRejected", r"sending (is |has been )?(suspended|paused|disabled)", AccountDown, Reason.ACCOUNT_SUSPENDED),
    (
        "BadRequestException",
        r"(illegal|invalid) address|local address contains|missing final '@domain'",
        Rejected,
        _BAD,
    ),
    ("BadRequestException", r"domain (starts|ends|contains|name is)", Rejected, _BAD),
)

SUCCESS = "SUCCESS"
TEMPLATE_GONE = "TEMPLATE_NOT_FOUND"
TEMPLATES_GONE = frozenset({TEMPLATE_GONE, "TEMPLATE_DOES_NOT_EXIST"})

# By status of one message of a call for many (SES API v2 reference, "BulkEmailEntryResult"; where its text names a
# status otherwise than its list, both names), and the codes above whose texts tell more of it.
STATUSES: dict[str, tuple[_Kind, Reason, tuple[str, ...]]] = {
    "MESSAGE_REJECTED": (Rejected, Reason.CONTENT_REFUSED, ("MessageRejected",)),
    "INVALID_PARAMETER": (Rejected, Reason.CONTENT_INVALID, ("BadRequestException",)),
    "INVALID_PARAMETER_VALUE": (Rejected, Reason.CONTENT_INVALID, ("BadRequestException",)),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": (AccountDown, Reason.SENDER_REFUSED, ()),
    "CONFIGURATION_SET_NOT_FOUND": (AccountDown, Reason.ACCOUNT_MISCONFIGURED, ()),
    "CONFIGURATION_SET_DOES_NOT_EXIST": (AccountDown, Reason.ACCOUNT_MISCONFIGURED, ()),
    "INVALID_SENDING_POOL_NAME": (AccountDown, Reason.ACCOUNT_MISCONFIGURED, ()),
    "ACCOUNT_SUSPENDED": (AccountDown, Reason.ACCOUNT_SUSPENDED, ()),
    "ACCOUNT_SENDING_PAUSED": (AccountDown, Reason.ACCOUNT_SUSPENDED, ()),
    "CONFIGURATION_SET_SENDING_PAUSED": (AccountDown, Reason.ACCOUNT_SUSPENDED, ()),
    # Somebody took it away. It is made anew before the next try.
    TEMPLATE_GONE: (Retry, Reason.ACCOUNT_MISCONFIGURED, ()),
    "TEMPLATE_DOES_NOT_EXIST": (Retry, Reason.ACCOUNT_MISCONFIGURED, ()),
    "ACCOUNT_THROTTLED": (Retry, Reason.THROTTLED, ("TooManyRequestsException",)),
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": (Retry, Reason.QUOTA_EXHAUSTED, ()),
    # "Unable to process your request because of a temporary issue": of FAILED it says nothing of the kind.
    "TRANSIENT_FAILURE": (Retry, Reason.PROVIDER_BUSY, ()),
    "FAILED": (
        Unknown,
        Reason.PROVIDER_ERROR,
        ("MessageRejected", "BadRequestException", "TooManyRequestsException"),
    ),
}

# Refusals of a whole call that may be about one of its messages, or about calls for many as such. Nothing was sent.
_OF_SOME = frozenset(
    {"AccessDenied", "AccessDeniedException", "BadRequestException", "MessageRejected", "ValidationException"}
)

# By kind of failure without an answer; the first that fits. Where the request may have left, nobody knows.
_FAILURES: tuple[tuple[type[Exception], _Kind, Reason], ...] = (
    (ReadTimeoutError, Unknown, Reason.TIMED_OUT),
    (ConnectionClosedError, Unknown, Reason.CONNECTION_LOST),
    # No connection was made: ConnectTimeoutError, EndpointConnectionError and ProxyConnectionError.
    (ConnectionError, Retry, Reason.CONNECTION_FAILED),
    (ResponseStreamingError, Unknown, Reason.CONNECTION_LOST),
    (IncompleteReadError, Unknown, Reason.CONNECTION_LOST),
    (HTTPClientError, Unknown, Reason.CONNECTION_LOST),
    (NoCredentialsError, AccountDown, Reason.CREDENTIALS_REFUSED),
    (PartialCredentialsError, AccountDown, Reason.CREDENTIALS_REFUSED),
    (CredentialRetrievalError, Retry, Reason.CONNECTION_FAILED),
    (NoRegionError, AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    (InvalidRegionError, AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    (EndpointProviderError, AccountDown, Reason.ACCOUNT_MISCONFIGURED),
    (ParamValidationError, Rejected, Reason.CONTENT_INVALID),
)


def outcome_of_error(error: ClientError, own: Own = _NOBODY) -> Outcome:
    """Look an answer of SES up in the tables. own: the addresses that it may quote."""
    outcome = _outcome_of_answer(error, own)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return replace(outcome, after=retry_after(headers)) if isinstance(outcome, Retry) else outcome


def outcomes_of_entries(results: object, own: Sequence[Own]) -> list[Outcome]:
    """What became of the messages of a call for many. own: the addresses that SES may quote of each, in their order."""
    if not isinstance(results, list) or len(results) != len(own):
        # Which result is whose is told by their order alone, so where some are missing none can be trusted.
        logger.warning("unrecognised SES answer", extra={"raw_code": "wrong_count"})
        return [Unknown(Reason.UNRECOGNISED_ANSWER, "wrong_count")] * len(own)
    return [_outcome_of_entry(result, whose) for result, whose in zip(results, own, strict=True)]


def _outcome_of_entry(result: Mapping[str, Any], own: Own) -> Outcome:
    status, ses_id = str(result.get("Status") or ""), result.get("MessageId")
    if status == SUCCESS and ses_id:
        return Sent(str(ses_id))
    if status not in STATUSES:
        # Also of a success without an id: it may well have been taken.
        logger.warning("unrecognised SES answer", extra={"raw_code": status})
        return Unknown(Reason.UNRECOGNISED_ANSWER, status or "no_status")
    kind, reason, codes = STATUSES[status]
    kind, reason = _by_text(codes, unquoted(str(result.get("Error") or ""), own)) or (kind, reason)
    return kind(reason, status)


def template_is_gone(error: ClientError) -> bool:
    """Whether a whole call was refused since its template is not there; a configuration set may be missing, too."""
    details = error.response.get("Error", {})
    text = str(details.get("Message", "")).lower()
    return details.get("Code") == "NotFoundException" and "template" in text and "configuration set" not in text


def may_be_of_some(error: ClientError) -> bool:
    """Whether the refusal of a whole call for many says nothing of each: one alone may be sent for all that."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _OF_SOME or (code not in ERRORS and 400 <= status < 500 and status != 429)


def is_no_right(error: ClientError) -> bool:
    """Whether the role may not make such calls."""
    return str(error.response.get("Error", {}).get("Code", "")) in {"AccessDenied", "AccessDeniedException"}


def _by_text(codes: Sequence[str], text: str) -> tuple[_Kind, Reason] | None:
    """What the words of an answer with one of these codes mean, if they tell more than the code."""
    for code, words, kind, reason in _TEXTS:
        if code in codes and re.search(words, text, re.IGNORECASE):
            return kind, reason
    return None


def _outcome_of_answer(error: ClientError, own: Own) -> Outcome:
    details = error.response.get("Error", {})
    code, text = str(details.get("Code", "")), unquoted(str(details.get("Message", "")), own)
    more = _by_text((code,), text)
    if more is not None:
        kind, reason = more
        return kind(reason, code)
    if code in ERRORS:
        kind, reason = ERRORS[code]
        return kind(reason, code)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code or str(status)
    logger.warning("unrecognised SES answer", extra={"raw_code": code, "status": status})
    if status == 429:
        return Retry(Reason.THROTTLED, code)
    if status >= 500:
        return Unknown(Reason.PROVIDER_ERROR, code)
    return Retry(Reason.UNRECOGNISED_ANSWER, code)


def outcome_of_failure(error: Exception) -> Outcome:
    """What it means that no answer of SES could be read."""
    reaching = outcome_of_reaching(error)
    if reaching is not None:
        return reaching
    if isinstance(error, SSLError):
        # botocore does not tell whether encryption failed before or after the request left.
        return Unknown(Reason.CONNECTION_LOST, "SSLError")
    for kind, outcome, reason in _FAILURES:
        if isinstance(error, kind):
            return outcome(reason, type(error).__name__)
    # botocore's parser stumbles in many ways over a body that has not the shape it expects.
    logger.warning("unreadable SES answer", extra={"raw_code": type(error).__name__})
    return Unknown(Reason.UNRECOGNISED_ANSWER, type(error).__name__)
