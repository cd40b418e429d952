"""Puts up to fifty messages into one request of Amazon SES: `SendBulkEmail`, by templates of placeholders alone.

SES takes many messages at once by stored templates only. Ours have one placeholder for each part, `{{{html}}}`, and our
rendered content is what is put in; three braces put it in as it is. The data of every message names every placeholder
of its template, so that SES never fails to render one after it has said yes (its event "Rendering Failure").

What this form cannot carry, or what no trial shows to arrive unchanged, goes alone by `SendEmail` as raw content.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.model.attachments import Attachment
from shared.model.content import RenderedEmail
from shared.model.origin import whole_origin
from shared.providers.base import Outgoing, Tools
from shared.providers.email.mime import encode_mailbox, mailbox_problem, one_line, unsubscribe_headers

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import MessageTagTypeDef

MESSAGE_ID_TAG = "mepush_message_id"
"""The tag that comes back in every event of a message, under `mail.tags`."""
ORIGIN_TAG = "mepush_origin"
"""What else is to be known of a message (`shared/model/origin.py`)."""
DEPLOYMENT_TAG = "mepush_deployment"
"""Whose message it is, where several deployments share an account of AWS: the rule for events asks for it."""
MESSAGE_ID_HEADER = "X-MePush-Message-Id"

MOST: Final = 50
"""Messages of a call (SES Developer Guide, "Using templates to send personalized email")."""
DATA_BYTES: Final = 262_144
"""Of a message's data (SES API v2 reference, "ReplacementTemplate"; characters there, of which none takes less)."""
CALL_BYTES: Final = 1_000_000
"""Of a whole request. What SES takes it does not say; 1 MB is what it takes where a template comes along."""
VERSION: Final = 1
"""Of the templates; another one wants other names, for they may be in use."""

_FROM_CHARACTERS: Final = 320
_SUBJECT_CHARACTERS: Final = 900
_LONGEST_LINE: Final = 998
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}\Z").match
"""What a tag takes, and a header too."""
_FILE_NAME = re.compile(r"[ -~]{1,255}\Z").match
_FILE_TYPE_CHARACTERS: Final = 78


class Parts(StrEnum):
    """Which parts a message has beside its subject; each has a template of its own, since no part may be empty."""

    BOTH = "html-text"
    HTML = "html"
    TEXT = "text"

    @property
    def template(self) -> str:
        """The name of the template."""
        return f"mepush-raw-v{VERSION}-{self}"

    def content(self) -> dict[str, str]:
        """The template as SES is to keep it."""
        parts = {"Subject": "{{{subject}}}"}
        if self is not Parts.TEXT:
            parts["Html"] = "{{{html}}}"
        if self is not Parts.HTML:
            parts["Text"] = "{{{text}}}"
        return parts


@dataclass(frozen=True, slots=True)
class Shape:
    """What the messages of one call have in common."""

    parts: Parts
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as a call carries it."""

    shape: Shape
    json: bytes


def values_of(content: RenderedEmail) -> dict[str, str]:
    """What is put into a message's template: header and lines as our own mails have them (`mime.py`)."""
    values = {"subject": one_line(content.subject)}
    if content.html is not None:
        values["html"] = _with_crlf(content.html)
    if content.text is not None:
        values["text"] = _with_crlf(content.text)
    return values


def parts_of(values: Mapping[str, str]) -> Parts | None:
    """The parts of a message, None without any."""
    if "html" in values:
        return Parts.BOTH if "text" in values else Parts.HTML
    return Parts.TEXT if "text" in values else None


def data_of(values: Mapping[str, str]) -> str | None:
    """The values as SES takes them; None for what it may not leave as it is."""
    if not all(values.values()) or len(values["subject"]) > _SUBJECT_CHARACTERS:
        return None
    if any(_is_long(value) for value in values.values()) or _is_encoded(values["subject"]):
        return None
    try:
        data = msgspec.json.encode(values)
    except UnicodeEncodeError:
        return None
    # Control characters, but for tabs and ends of lines.
    return None if len(data) > DATA_BYTES or b"\\u00" in data else data.decode()


class Form:
    """The requests of one account; shared by threads."""

    def __init__(
        self,
        from_address: str,
        from_name: str | None,
        reply_to: str | None,
        configuration_set: str | None,
        tools: Tools,
    ) -> None:
        # One line: the folds of a header have no place in a field of a request.
        sender = encode_mailbox(from_address, from_name).replace("\r\n", "")
        self._common: dict[str, Any] = {"FromEmailAddress": sender}
        self._tools = tools
        if reply_to is not None:
            self._common["ReplyToAddresses"] = [reply_to]
        if configuration_set is not None:
            self._common["ConfigurationSetName"] = configuration_set
        self._carries = len(sender) <= _FROM_CHARACTERS

    def entry(self, message: Outgoing) -> Entry | None:
        """A message as a call carries it; None if it must go alone."""
        content = message.content
        if not self._carries or not isinstance(content, RenderedEmail) or mailbox_problem(message.to) is not None:
            return None
        values = values_of(content)
        parts, data, id = parts_of(values), data_of(values), message.message_id
        if parts is None or data is None or not _ID(id) or not all(map(_carried, content.attachments)):
            return None
        entry = {
            "Destination": {"ToAddresses": [message.to]},
            # Whether those of the whole call would stay beside them is not documented.
            "ReplacementTags": tags_of(message, self._tools),
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": data}},
            "ReplacementHeaders": [{"Name": name, "Value": value} for name, value in _headers(id, content)],
        }
        return Entry(Shape(parts, content.attachments), msgspec.json.encode(entry))

    def groups(self, messages: Sequence[Outgoing], most: int, usable: Callable[[Parts], bool]) -> list[list[Outgoing]]:
        """Together what one call can carry, in the order given. usable: asked of parts that several messages have."""
        entries = [self.entry(message) for message in messages]
        shared = Counter(each.shape for each in entries if each is not None)
        ready = {parts: usable(parts) for parts in {shape.parts: None for shape, n in shared.items() if n > 1}}
        groups: list[list[Outgoing]] = []
        filling: dict[Shape, tuple[list[Outgoing], int]] = {}
        for message, entry in zip(messages, entries, strict=True):
            if entry is None or not ready.get(entry.shape.parts, False):
                groups.append([message])
                continue
            size = len(entry.json) + 1
            group, room = filling.get(entry.shape, ([], 0))
            if not group or len(group) == most or size > room:
                group, room = [], CALL_BYTES - self._bytes_around(entry.shape)
                groups.append(group)
            group.append(message)
            filling[entry.shape] = group, room - size
        return groups

    def request(self, group: Sequence[Outgoing]) -> tuple[Shape, bytes] | None:
        """The body of one call for a group, or what is left of one; None if no call can carry it."""
        entries = [entry for entry in map(self.entry, group) if entry is not None]
        shapes = {entry.shape for entry in entries}
        if len(entries) != len(group) or len(shapes) != 1 or len(entries) > MOST:
            return None
        [shape] = shapes
        template: dict[str, Any] = {"TemplateName": shape.parts.template, "TemplateData": "{}"}
        if shape.files:
            # Those that the html shows first, as in our own mails.
            template["Attachments"] = [_file(file) for file in sorted(shape.files, key=lambda file: file.cid is None)]
        around = msgspec.json.encode({**self._common, "DefaultContent": {"Template": template}})
        body = b"".join((around[:-1], b',"BulkEmailEntries":[', b",".join(entry.json for entry in entries), b"]}"))
        return None if len(body) > CALL_BYTES and len(group) > 1 else (shape, body)

    def parameters(self, shape: Shape) -> dict[str, Any]:
        """What a request says besides its messages, as parameters for whoever looks at these."""
        return {**self._common, "DefaultContent": {"Template": {"TemplateName": shape.parts.template}}}

    def _bytes_around(self, shape: Shape) -> int:
        """About how many bytes a request has beside its entries, rather more than less."""
        return 2000 + sum(len(file.encoded) + 1000 for file in shape.files)


def tags_of(message: Outgoing, tools: Tools) -> "list[MessageTagTypeDef]":
    """The tags of a message: what its receipts are to bring back."""
    found = {MESSAGE_ID_TAG: message.message_id}
    origin = whole_origin(tools.tenant, tools.account, message.origin)
    if origin is not None:
        found[ORIGIN_TAG] = origin
    if tools.deployment:
        found[DEPLOYMENT_TAG] = tools.deployment
    return [{"Name": name, "Value": value} for name, value in found.items()]


def _headers(id: str, content: RenderedEmail) -> list[tuple[str, str]]:
    own = [(MESSAGE_ID_HEADER, id)]
    return own if content.unsubscribe is None else own + unsubscribe_headers(content.unsubscribe)


def _with_crlf(body: str) -> str:
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    return body.replace("\n", "\r\n")


def _is_long(value: str) -> bool:
    """Whether it has a line that a mail cannot hold and that nothing else has encoded."""
    return len(value) > _LONGEST_LINE and value.isascii() and max(map(len, value.split("\r\n"))) > _LONGEST_LINE


def _is_encoded(subject: str) -> bool:
    """Whether it reads as if it were encoded already: readers would decode what nobody encoded."""
    return "=?" in subject


def _carried(file: Attachment) -> bool:
    """Whether a call carries a file as we would name it: names beyond ASCII are written in many ways."""
    named = _FILE_NAME(file.name) is not None and len(file.content_type) <= _FILE_TYPE_CHARACTERS
    return named and len(file.encoded) < CALL_BYTES


def _file(file: Attachment) -> dict[str, str]:
    shown = {} if file.cid is None else {"ContentId": file.cid}
    return {
        "RawContent": file.encoded.replace(b"\r\n", b"").decode(),
        "FileName": file.name,
        "ContentType": file.content_type,
        "ContentDisposition": "ATTACHMENT" if file.cid is None else "INLINE",
        "ContentTransferEncoding": "BASE64",
        **shown,
    }
