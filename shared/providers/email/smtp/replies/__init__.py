"""From SMTP replies to outcomes, in one order: what vendors publish, then codes, then words, then codes again.

Codes, enhanced codes and the step decide first and text last, without anything that the text quotes of the message:
`docs/replies.md` lists all of it.
"""

import logging

from shared.model.outcome import Outcome
from shared.model.reasons import Reason
from shared.providers.email.quoted import Own, unquoted
from shared.providers.email.smtp.replies.china import NETEASE, QQ
from shared.providers.email.smtp.replies.codes import DECISIVE, FALLBACK
from shared.providers.email.smtp.replies.entry import Entry, raw_code
from shared.providers.email.smtp.replies.google_yahoo import GMAIL, YAHOO
from shared.providers.email.smtp.replies.microsoft_amazon import MICROSOFT, SES
from shared.providers.email.smtp.replies.servers import BY_WORDS, LOGIN
from shared.providers.email.smtp.stream import Reply, Step

logger = logging.getLogger(__name__)

VENDORS: tuple[Entry, ...] = (*QQ, *NETEASE, *GMAIL, *MICROSOFT, *YAHOO, *SES, *LOGIN)
REPLIES: tuple[Entry, ...] = (*VENDORS, *DECISIVE, *BY_WORDS, *FALLBACK)
"""All kinds of replies; the first that fits counts."""

_NOBODY = Own()


def read(reply: Reply, own: Own = _NOBODY) -> Entry:
    """The kind of a refusal. own: what the server may quote of the message, which decides nothing."""
    code, text = raw_code(reply), unquoted(reply.text, own)
    return next(each for each in REPLIES if each.fits(reply.step, code, text))


def outcome_of(reply: Reply, own: Own = _NOBODY) -> Outcome:
    """What becomes of a message that was refused so. Its raw code holds codes only: texts may quote addresses."""
    found, code = read(reply, own), raw_code(reply)
    if found.reason is Reason.UNRECOGNISED_ANSWER:
        logger.warning("unrecognised SMTP reply", extra={"step": reply.step.value, "raw_code": code})
    return found.kind(found.reason, f"{code} {found.mark}" if found.mark else code)


__all__ = ["REPLIES", "VENDORS", "Entry", "Own", "Reply", "Step", "outcome_of", "raw_code", "read"]
