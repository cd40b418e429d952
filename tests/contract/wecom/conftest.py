"""A running sandbox, and accounts on it whose connections are given back whatever becomes of the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from local.sandbox.wecom import WecomSandbox
from shared.providers.wecom.app import provider as app
from shared.providers.wecom.robot import provider as robot
from tests.contract.wecom.kit import make_app, make_robot
from tests.fakes import FakeClock

AppMaker = Callable[..., app.AppProvider]
RobotMaker = Callable[..., robot.RobotProvider]


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[WecomSandbox]:
    """WeCom, on the test's clock."""
    with WecomSandbox(clock=clock) as running:
        yield running


@pytest.fixture
def new_app(sandbox: WecomSandbox, clock: FakeClock) -> Iterator[AppMaker]:
    """Makes app accounts: on the sandbox, or at another endpoint."""
    with ExitStack() as stack:

        def make(endpoint: str | None = None, **options: Any) -> app.AppProvider:
            return stack.enter_context(closing(make_app(endpoint or sandbox.url, clock, **options)))

        yield make


@pytest.fixture
def new_robot(sandbox: WecomSandbox, clock: FakeClock) -> Iterator[RobotMaker]:
    """Makes robot accounts: on the sandbox, or at another endpoint."""
    with ExitStack() as stack:

        def make(endpoint: str | None = None, **options: Any) -> robot.RobotProvider:
            return stack.enter_context(closing(make_robot(endpoint or sandbox.url, clock, **options)))

        yield make
