"""A mail as its parts, read within bounds: hostile ones take no longer than others.

The standard library reads headers only when they are asked for, and then by a grammar that takes long for some and
fails for others. Here their values are plain text, unfolded.
"""

import email.policy
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html import unescape
from typing import Any, Final

MOST_BYTES: Final = 512 * 1024
"""Of a mail that are read. Reports, and the headers of what is returned, stand at its beginning."""
MOST_PARTS: Final = 24
"""Boundaries and messages within messages; real reports have fewer than ten."""
MOST_DASHES: Final = 4_000
"""Lines that begin with `--`, each of which may begin a part."""
MOST_TEXT: Final = 100_000
"""Characters of the text for people that are looked at."""
MOST_HEADER: Final = 4_000
"""Characters of a header's value that are looked at."""
_OPENINGS = re.compile(rb"boundary *=|content-type: *message/", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\xa0\u3000]+")


class OddMailError(Exception):
    """The mail is not one that can be read. reason: of `kinds.REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Plain(email.policy.EmailPolicy):
    """The policy of today, with headers as they stand."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        text = value[:MOST_HEADER].replace("\r", "").replace("\n", "")
        # Bytes that are no ASCII come as surrogates.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_POLICY = _Plain(raise_on_defect=False)
Part = Message
Headers = Message


def parse(data: bytes) -> Part:
    """A mail, or the beginning of one. Raises: OddMailError."""
    data = data[:MOST_BYTES]
    if len(_OPENINGS.findall(data)) > MOST_PARTS or data.count(b"\n--") > MOST_DASHES:
        raise OddMailError("too_many_parts")
    try:
        return message_from_bytes(data, policy=_POLICY)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise OddMailError("malformed") from None


def parts_of(mail: Part) -> list[Part]:
    """All parts, from the outside to the inside, without those of a mail that is returned."""
    found: list[Part] = []
    todo = [mail]
    while todo and len(found) < MOST_DASHES:
        part = todo.pop(0)
        found.append(part)
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            todo[:0] = [each for each in part.get_payload() if isinstance(each, Message)]
    return found


def header(part: Headers, name: str) -> str:
    """A header's value without blanks around it; empty if there is none."""
    return str(part.get(name) or "").strip()


def decoded(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) as text; what cannot be decoded stays."""
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(piece if isinstance(piece, str) else _text(piece, charset or "utf-8") for piece, charset in pieces)


def blocks_of(part: Part) -> list[Headers]:
    """The blocks of fields of a report (RFC 3464 section 2.1; RFC 6533 for those in UTF-8), whatever they came as."""
    payload = part.get_payload()
    blocks = [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
    if part.get_content_type() == "message/delivery-status" and any(each.keys() for each in blocks):
        return [each for each in blocks if each.keys()]
    # Kinds that the standard library does not cut, and reports that are encoded, which they must not be.
    return list(_cut(_raw(part)))


def returned_headers(parts: Sequence[Part]) -> Iterator[Headers]:
    """The headers of mails that come back with a report, as a part of it or as an attached file."""
    for part in parts:
        kind = part.get_content_type()
        payload = part.get_payload()
        if kind in ("text/rfc822-headers", "message/global-headers", "text/rfc822"):
            yield from list(_cut(_raw(part)))[:1]
        elif kind in ("message/rfc822", "message/global", "message/partial") and isinstance(payload, list):
            yield from [each for each in payload if isinstance(each, Message)][:1]
            if part.get("Content-Transfer-Encoding"):
                yield from list(_cut(_raw(part)))[:1]
        elif str(part.get_filename() or "").lower().endswith(".eml"):
            yield from list(_cut(_raw(part)))[:1]


def text_of(parts: Sequence[Part]) -> str:
    """What people read: the plain text if there is any, else the html without its tags."""
    by_kind: dict[str, str] = {}
    for part in parts:
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
            by_kind[kind] = f"{by_kind.get(kind, '')}\n{_body(part)}"[:MOST_TEXT]
    plain = by_kind.get("text/plain", "")
    return _tidy(plain) if plain.strip() else without_tags(by_kind.get("text/html", ""))


def without_tags(html: str) -> str:
    """The text of html, a line for each line that a person would see."""
    for name in ("style", "script", "head"):
        html = _without(html, name)
    return _tidy(unescape(_TAG.sub(" ", _BREAK.sub("\n", html.replace("\r", " ").replace("\n", " ")))))


def _without(html: str, name: str) -> str:
    """Take elements out with what they hold, in one pass."""
    kept: list[str] = []
    low, at = html.lower(), 0
    while (start := low.find(f"<{name}", at)) >= 0:
        kept.append(html[at:start])
        end = low.find(f"</{name}", start)
        if end < 0:
            return "".join(kept)
        at = end
    return "".join([*kept, html[at:]])


def _tidy(text: str) -> str:
    lines = (_BLANKS.sub(" ", line).strip() for line in text.replace("\r", "").split("\n"))
    return "\n".join(line for line in lines if line)


def _body(part: Part) -> str:
    """A part's text; whatever its charset is called."""
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        return ""
    return _text(data, str(part.get_content_charset() or "utf-8")) if isinstance(data, bytes) else ""


def _text(data: bytes, charset: str) -> str:
    # What calls itself GB 2312 often holds what only its successors have.
    wanted = "gb18030" if charset.lower().replace("-", "") in ("gb2312", "gbk", "cp936", "gb18030") else charset
    try:
        return data.decode(wanted, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _raw(part: Part) -> str:
    """What a part holds as text, decoded, whether or not the standard library took it for a message."""
    payload = part.get_payload()
    if isinstance(payload, list):
        # A message whose headers were none is all body, such as one in base64.
        pieces = [each for each in payload if isinstance(each, Message)]
        text = "\n\n".join(_as_text(each) for each in pieces)
    else:
        text = _body(part)
        return text[:MOST_TEXT]
    encoding = header(part, "Content-Transfer-Encoding").lower()
    if encoding == "base64":
        try:
            text = b64decode("".join(text.split())[: MOST_TEXT * 4 // 3 // 4 * 4]).decode("utf-8", "replace")
        except ValueError:
            return ""
    elif encoding == "quoted-printable":
        from quopri import decodestring

        text = decodestring(text.encode("utf-8", "replace")[: MOST_TEXT * 3]).decode("utf-8", "replace")
    return text[:MOST_TEXT]


def _as_text(message: Part) -> str:
    fields = "".join(f"{name}: {value}\n" for name, value in message.items())
    body = message.get_payload()
    return fields + ("\n" if fields else "") + (body if isinstance(body, str) else "")


def _cut(text: str) -> Iterator[Headers]:
    """Blocks of fields between empty lines."""
    for block in re.split(r"\n\s*\n", text.replace("\r", "").strip())[:MOST_PARTS]:
        fields = message_from_bytes(block.encode("utf-8", "replace"), policy=_POLICY)
        if fields.keys():
            yield fields
