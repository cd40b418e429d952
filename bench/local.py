"""How many requests a second the local stack takes, as `make run` serves it: `python -m bench.local`.

Many clients post messages at once over kept connections, for some seconds. Every message that was accepted is then
waited for in the outbox, so that a figure counts only with nothing lost. --against: another checkout that takes turns
with this one; the ratio of the two says more than either on a machine that is busy.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local.synth import ROOT

CLIENTS = 50
SECONDS = 10.0
ROUNDS = 3
_START_S, _END_S, _POLL_S = 120.0, 300.0, 0.2


@dataclass
class Run:
    """What came of one run. seconds: how long requests were begun; milliseconds: how long each took."""

    statuses: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    delivered: int = 0

    @property
    def accepted(self) -> int:
        """How many were answered with 202."""
        return self.statuses.count(202)

    @property
    def per_second(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str]]:
    """A local stack of a checkout, in a process of its own; yields its address and a key."""
    connection = folder / "build" / "local" / "connection.json"
    connection.unlink(missing_ok=True)
    own = folder / ".venv" / "bin" / "python"
    command = [str(own) if own.exists() else sys.executable, "-m", "local", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _START_S
        while not connection.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the local stack of {folder} does not start")
            time.sleep(_POLL_S)
        found = json.loads(connection.read_text())
        yield found["url"], found["key"]
    finally:
        process.terminate()
        process.wait(30)


def load(url: str, key: str, seconds: float, clients: int) -> Run:
    """Post messages for so many seconds, and wait until all that were accepted have been delivered."""
    run, lock, numbers = Run(), threading.Lock(), iter(range(10**9))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    started = time.monotonic()

    def post() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        while time.monotonic() < started + seconds:
            with lock:
                number = next(numbers)
            message = {"template": "login-code-cn", "to": f"139{number:08}", "variables": {"code": "123456"}}
            begun = time.monotonic()
            connection.request("POST", "/v1/messages", json.dumps(message), headers)
            answer = connection.getresponse()
            answer.read()
            with lock:
                run.statuses.append(answer.status)
                run.milliseconds.append(1000 * (time.monotonic() - begun))
        connection.close()

    before = _delivered(url)
    threads = [threading.Thread(target=post) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.seconds = time.monotonic() - started
    until = time.monotonic() + _END_S
    while run.delivered < run.accepted and time.monotonic() < until:
        time.sleep(_POLL_S)
        run.delivered = _delivered(url) - before
    return run


def _delivered(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", "/_local/accepted")
    found: int = json.loads(connection.getresponse().read())["accepted"]
    connection.close()
    return found


def measure(folder: Path, seconds: float, clients: int) -> Run:
    """One run of a checkout, and a line about it."""
    with serving(folder) as (url, key):
        load(url, key, 1.0, 4)  # the first calls of each function are slower
        run = load(url, key, seconds, clients)
    middle = statistics.median(run.milliseconds)
    print(
        f"{folder.name:12} {run.per_second:7.1f} accepted/s   p50 {middle:7.1f} ms   "
        f"{len(run.statuses)} requests, {run.accepted} accepted, {run.delivered} delivered",
        flush=True,
    )
    return run


def main() -> int:
    """Measure in turns; 1 if something that was accepted was not delivered."""
    parser = argparse.ArgumentParser(prog="python -m bench.local", description=__doc__)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    folders = [ROOT, *([options.against] if options.against else [])]
    runs: dict[Path, list[Run]] = {folder: [] for folder in folders}
    for _ in range(options.rounds):
        for folder in folders:
            runs[folder].append(measure(folder, options.seconds, options.clients))
    if options.against:
        mine, other = (statistics.median(run.per_second for run in runs[folder]) for folder in folders)
        print(f"ratio {mine / other:.1f}")
    return int(any(run.delivered != run.accepted for found in runs.values() for run in found))


if __name__ == "__main__":
    sys.exit(main())
