"""Values that a spreadsheet has destroyed before it saved them. Pure: no I/O."""

import re

_EXPONENT = re.compile(r"-?[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,3}\Z").match
_ERROR = re.compile(r"#(?:N/A|NAME\?|REF!|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!|GETTING_DATA|#+)\Z").match


def may_be_spoiled(text: str) -> bool:
    """Whether a text could hold a spoiled value; quick, for many."""
    return "#" in text or "E+" in text or "E-" in text


def spoiled(value: str) -> str:
    """What a spreadsheet made of a value, in words; empty if it did nothing that can be seen."""
    if _EXPONENT(value):
        return (
            "is in the exponent form of a spreadsheet, which has lost digits: format the column as text in Excel and "
            "enter the value again"
        )
    if _ERROR(value):
        return "is an error of a spreadsheet: correct the cell's formula, or leave the cell empty"
    return ""
