"""`mepush send`."""

from pathlib import Path
from typing import Any

import pytest

from mepush.files.sending import chunk_key
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import FakeApi


def bodies(api: FakeApi) -> list[dict[str, Any]]:
    return [body for method, path, body, _ in api.requests if (method, path) == ("POST", "/v1/messages")]


def keys(api: FakeApi) -> list[str]:
    return [h["idempotency-key"] for method, path, _, h in api.requests if (method, path) == ("POST", "/v1/messages")]


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    """Two good rows, and four broken ones of different kinds."""
    path = tmp_path / "people.csv"
    path.write_text(
        'to,name,extra\na@example.com,"Ada\nLovelace",1\nno address,Bob,2\n\nc@example.com,,3\n,Dan,4\n'
        "e@example.com,Eve,5,6\nf@example.com,李雷,7\n",
        encoding="utf-8-sig",
    )
    return path


def test_one_address_with_everything_that_a_request_may_hold(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush(
        *("send", "-t", "welcome", "--to", "ada@example.com", "--var", "name=Ada=1", "--reference", "r", "--ttl", "60"),
        *("--send-at", "2030-01-02T03:04:05+08:00", "--version", "1", "--idempotency-key", "k-1"),
    )
    # The fake takes shared variables only as given: this is what the command must have sent.
    assert bodies(api) == [
        {
            "template": "welcome",
            "version": 1,
            "reference": "r",
            "ttl": 60,
            "send_at": "2030-01-02T03:04:05+08:00",
            "variables": {"name": "Ada=1"},
            "to": "ada@example.com",
        }
    ]
    assert keys(api) == ["k-1"]
    assert ran.code == 0
    assert ran.out.startswith("accepted  ")
    assert "request 01KAV" in ran.out


def test_variables_may_come_from_a_file_and_flags_come_first(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "vars.json").write_text('{"name": "A", "items": [1, 2]}')
    mepush("send", "-t", "welcome", "--to", "a@example.com", "--vars-file", "vars.json", "--var", "name=B")
    assert bodies(api)[0]["variables"] == {"name": "B", "items": [1, 2]}
    (tmp_path / "vars.json").write_text("[1]")
    ran = mepush("send", "-t", "welcome", "--to", "a@example.com", "--vars-file", "vars.json")
    assert (ran.code, "JSON object" in ran.err) == (1, True)


def test_one_bad_address_is_named_field_by_field(mepush: Mepush) -> None:
    ran = mepush("send", "-t", "welcome", "--to", "nobody", "--var", "name=A")
    assert ran.code == 1
    assert ran.out == ""
    assert "The request is not valid" in ran.err
    assert "to: the email address has no @" in ran.err


def test_one_missing_variable_in_json(mepush: Mepush) -> None:
    ran = mepush("send", "-t", "welcome", "--to", "a@example.com", "--json")
    assert ran.code == 1
    assert ran.err == ""
    assert ran.json["status"] == 422
    assert ran.json["errors"][0]["field"] == "variables.name"


def test_a_file_with_broken_rows_sends_the_others_and_names_these(api: FakeApi, mepush: Mepush, audience: Path) -> None:
    ran = mepush("send", "-t", "welcome", "--csv", str(audience), "--reference", "r")
    assert ran.code == 1
    assert bodies(api) == [
        {
            "template": "welcome",
            "reference": "r",
            "recipients": [
                {"to": "a@example.com", "variables": {"name": "Ada\nLovelace"}},
                {"to": "no address", "variables": {"name": "Bob"}},
                {"to": "f@example.com", "variables": {"name": "李雷"}},
            ],
        }
    ]
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[1][:3] == ["3", "to", "address_invalid"]
    assert lines[2][:3] == ["5", "name", "variable_missing"]
    assert lines[3][:3] == ["6", "to", "address_invalid"]
    assert lines[4][:3] == ["7", "-", "columns_wrong"]
    assert "2 accepted, 4 rejected, 0 not sent" in ran.out
    assert "Left out, since the template does not use them: extra" in ran.err


def test_a_file_in_json_has_every_row(mepush: Mepush, audience: Path) -> None:
    ran = mepush("send", "-t", "welcome", "--csv", str(audience), "--json")
    assert ran.code == 1
    assert ran.err == ""
    found = ran.json
    assert [(row["row"], row["status"]) for row in found["rows"]] == [
        (2, "accepted"),
        (3, "rejected"),
        (5, "invalid"),
        (6, "invalid"),
        (7, "invalid"),
        (8, "accepted"),
    ]
    assert found["rows"][1]["field"] == "to"
    assert found["rows"][0]["message_id"]
    assert (found["accepted"], found["rejected"], found["not_queued"]) == (2, 4, 0)
    assert found["unused_columns"] == ["extra"]
    assert len(found["requests"]) == 1


def test_a_good_file_ends_well_and_is_not_sent_twice(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    rows = [f"p{n}@example.com,N{n}" for n in range(2500)]
    (tmp_path / "big.csv").write_text("\n".join(["to,name", *rows]))
    first = mepush("send", "-t", "welcome", "--csv", "big.csv", "--json")
    assert first.code == 0
    assert [len(body["recipients"]) for body in bodies(api)] == [1000, 1000, 500]
    assert len(set(keys(api))) == 3
    again = mepush("send", "-t", "welcome", "--csv", "big.csv", "--json")
    assert keys(api)[3:] == keys(api)[:3]
    assert again.json == first.json
    assert len(api.sends) == 3


def test_progress_of_a_large_file_goes_to_stderr_only(mepush: Mepush, tmp_path: Path) -> None:
    rows = [f"p{n}@example.com,N" for n in range(1200)]
    (tmp_path / "big.csv").write_text("\n".join(["to,name", *rows]))
    ran = mepush("send", "-t", "welcome", "--csv", "big.csv")
    assert "1,200 of 1,200 rows" in ran.err
    assert "of 1,200" not in ran.out


def test_another_request_under_the_same_file_asks_for_a_new_key(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("to,name\na@example.com,A\n")
    assert mepush("send", "-t", "welcome", "--csv", "p.csv").code == 0
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv", "--reference", "other")
    assert ran.code == 1
    assert "give a new --idempotency-key" in ran.err
    assert "0 accepted, 0 rejected, 1 not sent" in ran.out
    anew = ("send", "-t", "welcome", "--csv", "p.csv", "--reference", "other", "--idempotency-key", "again")
    assert mepush(*anew).code == 0
    assert len(set(keys(api))) == 2


def test_a_key_that_may_only_send_learns_of_broken_rows_from_the_api(
    api: FakeApi, mepush: Mepush, tmp_path: Path
) -> None:
    api.scopes = {"send"}
    (tmp_path / "p.csv").write_text("to,name\na@example.com,\nb@example.com,B\nc@example.com,\n")
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv", "--json")
    assert ran.code == 1
    assert [(r["row"], r["status"], r.get("field"), r.get("detail")) for r in ran.json["rows"]] == [
        (2, "rejected", "name", "the variable `name` is missing"),
        (3, "accepted", None, None),
        (4, "rejected", "name", "the variable `name` is missing"),
    ]
    assert [[r["to"] for r in body["recipients"]] for body in bodies(api)][-1] == ["b@example.com"]


def test_a_file_of_bad_addresses_only_lists_them_all(mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("E-Mail,name\nx,A\ny,B\n")
    found = mepush("send", "-t", "welcome", "--csv", "p.csv", "--to-column", "e-mail", "--json").json
    assert [(r["row"], r["status"], r["field"], r["reason"]) for r in found["rows"]] == [
        (2, "rejected", "E-Mail", "address_invalid"),
        (3, "rejected", "E-Mail", "address_invalid"),
    ]


def test_a_large_file_of_which_nothing_fits_stops_early(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    rows = [f"not an address {n},N" for n in range(1100)]
    (tmp_path / "p.csv").write_text("\n".join(["to,name", *rows]))
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv", "--json")
    assert ran.code == 1
    assert "error" in ran.json
    assert {row["status"] for row in ran.json["rows"][1000:]} == {"not_sent"}
    assert all(len(body["recipients"]) <= 1000 for body in bodies(api))
    assert len(bodies(api)) <= 20


def test_an_outage_in_the_middle_keeps_what_was_accepted(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    api.scopes = {"send"}
    rows = [f"p{n}@example.com,N" for n in range(1500)]
    (tmp_path / "p.csv").write_text("\n".join(["to,name", *rows]))
    api.good_sends = 1
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv")
    assert ran.code == 1
    assert "1,000 accepted, 0 rejected, 500 not sent" in ran.out
    assert "Run the same command again" in ran.out
    assert "Nothing could be queued" in ran.err


def test_an_unknown_template_is_one_sentence(mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("to\na@example.com\n")
    ran = mepush("send", "-t", "nope", "--csv", "p.csv")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.strip() == "Not found: There is no such template."


def test_a_file_without_recipients_is_an_error(mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("to,name\n")
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv", "--json")
    assert ran.code == 1
    assert "has no recipients" in ran.json["error"]


@pytest.mark.parametrize(
    "args",
    [
        ("send", "--to", "a@example.com"),
        ("send", "-t", "welcome"),
        ("send", "-t", "welcome", "--to", "a", "--csv", __file__),
        ("send", "-t", "welcome", "--to", "a", "--var", "name"),
        ("send", "-t", "welcome", "--csv", "absent.csv"),
        ("send", "-t", "welcome", "--to", "a", "--send-at", "tomorrow"),
        ("send", "-t", "welcome", "--to", "a", "--ttl", "1"),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2_and_sends_nothing(api: FakeApi, mepush: Mepush, args: tuple[str, ...]) -> None:
    ran = mepush(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert api.requests == []


def test_the_key_of_a_chunk_follows_from_file_template_position_and_salt(tmp_path: Path) -> None:
    from mepush.files.recipients import Audience

    one, other = Audience("digest-1", []), Audience("digest-2", [])
    found = [chunk_key(one, "t", 0), chunk_key(one, "t", 1), chunk_key(one, "u", 0), chunk_key(other, "t", 0)]
    found.append(chunk_key(one, "t", 0, "salt"))
    assert len(set(found)) == 5
    assert chunk_key(Audience("digest-1", []), "t", 0) == found[0]
    assert all(len(key) <= 200 for key in found)


@pytest.mark.parametrize("key", ["", " ", "订单-1", "a\nb", "a\n", "k" * 201])
def test_an_idempotency_key_that_no_header_carries_is_refused(api: FakeApi, mepush: Mepush, key: str) -> None:
    ran = mepush("send", "-t", "welcome", "--to", "a@example.com", "--var", "name=A", "--idempotency-key", key)
    assert ran.code == 2
    assert "--idempotency-key" in ran.err
    assert "1 to 200" in ran.err
    assert bodies(api) == []


@pytest.mark.parametrize("time", ["tomorrow", "2030-01-02", "2030-01-02T03:04:05", "2030-13-02T03:04:05Z"])
def test_a_time_without_its_zone_is_refused_with_an_example(api: FakeApi, mepush: Mepush, time: str) -> None:
    ran = mepush("send", "-t", "welcome", "--to", "a@example.com", "--var", "name=A", "--send-at", time)
    assert ran.code == 2
    assert "2026-11-24T09:00:00+08:00" in " ".join(ran.err.split())
    assert bodies(api) == []


def test_the_same_file_with_other_options_says_what_to_do(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("to,name\na@example.com,A\n")
    assert mepush("send", "-t", "welcome", "--csv", "p.csv").code == 0
    ran = mepush("send", "-t", "welcome", "--csv", "p.csv", "--reference", "other")
    assert ran.code == 1
    assert "give a new --idempotency-key" in ran.err
    assert "Run the same command again" not in ran.out
