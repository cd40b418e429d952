"""`mepush suppress`."""

from pathlib import Path

import pytest

from mepush.commands import suppressions
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import FakeApi

HEADER = "channel,address,scope,reason,topic,note,at,by"


def test_a_recipient_is_added_and_removed(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("suppress", "add", "Ada@example.com", "-c", "email", "--note", "by phone")
    lines = ran.out.splitlines()
    assert (ran.code, lines[0]) == (0, "ada@example.com: is on the list now.")
    assert lines[2].split() == [
        "email", "ada@example.com", "all", "manual", "2026-11-24", "09:12:03.120", "abcdefghijkl", "by", "phone",
    ]  # fmt: skip
    assert "was on the list already" in mepush("suppress", "add", "ada@example.com", "-c", "email").out
    more = mepush("suppress", "add", "ada@example.com", "-c", "email", "--scope", "marketing", "--reason", "bounce")
    assert len(more.out.splitlines()) == 4
    gone = mepush("suppress", "remove", "ada@example.com", "-c", "email", "--reason", "manual", "--json")
    assert (gone.json["changed"], len(gone.json["suppression"]["entries"])) == (1, 1)
    assert mepush("suppress", "remove", "ada@example.com", "-c", "email").out == "ada@example.com: 1 entry removed.\n"
    assert "nothing to remove" in mepush("suppress", "remove", "ada@example.com", "-c", "email").out
    assert all("ada" not in path.lower() for path in api.paths())


def test_what_is_not_right_is_said(mepush: Mepush) -> None:
    ran = mepush("suppress", "add", "ada", "-c", "email")
    assert (ran.code, "address: it has no @" in ran.err) == (1, True)
    assert mepush("suppress", "add", "ada@example.com").code == 2
    assert mepush("suppress", "list", "--address", "ada@example.com").code == 2
    assert mepush("suppress", "export", "--json").code == 2
    assert "cannot be read" in mepush("suppress", "import", "none.csv", "-c", "email").err


def test_a_list_takes_filters_and_as_many_pages_as_it_needs(mepush: Mepush) -> None:
    assert mepush("suppress", "list").out == "Nobody is on the list.\n"
    for n in range(5):
        mepush("suppress", "add", f"u{n}@example.com", "-c", "email", "--reason", "bounce" if n % 2 else "manual")
    assert len(mepush("suppress", "list", "--json").json["suppressions"]) == 5
    assert len(mepush("suppress", "list", "--reason", "bounce", "--json").json["suppressions"]) == 2
    assert mepush("suppress", "list", "-c", "sms", "--json").json == {"suppressions": [], "more": False}
    [one] = mepush("suppress", "list", "-c", "email", "--address", "u3@example.com", "--json").json["suppressions"]
    assert one["address"] == "u3@example.com"
    some = mepush("suppress", "list", "--limit", "3")
    assert len(some.out.splitlines()) == 5 and "There are more" in some.out


def test_a_file_goes_in_and_each_bad_row_is_named(
    api: FakeApi, mepush: Mepush, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressions, "CHUNK", 2)
    file = tmp_path / "in.csv"
    rows = [
        "a@example.com,,,,",
        "nobody,,,,",
        ",,,,x",
        "b@example.com,marketing,unsubscribe,by letter,A",
        "A@example.com,,,,",
        f"c@example.com,,,{'x' * 5000},",
        "d@example.com,,,,",
    ]
    file.write_text("\n".join(["address,scope,reason,note,name", *rows]), encoding="utf-8")
    ran = mepush("suppress", "import", str(file), "-c", "email", "--reason", "bounce")
    assert (ran.code, ran.out.splitlines()) == (
        1,
        [
            "3 added, 1 already there, 3 not valid.",
            "  row 3, address: it has no @",
            "  row 4, address: the address is empty",
            "  row 7: the row is too long",
        ],
    )
    assert "2 of 5 rows" in ran.err
    assert api.suppressed[("email", "a@example.com")][0]["reason"] == "bounce"
    assert api.suppressed[("email", "b@example.com")][0] | {"at": "", "by": ""} == {
        "scope": "marketing", "reason": "unsubscribe", "note": "by letter", "at": "", "by": "",
    }  # fmt: skip
    assert [len(body["rows"]) for _, path, body, _ in api.requests if path.endswith("import")] == [2, 2, 1]
    again = mepush("suppress", "import", str(file), "-c", "email", "--reason", "bounce", "--json")
    assert (again.code, again.json["added"], again.json["already_there"]) == (1, 0, 4)
    assert [each["number"] for each in again.json["invalid"]] == [3, 4, 7]


def test_what_was_exported_can_be_imported(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    for channel, n in (("email", 1), ("wecom", 2), ("email", 3)):
        mepush("suppress", "add", f"u{n}@example.com", "-c", channel, "--note", f'第{n}, "x"')
    mepush("suppress", "add", "u1@example.com", "-c", "email", "--reason", "bounce")
    ran = mepush("suppress", "export")
    assert (ran.code, ran.out.splitlines()[0]) == (0, HEADER)
    assert len(ran.out.splitlines()) == 5
    out = tmp_path / "out.csv"
    assert mepush("suppress", "export", str(out), "--json").json == {"file": str(out), "entries": 4}
    bounces = mepush("suppress", "export", "--reason", "bounce").out.splitlines()
    assert bounces[1:] == ["email,u1@example.com,all,bounce,,,2026-11-24T09:12:03.120000Z,abcdefghijkl"]
    before, api.suppressed = api.suppressed, {}
    ran = mepush("suppress", "import", str(out))
    assert (ran.code, ran.out) == (0, "4 added, 0 already there, 0 not valid.\n")
    assert api.suppressed == before
    assert "cannot be written" in mepush("suppress", "export", str(tmp_path / "none" / "out.csv")).err


def test_a_row_without_a_channel_is_bad(mepush: Mepush, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("channel,address\nemail,a@example.com\nfax,b@example.com\n,c@example.com\n", encoding="utf-8")
    ran = mepush("suppress", "import", str(file), "--json")
    assert (ran.code, ran.json["added"]) == (1, 1)
    assert [(each["number"], each["column"]) for each in ran.json["invalid"]] == [(3, "channel"), (4, "channel")]
