"""Runs a large campaign on the local stack, troubles it on its way, and proves that every row came to its end once.

What is typed is shown, and so is what `mepush` answers. On its way the run is held and goes on, and its function is
killed inside a shard. What must become of each row is known from `examples/make_campaign.py` alone.
"""

import csv
import runpy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from local.seed import EXAMPLES
from local.stack import LocalStack
from local.synth import ROOT
from mepush.client.api import Client, segment
from mepush.main import app
from mepush.output import plain
from shared.aws.queue import Queues
from shared.model.runs import OVER

FOLDER = ROOT / "build" / "local"
CAMPAIGN = "spring"
THROTTLE = 24_000
"""Messages a minute at first: so many that more are queued than sent when the run is held, and so few that much of the
file is left then."""
BATCHES = 3
"""The function dies when it queues that many batches of envelopes of a slice."""
SURE_S = 90.0
"""The clock is set forward by so much after the function died: the run's driver notices after a minute."""
_POLL_S = 0.05
_STILL_S = 3.0
_TEST = "someone@example.com"


class CrashError(BaseException):
    """The end of a function's process; nothing of the function may catch it."""


class DiedError(Exception):
    """What its queue sees of a function's end."""


class DemoError(Exception):
    """The demonstration cannot go on."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of the rows. good: by address, and of these the suppressed. rejected: reason by row."""

    rows: int
    good: frozenset[str]
    suppressed: frozenset[str]
    rejected: Mapping[int, str]
    duplicates: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Something that must be so. found: in words."""

    what: str
    found: str
    ok: bool


@dataclass(slots=True)
class Report:
    """What the demonstration found. seconds: from the run's start to its end."""

    proofs: list[Proof] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all is as it must be."""
        return bool(self.proofs) and all(proof.ok for proof in self.proofs)

    def show(self, console: Console) -> None:
        """Print it for people."""
        console.rule("Proof", align="left")
        for proof in self.proofs:
            mark, style = ("ok   ", "green") if proof.ok else ("WRONG", "red")
            console.print(plain(f"{mark} {proof.what}: {proof.found}"), style=style, soft_wrap=True)
        if self.ok:
            console.print(f"Every row came to its end, and none twice, within {self.seconds:.0f} s.", style="green")


class _Killer:
    """Lets the campaign function's process die once, while it queues a slice; armed or not."""

    def __init__(self, stack: LocalStack) -> None:
        self._lock = threading.Lock()
        self._left: int | None = None
        self._stack = stack
        self.died = threading.Event()

    def arm(self, batches: int) -> None:
        """Have it die at the so-manieth batch of envelopes from now."""
        with self._lock:
            self._left = batches

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand between the function, its queues and who invokes it."""
        send, invoke = Queues.send, self._stack.runner.invoke

        def sending(queues: Queues, dispatches: Sequence[Any]) -> Any:
            # A dispatcher may have nothing to send; what a run's shard is expanded to has no slash in its ids.
            if any(each.envelope.run is not None and "/" not in each.envelope.id for each in dispatches[:1]):
                self._strike()
            return send(queues, dispatches)

        def invoking(name: str, event: Any) -> Any:
            try:
                return invoke(name, event)
            except CrashError:
                self.died.set()
                raise DiedError from None

        with patch.object(Queues, "send", sending), patch.object(self._stack.runner, "invoke", invoking):
            yield

    def _strike(self) -> None:
        with self._lock:
            if self._left is None:
                return
            self._left -= 1
            if self._left > 0:
                return
            self._left = None
        raise CrashError


@dataclass(frozen=True, slots=True)
class _Terminal:
    """Where a person sits: types commands, and sees what they say."""

    stack: LocalStack
    key: str
    console: Console
    api: Client

    def type(self, *words: str) -> None:
        """Type a `mepush` command. Raises: DemoError if it does not end well."""
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        self.console.print(plain(f"\n$ mepush {shown}"), style="bold", soft_wrap=True)
        code = app([*words, "--url", self.stack.url, "--key", self.key], standalone_mode=False) or 0
        if code:
            raise DemoError(f"`mepush {shown}` ended with exit code {code}")

    def say(self, text: str) -> None:
        """Say what happens besides."""
        self.console.print(plain(f"\n# {text}"), style="yellow", soft_wrap=True)

    def until(self, what: str, reached: Callable[[], bool], timeout: float) -> None:
        """Wait. Raises: DemoError if it takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not reached():
            if time.monotonic() >= deadline:
                raise DemoError(f"{what} did not come within {timeout:.0f} s")
            time.sleep(_POLL_S)


def run_campaign(
    stack: LocalStack,
    key: str,
    console: Console,
    rows: int = 20_000,
    throttle: int = THROTTLE,
    timeout: float = 300.0,
    folder: Path = FOLDER,
) -> Report:
    """Run the campaign with all its troubles. key: may send, read and manage. timeout: seconds, for each step.

    Raises: DemoError if a step does not come; MepushError if the API cannot be used at all.
    """
    audience, facts = runpy.run_path(str(EXAMPLES / "make_campaign.py"))["write"](folder, rows)
    expected, killer = read_expected(facts), _Killer(stack)
    report = Report()
    with Client(stack.url, key) as api, killer.watching():
        terminal = _Terminal(stack, key, console, api)
        _prepare(terminal, audience, expected, throttle)
        before = api.get("/v1/balance")
        earlier = _outbox(stack)
        start = time.monotonic()
        terminal.type("campaign", "run", CAMPAIGN)
        run = api.get(f"/v1/campaigns/{CAMPAIGN}")["active_run"]
        state = partial(api.get, f"/v1/runs/{segment(run)}")
        report.proofs.append(_hold(terminal, state, expected, timeout))
        report.proofs.append(_kill(terminal, killer, timeout))
        terminal.type("campaign", "throttle", CAMPAIGN, "none")
        terminal.until("the end of the run", lambda: state()["state"] in OVER, timeout)
        stack.wait_quiet(timeout)
        report.seconds = time.monotonic() - start
        terminal.type("campaign", "report", run)
        rejects = folder / "campaign-rejects.csv"
        terminal.type("campaign", "rejects", run, "--out", _short(rejects))
        sent = _outbox(stack) - earlier
        report.proofs += _prove(state(), expected, sent, read_rejects(rejects))
        report.proofs += _prove_books(before, api.get("/v1/balance"), expected, sent)
    return report


def read_expected(path: Path) -> Expected:
    """What must become of the rows, as the generator wrote it."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    by_end = {end: [line for line in lines if line["end"] == end] for end in ("good", "suppressed", "duplicate")}
    return Expected(
        rows=sum(line["end"] != "blank" for line in lines),
        good=frozenset(line["to"] for end in ("good", "suppressed") for line in by_end[end]),
        suppressed=frozenset(line["to"] for line in by_end["suppressed"]),
        rejected={int(line["row"]): line["reason"] for line in lines if line["end"] == "rejected"},
        duplicates=len(by_end["duplicate"]),
    )


def read_rejects(path: Path) -> dict[int, str]:
    """The reason of each rejected row, as the platform wrote it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {int(line["row"]): line["reason"] for line in csv.DictReader(file)}


def _short(path: Path) -> str:
    """A path as one types it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _outbox(stack: LocalStack) -> Counter[str]:
    """How many messages each address got so far."""
    found: Counter[str] = Counter()
    for each in stack.outbox.each():
        found[each.to] += sum(each.times.values())
    return found


def _prepare(terminal: _Terminal, audience: Path, expected: Expected, throttle: int) -> None:
    """Suppress some addresses, save the campaign, check it and test it."""
    terminal.say(f"{len(expected.suppressed)} of the addresses are on the suppression list")
    for address in sorted(expected.suppressed):
        terminal.api.post("/v1/suppressions", {"channel": "email", "address": address, "note": "asked for it"})
    split = ["--variant", "long=spring-sale:60", "--variant", "short=spring-sale-short:40"]
    columns = ["--to-column", "E-Mail", "--time-zone-column", "tz", "--reference-column", "No"]
    more = ["--holdout", "5", "--throttle", str(throttle)]
    terminal.type("campaign", "create", CAMPAIGN, *split, "--audience", _short(audience), *columns, *more)
    terminal.type("campaign", "check", CAMPAIGN)
    terminal.type("campaign", "test", CAMPAIGN, "--to", _TEST)
    terminal.stack.wait_quiet()


def _hold(terminal: _Terminal, state: Callable[[], dict[str, Any]], expected: Expected, timeout: float) -> Proof:
    """Hold the run once it has sent something, see it stand still, and let it go on."""

    def sent() -> int:
        return terminal.stack.outbox.count()

    some = sent() + max(1, len(expected.good) // 20)
    terminal.until("the first messages", lambda: sent() >= some, timeout)
    terminal.type("campaign", "pause", CAMPAIGN)
    # Nothing else waits, so that the providers hear of nothing once the stack is quiet.
    asked = time.monotonic()
    count = sent()
    while time.monotonic() - asked < 2 * _STILL_S and not terminal.stack.wait_quiet(_STILL_S):
        count = sent()
    count, held = sent(), state()["progress"]
    time.sleep(_STILL_S)
    moved = sent() - count
    terminal.type("campaign", "status", CAMPAIGN)
    terminal.type("campaign", "resume", CAMPAIGN)
    waiting = held["accepted"] - sum(held["outcomes"].values())
    found = f"{moved} messages within {_STILL_S:.0f} s, with {waiting:,} queued and not sent"
    return Proof("While it was paused nothing was sent", found, moved == 0)


def _kill(terminal: _Terminal, killer: _Killer, timeout: float) -> Proof:
    """Let the function die inside a shard, and have its driver notice soon."""
    killer.arm(BATCHES)
    terminal.until("the function's end", killer.died.is_set, timeout)
    terminal.say(
        f"The function was killed inside a shard, with some envelopes queued. The clock goes on by {SURE_S:.0f} s."
    )
    terminal.stack.skip(SURE_S)
    return Proof("The function died inside a shard", "once", killer.died.is_set())


def _prove(run: Mapping[str, Any], expected: Expected, sent: Counter[str], rejects: Mapping[int, str]) -> list[Proof]:
    """Compare the run, the outbox and the rejects with what must be so."""
    check, progress = run["check"], run["progress"]
    twice = sum(n > 1 for n in sent.values())
    wanted = expected.good - expected.suppressed
    held_out, suppressed = check["held_out"], progress["outcomes"].get("suppressed", 0)
    missing = set(expected.rejected) - set(rejects)
    # Somebody in the holdout group gets nothing anyway, whatever else their row says.
    others = sum(expected.rejected[row] != "variable_missing" for row in missing)
    rejected = sum(each["rows"] for each in check["rejected"])
    parts = (check["messages"], held_out, check["duplicates"], rejected)
    total = " + ".join(f"{n:,}" for n in parts)
    accounted = len(sent) + suppressed + (held_out - len(missing))
    silent = sum(sent[address] for address in expected.suppressed)
    variants = [each["accepted"] for each in run["variants"]]
    same = all(expected.rejected.get(row) == reason for row, reason in rejects.items())
    return [
        Proof("The run is over", run["state"], run["state"] == "finished"),
        Proof("Addresses with more than one message in the outbox", f"{twice:,} of {len(sent):,}", twice == 0),
        Proof("Messages to anybody else", f"{len(set(sent) - wanted):,}", set(sent) <= wanted),
        Proof(
            "Good rows = in the outbox + suppressed + held out",
            f"{len(expected.good):,} = {len(sent):,} + {suppressed:,} + {held_out - len(missing):,}",
            accounted == len(expected.good),
        ),
        Proof("Messages to suppressed addresses", f"{silent:,}", silent == 0),
        Proof(
            "Rejected rows, each with its reason",
            f"{len(rejects):,} of {len(expected.rejected):,}, {len(missing):,} held out",
            same and not others and rejected == len(rejects),
        ),
        Proof("Duplicates", f"{check['duplicates']:,}", check["duplicates"] == expected.duplicates),
        Proof(
            "Rows = messages + held out + duplicates + rejected",
            f"{check['rows']:,} = {total}",
            check["rows"] == expected.rows == sum(parts),
        ),
        Proof(
            "Messages = those of the variants",
            f"{progress['accepted']:,} = {' + '.join(f'{n:,}' for n in variants)}",
            progress["accepted"] == sum(variants) and all(variants),
        ),
    ]


def _prove_books(
    before: Mapping[str, Any], after: Mapping[str, Any], expected: Expected, sent: Counter[str]
) -> list[Proof]:
    """Compare the platform's counters with the outbox."""

    def grown(stage: str) -> int:
        return int(after["outcomes"].get(stage, 0) - before["outcomes"].get(stage, 0))

    accepted = after["accepted"] - before["accepted"]
    ends = sum(after["outcomes"].values()) - sum(before["outcomes"].values())
    return [
        Proof(
            "Accepted = sent + suppressed, in the balance",
            f"{accepted:,} = {grown('sent'):,} + {grown('suppressed'):,}",
            accepted == ends == grown("sent") + grown("suppressed"),
        ),
        Proof("Sent in the balance = the outbox", f"{grown('sent'):,} = {len(sent):,}", grown("sent") == sent.total()),
        Proof("In flight", f"{after['in_flight']:,}", after["in_flight"] == 0),
    ]
