"""Assembles RFC 5322 messages from prepared parts: per message only values are filled in and bodies encoded.

Every byte is ASCII and every line ends in CRLF, so a message needs no 8BITMIME or SMTPUTF8. Bodies with lines of at
most 998 ASCII characters go as they are (7bit), others as base64. Whatever a caller puts into a value, it cannot
create a header or a part: control characters of header values become blanks, and a body that holds the beginning of a
boundary is sent as base64, whose alphabet has none. Files come encoded already, for all recipients of a message.
"""

import re
import secrets
from binascii import b2a_base64
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import AfterValidator, Field

from shared.model.attachments import Attachment
from shared.model.content import RenderedEmail

_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z").match
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z").match
_FOLD: Final = "\r\n "

# RFC 2047 section 2: an encoded word has at most 75 characters and a line with one at most 76. The first shares its
# line with the header's name; 39 and 45 bytes of UTF-8 fill whole base64 groups within those limits.
_FIRST_WORD_BYTES: Final = 39
_WORD_BYTES: Final = 45
_LINE: Final = 76
_LONGEST_WORD: Final = 900
_LONGEST_BODY_LINE: Final = 998

MESSAGE_ID_HEADER: Final = "X-MePush-Message-Id"
"""Has our id of a message: a server that returns it names it by that."""
_BOUNDARY_START: Final = "=_"
_PART_HEADERS: Final = {
    (subtype, encoding): (
        f"Content-Type: text/{subtype}; charset={'us-ascii' if encoding == '7bit' else 'utf-8'}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()
    for subtype in ("plain", "html")
    for encoding in ("7bit", "base64")
}


def mailbox_problem(address: str) -> str | None:
    """Return a code for why an address cannot stand in an SMTP command or header as it is, or None.

    Addresses are expected in their canonical form, with an ASCII domain. A local part outside ASCII would need
    SMTPUTF8, which neither SES nor most relays offer.
    """
    if _MAILBOX(address):
        return None
    local, _, domain = address.rpartition("@")
    return "non_ascii_local_part" if domain.isascii() and not local.isascii() else "not_well_formed"


def _checked_mailbox(address: str) -> str:
    if mailbox_problem(address) is not None:
        raise ValueError("give an email address in ASCII, an international domain in its xn-- form")
    return address


def _checked_name(name: str) -> str:
    if _CONTROL.search(name):
        raise ValueError("give a name without control characters or line breaks")
    return name


Mailbox = Annotated[str, AfterValidator(_checked_mailbox)]
SenderName = Annotated[str, Field(max_length=100), AfterValidator(_checked_name)]
"""The name beside a sender's address."""


def unsubscribe_headers(link: str) -> list[tuple[str, str]]:
    """The headers by which mail programs let a reader unsubscribe by one click (RFC 8058); not to be folded."""
    return [("List-Unsubscribe", f"<{link}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")]


def one_line(value: str) -> str:
    """Return a header's value with control characters and line separators turned into blanks, without outer blanks."""
    return _CONTROL.sub(" ", value).strip(" ")


def encode_words(value: str) -> str:
    """Write any text as RFC 2047 encoded words, folded; characters are never split between words."""
    data = value.encode("utf-8", "replace")
    words: list[str] = []
    start, size = 0, _FIRST_WORD_BYTES
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[start:end], newline=False).decode()}?=")
        start, size = end, _WORD_BYTES
    return _FOLD.join(words)


def encode_unstructured(name: str, value: str) -> str:
    """Write the value of an unstructured header such as Subject, encoded and folded as needed."""
    value = one_line(value)
    if not value.isascii() or "=?" in value:
        return encode_words(value)
    if len(name) + 2 + len(value) <= _LINE:
        return value
    words = value.split(" ")
    # A run of blanks could leave a line of blanks only, and a word that long cannot be folded.
    if "" in words or max(map(len, words)) > _LONGEST_WORD:
        return encode_words(value)
    lines, line = [], words[0]
    room = _LINE - len(name) - 2
    for word in words[1:]:
        if len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, _LINE - 1
        else:
            line += " " + word
    return _FOLD.join([*lines, line])


def encode_mailbox(address: str, name: str | None) -> str:
    """Write `name <address>` for a From header; `address` must have no `mailbox_problem`."""
    name = one_line(name or "")
    if not name:
        return address
    if _PLAIN_PHRASE(name) and "=?" not in name and len(name) <= _LINE - 10:
        phrase = name
    else:
        quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        is_plain = name.isascii() and "=?" not in name and len(quoted) <= _LINE - 12
        phrase = quoted if is_plain else encode_words(name)
    return f"{phrase} <{address}>" if len(phrase) + len(address) < _LINE - 10 else f"{phrase}{_FOLD}<{address}>"


class Assembler:
    """Assembles messages of one sender; made once per account and shared by threads.

    from_address, reply_to: addresses without a `mailbox_problem`. from_name: any text.
    """

    def __init__(self, from_address: str, from_name: str | None = None, reply_to: str | None = None) -> None:
        reply = f"Reply-To: {reply_to}\r\n" if reply_to else ""
        self._sender = f"From: {encode_mailbox(from_address, from_name)}\r\n{reply}MIME-Version: 1.0\r\n"
        self._domain = from_address.rpartition("@")[2]
        self._alternative = _Multipart("alternative")
        self._mixed = _Multipart("mixed")
        # RFC 2387 section 3.1 wants the type of the part that the others belong to.
        self._related = {kind: _Multipart("related", kind) for kind in ("text/html", "multipart/alternative")}
        self._date: tuple[int, str] = (-1, "")

    def message_id(self, message_id: str) -> str:
        """The Message-ID header's value, with its angle brackets."""
        return f"<{message_id}@{self._domain}>"

    def assemble(self, message_id: str, to: str, content: RenderedEmail, now_ms: int) -> bytes:
        """Return the whole message, ending in CRLF.

        message_id: of the platform, unique. to: an address without a `mailbox_problem`. now_ms: for the Date header.
        """
        message_id = one_line(message_id)
        headers = (
            f"{self._sender}To: {to}\r\nSubject: {encode_unstructured('Subject', content.subject)}\r\n"
            f"Date: {self._date_at(now_ms // 1000)}\r\nMessage-ID: <{message_id}@{self._domain}>\r\n"
            f"{MESSAGE_ID_HEADER}: {message_id}\r\n"
        )
        if content.unsubscribe is not None:
            headers += "".join(f"{name}: {value}\r\n" for name, value in unsubscribe_headers(content.unsubscribe))
        pieces = self._body(content) if not content.attachments else self._with_files(content)
        return b"".join((headers.encode(), *pieces, b"" if pieces[-1].endswith(b"\r\n") else b"\r\n"))

    def _body(self, content: RenderedEmail) -> list[bytes]:
        """The text, the html, or both, as the pieces of an entity."""
        if content.html is None or content.text is None:
            return [*(_part("html", content.html) if content.html is not None else _part("plain", content.text or ""))]
        return self._alternative.around([_part("plain", content.text), _part("html", content.html)])

    def _with_files(self, content: RenderedEmail) -> list[bytes]:
        """The body with the images that it shows, and beside both the other files."""
        entity = self._body(content)
        shown = [file for file in content.attachments if file.cid is not None]
        beside = [file for file in content.attachments if file.cid is None]
        if shown:
            kind = "text/html" if content.text is None else "multipart/alternative"
            entity = self._related[kind].around([entity, *map(_file, shown)])
        return self._mixed.around([entity, *map(_file, beside)]) if beside else entity

    def _date_at(self, second: int) -> str:
        cached = self._date
        if cached[0] != second:
            # formatdate says "-0000" (zone unknown) where UTC is meant.
            cached = self._date = (second, formatdate(second)[:-5] + "+0000")
        return cached[1]


class _Multipart:
    """A multipart entity with a boundary of its own; made once."""

    __slots__ = ("_between", "_end", "_start")

    def __init__(self, subtype: str, kind: str | None = None) -> None:
        boundary = _BOUNDARY_START + secrets.token_hex(8)
        about = f'\r\n type="{kind}";' if kind else ""
        start = f'Content-Type: multipart/{subtype};{about}\r\n boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
        self._start = start.encode()
        self._between = f"\r\n--{boundary}\r\n".encode()
        self._end = f"\r\n--{boundary}--\r\n".encode()

    def around(self, parts: Iterable[Iterable[bytes]]) -> list[bytes]:
        """The pieces of an entity that holds these."""
        pieces = [self._start]
        for part in parts:
            pieces += part
            pieces.append(self._between)
        pieces[-1] = self._end
        return pieces


def encode_parameter(key: str, value: str) -> str:
    """Write a parameter of a header: quoted, and in encoded words if it is not plain ASCII.

    RFC 2047 section 5 keeps encoded words out of parameters, yet QQ Mail, Foxmail and Outlook read names by nothing
    else. value: without control characters.
    """
    if value.isascii() and "=?" not in value:
        return f' {key}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f' {key}="{encode_words(value)}"'


def encode_filename(name: str) -> str:
    """Write the parameters of Content-Disposition that name a file, by RFC 2231 too if it is not plain ASCII.

    name: of at most 200 bytes, so that a line holds it whole: not everybody joins pieces.
    """
    plain = encode_parameter("filename", name)
    if name.isascii() and "=?" not in name:
        return plain
    return f"{plain};\r\n filename*=utf-8''{quote(name, safe='', errors='replace')}"


def _file(file: Attachment) -> tuple[bytes, bytes]:
    """A file's headers and its body."""
    return _file_headers(file.name, file.content_type, file.cid), file.encoded


@lru_cache(256)
def _file_headers(name: str, content_type: str, cid: str | None) -> bytes:
    where = "attachment" if cid is None else "inline"
    called = "" if cid is None else f"Content-ID: <{cid}>\r\n"
    return (
        f"Content-Type: {content_type};\r\n{encode_parameter('name', name)}\r\n"
        f"Content-Transfer-Encoding: base64\r\n{called}"
        f"Content-Disposition: {where};\r\n{encode_filename(name)}\r\n\r\n"
    ).encode()


def _part(subtype: str, body: str) -> tuple[bytes, bytes]:
    """Return a part's headers and its encoded body, with line ends in the canonical form (RFC 2046 section 4.1.1)."""
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    if body.isascii() and _fits_7bit(body):
        return _PART_HEADERS[subtype, "7bit"], body.replace("\n", "\r\n").encode()
    data = b2a_base64(body.replace("\n", "\r\n").encode("utf-8", "replace"), newline=False)
    lines = [data[i : i + _LINE] for i in range(0, len(data), _LINE)]
    return _PART_HEADERS[subtype, "base64"], b"\r\n".join(lines)


def _fits_7bit(body: str) -> bool:
    if "\x00" in body or "--" + _BOUNDARY_START in body:
        return False
    return len(body) <= _LONGEST_BODY_LINE or max(map(len, body.split("\n"))) <= _LONGEST_BODY_LINE
