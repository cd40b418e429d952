"""Why an email came back, from what the recipient's server said: the same table that reads replies to our own SMTP.

Whoever delivered the message (Amazon SES, a mail server that sends a report) passes on an enhanced status code
(RFC 3463) and a diagnostic text such as `smtp; 550-5.1.1 No such user` (RFC 3464).
"""

import re

from shared.model.reasons import ACCOUNTS_OWN, Blame, Reason, blame_of
from shared.providers.email.smtp.replies import Own, Reply, Step, read

_REPLY = re.compile(r"\b([245]\d\d)(?:[ -]|$)")
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_NO_SUCH_ADDRESS = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4"})
"""Enhanced codes that say that there is no such mailbox or domain, for ever (RFC 3463, RFC 7505)."""


def bounced(status: str | None, diagnostic: str | None, to: str = "") -> tuple[Reason, str]:
    """(why a message came back, the codes that say so). The reason is `NOT_DELIVERED` where the codes say nothing.

    to: the recipient, whom the text may quote: it decides nothing.
    """
    text = diagnostic or ""
    found, enhanced = _REPLY.search(text), _ENHANCED.search(text)
    status = _code(status) or (enhanced[1] if enhanced else "")
    code = int(found[1]) if found else int(f"{status[0]}50") if status else 0
    if not code:
        return Reason.NOT_DELIVERED, ""
    said = text[found.end() :] if found else text
    if status and not _ENHANCED.match(said.lstrip()):
        said = f"{status} {said}"
    own = Own(recipient=to)
    # At which step the server said it nobody tells: what is said of the recipient is said of it at either.
    reasons = [read(Reply(step, code, said), own).reason for step in (Step.RCPT, Step.DOT)]
    reason = next((each for each in reasons if blame_of(each) is Blame.RECIPIENT), reasons[-1])
    raw = f"{code} {status}".strip()
    if status in _NO_SUCH_ADDRESS and blame_of(reason) is not Blame.RECIPIENT:
        reason = Reason.ADDRESS_UNKNOWN
    if reason is Reason.UNRECOGNISED_ANSWER or reason is Reason.CREDENTIALS_REFUSED:
        # It is not us with whom that server spoke.
        reason = Reason.NOT_DELIVERED
    return reason, raw


def is_for_ever(status: str | None, diagnostic: str | None) -> bool:
    """Whether the codes say that there is no such address, whatever else is said of the bounce."""
    enhanced = _code(status) or next(iter(_ENHANCED.findall(diagnostic or "")), "")
    return enhanced in _NO_SUCH_ADDRESS


def speaks_against_the_address(reason: Reason) -> bool:
    """Whether a permanent bounce for this reason tells that the address should not be written to any more.

    One for the content, the sender or the way there tells nothing about the address.
    """
    return reason is Reason.NOT_DELIVERED or (
        reason not in ACCOUNTS_OWN and blame_of(reason) not in (Blame.CONTENT, Blame.PACE, Blame.POLICY)
    )


def _code(status: str | None) -> str:
    found = _ENHANCED.search(status or "")
    return found[1] if found else ""
