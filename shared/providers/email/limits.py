"""The limits of emails, whoever sends them."""

import re

from shared.model.content import RenderedEmail
from shared.model.sizes import size
from shared.model.words import MessageClass
from shared.policy.limits import Issue, TooLong, blank

EMAIL_BYTES = 10 * 1024 * 1024
_MOST_OF_A_CHARACTER = 4
_breaks_line = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]").search


def check(email: RenderedEmail, _message_class: MessageClass) -> list[Issue]:
    """Name every limit that an email breaks."""
    issues = blank("subject", email.subject)
    # A line break would end the header and start another. (What can be printed has none.)
    if not email.subject.isprintable() and _breaks_line(email.subject):
        issues.append(("subject", "has a line break"))
    files = sum([file.size for file in email.attachments])
    parts = [part for part in (email.subject, email.html, email.text) if part is not None]
    if files + _MOST_OF_A_CHARACTER * sum(map(len, parts)) <= EMAIL_BYTES:
        return issues
    total = files + sum(map(size, parts))
    if total > EMAIL_BYTES:
        field = "attachments" if files > total // 2 else "text" if email.html is None else "html"
        issues.append(TooLong(field, f"makes an email of {total:,} bytes, more than {EMAIL_BYTES:,}"))
    return issues
