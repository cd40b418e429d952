"""The six providers with their sandboxes, which can be told to misbehave as by the local stack's API."""

import itertools
import json
from contextlib import ExitStack, closing
from typing import Any

from local.clock import RealClock
from local.faults import PROVIDER_FAULTS, FaultControl
from local.gateway import Incoming
from local.sandbox.aws_sms import AwsSmsSandbox
from local.sandbox.base import Outbox, Sandbox
from local.sandbox.ses import SesSandbox
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tencent import TencentSandbox
from local.sandbox.wecom import WecomSandbox
from shared.model.content import RenderedEmail, RenderedSms
from shared.model.outcome import Outcome, Retry, Sent
from shared.net.network import Network
from shared.providers.base import Outgoing, Provider, Tools
from shared.providers.registry import build_provider
from shared.providers.wecom.wire import Timeouts
from shared.store.tokens import MemoryTokenCache
from tests.contract.wecom.kit import make_app, make_robot, wecom
from tests.fakes import FakeClock

KEYS = {"AKIDfaults": "faults-secret-key"}
TO = {
    "smtp": "zhang.san@example.com",
    "ses": "zhang.san@example.com",
    "tencent": "+8613812345678",
    "aws": "+14254147755",
    "app": "zhangsan",
    "robot": "@group",
}


class FaultySandboxes:
    """The six providers' sandboxes with one outbox, and what takes faults for them."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = FakeClock()
        self.outbox = Outbox()
        wecom_sandbox = WecomSandbox(self.outbox, clock=self.clock)
        self.sandboxes: dict[str, Any] = {
            "smtp": SmtpSandbox(self.outbox, clock=self.clock),
            "ses": SesSandbox(self.outbox, clock=self.clock),
            "tencent": TencentSandbox(self.outbox, keys=KEYS, clock=self.clock, signature_clock=RealClock()),
            "aws": AwsSmsSandbox(self.outbox, clock=self.clock),
            "wecom": wecom_sandbox,
        }
        for sandbox in self.sandboxes.values():
            stack.enter_context(sandbox)
        self.control = FaultControl(self.sandboxes)
        self._stack = stack
        self._serial = itertools.count(1)
        self._tokens = MemoryTokenCache(self.clock)
        self._made: dict[tuple[str, bool], Provider] = {}

    def provider(self, name: str, hasty: bool = False) -> Provider:
        """An account of the provider, without connections and tokens; a hasty one waits 0.3 s for an answer."""
        if (name, hasty) not in self._made or name == "app":
            self._made[name, hasty] = self._stack.enter_context(closing(self._make(name, hasty)))
        self._made[name, hasty].close()
        return self._made[name, hasty]

    def new_provider(self, name: str) -> Provider:
        """An account of the provider that remembers nothing of earlier answers."""
        return self._stack.enter_context(closing(self._make(name, hasty=False)))

    def _make(self, name: str, hasty: bool) -> Provider:
        seconds = 0.3 if hasty else 10.0
        port = self.sandboxes["smtp"].port
        url = "" if name == "smtp" else self.sandboxes[PROVIDER_FAULTS[name].sandbox].url
        sender = {"from_address": "notice@example.com"}
        if name in {"app", "robot"}:
            timeouts = Timeouts(read=seconds, total=20)
            return (make_app if name == "app" else make_robot)(url, self.clock, timeouts=timeouts)
        settings: dict[str, dict[str, Any]] = {
            "smtp": {"host": "127.0.0.1", "port": port, "security": "none", "timeout_s": seconds, **sender},
            "ses": {"endpoint": url, "region": "eu-west-1", "read_timeout_s": seconds, **sender},
            "tencent": {"endpoint": url, "sdk_app_id": "1400006666", "sign_name": "微推", "timeout": seconds},
            "aws": {"endpoint": url, "region": "eu-west-1", "origination_identity": "MEPUSH", "timeout": seconds},
        }
        ((secret_id, secret_key),) = KEYS.items()
        secret = {"secret_id": secret_id, "secret_key": secret_key} if name == "tencent" else {}
        return build_provider(
            {"provider": name, **settings[name]},
            secret,
            Tools(self.clock, self._tokens, f"acme/{name}", Network(loopback=True)),
        )

    def message(self, name: str, to: str | None = None) -> Outgoing:
        """A message with an id and a content of its own."""
        n = next(self._serial)
        content: Any = RenderedSms(f"Message {n}", "1234", (str(n),))
        if name in {"smtp", "ses"}:
            content = RenderedEmail(f"Message {n}", None, "Good day")
        elif name in {"app", "robot"}:
            content = wecom("text", content=f"Message {n}", mentioned_list=[], mentioned_mobile_list=[])
        return Outgoing(f"01K000000000000000000{n:05d}abcdefghijklmnop", to or TO[name], content)

    def sandbox(self, name: str) -> Sandbox:
        """The sandbox of a provider."""
        found: Sandbox = self.sandboxes[PROVIDER_FAULTS[name].sandbox]
        return found

    def ask(self, method: str, body: Any = None, query: str = "") -> tuple[int, Any]:
        """Ask the fault control as the API does; the status and the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = self.control(Incoming(method, "/_local/faults", query, [], data, "127.0.0.1"))
        return status, json.loads(answer) if answer else None


def said(outcome: Outcome | None) -> str:
    """An outcome as the table writes it."""
    if outcome is None:
        return "None"
    if isinstance(outcome, Sent):
        return "Sent"
    words = f"{type(outcome).__name__} {outcome.reason} {outcome.raw_code}"
    return words + (f" after {outcome.after:g}" if isinstance(outcome, Retry) and outcome.after else "")
