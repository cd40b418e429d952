"""When a mailbox is tried, and what a look changes of what is known of it."""

from collections import Counter

import pytest

from functions.mailboxes.states import MINUTE_MS, after, claimed, is_due, state_for
from shared.model.accounts import Account
from shared.model.inboxes import InboxProblem, InboxState, Place, UnreadMail
from shared.model.words import Channel
from shared.providers.mailboxes import Found

NOW = 1_764_500_000_000
PROBLEM = InboxProblem(code="login_refused", summary="It refused.", action="Mend it.")


def account(secret_version: int = 1) -> Account:
    return Account(
        id="mail",
        tenant="acme",
        name="Mail",
        channel=Channel.EMAIL,
        provider="smtp",
        settings={},
        secret_version=secret_version,
        created_at=0,
        updated_at=0,
    )


def failed(times: int) -> InboxState:
    state = state_for(account(), "here", None)
    for _ in range(times):
        state = after(state, Found(place=state.place, problem=PROBLEM), NOW)
    return state


@pytest.mark.parametrize(
    ("times", "minutes"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 360), (8, 360), (5_000, 360)]
)
def test_after_each_failure_the_pause_is_twice_as_long(times: int, minutes: int) -> None:
    state = failed(min(times, 40))
    due = NOW + minutes * MINUTE_MS
    assert is_due(state, due)
    assert not is_due(state, due - 3 * MINUTE_MS)
    assert (state.failures, state.failing_since, state.problem) == (min(times, 40), NOW, PROBLEM)


def test_one_good_look_ends_it_and_the_last_problem_is_still_told() -> None:
    state = after(failed(7), Found(place=Place(number=5)), NOW + 1)
    assert (state.failures, state.failing_since, state.looked_at, state.problem) == (0, None, NOW + 1, PROBLEM)
    assert is_due(claimed(state, NOW), NOW + 10 * MINUTE_MS)


def test_a_look_that_begins_keeps_others_away_until_the_next_time() -> None:
    state = claimed(InboxState(), NOW)
    assert not is_due(state, NOW + 7 * MINUTE_MS)
    assert is_due(state, NOW + 8 * MINUTE_MS)


def test_another_mailbox_begins_anew_and_a_new_secret_is_tried_at_once() -> None:
    known = failed(9).model_copy(update={"place": Place(validity=1, number=7)})
    assert state_for(account(), "here", known) == known
    assert state_for(account(), "there", known) == InboxState(where="there", secret_version=1)
    tried = state_for(account(2), "here", known)
    assert (tried.next_at, tried.failures, tried.place.number, tried.secret_version) == (0, 0, 7, 2)
    # It has failed since then all the same.
    assert tried.failing_since == NOW


def test_what_was_read_adds_up_and_twenty_of_the_unreadable_are_kept_the_newest_first() -> None:
    state = InboxState(counts={"bounces": 2})
    for day in range(3):
        unread = [UnreadMail(at=day * 100 + i, kind="notice", reason="x") for i in range(8)]
        state = after(state, Found(place=Place(), counts=Counter(bounces=1, others=4), unread=unread), NOW)
    assert state.counts == {"bounces": 5, "others": 12}
    assert [each.at for each in state.unread] == [*range(207, 199, -1), *range(107, 99, -1), *range(7, 3, -1)]


def test_what_was_read_before_it_broke_off_counts() -> None:
    place = Place(validity=1, number=3, stuck=4, stuck_times=1)
    state = after(InboxState(), Found(place=place, counts=Counter(bounces=3), problem=PROBLEM), NOW)
    assert (state.place, state.counts, state.failures, state.looked_at) == (place, {"bounces": 3}, 1, None)
