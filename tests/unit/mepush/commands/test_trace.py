"""`mepush trace`."""

import time
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from mepush.output import plain
from mepush.views.timelines import Reader, timeline
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import TAG, ULID, FakeApi
from tests.unit.mepush.fake_api import message as sent_message

REQUEST = ULID + "0"


@pytest.fixture
def sent(mepush: Mepush) -> list[str]:
    """The ids of three messages of one request."""
    args = ("send", "-t", "welcome", "--csv", "p.csv", "--json")
    Path("p.csv").write_text("to,name\na@example.com,A\nb@example.com,B\nc@example.com,C\n")
    return [row["message_id"] for row in mepush(*args).json["rows"]]


def test_a_message_as_a_readable_timeline(mepush: Mepush, sent: list[str]) -> None:
    ran = mepush("trace", sent[0])
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == [sent[0], "sent"]
    assert lines[1].startswith("welcome v1 · email · notification · to a***@example.com · request ")
    assert "The provider took the message." in lines
    assert "What to do: Nothing." in lines
    stages = [line.split()[2] for line in lines if line.strip().startswith("2026-11-24 09:12:03.120")]
    assert stages == ["accepted", "retrying", "sent"]
    assert lines[-1].rstrip().endswith("The provider took it.")


def test_raw_codes_and_ids_are_shown_on_demand(mepush: Mepush, sent: list[str]) -> None:
    told = mepush("trace", sent[0]).out
    assert "421" not in told and "q1" not in told
    raw = mepush("trace", sent[0], "--raw").out
    assert "Code: 421" in raw and "The provider took it. Its id there: q1" in raw


def test_times_are_of_who_looks(mepush: Mepush, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        told, utc = mepush("trace", sent[0]).out, mepush("trace", sent[0], "--utc").out
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert "2026-11-24 17:12:03.120" in told and "Times are of CST (UTC+08:00); --utc" in told
    assert "Due again at 2026-11-24 17:12:05." in told
    assert "2026-11-24 09:12:03.120" in utc and "at 2026-11-24 09:12:05." in utc and "Times are" not in utc


@pytest.mark.parametrize(("lang", "options"), [("zh_CN.UTF-8", []), ("C", ["--lang", "zh"])])
def test_it_speaks_chinese(
    mepush: Mepush, sent: list[str], monkeypatch: pytest.MonkeyPatch, lang: str, options: list[str]
) -> None:
    monkeypatch.setenv("LC_ALL", lang)
    told = mepush("trace", sent[0], *options).out
    assert "服务商已收下消息。" in told and "怎么办：无需处理。" in told and "What to do" not in told
    assert "What to do" in mepush("trace", sent[0], "--lang", "en").out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_word_is_lost_in_a_narrow_window(width: int, language: str) -> None:
    file = StringIO()
    one = sent_message(ULID + TAG, REQUEST)
    Console(file=file, width=width).print(timeline(one, Reader(chinese=language == "zh")))
    lines = file.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    # Beside the time where there is room, else below it.
    beside = [line for line in lines if "09:12:03.120" in line and ("busy" in line or "繁忙" in line)]
    assert bool(beside) is (width == 120)
    assert ULID + TAG in lines[0]


def test_a_person_by_several_addresses(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    mepush("trace", "ada@example.com", "13800138000", "ada")
    body = {"addresses": ["ada@example.com", "13800138000", "ada"], "limit": 20}
    assert api.requests[-1][:3] == ("POST", "/v1/messages/query", body)
    refused = mepush("trace", "ada@example.com", "ada", "--channel", "email")
    assert refused.code == 2 and "belongs to one address" in refused.err


def test_whole_addresses_on_demand(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    assert "to a***@example.com" in mepush("trace", sent[0]).out
    assert "to ada@example.com" in mepush("trace", sent[0], "--unmask").out
    assert "unmask=true" in api.requests[-1][1]
    mepush("trace", "ada@example.com", "--unmask")
    assert api.requests[-1][2]["unmask"] is True
    mepush("trace", REQUEST, "--unmask")
    assert "unmask=true" in api.requests[-1][1]
    api.messages[sent[0]]["address_note"] = "Not kept."
    assert "Not kept." in mepush("trace", sent[0]).out


def test_a_message_of_a_campaign_says_of_which_run_it_is() -> None:
    sent = sent_message(ULID + TAG, REQUEST)
    about = "welcome v1 · email · notification · to a***@example.com · run spring.7 · variant b · request "
    for more, expected in (({"run": "spring.7", "variant": "b"}, True), ({"run": None, "variant": None}, False)):
        file = StringIO()
        Console(file=file, width=200).print(timeline(sent | more, Reader()))
        assert (about in file.getvalue()) is expected


def test_a_request_with_all_its_pages(mepush: Mepush, sent: list[str]) -> None:
    ran = mepush("trace", REQUEST, "--json")
    assert [m["message_id"] for m in ran.json["messages"]] == sent
    assert ran.json["counts"] == {"sent": 3}
    people = mepush("trace", REQUEST)
    assert people.out.startswith(f"request {REQUEST}: 3 sent")
    assert people.out.count("What to do") == 3


def test_an_address_by_query_that_never_stands_in_a_path(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    ran = mepush("trace", "ada@example.com", "--channel", "email", "--limit", "2", "--json")
    assert [m["message_id"] for m in ran.json["messages"]] == sent[:2]
    assert api.requests[-1][:3] == (
        "POST",
        "/v1/messages/query",
        {"to": "ada@example.com", "channel": "email", "limit": 2},
    )
    assert "Nothing was sent so;" in mepush("trace", "eve@example.com").out


def test_a_reference_instead_of_an_address(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    ran = mepush("trace", "--reference", "order-4711")
    assert api.requests[-1][:3] == ("POST", "/v1/messages/query", {"reference": "order-4711", "limit": 20})
    assert f"request {REQUEST} has this reference" in ran.out and "What to do" in ran.out
    for wrong in ([], ["ada@example.com", "--reference", "x"], ["--reference", "x", "--channel", "email"]):
        refused = mepush("trace", *wrong)
        assert refused.code == 2 and ("or --reference" in refused.err or "belongs to one address" in refused.err)


@pytest.mark.parametrize("what", ["7" * 26, "7" * 26 + TAG])
def test_an_id_that_does_not_exist_is_one_sentence(mepush: Mepush, what: str) -> None:
    ran = mepush("trace", what)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Not found: There is no such ")


def test_an_id_in_lower_case_is_taken(mepush: Mepush, sent: list[str]) -> None:
    assert mepush("trace", sent[0].lower(), "--json").json["message_id"] == sent[0]
    assert len(mepush("trace", REQUEST.lower(), "--json").json["messages"]) == 3


@pytest.mark.parametrize("cut", [-1, -6, -20])
def test_what_is_no_whole_id_is_said_to_be_none(mepush: Mepush, sent: list[str], cut: int) -> None:
    for what in (sent[0][:cut], sent[0][:cut].lower(), sent[0] + "A"):
        ran = mepush("trace", what)
        assert (ran.code, ran.out) == (2, "")
        assert f"{what} is no message id: one has 42 characters" in " ".join(ran.err.split())


def test_a_wecom_user_id_that_looks_like_an_id_is_found_too(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    for message in api.messages.values():
        message["request_id"] = "other"
    assert len(mepush("trace", REQUEST, "--json").json["messages"]) == 3
    assert api.requests[-1][2]["channel"] == "wecom"


def test_what_comes_from_elsewhere_cannot_steer_the_terminal(api: FakeApi, mepush: Mepush, sent: list[str]) -> None:
    api.messages[sent[0]]["explanation"] = "\x1b[2J\x9bbad \u202etxt [bold]as it is[/bold] :smile:"
    ran = mepush("trace", sent[0])
    assert "\x1b" not in ran.out
    assert "\x9b" not in ran.out
    assert "\u202e" not in ran.out
    assert "[bold]as it is[/bold] :smile:" in ran.out
    assert plain("李　雷 🎉\n\ttab\r\x00") == "李　雷 🎉\n\ttab"


def test_blank_lines_stand_between_messages_only(mepush: Mepush, sent: list[str]) -> None:
    lines = mepush("trace", "ada@example.com").out.splitlines()
    assert lines[0].startswith(tuple(sent))
    assert sum(not line.strip() for line in lines) == len(sent) - 1
