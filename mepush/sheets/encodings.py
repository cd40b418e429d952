"""What a file is written in, and the same as UTF-8 with line feeds, as all that follows wants it. Pure: no I/O.

Read are UTF-8, GB18030 (hence GBK and GB2312, as a Chinese Excel saves CSV), UTF-16 with its mark (Excel's "Unicode
text"), and lines that end with a carriage return alone.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mepush.sheets.failures import SheetError

WINDOW = 65_536
"""Bytes of a file's beginning by which it is told what it is written in."""
SAVE = "Save it as `CSV UTF-8` (in Excel: File, Save As) and give it again."
_UTF8, _GB18030, _UTF16 = "utf-8", "gb18030", "utf-16"
_MARKED = "sheets.marked"
_NO_TEXT = "\udcff"
"""Stands for bytes that are no text in the encoding; written as a byte that is none in UTF-8 either."""
_SURE = 0.8
"""So much of a GB18030 text are characters of GB2312; of Western ones misread as it hardly any, of Big5 about half."""

_UTF32 = f"The file is UTF-32, which cannot be read. {SAVE}"
_WORKBOOK = "The file is an Excel workbook{}, which cannot be read. " + SAVE
_OTHERS = {
    b"\xff\xfe\x00\x00": _UTF32,
    b"\x00\x00\xfe\xff": _UTF32,
    b"PK\x03\x04": _WORKBOOK.format(" or a zip archive"),
    b"PK\x05\x06": _WORKBOOK.format(" or a zip archive"),
    b"\xd0\xcf\x11\xe0": _WORKBOOK.format(" of old"),
    b"%PDF": f"The file is a PDF, which cannot be read. {SAVE}",
    b"\x1f\x8b": "The file is compressed with gzip, which cannot be read here. Unpack it and give it again.",
    b"Rar!": "The file is an archive, which cannot be read. Unpack it and give the CSV that is in it.",
    b"7z\xbc\xaf": "The file is an archive, which cannot be read. Unpack it and give the CSV that is in it.",
}
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|table|meta|head|style)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written. returns: its lines end with a carriage return alone."""

    encoding: str = _UTF8
    returns: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is UTF-8 with line feeds already."""
        return self.encoding == _UTF8 and not self.returns


def form_of(head: bytes, over: bool) -> Form:
    """How a file is written. head: its first `WINDOW` bytes, or all if it is `over` before. Raises: SheetError."""
    head = head[:WINDOW]
    for magic, problem in _OTHERS.items():
        if head.startswith(magic):
            raise SheetError(problem)
    if _MARKUP.match(head):
        raise SheetError(f"The file is a web page or XML, whatever its name says, which cannot be read. {SAVE}")
    encoding = _encoding(head, over)
    text = _decoded(head, encoding)
    return Form(encoding, "\r" in text and "\n" not in text)


def as_utf8(pieces: Iterable[bytes], form: Form) -> Iterator[bytes]:
    """A file as UTF-8 with line feeds, as it streams by. Bytes that are no text are none afterwards either.

    Raises: LookupError for an encoding that there is not.
    """
    decoder = codecs.getincrementaldecoder(form.encoding)(_MARKED)
    for piece in pieces:
        yield _written(decoder.decode(piece), form)
    yield _written(decoder.decode(b"", True), form)


def _written(text: str, form: Form) -> bytes:
    text = text.replace("\r", "\n") if form.returns else text
    return text.encode("utf-8", "surrogateescape")


def _encoding(head: bytes, over: bool) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _UTF16
    if b"\0" in head:
        raise SheetError(
            "The file holds zero bytes: it is UTF-16 without its mark, or no text at all, and cannot be read. " + SAVE
        )
    try:
        codecs.getincrementaldecoder(_UTF8)().decode(head, over)
    except UnicodeDecodeError:
        return _GB18030 if _is_gb18030(head) else _UTF8
    return _UTF8


def _is_gb18030(head: bytes) -> bool:
    """Whether a text that is not all UTF-8 is Chinese, and not UTF-8 with a few broken bytes, nor Western."""
    utf8 = _beyond_ascii(_decoded(head, _UTF8))
    if utf8.count(_NO_TEXT) * 4 <= len(utf8):
        return False
    found = _beyond_ascii(_decoded(head, _GB18030))
    return len(found.encode("gb2312", "ignore")) >= 2 * _SURE * len(found)


def _beyond_ascii(text: str) -> str:
    return "".join(c for c in text if c > "\x7f")


def _decoded(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)(_MARKED).decode(head)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _NO_TEXT * (error.end - error.start), error.end


codecs.register_error(_MARKED, _mark)
