"""`mepush deferred`, and settings from a file."""

from pathlib import Path

from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import NOW, ULID, FakeApi

WAITING = {
    "envelope_id": ULID + "0/w1",
    "request_id": ULID + "0",
    "due_at": NOW,
    "kind": "deferred",
    "template": "sale",
    "channel": "email",
    "class": "marketing",
    "recipients": 100,
    "reference": None,
}


def test_what_waits_is_listed(api: FakeApi, mepush: Mepush) -> None:
    assert mepush("deferred").out == "Nothing waits for more than 15 minutes.\n"
    api.deferred = [WAITING, WAITING | {"kind": "scheduled"}]
    lines = mepush("deferred").out.splitlines()
    assert lines[1].split() == ["2026-11-24", "09:12", "100", "deferred", "email.marketing", "sale", ULID + "0"]
    assert mepush("deferred", "--limit", "1", "--json").json == {"deferred": [WAITING], "more": True}
    assert "There are more" in mepush("deferred", "--limit", "1").out


def test_settings_are_changed_from_a_file(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        """
        blocked_words = ["casino"]
        [policies.marketing]
        cap = { count = 2 }
        [policies.marketing.quiet_hours]
        windows = [{ start = "22:00", end = "08:00" }]
        """
    )
    ran = mepush("settings", "set", "--file", str(file), "--time-zone", "Asia/Shanghai")
    assert ran.code == 0
    assert api.requests[-1][2] == {
        "blocked_words": ["casino"],
        "policies": {
            "marketing": {"cap": {"count": 2}, "quiet_hours": {"windows": [{"start": "22:00", "end": "08:00"}]}}
        },
        "time_zone": "Asia/Shanghai",
    }
    assert 'blocked_words: ["casino"]' in ran.out
    assert "time_zone: Asia/Shanghai" in ran.out
    file.write_text("this is = not [ toml")
    assert mepush("settings", "set", "--file", str(file)).code == 1
