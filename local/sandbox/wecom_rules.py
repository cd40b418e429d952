"""What the WeCom sandbox refuses in a message or an upload, by WeCom's codes, and what a person would see of it.

Written from the vendor's pages, apart from the platform's own limits, so that either can catch the other's mistakes.
"""

import base64
import hashlib
import json
import re
from typing import Any

from local.sandbox.base import Request

Json = dict[str, Any]

_MOST_BYTES = {"image": 10 * 2**20, "voice": 2 * 2**20, "video": 10 * 2**20, "file": 20 * 2**20}
_NOTICES = {"text_notice", "news_notice"}
_INTERACTIONS = {"button_interaction", "vote_interaction", "multiple_interaction"}


def app_problem(kind: Any, part: Any) -> int:
    """Return the code for an app message's content, 0 when there is nothing to say."""
    if kind not in {"text", "markdown", "textcard", "news", "image", "voice", "video", "file", "template_card"}:
        return 40008
    if not isinstance(part, dict):
        return 40063
    match kind:
        case "text" | "markdown":
            return _filled(part, "content", 44004)
        case "textcard":
            return _textcard_problem(part)
        case "news":
            return _news_problem(part)
        case "template_card":
            return _card_problem(part, _NOTICES | _INTERACTIONS)
    return _filled(part, "media_id", 41006)


def robot_problem(kind: Any, part: Any) -> int:
    """Return the code for a robot's content, 0 when there is nothing to say."""
    if kind not in {"text", "markdown", "markdown_v2", "news", "image", "file", "voice", "template_card"}:
        return 40008
    if not isinstance(part, dict):
        return 40063
    match kind:
        case "text" | "markdown" | "markdown_v2":
            most = 2048 if kind == "text" else 4096
            too_long = len(str(part.get("content", "")).encode()) > most
            return _filled(part, "content", 44004) or (40058 if too_long else 0)
        case "news":
            return _news_problem(part)
        case "image":
            return _robot_image_problem(part)
        case "template_card":
            return _card_problem(part, _NOTICES)
    return _filled(part, "media_id", 41006)


def upload_problem(kind: str, data: bytes, kinds: tuple[str, ...]) -> int:
    """Return the code for an upload, 0 when there is nothing to say."""
    if kind not in kinds:
        return 40005
    if len(data) <= 5:
        return 44001
    if len(data) > _MOST_BYTES[kind]:
        return 45001
    return 40004 if kind == "image" and not _is_picture(data) else 0


def read_upload(request: Request) -> tuple[str, str, bytes]:
    """Return the kind, file name and bytes of a multipart upload; its field must be called `media`."""
    kind = request.query.get("type", "")
    boundary = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    for part in request.body.split(b"--" + boundary[1].encode()) if boundary else ():
        head, found, data = part.partition(b"\r\n\r\n")
        named = re.search(r'name="media".*?filename="([^"]+)"', head.decode("utf-8", "replace"), re.DOTALL)
        if found and named:
            return kind, named[1], data.removesuffix(b"\r\n")
    return kind, "", b""


def read_recipients(body: bytes) -> list[str]:
    """Return whom an app message is for, in our notation, as far as that can be read."""
    try:
        message = json.loads(body)
        lists = {"": str(message.get("touser", ""))}
        lists |= {f"{kind}:": str(message.get(f"to{kind}", "")) for kind in ("party", "tag")}
    except (ValueError, AttributeError):
        return []
    return [prefix + entry for prefix, entries in lists.items() for entry in entries.split("|") if entry]


def cut_text(kind: Any, part: Json) -> Json:
    """Cut an app's text where WeCom cuts it: at 2,048 bytes, without an error."""
    if kind not in {"text", "markdown"}:
        return part
    return part | {"content": part["content"].encode()[:2048].decode("utf-8", "ignore")}


def shown(kind: Any, part: Json, media: tuple[str, int] | None) -> Json:
    """Return what a person would see. media: name and size of the file that the message names."""
    first = part.get("articles", [part])[0]
    title = first.get("title") or (part.get("main_title") or {}).get("title") or (media[0] if media else "")
    text = first.get("content") or first.get("description") or part.get("sub_title_text") or ""
    body = part
    if kind == "image" and "base64" in part:
        body = {"md5": part["md5"], "bytes": len(base64.b64decode(part["base64"]))}
    elif media is not None:
        body = part | {"filename": media[0], "bytes": media[1]}
    return {"type": kind, "title": title, "text": text, "body": body}


def _filled(part: Json, name: str, code: int) -> int:
    return 0 if isinstance(part.get(name), str) and part[name] else code


def _is_picture(data: bytes) -> bool:
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _address_problem(url: Any) -> int:
    return 0 if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else 45034


def _textcard_problem(part: Json) -> int:
    return _filled(part, "title", 41016) or _filled(part, "description", 41033) or _address_problem(part.get("url"))


def _news_problem(part: Json) -> int:
    articles = part.get("articles")
    if not isinstance(articles, list) or not articles:
        return 40063
    if len(articles) > 8:
        return 45008
    problems = (_filled(article, "title", 41016) or _address_problem(article.get("url")) for article in articles)
    return next(filter(None, problems), 0)


def _robot_image_problem(part: Json) -> int:
    try:
        data = base64.b64decode(part.get("base64", ""), validate=True)
    except ValueError:
        return 40058
    if len(data) > 2 * 2**20:
        return 45001
    if not _is_picture(data):
        return 40004
    right = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return 0 if part.get("md5") == right else 301019


def _card_problem(part: Json, kinds: set[str]) -> int:
    kind = part.get("card_type")
    too_many = len(part.get("horizontal_content_list", ())) > 6 or len(part.get("jump_list", ())) > 3
    if kind not in kinds or too_many:
        return 40058
    if kind in _NOTICES and not isinstance(part.get("card_action"), dict):
        return 40058
    if part.get("action_menu") and not part.get("task_id"):
        return 40058
    return 0
