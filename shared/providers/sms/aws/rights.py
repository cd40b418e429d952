"""What the platform's functions may ask of AWS End User Messaging SMS."""

from shared.base.rights import Outside, allow

_OF_MESSAGES = "messages have ids that AWS draws, in the region of their account"
_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"

SEND = allow(
    ("sms-voice:SendTextMessage",),
    *(Outside("sms-voice", kind, _NAMED_LATER) for kind in ("phone-number", "pool", "sender-id")),
)
"""To try an account, too: it sends to a simulator."""
REPORT = allow(("sms-voice:PutMessageFeedback",), Outside("sms-voice", "message", _OF_MESSAGES))
"""To say that the code of a text was given back."""
