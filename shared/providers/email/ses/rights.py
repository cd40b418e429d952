"""What the platform's functions may ask of Amazon SES."""

from shared.base.rights import Outside, allow

_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"
_IDENTITIES = Outside("ses", "identity", _NAMED_LATER)
SETS = Outside("ses", "configuration-set", _NAMED_LATER)
_TEMPLATES = Outside(
    "ses", "template", "the platform's own templates, in every region that accounts name", "mepush-raw-*"
)

_TRY = allow(("ses:CreateEmailTemplate", "ses:TestRenderEmailTemplate"), _TEMPLATES)
"""To see whether calls for many messages leave them as they are (`proof.py`)."""
SEND = (
    allow(("ses:SendEmail", "ses:SendRawEmail"), _IDENTITIES, SETS),
    allow(("ses:SendBulkEmail",), _IDENTITIES, SETS, _TEMPLATES),
    _TRY,
)
CHECKS = (allow(("ses:GetAccount",), "*"), allow(("ses:GetEmailIdentity",), _IDENTITIES), _TRY)
LISTED = (allow(("ses:ListSuppressedDestinations", "ses:DeleteSuppressedDestination"), "*"),)
"""Of who compares SES's own suppression list with ours, when somebody asks for it."""
EXPORTS = (allow(("ses:CreateExportJob", "ses:GetExportJob", "ses:ListExportJobs"), "*"),)
"""Of who asks SES at night what became of messages."""
