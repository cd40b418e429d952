"""The failover drill: of a template's two accounts one dies for a minute, on the local stack and its clock.

`python -m bench drill` sends 10,000 messages over 400 seconds, in two variants: nobody listens any more, and every
call is answered with a code that says that the account is down.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from boto3.dynamodb.types import TypeDeserializer
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from local.sandbox.faults import Fault
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from local.timeline_items import is_event
from mepush.files.accounts import read_accounts
from shared.model.events import fold
from shared.model.ids import ulid_time
from shared.model.words import OUTCOMES, Stage
from shared.store.kept_events import KeptEvent, read_event

DYING, OTHER = "sms-tencent", "sms-aws"
VARIANTS: Mapping[str, Fault] = {
    "connection refused": Fault("outage_refused", seconds=86_400),
    "account suspended": Fault("code", code="UnauthorizedOperation.SdkAppIdIsDisabled", times=-1),
}
"""What a sandbox plays while its account is dead."""
CONTENT = {"type": "sms", "text": "Hello {{ name }}", "tencent": {"template_id": "1900002", "params": ["{{ name }}"]}}
WINDOW = 5
"""Shares are taken over so many steps."""
HALF = 0.58
"""Which of so many messages goes to which account is left to their ids, so half is not just half."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played. step_s: seconds between two requests of `per_step` recipients. dies_s, back_s: when the account
    dies and is back, ends_s: when the last request is sent, all in seconds from the first one."""

    per_step: int = 25
    step_s: int = 1
    dies_s: int = 60
    back_s: int = 120
    ends_s: int = 400


@dataclass(slots=True)
class Result:
    """What came of it.

    accepted, lost, repeated: messages. ends: how many came to which. shares: of the messages of a step, those whose
    first account was the other one, by second. shifts: (second, factor, reason) of the dying account. failed_over: sent
    through the other account in the same invocation. retried: sent by it after a wait. waited_s: the longest of these.
    """

    accepted: int = 0
    lost: int = 0
    repeated: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    shares: dict[int, float] = field(default_factory=dict)
    shifts: list[tuple[float, float, str]] = field(default_factory=list)
    failed_over: int = 0
    retried: int = 0
    waited_s: float = 0.0

    def away_s(self, scene: Scene, share: float = 0.95) -> float | None:
        """Seconds from the account's death until that share of new messages goes to the other one."""
        found = [second for second, other in self._windows(scene.dies_s) if other >= share]
        return found[0] - scene.dies_s if found else None

    def back_s(self, scene: Scene) -> float | None:
        """Seconds from the account's return until it has all its weight, and about half of new messages, again."""
        after: float = scene.back_s
        if self.shifts:
            after = max(after, self.shifts[-1][0])
            if self.shifts[-1][1] < 1:
                return None
        found = [second for second, other in self._windows(after) if other <= HALF]
        return found[0] - scene.back_s if found else None

    def _windows(self, after: float) -> Iterator[tuple[int, float]]:
        """The share of the other account in every few steps from a time on."""
        steps = sorted(second for second in self.shares if second >= after)
        for at in range(len(steps) - WINDOW + 1):
            yield steps[at], sum(self.shares[second] for second in steps[at : at + WINDOW]) / WINDOW


class Platform:
    """The local stack without threads, with the two accounts and a template that names both."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        headers = {"Authorization": f"Bearer {first_key(stack)}"}
        self._http = httpx.Client(base_url=stack.url, headers=headers, timeout=30)
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            if entry["id"] in (DYING, OTHER):
                self._post("/v1/accounts", {**account_body(entry, stack.sandboxes), "weight": 100})
        body = {"id": "drill", "name": "Drill", "class": "notification", "accounts": [DYING, OTHER], "content": CONTENT}
        self._post("/v1/templates", {**body, "sample": {"name": "n"}})
        self._post("/v1/templates/drill/versions/1/publish", {})
        # The watch sweeps every five minutes; here nothing gets stuck.
        scheduler = stack.client("scheduler")
        for schedule in scheduler.list_schedules()["Schedules"]:
            scheduler.delete_schedule(GroupName=schedule["GroupName"], Name=schedule["Name"])

    def close(self) -> None:
        """Give back the connection."""
        self._http.close()

    def _post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, content=json.dumps(body))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def play(self, scene: Scene, fault: Fault) -> Result:
        """Send step by step while the account dies and comes back, then let everything come to an end."""
        stack, result = self._stack, Result()
        began, numbers = stack.clock.now_ms(), iter(range(10**8))
        second_of: dict[str, int] = {}
        for second in range(0, scene.ends_s, scene.step_s):
            self._sleep_until(began + 1000 * second)
            if second == scene.dies_s:
                stack.sandboxes["tencent"].faults.add(fault)
            if second == scene.back_s:
                stack.sandboxes["tencent"].faults.clear()
            everyone = [{"to": f"+86138{next(numbers):08d}"} for _ in range(scene.per_step)]
            body = {"template": "drill", "recipients": everyone, "variables": {"name": "n"}}
            for message in self._post("/v1/messages", body)["messages"]:
                second_of[message["message_id"]] = second
            stack.drain()
        stack.drain(until_due=True, horizon_s=6 * 3600)
        self._look(result, began, second_of)
        return result

    def _sleep_until(self, when_ms: int) -> None:
        self._stack.clock.advance(max(0, when_ms - self._stack.clock.now_ms()) / 1000)

    def _look(self, result: Result, began: int, second_of: Mapping[str, int]) -> None:
        """See from outside what became of every message, and when weight was shifted."""
        timelines = self._timelines()
        taken = Counter[str]()
        for found in self._stack.outbox.each():
            taken[found.to] += sum(found.times.values())
        result.accepted = len(second_of)
        result.repeated = sum(times > 1 for times in taken.values())
        by_step: dict[int, list[bool]] = {}
        for message_id, second in second_of.items():
            events = timelines.get(message_id, [])
            if sum(e.stage in OUTCOMES for e in events) != 1:
                result.lost += 1
                continue
            result.ends[fold(events).state] += 1
            first, last = (min(events, key=_tried), max(events, key=lambda e: int(e.at)))
            by_step.setdefault(second, []).append(first.account == OTHER)
            result.failed_over += bool(first.passed_over)
            if first.stage == Stage.RETRYING:
                result.retried += 1
                result.waited_s = max(result.waited_s, (last.at - ulid_time(message_id)) / 1000)
        result.lost += max(0, result.ends[Stage.SENT] - len(taken))
        result.shares = {second: sum(found) / len(found) for second, found in by_step.items()}
        result.shifts = list(self._shifts(began))

    def _timelines(self) -> dict[str, list[KeptEvent]]:
        """The events of each message."""
        found: dict[str, list[KeptEvent]] = {}
        for item in self._items("TimelineTable"):
            if is_event(item["pk"]):
                message_id = item["sk"].partition("#")[0]
                found.setdefault(message_id, []).append(read_event(item["d"]))
        return found

    def _shifts(self, began: int) -> Iterator[tuple[float, float, str]]:
        answer = self._http.get("/v1/audit", params={"action": "shift_weight", "target": f"account/{DYING}"})
        answer.raise_for_status()
        for record in reversed(answer.json()["records"]):
            second = (ulid_time(record["id"]) - began) / 1000
            yield second, record["after"]["factor"], record["after"]["reason"]

    def _items(self, table: str) -> Iterator[dict[str, Any]]:
        pages = self._stack.client("dynamodb").get_paginator("scan").paginate(TableName=self._stack.outputs[table])
        read = TypeDeserializer().deserialize
        return ({k: read(v) for k, v in item.items()} for page in pages for item in page["Items"])


def _tried(event: KeptEvent) -> tuple[bool, int]:
    """Sorts the first event of a try to the front."""
    return event.account is None, event.at


@contextmanager
def drilled(scene: Scene, variant: str) -> Iterator[Result]:
    """What came of one variant on a stack of its own."""
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        platform = Platform(stack)
        try:
            yield platform.play(scene, VARIANTS[variant])
        finally:
            platform.close()


def show(variant: str, scene: Scene, result: Result) -> None:
    """Print what came of it."""
    print(f"\n{variant}: {result.accepted:,} messages in {scene.ends_s} s; the account is dead from {scene.dies_s} s"
          f" to {scene.back_s} s")  # fmt: skip
    ends = ", ".join(f"{n:,} {end}" for end, n in sorted(result.ends.items()))
    print(f"lost {result.lost}, taken twice {result.repeated}; ends: {ends}")
    print(f"sent through the other account in the same invocation {result.failed_over:,}; after a wait"
          f" {result.retried:,}, the last one after {result.waited_s:.1f} s")  # fmt: skip
    print(f"95% of new messages go to the other account after {result.away_s(scene)} s; the account has its full share"
          f" {result.back_s(scene)} s after its return")  # fmt: skip
    table = Table("second", "weight", "why")
    for second, factor, reason in result.shifts:
        table.add_row(f"{second:.0f}", f"{factor:.0%}", reason)
    Console(width=150).print(table)


def run() -> list[Figure]:
    """failover_*: lost and repeated messages, and how fast weight goes away and comes back."""
    figures, scene = [], Scene()
    for variant in VARIANTS:
        with drilled(scene, variant) as result:
            show(variant, scene, result)
        name = variant.replace(" ", "_")
        figures += [
            Figure(f"failover_{name}_lost", result.lost, "messages", most=0),
            Figure(f"failover_{name}_repeated", result.repeated, "messages", most=0),
            Figure(f"failover_{name}_away", result.away_s(scene) or 0, "seconds", most=60),
            Figure(f"failover_{name}_back", result.back_s(scene) or 0, "seconds", most=240),
        ]
    return figures
