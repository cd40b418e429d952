"""Cells that a spreadsheet would calculate: written so that it does not, and read back as they were. Pure: no I/O."""

_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a formula, or what hides one, begins with (OWASP, "CSV Injection")."""


def defused(cell: str) -> str:
    """A cell for a file that people open in a spreadsheet: with an apostrophe before what could be a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(_STARTS) else cell


def restored(cell: str) -> str:
    """The cell that `defused` was given; others stay as they are."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_STARTS) else cell
