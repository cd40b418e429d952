"""What SMTP servers of three kinds say when they refuse, and where in a session a fault plays."""

from typing import Literal

from local.sandbox.base import Fault
from shared.providers.email.smtp.replies import REPLIES, Step
from shared.providers.email.smtp.replies.entry import AFTER_MAIL

# Refusals with these codes are about the session or the sender, so they answer MAIL; others answer the final dot.
_ANSWER_MAIL = frozenset({421, 501, 503, 530, 535})
TEXTS = {
    421: "4.3.2 Service not available, closing channel",
    450: "4.2.1 Mailbox busy",
    451: "4.3.0 Local error in processing",
    452: "4.3.1 Insufficient system storage",
    454: "Temporary service failure",
    550: "5.1.1 No such user",
    552: "Message is too long.",
    554: "5.7.1 Message rejected as spam",
}
THROTTLED = {
    "plain": "450 4.7.1 Rate limit exceeded",
    "ses": "454 Throttling failure: Maximum sending rate exceeded.",
    "qq": "550 Sender frequency limited",
}
LOGIN_REFUSED = {
    "plain": "535 5.7.8 Authentication credentials invalid",
    "ses": "535 Authentication Credentials Invalid",
    "qq": "535 Login Fail. Please enter your authorization code to login. More information in the help pages",
}
LOGIN_WANTED = {
    "plain": "530 5.7.0 Authentication required",
    "ses": "530 Authentication required",
    "qq": "503 Error: need EHLO and AUTH first !",
}

PUBLISHED = {entry.name: entry for entry in REPLIES}
"""Replies that servers are known to give, by name: `docs/replies.md` lists them."""
_STEP_OF = {Step.GREETING: "connect", Step.TLS: "connect"}

Flavour = Literal["plain", "ses", "qq"]


def step_of(fault: Fault) -> str:
    """Where a fault plays."""
    if fault.at is not None:
        return fault.at
    if fault.to is not None or fault.kind == "mixed":
        return "rcpt"
    about_session = fault.kind in {"status", "code"} and fault.status in _ANSWER_MAIL
    return "mail" if fault.kind == "reset_before" or about_session else "dot"


def published(name: str, to: str | None = None, times: int = 1) -> Fault:
    """A fault that gives a published reply at its own step. to: counts where a recipient is known. Raises: KeyError."""
    reply = PUBLISHED[name].sample(to or "somebody@example.com", "shop@example.com")
    known = to if reply.step in AFTER_MAIL else None
    return Fault("code", reply.text, reply.code, to=known, at=_STEP_OF.get(reply.step, reply.step.value), times=times)


def lines_of(status: int, text: str) -> str:
    """A reply as it is written, a line of `text` on each of its own."""
    *first, last = text.split("\n")
    return "".join(f"{status}-{line}\r\n" for line in first) + f"{status} {last}"
