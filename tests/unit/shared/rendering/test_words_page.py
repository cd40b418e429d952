"""docs/templates.md lists every filter, test and operator with what it takes, refuses and costs, as the code has it."""

import re
from pathlib import Path

from shared.rendering.meter import MAX_WORK, STEP
from shared.rendering.operators import OPERATORS, SIGNS
from shared.rendering.words import ANYTHING, FILTERS, TESTS, Operation, listed

DOCUMENT = Path(__file__).parents[4] / "docs" / "templates.md"


def written(name: str, operation: Operation) -> str:
    """How a filter or test is written, with the names of its arguments."""
    arguments = [each for each in operation.signature.parameters if each != "value"]
    return f"`{name}({', '.join(arguments)})`" if arguments and name != "in" else f"`{name}`"


def row(name: str, operation: Operation) -> str:
    refused = ANYTHING - operation.takes
    return f"| {name} | {operation.wants()} | {listed(refused) if refused else 'nothing'} | {operation.cost.words} |"


def rows() -> list[str]:
    """The tables' rows, in the order of the document."""
    return [
        *(row(written(name, each), each) for name, each in FILTERS.items()),
        *(row(written(name, each), each) for name, each in TESTS.items()),
        *(row(SIGNS[name], each) for name, each in OPERATORS.items()),
    ]


def test_the_document_lists_what_there_is_and_nothing_else() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if re.match(r"\| .*\|.*\|.*\|.*\|$", line)]
    found = [line for line in found if "takes" not in line.split("|")[2] and "---" not in line]
    assert found == rows()


def test_the_document_tells_the_budget() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"{MAX_WORK:,} characters" in text and f"{STEP} characters" in text
