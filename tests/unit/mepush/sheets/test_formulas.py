"""Cells that would be formulas, and values that a spreadsheet has destroyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mepush.sheets.formulas import defused, restored
from mepush.sheets.spoiled import may_be_spoiled, spoiled


@given(st.one_of(st.text(max_size=20), st.text("'=+-@\t\ra1", max_size=6)))
def test_what_is_written_is_read_back_as_it_was(cell: str) -> None:
    assert restored(defused(cell)) == cell
    assert not defused(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("cell", ["o'brien@example.com", "'quoted'", "", "'", "a=b", "13800138000", "'13800138000"])
def test_what_is_no_formula_stays(cell: str) -> None:
    assert (defused(cell), restored(cell)) == (cell, cell)


@pytest.mark.parametrize(
    "value", ["1.38E+10", "8.61E+12", "1E+05", "-2.5E-07", "1,38E+10", "#N/A", "#REF!", "########"]
)
def test_values_that_a_spreadsheet_has_destroyed_are_told(value: str) -> None:
    assert may_be_spoiled(value) and spoiled(value)


@pytest.mark.parametrize(
    "value",
    ["1.5", "45123", "2026/5/1", "1e5", "2E5", "E+", "#1", "#sale", "C# 8", "1.38E+10 m", "Nr. 1E+1", "00123", "3.0"],
)
def test_others_are_the_texts_that_they_are(value: str) -> None:
    assert spoiled(value) == ""
