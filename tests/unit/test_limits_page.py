"""Each limit holds to the unit, whatever the text consists of; and the page says what the code does."""

from pathlib import Path

import pytest

from tests.limits import LIMITS, Limit

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ALPHABETS = {"ascii": "a", "chinese": "汉", "emoji": "😀", "quotes": '"', "controls": "\x01"}


def text_of(limit: Limit, character: str, units: int) -> str:
    """A text of so many units, nearly all of it one character."""
    text = character * (units // limit.count(character))
    return text + "a" * (units - limit.count(text))


@pytest.mark.parametrize("character", ALPHABETS.values(), ids=ALPHABETS.keys())
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.service}, {limit.what}")
def test_the_most_is_taken_and_one_more_is_refused(limit: Limit, character: str) -> None:
    most = limit.most - limit.frame
    fits, beyond = text_of(limit, character, most), text_of(limit, character, most + 1)
    assert (limit.count(fits), limit.count(beyond)) == (most, most + 1)
    assert limit.say(fits) is None
    assert limit.say(beyond)


def test_the_page_has_the_line_of_each_limit_and_no_other() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("|---|")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == [limit.line for limit in LIMITS]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.service}, {limit.what}")
def test_the_file_that_a_limit_names_is_there(limit: Limit) -> None:
    assert (PAGE.parents[1] / limit.where).is_file()
