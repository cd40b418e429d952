"""Email templates as the SES sandbox keeps and renders them: Handlebars as far as plain placeholders go."""

import html
import json
import re
from collections.abc import Callable, Mapping
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

PLACEHOLDER = re.compile(r"\{\{\{ *([A-Za-z_]\w*) *\}\}\}|\{\{ *([A-Za-z_]\w*) *\}\}")
PARTS = ("Subject", "Html", "Text")
LONGEST_DATA = 262_144
"""Characters of the data of one recipient (SES API v2 reference, "ReplacementTemplate")."""

Mangle = Callable[[str], str]


def one_line(subject: str) -> str:
    """A subject as SES can send it. Raises: RenderingError for one with a line break."""
    if len(subject.splitlines()) > 1:
        raise RenderingError("Subject has a line break")
    return subject


class RenderingError(Exception):
    """The data does not fit the template. SES takes such a message all the same, and never delivers it."""


def render(content: Mapping[str, str], data: str, mangle: Mangle | None = None) -> dict[str, str]:
    """The parts with their placeholders filled in: `{{{name}}}` as it is, `{{name}}` escaped for HTML.

    A value is put in once: what it holds is no template. mangle: what is made of each value before.
    Raises: RenderingError for data that cannot be read, and for a placeholder without a value.
    """
    values = read_data(data)

    def fill(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            raise RenderingError(f"Attribute '{name}' is not present in the rendering data.")
        value = values[name] if mangle is None else mangle(values[name])
        return value if found[1] else html.escape(value)

    return {part: PLACEHOLDER.sub(fill, content[part]) for part in PARTS if content.get(part)}


def read_data(data: str) -> dict[str, str]:
    """The values of a recipient. Raises: RenderingError."""
    try:
        found = json.loads(data)
    except ValueError:
        raise RenderingError("Template rendering data is invalid") from None
    if not isinstance(found, dict) or len(data) > LONGEST_DATA:
        raise RenderingError("Template rendering data is invalid")
    return {str(name): str(value) for name, value in found.items()}


def mime(parts: Mapping[str, str], headers: Mapping[str, str], files: list[dict[str, Any]] | None = None) -> bytes:
    """A message with these parts. headers: besides the subject. files: as `Attachments` of a request, decoded."""
    message = EmailMessage(SMTP)
    if "Text" in parts:
        message.set_content(parts["Text"])
        if "Html" in parts:
            message.add_alternative(parts["Html"], subtype="html")
    else:
        message.set_content(parts.get("Html", ""), subtype="html")
    for file in files or ():
        main, _, sub = file["ContentType"].partition("/")
        disposition, cid = file.get("ContentDisposition", "ATTACHMENT").lower(), file.get("ContentId")
        named = {"filename": file["FileName"], "disposition": disposition, "cid": f"<{cid}>" if cid else None}
        message.add_attachment(file["RawContent"], maintype=main, subtype=sub, **named)
    subject = Header(one_line(parts["Subject"]), "utf-8", header_name="Subject").encode(linesep="\r\n")
    lines = [f"{name}: {value}\r\n" for name, value in {**headers, "Subject": subject}.items()]
    return "".join(lines).encode() + message.as_bytes()
