"""Which envelopes follow, from rows alone: the same that the dispatcher sends."""

from typing import Any

from msgspec.structs import replace

from shared.lifecycle.lineage import children, dead_letters
from shared.lifecycle.tail import tail
from shared.lifecycle.verdict import judge, row
from shared.model.events import EventRow
from shared.model.letters import letters_of
from shared.model.outcome import Rejected, Retry, Sent
from shared.model.reasons import Reason
from shared.model.words import MessageClass, Stage
from tests.samples import NOW, envelope


def rows(*changes: dict[str, Any]) -> list[EventRow]:
    return [EventRow(index=i, tag="T" * 16, nth=0, at=NOW, **change) for i, change in enumerate(changes)]


RETRY: dict[str, Any] = {"stage": "retrying", "due_at": NOW + 5000, "account": "main"}


def test_the_envelopes_are_those_that_are_dispatched() -> None:
    one = envelope(6, id="01JZ0000000000000000000000/r2", attempt=2, ask_account={4: "main", 5: "spare"})
    found = rows({"stage": "sent"}, RETRY, {**RETRY, "due_at": NOW + 1000}, {**RETRY, "ask_account": True})
    followed = children(found, range(6), 2, one.ask_account)
    dispatched = tail(one, found).dispatches
    assert [(f"{one.id}/{c.suffix}", list(c.recipients), c.due_at) for c in followed] == [
        (d.envelope.id, [r.index for r in d.envelope.recipients], d.due_at) for d in dispatched
    ]
    assert [c.suffix for c in followed] == ["c1", "r3", "r3.1"]
    assert [c.attempt for c in followed] == [d.envelope.attempt for d in dispatched] == [2, 3, 3]
    assert [dict(c.ask_account) for c in followed] == [d.envelope.ask_account for d in dispatched]


def test_a_continuation_still_asks_before_it_sends() -> None:
    one = envelope(2, ask_account={0: "main", 1: "spare"})
    [dispatch] = tail(one, rows({"stage": "sent"})).dispatches
    assert (dispatch.envelope.id, dispatch.envelope.ask_account) == (f"{one.id}/c1", {1: "spare"})


def test_those_are_doubtful_of_whom_a_try_may_have_come_through() -> None:
    found = rows(RETRY, {**RETRY, "maybe_sent": True}, {**RETRY, "ask_account": True}, RETRY)
    [child] = children(found, range(4), 0, {}, [3])
    assert (set(child.maybe_sent), set(child.ask_account)) == ({1, 3}, {2})
    [child] = children([], range(3), 0, {1: "main"}, [2])
    assert (set(child.maybe_sent), set(child.ask_account)) == ({2}, {1})


def test_what_may_have_been_sent_neither_failed_nor_expired_for_certain() -> None:
    one = envelope(3, message_class=MessageClass.NOTIFICATION)
    [dispatch] = tail(one, rows({**RETRY, "maybe_sent": True}, RETRY, {"stage": "sent"})).dispatches
    child = dispatch.envelope
    first, second = child.recipients
    rejected = Rejected(Reason.ADDRESS_UNKNOWN, "550")
    assert [judge(child, r, rejected, NOW, 0, None).stage for r in (first, second)] == ["unknown", "failed"]
    assert [judge(child, r, Sent("p"), NOW, 0, None).stage for r in (first, second)] == ["sent", "sent"]
    assert (row(child, first, Stage.EXPIRED, NOW).stage, row(child, second, Stage.EXPIRED, NOW).stage) == (
        "unknown",
        "expired",
    )
    last = replace(child, attempt=99)
    gone = [judge(last, r, Retry(Reason.THROTTLED, ""), NOW, 0, None) for r in last.recipients]
    assert [r.maybe_sent for r in gone] == [True, False]
    body = tail(last, gone).dead
    assert body is not None and (body.maybe_sent, body.child("x", body.recipients).maybe_sent) == ([0], [0])


def test_dead_letters_are_named_as_they_are_kept() -> None:
    one = envelope(4, generation=1)
    dead: dict[str, Any] = {"stage": "dead_lettered", "reason": "throttled"}
    found = rows(
        {**dead, "account": "z"}, {**dead, "account": "a"}, {"stage": "dead_lettered"}, {**dead, "account": "z"}
    )
    body = tail(one, found).dead
    assert body is not None
    kept = [(letter.id, [r.index for r in each.recipients]) for letter, each in letters_of(body, NOW)]
    assert [(f"{one.id}/{suffix}", members) for suffix, members in dead_letters(found, 1)] == kept
    assert len(kept) == 3
