"""WeCom group robots (消息推送, formerly 群机器人): posts into one group, mentioning members where the type can.

A robot has one address, its group. Its recipients are `@group` (nobody is mentioned), `@all` and user ids (mentioned
in texts and Markdown). Sources: WeCom docs, path 99110 and 91770.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, SecretStr, field_validator

from shared.model.accounts import ProviderSecret, ProviderSettings
from shared.model.content import RenderedWecom
from shared.model.outcome import Outcome, Rejected, Sent
from shared.model.reasons import Reason
from shared.net.hosts import endpoint_server
from shared.providers.base import Outgoing, Provider, Tools, Verification
from shared.providers.wecom.codes import INVALID_MEDIA_ID, OK, explain, outcome_of
from shared.providers.wecom.limits import media_bytes
from shared.providers.wecom.media import MediaIds, has_own_media
from shared.providers.wecom.robot.limits import MARKDOWN_BYTES
from shared.providers.wecom.wire import Answer, Deadline, Failure, NotReadyError, Timeouts, Wire, checked_endpoint

_KEY = re.compile(r"[0-9A-Za-z-]{8,64}\Z")
_RECIPIENT = re.compile(r"(@group|@all|[0-9A-Za-z][0-9A-Za-z._@\-]{0,63})\Z")
_CHECK_FILE = ("mepush-check.txt", b"mePush checks that this key works.\n")


class Settings(ProviderSettings):
    """A group robot."""

    keep_secret: ClassVar[frozenset[str]] = frozenset({"mention"})

    provider: Literal["robot"]
    endpoint: Annotated[str | None, AfterValidator(checked_endpoint)] = None
    mention: bool = True
    """Whether the user ids and `@all` among the recipients are mentioned in the post."""

    def server(self) -> tuple[str, str, int] | None:
        return endpoint_server(self.endpoint)


class Secret(ProviderSecret):
    """The robot's key; its whole webhook address may be given instead."""

    model_config = ConfigDict(hide_input_in_errors=True)

    key: SecretStr

    @field_validator("key")
    @classmethod
    def _bare_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if "://" in text:
            found = re.search(r"[?&]key=([^&#\s]*)", text)
            text = found[1] if found else ""
        if not _KEY.match(text):
            raise ValueError("give the robot's key, or its whole webhook address as WeCom shows it")
        return SecretStr(text)


class RobotProvider(Provider):
    """Posts through one robot: one post per distinct content, whoever it is for."""

    threads: ClassVar[int] = 4
    counts_calls: ClassVar[bool] = True
    worst_case_seconds: ClassVar[float] = Timeouts().worst_case

    def __init__(self, settings: Settings, secret: Secret, tools: Tools, timeouts: Timeouts | None = None) -> None:
        self._settings = settings
        self._secret = secret
        self._wire = Wire(settings.endpoint, timeouts or Timeouts(), tools.network)
        # Media ids are the webhook's own: the key's digest keeps those of another robot apart.
        digest = hashlib.sha256(self._key.encode()).hexdigest()[:16]
        self._media = MediaIds(tools.tokens, tools.clock, f"wecom-robot:{tools.account_key}:{digest}")

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Put messages of equal content together, as many as their mentions leave room for."""
        groups: list[list[Outgoing]] = []
        filling: dict[str, tuple[list[Outgoing], int]] = {}
        for message in messages:
            content = _content(message)
            capacity = MARKDOWN_BYTES - _text_bytes(content)
            size = self._mention_bytes(message.to) if content.type == "markdown" else 0
            # Where not even one mention fits, another post would not mention anyone either.
            size = size if size <= capacity else 0
            group, room = filling.get(content.key, (None, 0))
            if group is None or (size and size > room):
                group, room = [], capacity
                groups.append(group)
            group.append(message)
            filling[content.key] = group, room - size
        return groups

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Post one content once, for all recipients of the group."""
        good = [message for message in group if _RECIPIENT.match(message.to)]
        result: Outcome = self._deliver(good) if good else Rejected(Reason.ADDRESS_INVALID, "not_a_recipient")
        return [
            result if _RECIPIENT.match(message.to) else Rejected(Reason.ADDRESS_INVALID, _why_not(message.to))
            for message in group
        ]

    def verify(self) -> Verification:
        """Upload a tiny file, which needs a working key and shows nothing in the group."""
        answer = self._upload("file", *_CHECK_FILE, self._wire.deadline())
        if isinstance(answer, Failure):
            return explain(answer.outcome)
        if answer.code != OK:
            return explain(outcome_of(answer.code))
        return Verification(
            True, "WeCom accepted the robot's key. It was tried with the upload of a small file; nothing was posted."
        )

    def close(self) -> None:
        """Give back the connections."""
        self._wire.close()

    @property
    def _key(self) -> str:
        return self._secret.key.get_secret_value()

    def _deliver(self, messages: list[Outgoing]) -> Outcome:
        try:
            answer = self._post(messages, self._wire.deadline())
        except NotReadyError as error:
            return error.outcome
        if isinstance(answer, Failure):
            return answer.outcome
        if answer.code != OK:
            return outcome_of(answer.code)
        # Robots answer without an id.
        return Sent(f"robot:{messages[0].message_id}")

    def _post(self, messages: list[Outgoing], deadline: Deadline) -> Answer | Failure:
        """Post, with one fresh media id if WeCom no longer knows the one in hand."""
        content = _content(messages[0])
        if content.type != "file" or not has_own_media(content):
            return self._call({"msgtype": content.type, content.type: self._fields(messages)}, deadline)

        def upload(kind: str, name: str, data: bytes) -> Answer | Failure:
            return self._upload(kind, name, data, deadline)

        media_id = self._media.of(content, upload)
        answer = self._call({"msgtype": "file", "file": {"media_id": media_id}}, deadline)
        if isinstance(answer, Answer) and answer.code == INVALID_MEDIA_ID:
            media_id = self._media.of(content, upload, rejected=media_id)
            answer = self._call({"msgtype": "file", "file": {"media_id": media_id}}, deadline)
        return answer

    def _call(self, body: dict[str, Any], deadline: Deadline) -> Answer | Failure:
        return self._wire.call("POST", "webhook/send", {"key": self._key}, deadline, body=body)

    def _upload(self, kind: str, name: str, data: bytes, deadline: Deadline) -> Answer | Failure:
        params = {"key": self._key, "type": kind}
        return self._wire.call("POST", "webhook/upload_media", params, deadline, file=(name, data))

    def _fields(self, messages: list[Outgoing]) -> Any:
        content = _content(messages[0])
        body = content.body
        match content.type:
            case "text":
                return self._text(body, messages)
            case "markdown":
                return {"content": body["content"] + self._markdown_mentions(content, messages)}
            case "image":
                return _image(body)
            case "news":
                articles = body["articles"]
                return {"articles": [{k: v for k, v in article.items() if v is not None} for article in articles]}
            case "file":
                return {"media_id": body["media_id"]}
            case "template_card":
                return body["card"]
        raise NotReadyError(Rejected(Reason.CONTENT_INVALID, "robots_have_no_" + content.type))

    def _mentioned(self, messages: list[Outgoing]) -> list[str]:
        if not self._settings.mention:
            return []
        return sorted({message.to for message in messages} - {"@group"})

    def _text(self, body: dict[str, Any], messages: list[Outgoing]) -> dict[str, Any]:
        given = list(body.get("mentioned_list") or [])
        known = {name.lower() for name in given}
        fields: dict[str, Any] = {"content": body["content"]}
        mentioned = given + [to for to in self._mentioned(messages) if to.lower() not in known]
        if mentioned:
            fields["mentioned_list"] = mentioned
        if body.get("mentioned_mobile_list"):
            fields["mentioned_mobile_list"] = list(body["mentioned_mobile_list"])
        return fields

    def _mention_bytes(self, to: str) -> int:
        # "@all" works in the lists of texts only: in Markdown it would be shown as it is written.
        return len(f"<@{to}>\n") if self._settings.mention and to not in {"@group", "@all"} else 0

    def _markdown_mentions(self, content: RenderedWecom, messages: list[Outgoing]) -> str:
        text = content.body["content"].lower()
        room = MARKDOWN_BYTES - _text_bytes(content) - 1
        mentions = ""
        for user in self._mentioned(messages):
            mention = f"<@{user}>"
            if user != "@all" and mention.lower() not in text and len(mentions) + len(mention) <= room:
                mentions += mention
        return f"\n{mentions}" if mentions else ""


def build(settings: Settings, secret: Secret, tools: Tools) -> RobotProvider:
    """Make the provider; nothing is opened yet."""
    return RobotProvider(settings, secret, tools)


def _content(message: Outgoing) -> RenderedWecom:
    if not isinstance(message.content, RenderedWecom):
        raise TypeError(f"a group robot cannot send {type(message.content).__name__}")
    return message.content


def _why_not(address: str) -> str:
    return "set_is_for_apps" if address.startswith(("party:", "tag:")) else "not_a_recipient"


def _text_bytes(content: RenderedWecom) -> int:
    return len(str(content.body.get("content", "")).encode("utf-8", "replace"))


def _image(body: dict[str, Any]) -> dict[str, str]:
    try:
        data = media_bytes(body)
    except ValueError:
        data = None
    if data is None:
        raise NotReadyError(Rejected(Reason.CONTENT_INVALID, "image_without_data"))
    # WeCom asks for the MD5 of the bytes before base64, as a checksum.
    return {"base64": base64.b64encode(data).decode(), "md5": hashlib.md5(data, usedforsecurity=False).hexdigest()}
