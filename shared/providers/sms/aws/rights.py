"""What the platform's functions may ask of AWS End User Messaging SMS."""

from shared.base.rights import Outside, allow

_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"

SEND = allow(
    ("sms-voice:SendTextMessage",),
    *(Outside("sms-voice", kind, _NAMED_LATER) for kind in ("phone-number", "pool", "sender-id")),
)
"""To try an account, too: it sends to a simulator."""
