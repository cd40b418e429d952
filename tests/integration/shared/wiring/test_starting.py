"""Functions start as Lambda has them start: by themselves, or from a snapshot that many processes go on from.

The hooks are called here as Lambda calls them (`snapshot_restore_py`, which is part of its Python).
"""

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from shared.aws import clients, clock, heard
from shared.base import garbage, snapshots
from shared.base.settings import CatalogSettings
from shared.model.base import Model
from shared.model.ids import new_base
from shared.wiring.parts import Parts
from shared.wiring.starting import start

HOUR_MS = 3_600_000


class Aws(ThreadingHTTPServer):
    """An AWS in which there is nothing. ahead_ms: how much later it is there than here."""

    daemon_threads = True
    ahead_ms = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.peers: list[int] = []
        """The port that each request came from: one per connection."""


class Answers(BaseHTTPRequestHandler):
    """Answers with nothing, and with the time."""

    protocol_version = "HTTP/1.1"
    server: Aws

    def do_POST(self) -> None:
        """Answer a request."""
        self.rfile.read(int(self.headers["content-length"]))
        self.server.peers.append(self.client_address[1])
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.server.ahead_ms / 1000, usegmt=True))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class Hooks(ModuleType):
    """What Lambda's Python brings (snapshot_restore_py 1.0.0)."""

    def __init__(self) -> None:
        super().__init__("snapshot_restore_py")
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []
        self.register_before_snapshot = self.before.append
        self.register_after_restore = self.after.append

    def take_snapshot(self) -> object:
        """Have everything put away; returns what two processes that go on have in common."""
        for hook in reversed(self.before):
            hook()
        return random.getstate()

    def restore(self, common: Any) -> None:
        """Go on from a snapshot."""
        random.setstate(common)
        for hook in self.after:
            hook()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    made = Hooks()
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    server = Aws()
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    # Nothing that earlier tests made may ask this server.
    monkeypatch.setattr(clock, "_made", type(clock._made)())
    clients.reset()
    heard.of_process().forget()
    yield server
    clients.reset()
    heard.of_process().forget()
    server.shutdown()
    thread.join()
    server.server_close()


@cache
def parts() -> Parts:
    made = Parts(CatalogSettings(catalog_table="catalog"))
    _ = made.keys
    return made


@pytest.fixture(autouse=True)
def _anew() -> None:
    parts.cache_clear()


def started(monkeypatch: pytest.MonkeyPatch, how: str) -> Parts:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", how)
    start(parts)
    assert parts.cache_info().misses == 1
    return parts()


def test_elsewhere_than_in_lambda_nothing_is_made(monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws) -> None:
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    start(parts, ahead=("no.such.module",))
    assert (parts.cache_info().misses, aws.peers, hooks.before, hooks.after) == (0, [], [], [])


def test_parts_are_made_and_the_time_is_known_before_the_first_event(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    aws.ahead_ms = HOUR_MS
    made = started(monkeypatch, "on-demand")
    assert len(aws.peers) == 1
    assert abs(made.clock.now_ms() - time.time() * 1000 - HOUR_MS) < 60_000
    assert len(aws.peers) == 1, "it asked again"
    assert (hooks.before, hooks.after) == ([], [])


def test_garbage_is_collected_from_the_end_of_a_start_on(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    monkeypatch.delenv(garbage.HOW, raising=False)
    garbage.put_off()
    assert gc.isenabled(), "elsewhere than in Lambda"
    monkeypatch.setenv(garbage.HOW, "on-demand")
    garbage.put_off()
    assert not gc.isenabled()
    started(monkeypatch, "on-demand")
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_a_start_that_fails_is_told_to_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    with pytest.raises(ZeroDivisionError):
        start(lambda: 1 // 0)


def test_what_is_needed_later_is_imported_before_a_snapshot_only(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    for how, there in (("on-demand", False), ("snap-start", True)):
        monkeypatch.delitem(sys.modules, "this", raising=False)
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", how)
        start(parts, ahead=("this",))
        assert ("this" in sys.modules) is there


def test_validators_are_made_before_a_snapshot_only(monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws) -> None:
    for how, made in (("on-demand", False), ("snap-start", True)):

        class Fresh(Model):
            number: int

        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", how)
        start(parts)
        assert Fresh.__pydantic_complete__ is made


def test_processes_that_go_on_from_a_snapshot_open_connections_of_their_own(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    made = started(monkeypatch, "snap-start")
    common = hooks.take_snapshot()
    for process in (1, 2):
        hooks.restore(common)
        assert made.keys.key(f"{process:012}") is None
        hooks.take_snapshot()
    assert len(set(aws.peers)) == 3, "the start and each process have a connection"


def test_processes_that_go_on_from_a_snapshot_learn_the_time_anew(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    made = started(monkeypatch, "snap-start")
    common = hooks.take_snapshot()
    for ahead in (HOUR_MS, -HOUR_MS):
        aws.ahead_ms = ahead
        hooks.restore(common)
        assert abs(made.clock.now_ms() - time.time() * 1000 - ahead) < 60_000


def test_processes_that_go_on_from_a_snapshot_draw_differently(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    started(monkeypatch, "snap-start")
    common = hooks.take_snapshot()
    drawn = []
    for _ in range(2):
        hooks.restore(common)
        drawn.append((random.random(), new_base(1), new_base(1)))
    (first, *ids), (second, *others) = drawn
    assert first != second
    assert len({*ids, *others}) == 4


def test_a_key_that_was_read_before_a_snapshot_is_as_old_as_it_is(
    monkeypatch: pytest.MonkeyPatch, hooks: Hooks, aws: Aws
) -> None:
    """Caches keep until when a value is good by the time of day, which they are asked with."""
    made = started(monkeypatch, "snap-start")
    assert made.keys.key("k" * 12) is None
    common, asked = hooks.take_snapshot(), len(aws.peers)
    aws.ahead_ms = HOUR_MS
    hooks.restore(common)
    made.keys.key("k" * 12)
    assert len(aws.peers) == asked + 2, "for the time, and for the key"


def test_all_that_must_be_put_away_or_made_anew_is() -> None:
    assert {hook.__qualname__ for hook in snapshots._before} == {"disconnect"}
    assert {hook.__qualname__ for hook in snapshots._after} == {"_draw_anew", "Heard.forget"}
