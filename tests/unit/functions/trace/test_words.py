"""What events mean in plain words, where it depends on who sent the message."""

import pytest

from functions.trace.words import describe, explain, no_receipt
from shared.model.events import EventRow
from shared.model.words import Stage
from shared.providers.table import PROVIDERS
from shared.store.kept_events import KeptEvent


def row(stage: Stage, provider: str | None = None, note: str | None = None) -> EventRow:
    return EventRow(index=0, tag="T", stage=stage, nth=0, at=0, account="a", provider=provider, note=note)


@pytest.mark.parametrize("provider", [*PROVIDERS, "of another time", None])
def test_whether_something_may_follow_is_said_by_who_sent_it(provider: str | None) -> None:
    _, action = explain(row(Stage.SENT, provider=provider))
    last_word = {name for name, spec in PROVIDERS.items() if spec.sent_is_final}
    assert last_word == {"app", "robot"}
    assert ("does not tell whether" in action) == (provider in last_word)
    assert ("receipt may follow" in action) == (provider not in last_word)


@pytest.mark.parametrize(
    ("stage", "note", "said"),
    [
        (Stage.CLICKED, "approve", "What was pressed: approve."),
        (Stage.ACKNOWLEDGED, "by the button approve", "How: by the button approve."),
        (Stage.DELIVERED, "as far as the carrier", "How far that is known: as far as the carrier."),
        (Stage.RECALLED, "key1", "Recalled with the key: key1."),
    ],
)
def test_a_note_is_named_for_what_it_is(stage: Stage, note: str, said: str) -> None:
    assert said in describe(row(stage, note=note))


def sent(channel: str, provider: str, stage: Stage = Stage.SENT) -> KeptEvent:
    return KeptEvent(stage=stage, nth=0, at=1_000, channel=channel, provider=provider)


@pytest.mark.parametrize(("channel", "provider", "hours"), [("email", "ses", 24), ("sms", "aws", 72)])
def test_that_nothing_was_reported_is_said_once_it_is_late_and_is_no_failure(
    channel: str, provider: str, hours: int
) -> None:
    late = 1_000 + hours * 3_600_000
    assert no_receipt(sent(channel, provider), late - 1) is None
    found = no_receipt(sent(channel, provider), late)
    assert found is not None and f"within {hours} hours" in found[0] and "fail" not in found[0]
    assert no_receipt(sent(channel, provider, Stage.DELIVERED), late) is None


def test_of_who_never_reports_anything_nothing_is_missed() -> None:
    assert no_receipt(sent("wecom", "app"), 10**15) is None
    assert no_receipt(sent("wecom", "robot"), 10**15) is None


def test_how_long_it_took_is_said_of_what_it_was() -> None:
    facts = EventRow(index=0, tag="T", stage="sent", nth=0, at=0, account="a", provider="ses", took_ms=546)
    assert "(ses), answered in 546 ms." in describe(facts)
    facts.stage = "delivered"
    assert "(ses), 0.5 s after it was sent." in describe(facts)
