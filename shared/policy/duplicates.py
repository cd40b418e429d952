"""When two messages have the same content: what the recipient gets to see is the same, to the byte."""

from collections.abc import Iterable
from hashlib import blake2b

from pydantic_core import to_json

from shared.model.attachments import Attachment
from shared.model.content import Rendered, RenderedEmail, RenderedSms


def digests(contents: Iterable[Rendered], key: bytes) -> list[str]:
    """The digests of contents, equal for equal ones.

    key: a secret of up to 64 bytes, since a code has so few digits that it could be found from a plain digest.
    """
    files: dict[int, str] = {}
    return [blake2b(to_json(_parts(each, files)), digest_size=16, key=key).hexdigest() for each in contents]


def _parts(content: Rendered, files: dict[int, str]) -> list[object]:
    if isinstance(content, RenderedEmail):
        attached = [[each.name, each.content_type, each.cid, _file(each, files)] for each in content.attachments]
        return ["email", content.subject, content.html, content.text, attached]
    if isinstance(content, RenderedSms):
        return ["sms", content.text, content.template_id, content.params]
    return ["wecom", content.type, content.key]


def _file(file: Attachment, known: dict[int, str]) -> str:
    # Recipients share one file, of megabytes perhaps.
    if id(file) not in known:
        known[id(file)] = blake2b(file.encoded, digest_size=16).hexdigest()
    return known[id(file)]
