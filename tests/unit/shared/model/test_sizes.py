"""Sizes are those of what is sent; and what is accepted fits wherever later steps have to put it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic_core import from_json

from shared.aws.schedules import MAX_INPUT_BYTES, schedule_input
from shared.aws.stream import MAX_RECORD_BYTES
from shared.lifecycle.tail import tail
from shared.lifecycle.verdict import CODE_BYTES, Via, judge
from shared.model.envelope import MAX_BYTES, MAX_RECIPIENTS, Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.letters import MAX_ID_LENGTH
from shared.model.outcome import AccountDown, Outcome, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.sizes import clipped, json_size, json_text, size
from tests.samples import NOW, envelope, recipients

ALPHABETS = {
    "ascii": "a",
    "chinese": "汉",
    "emoji": "😀",
    "quotes": '"',
    "backslashes": "\\",
    "controls": "\x01",
    "no character": "\uffff",
}
ITEM_BYTES = 350_000
"""Of a DynamoDB item (400 KB), for an envelope that is parked or kept as a dead letter, should nothing compress it."""
each_alphabet = pytest.mark.parametrize("character", ALPHABETS.values(), ids=ALPHABETS.keys())


@pytest.mark.parametrize(("text", "plain", "in_json"), [
    ("a", 1, 1), ("é", 2, 2), ("汉", 3, 3), ("😀", 4, 4), ('"', 1, 2), ("\\", 1, 2), ("\n", 1, 2), ("\x01", 1, 6),
    ("\uffff", 3, 6), ("/", 1, 1), ("\u2028", 3, 3),
])  # fmt: skip
def test_a_text_has_the_size_that_it_is_sent_with(text: str, plain: int, in_json: int) -> None:
    assert size(text) == plain == len(text.encode())
    assert json_size(text) == in_json + 2 == len(json_text(text).encode())
    assert from_json(json_text([text, {text: text}])) == [text, {text: text}]


def test_half_a_character_has_a_size() -> None:
    assert size("\ud83d") == 3


@each_alphabet
@pytest.mark.parametrize("most", [0, 1, 7, 200])
def test_a_clipped_text_is_as_long_as_may_be(character: str, most: int) -> None:
    found = clipped(character * 300, most)
    one = json_size(character) - 2
    assert found == character * (most // one)
    assert clipped(found, most) == found


def full(character: str, count: int, **changes: Any) -> Envelope:
    """An envelope as large as is accepted, in variables of one character."""
    empty = envelope(count, **changes)
    left = MAX_BYTES - size(replace(empty, recipients=_with(count, "")).to_json())
    each = left // count // (json_size(character) - 2)
    return replace(empty, recipients=_with(count, character * each))


def _with(count: int, text: str) -> list[EnvelopeRecipient]:
    zone = "America/Argentina/ComodRivadavia"
    return [replace(r, variables={"body": text}, reference="r" * 100, time_zone=zone) for r in recipients(count)]


SCRIPTS: dict[str, Callable[[str], Outcome]] = {
    "sent": lambda c: Sent(c * 500),
    "retry": lambda c: Retry(Reason.UNRECOGNISED_ANSWER, c * 500),
    "down": lambda c: AccountDown(Reason.ACCOUNT_SUSPENDED, c * 500),
    "unknown": lambda c: Unknown(Reason.UNRECOGNISED_ANSWER, c * 500),
}


@each_alphabet
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("count", [1, MAX_RECIPIENTS])
@pytest.mark.parametrize("attempt", [0, 7])
def test_what_is_accepted_fits_wherever_it_has_to_wait(character: str, script: str, count: int, attempt: int) -> None:
    accounts = [f"{k}{'a' * 39}" for k in range(10)]
    places = {f"{account}/recipients": NOW for account in accounts}
    one = full(
        character, count, id=envelope().id + "/" + "r" * MAX_ID_LENGTH, avoid=accounts, places=places, attempt=attempt
    )
    assert MAX_BYTES - 7 * count - 20_000 < size(one.to_json()) <= MAX_BYTES
    via = Via(accounts[0], "smtp", 10, looks_up=True)
    rows: list[EventRow] = [judge(one, r, SCRIPTS[script](character), NOW, 1.0, via) for r in one.recipients]
    for row in rows:
        code = clipped(character * 500, CODE_BYTES)
        row.passed_over = tuple((account, Reason.ACCOUNT_MISCONFIGURED, code) for account in accounts[:9])
    found = tail(one, rows)
    for child in found.dispatches:
        assert (
            size(schedule_input("https://sqs.us-east-1.amazonaws.com/123456789012/q", child.body, "g" * 128))
            <= MAX_INPUT_BYTES
        )
        assert size(child.body) < ITEM_BYTES
    if found.dead is not None:
        assert size(found.dead.to_json()) < ITEM_BYTES
    assert all(len(record.to_json()) + len(record.partition_key) <= MAX_RECORD_BYTES for record in found.records)
    assert found.dispatches or found.dead or script == "sent"
