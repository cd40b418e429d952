"""The campaigns of the small API: saved as they come, with runs that move on as a test says."""

from collections.abc import Callable
from typing import Any

NOW = "2026-11-24T09:12:03.120000Z"
RUN = "spring.01KAV2M3X8000000000000000"
NEXT = ["2026-11-25T01:00:00Z", "2026-11-26T01:00:00Z"]
REJECTS = [
    '﻿row,reason,detail,to,name\r\n3,address_invalid,no address,x,"Li, Lei"\r\n',
    "row,reason,detail,to,name\r\n9,a,b,c,\r\n",
]

Refuse = Callable[..., Exception]


class FakeCampaigns:
    """Part of the API.

    script: what a run becomes, look by look; the last stays. active: whether the run is one that is not over. refuse:
    makes an error answer. parts: of the rejects file.
    """

    def __init__(self, refuse: Refuse, url: Callable[[], str]) -> None:
        self.saved: dict[str, dict[str, Any]] = {}
        self.script: list[dict[str, Any]] = []
        self.active = True
        self.parts: list[str] = []
        self.tested: list[dict[str, Any]] = []
        self.recalls = 0
        self._refuse = refuse
        self._url = url
        self._run = run_view("planning")

    def routes(self) -> list[tuple[str, str, str, Callable[..., Any]]]:
        """As the API has them."""
        one, running = r"/v1/campaigns/([^/]+)", r"/v1/runs/([^/]+)"
        return [
            ("POST", r"/v1/audiences", "send", self._audience),
            ("POST", r"/v1/campaigns", "send", self._create),
            ("GET", r"/v1/campaigns", "read", lambda body: {"campaigns": list(self.saved.values()), "cursor": None}),
            ("GET", one, "read", lambda body, id: self._found(id)),
            ("PATCH", one, "send", self._update),
            ("POST", rf"{one}/archive", "send", lambda body, id: self._update({"archived": True}, id)),
            ("POST", rf"{one}/check", "send", lambda body, id: self._start(id, "check")),
            ("POST", rf"{one}/test", "send", self._test),
            ("POST", rf"{one}/runs", "send", lambda body, id: self._start(id, "send")),
            ("GET", rf"{one}/runs", "read", self._runs),
            ("GET", running, "read", self._look),
            ("PATCH", running, "send", lambda body, id: self._change(id, **body)),
            ("POST", rf"{running}/pause", "send", lambda body, id: self._change(id, state="paused")),
            ("POST", rf"{running}/resume", "send", lambda body, id: self._change(id, state="sending")),
            ("POST", rf"{running}/cancel", "send", lambda body, id: self._change(id, state="cancelled")),
            ("POST", rf"{running}/recall", "send", self._recall),
            ("POST", rf"{running}/approve", "manage", lambda body, id: self._change(id, state="sending")),
            ("GET", rf"{running}/rejects", "send", self._rejects),
        ]

    def _found(self, id: str) -> dict[str, Any]:
        if id not in self.saved:
            raise self._refuse(404, "not-found", "Not found", "There is no such campaign.")
        return {**self.saved[id], "active_run": RUN if self.active else None}

    def _audience(self, body: dict[str, Any]) -> dict[str, Any]:
        file = f"uploads/01KAV2M3X8000000000000000.{body['format']}"
        return {"file": file, "url": f"{self._url()}/bucket", "fields": {"key": file, "policy": "p"}, "expires_at": NOW}

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["id"] in self.saved:
            raise self._refuse(409, "conflict", "Not possible now", "There is a campaign of this id.")
        self.saved[body["id"]] = campaign_view(body["id"]) | _viewed(body)
        return self.saved[body["id"]]

    def _update(self, body: dict[str, Any], id: str) -> dict[str, Any]:
        self._found(id)
        self.saved[id] |= _viewed(body)
        return self._found(id)

    def _test(self, body: dict[str, Any], id: str) -> dict[str, Any]:
        self._found(id)
        self.tested.append(body)
        good = {"variant": "main", "message_id": "01KAV2M3X80000000000000000ABCDEFGHJKMNPQRS", "problem": None}
        bad = {"variant": "main", "message_id": None, "problem": "the address is not valid"}
        return {"messages": [{"to": to, **(good if "@" in to else bad)} for to in body["to"]]}

    def _start(self, id: str, purpose: str) -> dict[str, Any]:
        self._found(id)
        self._run = run_view("planning", purpose=purpose)
        return self._run

    def _runs(self, body: Any, id: str) -> dict[str, Any]:
        self._found(id)
        names = ("id", "purpose", "state", "fired_at", "over_at")
        summary = {name: self._run[name] for name in names} | {"messages": None}
        return {"runs": [summary] if self.script or not self.active else [], "cursor": None}

    def _look(self, body: Any, id: str) -> dict[str, Any]:
        self._known(id)
        if self.script:
            self._run = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return self._run

    def _change(self, id: str, **changes: Any) -> dict[str, Any]:
        self._known(id)
        self._run = {**self._run, **changes}
        return self._run

    def _recall(self, body: Any, id: str) -> dict[str, Any]:
        self._known(id)
        self.recalls += 1
        # Two pages, and one to say that there are no more.
        return {
            "run": id,
            "counts": {"withdrawn": 500} if self.recalls < 3 else {},
            "messages": [],
            "cursor": f"0-{5 * self.recalls}" if self.recalls < 3 else None,
        }

    def _known(self, id: str) -> None:
        if id != RUN:
            raise self._refuse(404, "not-found", "Not found", "There is no such run.")

    def _rejects(self, body: Any, id: str) -> dict[str, Any]:
        self._known(id)
        facts = {"rows": 10_000, "rejected": 1, "expires_at": NOW}
        files = [
            {"first_row": n * 10_000 + 1, "url": f"{self._url()}/part/{n}", **facts} for n in range(len(self.parts))
        ]
        return {"files": files, "cursor": None}


def _viewed(body: dict[str, Any]) -> dict[str, Any]:
    """What a request sets, as the API shows it."""
    shown = dict(body)
    if body.get("schedule"):
        there = {"time_zone": "UTC", "local": False, "starts_at": None, "ends_at": None, "window_minutes": 0}
        shown["schedule"] = {**there, "overlap": "skip", "next": NEXT, **body["schedule"]}
    if "variants" in body:
        shown["variants"] = [{"version": None, "weight": 1, **each} for each in body["variants"]]
    if "audience" in body:
        columns: dict[str, Any] = {"to": "to", "time_zone": None, "reference": None, "variables": {}}
        shown["audience"] = {**body["audience"], "columns": {**columns, **(body["audience"].get("columns") or {})}}
    if body.get("stop_rule"):
        there = {"after": 1000, "failures_percent": None, "complaints_percent": 0.3, "undelivered_percent": 5}
        shown["stop_rule"] = {**there, **body["stop_rule"]}
    return shown


def campaign_view(id: str) -> dict[str, Any]:
    """A campaign that says as little as it can."""
    return {
        "id": id,
        "name": id,
        "channel": "email",
        "class": "marketing",
        "variants": [],
        "audience": {},
        "variables": {},
        "schedule": None,
        "throttle": None,
        "stop_rule": None,
        "holdout_percent": 0,
        "duplicates": "first",
        "approve_above": None,
        "ttl": None,
        "archived": False,
        "active_run": None,
        "created_at": NOW,
        "updated_at": NOW,
    }


def run_view(state: str, **facts: Any) -> dict[str, Any]:
    """A run in a state. facts: what is not as with a run that has just begun."""
    return {
        "id": RUN,
        "campaign": "spring",
        "name": "Spring sale",
        "purpose": "send",
        "state": state,
        "problem": None,
        "kind": "live",
        "started_by": "k1",
        "fired_at": NOW,
        "approved_by": None,
        "started_at": None,
        "over_at": None,
        "throttle": None,
        "file": "crm/daily.csv",
        "follows": None,
        "receipts": {},
        "check": None,
        "progress": progress(),
        "variants": [],
        "reasons": [],
        "seconds": None,
        "fees": [],
        **facts,
    }


def progress(planned: int | None = None, accepted: int = 0, rows_read: int = 0, **outcomes: int) -> dict[str, Any]:
    """How far a run is."""
    return {
        "planned": planned,
        "rows_read": rows_read,
        "accepted": accepted,
        "outcomes": outcomes,
        "in_flight": accepted - sum(outcomes.values()),
        "per_minute": 3000.0 if outcomes else None,
        "seconds_left": 75.0 if outcomes else None,
    }


CHECK: dict[str, Any] = {
    "rows": 20_000,
    "distinct": 19_800,
    "duplicates": 120,
    "rejected": [
        {
            "reason": "address_invalid",
            "variable": None,
            "rows": 60,
            "explanation": "The address is not valid.",
            "samples": [{"row": 7, "problem": "has no @"}, {"row": 1207, "problem": "has two @"}],
        },
        {
            "reason": "variable_missing",
            "variable": "name",
            "rows": 20,
            "explanation": "The template needs it.",
            "samples": [],
        },
    ],
    "suppressed": 14,
    "held_out": 990,
    "messages": 18_810,
    "estimate": {
        "messages": 18_810,
        "fees": [
            {"account": "ses", "provider": "ses", "units": 18_000, "amount": 1.8, "currency": "USD"},
            {"account": "mail", "provider": "smtp", "units": 810, "amount": None, "currency": None},
        ],
        "per_second": 50.0,
        "seconds": 376.2,
    },
}
