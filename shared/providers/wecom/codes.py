"""WeCom's error codes: what each means for a message, and for the person who verifies an account.

Sources: WeCom docs, path 90313 (global codes), 90236 (app messages), 99110 (group robots). HTTP is 200 whatever
happens, and `errmsg` may change at any time: only `errcode` counts.
"""

import logging

from shared.model.outcome import AccountDown, Rejected, Retry, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.base import Verification
from shared.providers.reaching import explained

logger = logging.getLogger(__name__)

OK = 0
INVALID_MEDIA_ID = 40007
NO_GOOD_ONE = 81013
"""None of the recipients of a call can get the message."""

NOT_RECALLABLE = 40058
"""Of a recall: the message is older than 24 hours, or another app's (WeCom docs, path 94867). Else: a bad parameter."""

TOKEN_CODES = frozenset({40014, 41001, 42001})
"""The access token is unknown, missing or expired: fetch another and ask again."""

ONE_OF_MANY_CODES = frozenset({40003, 40031, 40066, 40068, 46004, 50002, 60011, 60111, 60123})
"""One recipient of a call is at fault and the call was refused as a whole."""

_BLOCK_SECONDS = 60.0  # the block after a minute limit (WeCom docs, path 90454)

_BY_CODE: dict[int, tuple[type[Rejected | Retry | AccountDown], Reason, float | None]] = {
    # of the moment
    -1: (Retry, Reason.PROVIDER_BUSY, None),
    45009: (Retry, Reason.THROTTLED, _BLOCK_SECONDS),
    45033: (Retry, Reason.THROTTLED, 1.0),
    # of the token, when a fresh one was refused as well
    40014: (Retry, Reason.CREDENTIALS_REFUSED, 5.0),
    41001: (Retry, Reason.CREDENTIALS_REFUSED, 5.0),
    42001: (Retry, Reason.CREDENTIALS_REFUSED, 5.0),
    # of the account
    40001: (AccountDown, Reason.CREDENTIALS_REFUSED, None),
    40013: (AccountDown, Reason.CREDENTIALS_REFUSED, None),
    40091: (AccountDown, Reason.CREDENTIALS_REFUSED, None),
    41002: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    41004: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    93000: (AccountDown, Reason.CREDENTIALS_REFUSED, None),
    40056: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    41011: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    301002: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    48002: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    48005: (AccountDown, Reason.ACCOUNT_MISCONFIGURED, None),
    50003: (AccountDown, Reason.ACCOUNT_SUSPENDED, None),
    60020: (AccountDown, Reason.ADDRESS_NOT_TRUSTED, None),
    # of the recipient
    40003: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    40031: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    40032: (Rejected, Reason.ADDRESS_INVALID, None),
    40066: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    40068: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    46004: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    50002: (Rejected, Reason.RECIPIENT_BLOCKED, None),
    60011: (Rejected, Reason.RECIPIENT_BLOCKED, None),
    60111: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    60123: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    NO_GOOD_ONE: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    82001: (Rejected, Reason.ADDRESS_UNKNOWN, None),
    82002: (Rejected, Reason.ADDRESS_INVALID, None),
    82003: (Rejected, Reason.ADDRESS_INVALID, None),
    # of the content
    40008: (Rejected, Reason.CONTENT_INVALID, None),
    40033: (Rejected, Reason.CONTENT_INVALID, None),
    40035: (Rejected, Reason.CONTENT_INVALID, None),
    40058: (Rejected, Reason.CONTENT_INVALID, None),
    40063: (Rejected, Reason.CONTENT_INVALID, None),
    40074: (Rejected, Reason.CONTENT_INVALID, None),
    41016: (Rejected, Reason.CONTENT_INVALID, None),
    41033: (Rejected, Reason.CONTENT_INVALID, None),
    44004: (Rejected, Reason.CONTENT_INVALID, None),
    45002: (Rejected, Reason.CONTENT_TOO_LONG, None),
    45008: (Rejected, Reason.CONTENT_INVALID, None),
    45034: (Rejected, Reason.CONTENT_INVALID, None),
    85002: (Rejected, Reason.CONTENT_REFUSED, None),
    # of an image or a file
    40004: (Rejected, Reason.CONTENT_INVALID, None),
    40005: (Rejected, Reason.CONTENT_INVALID, None),
    40006: (Rejected, Reason.CONTENT_INVALID, None),
    INVALID_MEDIA_ID: (Rejected, Reason.CONTENT_INVALID, None),
    40009: (Rejected, Reason.CONTENT_INVALID, None),
    40011: (Rejected, Reason.CONTENT_INVALID, None),
    41006: (Rejected, Reason.CONTENT_INVALID, None),
    44001: (Rejected, Reason.CONTENT_INVALID, None),
    45001: (Rejected, Reason.CONTENT_TOO_LONG, None),
    45007: (Rejected, Reason.CONTENT_TOO_LONG, None),
    301019: (Rejected, Reason.CONTENT_INVALID, None),
}

_ADVICE: dict[str, tuple[str, str]] = {
    "40001": (
        "WeCom refused the app's secret.",
        "Copy the Secret of this app from the WeCom admin console (应用管理 > the app) into the account.",
    ),
    "40013": (
        "WeCom does not know this corporation id.",
        "Copy the 企业ID from the WeCom admin console (我的企业 > 企业信息) into the account.",
    ),
    "40091": (
        "WeCom says that the secret is not valid for this corporation.",
        "Check that the corporation id and the secret belong together; the secret may have been reset.",
    ),
    "40056": (
        "WeCom does not know this agent id.",
        "Copy the AgentId of the app from the WeCom admin console into the account.",
    ),
    "301002": (
        "The agent id does not belong to the app whose secret this is.",
        "Copy AgentId and Secret from the same app in the WeCom admin console.",
    ),
    "48002": (
        "The app has no permission for this call.",
        "Give the app the permission to send messages in the WeCom admin console.",
    ),
    "50003": ("The app is disabled in WeCom.", "Enable the app in the WeCom admin console."),
    "60020": (
        "WeCom does not trust the network address that the platform calls from.",
        "In the WeCom admin console, add the platform's outgoing IP address to the app's trusted IPs (企业可信IP).",
    ),
    "93000": (
        "WeCom does not know this robot's key: it is wrong, or the robot was removed from its group.",
        "Copy the robot's webhook address from the group's settings again, or add a new robot.",
    ),
}


def outcome_of(code: int) -> Rejected | Retry | AccountDown:
    """Return what a non-zero code means for every recipient of a refused call; an unmapped one may be tried again."""
    found = _BY_CODE.get(code)
    if found is None:
        logger.warning("WeCom answered with a code that is not mapped", extra={"errcode": code})
        return Retry(Reason.UNRECOGNISED_ANSWER, str(code))
    kind, reason, after = found
    return Retry(reason, str(code), after) if kind is Retry else kind(reason, str(code))


def explain(outcome: Rejected | Retry | Unknown | AccountDown) -> Verification:
    """Put what stopped a verification into words."""
    known = explained(outcome.raw_code)
    if known is not None:
        return known
    summary, action = _ADVICE.get(outcome.raw_code) or EXPLANATIONS[outcome.reason]
    return Verification(ok=False, summary=summary, action=action, raw_code=outcome.raw_code)
