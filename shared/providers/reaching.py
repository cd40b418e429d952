"""What it means for messages that a provider's server may not be reached, or cannot be trusted."""

from shared.model.outcome import AccountDown, Outcome, Report, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.net.problems import NOT_ALLOWED, WORDS, code_of
from shared.providers.base import Verification


def outcome_of_reaching(error: BaseException) -> Retry | AccountDown | None:
    """What it means that a server's address is refused or its certificate not trusted; None for other errors.

    Nothing was sent in either case. Addresses are settings, so the account is at fault; certificates come and go.
    """
    code = code_of(error)
    if code is None:
        return None
    return outcome_of_code(code)


def outcome_of_code(code: str) -> Retry | AccountDown:
    """The same by the code."""
    if code == NOT_ALLOWED:
        return AccountDown(Reason.ACCOUNT_MISCONFIGURED, code)
    return Retry(Reason.CONNECTION_FAILED, code)


_BETWEEN = (
    "Somebody answers in the vendor's place, such as a proxy that reads what passes. Have the network let these "
    "connections through unread, and check the clock."
)


def explained(code: str, own_ca: bool = False) -> Verification | None:
    """A code of this kind in words; None for other codes. own_ca: whether the account can name an authority."""
    if code not in WORDS:
        return None
    summary, action = WORDS[code]
    return Verification(False, summary, action if own_ca or code == NOT_ALLOWED else _BETWEEN, code)


def report_of(outcome: Outcome) -> Report:
    """What a failure of a call means where it reported something: nothing is known unless it was refused."""
    return Unknown(Reason.UNRECOGNISED_ANSWER, "") if isinstance(outcome, Sent) else outcome
