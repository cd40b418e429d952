"""The fixture of the tests of faults."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.faulty import FaultySandboxes


@pytest.fixture(scope="module")
def running() -> Iterator[FaultySandboxes]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield FaultySandboxes(stack)


@pytest.fixture
def faulty(running: FaultySandboxes) -> Iterator[FaultySandboxes]:
    """The world, without faults, and with what was accepted forgotten."""
    running.outbox.clear()
    yield running
    running.ask("DELETE")
