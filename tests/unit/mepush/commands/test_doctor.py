"""`mepush doctor`: one screen, and an exit code that a script can go by."""

from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import HEALTH, FakeApi


def test_a_healthy_platform_on_one_screen(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("doctor")
    assert ran.code == 0 and api.paths()[-1] == "GET /v1/health"
    assert "healthy" in ran.out.splitlines()[0]
    assert "1,200 accepted = 1,190 outcomes + 10 in flight" in ran.out
    assert "nothing for too long" in ran.out and "stream lag   0 s" in ran.out and "all empty" in ran.out
    assert "42 s ago: nothing stuck" in ran.out and "1 idle" in ran.out
    assert len(ran.out.splitlines()) <= 24
    assert all(len(line) <= 80 for line in mepush("doctor").out.splitlines())


def test_what_is_wrong_comes_first_with_what_to_do(api: FakeApi, mepush: Mepush) -> None:
    api.health["verdict"] = "unhealthy"
    api.health["findings"] = [{"problem": "3 messages have been in flight for too long.", "action": "Do \x1b[31mthis."}]
    api.health |= {"oldest_in_flight": "2026-01-24T09:12:03Z", "in_flight_too_long": 3, "schedules_dead": 2}
    api.health["sweep"] |= {"found": {"lease_expired": 3}, "mended": {"ended": 7}}
    api.health["queues"][0] |= {"waiting": 12, "dead": 4}
    api.health["stream"][0]["lag_seconds"] = 1234.5
    api.health["accounts"][1] |= {"verdict": "failing", "failed": 9}
    ran = mepush("doctor")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[:2] == ["unhealthy", "! 3 messages have been in flight for too long."]
    assert "\x1b" not in ran.out and "Do [31mthis." in lines[2]
    assert "due since 2026-01-24 09:12" in ran.out and "1,234 s" in ran.out and "2 schedules" in ran.out
    assert "3 lease expired; 7 ended" in ran.out and "email.verification" in ran.out
    assert ran.out.index("spare") < ran.out.index("mail  ")
    assert len(lines) <= 24


def test_an_account_that_lost_weight_is_shown_even_if_idle(api: FakeApi, mepush: Mepush) -> None:
    assert "100%" in mepush("doctor").out
    api.health["accounts"][1] |= {"factor": 0.02, "shifted_at": "2026-01-24T09:12:03Z", "shift_reason": "trouble"}
    out = mepush("doctor").out
    [line] = [line for line in out.splitlines() if line.lstrip().startswith("spare")]
    assert "2%" in line and "idle" in line
    assert all(len(line) <= 80 for line in out.splitlines())


def test_before_the_first_sweep(api: FakeApi, mepush: Mepush) -> None:
    api.health["sweep"] = None
    assert "none yet" in mepush("doctor").out


def test_for_machines(api: FakeApi, mepush: Mepush) -> None:
    assert mepush("doctor", "--json").json == HEALTH
    api.health["verdict"] = "unhealthy"
    ran = mepush("doctor", "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "unhealthy")


def test_a_key_without_the_scope_is_told(api: FakeApi, mepush: Mepush) -> None:
    api.scopes = {"send"}
    ran = mepush("doctor")
    assert ran.code == 1 and "may not do this" in ran.err


def test_warnings_are_shown_and_end_well_unless_it_is_to_be_strict(api: FakeApi, mepush: Mepush) -> None:
    api.health["verdict"] = "warning"
    warning = {"problem": "2 dead letters wait for somebody to decide on them.", "action": "Run `mepush dlq list`."}
    api.health["warnings"] = [warning]
    api.health |= {"dead_letters": 2, "dead_letters_more": False, "receipts_dead": 1, "webhooks_dead": 0}
    endpoint = {"webhook": "a", "state": "active", "stopped": None, "failing_since": None, "failures": 0}
    api.health["webhooks"] = [endpoint, {**endpoint, "webhook": "b", "state": "paused", "stopped": "failures"}]
    ran = mepush("doctor")
    assert ran.code == 0
    assert ran.out.splitlines()[:3] == ["warning", f"- {warning['problem']}", f"  {warning['action']}"]
    assert "to decide    2 dead letters" in ran.out and "1 cannot be read" in ran.out and "1 of 2 work" in ran.out
    assert mepush("doctor", "--strict").code == 1
    api.health["verdict"] = "healthy"
    assert mepush("doctor", "--strict").code == 0
