"""`mepush campaign`: saving, checking, running and looking at campaigns."""

import gzip
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mepush.client.api import Client
from mepush.client.errors import ConnectionProblemError
from mepush.commands import watching
from mepush.output import Output
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import KEY, FakeApi
from tests.unit.mepush.fake_campaigns import CHECK, NOW, REJECTS, RUN, progress, run_view

CSV = "E-Mail,name,tz\r\na@example.com,Ada,Asia/Shanghai\r\n"
TOML = """
name = "Spring sale"
template = "welcome"
version = 3
throttle = 3000

[audience]
file = "people.csv"

[audience.columns]
to = "E-Mail"

[variables]
month = "May"

[schedule]
at = 2027-05-01T09:00:00
time_zone = "Asia/Shanghai"

[stop_rule]
failures_percent = 5
"""


@pytest.fixture
def people(tmp_path: Path, clean: None) -> Path:
    """A file of recipients in a folder of its own."""
    path = tmp_path / "files" / "people.csv"
    path.parent.mkdir()
    path.write_text(CSV, newline="")
    return path


def one(mepush: Mepush, *args: str) -> None:
    """Save the campaign `spring`."""
    assert mepush("campaign", "create", "spring", "--template", "welcome", "--object", "crm/daily.csv", *args).code == 0


def body(api: FakeApi, path: str) -> Any:
    """The body of the last request to a path."""
    return next(each for _, where, each, _ in reversed(api.requests) if where == path)


# saving


def test_a_file_says_it_all_and_its_recipients_are_uploaded(api: FakeApi, mepush: Mepush, people: Path) -> None:
    file = people.with_name("spring.toml")
    file.write_text(TOML)
    ran = mepush("campaign", "create", "spring", "--file", str(file))
    assert ran.code == 0
    assert api.paths() == ["POST /v1/audiences", "POST /v1/campaigns"]
    name = "uploads/01KAV2M3X8000000000000000.csv"
    assert api.uploads[name][1] == CSV.encode()
    assert body(api, "/v1/campaigns") == {
        "id": "spring",
        "name": "Spring sale",
        "variants": [{"name": "main", "template": "welcome", "version": 3}],
        "throttle": 3000,
        "audience": {"file": name, "format": "csv", "columns": {"to": "E-Mail"}},
        "variables": {"month": "May"},
        "schedule": {"expression": "at(2027-05-01T09:00:00)", "time_zone": "Asia/Shanghai"},
        "stop_rule": {"failures_percent": 5},
    }
    lines = ran.out.splitlines()
    assert lines[0] == "spring: Spring sale (email, marketing)"
    assert "template:    welcome, v3" in lines
    assert f"audience:    {name} (csv); addresses in `E-Mail`" in lines
    assert "throttle:    3,000 messages a minute" in lines
    rule = "more than 5% failed or more than 0.3% were complained about or more than 5% came back"
    assert f"stop rule:   pauses once 1,000 messages have an outcome and {rule}" in lines
    assert lines[-2:] == ["             Wed 2026-11-25 09:00 CST", "             Thu 2026-11-26 09:00 CST"]
    assert "`mepush campaign check spring`" in ran.err


def test_options_say_the_same_and_count_more_than_the_file(api: FakeApi, mepush: Mepush, people: Path) -> None:
    file = people.with_name("spring.toml")
    file.write_text(TOML)
    options = ["--throttle", "60", "--variant", "a=welcome@2:30", "--variant", "b=other", "--var", "year=2027"]
    options += ["--cron", "0 9 ? * MON *", "--local", "--overlap", "queue", "--holdout", "2.5", "--duplicates", "each"]
    options += ["--time-zone-column", "tz", "--column", "who=name", "--stop-after", "50", "--approve-above", "0"]
    options += ["--stop-undelivered", "8"]
    assert mepush("campaign", "create", "spring", "--file", str(file), *options, "--ttl", "600").code == 0
    sent = body(api, "/v1/campaigns")
    variants = [{"name": "a", "template": "welcome", "version": 2, "weight": 30}, {"name": "b", "template": "other"}]
    assert sent["variants"] == variants
    assert sent["variables"] == {"month": "May", "year": "2027"}
    schedule = {"expression": "cron(0 9 ? * MON *)", "time_zone": "Asia/Shanghai", "local": True, "overlap": "queue"}
    assert sent["schedule"] == schedule
    assert sent["audience"]["columns"] == {"to": "E-Mail", "time_zone": "tz", "variables": {"who": "name"}}
    assert sent["stop_rule"] == {"failures_percent": 5, "undelivered_percent": 8, "after": 50}
    facts = {"throttle": 60, "holdout_percent": 2.5, "duplicates": "each", "approve_above": 0, "ttl": 600}
    assert {name: sent[name] for name in facts} == facts


@pytest.mark.parametrize(
    ("given", "expression"),
    [
        (("--every", "6 hours"), "rate(6 hours)"),
        (("--every", "rate(1 day)"), "rate(1 day)"),
        (("--cron", "cron(0 9 * * ? *)"), "cron(0 9 * * ? *)"),
        (("--at", "2027-05-01 09:00"), "at(2027-05-01T09:00:00)"),
    ],
)
def test_schedules_are_written_as_eventbridge_has_them(
    api: FakeApi, mepush: Mepush, given: tuple[str, ...], expression: str
) -> None:
    one(mepush, *given)
    assert body(api, "/v1/campaigns")["schedule"] == {"expression": expression}


def test_a_local_schedule_is_shown_where_it_begins(mepush: Mepush, api: FakeApi) -> None:
    one(mepush, "--cron", "0 15 * * ? *", "--local", "--zone", "Europe/London")
    shown = mepush("campaign", "show", "spring").out
    assert "by each recipient's own clock, else in Europe/London" in shown
    assert shown.splitlines()[-1].strip() == "Thu 2026-11-26 15:00 +14"


def test_a_packed_file_is_uploaded_as_it_is(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    path = tmp_path / "people.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"to": "a@example.com"}\n'))
    assert mepush("campaign", "create", "spring", "--template", "welcome", "--audience", str(path)).code == 0
    assert api.requests[0][2] == {"format": "ndjson"}
    assert [data for _, data in api.uploads.values()] == [path.read_bytes()]
    assert body(api, "/v1/campaigns")["audience"]["format"] == "ndjson"


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (CSV.encode(), (), "has no column `to`; it has: `E-Mail`, `name`, `tz`."),
        (CSV.encode(), ("--to-column", "e-mail", "--column", "who=nobody"), "has no column `nobody`"),
        (b"", ("--to-column", "E-Mail"), "is empty"),
        (b"PK\x03\x04xlsx", (), "is an Excel workbook"),
        (CSV.encode("utf-16"), (), "has no column `to`; it has: `E-Mail`"),
        ("手机号,name\n".encode("gb18030"), (), "has no column `to`; it has: `手机号`, `name`"),
        (CSV.encode("utf-16-le"), (), "UTF-16 without its mark"),
        (b"<html><table>", (), "a web page or XML"),
        (b"\x1f\x8bbroken", (), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_not_uploaded(
    api: FakeApi, mepush: Mepush, tmp_path: Path, data: bytes, options: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(data)
    ran = mepush("campaign", "create", "spring", "--template", "welcome", "--audience", str(path), *options)
    assert (ran.code, ran.out, api.requests) == (1, "", [])
    assert said in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "has no template"),
        (("--template", "welcome"), "has no recipients"),
        (("--template", "welcome", "--object", "list.txt"), "--format csv or --format ndjson"),
        (
            ("--template", "welcome", "--object", "a.csv", "--audience", "b.csv"),
            "one of --audience, --object and --follows",
        ),
        (("--template", "welcome", "--object", "a.csv", "--variant", "a=b"), "belongs to --template"),
        (("--variant", "welcome", "--object", "a.csv"), "name=template:weight"),
        (("--variant", "a=welcome:x", "--object", "a.csv"), "name=template:weight"),
        (("--template", "welcome", "--object", "a.csv", "--cron", "0 9 * * ? *", "--every", "1 day"), "one of --cron"),
        (("--template", "welcome", "--object", "a.csv", "--zone", "Asia/Shanghai"), "no schedule to change"),
        (("--template", "welcome", "--object", "a.csv", "--at", "2027-05-01T09:00+08:00"), "without an offset"),
        (("--template", "welcome", "--object", "a.csv", "--at", "soon"), "2026-12-01T09:00"),
        (
            ("--template", "welcome", "--object", "a.csv", "--throttle", "0"),
            "'--throttle': Input should be greater than or equal to 1",
        ),
        (
            ("--template", "welcome", "--object", "a.csv", "--holdout", "51"),
            "'--holdout': Input should be less than or equal to 50",
        ),
        (("--version", "2", "--object", "a.csv"), "belongs to --template"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_sent(
    api: FakeApi, mepush: Mepush, args: tuple[str, ...], said: str
) -> None:
    ran = mepush("campaign", "create", "spring", *args)
    assert (ran.code, ran.out, api.requests) == (2, "", [])
    # Usage errors stand in a box.
    assert said in re.sub(r"[\s│]+", " ", ran.err)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TOML.replace("throttle = 3000", "throtle = 3000"), "throtle: there is no such field"),
        (TOML.replace("time_zone =", "zone ="), "schedule.zone: there is no such field"),
        (
            TOML.replace('file = "people.csv"', 'file = "people.csv"\nformat = "xlsx"'),
            "audience.format must be csv or ndjson",
        ),
        (
            "audience = 3\nschedule = [1]\nvariants = 2",
            "audience: must be a table schedule: must be a table variants: must be a list",
        ),
        ("variants = [3, {nam = 1}]", "variants.0: must be a table variants.1.nam: there is no such field"),
        ("[audience.columns]\nvariables = 1", "audience.columns.variables: must be a table"),
        ("throttle = inf", "throttle must be a number that is finite"),
        ("version = 3\n[[variants]]\nname = 'a'\ntemplate = 'b'", "has a `version` and no `template`"),
        (TOML.replace('file = "people.csv"', ""), "needs one of `file`"),
        (TOML.replace("at = 2027-05-01T09:00:00", ""), "needs one of `cron`, `at` and `every`"),
        (TOML.replace("version = 3", "variants = []"), "both `template` and `variants`"),
        ("throttle =", "is not TOML"),
        ("id = 'other'\n" + TOML, "of another campaign than spring"),
        (TOML.replace("people.csv", "nobody.csv"), "nobody.csv cannot be read"),
    ],
)
def test_a_campaigns_file_that_is_wrong_is_named(
    api: FakeApi, mepush: Mepush, people: Path, text: str, said: str
) -> None:
    file = people.with_name("spring.toml")
    file.write_text(text)
    ran = mepush("campaign", "create", "spring", "--file", str(file))
    assert ran.code in (1, 2) and api.requests == []
    assert said in " ".join(ran.err.split())


RUN_BEFORE = "sale.01JHMPFN8022ECZH5CSHTK0000"
AGAIN = ("--template", "welcome")


@pytest.mark.parametrize(
    ("args", "follows"),
    [
        (("--follows", RUN_BEFORE, "--who", "not_opened"), {"run": RUN_BEFORE, "who": "not_opened"}),
        (
            ("--follows", "sale", "--who", "no_receipt", "--after-hours", "48"),
            {"campaign": "sale", "who": "no_receipt", "after_hours": 48},
        ),
    ],
)
def test_a_campaign_may_follow_a_run(
    api: FakeApi, mepush: Mepush, args: tuple[str, ...], follows: dict[str, Any]
) -> None:
    ran = mepush("campaign", "create", "again", *AGAIN, *args, "--to-column", "phone")
    assert ran.code == 0
    sent = body(api, "/v1/campaigns")["audience"]
    assert sent == {"follows": follows, "columns": {"to": "phone"}}
    # Nothing is uploaded.
    assert api.paths() == ["POST /v1/campaigns"]


def test_a_file_may_follow_a_run_and_options_count_more(api: FakeApi, mepush: Mepush, people: Path) -> None:
    file = people.with_name("again.toml")
    told = f'template = "welcome"\n[audience.follows]\nrun = "{RUN_BEFORE}"\nwho = "not_opened"\n'
    file.write_text(told)
    assert mepush("campaign", "create", "again", "--file", str(file)).code == 0
    assert body(api, "/v1/campaigns")["audience"] == {"follows": {"run": RUN_BEFORE, "who": "not_opened"}}
    assert mepush("campaign", "create", "other", "--file", str(file), "--who", "not_clicked").code == 0
    assert body(api, "/v1/campaigns")["audience"] == {"follows": {"run": RUN_BEFORE, "who": "not_clicked"}}
    file.write_text(told + "opened = false\n")
    ran = mepush("campaign", "create", "again", "--file", str(file))
    assert ran.code == 1
    assert "audience.follows.opened: there is no such field" in ran.err


def test_an_edit_changes_whom_a_campaign_follows(api: FakeApi, mepush: Mepush, people: Path) -> None:
    mepush("campaign", "create", "spring", *AGAIN, "--follows", "sale", "--who", "not_opened")
    mepush("campaign", "edit", "spring", "--who", "not_clicked")
    changed = body(api, "/v1/campaigns/spring")["audience"]
    assert changed["follows"] == {"campaign": "sale", "who": "not_clicked"}
    mepush("campaign", "edit", "spring", "--follows", RUN_BEFORE)
    assert body(api, "/v1/campaigns/spring")["audience"]["follows"] == {"run": RUN_BEFORE, "who": "not_clicked"}
    mepush("campaign", "edit", "spring", "--object", "crm/daily.csv")
    changed = body(api, "/v1/campaigns/spring")["audience"]
    assert changed["file"] == "crm/daily.csv"
    assert "follows" not in changed


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--follows", "sale"), "say which of its people"),
        (("--follows", "sale", "--who", "asleep"), "is not one of"),
        (("--object", "daily.csv", "--who", "not_opened"), "follows no run"),
        (
            ("--object", "daily.csv", "--follows", "sale", "--who", "failed"),
            "one of --audience, --object and --follows",
        ),
    ],
)
def test_who_is_followed_must_be_plain(api: FakeApi, mepush: Mepush, args: tuple[str, ...], said: str) -> None:
    ran = mepush("campaign", "create", "again", *AGAIN, *args)
    assert (ran.code, ran.out, api.requests) == (2, "", [])
    assert said in re.sub(r"[\s│]+", " ", ran.err)


def test_an_upload_that_is_refused_ends_the_command(api: FakeApi, mepush: Mepush, people: Path) -> None:
    api.upload_status = 403
    args = ("--template", "welcome", "--audience", str(people), "--to-column", "E-Mail")
    ran = mepush("campaign", "create", "spring", *args)
    assert ran.code == 1 and "refused" in ran.err
    assert api.paths() == ["POST /v1/audiences"]


def test_an_edit_changes_what_is_given_and_keeps_the_rest(api: FakeApi, mepush: Mepush) -> None:
    one(mepush, "--cron", "0 9 * * ? *", "--zone", "Asia/Shanghai", "--to-column", "mail", "--var", "a=1")
    assert (
        mepush("campaign", "edit", "spring", "--every", "1 day", "--var", "b=2", "--time-zone-column", "tz").code == 0
    )
    sent = body(api, "/v1/campaigns/spring")
    assert sent.keys() == {"schedule", "variables", "audience"}
    assert sent["schedule"]["expression"] == "rate(1 day)" and sent["schedule"]["time_zone"] == "Asia/Shanghai"
    assert "next" not in sent["schedule"]
    assert sent["variables"] == {"a": "1", "b": "2"}
    assert sent["audience"]["file"] == "crm/daily.csv"
    assert (sent["audience"]["columns"]["to"], sent["audience"]["columns"]["time_zone"]) == ("mail", "tz")
    mepush("campaign", "edit", "spring", "--clear", "throttle", "--clear", "stop_rule", "--name", "New")
    assert body(api, "/v1/campaigns/spring") == {"throttle": None, "stop_rule": None, "name": "New"}
    mepush("campaign", "edit", "spring", "--object", "new.ndjson")
    changed = body(api, "/v1/campaigns/spring")["audience"]
    assert (changed["file"], changed["format"], changed["columns"]["to"]) == ("new.ndjson", "ndjson", "mail")


def test_an_edit_of_nothing_is_none(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    ran = mepush("campaign", "edit", "spring")
    assert ran.code == 2 and "nothing to change" in ran.err
    ran = mepush("campaign", "edit", "spring", "--throttle", "9", "--clear", "throttle")
    assert ran.code == 2 and "set and cleared" in ran.err
    assert api.changes() == ["POST /v1/campaigns"]


def test_the_list_names_the_next_run_and_what_goes_on(api: FakeApi, mepush: Mepush) -> None:
    assert "There are no campaigns" in mepush("campaign", "list").out
    one(mepush, "--every", "1 day")
    lines = mepush("campaign", "list").out.splitlines()
    assert lines[1].split() == ["spring", "spring", "email", "welcome", "2026-11-25", "01:00", "-"]
    assert mepush("campaign", "list", "--json").json["campaigns"][0]["id"] == "spring"
    mepush("campaign", "unschedule", "spring")
    assert body(api, "/v1/campaigns/spring") == {"schedule": None}
    assert mepush("campaign", "archive", "spring").out == "spring is archived\n"
    assert mepush("campaign", "list").out.splitlines()[1].split()[-2:] == ["-", "archived"]


# checks and tests


def test_a_check_waits_and_reports(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    api.campaigns.script = [
        run_view("planning", purpose="check"),
        run_view("checking", purpose="check", progress=progress(rows_read=9_000)),
        run_view("checked", purpose="check", check=CHECK, progress=progress(18_810, rows_read=20_000)),
    ]
    ran = mepush("campaign", "check", "spring")
    assert ran.code == 0
    said = ["planning: 0 rows read", "checking: 9,000 rows read", "checked: 20,000 rows read, 18,810 messages"]
    assert ran.err.splitlines() == said
    found = [line.split() for line in ran.out.splitlines()]
    assert found[0] == [RUN, "checked"]
    assert found[1] == ["rows", "20,000"]
    assert found[2][:2] == ["rejected", "80"]
    assert [line[:2] for line in found[3:4]] == [["duplicates", "120"]]
    assert found[4][:3] == ["held", "out", "990"]
    assert found[5] == ["messages", "18,810"]
    assert found[6][:2] == ["suppressed", "14"]
    assert "1.80 USD + not known for mail" in ran.out
    assert "6 min 16 s, at 3,000 messages a minute" in ran.out
    assert [line for line in found if line[:1] == ["address_invalid"]] == [
        ["address_invalid", "60", "7", "has", "no", "@"]
    ]
    assert ["1207", "has", "two", "@"] in found
    assert "variable_missing (name)" in ran.out and "The template needs it." in ran.out
    assert f"mepush campaign rejects {RUN} --out rejects.csv" in ran.out


def test_a_check_of_a_file_that_cannot_be_used_fails(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    api.campaigns.script = [run_view("failed", purpose="check", problem="The file has no column `to`.")]
    ran = mepush("campaign", "check", "spring")
    assert ran.code == 1
    assert ran.out.splitlines() == [f"{RUN}  failed", "The file has no column `to`."]
    ran = mepush("campaign", "check", "spring", "--json")
    assert (ran.code, ran.err, ran.json["state"]) == (1, "", "failed")


def test_test_messages_are_shown_with_what_is_wrong(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    ran = mepush("campaign", "test", "spring", "--to", "a@example.com", "--var", "name=Ada")
    assert ran.code == 0 and "mepush trace 01KAV" in ran.out
    assert api.campaigns.tested == [{"to": ["a@example.com"], "variables": {"name": "Ada"}}]
    ran = mepush("campaign", "test", "spring", "--to", "a@example.com", "--to", "b")
    assert ran.code == 1 and "the address is not valid" in ran.out


# runs


def test_a_run_starts_and_can_be_watched_to_its_end(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    ran = mepush("campaign", "run", "spring", "--throttle", "600")
    assert ran.code == 0 and ran.out.splitlines()[:2] == [f"{RUN}  planning", "0 rows read"]
    assert body(api, "/v1/campaigns/spring/runs") == {"throttle": 600}
    api.campaigns.script = [
        run_view("sending", progress=progress(100, 80, sent=50, failed=2, expired=1)),
        finished(),
    ]
    ran = mepush("campaign", "run", "spring", "--watch")
    assert ran.code == 0
    assert body(api, "/v1/campaigns/spring/runs") == {}
    assert ran.err.splitlines() == [
        "planning: 0 rows read",
        "sending: 100 planned, 80 accepted, 50 sent, 2 failed, 1 other, 3,000 a minute, 1 min 15 s left",
        "finished: 100 planned, 100 accepted, 97 sent, 3 failed",
    ]
    assert ran.out.splitlines()[0] == f"{RUN}  finished"


def finished(**facts: Any) -> dict[str, Any]:
    """A run that is over, with all that a report may hold."""
    long = {"name": "long", "template": "welcome", "version": 2, "weight": 60, "accepted": 60}
    short = {"name": "short", "template": "hello", "version": 1, "weight": 40, "accepted": 40}
    return run_view(
        "finished",
        check=CHECK,
        progress=progress(100, 100, 20_000, sent=97, failed=3),
        variants=[{**long, "stages": {"sent": 58, "opened": 30}}, {**short, "stages": {"sent": 39, "failed": 1}}],
        reasons=[
            {
                "stage": "failed",
                "reason": "mailbox_full",
                "messages": 3,
                "explanation": "The mailbox is full.",
                "action": "Try later.",
            }
        ],
        started_at=NOW,
        over_at=NOW,
        seconds=194.0,
        fees=[{"account": "ses", "provider": "ses", "units": 97, "amount": 0.0097, "currency": "USD"}],
        **facts,
    )


def test_a_report_tells_all(api: FakeApi, mepush: Mepush) -> None:
    api.campaigns.script = [finished(approved_by="k2", kind="test")]
    ran = mepush("campaign", "report", RUN)
    assert ran.code == 0
    found = [line.split() for line in ran.out.splitlines()]
    assert "approved by k2 · test key: nobody gets anything" in ran.out
    assert ["sent", "97", "97.0%"] in found and ["failed", "3", "3.0%"] in found
    assert "time 3 min 14 s (30 sent a minute), fees 0.0097 USD" in ran.out
    assert found[[line[:1] for line in found].index(["variant"])][4:] == ["sent", "opened", "failed"]
    assert ["long", "welcome", "v2", "60", "60", "58", "(96.7%)", "30", "(50.0%)", "0", "(0.0%)"] in found
    assert "The mailbox is full. Try later." in ran.out
    # What was estimated is not shown beside what it really took.
    assert "6 min 16 s" not in ran.out


def test_a_report_tells_whom_a_run_follows_and_what_was_said_of_its_messages(api: FakeApi, mepush: Mepush) -> None:
    other = {"why": "too_recent", "rows": 30, "explanation": "It may still be said."}
    follows = {"run": RUN_BEFORE, "who": "not_opened", "after_hours": 24, "rows": 100, "picked": 70, "others": [other]}
    receipts = {"delivered": 90, "undelivered.transient": 4, "complained": 1}
    api.campaigns.script = [finished(follows={**follows, "warning": "Nobody opened it."}, receipts=receipts, file=None)]
    ran = mepush("campaign", "report", RUN)
    assert ran.code == 0
    found = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert f"of the run {RUN_BEFORE}, those who have not opened it, 24 hours after it was sent" in found
    assert "Nobody opened it." in found
    assert "all 100" in found
    assert any(line.startswith("picked 70 ") for line in found)
    assert "too recent 30 It may still be said." in found
    # Of 97 that were sent.
    assert "delivered 90 92.8%" in found
    assert any(line.startswith("undelivered for now 4 4.1% came back for now") for line in found)
    assert "complained 1 1.0% reported it as spam" in found


def test_a_watch_ends_where_a_person_is_needed_and_nobody_may_be_there(api: FakeApi, mepush: Mepush) -> None:
    for state, advice in (("paused", "campaign resume"), ("awaiting_approval", "campaign approve")):
        api.campaigns.script = [run_view("sending"), run_view(state, problem="Too many failed.")]
        ran = mepush("campaign", "watch", RUN)
        assert ran.code == 1
        assert ("another person" in ran.out) == (state == "awaiting_approval")
        assert "Too many failed." in ran.out and f"mepush {advice} {RUN}" in ran.out


@pytest.mark.parametrize("state", ["cancelled", "failed", "skipped"])
def test_a_run_that_came_to_nothing_ends_the_watch_with_1(api: FakeApi, mepush: Mepush, state: str) -> None:
    api.campaigns.script = [run_view(state)]
    assert mepush("campaign", "watch", RUN, "--json").code == 1


def test_ctrl_c_leaves_the_run_and_says_so(api: FakeApi, mepush: Mepush, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "_pause", interrupt)
    api.campaigns.script = [run_view("sending")]
    ran = mepush("campaign", "watch", RUN)
    assert (ran.code, ran.out) == (130, "")
    assert f"The run goes on. Look again with `mepush campaign watch {RUN}`" in ran.err
    assert api.changes() == []


def test_a_watch_outlives_an_api_that_is_away(api: FakeApi, mepush: Mepush, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([500] * 3)

    def away(id: Any, name: Any) -> Any:
        if next(looks, None):
            raise ConnectionProblemError("away")
        return finished()

    monkeypatch.setattr("mepush.client.api.Client.get", lambda self, path, **params: away(path, params))
    assert watching.watch(_client(api), _quiet(), run_view("sending"))["state"] == "finished"
    looks = iter([500] * 100)
    with pytest.raises(ConnectionProblemError):
        watching.watch(_client(api), _quiet(), run_view("sending"))


def _client(api: FakeApi) -> Any:
    return Client(api.url, KEY)


def _quiet() -> Any:
    return Output(as_json=True)


def test_the_bar_shows_share_pace_and_counts() -> None:
    file = StringIO()
    shown = Console(file=file, width=80, force_terminal=True, color_system=None)
    for run in (
        run_view("checking", progress=progress(rows_read=9_000)),
        run_view("sending", progress=progress(200, 120, sent=90, failed=10)),
        run_view("paused", problem="More than 5% failed.", progress=progress(200, 120, sent=90)),
    ):
        shown.print(watching.bar(run))
    lines = [line.rstrip() for line in file.getvalue().splitlines() if "━" not in line]
    assert lines == [
        f"{RUN}  checking",
        "9,000 rows read",
        f"{RUN}  sending 50%  3,000 a minute, 1 min 15 s left",
        "200 planned, 120 accepted, 90 sent, 10 failed",
        f"{RUN}  paused 45%",
        "200 planned, 120 accepted, 90 sent, 0 failed",
        "More than 5% failed.",
    ]


@pytest.mark.parametrize(
    ("command", "path", "state"),
    [
        ("pause", "pause", "paused"),
        ("resume", "resume", "sending"),
        ("cancel", "cancel", "cancelled"),
        ("approve", "approve", "sending"),
    ],
)
def test_a_run_is_controlled_by_its_own_id_or_its_campaigns(
    api: FakeApi, mepush: Mepush, command: str, path: str, state: str
) -> None:
    one(mepush)
    for what in (RUN, "spring"):
        ran = mepush("campaign", command, what)
        assert ran.code == 0 and ran.out.splitlines()[0] == f"{RUN}  {state.replace('_', ' ')}"
        assert api.paths()[-1] == f"POST /v1/runs/{RUN}/{path}"


def test_what_a_run_has_sent_is_taken_back_page_by_page(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("campaign", "recall", RUN)
    assert (ran.code, ran.out) == (0, f"{RUN}: 1,000 withdrawn\n")
    path = f"POST /v1/runs/{RUN}/recall"
    assert api.paths() == [path, f"{path}?cursor=0-5", f"{path}?cursor=0-10"]


def test_a_throttle_is_changed_and_taken_away(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("campaign", "throttle", RUN, "1200")
    assert "throttle: 1,200 messages a minute" in ran.out
    assert mepush("campaign", "throttle", RUN, "none").code == 0
    assert [each for method, _, each, _ in api.requests if method == "PATCH"] == [
        {"throttle": 1200},
        {"throttle": None},
    ]
    assert mepush("campaign", "throttle", RUN, "fast").code == 2


def test_without_a_run_that_goes_on_it_says_so(api: FakeApi, mepush: Mepush) -> None:
    one(mepush)
    api.campaigns.active = False
    ran = mepush("campaign", "pause", "spring")
    assert ran.code == 2 and "No run of spring is going on." in ran.err and "campaign runs spring" in ran.err
    # But looking finds the latest.
    api.campaigns.script = [finished()]
    assert mepush("campaign", "status", "spring").out.splitlines()[0] == f"{RUN}  finished"
    ran = mepush("campaign", "runs", "spring")
    assert ran.out.splitlines()[1].split()[:3] == [RUN, "send", "finished"]


def test_what_is_not_there_is_said_as_the_api_says_it(mepush: Mepush, api: FakeApi) -> None:
    for command in ("show", "check", "runs", "status", "pause"):
        ran = mepush("campaign", command, "nothing")
        assert ran.code == 1 and "There is no such campaign." in ran.err
    ran = mepush("campaign", "report", "spring.0")
    assert ran.code == 1 and "There is no such run." in ran.err


def test_rejects_are_joined_into_one_file(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    api.campaigns.parts = REJECTS
    path = tmp_path / "rejects.csv"
    path.write_text("old")
    ran = mepush("campaign", "rejects", RUN, "--out", str(path))
    assert (ran.code, ran.out) == (0, f"2 rejected rows in {path}\n")
    assert path.read_bytes().decode("utf-8-sig").splitlines() == [
        "row,reason,detail,to,name",
        '3,address_invalid,no address,x,"Li, Lei"',
        "9,a,b,c,",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["rejects.csv"]
    assert mepush("campaign", "rejects", RUN, "--out", str(tmp_path / "no" / "x.csv")).code == 1
    api.campaigns.parts = []
    ran = mepush("campaign", "rejects", RUN, "--out", str(path), "--json")
    assert ran.json == {"run": RUN, "file": str(path), "rows": 0}


def test_rejects_keep_the_delimiter_of_the_file(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    api.campaigns.parts = [part.replace(",", ";") for part in REJECTS]
    path = tmp_path / "rejects.csv"
    assert mepush("campaign", "rejects", RUN, "--out", str(path)).code == 0
    lines = path.read_bytes().decode("utf-8-sig").splitlines()
    assert lines == ["row;reason;detail;to;name", '3;address_invalid;no address;x;"Li; Lei"', "9;a;b;c;"]


def test_rejects_that_break_off_leave_the_old_file(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    api.campaigns.parts = REJECTS
    path = tmp_path / "rejects.csv"
    path.write_text("old")
    api.scopes = {"read"}
    assert mepush("campaign", "rejects", RUN, "--out", str(path)).code == 1
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["rejects.csv"]
