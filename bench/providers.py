"""Processor time per message of the providers that are called by HTTP, against a bare request on a kept connection.

One message a call, on one thread; the vendors' sandboxes run in other processes.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from unittest.mock import patch

import urllib3

from bench.email import program
from bench.figures import Figure, cpu_medians
from bench.sandboxes import KEYS
from bench.ses import KEYS as AWS_KEYS
from local.sandbox.wecom import AGENT_ID, CORP_ID, CORP_SECRET, ROBOT_KEY
from shared.model.clock import SystemClock
from shared.model.content import RenderedSms, RenderedWecom
from shared.model.outcome import Sent
from shared.net.network import Network
from shared.providers.base import Outgoing, Provider, Tools
from shared.providers.registry import build_provider
from shared.store.tokens import MemoryTokenCache

CALLS = 100
ROUNDS = 5
_TO = {"tencent": "+861381234{:04d}", "aws": "+1425414{:04d}", "app": "user{}", "robot": "@group"}
_BODY = b'{"to": "' + b"x" * 400 + b'"}'


def _provider(name: str, url: str) -> Provider:
    settings: Mapping[str, Mapping[str, object]] = {
        "tencent": {"endpoint": url, "sdk_app_id": "1400006666", "sign_name": "微推"},
        "aws": {"endpoint": url, "region": "eu-west-1", "origination_identity": "MEPUSH"},
        "app": {"endpoint": url, "corp_id": CORP_ID, "agent_id": AGENT_ID},
        "robot": {"endpoint": url},
    }
    ((secret_id, secret_key),) = KEYS.items()
    secrets: Mapping[str, dict[str, str]] = {
        "tencent": {"secret_id": secret_id, "secret_key": secret_key},
        "app": {"corp_secret": CORP_SECRET},
        "robot": {"key": ROBOT_KEY},
    }
    clock = SystemClock()
    tools = Tools(clock, MemoryTokenCache(clock), f"default/{name}", Network(loopback=True))
    return build_provider({"provider": name, **settings[name]}, secrets.get(name, {}), tools)


def _messages(name: str, turn: int) -> list[Outgoing]:
    """Of which each has words of its own, so that none goes with another."""
    made = []
    for number in range(CALLS):
        text = f"Your code is {turn}{number:04d}."
        body = {"content": text, "mentioned_list": [], "mentioned_mobile_list": []}
        content = RenderedWecom("text", body, text) if name in ("app", "robot") else RenderedSms(text, "1234", (text,))
        made.append(
            Outgoing(f"01K0000000000000{turn:04d}{number:05d}abcdefghijklmn", _TO[name].format(number), content)
        )
    return made


def _sending(name: str, provider: Provider) -> Callable[[], int]:
    turns = iter(range(1, 1000))

    def send() -> int:
        groups = provider.group(_messages(name, next(turns)))
        outcomes = [outcome for group in groups for outcome in provider.send(group)]
        if len(groups) != CALLS or not all(isinstance(outcome, Sent) for outcome in outcomes):
            raise RuntimeError(f"{name} did not take each message by a call of its own")
        return CALLS

    return send


def run() -> list[Figure]:
    """provider_cpu_tencent, provider_cpu_aws, provider_cpu_app and provider_cpu_robot."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, AWS_KEYS))
        ports = {
            vendor: stack.enter_context(program("bench.sandboxes", vendor)) for vendor in ("tencent", "aws", "wecom")
        }
        runs = []
        for name in _TO:
            url = f"http://127.0.0.1:{ports['wecom' if name in ('app', 'robot') else name]}"
            runs.append(_sending(name, stack.enter_context(closing(_provider(name, url)))))
        pool, there = urllib3.PoolManager(), f"http://127.0.0.1:{ports['wecom']}/nothing"

        def bare() -> int:
            for _ in range(CALLS):
                pool.request("POST", there, body=_BODY, headers={"Content-Type": "application/json"})
            return CALLS

        *found, base = cpu_medians([*runs, bare], ROUNDS)
    unit = "µs CPU per message"
    return [
        Figure(f"provider_cpu_{name}", value, unit, "urllib3, a request", base)
        for name, value in zip(_TO, found, strict=True)
    ]
