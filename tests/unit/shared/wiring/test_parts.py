"""Parts are made once, when asked for, from the settings that there are; what a test gives is taken instead."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from shared.base.settings import CountersSettings, GuardSettings
from shared.wiring.dispatch import DispatchParts
from shared.wiring.parts import Later, Parts
from tests.fakes import FakeClock

ROOT = Path(__file__).parents[4]
GUARD = GuardSettings(guard_table="guard")


def no_client(service: str) -> Any:
    pytest.fail(f"a client of {service} was made")


def test_a_part_is_made_once_and_shared_by_parts() -> None:
    asked: list[str] = []
    parts = Parts(CountersSettings(counters_table="counters"), client=asked.append)
    assert parts.counters is parts.counters
    assert asked == ["dynamodb"]


def test_a_client_for_later_is_made_when_something_is_asked_of_it() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("one")
        return "text"

    later = Later(make)
    assert made == []
    assert (later.upper(), made) == ("TEXT", ["one"])


def test_what_is_given_is_taken_by_the_parts_made_from_it() -> None:
    clock, catalog, caps = FakeClock(), object(), object()
    parts = Parts(GUARD, client=no_client, clock=clock, catalog=catalog, caps=caps, duplicates=None)
    assert parts.clock is clock
    assert (parts.releases._configured, parts.releases._caps) == (catalog, caps)


@pytest.mark.parametrize("name", ["ledgre", "client_", "dispatcher", "_s3"])
def test_a_name_of_no_part_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"DispatchParts has no part {name}"):
        DispatchParts(GUARD, **cast(Any, {name: object()}))


def test_a_setting_that_is_missing_is_named() -> None:
    with pytest.raises(AttributeError, match=r"'GuardSettings' object has no attribute 'catalog_table'"):
        _ = Parts(GUARD, client=lambda service: None, clock=FakeClock()).catalog


def test_parts_import_what_they_are_when_they_are_made() -> None:
    script = "import sys, shared.wiring.parts; print(*[m for m in sys.modules if m.startswith('shared.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    found = done.stdout.split()
    assert "shared.wiring.parts" in found
    assert not [name for name in found if name.startswith(("shared.store.", "shared.lifecycle", "shared.providers"))]


def _taking_clients() -> set[tuple[str, str]]:
    """The classes that are made with a client of AWS, by module and name."""
    modules = [*(ROOT / "shared" / "store").glob("*.py"), *(ROOT / "shared" / "aws").glob("*.py")]
    return {
        (f"shared.{path.parent.name}.{path.stem}", made.name)
        for path in modules
        for made in ast.walk(ast.parse(path.read_text()))
        if isinstance(made, ast.ClassDef)
        for init in made.body
        if isinstance(init, ast.FunctionDef) and init.name == "__init__" and "client" in ast.unparse(init.args)
    }


def test_nobody_else_makes_stores_and_adapters() -> None:
    taking = _taking_clients()
    assert {("shared.store.ledger", "Ledger"), ("shared.aws.queue", "Queues")} < taking
    made = []
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        known = {
            a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names if (n.module, a.name) in taking
        }
        called = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        made += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(known & called) if path.parent.name != "wiring"]
    assert made == []
