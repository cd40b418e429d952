"""Tells the sandbox providers to misbehave: by the local stack's own API, by a file, or from a test."""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.gateway import Answer, Incoming
from local.sandbox.aws_sms import AwsSmsSandbox
from local.sandbox.base import Fault, FaultKind, Sandbox
from local.sandbox.faults import OUTAGES, Planned
from local.sandbox.ses import SesSandbox
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.smtp_words import PUBLISHED, published
from local.sandbox.tencent import TencentSandbox
from local.sandbox.wecom import APP_STEPS, LEFT_OUT, ROBOT_STEPS
from shared.api.kit import parse, validation_problem
from shared.api.problems import CONTENT_TYPE, Problem, problem_of
from shared.errors import ConflictError, FieldError, PlatformError, invalid, invalid_field, not_found

FaultyProvider = Literal["smtp", "ses", "tencent", "aws", "app", "robot"]
MOST = 1000
"""How many faults may wait at a time, and how many used-up ones are remembered."""


class FaultInput(BaseModel):
    """A fault as a file or a request gives it; see `docs/local-stack.md`.

    seconds: at most a day. times: -1 for always; if it is not given, once, or always for what is left to chance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: FaultyProvider
    kind: FaultKind
    code: str = Field(default="", max_length=200)
    status: int | None = Field(default=None, ge=400, le=599)
    seconds: float = Field(default=0.0, ge=0, le=86_400, allow_inf_nan=False)
    to: str | None = Field(default=None, min_length=1, max_length=320)
    at: str | None = None
    times: int | None = Field(default=None, ge=-1, le=1_000_000_000)
    rate: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, lt=2**63)
    accepted: bool = False

    @property
    def published(self) -> str | None:
        """The name of a published reply, for a `code` such as `@gmail.daily_limit`."""
        return self.code[1:] if self.provider == "smtp" and self.kind == "code" and self.code[:1] == "@" else None

    def fault(self) -> Fault:
        """The fault as sandboxes know it."""
        if self.published is not None:
            return published(self.published, self.to, 1 if self.times is None else self.times)
        by_chance = self.rate < 1 or self.kind == "mixed"
        times = self.times if self.times is not None else -1 if by_chance else 1
        road = PROVIDER_FAULTS[self.provider]
        left_out = self.kind == "code" and self.code in LEFT_OUT
        at = self.at if self.at is not None or self.kind in OUTAGES or left_out else road.default
        return Fault(
            self.kind,
            self.code,
            self.status or 500,
            self.seconds,
            self.to,
            at,
            times,
            self.rate,
            self.seed,
            self.accepted,
        )


@dataclass(frozen=True, slots=True)
class _ProviderFaults:
    """What a provider's sandbox can be told.

    sandbox: its name in a local stack. steps: for `at`. sends: the step at which a message is taken. default: the step
    of a fault that names none, where the sandbox could not tell. parts: steps that are about one recipient of a call,
    and the kinds that play there. code: what an error code looks like, with an example.
    """

    sandbox: str
    steps: tuple[str, ...]
    sends: str
    default: str | None
    parts: Mapping[str, tuple[str, ...]]
    code: re.Pattern[str]
    example: str


PROVIDER_FAULTS: dict[str, _ProviderFaults] = {
    "smtp": _ProviderFaults(
        "smtp",
        SmtpSandbox.steps,
        "dot",
        None,
        {"body": ("reset_before",), "login": ("status", "code")},
        re.compile(r"[ -~]+"),
        "5.1.1 No such user",
    ),
    "ses": _ProviderFaults(
        "ses",
        SesSandbox.steps,
        "SendEmail",
        None,
        {"entry": ("code", "throttle")},
        re.compile(r"[A-Za-z]+(_[A-Z]+)*( [ -~]+)?"),
        "MessageRejected",
    ),
    "tencent": _ProviderFaults(
        "tencent",
        TencentSandbox.steps,
        "SendSms",
        None,
        {"number": ("code", "throttle")},
        re.compile(r"[A-Za-z]+(\.[A-Za-z0-9]+)*"),
        "FailedOperation.PhoneNumberInBlacklist",
    ),
    "aws": _ProviderFaults(
        "aws",
        AwsSmsSandbox.steps,
        "SendTextMessage",
        None,
        {},
        re.compile(r"[A-Za-z]+(/[A-Z0-9_]+)?"),
        "ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT",
    ),
    "app": _ProviderFaults(
        "wecom",
        APP_STEPS,
        "message/send",
        "message/send",
        {"user": ("code",)},
        re.compile(r"-?[0-9]{1,7}|invaliduser|unlicenseduser"),
        "45009",
    ),
    "robot": _ProviderFaults(
        "wecom",
        ROBOT_STEPS,
        "webhook/send",
        "webhook/send",
        {},
        re.compile(r"-?[0-9]{1,7}"),
        "93000",
    ),
}
"""By provider, as accounts name it. `app` and `robot` share a server, so an outage of one is an outage of both."""

_LASTING = frozenset({"delay", "trickle"}) | OUTAGES
# Beside the step that takes the message and the parts of a call.
_KNOWN_BESIDES = frozenset(
    {"rcpt", "data", "SendBulkEmail", "DescribeSendRecordList", "PullSmsSendStatusByPhoneNumber"}
)
_MAY_WAIT = frozenset({"status", "throttle"})
_MAY_BE_ACCEPTED = frozenset({"status", "code", "throttle", "bad_json"})


def problems(given: FaultInput) -> list[FieldError]:
    """What is wrong with a fault whose fields are each well formed."""
    road = PROVIDER_FAULTS[given.provider]
    checks: Iterable[tuple[str, str | None]] = (
        ("at", _about_step(given, road)),
        ("code", _about_code(given, road)),
        ("status", _about_status(given)),
        ("seconds", _about_seconds(given)),
        ("to", _about_recipient(given, road)),
        ("times", _about_times(given)),
        ("accepted", _about_acceptance(given, road)),
    )
    return [FieldError(field=field, message=message) for field, message in checks if message]


def _about_step(given: FaultInput, road: _ProviderFaults) -> str | None:
    left_out = given.kind == "code" and given.code in LEFT_OUT
    if given.published is not None and given.at is not None:
        return "Leave it out: a published reply plays at its own step."
    if given.at is None or (left_out and given.at == "user"):
        return None
    if given.at not in road.steps:
        return f"Give one of the steps of {given.provider}: {', '.join(road.steps)}; or leave it out."
    if given.kind in OUTAGES or given.kind == "mixed":
        return f"Leave it out: {given.kind} is not bound to a step."
    kinds = road.parts.get(given.at)
    if left_out or given.at == "user":
        return "The step `user` goes with the codes invaliduser and unlicenseduser, and they with it."
    return None if kinds is None or given.kind in kinds else f"At this step only: {', '.join(kinds)}."


def _about_code(given: FaultInput, road: _ProviderFaults) -> str | None:
    if given.published is not None:
        known = given.published in PUBLISHED
        return None if known else "There is no published reply of this name; docs/replies.md lists them."
    if given.kind == "code" and not given.code and given.provider != "smtp":
        return f"Give the provider's error code, such as {road.example}."
    if not given.code:
        return None
    throttled_as = given.kind == "throttle" and given.provider == "tencent"
    if given.kind != "code" and not throttled_as and not (given.kind == "status" and given.provider == "smtp"):
        return f"Leave it out: it means nothing with {given.kind}."
    return None if road.code.fullmatch(given.code) else f"Give a code as the provider's are, such as {road.example}."


def _about_status(given: FaultInput) -> str | None:
    by_text = given.kind == "code" and given.provider == "smtp" and given.published is None
    wanted = given.kind == "status" or by_text
    if wanted and given.status is None:
        return "Give the status to answer with, such as 503." if given.provider != "smtp" else "Give it, such as 451."
    return None if wanted or given.status is None else f"Leave it out: it means nothing with {given.kind} here."


def _about_seconds(given: FaultInput) -> str | None:
    if given.kind in _LASTING:
        return None if given.seconds else "Say how long, in seconds."
    may_wait = given.kind in _MAY_WAIT and given.provider != "smtp"
    return None if may_wait or not given.seconds else f"Leave it out: it means nothing with {given.kind} here."


def _about_recipient(given: FaultInput, road: _ProviderFaults) -> str | None:
    if given.to is None:
        return None
    if given.provider == "robot":
        return "Leave it out: a robot has one recipient, its group."
    if given.kind in OUTAGES:
        return "Leave it out: an outage concerns everyone."
    known = {None, road.sends, *road.parts, *_KNOWN_BESIDES} - {"login"}
    return None if given.at in known else "Leave it out: at this step no recipient is known."


def _about_times(given: FaultInput) -> str | None:
    if given.kind in OUTAGES and (given.times is not None or given.rate != 1):
        return "Leave out times and rate: an outage has seconds."
    return "Give a number from 1, or -1 for always." if given.times == 0 else None


def _about_acceptance(given: FaultInput, road: _ProviderFaults) -> str | None:
    if not given.accepted:
        return None
    if given.kind not in _MAY_BE_ACCEPTED:
        return f"It means nothing with {given.kind}; it goes with {', '.join(sorted(_MAY_BE_ACCEPTED))}."
    of_one = given.to is not None and given.provider in {"smtp", "tencent"} and given.at is None
    if given.at not in (None, road.sends) or of_one or (given.code in LEFT_OUT):
        return f"Only the answer of {road.sends} can follow an accepted message; say so with `at`."
    return None


class FaultFileError(ValueError):
    """A file of faults cannot be used; `details` names the fields."""

    def __init__(self, message: str, details: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.details = list(details)


def read_faults(path: Path) -> list[FaultInput]:
    """Read a file: a JSON list of faults. Raises: FaultFileError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FaultFileError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise FaultFileError(f"{path} is not JSON.") from None
    if not isinstance(found, list):
        raise FaultFileError(f"{path} must be a JSON list of faults.")
    faults, details = [], []
    for i, entry in enumerate(found):
        try:
            fault = FaultInput.model_validate(entry)
        except ValidationError as error:
            details += validation_problem(error, str(i)).errors
            continue
        details += [FieldError(field=f"{i}.{p.field}", message=p.message) for p in problems(fault)]
        faults.append(fault)
    if details:
        raise FaultFileError(f"{path} has faults that cannot be played.", details)
    return faults


@dataclass(frozen=True, slots=True)
class _Entry:
    id: int
    given: FaultInput
    planned: Planned
    sandbox: Sandbox

    @property
    def active(self) -> bool:
        return self.sandbox.faults.active(self.planned)

    def shown(self) -> dict[str, Any]:
        fault = self.planned.fault
        given = self.given.model_dump(exclude_defaults=True)
        more: dict[str, Any] = {"times": fault.times} if fault.kind not in OUTAGES else {}
        if fault.kind not in OUTAGES:
            more["left"] = self.planned.left
        return {"id": self.id, **given, **more, "played": self.planned.played, "active": self.active}


class FaultControl:
    """Takes faults for the sandboxes of a local stack, and answers `/_local/faults`; thread-safe."""

    def __init__(self, sandboxes: Mapping[str, Sandbox]) -> None:
        self._sandboxes = sandboxes
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._entries: list[_Entry] = []
        self._methods: dict[str, Callable[[Incoming], Answer]] = {
            "GET": self._list,
            "POST": self._add,
            "DELETE": self._remove,
        }

    def add(self, given: FaultInput) -> dict[str, Any]:
        """Play a fault from now on; return it with its id. Raises: InvalidError, ConflictError."""
        wrong = problems(given)
        if wrong:
            raise invalid(wrong, f"{len(wrong)} field(s) are not valid.")
        with self._lock:
            active = [entry for entry in self._entries if entry.active]
            if len(active) >= MOST:
                raise ConflictError(f"Remove some of the {MOST} that wait.", title="Too many faults")
            used = [entry for entry in self._entries if not entry.active][-MOST:]
            sandbox = self._sandboxes[PROVIDER_FAULTS[given.provider].sandbox]
            entry = _Entry(next(self._ids), given, sandbox.faults.add(given.fault()), sandbox)
            self._entries = sorted([*active, *used, entry], key=lambda e: e.id)
        return entry.shown()

    def __call__(self, request: Incoming) -> Answer:
        """Answer one request; never raises."""
        method = self._methods.get(request.method)
        try:
            return self._no_method() if method is None else method(request)
        except PlatformError as error:
            return _refusal(problem_of(error))

    def _no_method(self) -> Answer:
        known = ", ".join(self._methods)
        kind = "urn:mepush:problem:method-not-allowed"
        detail = f"Use one of {known}."
        return _refusal(Problem(type=kind, title="No such method", status=405, detail=detail), ("allow", known))

    def _list(self, request: Incoming) -> Answer:
        with self._lock:
            return _json(200, {"faults": [entry.shown() for entry in self._entries]})

    def _add(self, request: Incoming) -> Answer:
        return _json(201, self.add(parse(FaultInput, request.body)))

    def _remove(self, request: Incoming) -> Answer:
        query = dict(parse_qsl(request.raw_query, keep_blank_values=True))
        unknown = sorted(set(query) - {"id", "provider"})
        if unknown:
            raise invalid_field(f"query.{unknown[0]}", "Give id or provider, or nothing to remove all.")
        if "id" in query and not re.fullmatch(r"[0-9]{1,18}", query["id"]):
            raise invalid_field("query.id", "Give the id of a fault, a number.")
        if "provider" in query and query["provider"] not in PROVIDER_FAULTS:
            raise invalid_field("query.provider", f"Give one of {', '.join(PROVIDER_FAULTS)}.")
        with self._lock:
            gone = [
                entry
                for entry in self._entries
                if query.get("id", str(entry.id)) == str(entry.id)
                and query.get("provider", entry.given.provider) == entry.given.provider
            ]
            if "id" in query and not gone:
                raise not_found("fault")
            self._entries = [entry for entry in self._entries if entry not in gone]
        for entry in gone:
            entry.sandbox.faults.remove(entry.planned)
        return 204, [], b""


def _refusal(problem: Problem, *more: tuple[str, str]) -> Answer:
    headers = [("content-type", CONTENT_TYPE), *more]
    return problem.status, headers, json.dumps(problem.model_dump(), ensure_ascii=False).encode()


def _json(status: int, value: Any) -> Answer:
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]
    return status, headers, json.dumps(value, ensure_ascii=False).encode()
