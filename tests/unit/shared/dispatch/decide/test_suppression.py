"""Who is on the suppression list is not called, at whatever try; and nothing is sent unchecked."""

import pytest

from shared.model.outcome import Outcome, Retry, Sent
from shared.model.reasons import Reason
from shared.model.suppression import SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import KeyKind, MessageClass
from shared.providers.base import Outgoing
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

ONE = envelope(3)
TAGS = [r.tag for r in ONE.recipients]


def suppress(w: DispatchHarness, tag: str, reason: SuppressionReason = SuppressionReason.MANUAL) -> None:
    entry = SuppressionEntry(scope=SuppressionScope.ALL, reason=reason, at=NOW, by="k1")
    w.suppressed.setdefault(tag, []).append(entry)


def events(w: DispatchHarness) -> dict[int, tuple[str, str | None]]:
    """The last event of each recipient, with its reason."""
    return {e.index: (e.stage, e.reason) for r in w.records for e in r.events}


@pytest.mark.parametrize("reason", SuppressionReason)
def test_who_is_on_the_list_is_not_called(reason: SuppressionReason) -> None:
    with harness() as w:
        suppress(w, TAGS[1], reason)
        assert w.run(ONE) == []
        assert events(w) == {0: ("sent", None), 1: ("suppressed", f"suppressed_{reason}"), 2: ("sent", None)}
        assert sorted(m.to for m in w.providers["main"].sent) == ["u0@example.com", "u2@example.com"]
        assert (w.dispatched, w.dead) == ([], [])
        # Once for the envelope.
        assert w.asked_of == [TAGS]


def test_when_all_are_on_it_no_account_is_needed() -> None:
    with harness() as w:
        w.accounts.clear()
        for tag in TAGS:
            suppress(w, tag)
        assert w.run(ONE) == []
        assert w.stages() == {"accepted": 3, "suppressed": 3}
        assert w.log == ["acquire", "stream"]


def test_a_code_goes_to_who_unsubscribed_but_not_to_who_is_blocked() -> None:
    with harness() as w:
        suppress(w, TAGS[0], SuppressionReason.UNSUBSCRIBE)
        suppress(w, TAGS[1], SuppressionReason.UNSUBSCRIBE)
        suppress(w, TAGS[1], SuppressionReason.MANUAL)
        w.run(envelope(3, message_class=MessageClass.VERIFICATION))
        assert events(w)[0] == ("sent", None)
        assert events(w)[1] == ("suppressed", "suppressed_manual")


def test_a_test_key_sees_the_list_too() -> None:
    with harness() as w:
        suppress(w, TAGS[0])
        w.run(envelope(3, kind=KeyKind.TEST))
        assert w.stages() == {"accepted": 3, "sent": 2, "delivered": 2, "suppressed": 1}


def test_without_an_answer_nothing_is_sent() -> None:
    with harness() as w:
        w.broken = {"suppressions"}
        assert w.run(ONE) == ["0"]
        assert (w.log, w.providers["main"].calls) == ([], 0)
        w.broken = set()
        assert w.run(ONE) == []
        assert w.providers["main"].calls == 3


def test_the_envelopes_of_a_batch_share_what_they_read_and_those_of_the_next_do_not() -> None:
    with harness() as w:
        assert w.run(*(envelope(start=n) for n in range(4))) == []
        assert w.run(*(envelope(start=n) for n in range(4, 6))) == []
        batches = w.shared[:4], w.shared[4:]
        assert [len({id(reads) for reads in batch}) for batch in batches] == [1, 1]
        assert batches[0][0] is not batches[1][0]


def test_a_retry_asks_again() -> None:
    def script(message: Outgoing) -> Outcome:
        return Retry(Reason.THROTTLED, "454") if w.providers["main"].calls <= 3 else Sent("1")

    with harness(script) as w:
        w.run(ONE)
        suppress(w, TAGS[0], SuppressionReason.BOUNCE)
        for dispatch in w.dispatched:
            assert w.run(dispatch.envelope) == []
        assert events(w) == {0: ("suppressed", "suppressed_bounce"), 1: ("sent", None), 2: ("sent", None)}


def test_an_expired_message_expires_without_a_look_at_the_list() -> None:
    with harness() as w:
        suppress(w, TAGS[0])
        w.run(envelope(3, expires_at=NOW))
        assert w.stages() == {"accepted": 3, "expired": 3}
        assert w.asked_of == []


def test_of_whom_a_try_may_have_come_through_nobody_says_that_nothing_was_sent() -> None:
    with harness() as w:
        suppress(w, TAGS[0])
        suppress(w, TAGS[1])
        w.run(ONE.child("r1", ONE.recipients, attempt=1, maybe_sent=[0]))
        assert events(w) == {
            0: ("unknown", "suppressed_manual"),
            1: ("suppressed", "suppressed_manual"),
            2: ("sent", None),
        }


def test_who_is_asked_about_is_not_looked_for_in_the_list() -> None:
    with harness() as w:
        for tag in TAGS:
            suppress(w, tag)
        child = ONE.child("r1", ONE.recipients, attempt=1, ask_account={0: "main"}, tried_between=(NOW - 5, NOW))
        w.run(child)
        assert w.asked_of == [TAGS[1:]]
        assert events(w)[1] == events(w)[2] == ("suppressed", "suppressed_manual")
        # Its account was asked, which cannot tell here; before it is tried again, the list is asked.
        assert events(w)[0][0] == "retrying"
        [dispatch] = w.dispatched
        w.run(dispatch.envelope)
        assert w.asked_of[1:] == [TAGS[:1]]
        assert (events(w)[0][0], w.providers["main"].calls) == ("unknown", 0)
