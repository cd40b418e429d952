"""A test is found by the path of what it tests: folders mirror the code, and a file's name begins with a module's."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
CROSS_CUTTING = {
    "integration/functions/campaign/test_crashes.py",
    "integration/functions/campaign/test_judged_once.py",
    "integration/functions/campaign/test_moments.py",
    "integration/functions/campaign/test_whole_runs.py",
    "integration/functions/webhooks/test_crashes.py",
    "integration/test_first_install.py",
    "integration/test_wire.py",
    "unit/mepush/test_wheel.py",
    "unit/test_adding_a_policy.py",
    "unit/test_adding_a_provider.py",
    "unit/test_examples.py",
    "unit/test_field_docs.py",
    "unit/test_groups.py",
    "unit/test_ignored_findings.py",
    "unit/test_layout.py",
    "unit/test_imports.py",
    "unit/test_licences.py",
    "unit/test_limits_page.py",
    "unit/test_map.py",
    "unit/test_rotation.py",
}
"""Tests of whole runs, of the repository and of its pages: they belong to no single module."""


def mirrored(kind: str) -> list[Path]:
    """The test files of a kind, relative to `tests/`."""
    return sorted(path.relative_to(TESTS) for path in (TESTS / kind).rglob("test_*.py"))


def names_code(test: Path) -> bool:
    """Whether a test's folder is one of the code, and its name begins with a module or package in it."""
    folder = ROOT.joinpath(*test.parts[1:-1])
    words = test.stem.split("_")[1:]
    starts = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    return any((folder / f"{start}.py").is_file() or (folder / start / "__init__.py").is_file() for start in starts)


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_every_test_lies_where_its_module_does(kind: str) -> None:
    astray = [
        test.as_posix() for test in mirrored(kind) if test.as_posix() not in CROSS_CUTTING and not names_code(test)
    ]
    assert astray == [], "see CONTRIBUTING.md, 'Kinds of tests'"


def test_the_exceptions_are_files_that_name_no_module() -> None:
    assert [test for test in sorted(CROSS_CUTTING) if not (TESTS / test).is_file() or names_code(Path(test))] == []


def test_contract_tests_lie_as_providers_do() -> None:
    folders = {ROOT.joinpath("shared", "providers", *test.parts[1:-1]) for test in mirrored("contract")}
    assert len(folders) > 5 and [folder for folder in sorted(folders) if not folder.is_dir()] == []


@pytest.mark.parametrize(
    ("test", "named"),
    [
        ("unit/shared/policy/test_quiet_hours.py", True),
        ("unit/shared/policy/test_quiet_hours_at_night.py", True),
        ("unit/shared/policy/test_quiet.py", False),
        ("unit/shared/policies/test_quiet_hours.py", False),
        ("integration/functions/test_dead_letters.py", True),
    ],
)
def test_what_names_a_module(test: str, named: bool) -> None:
    assert names_code(Path(test)) is named
