"""What the platform's functions may ask of Amazon SES."""

from shared.base.rights import Outside, allow

_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"
_IDENTITIES = Outside("ses", "identity", _NAMED_LATER)

SEND = allow(("ses:SendEmail", "ses:SendRawEmail"), _IDENTITIES, Outside("ses", "configuration-set", _NAMED_LATER))
CHECKS = (allow(("ses:GetAccount",), "*"), allow(("ses:GetEmailIdentity",), _IDENTITIES))
