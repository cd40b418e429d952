"""WeCom app messages (企业微信应用消息): to members, departments and tags, or to everyone in the app's scope.

Sources: WeCom docs, path 90236 (message/send), 91039 (gettoken), 90253 (media/upload), 90227 (agent/get), 94867
(message/recall), 94888 (message/update_template_card).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from shared.model.accounts import ProviderSecret, ProviderSettings, bare_secret
from shared.model.content import RenderedWecom
from shared.model.outcome import Change, Changed, Outcome, Rejected, Retry, Sent, Withdrawal, Withdrawn
from shared.model.reasons import Reason
from shared.net.hosts import endpoint_server
from shared.policy.rates import SECOND, Lane
from shared.providers.base import Outgoing, Provider, Token, Tools, Verification
from shared.providers.wecom.app.tasks import is_pressed, task_id_of
from shared.providers.wecom.codes import (
    INVALID_MEDIA_ID,
    NO_GOOD_ONE,
    NOT_RECALLABLE,
    OK,
    ONE_OF_MANY_CODES,
    TOKEN_CODES,
    explain,
    outcome_of,
)
from shared.providers.wecom.media import MediaIds, has_own_media
from shared.providers.wecom.wire import (
    Answer,
    Deadline,
    Failure,
    NotReadyError,
    Timeouts,
    Wire,
    checked_endpoint,
    not_ready,
)

MOST_PER_CALL = {"user": 1000, "party": 100, "tag": 100}
TOKEN_SECONDS = 7200
MEMBER = Lane(4 * SECOND, 15)
"""To a member at most 30 messages in a minute and 1,000 in an hour: WeCom drops more without a word (path 90236)."""

_USER = re.compile(r"[0-9A-Za-z][0-9A-Za-z._@\-]{0,63}\Z")
_SET = re.compile(r"(party|tag):([0-9]{1,10})\Z")
_FIELD_OF = {"user": "touser", "party": "toparty", "tag": "totag"}
_REFUSALS = {
    # field of the answer -> (kind of recipient, reason)
    "invaliduser": ("user", Reason.ADDRESS_UNKNOWN),
    "invalidparty": ("party", Reason.ADDRESS_UNKNOWN),
    "invalidtag": ("tag", Reason.ADDRESS_UNKNOWN),
    # The member exists and is in scope, but has no licence for the interface.
    "unlicenseduser": ("user", Reason.RECIPIENT_BLOCKED),
}
_NO_MSGID = "app:"
"""What an id begins with that WeCom did not give."""
_CAN_BE_SAFE = frozenset({"text", "image", "file"})
_CAN_TRANSLATE_IDS = frozenset({"text", "textcard", "news", "template_card"})


def _of_letters(name: str, least: int, most: int) -> Callable[[SecretStr], SecretStr]:
    """Checks a secret of letters and digits alone. name: WeCom's own."""
    size = str(most) if least == most else f"{least} to {most}"

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if not re.fullmatch(rf"[0-9A-Za-z]{{{least},{most}}}", text):
            raise ValueError(f"give the {name} of WeCom's console: {size} letters and digits")
        return SecretStr(text)

    return check


class Settings(ProviderSettings):
    """A WeCom app."""

    keep_secret: ClassVar[frozenset[str]] = frozenset({"safe", "enable_id_trans", "duplicate_check_interval"})

    provider: Literal["app"]
    corp_id: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")
    """The corporation (企业ID)."""
    agent_id: int = Field(ge=1, le=2**31 - 1)
    """The app within it (AgentId)."""
    endpoint: Annotated[str | None, AfterValidator(checked_endpoint)] = None
    safe: Literal[0, 1] = 0
    """1 forbids members to pass on texts, images and files and marks them."""
    enable_id_trans: bool = False
    """WeCom replaces ids in the content by names."""
    duplicate_check_interval: int = Field(default=1800, ge=1, le=14400)
    """Seconds for which WeCom shows an identical request only once, at most four hours. Always in force, so that a
    message sent again after a lost answer does not show twice."""

    def server(self) -> tuple[str, str, int] | None:
        return endpoint_server(self.endpoint)


class Secret(ProviderSecret):
    """The app's Secret; and with what WeCom signs and encrypts its callbacks, if it is to call."""

    model_config = ConfigDict(hide_input_in_errors=True)

    corp_secret: Annotated[SecretStr, AfterValidator(bare_secret)]
    callback_token: Annotated[SecretStr, AfterValidator(_of_letters("Token", 1, 32))] | None = None
    """The Token of the app's API receiver (接收消息), of up to 32 letters and digits."""
    callback_aes_key: Annotated[SecretStr, AfterValidator(_of_letters("EncodingAESKey", 43, 43))] | None = None
    """Its EncodingAESKey, of 43 letters and digits."""

    @model_validator(mode="after")
    def _both(self) -> "Secret":
        if (self.callback_token is None) != (self.callback_aes_key is None):
            raise ValueError("give both callback_token and callback_aes_key, or neither")
        return self


class _Target(NamedTuple):
    kind: str
    id: str


class AppProvider(Provider):
    """Sends through one WeCom app; up to 1,000 members, 100 departments and 100 tags in one call."""

    threads: ClassVar[int] = 8
    worst_case_seconds: ClassVar[float] = Timeouts().worst_case
    recalls: ClassVar[bool] = True
    recipient_lane: ClassVar[Lane | None] = MEMBER

    def __init__(self, settings: Settings, secret: Secret, tools: Tools, timeouts: Timeouts | None = None) -> None:
        self._settings = settings
        self._secret = secret
        self._tools = tools
        self._wire = Wire(settings.endpoint, timeouts or Timeouts(), tools.network)
        # The digest keeps a token from an account that names the same app with another secret, and from other servers.
        whose = f"{settings.endpoint or ''}\0{secret.corp_secret.get_secret_value()}"
        digest = hashlib.sha256(whose.encode()).hexdigest()[:16]
        account = f"wecom:{tools.account_key}:{settings.corp_id}:{settings.agent_id}:{digest}"
        self._token_key = f"{account}:token"
        self._media = MediaIds(tools.tokens, tools.clock, account)

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Put messages of equal content together; `@all` and what cannot be addressed stay alone.

        Cards that can be pressed go to members apart from others: WeCom names the member who presses.
        """
        groups: list[list[Outgoing]] = []
        filling: dict[str, tuple[list[Outgoing], Counter[str]]] = {}
        for message in messages:
            target = _target(message.to)
            if target is None or target.kind == "all":
                groups.append([message])
                continue
            content = _content(message)
            key = f"{target.kind} {content.key}" if _is_pressed(content) else content.key
            group, counts = filling.get(key, (None, Counter()))
            if group is None or counts[target.kind] >= MOST_PER_CALL[target.kind]:
                group, counts = [], Counter()
                groups.append(group)
                filling[key] = group, counts
            group.append(message)
            counts[target.kind] += 1
        return groups

    def limits(self, to: str) -> bool:
        """Members are counted; whom a department, a tag or `@all` reaches is not known here."""
        target = _target(to)
        return target is not None and target.kind == "user"

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Send one content to the group's recipients."""
        outcomes: dict[str, Outcome] = {}
        good: list[Outgoing] = []
        for message in group:
            if _target(message.to) is None:
                code = "group_is_for_robots" if message.to == "@group" else "not_a_recipient"
                outcomes[message.message_id] = Rejected(Reason.ADDRESS_INVALID, code)
            else:
                good.append(message)
        if good:
            outcomes.update(self._deliver(good, self._wire.deadline()))
        return [outcomes[message.message_id] for message in group]

    def recall(self, provider_message_id: str) -> Withdrawal:
        """Take a message back from all who got it, within 24 hours; it goes from WeCom's own clients only."""
        if provider_message_id.startswith(_NO_MSGID):
            return Rejected(Reason.RECALL_REFUSED, "no_msgid")
        deadline, body = self._wire.deadline(), {"msgid": provider_message_id}
        try:
            answer = self._authorised(
                lambda token: self._wire.call("POST", "message/recall", {"access_token": token}, deadline, body=body),
                deadline,
            )
        except NotReadyError as error:
            return error.outcome
        if isinstance(answer, Failure):
            return answer.outcome
        if answer.code == OK:
            return Withdrawn()
        if answer.code == NOT_RECALLABLE:
            return Rejected(Reason.RECALL_REFUSED, str(answer.code))
        return outcome_of(answer.code)

    def change_card(self, response_code: str, text: str) -> Change:
        """Have the buttons of a card become a text for all who got it, within 72 hours; each code is good for once."""
        deadline = self._wire.deadline()
        body = {
            "atall": 1,
            "agentid": self._settings.agent_id,
            "response_code": response_code,
            "button": {"replace_name": text},
        }
        path = "message/update_template_card"
        try:
            answer = self._authorised(
                lambda token: self._wire.call("POST", path, {"access_token": token}, deadline, body=body), deadline
            )
        except NotReadyError as error:
            return error.outcome
        if isinstance(answer, Failure):
            return answer.outcome
        return Changed() if answer.code == OK else outcome_of(answer.code)

    def verify(self) -> Verification:
        """Fetch a token with the secret and read the app's description: neither reaches a member."""
        deadline = self._wire.deadline()
        try:
            token = self._fetch_token(deadline).value
        except NotReadyError as error:
            return explain(error.outcome)
        agent = {"agentid": str(self._settings.agent_id)}
        answer = self._wire.call("GET", "agent/get", {"access_token": token, **agent}, deadline)
        if isinstance(answer, Failure):
            return explain(answer.outcome)
        if answer.code != OK:
            return explain(outcome_of(answer.code))
        if answer.data.get("close") == 1:
            return Verification(False, "The app is disabled in WeCom.", "Enable the app in the WeCom admin console.")
        name = str(answer.data.get("name", ""))
        return Verification(True, f"WeCom accepted the secret and our network address for the app “{name}”.")

    def close(self) -> None:
        """Give back the connections."""
        self._wire.close()

    def _deliver(self, messages: list[Outgoing], deadline: Deadline) -> dict[str, Outcome]:
        answer: Answer | Failure
        try:
            answer = self._post(messages, deadline)
        except NotReadyError as error:
            return {message.message_id: error.outcome for message in messages}
        if isinstance(answer, Failure):
            return {message.message_id: answer.outcome for message in messages}
        if answer.code in ONE_OF_MANY_CODES and len(messages) > 1:
            # Refused as a whole for the sake of one: halve it, so that the others are not lost with it.
            half = len(messages) // 2
            return self._deliver(messages[:half], deadline) | self._deliver(messages[half:], deadline)
        if answer.code != OK:
            return _refused(messages, answer)
        return _accepted(messages, answer.data)

    def _post(self, messages: list[Outgoing], deadline: Deadline) -> Answer | Failure:
        """Send, with one fresh media id if WeCom no longer knows the one in hand."""
        content = _content(messages[0])
        if not has_own_media(content):
            return self._post_as(messages, content.body.get("media_id"), deadline)

        def upload(kind: str, name: str, data: bytes) -> Answer | Failure:
            return self._authorised(
                lambda token: self._wire.call(
                    "POST", "media/upload", {"access_token": token, "type": kind}, deadline, file=(name, data)
                ),
                deadline,
            )

        media_id = self._media.of(content, upload)
        answer = self._post_as(messages, media_id, deadline)
        if isinstance(answer, Answer) and answer.code == INVALID_MEDIA_ID:
            answer = self._post_as(messages, self._media.of(content, upload, rejected=media_id), deadline)
        return answer

    def _post_as(self, messages: list[Outgoing], media_id: Any, deadline: Deadline) -> Answer | Failure:
        body = self._request(messages, media_id)
        return self._authorised(
            lambda token: self._wire.call("POST", "message/send", {"access_token": token}, deadline, body=body),
            deadline,
        )

    def _request(self, messages: list[Outgoing], media_id: Any) -> dict[str, Any]:
        """Build the request: the same for the same recipients in any order, as the check for duplicates needs."""
        content, settings = _content(messages[0]), self._settings
        targets = sorted({target for message in messages if (target := _target(message.to)) is not None})
        request: dict[str, Any] = {"touser": "@all"}
        if targets[0].kind != "all":
            request = {
                field: "|".join(target.id for target in targets if target.kind == kind)
                for kind, field in _FIELD_OF.items()
            }
        request |= {
            "msgtype": content.type,
            "agentid": settings.agent_id,
            content.type: _fields(content, media_id) | _task(content, messages),
            "enable_duplicate_check": 1,
            "duplicate_check_interval": settings.duplicate_check_interval,
        }
        if content.type in _CAN_BE_SAFE:
            request["safe"] = settings.safe
        if content.type in _CAN_TRANSLATE_IDS:
            request["enable_id_trans"] = int(settings.enable_id_trans)
        return request

    def _authorised(self, call: Callable[[str], Answer | Failure], deadline: Deadline) -> Answer | Failure:
        """Make a call with the shared token; with a fresh one once more if WeCom refuses it, which sends nothing."""
        token = self._tools.tokens.get(self._token_key, lambda: self._fetch_token(deadline))
        answer = call(token)
        if isinstance(answer, Answer) and answer.code in TOKEN_CODES:
            answer = call(self._tools.tokens.get(self._token_key, lambda: self._fetch_token(deadline), token))
        return answer

    def _fetch_token(self, deadline: Deadline) -> Token:
        started = self._tools.clock.now_ms()
        secret = self._secret.corp_secret.get_secret_value()
        answer = self._wire.call("GET", "gettoken", {"corpid": self._settings.corp_id, "corpsecret": secret}, deadline)
        if isinstance(answer, Failure) or answer.code != OK:
            raise not_ready(answer)
        value, seconds = answer.data.get("access_token"), answer.data.get("expires_in", TOKEN_SECONDS)
        if not isinstance(value, str) or not value or not isinstance(seconds, int):
            raise NotReadyError(Retry(Reason.UNRECOGNISED_ANSWER, "no_access_token"))
        return Token(value, started + seconds * 1000)


def build(settings: Settings, secret: Secret, tools: Tools) -> AppProvider:
    """Make the provider; nothing is opened yet."""
    return AppProvider(settings, secret, tools)


def _content(message: Outgoing) -> RenderedWecom:
    if not isinstance(message.content, RenderedWecom):
        raise TypeError(f"a WeCom app cannot send {type(message.content).__name__}")
    return message.content


def _target(address: str) -> _Target | None:
    """Read a normalised address; None for one that an app cannot reach. Nothing that could join two ids passes."""
    if address == "@all":
        return _Target("all", "@all")
    if found := _SET.match(address):
        return _Target(found[1], found[2])
    return _Target("user", address) if _USER.match(address) else None


def _fields(content: RenderedWecom, media_id: Any) -> Any:
    """Return the part of the request that carries the content."""
    body = content.body
    if content.type == "template_card":
        return body["card"]
    if content.type in {"image", "file"}:
        return {"media_id": media_id}
    if content.type == "news":
        return {"articles": [_given(article, article) for article in body["articles"]]}
    return _given(body, ("content",) if "content" in body else ("title", "description", "url", "btntxt"))


def _is_pressed(content: RenderedWecom) -> bool:
    return content.type == "template_card" and is_pressed(content.body["card"])


def _task(content: RenderedWecom, messages: Sequence[Outgoing]) -> dict[str, str]:
    """The task id of a card that can be pressed; a caller's own stays."""
    if not _is_pressed(content) or content.body["card"].get("task_id"):
        return {}
    targets = [_target(message.to) for message in messages]
    members = all(target is not None and target.kind == "user" for target in targets)
    ids, body = [message.message_id for message in messages], content.body
    # What is rendered of an older version says nothing of it.
    how = {"acknowledges": body.get("acknowledges", True), "taken": bool(body.get("taken"))}
    return {"task_id": task_id_of(ids, members=members, **how)}


def _given(source: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: source[name] for name in names if source.get(name) is not None}


def _refused(messages: list[Outgoing], answer: Answer) -> dict[str, Outcome]:
    """Say why nobody got it. Among recipients of whom none is good, those without a licence are named."""
    unlicensed = str(answer.data.get("unlicenseduser") or "").lower().split("|") if answer.code == NO_GOOD_ONE else []
    outcomes: dict[str, Outcome] = {}
    for message in messages:
        no_licence = message.to.lower() in unlicensed
        outcomes[message.message_id] = (
            Rejected(Reason.RECIPIENT_BLOCKED, "unlicenseduser") if no_licence else outcome_of(answer.code)
        )
    return outcomes


def _accepted(messages: list[Outgoing], data: Mapping[str, Any]) -> dict[str, Outcome]:
    """Tell the recipients that WeCom left out from those it took. It answers with ids in lower case."""
    refused: dict[_Target, Outcome] = {}
    for field, (kind, reason) in _REFUSALS.items():
        value = data.get(field)
        for refused_id in value.split("|") if isinstance(value, str) else ():
            refused[_Target(kind, refused_id.strip().lower())] = Rejected(reason, field)
    sent = Sent(str(data.get("msgid") or f"{_NO_MSGID}{messages[0].message_id}"))
    outcomes: dict[str, Outcome] = {}
    for message in messages:
        target = _target(message.to.lower())
        outcomes[message.message_id] = sent if target is None else refused.get(target, sent)
    return outcomes
