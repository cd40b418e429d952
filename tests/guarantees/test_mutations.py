"""The guards that `make mutants` removes are where it looks for them, and the tests that notice it exist."""

import pytest

from tests.guarantees.mutation import Mutation
from tests.guarantees.mutations import MUTATIONS, ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.guard)
def test_a_guard_is_there_once_and_has_its_test(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    file, _, name = mutation.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert f"| {mutation.guard} |" in page and name in page
