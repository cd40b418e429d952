"""Why rows of an audience file cannot be sent, beside the reasons that single messages have too."""

from mepush.sheets.failures import RowReason
from shared.model.reasons import EXPLANATIONS, Reason

_EXPLANATIONS = {
    RowReason.COLUMNS_WRONG: "These rows have more or fewer cells than the header: quote cells that hold commas.",
    RowReason.ERASED: "These rows were those of people whose data were erased: nothing is left of them.",
    RowReason.NOT_CSV: "These rows are no well-formed CSV: a quote inside a cell is written twice.",
    RowReason.NOT_JSON: "These lines are no JSON objects: write one object on each line.",
    RowReason.NOT_UTF8: "These rows hold bytes that are no text: save the file as `CSV UTF-8`.",
    RowReason.REFERENCE_INVALID: "These references are no text of at most 100 characters: shorten them.",
    RowReason.TIME_ZONE_UNKNOWN: "These time zones are unknown: give IANA names, such as Asia/Shanghai.",
    RowReason.TOO_LARGE: "These rows hold more than a message can carry: shorten their variables.",
    RowReason.VARIABLE_INVALID: (
        "These variables are too long or nested too deeply, or a spreadsheet has spoiled them: see what is wrong."
    ),
    RowReason.VARIABLE_MISSING: (
        "The template needs this variable: fill it in, give it a default in the template, or name the column that "
        "holds it in the campaign's audience.columns.variables."
    ),
}


def explain(reason: str) -> str:
    """What a reason means and what to do, in words."""
    if reason in RowReason.__members__.values():
        return _EXPLANATIONS[RowReason(reason)]
    return " ".join(EXPLANATIONS[Reason(reason)])
