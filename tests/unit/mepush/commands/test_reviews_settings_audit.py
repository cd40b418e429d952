"""`mepush template submit`, `approve` and `reject`, `mepush settings` and `mepush audit`."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.mepush.conftest import TEMPLATE, Mepush
from tests.unit.mepush.fake_api import FakeApi, record


def test_a_version_is_submitted_rejected_and_approved(api: FakeApi, mepush: Mepush) -> None:
    api._create_version(dict(TEMPLATE), "welcome")
    ran = mepush("template", "submit", "welcome")
    assert (ran.code, ran.out) == (0, "welcome version 2\nreview: submitted by key author000000\n")
    ran = mepush("template", "reject", "welcome", "--version", "2", "--comment", "The price is wrong.")
    assert ran.out.splitlines()[1] == "review: rejected by key reviewer0000: The price is wrong."
    assert "The price is wrong." in mepush("template", "show", "welcome", "--version", "2").out
    assert "review: draft" in mepush("template", "show", "welcome").out
    mepush("template", "submit", "welcome")
    ran = mepush("template", "approve", "welcome", "--json")
    assert (ran.json["version"], ran.json["review"]["state"]) == (2, "approved")
    assert [path.rpartition("/")[2] for path in api.changes()] == ["submit", "reject", "submit", "approve"]


def test_what_the_platform_refuses_is_said(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("template", "approve", "welcome")
    assert (ran.code, ran.out) == (1, "")
    assert "The review is: draft." in ran.err
    assert mepush("template", "submit", "nope").code == 1
    assert mepush("template", "reject", "welcome").code == 2
    assert api.changes() == ["POST /v1/templates/welcome/versions/1/approve"]


def test_settings_are_shown_changed_and_restored(api: FakeApi, mepush: Mepush) -> None:
    assert mepush("settings", "show").out == "review_required: no\nNobody has changed them yet.\n"
    assert "Nobody has changed" in mepush("settings", "versions").out
    ran = mepush("settings", "set", "--review-required")
    assert ran.out.splitlines() == [
        "review_required: yes",
        "version 1 by key author000000, 2026-11-24 09:12:03.120 UTC",
    ]
    assert mepush("settings", "set", "--no-review-required", "--json").json["review_required"] is False
    ran = mepush("settings", "restore", "1")
    assert ran.out.splitlines()[1].endswith("UTC, as version 1 was")
    lines = mepush("settings", "versions").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["1", "yes"], ["2", "no"], ["3", "yes"]]
    assert lines[3].split()[-1] == "1"
    assert len(mepush("settings", "versions", "--json").json["settings"]) == 3
    assert mepush("settings", "restore", "9").code == 1
    assert mepush("settings", "set").code == 2
    assert mepush("settings", "restore", "0").code == 2


def test_a_files_concurrency_is_the_deployments(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    assert mepush("settings", "concurrency").out == "As it was deployed.\n"
    file = tmp_path / "settings.toml"
    file.write_text('review_required = true\n[concurrency]\n"email.marketing" = 40\n', encoding="utf-8")
    assert mepush("settings", "set", "--file", str(file)).code == 0
    assert api.changes() == ["PATCH /v1/deployment", "PATCH /v1/settings"]
    assert mepush("settings", "concurrency").out == "email.marketing: 40\n"


def test_who_wants_the_review_off_is_shown(api: FakeApi, mepush: Mepush) -> None:
    api.settings[-1] |= {"review_off_asked_by": "ann", "review_off_asked_at": "2026-11-24T09:12:03Z"}
    assert "The key ann wants the review switched off." in mepush("settings", "show").out


@pytest.fixture
def records(api: FakeApi) -> None:
    large = {"sha256": "0" * 64, "bytes": 123_456}
    api.records = [
        record("delete_account", "account/old", {"id": "old"}, None),
        record(
            "update_account",
            "account/mail",
            {"weight": 100, "settings": {"host": "a"}, "updated_at": "x"},
            {"weight": 7, "settings": {"host": "b" * 100}, "updated_at": "y"},
            ["secret", "settings.host", "updated_at", "weight"],
        ),
        record("update_template", "template/code", {"n": large}, {"n": None}, ["n"], who="k2"),
        record("publish_version", "template/code", {}, {}, ["updated_at"]),
        record("create_key", "key/abc", None, {"id": "abc"}, who="bootstrap"),
    ]


def test_the_log_says_who_did_what(mepush: Mepush, records: None) -> None:
    ran = mepush("audit")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 0
    when = ["2026-11-24", "09:12:03.120"]
    assert lines[1] == [*when, "k1", "Ann's", "key", "delete_account", "account/old", "is", "gone"]
    assert lines[2][-3:] == ["secret:", "another", "one"]
    assert lines[3] == ["settings.host:", "a", "->", "b" * 40 + "..."]
    assert lines[4] == ["weight:", "100", "->", "7"]
    assert lines[5][-6:] == ["template/code", "n:", "(123,456", "bytes)", "->", "-"]
    assert lines[6][-4:] == ["nothing", "but", "its", "time"]
    assert lines[7][2:5] == ["bootstrap", "-", "create_key"]


def test_the_log_is_searched_and_cut(api: FakeApi, mepush: Mepush, records: None) -> None:
    options = ("--after", "2026-11-24T00:00:00+08:00", "--target", "template/code", "--action", "update_template")
    ran = mepush("audit", "--who", "k2", *options, "--json")
    found: Any = ran.json
    assert ([r["who"] for r in found["records"]], found["more"]) == (["k2"], False)
    asked = api.paths()[0]
    for part in (
        "who=k2",
        "target=template%2Fcode",
        "action=update_template",
        "after=2026-11-24T00%3A00%3A00%2B08%3A00",
    ):
        assert part in asked
    assert "before" not in asked
    ran = mepush("audit", "--limit", "3")
    assert "There are more" in ran.out
    assert mepush("audit", "--limit", "3", "--json").json["more"] is True
    assert "There are no records" in mepush("audit", "--who", "nobody").out
    assert mepush("audit", "--before", "yesterday").code == 2
