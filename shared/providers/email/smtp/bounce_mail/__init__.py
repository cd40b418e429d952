"""From the bytes of a mail in a bounce mailbox to what it says: a bounce, a complaint, an answer of a machine, nothing.

Pure. A report for machines counts before words for people; a mail that only looks like a notice is nobody's business.
"""

from collections.abc import Collection
from enum import StrEnum

from shared.providers.email.smtp.bounce_mail import notices, reports
from shared.providers.email.smtp.bounce_mail.kinds import AutoReply, Said, Unreadable
from shared.providers.email.smtp.bounce_mail.parsing import OddMailError, Part, decoded, header, parse, parts_of

NAMES = (
    *("From", "Subject", "Return-Path", "Content-Type", "Auto-Submitted", "Precedence"),
    *("X-Failed-Recipients", "X-Autoreply", "X-Autorespond"),
)
"""The headers by which `first_look` decides."""
_SAYS_IT_WAS_READ = "message/disposition-notification"


class Look(StrEnum):
    """What a mail's headers say of it."""

    READ = "read"
    """It may be about a message of ours: its content is asked for."""
    ANSWER = "answer"
    """A machine of the recipient's answered."""
    OTHER = "other"


def first_look(headers: bytes) -> Look:
    """What to do with a mail with these headers (`NAMES`). What is nobody's business here is not even asked for."""
    try:
        mail = parse(headers)
    except OddMailError:
        return Look.READ
    if not mail.keys():
        # The server did not hand them over.
        return Look.READ
    returned = notices.RETURNED.search(decoded(header(mail, "Subject")))
    if "report" in header(mail, "Content-Type").lower() or notices.is_from_a_server(mail) or returned:
        return Look.READ
    return Look.ANSWER if notices.is_an_answer(mail) else Look.OTHER


def read_mail(data: bytes, own: Collection[str] = ()) -> Said:
    """What a mail says. Never raises for what it holds.

    data: the mail, or its first `parsing.MOST_BYTES`. own: the account's addresses, in lower case: none of them is a
    recipient.
    """
    try:
        return _read(parts_of(parse(data)), own)
    except OddMailError as error:
        return Unreadable("mail", error.reason)
    except Exception:  # the standard library's reading of mails is known to fail in ways of its own
        return Unreadable("mail", "malformed")


def _read(parts: list[Part], own: Collection[str]) -> Said:
    if reports.has_report(parts):
        return reports.report_of(parts, own)
    if any(part.get_content_type() == _SAYS_IT_WAS_READ for part in parts):
        return AutoReply()
    return notices.notice_of(parts, own)
