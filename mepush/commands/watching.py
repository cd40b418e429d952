"""Looks at a run until it is over: a live bar on a terminal, lines elsewhere, nothing with --json."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.text import Text

from mepush.client.api import Client, segment
from mepush.client.errors import ConnectionProblemError
from mepush.output import Output, plain
from mepush.views.campaigns import advice_of, facts_of, pace_of

OVER = frozenset({"checked", "finished", "cancelled", "failed", "skipped"})
_FOR_PEOPLE = frozenset({"paused", "awaiting_approval"})
_LOST = 20
"""So many looks in a row may fail before the watch ends."""
_FIRST_S, _MOST_S = 0.5, 5.0
_LINE_S = 10.0
_INTERRUPTED = 130


def watch(api: Client, out: Output, run: dict[str, Any], then: str = "") -> dict[str, Any]:
    """Look at a run until it is over, and return how it is then.

    Away from a terminal it also ends when the run waits for a person: nobody may be there to do it. then: what else
    goes on after Ctrl-C. Raises: MepushError; typer.Exit after Ctrl-C, which leaves the run as it is.
    """
    live = out.errors.is_terminal and not out.as_json
    try:
        with _shower(out, live) as show:
            for found in _looks(api, run):
                show(found)
                if found["state"] in OVER or (not live and found["state"] in _FOR_PEOPLE):
                    return found
    except KeyboardInterrupt:
        _leave(out, run["id"], then)
    raise AssertionError("unreachable")  # pragma: no cover - the looks end with the watch only


def _leave(out: Output, run: str, then: str) -> None:
    out.say(
        f"\n{then or 'The run goes on.'} Look again with `mepush campaign watch {run}`; hold it with "
        f"`mepush campaign pause {run}`."
    )
    raise typer.Exit(_INTERRUPTED)


def _looks(api: Client, run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The run, again and again, at first often. Raises: ApiError; ConnectionProblemError if it stays away."""
    yield run
    wait, lost = _FIRST_S, 0
    while True:
        _pause(wait)
        wait = min(wait * 1.1, _MOST_S)
        try:
            run = api.get(f"/v1/runs/{segment(run['id'])}")
        except ConnectionProblemError:
            # The run goes on meanwhile; a watch may last for hours.
            lost += 1
            if lost == _LOST:
                raise
        else:
            lost = 0
            yield run


@contextmanager
def _shower(out: Output, live: bool) -> Iterator[Any]:
    if not live:
        yield _Lines(out)
        return
    with Live(console=out.errors, transient=True, refresh_per_second=4) as shown:
        yield lambda run: shown.update(bar(run), refresh=True)


class _Lines:
    """Says how a run moves on, not more often than need be."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._state = self._said = ""
        self._at = 0.0

    def __call__(self, run: dict[str, Any]) -> None:
        now = time.monotonic()
        line = line_of(run)
        if run["state"] == self._state and (line == self._said or now - self._at < _LINE_S):
            return
        self._state, self._said, self._at = run["state"], line, now
        self._out.say(line)


def line_of(run: dict[str, Any]) -> str:
    """A run in one line."""
    return f"{run['state'].replace('_', ' ')}: {', '.join(word for word in (facts_of(run), pace_of(run)) if word)}"


def bar(run: dict[str, Any]) -> Group:
    """A run as it is now: what it does, how much of it has an outcome, the counts."""
    progress = run["progress"]
    planned = progress["planned"]
    counting = planned is not None and run["state"] not in ("planning", "checking")
    done = sum(progress["outcomes"].values())
    share = f" {100 * done / planned:.0f}%" if counting and planned else ""
    head = Text.assemble((plain(run["id"]), "bold"), f"  {run['state'].replace('_', ' ')}{share}")
    if pace := pace_of(run):
        head.append(f"  {pace}")
    drawn = ProgressBar(
        total=max(planned or 0, 1) if counting else None, completed=done, pulse=not counting, animation_time=time.time()
    )
    # A bar ends no line by itself.
    parts: list[Any] = [head, Padding(drawn), Text(facts_of(run))]
    if words := run["problem"] or advice_of(run):
        parts.append(Text(plain(words), style="yellow"))
    return Group(*parts)


def _pause(seconds: float) -> None:
    time.sleep(seconds)
