"""SES is asked at night what became of messages of which nothing was said: from the job to timeline and list."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from local.sandbox.faults import Fault
from local.sandbox.ses import SesSandbox
from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.providers.email.ses.insights import HOUR_UTC

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNT = "mail-ses"
HOUR_S = 3600


class Site:
    """A stack whose SES tells nobody of anything, unless it is asked."""

    def __init__(self, stack: LocalStack, api: Client) -> None:
        self.stack, self.api = stack, api
        self.ses = cast(SesSandbox, stack.sandboxes["ses"])
        account = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == ACCOUNT)
        body = account_body(account, stack.sandboxes)
        body["settings"]["reconcile"] = True
        api.post("/v1/accounts", body)
        content = {"type": "email", "subject": "News", "text": "Nothing happened."}
        template = {"id": "news", "name": "News", "class": "notification", "accounts": [ACCOUNT], "content": content}
        api.post("/v1/templates", template)
        api.post("/v1/templates/news/versions/1/publish", {})

    def send(self, *names: str) -> dict[str, str]:
        """Send to addresses of the mailbox simulator; the messages' ids by name."""
        people = [{"to": f"{name}@{SIMULATOR}"} for name in names]
        found = self.api.send({"template": "news", "recipients": people})
        self.stack.drain(until_due=True)
        return {name: each["message_id"] for name, each in zip(names, found["messages"], strict=True)}

    def until_night(self) -> None:
        now = datetime.fromtimestamp(self.stack.clock.now_ms() / 1000, UTC)
        self.stack.skip(((HOUR_UTC - now.hour) % 24 or 24) * HOUR_S - now.minute * 60 + 60)

    def ask(self, minutes: int = 0) -> None:
        self.stack.skip(minutes * 60)
        self.stack.invoke("pulling", {})
        self.stack.drain()

    def status(self, message_id: str) -> str:
        return str(self.api.get(f"/v1/messages/{message_id}")["status"])

    def stages(self) -> dict[str, int]:
        found: dict[str, int] = self.api.get("/v1/stats/accounts/mail-ses", by="day")["stages"]
        return found


@pytest.fixture
def site() -> Iterator[Site]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack, Client(stack.url, first_key(stack)) as api:
        yield Site(stack, api)


def test_what_no_event_told_is_told_in_the_night_once(site: Site) -> None:
    ids = site.send("success", "bounce", "complaint", "full", "silent")
    assert {site.status(each) for each in ids.values()} == {"sent"}
    site.ask()
    assert site.ses.exports.jobs == {}, "it is not night"
    site.until_night()
    site.ask()
    assert len(site.ses.exports.jobs) == 2
    for minutes in (10, 10):
        site.ask(minutes)
        assert {name: site.status(each) for name, each in ids.items()} == {
            "success": "delivered",
            "bounce": "undelivered",
            "complaint": "complained",
            "full": "undelivered",
            "silent": "sent",
        }
        stages = site.stages()
        assert (stages["delivered"], stages["undelivered"], stages["undelivered.transient"]) == (2, 1, 1)
        assert stages["complained"] == 1
    assert len(site.ses.exports.jobs) == 2, "two a night"
    listed = site.api.post("/v1/suppressions/query", {"channel": "email"}, repeat=True)["suppressions"]
    reasons: dict[str, Any] = {each["address"]: each["entries"][0]["reason"] for each in listed}
    assert sorted(reasons.values()) == ["bounce", "complaint"]


def test_an_account_without_the_setting_asks_nothing_and_one_without_the_right_breaks_nothing(site: Site) -> None:
    ids = site.send("success")
    # The function runs by its schedule, too, while the clock moves on.
    site.ses.faults.add(Fault("code", at="ExportJob", code="AccessDeniedException", times=-1))
    site.until_night()
    site.ask()
    assert site.ses.exports.jobs == {} and site.status(ids["success"]) == "sent"
    settings = site.api.get(f"/v1/accounts/{ACCOUNT}")["settings"]
    site.api.patch(f"/v1/accounts/{ACCOUNT}", {"settings": {**settings, "reconcile": False}})
    site.ses.faults.clear()
    site.ask(1)
    assert site.ses.exports.jobs == {}


def test_a_message_of_which_an_event_came_as_well_counts_once() -> None:
    with LocalStack(threads=False, memory=True) as stack, Client(stack.url, first_key(stack)) as api:
        site = Site(stack, api)
        ids = site.send("success")
        assert site.status(ids["success"]) == "delivered"
        site.until_night()
        site.ask()
        site.ask(10)
        assert len(site.ses.exports.jobs) == 2
        assert site.stages() == {"sent": 1, "delivered": 1}
