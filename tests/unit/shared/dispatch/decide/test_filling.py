"""How long an envelope may take to be filled in, and how seldom the thread's processor time is asked for."""

from collections.abc import Iterator
from itertools import count

from shared.dispatch.decide.filling import FILLING_S, Filling
from shared.model.clock import SystemClock
from shared.model.content import EmailContent
from shared.rendering.render import compile_content
from tests.samples import envelope

COMPILED = compile_content(EmailContent(subject="Hello {{ name }}", text="x"))


def reached(spent: Iterator[float], gone_by: Iterator[float], recipients: int = 40) -> int:
    """How many recipients are reached while the two times go on as they say."""
    made = envelope(recipients)
    filling = Filling(made, COMPILED, SystemClock(), {}, spent.__next__, gone_by.__next__)
    pairs, rows = filling.fill(made.recipients)
    assert rows == []
    return len(pairs)


def test_a_thread_that_waits_for_its_turn_is_given_the_time_all_the_same() -> None:
    assert reached(count(0.0, FILLING_S / 1000), count(0.0, FILLING_S)) == 40


def test_a_thread_that_works_all_the_time_ends_in_time() -> None:
    # As much of both goes by with each recipient.
    assert reached(iter([0.0, FILLING_S, FILLING_S * 9 / 8]), count(0.0, FILLING_S / 8)) == 9


def test_processor_time_is_not_asked_for_before_as_much_time_has_gone_by() -> None:
    assert reached(iter([0.0]), count(0.0, FILLING_S / 100)) == 40


def test_one_recipient_is_reached_however_late_it_is() -> None:
    assert reached(iter([0.0, 2 * FILLING_S]), count(0.0, 2 * FILLING_S)) == 1
