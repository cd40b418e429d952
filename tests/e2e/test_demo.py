"""The whole of `examples/` through the local stack: what `make demo` shows, asserted."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from local import __main__ as program
from local.demo import Expected, Report, _compare, read_expected, run_demo
from local.seed import first_key, seed
from local.server import PortError
from local.stack import LocalStack
from local.synth import ROOT
from mepush.client.api import Client
from mepush.client.connection import LOCAL_FILE, Connection, find_connection, read_local, write_local
from mepush.files.sending import FileResult, RowResult
from mepush.output import make_console

pytestmark = pytest.mark.xdist_group("local-stack")


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def key(stack: LocalStack) -> str:
    made = first_key(stack)
    seed(stack.url, made, stack.sandboxes)
    return made


@pytest.fixture(scope="module")
def report(stack: LocalStack, key: str) -> Report:
    return run_demo(stack, key, timeout=90)


def test_every_recipient_comes_to_its_expected_end_and_the_books_balance(report: Report) -> None:
    expected = read_expected()
    assert report.mismatches == []
    assert report.ok
    assert report.recipients == len(expected)
    for end in ("sent", "undelivered", "complained"):
        assert report.ends[end] == sum(wanted == end for wanted, _ in expected.values()) > 0
    assert report.balance["in_flight"] == 0


def test_it_says_how_long_each_part_took(report: Report) -> None:
    assert 0 < report.accepted_seconds <= report.seconds


def test_rejected_rows_are_named_by_row_column_and_reason(report: Report) -> None:
    expected = {row for row, (end, _) in read_expected().items() if end == "rejected"}
    assert {(refused.audience, refused.result.row) for refused in report.refused} == expected
    assert all(refused.result.reason and refused.result.detail for refused in report.refused)


def test_there_is_a_timeline_for_each_channel_and_no_address_in_it(report: Report) -> None:
    assert {message["channel"] for message in report.timelines} == {"email", "sms", "wecom"}
    shown = {message["status"] for message in report.timelines}
    assert {"undelivered", "complained", "opened", "clicked", "unsubscribed"} <= shown
    for message in report.timelines:
        stages = [event["stage"] for event in message["timeline"]]
        # Events are in the order of time, and what a provider reports has its own clock.
        assert stages[0] == "accepted" and {"sent", message["status"]} <= set(stages)
        assert "*" in message["to"]


def test_the_report_says_it_all(report: Report) -> None:
    text = io.StringIO()
    report.show(Console(file=text, width=200, markup=False))
    assert f"{report.recipients:,} recipients: " in text.getvalue()
    assert "Every recipient came to the expected end." in text.getvalue()
    assert "address_invalid" in text.getvalue()
    known = sum(1 for refused in report.refused if refused.result.message_id)
    assert 0 < known < len(report.refused)
    words = f"Of the {len(report.refused)} rejected rows, {known} are in the balance; {len(report.refused) - known} got"
    assert words in text.getvalue()


@pytest.mark.parametrize(
    ("account", "wrong"),
    [
        ("mail-ses", {"from_address": "shop@example.org"}),
        ("sms-aws", {"origination_identity": "STRANGER"}),
    ],
)
def test_an_account_with_a_sender_that_its_sandbox_does_not_know_fails_to_verify(
    stack: LocalStack, key: str, account: str, wrong: dict[str, str]
) -> None:
    with Client(stack.url, key) as api:
        assert api.post(f"/v1/accounts/{account}/verify", {})["ok"]
        settings = api.get(f"/v1/accounts/{account}")["settings"]
        api.post("/v1/accounts", {"id": "wrong-" + account, "name": "Wrong", "settings": settings | wrong})
        found = api.post(f"/v1/accounts/wrong-{account}/verify", {})
        assert not found["ok"] and found["summary"] and found["action"]


def test_what_the_providers_got_is_what_was_written(stack: LocalStack, report: Report) -> None:
    assert report.ok
    mails = {d.to: d.data for d in stack.outbox.all() if d.provider in {"smtp", "ses"}}
    assert "mail8@xn--fsqu00a.example" in mails
    codes = {d.to: d.data for d in stack.outbox.all("tencent") if d.data["template_id"] == "1900001"}
    assert all(number.startswith("+861") for number in codes)
    assert all(data["sign"] == "蓝鲸商城" and data["params"][0].isdigit() for data in codes.values())
    assert {d.to for d in stack.outbox.all("aws")} >= {"+14254147755", "+447860019066", "+85257048426"}
    assert {"@all", "party:2", "party:3", "tag:7"} <= {d.to for d in stack.outbox.all("app")}
    assert len(stack.outbox.all("robot")) == 6


def traced_as(status: str, final: bool = True) -> dict[str, Any]:
    """A message, as much of it as the comparison reads."""
    return {"status": status, "final": final, "timeline": [{"stage": status, "reason": "mailbox_full"}]}


@pytest.mark.parametrize(
    ("rows", "traced", "expected", "words"),
    [
        ([RowResult(2, "accepted", "m")], {"m": traced_as("failed")}, {("a", 2): ("sent", "")}, "failed mailbox_full"),
        ([RowResult(2, "accepted", "m")], {}, {("a", 2): ("sent", "")}, "not traced"),
        (
            [RowResult(2, "accepted", "m")],
            {"m": traced_as("retrying", final=False)},
            {("a", 2): ("sent", "")},
            "still retrying",
        ),
        (
            [RowResult(2, "accepted", "m")],
            {"m": traced_as("sent")},
            {("a", 2): ("rejected", "address_invalid")},
            "sent, not rejected address_invalid",
        ),
        (
            [RowResult(2, "rejected", "m", "to", "address_invalid")],
            {},
            {("a", 2): ("rejected", "address_invalid")},
            "not traced",
        ),
        ([], {}, {("a", 2): ("sent", "")}, "not even read"),
        ([RowResult(2, "invalid", "", "to", "row_invalid")], {}, {}, "it is no recipient"),
    ],
)
def test_a_wrong_end_is_a_mismatch(
    rows: list[RowResult], traced: dict[str, Any], expected: Expected, words: str
) -> None:
    report = Report()
    _compare(report, [("a", FileResult(rows=rows))], traced, expected)
    assert len(report.mismatches) == 1
    assert words in report.mismatches[0]
    assert not report.ok


def test_what_is_printed_works_when_it_is_copied(stack: LocalStack, key: str) -> None:
    text = io.StringIO()
    program._explain(Console(file=text, width=40), stack.url, key, Connection("http://127.0.0.1:1", "other"))
    shown = text.getvalue()
    lines = shown.splitlines()
    assert max(map(len, lines[lines.index("Send a message:") :])) <= 80
    environment = {"PATH": os.environ["PATH"]}
    sending = shown.partition("Send a message:\n")[2]
    done = subprocess.run(["sh", "-c", sending], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["accepted"] == 1
    exports = "\n".join(line for line in lines if line.startswith("export "))
    (command,) = [line.removeprefix("Command").strip() for line in lines if line.startswith("Command")]
    script = f"{exports}\n{command} --json".replace(
        program._MEPUSH, f"{sys.executable} -c 'from mepush.main import main; main()'"
    )
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["accepted"] >= 1
    for page in ("/docs", "/openapi.json", "/_local/outbox"):
        assert any(page in line for line in lines)
        assert httpx.get(stack.url + page, trust_env=False).status_code == 200


class FakeStack:
    """Stands in for a stack where only the program around it is tried."""

    url = "http://127.0.0.1:1"
    sandboxes: dict[str, Any]

    def __init__(self, port: int, faults: object, memory: bool, kept: object) -> None:
        self.port = port
        self.sandboxes = {}
        self.pages: dict[str, Any] = {}
        self.left = False
        STACKS.append(self)

    def __enter__(self) -> "FakeStack":
        return self

    def __exit__(self, *exc: object) -> None:
        self.left = True


STACKS: list[FakeStack] = []


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    """The program around a fake stack; the report that its demonstration gives."""
    report = Report(balance={"accepted": 0, "redriven": 0, "rejected": 0, "outcomes": {}, "in_flight": 0, "hours": []})
    STACKS.clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "LocalStack", FakeStack)
    monkeypatch.setattr(program, "first_key", lambda stack: "the-key")
    monkeypatch.setattr(program, "seed", lambda url, key, sandboxes, again: None)
    monkeypatch.setattr(program, "run_demo", lambda stack, key: report)
    return report


def test_the_exit_code_says_whether_all_ends_were_expected(fake: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert program._run("demo", None, make_console()) == 0
    fake.mismatches.append("customers.csv, row 7: failed, not sent")
    assert program._run("demo", None, make_console()) == 1
    assert "customers.csv, row 7: failed, not sent" in capsys.readouterr().out
    assert [(stack.port, stack.left) for stack in STACKS] == [(0, True), (0, True)]


@pytest.mark.parametrize(("command", "code"), [("run", 1), ("serve", 0)])
def test_the_command_finds_a_serving_stack_until_it_ends(
    fake: Report, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    fake.mismatches.append("something")
    found = []
    monkeypatch.setattr(program, "_until_interrupted", lambda: found.append(find_connection(None, None, {})))
    assert program._run(command, None, make_console()) == code
    assert [(connection.url, connection.key) for connection in found] == [(FakeStack.url, "the-key")]
    assert not LOCAL_FILE.exists()
    assert (STACKS[0].port, STACKS[0].left) == (program.PORT, True)


def test_a_second_run_says_which_port_it_has_and_leaves_the_first_its_command(
    fake: Report,
    stack: LocalStack,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    first = Connection(stack.url, key)
    found = []
    monkeypatch.setattr(program, "_until_interrupted", lambda: found.append(find_connection(None, None, {})))
    write_local(first)
    program._run("serve", None, make_console())
    said = capsys.readouterr().out
    assert f"Port {program.PORT} is taken; this run listens at {FakeStack.url}." in said
    assert f"Another local stack serves at {stack.url}" in said
    assert f"export MEPUSH_URL={FakeStack.url}\nexport MEPUSH_KEY=the-key\n" in said
    assert found == [first]
    assert read_local() == first


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "the stack"])
def test_the_file_of_a_run_that_is_gone_is_replaced(
    fake: Report, stack: LocalStack, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    # Nothing listens there; or another run does, which does not know the key.
    write_local(Connection(stack.url if url == "the stack" else url, "mp_live_gone"))
    found = []
    monkeypatch.setattr(program, "_until_interrupted", lambda: found.append(find_connection(None, None, {})))
    program._run("serve", None, make_console())
    assert found == [Connection(FakeStack.url, "the-key")]
    assert not LOCAL_FILE.exists()


def test_the_file_of_a_later_run_stays(fake: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Connection("http://127.0.0.1:2", "later")
    monkeypatch.setattr(program, "_until_interrupted", lambda: write_local(later))
    program._run("serve", None, make_console())
    assert read_local() == later


@pytest.mark.parametrize("port", ["70000", "-1", "eight", "٨", "9" * 5000])
def test_a_port_that_is_none_is_a_sentence(fake: Report, capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(["run", f"--port={port}"])
    assert caught.value.code == 2
    assert "give a number from 1 to 65535" in capsys.readouterr().err


def test_a_stack_that_cannot_start_is_a_sentence(
    fake: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PortError("no free port from 8780 to 8829")

    monkeypatch.setattr(program, "LocalStack", refuse)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert program.main(["serve"]) == 1
    assert "The local stack cannot start: no free port" in capsys.readouterr().out
