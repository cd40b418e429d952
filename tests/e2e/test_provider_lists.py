"""A provider's own suppression list: compared, taken over, and released, by the command against the SES sandbox."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from local.sandbox.faults import Fault
from local.sandbox.ses import SesSandbox
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.client.errors import ApiError
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNTS = ("mail-ses", "mail-smtp")


class Shop:
    """A stack with accounts, and its key."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack, self.key = stack, first_key(stack)
        self.ses = cast(SesSandbox, stack.sandboxes["ses"])
        with Client(stack.url, self.key) as api:
            for account in read_accounts(EXAMPLES / "accounts.toml"):
                if account["id"] in ACCOUNTS:
                    api.post("/v1/accounts", account_body(account, stack.sandboxes))

    def run(self, *words: str, code: int = 0) -> str:
        ran = CliRunner().invoke(app, ["account", "suppressions", *words, "--url", self.stack.url, "--key", self.key])
        assert ran.exit_code == code, ran.output
        return ran.output

    def numbers(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "--json"))
        return found

    def listed(self) -> dict[str, list[dict[str, Any]]]:
        with Client(self.stack.url, self.key) as api:
            found = api.post("/v1/suppressions/query", {"channel": "email", "limit": 1000}, repeat=True)
        return {each["address"]: each["entries"] for each in found["suppressions"]}

    def audit(self) -> list[dict[str, Any]]:
        with Client(self.stack.url, self.key) as api:
            found = api.get("/v1/audit", action="mirror_suppressions")
        return [each["after"] for each in found["records"]]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with LocalStack(threads=False, memory=True) as stack:
        yield Shop(stack)


def test_a_list_is_compared_then_taken_over_and_no_more_when_repeated(shop: Shop) -> None:
    for number in range(150):
        shop.ses.suppressed.add(f"User{number}@Example.com", "COMPLAINT" if number else "BOUNCE")
    shop.ses.suppressed.add("not an address")
    before = shop.numbers("mail-ses")
    assert (before["theirs"], before["on_both"], before["unreadable"], before["added"]) == (151, 0, 1, 0)
    assert len(before["missing"]) == 150 and shop.listed() == {} and shop.audit() == []
    assert "are not, 1 that are no addresses here" in " ".join(shop.run("mail-ses").split())
    after = shop.numbers("mail-ses", "--mirror")
    assert after["added"] == 150
    listed = shop.listed()
    assert len(listed) == 150
    (entry,) = next(entries for address, entries in listed.items() if address.lower().startswith("user0@"))
    assert (entry["reason"], entry["scope"]) == ("provider", "all")
    assert entry["note"] == "On the list of account mail-ses for bounce since 2025-01-15"
    assert sorted(each["addresses"] for each in shop.audit()) == [50, 100]
    again = shop.numbers("mail-ses", "--mirror")
    assert (again["added"], again["on_both"], again["missing"]) == (0, 150, [])
    assert len(shop.ses.suppressed.entries) == 151, "theirs is as it was"


def test_an_address_is_released_in_the_letter_case_that_the_provider_has(shop: Shop) -> None:
    for address in ("Ann@Example.com", "Bob@Example.com", "eve@example.com"):
        shop.ses.suppressed.add(address)
    with Client(shop.stack.url, shop.key) as api:
        api.post("/v1/suppressions", {"channel": "email", "address": "Bob@Example.com"}, repeat=True)
    done = shop.numbers("mail-ses", "--release", "Ann@example.COM", "--release", "Bob@example.com")
    assert (done["released"], done["kept"]) == (1, 1)
    assert set(shop.ses.suppressed.entries) == {"Bob@Example.com", "eve@example.com"}
    assert [(each["action"], each["addresses"]) for each in shop.audit()] == [("release", 1)]
    assert shop.numbers("mail-ses", "--release", "Ann@example.com")["released"] == 0


def test_what_cannot_be_done_is_said(shop: Shop) -> None:
    assert "keeps no suppression list" in shop.run("mail-smtp", code=1)
    assert "released would come back" in shop.run("mail-ses", "--mirror", "--release", "a@example.com", code=2)
    assert "addresses.0" in shop.run("mail-ses", "--release", "nobody", code=1)
    shop.ses.suppressed.add("ann@example.com")
    with Client(shop.stack.url, shop.key) as api:
        nobody = api.post("/v1/accounts/mail-ses/suppressions", {"action": "release"})
        other = api.post("/v1/accounts/mail-ses/suppressions", {"action": "mirror", "addresses": ["bob@example.com"]})
    assert (nobody["released"], other["added"], shop.audit(), shop.listed()) == (0, 0, [], {})
    with Client(shop.stack.url, shop.key) as api, pytest.raises(ApiError) as refused:
        api.post("/v1/accounts/mail-ses/suppressions", {"cursor": "made up"})
    assert refused.value.status == 422
    shop.ses.faults.add(Fault("code", at="ListSuppressedDestinations", code="AccessDeniedException", times=-1))
    assert "AccessDeniedException" in shop.run("mail-ses", code=1)
