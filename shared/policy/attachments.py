"""Which files may go with an email, what they may be called, how many and how large; and which images html names.

There is a list of what is allowed and none of what is not: programs, scripts, web pages and archives, in which such can
hide, are not on it. A name must end as its type says, so that no program passes for a document.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from shared.model.content import MAX_DATA_BYTES, EmailContent, EmailFile
from shared.policy.limits import Issue

_OFFICE = "application/vnd.openxmlformats-officedocument."
TYPES: dict[str, tuple[str, ...]] = {
    "application/pdf": (".pdf",),
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "text/csv": (".csv",),
    "text/plain": (".txt",),
    "text/calendar": (".ics",),
    f"{_OFFICE}wordprocessingml.document": (".docx",),
    f"{_OFFICE}spreadsheetml.sheet": (".xlsx",),
    f"{_OFFICE}presentationml.presentation": (".pptx",),
}
"""Content type -> how the names of such files end."""
ALLOWED = ", ".join(ending for endings in TYPES.values() for ending in endings)

MAX_FILES = 10
"""Per message, those of the template included."""
MAX_BYTES = 7_000_000
"""Of all files of a message together, as they are. Base64 makes 9.6 MB of it: less than Postfix takes unless it is told
otherwise (postconf(5), message_size_limit: 10,240,000 bytes), and far less than the 40 MB of SES (SES developer guide,
"Service quotas")."""
MAX_NAME_BYTES = 200
"""In UTF-8."""
KEEP_DAYS = 30
"""For so long after its upload a file may be named. What was accepted within them is sent."""
PREFIX = "attachments/"
"""What the keys of files begin with, in the assets bucket."""

_TYPE_OF = {ending: kind for kind, endings in TYPES.items() for ending in endings}
# What a browser or mail program loads: an attribute's value or a style's url(...) that begins with `cid:`.
_CIDS = re.compile(r"""(?:=\s*["']?|url\(\s*["']?)\s*cid:([^"'\s>)]*)""", re.IGNORECASE)


def type_of(name: str) -> str | None:
    """The content type of a file by its name's ending; None if it is not allowed."""
    stem, dot, ending = name.rpartition(".")
    return _TYPE_OF.get(dot + ending.lower()) if stem else None


def name_problem(name: str) -> str | None:
    """Why a file may not be called so, or None."""
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return f"has more than {MAX_NAME_BYTES} bytes in UTF-8; shorten it"
    if "/" in name or "\\" in name:
        return "holds a path; give the file's own name"
    # Control and format characters: a line break would end a header, and U+202E shows `fdp.exe` as `exe.pdf`.
    if any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in name):
        return "holds a control character; leave it out"
    if name != name.strip() or name.startswith("."):
        return "must not begin with a dot or a blank, nor end with a blank"
    if type_of(name) is None:
        return f"is of no kind that may be attached; allowed are {ALLOWED}"
    return None


def type_problem(name: str, content_type: str) -> str | None:
    """Why a file of this name, which has no problem, may not have this content type, or None."""
    if content_type not in TYPES:
        return f"may not be attached; allowed are {', '.join(TYPES)}"
    expected = type_of(name)
    if expected != content_type:
        return f"does not fit the name, which says {expected}"
    return None


def cid_problem(content_type: str) -> str | None:
    """Why a file of this type may not be shown within the html, or None."""
    if content_type.startswith("image/"):
        return None
    return "is for images that the html shows; leave it out for other files"


def cids_in(html: str | None) -> list[str]:
    """The inline images that html names, each once, in order; placeholders as they stand."""
    return list(dict.fromkeys(_CIDS.findall(html or "")))


def content_problems(content: EmailContent) -> list[Issue]:
    """What is wrong with a template's files, and with its html's references to them."""
    issues: list[Issue] = []
    seen: set[str] = set()
    for i, file in enumerate(content.attachments):
        if problem := name_problem(file.name):
            issues.append((f"attachments.{i}.name", problem))
        elif file.cid is not None and (problem := _own_cid_problem(file, content, seen)):
            issues.append((f"attachments.{i}.cid", problem))
    if sum(len(file.data) for file in content.attachments) > MAX_DATA_BYTES:
        issues.append(("attachments", f"have more than {MAX_DATA_BYTES:,} bytes; attach large files to requests"))
    known = {file.cid for file in content.attachments}
    for cid in cids_in(content.html):
        if "{" in cid:
            issues.append(("html", "names an inline image by a placeholder; write its cid out"))
        elif cid not in known:
            issues.append(("html", f"names the inline image `cid:{cid[:64]}`, which is not among the attachments"))
    return issues


def _own_cid_problem(file: EmailFile, content: EmailContent, seen: set[str]) -> str | None:
    """What is wrong with the cid of a template's file. seen: the cids of those before it."""
    cid = file.cid or ""
    if content.html is None:
        return "is for an image in the html: give html, or leave the cid out"
    if cid in seen:
        return "another attachment has the same cid: give each its own"
    seen.add(cid)
    return cid_problem(type_of(file.name) or "")


def beyond(sizes: Sequence[int], own: Iterable[int]) -> tuple[int, str] | None:
    """Which file of a request is too much for one message, by position, and why; None if all fit.

    sizes: of the request's files. own: of the template's that go along with them. In bytes.
    """
    there = list(own)
    count, total = len(there), sum(there)
    for i, size in enumerate(sizes):
        count, total = count + 1, total + size
        if count > MAX_FILES:
            return i, f"is one too many: a message has at most {MAX_FILES} files, the template's included"
        if total > MAX_BYTES:
            return i, f"makes {total:,} bytes of files, more than {MAX_BYTES:,} for one message"
    return None
