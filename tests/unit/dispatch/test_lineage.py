"""Which envelopes follow, from rows alone: the same that the dispatcher sends."""

from typing import Any

from shared.dispatch.lineage import children, dead_letters
from shared.dispatch.tail import tail
from shared.model.events import EventRow
from shared.model.letters import letters_of
from tests.samples import NOW, envelope


def rows(*changes: dict[str, Any]) -> list[EventRow]:
    found: list[Any] = [{"i": i, "tag": "T" * 16, "n": 0, "at": NOW, **change} for i, change in enumerate(changes)]
    return found


RETRY = {"s": "retrying", "until": NOW + 5000, "acc": "main"}


def test_the_envelopes_are_those_that_are_dispatched() -> None:
    one = envelope(6, id="01JZ0000000000000000000000/r2", attempt=2, unsure={4: "main", 5: "spare"})
    found = rows({"s": "sent"}, RETRY, {**RETRY, "until": NOW + 1000}, {**RETRY, "unsure": True})
    followed = children(found, range(6), 2, one.unsure)
    dispatched = tail(one, found).dispatches
    assert [(f"{one.id}/{c.suffix}", list(c.recipients), c.due_at) for c in followed] == [
        (d.envelope.id, [r["i"] for r in d.envelope.recipients], d.due_at) for d in dispatched
    ]
    assert [c.suffix for c in followed] == ["c1", "r3", "r3.1"]
    assert [c.attempt for c in followed] == [d.envelope.attempt for d in dispatched] == [2, 3, 3]
    assert [dict(c.unsure) for c in followed] == [d.envelope.unsure for d in dispatched]


def test_a_continuation_still_asks_before_it_sends() -> None:
    one = envelope(2, unsure={0: "main", 1: "spare"})
    [dispatch] = tail(one, rows({"s": "sent"})).dispatches
    assert (dispatch.envelope.id, dispatch.envelope.unsure) == (f"{one.id}/c1", {1: "spare"})


def test_those_are_doubtful_of_whom_a_try_may_have_come_through() -> None:
    [child] = children(rows(RETRY, {**RETRY, "maybe": True}, {**RETRY, "unsure": True}), range(3), 0, {})
    assert child.doubtful == {1, 2}
    [child] = children([], range(2), 0, {1: "main"})
    assert child.doubtful == {1}


def test_dead_letters_are_named_as_they_are_kept() -> None:
    one = envelope(4, generation=1)
    dead = {"s": "dead_lettered", "why": "throttled"}
    found = rows({**dead, "acc": "z"}, {**dead, "acc": "a"}, {"s": "dead_lettered"}, {**dead, "acc": "z"})
    body = tail(one, found).dead
    assert body is not None
    kept = [(letter.id, [r["i"] for r in each.recipients]) for letter, each in letters_of(body, NOW)]
    assert [(f"{one.id}/{suffix}", members) for suffix, members in dead_letters(found, 1)] == kept
    assert len(kept) == 3
