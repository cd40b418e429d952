"""Fixtures of the local stack's tests: fake functions, and small stacks that run them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions
from local.clock import LocalClock
from local.moto_patches import patched
from local.stack import LocalStack
from tests.integration.local.script import SCRIPT
from tests.integration.local.template import small_template

MakeStack = Callable[..., LocalStack]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Callable[..., Any]]]:
    """Let `functions.door` and the others be the fake ones; put into the result what each is to do."""
    fakes = str(Path(__file__).parent / "fake_functions")
    monkeypatch.setattr(functions, "__path__", [*functions.__path__, fakes])
    SCRIPT.clear()
    SCRIPT["guard"] = lambda event, context, env: {"isAuthorized": True, "context": {"tenant": "t"}}
    yield SCRIPT
    SCRIPT.clear()


@pytest.fixture(params=[False, True], ids=["moto", "memory"])
def make_stack(request: pytest.FixtureRequest, script: Any, tmp_path: Path) -> Iterator[MakeStack]:
    """Start stacks of the small template, on moto and in memory; they are closed after the test."""
    started: list[LocalStack] = []

    def make(**given: Any) -> LocalStack:
        given.setdefault("template", small_template())
        given.setdefault("memory", request.param)
        stack = LocalStack(log_file=tmp_path / "functions.log", **given)
        stack.start()
        started.append(stack)
        return stack

    yield make
    for stack in started:
        stack.close()


@pytest.fixture
def still(make_stack: MakeStack) -> LocalStack:
    """A small stack in which nothing happens by itself."""
    return make_stack(threads=False)


@pytest.fixture
def local_clock() -> LocalClock:
    """A clock that the test moves on."""
    return LocalClock()


@pytest.fixture
def moto(_moto: Any, local_clock: LocalClock) -> Iterator[None]:
    """moto as the local stack changes it, empty."""
    with _moto(), patched(local_clock):
        yield
