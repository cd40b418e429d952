"""The suppression list on the whole local stack: who is on it is not written to, and everybody can see why."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

MAIL = "mail-ses"
MANY = 5_000


@dataclass
class Platform:
    """A stack that does nothing by itself, with one account and a template of each class."""

    stack: LocalStack
    api: Client
    key: str

    def send(self, message_class: str, *to: str) -> dict[str, dict[str, Any]]:
        """Send to these people and wait for the end; returns each one's message."""
        sent = self.api.send({"template": message_class, "recipients": [{"to": each} for each in to]})
        self.stack.drain(until_due=True, horizon_s=3600)
        ids = [each["message_id"] for each in sent["messages"]]
        return {each: self.api.get(f"/v1/messages/{id}") for each, id in zip(to, ids, strict=True)}

    def suppress(self, *args: str, code: int = 0) -> Any:
        ran = CliRunner().invoke(app, ["suppress", *args, "--url", self.stack.url, "--key", self.key, "--json"])
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        key = first_key(stack)
        with Client(stack.url, key) as api:
            [entry] = read_accounts(EXAMPLES / "accounts.toml", MAIL)
            api.post("/v1/accounts", account_body(entry, stack.sandboxes))
            content = {"type": "email", "subject": "Hello", "text": "Hello"}
            for name in ("verification", "notification", "marketing"):
                api.post(
                    "/v1/templates", {"id": name, "name": name, "class": name, "accounts": [MAIL], "content": content}
                )
                api.post(f"/v1/templates/{name}/versions/1/publish", {})
            found = Platform(stack, api, key)
            # The first entry of a channel counts ten seconds later; that is looked at elsewhere.
            found.suppress("add", "first@example.com", "-c", "email")
            found.suppress("remove", "first@example.com", "-c", "email")
            stack.clock.advance(11)
            yield found


def test_who_is_on_the_list_is_not_written_to(platform: Platform) -> None:
    before = platform.stack.outbox.count("ses")
    platform.suppress("add", " Blocked@Example.com ", "--channel", "email", "--note", "asked us")
    platform.suppress("add", "gone@example.com", "-c", "email", "--scope", "marketing", "--reason", "unsubscribe")
    found = platform.send("marketing", "blocked@example.com", "gone@example.com", "fine@example.com")
    assert [m["status"] for m in found.values()] == ["suppressed", "suppressed", "sent"]
    assert platform.stack.outbox.count("ses") == before + 1
    [stopped] = [e for e in found["gone@example.com"]["timeline"] if e["stage"] == "suppressed"]
    assert stopped["reason"] == "suppressed_unsubscribe"
    assert "unsubscribed" in stopped["text"]
    balance = platform.api.get("/v1/balance")
    assert (balance["in_flight"], balance["outcomes"]["suppressed"]) == (0, 2)
    # An unsubscribe is ignored by verification, even one from everything; a block by hand is not.
    platform.suppress("add", "gone@example.com", "-c", "email", "--reason", "unsubscribe")
    found = platform.send("verification", "blocked@example.com", "gone@example.com")
    assert [m["status"] for m in found.values()] == ["suppressed", "sent"]
    assert platform.send("notification", "gone@example.com")["gone@example.com"]["status"] == "suppressed"
    platform.suppress("remove", "gone@example.com", "-c", "email")
    assert platform.suppress("remove", "blocked@example.com", "-c", "email", "--reason", "manual")["changed"] == 1
    found = platform.send("marketing", "blocked@example.com", "gone@example.com")
    assert [m["status"] for m in found.values()] == ["sent", "sent"]


def test_who_comes_onto_the_list_between_two_tries_is_not_written_to_again(platform: Platform) -> None:
    platform.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=-1))
    sent = platform.api.send({"template": "notification", "to": "later@example.com"})
    platform.stack.drain()
    platform.suppress("add", "later@example.com", "-c", "email", "--reason", "bounce")
    platform.stack.sandboxes["ses"].faults.clear()
    before = platform.stack.outbox.count("ses")
    platform.stack.drain(until_due=True, horizon_s=3600)
    message = platform.api.get(f"/v1/messages/{sent['messages'][0]['message_id']}")
    assert [e["stage"] for e in message["timeline"]] == ["accepted", "retrying", "suppressed"]
    assert platform.stack.outbox.count("ses") == before
    platform.suppress("remove", "later@example.com", "-c", "email")


def test_a_file_of_many_goes_in_and_comes_out_again(platform: Platform, tmp_path: Path) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows = [f"u{n}@many.example.com,{'bounce' if n % 2 else ''},row {n}" for n in range(MANY)]
    rows[10], rows[4_999] = "not an address,,", "u3@many.example.com,nonsense,"
    file.write_text("\n".join(["address,reason,note", *rows]), encoding="utf-8")
    report = platform.suppress("import", str(file), "-c", "email", "--scope", "marketing", code=1)
    assert (report["added"], report["already_there"]) == (MANY - 2, 0)
    assert [(r["number"], r["column"]) for r in report["invalid"]] == [(12, "address"), (5_001, "reason")]
    report = platform.suppress("import", str(file), "-c", "email", "--scope", "marketing", code=1)
    assert (report["added"], report["already_there"]) == (0, MANY - 2)
    found = platform.send("marketing", *(f"u{n}@many.example.com" for n in range(1, 8)), "u10@many.example.com")
    assert [m["status"] for m in found.values()] == ["suppressed"] * 7 + ["sent"]
    assert platform.suppress("export", str(out), "--reason", "bounce")["entries"] == MANY // 2 - 1
    assert platform.suppress("export", str(out))["entries"] == MANY - 2
    with out.open(encoding="utf-8-sig", newline="") as stream:
        exported = {each["address"]: each for each in csv.DictReader(stream)}
    assert len(exported) == MANY - 2
    one = exported["u7@many.example.com"]
    assert (one["channel"], one["scope"], one["reason"], one["note"]) == ("email", "marketing", "bounce", "row 7")
    again = platform.suppress("import", str(out))
    assert (again["added"], again["already_there"], again["invalid"]) == (0, MANY - 2, [])
