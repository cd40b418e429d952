"""Verifications by country, as rows for a spreadsheet."""

from typing import Any

from mepush.views.statistics import code_rows

HEADER = ["by", "name", "country", "sent", "verified", "verified_share"]


def country(code: str | None, sent: int, verified: int, share: float | None) -> dict[str, Any]:
    return {"country": code, "sent": sent, "verified": verified, "verified_share": share}


def test_all_come_first_and_then_each_account_and_each_provider() -> None:
    data = {
        "name": "Sign-in code",
        "countries": [country("CN", 8, 6, 0.75), country(None, 2, 2, 1.0)],
        "accounts": [
            {"name": "texts", "countries": [country("CN", 8, 6, 0.75)]},
            {"name": "mail", "countries": [country(None, 2, 2, 1.0)]},
        ],
        "providers": [{"name": "aws", "countries": [country("CN", 8, 6, 0.75)]}],
    }
    assert list(code_rows(data)) == [
        HEADER,
        ["all", "", "CN", "8", "6", "0.75"],
        ["all", "", "", "2", "2", "1.0"],
        ["account", "texts", "CN", "8", "6", "0.75"],
        ["account", "mail", "", "2", "2", "1.0"],
        ["provider", "aws", "CN", "8", "6", "0.75"],
    ]


def test_a_share_of_nothing_is_empty() -> None:
    assert list(code_rows({"countries": [country("TH", 0, 1, None)]})) == [HEADER, ["all", "", "TH", "0", "1", ""]]


def test_of_what_carried_no_codes_there_is_a_header_alone() -> None:
    assert list(code_rows({"accounts": [{"name": "mail", "countries": []}]})) == [HEADER]
    assert list(code_rows({"accounts": [{"name": "mail"}]})) == [HEADER], "from an API of before"
