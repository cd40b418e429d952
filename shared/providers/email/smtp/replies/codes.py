"""What reply codes and enhanced status codes mean by themselves (RFC 5321, 3463, 4954, 7372, 7505), by step."""

from shared.model.outcome import AccountDown, Rejected, Retry, Unknown
from shared.model.reasons import Reason as R
from shared.providers.email.smtp.replies.entry import AFTER_MAIL, MESSAGE, SESSION, Entry, Kind, entry
from shared.providers.email.smtp.stream import Step

_RFC5321 = "https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3"
_RFC3463 = "https://www.rfc-editor.org/rfc/rfc3463#section-3"
_RFC4954 = "https://www.rfc-editor.org/rfc/rfc4954#section-6"
_RFC7372 = "https://www.rfc-editor.org/rfc/rfc7372#section-3"
_RCPT = (Step.RCPT,)
_MAIL = (Step.MAIL,)
_BEFORE_DOT = tuple(step for step in Step if step not in MESSAGE)


def _code(
    name: str,
    kind: Kind,
    reason: R,
    said: str,
    code: str,
    steps: tuple[Step, ...] = tuple(Step),
    source: str = _RFC5321,
) -> Entry:
    return entry(f"rfc.{name}", kind, reason, said, source, code=code, steps=steps)


DECISIVE: tuple[Entry, ...] = (
    # of the account
    _code("login", AccountDown, R.CREDENTIALS_REFUSED, "login 535 5.7.8 Bad credentials", r"53[45]", source=_RFC4954),
    _code(
        "weak_login",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "login 550 5.7.9 Mechanism too weak",
        r"5\d\d 5\.7\.(8|9|14)",
        _BEFORE_DOT,
        _RFC4954,
    ),
    _code(
        "bad_login",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "dot 550 5.7.8 Bad credentials",
        r"5\d\d 5\.7\.8",
        source=_RFC4954,
    ),
    _code(
        "tls",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "mail 530 5.7.10 Encryption needed",
        r"538|5\d\d 5\.7\.1[01]",
        source=_RFC4954,
    ),
    _code(
        "disabled_login",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "login 525 5.7.13 Disabled",
        r"5\d\d 5\.7\.13",
        source=_RFC4954,
    ),
    _code(
        "not_authentic",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 5.7.23 SPF failed",
        r"5\d\d 5\.7\.2[0-4]",
        source=_RFC7372,
    ),
    _code(
        "bad_sender", AccountDown, R.SENDER_REFUSED, "rcpt 550 5.1.8 Bad sender", r"5\d\d 5\.1\.[78]", source=_RFC3463
    ),
    _code(
        "no_sender_now",
        Retry,
        R.SENDER_REFUSED,
        "rcpt 450 4.1.8 Domain not found",
        r"4\d\d 4\.1\.[78]",
        source=_RFC3463,
    ),
    _code(
        "auth_first", AccountDown, R.CREDENTIALS_REFUSED, "mail 503 need EHLO and AUTH first !", r"503", _MAIL, _RFC4954
    ),
    _code(
        "sender_at_mail", AccountDown, R.SENDER_REFUSED, "mail 550 5.1.1 Unknown", r"5\d\d 5\.1\.\d+", _MAIL, _RFC3463
    ),
    # of the recipient
    _code("full", Retry, R.MAILBOX_FULL, "rcpt 552 5.2.2 Mailbox full", r"[45]\d\d [45]\.2\.2", AFTER_MAIL, _RFC3463),
    _code(
        "unknown",
        Rejected,
        R.ADDRESS_UNKNOWN,
        "rcpt 550 5.1.1 <{to}> User unknown",
        r"5\d\d 5\.(1\.(1|2|4|6|10)|4\.4)|55\d 5\.2\.1",
        AFTER_MAIL,
        _RFC3463,
    ),
    _code(
        "malformed",
        Rejected,
        R.ADDRESS_INVALID,
        "rcpt 501 5.1.3 Bad syntax",
        r"5\d\d 5\.(1\.3|6\.7)",
        AFTER_MAIL,
        _RFC3463,
    ),
    # of the content
    _code(
        "too_long",
        Rejected,
        R.CONTENT_TOO_LONG,
        "dot 552 5.3.4 Too big",
        r"5\d\d 5\.(2\.3|3\.4)",
        (*_MAIL, *AFTER_MAIL),
        _RFC3463,
    ),
    _code(
        "unreadable", Rejected, R.CONTENT_INVALID, "dot 554 5.6.0 Malformed", r"5\d\d 5\.6\.\d+", AFTER_MAIL, _RFC3463
    ),
)
"""Codes that leave nothing to be said: no text is looked at."""

FALLBACK: tuple[Entry, ...] = (
    _code("closing", Retry, R.PROVIDER_BUSY, "dot 421 4.3.2 Closing", r"421"),
    _code("login_first", AccountDown, R.CREDENTIALS_REFUSED, "mail 530 Not now", r"530", source=_RFC4954),
    _code("auth_sequence", AccountDown, R.CREDENTIALS_REFUSED, "rcpt 503 5.7.0 No", r"503 5\.7\.\d+", source=_RFC4954),
    _code(
        "no_such_login",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "login 504 5.7.4 Unrecognized authentication type",
        r"500|502|504",
        (Step.LOGIN,),
        _RFC4954,
    ),
    _code("refused_login", AccountDown, R.CREDENTIALS_REFUSED, "login 550 No", r"5\d\d", (Step.LOGIN,), _RFC4954),
    _code("no_session", Retry, R.CONNECTION_FAILED, "greeting 554 No service here", r"[45]\d\d", SESSION),
    _code(
        "misfit_at_mail", AccountDown, R.ACCOUNT_MISCONFIGURED, "mail 502 Not implemented", r"500|502|504|555", _MAIL
    ),
    _code("refused_sender", AccountDown, R.SENDER_REFUSED, "mail 553 Not this sender", r"5\d\d", _MAIL),
    _code("later", Retry, R.PROVIDER_BUSY, "rcpt 550 4.3.0 Later", r"5\d\d 4\.3\.\d+"),
    _code(
        "recipient_later",
        Retry,
        R.RECIPIENT_BUSY,
        "rcpt 450 4.2.1 Mailbox busy",
        r"(450|[45]\d\d 4\.[12]\.\d+)",
        _RCPT,
        _RFC3463,
    ),
    _code("some_later", Retry, R.PROVIDER_BUSY, "dot 550 4.7.0 Later", r"5\d\d 4\.\d+\.\d+", source=_RFC3463),
    _code("policy_later", Retry, R.THROTTLED, "dot 451 4.7.1 Later", r"4\d\d 4\.7\.\d+", AFTER_MAIL, _RFC3463),
    _code("any_later", Retry, R.PROVIDER_BUSY, "dot 451 Local error", r"4\d\d"),
    _code(
        "address",
        Rejected,
        R.ADDRESS_UNKNOWN,
        "rcpt 550 5.1.0 Address rejected",
        r"5\d\d 5\.1\.\d+",
        AFTER_MAIL,
        _RFC3463,
    ),
    _code("not_local", Rejected, R.ADDRESS_UNKNOWN, "rcpt 551 User not local", r"551(?! )", _RCPT),
    _code("storage", Retry, R.MAILBOX_FULL, "rcpt 552 Over storage", r"552(?! )", _RCPT),
    _code("syntax", Rejected, R.ADDRESS_INVALID, "rcpt 553 Mailbox name not allowed", r"(501|553|555)(?! 5\.7)", _RCPT),
    _code("recipient", Rejected, R.RECIPIENT_BLOCKED, "rcpt 550 Not today", r"5\d\d", _RCPT),
    _code("size", Rejected, R.CONTENT_TOO_LONG, "dot 552 Too long", r"552(?! )", MESSAGE),
    _code("mailbox_syntax", Rejected, R.ADDRESS_INVALID, "dot 553 Invalid email address", r"553(?! 5\.7)", MESSAGE),
    _code("not_understood", Rejected, R.CONTENT_INVALID, "dot 500 What", r"50[0-4]|555", MESSAGE),
    _code("content", Rejected, R.CONTENT_REFUSED, "dot 554 Transaction failed", r"5\d\d", MESSAGE),
    # of an answer that makes no sense: after the final dot nobody knows, before it nothing was sent
    _code("no_sense_at_dot", Unknown, R.UNRECOGNISED_ANSWER, "dot 354 Go on", r"-?\d+", (Step.DOT,)),
    _code("no_sense", Retry, R.UNRECOGNISED_ANSWER, "rcpt 299 What", r"-?\d+"),
)
"""What is left when no words are known."""
