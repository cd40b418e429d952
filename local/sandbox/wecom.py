"""A WeCom of our own on loopback: app messages and group robots, with the vendor's rules and codes.

Every answer is HTTP 200 with an `errcode`, as WeCom's are. Faults play for the calls that send, or for the call that
they name (`at="gettoken"`). The codes `invaliduser` and `unlicenseduser` leave a member out of an app message that the
others get. The codes 42001 and 40014 end the tokens indeed.
"""

import hashlib
import json
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response
from local.sandbox.wecom_rules import (
    app_problem,
    cut_text,
    read_recipients,
    read_upload,
    robot_problem,
    shown,
    upload_problem,
)
from shared.model.clock import Clock

CORP_ID = "ww5a0d90x00000001"
AGENT_ID = 1000002
CORP_SECRET = "sandbox-corp-secret-for-agent-1000002"
ROBOT_KEY = "5a0d90c0-0000-4000-8000-000000000001"

_DAY_MS = 24 * 3_600_000
LEFT_OUT = frozenset({"invaliduser", "unlicenseduser"})
APP_STEPS = (
    "gettoken",
    "message/send",
    "user",
    "media/upload",
    "agent/get",
    "message/recall",
    "message/update_template_card",
)
ROBOT_STEPS = ("webhook/send", "webhook/upload_media")

Json = dict[str, Any]


class WecomError(Exception):
    """An answer with an error code."""

    def __init__(self, code: int, **more: Any) -> None:
        super().__init__(str(code))
        self.code = code
        self.more = more


@dataclass(frozen=True, slots=True)
class _Token:
    agent_id: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Media:
    """An uploaded file. owner: the corporation, or the robot's key that alone may use it."""

    kind: str
    filename: str
    data: bytes
    owner: str
    expires_at: int


class WecomSandbox(HttpSandbox):
    """WeCom's interface for one corporation.

    apps: agent id -> secret. unknown_*: recipients that do not exist; unlicensed_users: those without a licence.
    robot_limit: posts per minute and robot, None for no limit. Change `trusted`, `disabled_agents`, `robot_keys` and
    the sets of recipients at any time.
    """

    provider = "wecom"
    steps = (*APP_STEPS, *ROBOT_STEPS)
    sends = frozenset({"message/send", "webhook/send"})
    broken = b'{"errcode": 0, "errmsg": '
    mixture: ClassVar = (
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("status", status=502),
        Fault("throttle"),
        Fault("bad_json"),
        Fault("bad_json", accepted=True),
        Fault("code", code="-1"),
        Fault("code", code="42001"),
    )

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        corp_id: str = CORP_ID,
        apps: Mapping[int, str] | None = None,
        robot_keys: Iterable[str] = (ROBOT_KEY,),
        unknown_users: Iterable[str] = (),
        unlicensed_users: Iterable[str] = (),
        unknown_parties: Iterable[str] = (),
        unknown_tags: Iterable[str] = (),
        token_seconds: int = 7200,
        robot_limit: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox, clock)
        self.corp_id = corp_id
        self.apps = dict(apps) if apps is not None else {AGENT_ID: CORP_SECRET}
        self.robot_keys = set(robot_keys)
        self.unknown_users = {user.lower() for user in unknown_users}
        self.unlicensed_users = {user.lower() for user in unlicensed_users}
        self.unknown_parties = set(unknown_parties)
        self.unknown_tags = set(unknown_tags)
        self.disabled_agents: set[int] = set()
        self.trusted = True
        self.robot_limit = robot_limit
        self.calls: Counter[str] = Counter()
        self.recalled: set[str] = set()
        self._token_ms = token_seconds * 1000
        self._lock = threading.RLock()
        self._tokens: dict[str, _Token] = {}
        self._media: dict[str, Media] = {}
        self._sent: dict[str, tuple[int, int]] = {}
        self._seen: dict[bytes, tuple[int, str]] = {}
        self._cards: dict[str, tuple[int, str, int]] = {}
        self._tasks: dict[tuple[int, str], str] = {}
        self._posts: dict[str, deque[int]] = {}
        self._count = 0
        self._routes: dict[str, Callable[[Request], Json]] = {
            "gettoken": self._gettoken,
            "agent/get": self._agent_get,
            "message/send": self._message_send,
            "message/recall": self._message_recall,
            "message/update_template_card": self._update_card,
            "media/upload": self._media_upload,
            "webhook/send": self._webhook_send,
            "webhook/upload_media": self._webhook_upload,
        }

    def expire_tokens(self) -> None:
        """Let all tokens reach the end of their time."""
        with self._lock:
            self._tokens = {value: _Token(token.agent_id, 0) for value, token in self._tokens.items()}

    def revoke_tokens(self) -> None:
        """Forget all tokens before their time."""
        with self._lock:
            self._tokens.clear()

    def response_code(self, task_id: str, agent_id: int = AGENT_ID) -> str:
        """By which a card may be changed that somebody presses now: once, and within 72 hours."""
        with self._lock:
            return self._next_code(agent_id, self._tasks[agent_id, task_id])

    def forget_media(self) -> None:
        """Let all uploaded files reach the end of their time."""
        with self._lock:
            self._media.clear()

    def handle(self, request: Request) -> Response:
        """Answer one call."""
        name = request.path.removeprefix("/cgi-bin/")
        route = self._routes.get(name)
        if route is None:
            return Response(404, b"not found")
        with self._lock:
            self.calls[name] += 1
        # Whom an app message is for is known only when it is read.
        to = read_recipients(request.body) if name == "message/send" else ["@group"]
        return self.play(self.faults.take(*to, at=name), lambda: self._answered(route, request))

    def plays_at(self, fault: Fault, at: str) -> bool:
        if fault.kind == "code" and fault.code in LEFT_OUT:
            return at == "user"
        return super().plays_at(fault, at)

    def throttled(self, fault: Fault) -> Response:
        return Response.of(_error(45009))

    def refused(self, fault: Fault) -> Response:
        if fault.code == "42001":
            self.expire_tokens()
        if fault.code == "40014":
            self.revoke_tokens()
        return Response.of(_error(int(fault.code)))

    def _answered(self, route: Callable[[Request], Json], request: Request) -> Response:
        return Response.of(self._answer(route, request), content_type="application/json; charset=UTF-8")

    def _answer(self, route: Callable[[Request], Json], request: Request) -> Json:
        with self._lock:
            try:
                return {"errcode": 0, "errmsg": "ok", **route(request)}
            except WecomError as error:
                return _error(error.code) | error.more

    # apps

    def _gettoken(self, request: Request) -> Json:
        for name, code in (("corpid", 41002), ("corpsecret", 41004)):
            if not request.query.get(name):
                raise WecomError(code)
        if request.query["corpid"] != self.corp_id:
            raise WecomError(40013)
        agent_id = next((agent for agent, known in self.apps.items() if known == request.query["corpsecret"]), None)
        if agent_id is None:
            raise WecomError(40001)
        now = self.clock.now_ms()
        # While a token lasts, asking again gives the same one.
        for value, token in self._tokens.items():
            if token.agent_id == agent_id and token.expires_at > now:
                return {"access_token": value, "expires_in": (token.expires_at - now) // 1000}
        value = secrets.token_urlsafe(160)
        self._tokens[value] = _Token(agent_id, now + self._token_ms)
        return {"access_token": value, "expires_in": self._token_ms // 1000}

    def _authorise(self, request: Request) -> int:
        """Return the agent id of the request's token."""
        value = request.query.get("access_token")
        if not value:
            raise WecomError(41001)
        token = self._tokens.get(value)
        if token is None:
            raise WecomError(40014)
        if token.expires_at <= self.clock.now_ms():
            raise WecomError(42001)
        if not self.trusted:
            raise WecomError(60020)
        return token.agent_id

    def _agent_get(self, request: Request) -> Json:
        agent_id = self._authorise(request)
        if request.query.get("agentid") != str(agent_id):
            raise WecomError(301002)
        closed = int(agent_id in self.disabled_agents)
        return {"agentid": agent_id, "name": f"Sandbox app {agent_id}", "close": closed}

    def _message_send(self, request: Request) -> Json:
        agent_id = self._authorise(request)
        body = _json(request.body)
        if isinstance(body.get("agentid"), bool) or not isinstance(body.get("agentid"), int):
            raise WecomError(40056)
        if body["agentid"] != agent_id:
            raise WecomError(301002)
        if agent_id in self.disabled_agents:
            raise WecomError(50003)
        kind, part = _part(body)
        if problem := app_problem(kind, part):
            raise WecomError(problem)
        media = self._media_of(part, kind, self.corp_id)
        good, bad = self._recipients(body)
        if not good:
            raise WecomError(81013, **bad)
        repeated = self._repeated(agent_id, body)
        if repeated is not None:
            return {"msgid": repeated, **bad}
        msgid = self._accept(agent_id, body, good, shown(kind, cut_text(kind, part), media))
        if kind == "template_card" and part.get("task_id"):
            self._tasks[agent_id, str(part["task_id"])] = msgid
            return {"msgid": msgid, "response_code": self._next_code(agent_id, msgid), **bad}
        return {"msgid": msgid, **bad}

    def _accept(self, agent_id: int, body: Json, recipients: list[str], data: Json) -> str:
        msgid = self._next_id("msg")
        self._sent[msgid] = agent_id, self.clock.now_ms()
        if body.get("enable_duplicate_check") == 1:
            self._seen[_digest(agent_id, body)] = self.clock.now_ms(), msgid
        for to in recipients:
            self.outbox.put(Delivery("app", to, msgid, data))
        return msgid

    def _recipients(self, body: Json) -> tuple[list[str], dict[str, str]]:
        """Return who gets the message, in our notation, and the fields that name those who do not."""
        lists: dict[str, list[str]] = {}
        for name, most, code in (("touser", 1000, 40032), ("toparty", 100, 82002), ("totag", 100, 82003)):
            value = body.get(name, "")
            if not isinstance(value, str):
                raise WecomError(40035)
            lists[name] = [entry for entry in value.split("|") if entry]
            if len(lists[name]) > most:
                raise WecomError(code)
        if lists["touser"] == ["@all"]:
            return ["@all"], {}
        if not any(lists.values()):
            raise WecomError(40063)
        good, bad = self._users(lists["touser"])
        for field, kind, ids, unknown in (
            ("invalidparty", "party", lists["toparty"], self.unknown_parties),
            ("invalidtag", "tag", lists["totag"], self.unknown_tags),
        ):
            good += [f"{kind}:{entry}" for entry in ids if entry not in unknown]
            bad[field] = "|".join(entry for entry in ids if entry in unknown)
        return good, {field: ids for field, ids in bad.items() if ids}

    def _users(self, users: list[str]) -> tuple[list[str], dict[str, str]]:
        good: list[str] = []
        bad: dict[str, list[str]] = {"invaliduser": [], "unlicenseduser": []}
        for user in users:
            fault = self.faults.take(user, at="user", part=True)
            if user.lower() in self.unlicensed_users or (fault and fault.code == "unlicenseduser"):
                bad["unlicenseduser"].append(user.lower())
            elif user.lower() in self.unknown_users or fault:
                bad["invaliduser"].append(user.lower())
            else:
                good.append(user)
        return good, {field: "|".join(ids) for field, ids in bad.items()}

    def _repeated(self, agent_id: int, body: Json) -> str | None:
        """Return the id of an identical message that the check for duplicates still remembers."""
        if body.get("enable_duplicate_check") != 1:
            return None
        at, msgid = self._seen.get(_digest(agent_id, body), (0, ""))
        interval = min(int(body.get("duplicate_check_interval", 1800)), 14400)
        return msgid if msgid and self.clock.now_ms() - at < interval * 1000 else None

    def _message_recall(self, request: Request) -> Json:
        agent_id = self._authorise(request)
        msgid = _json(request.body).get("msgid")
        by, at = self._sent.get(str(msgid), (0, 0))
        if by != agent_id or self.clock.now_ms() - at > _DAY_MS:
            raise WecomError(40058)
        self.recalled.add(str(msgid))
        self.outbox.withdraw("app", str(msgid))
        return {}

    def _next_code(self, agent_id: int, msgid: str) -> str:
        code = self._next_id("code")
        self._cards[code] = agent_id, msgid, self.clock.now_ms()
        return code

    def _update_card(self, request: Request) -> Json:
        """A code is good for one call. WeCom's pages do not say which error follows another; this one is general."""
        agent_id = self._authorise(request)
        body = _json(request.body)
        by, msgid, at = self._cards.pop(str(body.get("response_code")), (0, "", 0))
        button = body.get("button")
        if by != agent_id or body.get("agentid") != agent_id or self.clock.now_ms() - at > 3 * _DAY_MS:
            raise WecomError(40058)
        if body.get("atall") != 1 or not isinstance(button, dict) or not button.get("replace_name"):
            raise WecomError(40058)
        self.outbox.change("app", msgid, buttons_became=button["replace_name"])
        return {}

    def _media_upload(self, request: Request) -> Json:
        self._authorise(request)
        return self._keep_media(request, self.corp_id, ("image", "voice", "video", "file"))

    # robots

    def _robot(self, request: Request) -> str:
        key = request.query.get("key", "")
        if key not in self.robot_keys:
            raise WecomError(93000)
        return key

    def _webhook_send(self, request: Request) -> Json:
        key = self._robot(request)
        self._count_post(key)
        body = _json(request.body)
        kind, part = _part(body)
        if problem := robot_problem(kind, part):
            raise WecomError(problem)
        media = self._media_of(part, kind, key) if kind != "image" else None
        self.outbox.put(Delivery("robot", "@group", self._next_id("post"), shown(kind, part, media)))
        return {}

    def _count_post(self, key: str) -> None:
        if self.robot_limit is None:
            return
        now = self.clock.now_ms()
        posts = self._posts.setdefault(key, deque())
        while posts and now - posts[0] >= 60_000:
            posts.popleft()
        posts.append(now)
        if len(posts) > self.robot_limit:
            raise WecomError(45009)

    def _webhook_upload(self, request: Request) -> Json:
        # The file is looked at before the key.
        kind, _, data = read_upload(request)
        if problem := upload_problem(kind, data, ("file", "voice")):
            raise WecomError(problem)
        return self._keep_media(request, self._robot(request), ("file", "voice"))

    # both

    def _keep_media(self, request: Request, owner: str, kinds: tuple[str, ...]) -> Json:
        kind, filename, data = read_upload(request)
        if problem := upload_problem(kind, data, kinds):
            raise WecomError(problem)
        now = self.clock.now_ms()
        media_id = self._next_id("media")
        self._media[media_id] = Media(kind, filename, data, owner, now + 3 * _DAY_MS)
        return {"type": kind, "media_id": media_id, "created_at": str(now // 1000)}

    def _media_of(self, part: Json, kind: str, owner: str) -> tuple[str, int] | None:
        """Return the name and size of the file that a message names."""
        if kind not in {"image", "file", "voice", "video"}:
            return None
        media = self._media.get(part["media_id"])
        if media is None or media.kind != kind or media.owner != owner or media.expires_at <= self.clock.now_ms():
            raise WecomError(40007)
        return media.filename, len(media.data)

    def _next_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{secrets.token_hex(6)}-{self._count}"


def _error(code: int) -> Json:
    return {"errcode": code, "errmsg": f"sandbox says {code}, more info at the error code page"}


def _json(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        raise WecomError(40035) from None
    if not isinstance(value, dict):
        raise WecomError(40035)
    return value


def _part(body: Json) -> tuple[str, Json]:
    """Return the message type and the object of that name, which may turn out not to be one."""
    kind = body.get("msgtype")
    return (kind, body.get(kind, {})) if isinstance(kind, str) else ("", {})


def _digest(agent_id: int, body: Json) -> bytes:
    return hashlib.blake2b(f"{agent_id}:{json.dumps(body, sort_keys=True)}".encode(), digest_size=16).digest()
