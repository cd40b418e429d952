"""Quiet hours at dispatch: who is asleep waits as one envelope, by the recipient's own clock, and codes never wait."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.model.envelope import Envelope
from shared.model.outcome import Outcome, Retry, Sent
from shared.model.policies import ClassPolicies, Policies, QuietAction, QuietHours, QuietWindow
from shared.model.reasons import Reason
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, MessageClass
from shared.providers.base import Outgoing
from tests.samples import NOW, envelope, recipients
from tests.unit.shared.dispatch.decide.test_suppression import events
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

NIGHT = QuietHours(windows=(QuietWindow(start="22:00", end="08:00"),), spread_minutes=0)
HOUR = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def quiet(w: DispatchHarness, hours: QuietHours = NIGHT, zone: str = "Asia/Shanghai") -> None:
    policies = ClassPolicies(notification=Policies(quiet_hours=hours))
    w.tenant_settings = TenantSettings(policies=policies, time_zone=zone)


def at(w: DispatchHarness, text: str) -> None:
    w.clock.advance((ms(text) - w.clock.now_ms()) / 1000)


def one(count: int = 3, **changes: Any) -> Envelope:
    return envelope(count, expires_at=NOW + 14 * 86_400_000, **changes)


def test_by_night_all_wait_for_the_morning_and_are_then_sent_once() -> None:
    with harness() as w:
        quiet(w)
        at(w, "2025-01-15T23:30:00+08:00")
        assert w.run(one()) == []
        assert events(w) == {i: ("deferred", "quiet_hours") for i in range(3)}
        assert w.providers["main"].calls == 0
        [child] = w.dispatched
        assert (child.envelope.id, child.due_at) == (one().id + "/w1", ms("2025-01-16T08:00:00+08:00"))
        assert (child.envelope.attempt, child.envelope.times_put_off) == (0, 1)
        at(w, "2025-01-16T08:00:01+08:00")
        assert w.run(child.envelope, one()) == []
        assert w.stages()["sent"] == 3
        assert len(w.providers["main"].sent) == 3


def test_everybody_has_a_clock_of_their_own() -> None:
    people = recipients(3)
    people[0].time_zone, people[1].time_zone = "Europe/Berlin", "America/New_York"
    with harness() as w:
        quiet(w)
        at(w, "2025-01-16T03:00:00+00:00")  # 11:00 in Shanghai, 04:00 in Berlin, 22:00 in New York
        w.run(one(recipients=people))
        assert events(w) == {0: ("deferred", "quiet_hours"), 1: ("deferred", "quiet_hours"), 2: ("sent", None)}
        due = {d.envelope.id.rpartition("/")[2]: d.due_at for d in w.dispatched}
        assert due == {"w1": ms("2025-01-16T08:00:00+01:00"), "w1.1": ms("2025-01-16T08:00:00-05:00")}


def test_the_end_is_spread_and_the_same_each_time() -> None:
    with harness() as w:
        quiet(w, NIGHT.model_copy(update={"spread_minutes": 60}))
        at(w, "2025-01-15T23:30:00+08:00")
        for start in range(0, 2000, 100):
            w.run(one(1, start=start))
        due = [d.due_at or 0 for d in w.dispatched]
        morning = ms("2025-01-16T08:00:00+08:00")
        assert all(morning <= each < morning + HOUR for each in due)
        assert len(set(due)) > 10
        again = w.dispatched[0]
        w.entries.clear()
        w.run(one(1))
        assert w.dispatched[-1].due_at == again.due_at


def test_what_is_to_be_dropped_is_suppressed() -> None:
    with harness() as w:
        quiet(w, NIGHT.model_copy(update={"action": QuietAction.DROP}))
        at(w, "2025-01-15T23:30:00+08:00")
        w.run(one())
        assert events(w) == {i: ("suppressed", "quiet_hours") for i in range(3)}
        assert w.dispatched == []


def test_who_would_wake_up_too_late_expires_now() -> None:
    with harness() as w:
        quiet(w)
        at(w, "2025-01-15T23:30:00+08:00")
        w.run(envelope(1, expires_at=w.clock.now_ms() + HOUR))
        assert events(w) == {0: ("expired", "quiet_hours")}
        assert w.dispatched == []


@pytest.mark.parametrize(
    "changes", [{"message_class": MessageClass.VERIFICATION}, {"kind": KeyKind.TEST}], ids=["code", "test key"]
)
def test_codes_and_test_keys_do_not_wait(changes: dict[str, Any]) -> None:
    with harness() as w:
        quiet(w)
        at(w, "2025-01-15T23:30:00+08:00")
        w.run(one(**changes))
        assert w.stages()["sent"] == 3


def test_a_retry_waits_too_and_has_its_tries_left() -> None:
    answers: list[Outcome] = [Retry(Reason.PROVIDER_BUSY, ""), Sent("p")]

    def script(message: Outgoing) -> Outcome:
        return answers.pop(0)

    with harness(script) as w:
        quiet(w)
        at(w, "2025-01-15T21:59:58+08:00")
        w.run(one(1))
        retry = w.dispatched.pop().envelope
        at(w, "2025-01-15T22:00:30+08:00")
        w.run(retry)
        later = w.dispatched.pop().envelope
        assert later.id.endswith("/r1/w1") and (later.attempt, later.times_put_off) == (1, 1)
        at(w, "2025-01-16T08:00:00+08:00")
        w.run(later)
        assert [e.stage for r in w.records for e in r.events] == ["accepted", "retrying", "deferred", "sent"]
        numbers = {(e.stage, e.nth) for r in w.records for e in r.events}
        assert {("retrying", 1), ("deferred", 1)} <= numbers


def test_a_template_can_do_without() -> None:
    with harness() as w:
        quiet(w)
        w.add_template(policies=Policies(quiet_hours=QuietHours()))
        at(w, "2025-01-15T23:30:00+08:00")
        w.run(one())
        assert w.stages()["sent"] == 3


def test_the_time_zone_is_the_tenants_where_the_settings_name_none() -> None:
    with harness() as w:
        quiet(w)
        w.tenant_settings = w.tenant_settings.model_copy(update={"time_zone": None})
        at(w, "2025-01-15T23:30:00+08:00")
        assert datetime.fromtimestamp(w.clock.now_ms() / 1000, UTC).hour == 15
        w.run(one())
        assert w.stages() == {"accepted": 3, "deferred": 3}


def test_a_blocked_word_is_not_sent() -> None:
    with harness() as w:
        w.tenant_settings = TenantSettings(blocked_words=["N1", "casino"])
        w.run(one())
        found = {e.index: (e.stage, e.reason, e.code) for r in w.records for e in r.events}
        assert found[1] == ("failed", "content_blocked", "blocked word: N1")
        assert (found[0][0], found[2][0]) == ("sent", "sent")
