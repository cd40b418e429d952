"""What the WeCom contract tests share: contents, messages, and providers that point at a sandbox."""

import hashlib
import json
import logging
from typing import Any

from local.sandbox.base import HttpSandbox, Outbox, Request, Response
from local.sandbox.wecom import AGENT_ID, CORP_ID, CORP_SECRET, ROBOT_KEY
from shared.model.clock import Clock
from shared.model.content import RenderedWecom
from shared.net.network import Network
from shared.providers.base import Outgoing, Tools
from shared.providers.wecom.app import provider as app
from shared.providers.wecom.robot import provider as robot
from shared.providers.wecom.wire import Timeouts
from shared.store.tokens import MemoryTokenCache

PNG = b"\x89PNG\r\n\x1a\n\x00\r\n--raw bytes\r\n"
URL = "https://example.com/a"
PATIENT = Timeouts(connect=5, write=5, read=10, total=20)
HASTY = Timeouts(connect=5, write=5, read=0.15, total=20)


def wecom(kind: str, **body: Any) -> RenderedWecom:
    """Rendered content whose key follows from its body, as the renderer's does."""
    return RenderedWecom(kind, body, hashlib.sha256(repr((kind, body)).encode()).hexdigest())


TEXT = wecom("text", content="你好", mentioned_list=[], mentioned_mobile_list=[])


def messages(*recipients: str, content: RenderedWecom = TEXT) -> list[Outgoing]:
    """One message to each recipient; their ids are `m0`, `m1`, ..."""
    return [Outgoing(f"m{n}", to, content) for n, to in enumerate(recipients)]


def make_app(
    endpoint: str,
    clock: Clock,
    *,
    secret: str = CORP_SECRET,
    timeouts: Timeouts = PATIENT,
    tokens: MemoryTokenCache | None = None,
    **settings: Any,
) -> app.AppProvider:
    """An app account with the sandbox's credentials."""
    values = {"provider": "app", "corp_id": CORP_ID, "agent_id": AGENT_ID, "endpoint": endpoint} | settings
    tools = Tools(clock, tokens or MemoryTokenCache(clock), "acme/app-1", Network(loopback=True))
    return app.AppProvider(
        app.Settings.model_validate(values), app.Secret.model_validate({"corp_secret": secret}), tools, timeouts
    )


def make_robot(
    endpoint: str, clock: Clock, *, key: str = ROBOT_KEY, timeouts: Timeouts = PATIENT, **settings: Any
) -> robot.RobotProvider:
    """A robot account with the sandbox's key."""
    values = {"provider": "robot", "endpoint": endpoint} | settings
    tools = Tools(clock, MemoryTokenCache(clock), "acme/robot-1", Network(loopback=True))
    return robot.RobotProvider(
        robot.Settings.model_validate(values), robot.Secret.model_validate({"key": key}), tools, timeouts
    )


class Scripted(HttpSandbox):
    """A server that gives the same answer to everything, and remembers what it was asked."""

    provider = "scripted"

    def __init__(self, response: Response) -> None:
        super().__init__(Outbox())
        self.response = response
        self.requests: list[Request] = []

    def handle(self, request: Request) -> Response:
        """Remember and answer."""
        self.requests.append(request)
        return self.response


def everything_logged(records: list[logging.LogRecord]) -> str:
    """All that a formatter could print of log records."""
    return json.dumps([{**vars(record), "text": record.getMessage()} for record in records], default=str)
