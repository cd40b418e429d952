"""How tables come out on terminals of any width."""

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from mepush.output import row, table

ID = "01M8K9PGM9G8WCZTQ7B9M000008JA5DT3P4M8TF0PH"
WORDS = "the email address has nothing before or after the @, and so nobody can be written to"


def shown(width: int, *cells: tuple[str | None, ...]) -> str:
    """A table of addresses, ids and words, as a terminal of this width shows it."""
    made = table("to", "message", "what is wrong")
    for found in cells:
        row(made, *found)
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(made)
    return out.getvalue()


def test_where_there_is_room_rows_stand_below_each_other() -> None:
    lines = shown(160, ("a@example.com", ID, WORDS), ("b@example.com", ID, None)).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["to", "message", "what", "is", "wrong"]


@pytest.mark.parametrize("width", range(48, 160, 7))
def test_an_id_is_never_cut_in_two(width: int) -> None:
    text = shown(width, ("a@example.com", ID, WORDS), ("b@example.com", ID, "-"))
    assert text.count(ID) == 2
    assert max(cell_len(line) for line in text.splitlines()) <= width
    for word in WORDS.split():
        assert word in text


def test_a_narrow_terminal_names_what_is_there() -> None:
    assert shown(60, ("a@example.com", ID, "-")).split("\n")[:2] == [
        "a@example.com",
        f"  message: {ID}".ljust(60),
    ]


def test_a_header_is_not_cut_either() -> None:
    assert "what is wrong" in shown(80, ("a@example.com", "1", "-"))
