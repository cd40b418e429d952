"""From the link in an advertisement to the suppression list, as mail programs, browsers and scanners use it."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from local.stack import LocalStack
from tests.e2e.shop import Shop

pytestmark = pytest.mark.xdist_group("local-stack")

HTML = '<p>Hello {{ name }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'
TEXT = "Hello {{ name }}\nUnsubscribe: {{ unsubscribe_url }}"
CONTENT = {"type": "email", "subject": "Sale for {{ name }}", "html": HTML, "text": TEXT}
TOPICS = {"sale": {"name": "Sales", "name_zh": "促销"}, "news": {"name": "News"}}
FORM = {"content-type": "application/x-www-form-urlencoded"}
ONE_CLICK: Any = {"content": b"List-Unsubscribe=One-Click", "headers": FORM}


class Topics(Shop):
    """Has advertisements about two topics and a notification, by both email accounts."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.call("PATCH", "/v1/settings", {"topics": TOPICS})
        for account in ("mail-smtp", "mail-ses"):
            for topic in (*TOPICS, None):
                name, sample = f"{topic or 'plain'}-{account[5:]}", {"name": "Ada"}
                self.template(name, account, "marketing", CONTENT, topic=topic, sample=sample)
        notice = {"type": "email", "subject": "Your order", "text": "It is on its way."}
        self.template("order", "mail-smtp", "notification", notice)

    def send(self, template: str, *to: str) -> list[str]:
        people = [{"to": each} for each in to]
        body: dict[str, Any] = {"template": template, "recipients": people}
        if template != "order":
            body["variables"] = {"name": "Ada"}
        # For ten seconds functions remember templates, and that a channel has no list yet.
        self.stack.clock.advance(11)
        messages = self.call("POST", "/v1/messages", body)["messages"]
        self.stack.drain(until_due=True)
        return [each["message_id"] for each in messages]

    def status(self, message_id: str) -> str:
        return str(self.call("GET", f"/v1/messages/{message_id}", None)["status"])

    def got(self, message_id: str) -> dict[str, Any]:
        """The mail as it arrived."""
        return next(each.data for each in self.stack.outbox.all() if each.message_id == message_id)

    def link(self, message_id: str) -> str:
        """The link in a mail's header, which must stand in both bodies as well."""
        mail = self.got(message_id)
        assert mail["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
        found = re.fullmatch(r"<(http://[^<>]+)>", mail["list_unsubscribe"])
        assert found is not None
        assert f'href="{found[1]}"' in mail["html"] and found[1] in mail["text"]
        return found[1]

    def entries(self, address: str) -> list[tuple[str, str, str | None, str]]:
        body = {"channel": "email", "address": address}
        found = self.call("POST", "/v1/suppressions/query", body)["suppressions"]
        return [(e["scope"], e["reason"], e["topic"], e["by"]) for each in found for e in each["entries"]]


@pytest.fixture(scope="module")
def shop() -> Iterator[Topics]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack, closing(Topics(stack)) as it:
        yield it


@pytest.mark.parametrize("account", ["smtp", "ses"])
def test_one_click_unsubscribes_from_what_the_message_is_about(shop: Topics, account: str) -> None:
    to = f"ada.{account}@example.com"
    # Several at once go by one call of SES, and each has a link of its own.
    first, other = shop.send(f"sale-{account}", to, f"eve.{account}@example.com")
    assert shop.link(first) != shop.link(other)

    answer = shop.person.post(shop.link(first), **ONE_CLICK)

    assert (answer.status_code, answer.history) == (200, []) and "set-cookie" not in answer.headers
    assert shop.entries(to) == [("marketing", "unsubscribe", "sale", "recipient")]
    again, news, order = (shop.send(t, to)[0] for t in (f"sale-{account}", f"news-{account}", "order"))
    assert [shop.status(each) for each in (again, news, order)] == ["suppressed", "sent", "sent"]
    shop.stack.drain(until_due=True)
    assert shop.status(first) == "unsubscribed" and shop.status(other) == "sent"
    reason = shop.call("GET", f"/v1/messages/{again}", None)["timeline"][-1]["reason"]
    assert reason == "suppressed_unsubscribe"


def test_of_a_message_without_a_topic_it_is_all_advertising(shop: Topics) -> None:
    to = "bob@example.com"
    [message_id] = shop.send("plain-smtp", to)
    shop.person.post(shop.link(message_id), files={"List-Unsubscribe": (None, "One-Click")})
    assert shop.entries(to) == [("marketing", "unsubscribe", None, "recipient")]
    assert shop.status(shop.send("news-smtp", to)[0]) == "suppressed"
    assert shop.status(shop.send("order", to)[0]) == "sent"


def test_a_look_changes_nothing_whoever_looks(shop: Topics) -> None:
    to = "scanned@example.com"
    url = shop.link(shop.send("sale-smtp", to)[0])
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "GET"):
        shop.person.request(method, url)
    assert shop.person.post(url, content=b"").status_code == 400
    assert shop.person.post(url, json={"List-Unsubscribe": "One-Click"}).status_code == 400
    assert shop.entries(to) == []
    page = shop.person.get(url, headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert "促销" in page.text and page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert to not in page.text and "scanned" not in page.text


def test_a_person_chooses_topics_and_comes_back(shop: Topics) -> None:
    to = "chooser@example.com"
    url = shop.link(shop.send("sale-smtp", to)[0])
    saved = shop.person.post(url, data={"do": "save", "topic": ["news"]})
    assert "Saved." in saved.text and 'value="news" checked' in saved.text
    assert shop.entries(to) == [("marketing", "unsubscribe", "sale", "recipient")]
    shop.person.post(url, data={"do": "none"})
    assert {each[2] for each in shop.entries(to)} == {"sale", None}
    assert shop.status(shop.send("news-smtp", to)[0]) == "suppressed"
    shop.person.post(url, data={"do": "save", "topic": ["news", "sale"]})
    assert shop.entries(to) == []
    assert shop.status(shop.send("sale-smtp", to)[0]) == "sent"
    log = shop.call("GET", "/v1/audit?action=set_preferences&limit=100", None)["records"]
    assert {each["who"] for each in log} == {"recipient"} and to not in json.dumps(log)


def test_what_others_decided_a_recipient_cannot_undo(shop: Topics) -> None:
    to = "blocked@example.com"
    url = shop.link(shop.send("sale-smtp", to)[0])
    shop.call("POST", "/v1/suppressions", {"channel": "email", "address": to, "reason": "complaint"})
    shop.person.post(url, data={"do": "save", "topic": ["news", "sale"]})
    assert [each[1] for each in shop.entries(to)] == ["complaint"]


@pytest.mark.parametrize("part", ["tenant", "token", "short", "other"])
def test_a_link_that_nobody_made_leads_nowhere(shop: Topics, part: str) -> None:
    base, tenant, token = shop.link(shop.send("sale-smtp", "victim@example.com")[0]).rsplit("/", 2)
    other = "B" if token[0] == "A" else "A"
    forged = {
        "tenant": f"{base}/another/{token}",
        "token": f"{base}/{tenant}/{other}{token[1:]}",
        "short": f"{base}/{tenant}/{token[:40]}",
        "other": f"{base}/{tenant}/{'A' * 48}",
    }[part]
    answers = [shop.person.get(forged), shop.person.post(forged, **ONE_CLICK)]
    assert [each.status_code for each in answers] == [404, 404]
    assert shop.entries("victim@example.com") == []


def test_equal_messages_stay_equal_though_each_has_its_own_link(shop: Topics) -> None:
    shop.call("PATCH", "/v1/templates/plain-smtp", {"policies": {"duplicate_seconds": 3600}})
    first, second = (shop.send("plain-smtp", "twice@example.com")[0] for _ in range(2))
    assert [shop.status(first), shop.status(second)] == ["sent", "duplicate"]


def test_other_mails_have_no_such_header(shop: Topics) -> None:
    [message_id] = shop.send("order", "plain@example.com")
    assert shop.got(message_id)["list_unsubscribe"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"topic": "sale", "class": "notification"}, "topic"),
        ({"topic": "gone"}, "topic"),
        ({"class": "notification", "content": CONTENT}, "content"),
    ],
)
def test_what_has_no_topic_and_no_link_says_so_when_it_is_saved(
    shop: Topics, change: dict[str, Any], field: str
) -> None:
    body = {"id": "odd", "name": "Odd", "class": "marketing", "accounts": ["mail-smtp"], "sample": {"name": "Ada"}}
    body |= {"content": {"type": "email", "subject": "Hi {{ name }}", "text": "Hi"}} | change
    answer = shop.api.post("/v1/templates", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_an_entry_of_a_topic_goes_out_and_comes_in_as_one_of_a_topic(shop: Topics) -> None:
    to = "topical@example.com"
    body = {"channel": "email", "address": to, "scope": "marketing", "reason": "manual", "topic": "sale"}
    shop.call("POST", "/v1/suppressions", body)
    assert shop.entries(to)[0][:3] == ("marketing", "manual", "sale")
    shop.call("POST", "/v1/suppressions/remove", {"channel": "email", "address": to, "topic": "news"})
    assert len(shop.entries(to)) == 1
    shop.call("POST", "/v1/suppressions/remove", {"channel": "email", "address": to, "topic": "sale"})
    rows = [{"address": to, "scope": "marketing", "topic": topic} for topic in ("news", "gone", "")]
    report = shop.call("POST", "/v1/suppressions/import", {"channel": "email", "rows": [*rows, rows[0]]})
    assert [each["status"] for each in report["rows"]] == ["added", "invalid", "added", "already_there"]
    assert {each[2] for each in shop.entries(to)} == {"news", None}
    for wrong in ({"topic": "gone"}, {"topic": "sale", "scope": "all"}):
        assert shop.api.post("/v1/suppressions", json=body | wrong).status_code == 422
