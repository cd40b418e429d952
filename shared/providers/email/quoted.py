"""Takes what a server quotes of a message out of its answer, so that no address or subject decides what it means.

Whoever may choose an address would else choose the verdict: `550 5.1.1 <too.many.connections@example.com>`.
"""

import re
from dataclasses import dataclass
from html import unescape

SENDER, RECIPIENT, ADDRESS, WORDS = "<sender>", "<recipient>", "<address>", "<words>"
"""What stands in an answer for our sender, for the recipient, for any other address, and for other words of ours."""

# Also as URLs and quoted-printable write an address. What is between angle brackets counts if it holds an `@` or no
# blank: a path, a name or a message id.
_AT = r"(?:@|%40|=40)"
_QUOTED = re.compile(
    rf"(?P<url>\b(?:https?://|www\.)\S+)|<(?P<angle>[^<>\s]*|[^<>]{{0,320}}{_AT}[^<>]{{0,320}})>"
    rf"|(?:mailto:|rfc822; ?)?[\"'(]?(?P<bare>[^\s<>\"'(),:;\[\]]*{_AT}[^\s<>\"'(),:;\[\]]+)[\"')]?",
    re.IGNORECASE,
)
_ENHANCED = re.compile(r"^#?[245]\.\d{1,3}\.\d{1,3}(?:\s+|$)")
_LEADING = re.compile(r"^(?:<(?:recipient|address|words)>[ :;,.-]*)+")


@dataclass(frozen=True, slots=True)
class Own:
    """What a server may quote."""

    sender: str = ""
    """`sender` and `recipient`: addresses."""
    recipient: str = ""
    hosts: tuple[str, ...] = ()
    """Names of ours and of the server."""
    words: tuple[str, ...] = ()
    """The subject and the sender's name, of a message whose content the server has seen."""


def unquoted(text: str, own: Own) -> str:
    """An answer's text in one line, without its lines' enhanced codes, and with marks for what it quotes."""
    text = " ".join(" ".join(_ENHANCED.sub("", line.strip()) for line in unescape(text).splitlines()).split())
    text = _QUOTED.sub(lambda found: "" if found["url"] else _role(found["angle"] or found["bare"] or "", own), text)
    for name, mark in _names(own):
        text = re.sub(rf"(?<![A-Za-z0-9.@-]){re.escape(name)}(?![A-Za-z0-9-])", mark, text, flags=re.IGNORECASE)
    for words in sorted((" ".join(each.split()) for each in own.words), key=len, reverse=True):
        # One word alone never fits what is looked for, and may well be the server's own.
        if " " in words:
            text = re.sub(re.escape(words), WORDS, text, flags=re.IGNORECASE)
    return _LEADING.sub("", " ".join(text.split()))


def _role(quoted: str, own: Own) -> str:
    """Whose address a quoted one is."""
    address = re.sub(_AT, "@", quoted, flags=re.IGNORECASE).strip(" .").lower()
    if own.sender and address in {own.sender.lower(), f"mailto:{own.sender.lower()}"}:
        return SENDER
    return RECIPIENT if own.recipient and address == own.recipient.lower() else ADDRESS


def _names(own: Own) -> list[tuple[str, str]]:
    """The names to look for, each with its mark; a domain that is both ours and the recipient's is ours."""
    domains = [
        (address.rpartition("@")[2], mark) for address, mark in ((own.sender, SENDER), (own.recipient, RECIPIENT))
    ]
    return [(name, mark) for name, mark in (*domains, *((host, WORDS) for host in own.hosts)) if name]
