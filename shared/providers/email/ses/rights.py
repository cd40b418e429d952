"""What the platform's functions may ask of Amazon SES."""

from shared.base.rights import Outside, allow

_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"
_IDENTITIES = Outside("ses", "identity", _NAMED_LATER)
_SETS = Outside("ses", "configuration-set", _NAMED_LATER)
_TEMPLATES = Outside(
    "ses", "template", "the platform's own templates, in every region that accounts name", "mepush-raw-*"
)

_TRY = allow(("ses:CreateEmailTemplate", "ses:TestRenderEmailTemplate"), _TEMPLATES)
"""To see whether calls for many messages leave them as they are (`proof.py`)."""
SEND = (
    allow(("ses:SendEmail", "ses:SendRawEmail"), _IDENTITIES, _SETS),
    allow(("ses:SendBulkEmail",), _IDENTITIES, _SETS, _TEMPLATES),
    _TRY,
)
CHECKS = (allow(("ses:GetAccount",), "*"), allow(("ses:GetEmailIdentity",), _IDENTITIES), _TRY)
