"""A template's messages in numbers, from the sandbox's receipts to the command's table and file."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

TO = {"success": 6, "bounce": 2, "complaint": 1, "full": 1, "silent": 3}


@pytest.fixture(scope="module")
def sent() -> Iterator[tuple[str, str]]:
    """A stack's address and key, with messages to the mailbox simulator by two versions of a template."""
    with LocalStack(threads=False, memory=True) as stack:
        key = first_key(stack)
        with Client(stack.url, key) as api:
            account = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == "mail-ses")
            api.post("/v1/accounts", account_body(account, stack.sandboxes))
            content = {"type": "email", "subject": "Sale", "text": "Everything must go."}
            body = {"id": "sale", "name": "Sale", "class": "marketing", "accounts": ["mail-ses"], "content": content}
            api.post("/v1/templates", body)
            for version in (1, 2):
                if version == 2:
                    api.post("/v1/templates/sale/versions", {"content": {**content, "text": "All of it."}})
                api.post(f"/v1/templates/sale/versions/{version}/publish", {})
                stack.clock.advance(11)
                people = [{"to": f"{name}+{version}.{i}@{SIMULATOR}"} for name, n in TO.items() for i in range(n)]
                api.send({"template": "sale", "recipients": people})
                stack.drain(until_due=True)
        yield stack.url, key


def stats(sent: tuple[str, str], *more: str, of: tuple[str, str] = ("template", "sale")) -> Any:
    ran = CliRunner().invoke(app, [of[0], "stats", of[1], "--url", sent[0], "--key", sent[1], *more])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_the_api_has_the_funnel_and_each_group(sent: tuple[str, str]) -> None:
    with Client(*sent) as api:
        found = api.get("/v1/stats/templates/sale", by="day")
    assert found["stages"] == {
        **{"accepted": 26, "sent": 26, "delivered": 14, "undelivered": 4, "undelivered.transient": 2},
        "complained": 2,
    }
    assert (found["in_flight"], found["no_receipt"], found["delivered_share"]) == (0, 6, round(14 / 26, 4))
    assert [(each["name"], each["stages"]["delivered"]) for each in found["versions"]] == [("1", 7), ("2", 7)]
    assert [(each["name"], each["stages"]["sent"]) for each in found["accounts"]] == [("mail-ses", 26)]
    assert {(e["stage"], e["reason"]): e["messages"] for e in found["reasons"]} == {
        ("undelivered", "address_unknown"): 4,
        ("undelivered.transient", "mailbox_full"): 2,
    }
    [ses] = found["providers"]
    assert (ses["name"], ses["delivered_share"], ses["delivered_share_of_reported"]) == ("ses", 0.5385, 0.7)
    assert ses["undelivered_for"] == {"address_unknown": 4, "mailbox_full": 2}
    assert found["latency"]["delivered"]["messages"] == 14 and found["latency"]["sent"]["messages"] == 26
    assert sum(each["stages"]["accepted"] for each in found["spans"]) == 26


def test_the_command_shows_it_and_writes_a_file(sent: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "sale.csv"
    text = stats(sent, "--csv", str(file))
    for words in ("delivered", "sent, nothing reported", "accepted to sent: p50", "By version", "mailbox_full"):
        assert words in text
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[:3] == ["start", "accepted", "sent"]
    assert sum(int(row[header.index("delivered")]) for row in rows) == 14


def test_an_account_has_the_same(sent: tuple[str, str], tmp_path: Path) -> None:
    with Client(*sent) as api:
        found = api.get("/v1/stats/accounts/mail-ses", by="day")
    assert found["stages"] == {
        **{"sent": 26, "delivered": 14, "undelivered": 4, "undelivered.transient": 2},
        "complained": 2,
    }
    assert (found["no_receipt"], found["delivered_share"], found["latency"]["sent"]["messages"]) == (6, 0.5385, 26)
    file = tmp_path / "ses.csv"
    text = stats(sent, "--by-day", "--csv", str(file), of=("account", "mail-ses"))
    for words in ("53.8% of those sent, 70.0% of those with a receipt", "mailbox_full", "sent to delivered: p50"):
        assert words in text
    assert "delivered" in file.read_text(encoding="utf-8-sig").splitlines()[0]


def test_nothing_is_said_as_nothing(sent: tuple[str, str]) -> None:
    text = stats(sent, "--after", "2020-01-01T00:00:00Z", "--before", "2020-01-02T00:00:00Z")
    assert "Nothing was accepted in that time." in text
