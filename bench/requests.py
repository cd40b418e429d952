"""AWS requests from acceptance to trace, counted at botocore, and what the event source mappings poll and delete; with
the DynamoDB write units, and the price of the ledger in both."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.sample import CONTENT, NoLedger
from bench.units import WriteUnits
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts
from shared.store.ledger import Ledger

SMS = {"type": "sms", "text": "Sale at {{ shop }}", "tencent": {"template_id": "1900002", "params": ["{{ shop }}"]}}
CODE = {"type": "sms", "text": "{{ code }}", "tencent": {"template_id": "1900001", "params": ["{{ code }}"]}}
TEMPLATES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "emails": ("marketing", "mail-smtp", CONTENT.model_dump(), {"name": "n", "order": "o", "days": 1}),
    "sms": ("marketing", "sms-tencent", SMS, {"shop": "s"}),
    "codes": ("verification", "sms-tencent", CODE, {"code": "123456"}),
}
"""Name -> class, account of the examples, content, and the variables of every recipient."""
RUNS = {"1,000 emails": ("emails", 1000, 1), "1,000 SMS": ("sms", 1000, 1), "100 codes": ("codes", 1, 100),
        "a lone code": ("codes", 1, 1)}  # fmt: skip
"""What is measured: the template, recipients of a request, and requests."""

OTHERS = ("lambda.", "sesv2.")
"""How the names of requests begin that are none of ours to a service, or the provider's own."""


@dataclass(frozen=True, slots=True)
class Cost:
    """requests: to AWS. units: DynamoDB write units. by_name: the requests of each kind."""

    requests: int
    units: int
    by_name: dict[str, int]


class Platform:
    """The local stack without threads, the examples' accounts and a published template for each run."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._first = 0
        key = first_key(stack)
        self._units = WriteUnits(stack.client("dynamodb"))
        stack.counting.observe(self._units)
        self._http = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            self._post("/v1/accounts", account_body(entry, stack.sandboxes))
        for name, (message_class, account, content, sample) in TEMPLATES.items():
            body = {"id": name, "name": name, "class": message_class, "accounts": [account], "content": content}
            self._post("/v1/templates", {**body, "sample": sample})
            self._post(f"/v1/templates/{name}/versions/1/publish", {})

    def _post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, content=json.dumps(body))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def send_emails_by(self, account: str) -> None:
        """Have the emails go through an account of the examples."""
        self._change("/v1/templates/emails", {"accounts": [account]})
        self._stack.clock.advance(11)

    def _change(self, path: str, body: Any) -> None:
        self._http.patch(path, content=json.dumps(body)).raise_for_status()

    def set_policies(self, *, per_recipient: bool) -> None:
        """Have a suppression list, quiet hours, a rate, and two accounts to choose from; per_recipient: caps and
        duplicates, too. None of them stops or delays what is counted."""
        for i in range(500):
            entry = {"channel": "email", "address": f"gone{i}@example.com", "scope": "all", "reason": "manual"}
            if i == 0 or not per_recipient:
                self._post("/v1/suppressions", entry)
        now = datetime.fromtimestamp(self._stack.clock.now(), ZoneInfo("Asia/Shanghai"))
        window = {"start": f"{(now.hour + 6) % 24:02}:00", "end": f"{(now.hour + 7) % 24:02}:00"}
        policies: dict[str, Any] = {"quiet_hours": {"windows": [window]}}
        if per_recipient:
            policies |= {"duplicate_seconds": 300, "cap": {"count": 20}}
        self._change("/v1/settings", {"policies": {"marketing": policies}})
        for account in ("mail-smtp", "mail-ses"):
            self._change(f"/v1/accounts/{account}", {"rate": {"per_second": 1000, "burst": 1000}})
        self._change("/v1/templates/emails", {"accounts": ["mail-smtp", "mail-ses"]})
        self._stack.clock.advance(11)

    def count(self, template: str, recipients: int, times: int = 1) -> Cost:
        """The cost of sending until all is traced, when the functions remember what they have just read."""
        self._send(template, 1)
        self._stack.drain()
        self._stack.counting.clear()
        self._units.total.clear()
        for _ in range(times):
            self._send(template, recipients)
        self._stack.drain()
        # A message costs its provider's price besides, whether that is AWS or not.
        counts = {name: n for name, n in self._stack.counting.snapshot().items() if not name.startswith(OTHERS)}
        return Cost(sum(counts.values()), sum(self._units.total.values()), counts)

    def _send(self, template: str, recipients: int) -> None:
        address = "u{}@example.com" if template == "emails" else "+86138{:08d}"
        # Each request has its own recipients: a number gets but five codes in ten minutes.
        everyone = [{"to": address.format(self._first + i)} for i in range(recipients)]
        self._first += recipients
        body = {"template": template, "recipients": everyone, "variables": TEMPLATES[template][3]}
        if self._post("/v1/messages", body)["accepted"] != recipients:
            raise RuntimeError("not everything was accepted")


@contextmanager
def without_ledger() -> Iterator[None]:
    """Have dispatchers guard nothing."""
    nothing = NoLedger()
    with ExitStack() as patches:
        for name in ("acquire", "acquire_all", "take_over", "record"):
            patches.enter_context(patch.object(Ledger, name, staticmethod(getattr(nothing, name))))
        yield


def run() -> list[Figure]:
    """aws_requests_* with all guards; guard_requests_* and guard_units_*, the price of the ledger."""
    with LocalStack(threads=False, memory=True) as stack:
        platform = Platform(stack)
        # The trace remembers each shard of the stream that it has seen.
        platform.count("emails", 1000)
        guarded = {name: platform.count(*arguments) for name, arguments in RUNS.items()}
        with without_ledger():
            bare = {name: platform.count(*arguments) for name, arguments in RUNS.items()}
    off, policies, everything = _with_policies()
    for name, cost in (guarded | {"no policies": off, "policies": policies, "all policies": everything}).items():
        print(name, dict(sorted(cost.by_name.items())))
    _show_price(guarded, bare)
    emails, sms, codes, lone = guarded.values()
    return [
        Figure("aws_requests_per_1000", emails.requests, "AWS requests", most=160),
        Figure("aws_requests_per_1000_sms", sms.requests, "AWS requests", most=170),
        Figure("aws_requests_per_1000_policies", policies.requests - off.requests, "AWS requests more", most=10),
        Figure("aws_requests_per_1000_all_policies", everything.requests, "AWS requests", most=400),
        Figure("aws_requests_per_code", codes.requests / 100, "AWS requests", most=6),
        Figure("aws_requests_lone_code", lone.requests, "AWS requests", most=10),
        *(
            Figure(f"guard_{what}_{name.replace(' ', '_').replace(',', '')}", ours, unit, "no ledger", without)
            for name in RUNS
            for what, unit, ours, without in (
                ("requests", "AWS requests", guarded[name].requests, bare[name].requests),
                ("units", "DynamoDB write units", guarded[name].units, bare[name].units),
            )
        ),
    ]


def _with_policies() -> tuple[Cost, Cost, Cost]:
    """The cost of 1,000 emails without policies, with those that ask once for many, and with all."""
    with LocalStack(threads=False, memory=True) as stack:
        platform = Platform(stack)
        found = [_usual(platform)]
        for per_recipient in (False, True):
            platform.set_policies(per_recipient=per_recipient)
            found.append(_usual(platform))
    return found[0], found[1], found[2]


def _usual(platform: Platform) -> Cost:
    """The cost of 1,000 emails once the functions remember what they read: the median of three counts, since the
    envelopes' ids decide how many batches the trace gets, and how many waves an envelope has."""
    # By the first emails SES tries out whether many may go by one call.
    platform.count("emails", 1000)
    return sorted((platform.count("emails", 1000) for _ in range(3)), key=lambda cost: cost.requests)[1]


def _show_price(guarded: dict[str, Cost], bare: dict[str, Cost]) -> None:
    table = Table("the ledger's price", "requests without", "with", "write units without", "with")
    for name in RUNS:
        table.add_row(name, *(str(n) for n in (bare[name].requests, guarded[name].requests)),
                      *(str(n) for n in (bare[name].units, guarded[name].units)))  # fmt: skip
    Console(width=120).print(table)
