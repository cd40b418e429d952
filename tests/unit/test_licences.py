"""What the project is licensed under, and that nothing it ships or is built with forbids that."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distribution, distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PERMISSIVE = re.compile(r"\b(Apache|MIT|BSD|ISC|PSF|MPL|Mozilla|Unlicense|CNRI)", re.IGNORECASE)
"""They may be shipped with, or used by, a work under Apache-2.0. The Mozilla licence covers its own files alone."""
FORBIDDING = re.compile(r"\b(A?GPL|SSPL|BUSL|Commons Clause|proprietary|GNU (Affero )?General)", re.IGNORECASE)
ITSELF = "mepush"
ALL = sorted(distributions(), key=lambda found: found.name)


def words(found: Distribution) -> str:
    """All that a distribution says of its licence, but for the licence's own text."""
    metadata = found.metadata
    said = [(metadata[name] or "").partition("\n")[0] for name in ("License-Expression", "License") if name in metadata]
    said += [c for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    return "; ".join(said)


def shipped() -> Iterator[str]:
    """The distributions that the wheel and the functions bring along, their own dependencies first."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: list[Sequence[str]] = [declared["dependency-groups"]["platform"], declared["project"]["dependencies"]]
    seen: set[str] = set()
    while wanted:
        for line in wanted.pop():
            other = re.match(r"[\w.-]+", line)
            if other is None or "extra ==" in line or other[0].lower() in seen:
                continue
            seen.add(other[0].lower())
            try:
                distribution(other[0])
            except ModuleNotFoundError:  # for another system or version of Python
                continue
            wanted.append(requires(other[0]) or ())
            yield other[0]


def test_the_project_says_what_it_is_licensed_under() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert words(distribution(ITSELF)).startswith("Apache-2.0")


def test_what_is_shipped_is_under_a_permissive_licence() -> None:
    names = list(shipped())
    assert {"boto3", "botocore", "httpx", "jinja2", "pydantic_core", "rich", "tencentcloud-sdk-python-common"} <= {
        name.lower().replace("-core", "_core") for name in names
    }
    assert [f"{n}: {words(distribution(n))}" for n in names if not PERMISSIVE.search(words(distribution(n)))] == []


@pytest.mark.parametrize("found", ALL, ids=[found.name for found in ALL])
def test_nothing_that_it_is_built_with_forbids_its_licence(found: Distribution) -> None:
    assert not FORBIDDING.search(words(found))


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0", "GNU General Public License v2 (GPLv2)", "SSPL-1.0"])
def test_a_licence_that_forbids_it_would_be_noticed(licence: str) -> None:
    assert FORBIDDING.search(licence) and not PERMISSIVE.search(licence)
