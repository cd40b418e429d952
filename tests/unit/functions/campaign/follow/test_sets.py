"""Who is in a set, by the events of a message: what is asked for in rounds, and what all events say."""

from typing import Any

import pytest

from functions.campaign.follow.reasons import EXPLANATIONS, Why
from functions.campaign.follow.sets import ROUNDS, Facts, by_all, settled
from shared.model.campaigns import Follows, Who
from shared.model.events import fold
from shared.store.kept_events import KeptEvent
from tests.samples import NOW

HOUR_MS = 3_600_000
LONG_AGO = NOW - 100 * HOUR_MS


def facts(who: str, speaking: set[str] | None = None, passing: bool = True, **more: Any) -> Facts:
    """What decides besides events; receipts are expected from `ses` alone."""
    follows = Follows(campaign="sale", who=Who(who), **more)
    return Facts(follows, NOW, {"ses"} if speaking is None else speaking, passing)


def events(text: str, at: int = LONG_AGO) -> list[KeptEvent]:
    """Events such as `sent`, `sent:1` with a number, `dead_lettered?` that may have been sent, `undelivered~` for now,
    `opened!` by a machine; `sent` went through `ses`, and `sent@mail` through another account."""
    found = []
    for word in text.split():
        name, _, account = word.partition("@")
        name, _, nth = name.partition(":")
        stage = name.rstrip("?~!")
        found.append(
            KeptEvent(
                stage=stage,
                nth=int(nth or (7 if name[-1] in "~!" else 0)),
                at=at,
                account=account or "ses",
                maybe_sent=name.endswith("?"),
                transient=name.endswith("~"),
                machine=name.endswith("!"),
            )
        )
    return found


def decided(facts: Facts, all_events: list[KeptEvent]) -> tuple[Why, int]:
    """What becomes of a message, and how many keys of it were asked for; 100 if it was read whole."""
    found: dict[str, KeptEvent] = {}
    keys = 0
    for asked, stages in enumerate(ROUNDS[facts.follows.who], 1):
        keys += len(stages)
        found |= {event.stage: event for event in all_events if event.stage in stages and not event.nth}
        if (why := settled(facts, found, asked)) is not None:
            return why, keys
    return by_all(facts, all_events), 100


CASES = [
    # Those to whom it failed, by what is known of it.
    ("failed", "accepted sent", "sent", 1),
    ("failed", "accepted sent undelivered", "sent", 1),
    ("failed", "accepted failed", "picked", 9),
    ("failed", "accepted expired", "picked", 9),
    ("failed", "accepted unknown", "maybe_sent", 9),
    ("failed", "accepted unknown delivered", "maybe_sent", 9),
    ("failed", "accepted suppressed", "not_sent", 9),
    ("failed", "accepted capped", "not_sent", 9),
    ("failed", "accepted recalled", "not_sent", 9),
    ("failed", "", "no_outcome", 9),
    ("failed", "accepted deferred:1", "no_outcome", 9),
    # A dead letter may have been redriven, and what came of that has other numbers.
    ("failed", "accepted dead_lettered", "picked", 100),
    ("failed", "accepted dead_lettered?", "maybe_sent", 100),
    ("failed", "accepted dead_lettered discarded", "picked", 100),
    ("failed", "accepted dead_lettered redriven:1", "no_outcome", 100),
    ("failed", "accepted dead_lettered redriven:1 sent:1", "sent", 100),
    ("failed", "accepted dead_lettered redriven:1 failed:1", "picked", 100),
    ("failed", "accepted dead_lettered redriven:1 unknown:1", "maybe_sent", 100),
    ("failed", "accepted dead_lettered redriven:1 suppressed:1", "not_sent", 100),
    ("failed", "accepted dead_lettered delivered", "sent", 100),
    # Those from whom it came back.
    ("undelivered", "accepted sent", "not_undelivered", 1),
    ("undelivered", "accepted sent undelivered~", "not_undelivered", 1),
    ("undelivered", "accepted failed", "not_undelivered", 1),
    ("undelivered", "accepted sent undelivered", "picked", 4),
    ("undelivered", "accepted sent delivered undelivered", "picked", 4),
    ("undelivered", "accepted sent undelivered complained", "complained", 4),
    ("undelivered", "accepted sent undelivered acknowledged", "acknowledged", 4),
    # Those of whom nothing was said.
    ("no_receipt", "accepted sent delivered", "delivered", 1),
    ("no_receipt", "accepted sent undelivered", "undelivered", 8),
    ("no_receipt", "accepted sent opened", "opened", 8),
    ("no_receipt", "accepted sent clicked:0 opened", "clicked", 8),
    ("no_receipt", "accepted sent unsubscribed", "unsubscribed", 8),
    ("no_receipt", "accepted sent acknowledged", "acknowledged", 8),
    ("no_receipt", "accepted sent@mail", "account_silent", 8),
    ("no_receipt", "accepted sent", "picked", 100),
    ("no_receipt", "accepted sent delayed:3", "picked", 100),
    ("no_receipt", "accepted sent undelivered~", "undelivered_for_now", 100),
    ("no_receipt", "accepted failed", "not_sent", 9),
    ("no_receipt", "accepted unknown", "not_sent", 9),
    ("no_receipt", "", "not_sent", 9),
    ("no_receipt", "accepted dead_lettered", "not_sent", 100),
    ("no_receipt", "accepted dead_lettered redriven:1 sent:1", "picked", 100),
    # Those who have not opened it, or not clicked in it.
    ("not_opened", "accepted sent delivered opened", "opened", 1),
    ("not_opened", "accepted sent delivered", "picked", 7),
    ("not_opened", "accepted sent", "picked", 7),
    ("not_opened", "accepted sent@mail", "picked", 7),
    ("not_opened", "accepted sent delivered opened!", "picked", 7),
    ("not_opened", "accepted sent delivered clicked", "clicked", 7),
    ("not_opened", "accepted sent undelivered", "undelivered", 7),
    ("not_opened", "accepted sent delivered undelivered~", "picked", 7),
    ("not_opened", "accepted sent delivered complained", "complained", 7),
    ("not_opened", "accepted sent delivered unsubscribed", "unsubscribed", 7),
    ("not_opened", "accepted sent delivered acknowledged", "acknowledged", 7),
    ("not_opened", "accepted suppressed", "not_sent", 8),
    ("not_opened", "accepted dead_lettered redriven:1 sent:1", "picked", 100),
    ("not_opened", "accepted dead_lettered redriven:1 sent:1 opened", "opened", 1),
    ("not_clicked", "accepted sent opened clicked", "clicked", 1),
    ("not_clicked", "accepted sent opened", "picked", 6),
    ("not_clicked", "accepted sent clicked!", "picked", 6),
    ("not_clicked", "accepted sent undelivered opened", "undelivered", 6),
    ("not_clicked", "accepted sent opened unsubscribed", "unsubscribed", 6),
    ("not_clicked", "accepted sent opened acknowledged", "acknowledged", 6),
    ("not_clicked", "accepted expired", "not_sent", 7),
]


@pytest.mark.parametrize(("who", "all_events", "why", "keys"), CASES)
def test_what_is_known_of_a_message_decides(who: str, all_events: str, why: str, keys: int) -> None:
    assert decided(facts(who), events(all_events)) == (why, keys)


@pytest.mark.parametrize(("who", "all_events", "why", "keys"), CASES)
def test_all_events_pick_whom_a_few_pick(who: str, all_events: str, why: str, keys: int) -> None:
    # What came back needs no more than a few.
    if who != "undelivered":
        assert (by_all(facts(who), events(all_events)) is Why.PICKED) == (why == "picked")


@pytest.mark.parametrize(("who", "all_events", "why", "keys"), CASES)
def test_whoever_is_picked_is_shown_with_a_status_that_says_so(who: str, all_events: str, why: str, keys: int) -> None:
    if why != "picked":
        return
    allowed = {
        "failed": {"failed", "expired", "dead_lettered", "discarded"},
        "undelivered": {"undelivered"},
        "no_receipt": {"sent", "delayed"},
        "not_opened": {"sent", "delivered", "undelivered"},
        "not_clicked": {"sent", "delivered", "opened"},
    }
    assert fold(events(all_events)).state in allowed[who]


@pytest.mark.parametrize("who", ["no_receipt", "not_opened", "not_clicked"])
@pytest.mark.parametrize(("after", "hours", "why"), [(None, 23, "too_recent"), (None, 24, "picked")])
@pytest.mark.parametrize("passing", [True, False])
def test_what_may_be_said_yet_is_waited_for(who: str, after: int | None, hours: int, why: str, passing: bool) -> None:
    sent = events("accepted sent", NOW - hours * HOUR_MS)
    assert decided(facts(who, passing=passing), sent)[0] == why
    assert decided(facts(who, after_hours=hours, passing=passing), sent)[0] == "picked"
    assert decided(facts(who, after_hours=hours + 1, passing=passing), sent)[0] == "too_recent"
    assert decided(facts(who, after_hours=0), events("accepted sent", NOW))[0] == "picked"


def test_a_message_is_not_read_whole_where_nothing_came_back_for_now() -> None:
    assert decided(facts("no_receipt", passing=False), events("accepted sent")) == ("picked", 8)


def test_every_word_is_explained() -> None:
    assert EXPLANATIONS.keys() == set(Why)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"who": "failed"}, "either `run` or `campaign`"),
        ({"who": "failed", "run": "sale.01JHMPFN8022ECZH5CSHTK0000", "campaign": "sale"}, "either `run` or `campaign`"),
        ({"who": "failed", "campaign": "sale", "after_hours": 2}, "means nothing for `failed`"),
        ({"who": "undelivered", "campaign": "sale", "after_hours": 0}, "means nothing for `undelivered`"),
        ({"who": "asleep", "campaign": "sale"}, "Input should be"),
        ({"who": "failed", "run": "sale"}, "should match pattern"),
        ({"who": "not_opened", "campaign": "sale", "after_hours": 1441}, "less than or equal to 1440"),
    ],
)
def test_what_is_followed_must_be_plain(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Follows.model_validate(given)
