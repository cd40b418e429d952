"""What to do about a message that was given up: where otherwise the platform would try again by itself."""

from shared.model.reasons import EXPLANATIONS, Reason

_WAIT = "Redrive the message once the provider works again."
_UNSURE = "Redrive the message if it may reach the recipient twice: the last try may have been sent."
_ONCE_GIVEN_UP: dict[Reason, str] = {
    Reason.THROTTLED: "Redrive the message when there is less to send, or have the provider raise its limit.",
    Reason.RECIPIENT_BUSY: "Redrive the message in some hours.",
    Reason.PROVIDER_BUSY: _WAIT,
    Reason.PROVIDER_ERROR: _WAIT,
    Reason.CONNECTION_FAILED: "Check the account's host and port, then redrive the message.",
    Reason.NOT_TAKEN: _WAIT,
    Reason.CONNECTION_LOST: _UNSURE,
    Reason.TIMED_OUT: _UNSURE,
    Reason.INTERRUPTED: _UNSURE,
    Reason.UNRESOLVED: _UNSURE,
    Reason.UNRECOGNISED_ANSWER: "Report the raw code, then redrive the message.",
}


def explain_given_up(reason: str) -> tuple[str, str]:
    """(what it means, what to do) for a message that was given up with this reason."""
    if reason not in Reason.__members__.values():
        return "It is not known why.", "Redrive the message, or discard it."
    cause, cure = EXPLANATIONS[Reason(reason)]
    return cause, _ONCE_GIVEN_UP.get(Reason(reason), cure)
