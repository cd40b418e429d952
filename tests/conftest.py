"""Fixtures that all tests share: an environment in which nothing real can be reached, and AWS by moto."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings

from shared.aws import clients
from tests import rotation
from tests.fakes import FakeClock
from tests.security import attempts

REGION = "us-east-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "POWERTOOLS_SERVICE_NAME": "mepush",
    "POWERTOOLS_METRICS_NAMESPACE": "mePush",
    "POWERTOOLS_TRACE_DISABLED": "true",
}
# A developer's own settings must not lead a test to a real account.
_UNWANTED = ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


ROOT = Path(__file__).parents[1]
GUARANTEES = ROOT / "build" / "guarantees.txt"
"""What the crash matrix and other long proofs covered, a line per run; written by `tests/guarantees/matrix.py`."""
REPORTS: dict[str, tuple[Path, Callable[[list[str]], Iterable[str]]]] = {
    "guarantees": (GUARANTEES, sorted),
    "attacks": (attempts.REPORT, attempts.summary),
}
"""What is printed at the end of a run, by title: a file, and how its lines are shown."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--whole`: run proofs whole of which a plain run tries a sample."""
    parser.addoption("--whole", action="store_true", help="run long proofs whole instead of a sample of each")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with empty reports; workers of xdist add to those of their controller."""
    if not hasattr(config, "workerinput"):
        for report, _ in REPORTS.values():
            report.unlink(missing_ok=True)


def pytest_make_parametrize_id(val: object) -> str | None:
    """What is packed is named so: gzip writes the time into its bytes, and each worker would collect other names."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long proofs whose turn it is not, unless all are asked for, or tests are named one by one."""
    if config.getoption("--whole") or config.getoption("keyword") or any("::" in arg for arg in config.args):
        return
    marked = [item.nodeid for item in items if item.get_closest_marker("rotates")]
    part, _ = rotation.chosen(ROOT)
    left_out = set(marked) - rotation.in_turn(marked, part)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is there by now, which is much and stays until the end."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was tried: how much belongs to the proof, and workers' output is not seen."""
    if not terminalreporter.config.getoption("--whole"):
        part, why = rotation.chosen(ROOT)
        terminalreporter.section("long proofs")
        terminalreporter.write_line(f"part {part + 1} of {rotation.PARTS}, {why}; `make guarantees` runs them whole")
    for title, (report, shown) in REPORTS.items():
        if report.exists():
            terminalreporter.section(title)
            for line in shown(report.read_text(encoding="utf-8").splitlines()):
                terminalreporter.write_line(line)


# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("mepush", deadline=None)
settings.load_profile("mepush")


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether long proofs are run whole (`make guarantees`), not by a sample."""
    return bool(request.config.getoption("--whole"))


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """Fake credentials and a region, for the whole session; the environment is put back afterwards."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    for name in _UNWANTED:
        os.environ.pop(name, None)
    yield
    clients.reset()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock()


@dataclass(frozen=True, slots=True)
class Aws:
    """AWS within this process, empty but for the four tables, which are named by their roles."""

    catalog: str = "catalog"
    guard: str = "guard"
    timeline: str = "timeline"
    counters: str = "counters"

    def client(self, service: str, **config: Any) -> Any:
        """A client of a service, kept across tests (making one takes longer than most tests)."""
        return clients.client(service, **config)

    @property
    def dynamodb(self) -> Any:
        """The client of the tables."""
        return self.client("dynamodb")


@pytest.fixture(scope="session")
def _moto() -> Any:
    """moto, imported for the tests that need it (it takes over a second)."""
    from moto import mock_aws

    # moto sees only the calls of clients that were made after it was imported.
    clients.reset()
    return mock_aws


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Have moto answer one request at a time: a transaction that it refuses puts the tables back to what they were when
    it began, and what other threads have written meanwhile would be gone."""
    from moto.core.botocore_stubber import BotocoreStubber

    answer, lock = BotocoreStubber.__call__, RLock()

    def call(self: Any, *arguments: Any, **more: Any) -> Any:
        with lock:
            return answer(self, *arguments, **more)

    with patch.object(BotocoreStubber, "__call__", call):
        yield


@pytest.fixture
def aws(_moto: Any) -> Iterator[Aws]:
    """moto's AWS with the four tables; nothing leaves the process."""
    with _moto(), one_at_a_time():
        found = Aws()
        for name in (found.catalog, found.guard, found.timeline, found.counters):
            found.dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )
        yield found
