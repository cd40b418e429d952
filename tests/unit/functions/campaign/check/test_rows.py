"""Rows are judged: who gets what, who does not and why, without a value in any word."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.check.reasons import explain
from functions.campaign.check.rows import Bad, Facts, Good, HeldOut, Judge, Judged
from functions.campaign.check.splitting import Split
from mepush.sheets.failures import RowReason
from mepush.sheets.reading import Content, Unreadable
from shared.model.address import AddressError, normalise
from shared.model.content import EmailContent, SmsContent
from shared.model.ids import Tagger
from shared.model.reasons import Reason
from shared.model.runs import Run
from shared.model.templates import TemplateVersion
from shared.model.words import Channel
from tests.samples import TENANT
from tests.unit.functions.campaign.audience import run_of

TAG = Tagger(TENANT.salt, "email")
HEADER = b"to,name,city,zone,ref\n"


def version(required: list[str], optional: list[str], loops: bool = False) -> TemplateVersion:
    """A version that takes these variables."""
    content = EmailContent(subject="s", text="t")
    return TemplateVersion(
        template="welcome", version=1, content=content, required=required, optional=optional, loops=loops, created_at=0
    )


def judge(
    contents: list[Content],
    run: Run | None = None,
    versions: dict[str, TemplateVersion] | None = None,
    **facts: Any,
) -> list[Judged]:
    """Judge rows, by default of a template that needs a name and may have a city."""
    run = run or run_of(HEADER, audience={"columns": {"time_zone": "zone", "reference": "ref"}})
    found = Judge(run, Facts(TENANT, versions or {"a": version(["name"], ["city"])}, **facts))
    return [found(i, content) for i, content in enumerate(contents)]


def only(content: Content, **more: Any) -> Judged:
    (found,) = judge([content], **more)
    return found


def bad(content: Content, **more: Any) -> tuple[str, str, str | None]:
    found = only(content, **more)
    assert isinstance(found, Bad)
    assert found.reason in RowReason.__members__.values() or found.reason in Reason.__members__.values()
    assert explain(found.reason)
    return found.reason, found.detail, found.variable


def test_a_row_has_the_variables_that_its_template_uses() -> None:
    row = [" A@Example.COM", "李雷", "北京", "Asia/Shanghai", "C-1"]

    assert only(row) == Good(
        0, "a@example.com", TAG("a@example.com"), {"name": "李雷", "city": "北京"}, "C-1", "Asia/Shanghai", "a"
    )
    assert only(["b@example.com", "B", "", "", ""]) == Good(
        0, "b@example.com", TAG("b@example.com"), {"name": "B"}, "", "", "a"
    )
    nothing = {"a": version([], [])}
    assert only(row, versions=nothing) == Good(
        0, "a@example.com", TAG("a@example.com"), {}, "C-1", "Asia/Shanghai", "a"
    )
    one = {"a": version([], ["city"])}
    assert only(["b@example.com", "B", "", "", ""], versions=one) == Good(
        0, "b@example.com", TAG("b@example.com"), {}, "", "", "a"
    )


def test_columns_may_be_called_otherwise() -> None:
    columns = {"to": "e-mail", "variables": {"name": "Full Name", "to": "E-Mail"}}
    run = run_of(b"no,E-Mail,full name\n", audience={"columns": columns})

    found = only(["1", "a@example.com", "A"], run=run, versions={"a": version(["name", "to"], ["no", "city"])})

    assert isinstance(found, Good) and found.variables == {"name": "A", "to": "a@example.com", "no": "1"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["", "A", "", "", ""], ("address_invalid", "the email address is empty", None)),
        (["secret", "A", "", "", ""], ("address_invalid", "the email address has no @", None)),
        (["a@example.com", "", "", "", ""], ("variable_missing", "the variable `name` is missing", "name")),
        (["a@example.com", "A"], ("columns_wrong", "has 2 cells where the header has 5", None)),
        (["a@example.com", "A", "", "", "", "x"], ("columns_wrong", "has 6 cells where the header has 5", None)),
        (
            ["a@example.com", "A", "", "Asia/Peking", ""],
            ("time_zone_unknown", "the time zone is no IANA name, such as Asia/Shanghai", None),
        ),
        (
            ["a@example.com", "A", "", "", "x" * 101],
            ("reference_invalid", "the reference has more than 100 characters", None),
        ),
        (
            ["a@example.com", "x" * 88_000, "", "", ""],
            (
                "too_large",
                "its variables are 88,011 bytes, more than the 87,998 that the campaign's leave (JSON in UTF-8)",
                None,
            ),
        ),
        (Unreadable(RowReason.NOT_UTF8, "is not UTF-8", "x"), ("not_utf8", "is not UTF-8", None)),
    ],
)
def test_what_cannot_be_sent_is_told_why(row: Content, expected: tuple[str, str, str | None]) -> None:
    assert bad(row) == expected


def test_empty_cells_beyond_the_header_are_nothing() -> None:
    assert isinstance(only(["a@example.com", "A", "", "", "x" * 100, "", ""]), Good)


def test_what_all_have_in_common_need_not_be_in_the_row() -> None:
    run = run_of(b"to,city\n", variables={"name": "everybody"})
    found = only(["a@example.com", "x"], run=run)
    assert isinstance(found, Good) and found.variables == {"city": "x"}
    lacking = run_of(b"to,city\n", variables={"name": None})
    assert bad(["a@example.com", "x"], run=lacking) == ("variable_missing", "the variable `name` is missing", "name")


@given(st.integers(80_000, 89_000), st.sampled_from(["x", "李", '"', "\u0001"]))
def test_a_good_row_fits_an_envelope_with_room_to_spare(size: int, character: str) -> None:
    width = {"x": 1, "李": 3, '"': 2, "\u0001": 6}[character]
    text = character * (size // width)
    found = only(["a@example.com", text, "", "", ""])
    # {"name":"..."}
    assert isinstance(found, Good) == (width * len(text) + 11 <= 88_000 - len("{}"))


def test_only_those_on_the_list_of_a_team_key_are_sent_to() -> None:
    team = frozenset({"email:a@example.com"})
    assert isinstance(only(["A@example.com", "A", "", "", ""], team=team), Good)
    assert bad(["b@example.com", "A", "", "", ""], team=team)[0] == "not_in_team_list"


def test_numbers_are_read_as_the_tenant_has_them_and_kept_to_its_countries() -> None:
    run = run_of(b"to,name\n", channel=Channel.SMS)
    cn = frozenset({"CN"})
    versions = {"a": version(["name"], []).model_copy(update={"content": SmsContent(text="x")})}

    rows: list[Content] = [[to, "A"] for to in ("13800138000", "+86 138-0013-8001", "+14254147755", "12")]
    found = [
        row.to if isinstance(row, Good) else getattr(row, "reason", "")
        for row in judge(rows, run, versions, countries=cn)
    ]
    assert found == ["+8613800138000", "+8613800138001", "country_not_allowed", "address_invalid"]
    assert bad(["+14254147755", "A"], run=run, versions=versions)[0] == "country_not_allowed"
    us = frozenset({"US"})
    assert isinstance(only(["+14254147755", "A"], run=run, versions=versions, countries=us), Good)
    # With the own country left out, even what needs no look is refused.
    assert bad(["+8613800138000", "A"], run=run, versions=versions, countries=us)[0] == "country_not_allowed"


@given(
    st.sampled_from(["a@example.com", "A@example.com ", "é@example.com", "x", "", "a@b@c.de"]),
    st.sampled_from(["", "n", " "]),
    st.sampled_from(["", "c"]),
)
def test_asking_about_each_address_makes_no_difference(to: str, name: str, city: str) -> None:
    """A key with a list, or a list of countries, takes the longer way."""
    row = [to, name.strip(), city, "", ""]
    try:
        team = frozenset({f"email:{normalise('email', to)}"})
    except AddressError:
        team = frozenset()

    assert only(list(row)) == only(list(row), team=team)


def test_lines_of_json_have_their_values_as_they_are() -> None:
    columns = {"to": "mail", "reference": "id", "time_zone": "tz", "variables": {"name": "called"}}
    run = _ndjson(columns)
    versions = {"a": version(["name"], ["tags", "city", "n"], loops=True)}

    row = {"mail": "A@example.com", "id": 7, "tz": "Asia/Tokyo", "called": "A", "tags": ["x", {"y": 1.5}], "other": 1}
    assert only(row, run=run, versions=versions) == Good(
        0, "a@example.com", TAG("a@example.com"), {"name": "A", "tags": ["x", {"y": 1.5}]}, "7", "Asia/Tokyo", "a"
    )
    nested = {"mail": "a@example.com", "variables": {"called": "B", "city": "", "n": 0, "z": 1}, "n": 5}
    found = only(nested, run=run, versions=versions)
    assert isinstance(found, Good) and found.variables == {"name": "B", "city": "", "n": 5}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "address_invalid"),
        ({"to": None}, "address_invalid"),
        ({"to": ["a@example.com"], "name": "A"}, "not_json"),
        ({"to": True, "name": "A"}, "not_json"),
        ({"to": "a@example.com", "name": None}, "variable_missing"),
        ({"to": "a@example.com", "variables": ["name"]}, "variable_missing"),
        ({"to": "a@example.com", "name": "A", "ref": {}}, "reference_invalid"),
        ({"to": "a@example.com", "name": "A", "zone": 8}, "time_zone_unknown"),
        ({"to": "a@example.com", "name": [[[[[[1]]]]]]}, "variable_invalid"),
        ({"to": "a@example.com", "name": 1e999}, "variable_invalid"),
        ({"to": "a@example.com", "name": ["x" * 20_000] * 5}, "too_large"),
    ],
)
def test_what_is_wrong_with_an_object_is_told(row: dict[str, Any], reason: str) -> None:
    assert bad(row, run=_ndjson({"time_zone": "zone", "reference": "ref"}))[0] == reason


def _ndjson(columns: dict[str, Any]) -> Run:
    return run_of(b"{}\n", audience={"format": "ndjson", "columns": columns})


def test_a_text_that_loops_run_over_is_limited() -> None:
    loops = {"a": version(["name"], [], loops=True)}
    assert bad(["a@example.com", "x" * 20_001, "", "", ""], versions=loops)[0] == "variable_invalid"
    assert isinstance(only(["a@example.com", "x" * 20_001, "", "", ""]), Good)


def test_the_same_recipient_gets_the_same_variant_and_about_as_many_as_the_weights_say() -> None:
    run = run_of(b"to,name\n", weights={"a": 1, "b": 3}, holdout_percent=20)
    versions = {"a": version(["name"], []), "b": version([], [])}
    rows: list[Content] = [[f"u{i}@example.com", "A"] for i in range(4000)]

    found = judge(list(rows), run, versions)
    again = judge(list(rows), run, versions)

    assert [type(row) for row in found] == [type(row) for row in again]
    counts = Counter(row.variant if isinstance(row, Good) else "held out" for row in found)
    assert counts["held out"] == pytest.approx(800, abs=120)
    assert counts["a"] == pytest.approx(800, abs=120)
    assert counts["b"] == pytest.approx(2400, abs=160)
    # The rules are those of each one's own template.
    bare = judge([[f"u{i}@example.com", ""] for i in range(4000)], run, versions)
    judged = Counter(type(row) for row in bare)
    assert judged[Good] == counts["b"]
    # So it is for those who are held out: they are as those who are sent to.
    assert judged[HeldOut] == pytest.approx(counts["held out"] * 3 / 4, abs=60)
    assert judged[Bad] == 4000 - judged[Good] - judged[HeldOut]


def test_another_campaign_divides_people_otherwise() -> None:
    tags = [TAG(f"u{i}@example.com") for i in range(1000)]
    one, other = Split("one", [1, 1], 0), Split("other", [1, 1], 0)
    assert 400 < sum(one(tag) == other(tag) for tag in tags) < 600
    assert set(map(Split("one", [1], 50), tags)) == {0, None}
    assert set(map(Split("one", [1], 0), tags)) == {0}


@pytest.mark.parametrize("reason", [*RowReason, Reason.ADDRESS_INVALID, Reason.NOT_IN_TEAM_LIST])
def test_every_reason_says_what_to_do(reason: str) -> None:
    assert explain(reason).endswith(".")
