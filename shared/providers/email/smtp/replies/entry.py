"""What one kind of SMTP reply means: how it is told apart, what becomes of the message, and the words for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.model.outcome import AccountDown, Rejected, Retry, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.reasons_zh import EXPLANATIONS_ZH
from shared.providers.email.smtp.replies.advice import Two
from shared.providers.email.smtp.stream import Reply, Step

Kind = type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown]

# Some write `#5.1.0`. Before anything but a blank it may be the beginning of an address.
_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?=\s|$)")

SESSION = (Step.GREETING, Step.TLS)
AFTER_MAIL = (Step.RCPT, Step.DATA, Step.DOT)
MESSAGE = (Step.DATA, Step.DOT)


def raw_code(reply: Reply) -> str:
    """A reply's codes without its text, which may quote addresses: such as `550 5.1.1`."""
    enhanced = _ENHANCED.match(reply.text)
    return f"{reply.code} {enhanced[1]}" if enhanced else str(reply.code)


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of reply."""

    name: str
    """`vendor.what`, for people and the sandbox."""
    kind: Kind
    reason: Reason
    code: re.Pattern[str]
    """Matched at the start of `<code>` or `<code> <enhanced code>`."""
    mark: str
    """The vendor's own code, such as `DT:SPM`, with which the text begins."""
    text: re.Pattern[str] | None
    """Searched for in what is left of the text without anything that it quotes."""
    steps: frozenset[Step]
    said: str
    """The step and such a reply, as it is published or was seen; `{to}`, `{from}` stand for the addresses."""
    source: str
    """Where the vendor says so, or the RFC."""
    means: Two | None = None
    """`means` and `do`: what it means and what to do, where that is more than the reason's own words."""
    do: Two | None = None

    def fits(self, step: Step, code: str, text: str) -> bool:
        """Whether this is the kind of a reply. text: as `quoted.unquoted` leaves it."""
        if step not in self.steps or not self.code.match(code):
            return False
        if self.mark and not text.upper().startswith(self.mark):
            return False
        return self.text is None or self.text.search(text) is not None

    def words(self, chinese: bool = False) -> Two:
        """(what it means, what to do)."""
        own = (EXPLANATIONS_ZH if chinese else EXPLANATIONS)[self.reason]
        means, do = (None if two is None else two[chinese] for two in (self.means, self.do))
        return means or own[0], do or own[1]

    def sample(self, to: str = "", sender: str = "") -> Reply:
        """Such a reply, as the client reads it: its lines without their code."""
        step, _, said = self.said.partition(" ")
        said = said.replace("{to}", to).replace("{from}", sender)
        lines = [line[4:] for line in said.split("\n")]
        return Reply(Step(step), int(said[:3]), "\n".join(lines))


def entry(
    name: str,
    kind: Kind,
    reason: Reason,
    said: str,
    source: str,
    *,
    code: str = r"[45]\d\d",
    mark: str = "",
    text: str = "",
    steps: Sequence[Step] = tuple(Step),
    means: Two | None = None,
    do: Two | None = None,
) -> Entry:
    """Make an entry. text: a pattern; each of its alternatives holds a blank or another sign that no address has."""
    found = re.compile(text, re.IGNORECASE) if text else None
    begins = re.compile(rf"(?:{code})(?![0-9])")
    return Entry(name, kind, reason, begins, mark, found, frozenset(steps), said, source, means, do)
