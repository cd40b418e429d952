"""What to do about a message that was given up: where otherwise the platform would try again by itself."""

from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.reasons_zh import EXPLANATIONS_ZH

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


_WAIT_ZH = "服务商恢复正常后重投该消息。"
_UNSURE_ZH = "若收件人收到两次也无妨，则重投该消息：最后一次尝试可能已发出。"
_ONCE_GIVEN_UP_ZH: dict[Reason, str] = {
    Reason.THROTTLED: "待发送量减少后重投该消息，或请服务商提高上限。",
    Reason.RECIPIENT_BUSY: "几小时后重投该消息。",
    Reason.PROVIDER_BUSY: _WAIT_ZH,
    Reason.PROVIDER_ERROR: _WAIT_ZH,
    Reason.CONNECTION_FAILED: "检查账号的主机和端口，然后重投该消息。",
    Reason.NOT_TAKEN: _WAIT_ZH,
    Reason.CONNECTION_LOST: _UNSURE_ZH,
    Reason.TIMED_OUT: _UNSURE_ZH,
    Reason.INTERRUPTED: _UNSURE_ZH,
    Reason.UNRESOLVED: _UNSURE_ZH,
    Reason.UNRECOGNISED_ANSWER: "报告原始返回码，然后重投该消息。",
}


def explain_given_up_zh(reason: str) -> tuple[str, str]:
    """The same in Chinese."""
    if reason not in Reason.__members__.values():
        return "原因不明。", "重投该消息，或将其丢弃。"
    cause, cure = EXPLANATIONS_ZH[Reason(reason)]
    return cause, _ONCE_GIVEN_UP_ZH.get(Reason(reason), cure)
