"""Reads the mails that the sandboxes accept."""

import email
import email.message
import hashlib
import re
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

_ID_HEADERS = re.compile(rb"^(Message-ID|X-MePush-Message-Id): *([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


def read_mail(raw: bytes, whole: bool = True) -> dict[str, Any]:
    """Return what a person would see of a message: subject, from_name, from_address, to, text, html, attachments (name,
    type, size in bytes, digest, and cid if the html may show it), its ids, and how its reader unsubscribes.

    whole: False reads the ids only (`message_id_header`, `message_id`), for volume.
    """
    if not whole:
        found = {
            name.lower(): value.decode() for name, value in _ID_HEADERS.findall(raw[:4096].partition(b"\r\n\r\n")[0])
        }
        return {
            "message_id_header": found.get(b"message-id", ""),
            "message_id": found.get(b"x-mepush-message-id", ""),
        }
    message = email.message_from_bytes(raw)
    name, address = parseaddr(str(message["From"] or ""))
    files = [part for part in message.walk() if part.get_content_disposition() is not None]
    parts = {part.get_content_type(): part for part in reversed(list(message.walk())) if part not in files}
    return {
        "subject": _decoded(message["Subject"]),
        "from_name": _decoded(name),
        "from_address": address,
        "reply_to": message["Reply-To"],
        "to": message["To"],
        "text": _body(parts.get("text/plain")),
        "html": _body(parts.get("text/html")),
        "attachments": [_file(part) for part in files],
        "message_id_header": message["Message-ID"] or "",
        "message_id": message["X-MePush-Message-Id"] or "",
        "list_unsubscribe": message["List-Unsubscribe"],
        "list_unsubscribe_post": message["List-Unsubscribe-Post"],
        "size": len(raw),
    }


def _decoded(value: Any) -> str:
    return str(make_header(decode_header(re.sub(r"\r?\n", "", str(value or "")))))


def _body(part: email.message.Message | None) -> str | None:
    if part is None:
        return None
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return data.decode(part.get_content_charset("utf-8"), "replace").replace("\r\n", "\n")


def _file(part: email.message.Message) -> dict[str, Any]:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    found: dict[str, Any] = {
        "name": _decoded(part.get_filename()),
        "type": part.get_content_type(),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if part["Content-ID"] is not None:
        found["cid"] = part["Content-ID"].strip("<>")
    return found
