"""Openings and clicks of tracked emails, from the mail as it arrives to the timeline and the template's figures."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from typing import Any

import pytest

from local.stack import LocalStack
from tests.e2e.shop import Shop

pytestmark = pytest.mark.xdist_group("local-stack")

TARGET = "https://shop.example.cn/sale?from=mail&what=茶"
HTML = (
    f'<html><body><p>Hello {{{{ name }}}}</p><a class="big" href="{TARGET.replace("&", "&amp;")}">Sale</a>'
    '<a href="https://shop.example.cn/orders/{{ order }}">Your order</a>'
    '<a href="https://shop.example.cn/plain" data-untracked>Plain</a>'
    '<a href="mailto:help@example.cn">Help</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a></body></html>'
)
ANONYMOUS = (
    '<a href="https://shop.example.cn/sale">Sale</a><a href="https://shop.example.cn/orders/{{ order }}">{{ name }}</a>'
)
NOTICE = (
    '<p>{{ name }}</p><a href="https://shop.example.cn/{{ order }}" data-acknowledges>I have it</a>'
    '<a href="https://a.cn">A</a>'
)
MANY = (
    "".join(f'<a href="https://shop.example.cn/{i}?o={{{{ order }}}}">{i}</a>' for i in range(10)) + "<p>{{ name }}</p>"
)
CONTENT = {
    "type": "email",
    "subject": "Sale for {{ name }}",
    "html": HTML,
    "text": "Sale: https://shop.example.cn/sale",
}
SAMPLE = {"name": "Ada", "order": "A-7"}
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"}
SCANNER = {"user-agent": "Barracuda Sentinel (EE)"}


class Tracking(Shop):
    """Has a tracked advertisement by each email account, and one that is not tracked."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack, **BROWSER)
        for id, account, tracking, html in (
            ("sale-smtp", "mail-smtp", True, HTML),
            ("sale-ses", "mail-ses", True, HTML),
            ("plain", "mail-smtp", False, HTML),
            ("many", "mail-smtp", "recipient", MANY),
            ("nobody", "mail-smtp", "anonymous", ANONYMOUS),
            ("notice", "mail-smtp", False, NOTICE),
        ):
            self.template(id, account, "marketing", {**CONTENT, "html": html}, sample=SAMPLE, tracking=tracking)

    def send(self, template: str, *to: str, **variables: str) -> list[str]:
        self.stack.clock.advance(11)
        body = {"template": template, "recipients": [{"to": each} for each in to], "variables": SAMPLE | variables}
        messages = self.call("POST", "/v1/messages", body)["messages"]
        self.stack.drain(until_due=True)
        # Nobody reads a message at once.
        self.stack.clock.advance(60)
        return [each["message_id"] for each in messages]

    def html(self, message_id: str) -> str:
        mail = next(each.data for each in self.stack.outbox.all() if each.message_id == message_id)
        return str(mail["html"])

    def links(self, message_id: str) -> list[str]:
        """Where the mail's links lead, its pictures last."""
        html = self.html(message_id)
        return [unescape(url) for url in re.findall(r'href="([^"]*)"', html) + re.findall(r'src="([^"]*)"', html)]

    def stages(self, message_id: str) -> list[tuple[str, bool]]:
        self.stack.drain(until_due=True)
        timeline = self.call("GET", f"/v1/messages/{message_id}")["timeline"]
        return [(each["stage"], each["by_machine"]) for each in timeline if each["stage"] in ("opened", "clicked")]


@pytest.fixture(scope="module")
def shop() -> Iterator[Tracking]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack, closing(Tracking(stack)) as it:
        yield it


@pytest.mark.parametrize("account", ["smtp", "ses"])
def test_clicks_and_openings_are_in_the_timeline(shop: Tracking, account: str) -> None:
    first, other = shop.send(f"sale-{account}", f"ada.{account}@example.com", f"eve.{account}@example.com")
    sale, order, plain, help, unsubscribe, picture = shop.links(first)
    assert {"/c/default/" in sale, "/c/default/" in order, "/o/default/" in picture} == {True}
    assert (plain, help) == ("https://shop.example.cn/plain", "mailto:help@example.cn") and "/u/" in unsubscribe
    assert not set(shop.links(other)) & {sale, order, picture, unsubscribe}

    shown = shop.person.get(picture)
    assert (shown.status_code, shown.headers["content-type"], shown.content[:6]) == (200, "image/gif", b"GIF89a")
    led = []
    for url in (sale, order):
        shop.stack.clock.advance(1)
        led.append(shop.person.get(url))

    assert [each.status_code for each in led] == [302, 302]
    to = "https://shop.example.cn/sale?from=mail&what=%E8%8C%B6"
    assert [each.headers["location"] for each in led] == [to, "https://shop.example.cn/orders/A-7"]
    for each in (shown, *led):
        assert each.headers["cache-control"] == "no-store" and "set-cookie" not in each.headers
        assert each.headers["referrer-policy"] == "no-referrer"
    assert sorted(shop.stages(first)) == [("clicked", False), ("clicked", False), ("opened", False)]
    assert shop.call("GET", f"/v1/messages/{first}")["status"] == "clicked"
    assert shop.stages(other) == []


def test_machines_are_told_apart_and_a_look_is_not_told(shop: Tracking) -> None:
    [message_id] = shop.send("sale-smtp", "scanned@example.com")
    sale, *_, picture = shop.links(message_id)
    for url in (sale, picture):
        assert shop.person.head(url).status_code == (302 if url == sale else 200)
        shop.person.get(url, headers=SCANNER)
    assert sorted(shop.stages(message_id)) == [("clicked", True), ("opened", True)]
    assert shop.call("GET", f"/v1/messages/{message_id}")["status"] == "sent"


def test_without_tracking_all_links_lead_straight_on(shop: Tracking) -> None:
    [message_id] = shop.send("plain", "free@example.com")
    assert "/c/default/" not in shop.html(message_id) and "<img" not in shop.html(message_id)


def test_who_does_not_want_it_is_not_tracked_not_even_by_older_messages(shop: Tracking) -> None:
    to = "private@example.com"
    [older] = shop.send("sale-smtp", to)
    sale, *_, unsubscribe, picture = shop.links(older)
    saved = shop.person.post(unsubscribe, data={"do": "save", "untracked": "on"})
    assert 'name="untracked" checked' in saved.text
    found = shop.call("POST", "/v1/suppressions/query", {"channel": "email", "address": to})["suppressions"]
    assert [(e["scope"], e["reason"]) for each in found for e in each["entries"]] == [("tracking", "unsubscribe")]

    assert shop.person.get(sale).status_code == 302 and shop.person.get(picture).status_code == 200
    assert shop.stages(older) == []
    # It stops no message.
    [newer] = shop.send("sale-smtp", to)
    assert shop.call("GET", f"/v1/messages/{newer}")["status"] == "sent"
    assert "/c/default/" not in shop.html(newer) and "<img" not in shop.html(newer)

    shop.person.post(unsubscribe, data={"do": "save"})
    assert "/c/default/" in shop.html(shop.send("sale-smtp", to)[0])


def test_no_address_is_in_a_link_of_ours(shop: Tracking) -> None:
    to = "hidden@example.com"
    [message_id] = shop.send("sale-smtp", to, order=f"mine-{to}")
    assert f"https://shop.example.cn/orders/mine-{to}" in shop.links(message_id)


@pytest.mark.parametrize("part", ["tenant", "token", "short", "other", "picture as link", "link as picture"])
def test_no_link_leads_where_no_message_led(shop: Tracking, part: str) -> None:
    [message_id] = shop.send("sale-smtp", "forger@example.com")
    sale, *_, picture = shop.links(message_id)
    base, tenant, token = sale.rsplit("/", 2)
    forged = {
        "tenant": f"{base}/another/{token}",
        "token": f"{base}/{tenant}/{'B' if token[0] == 'A' else 'A'}{token[1:]}",
        "short": f"{base}/{tenant}/{token[:-8]}",
        "other": f"{base}/{tenant}/{'A' * 80}",
        "picture as link": picture.replace("/o/", "/c/"),
        "link as picture": sale.replace("/c/", "/o/"),
    }[part]
    answer = shop.person.get(forged)
    assert answer.status_code == 404 and "location" not in answer.headers
    assert shop.stages(message_id) == []


@pytest.mark.parametrize(
    "change",
    [
        {"class": "verification"},
        {"accounts": ["text"], "content": {"type": "sms_text", "text": "Hi"}},
    ],
)
def test_what_cannot_be_tracked_says_so_when_it_is_saved(shop: Tracking, change: dict[str, Any]) -> None:
    content = {"type": "email", "subject": "Hi", "html": "<p>Hi</p>"}
    body = {"id": "odd", "name": "Odd", "class": "marketing", "accounts": ["mail-smtp"], "content": content}
    answer = shop.api.post("/v1/templates", json=body | {"tracking": True} | change)
    assert answer.status_code == 422
    if "accounts" not in change:
        assert [each["field"] for each in answer.json()["errors"]] == ["tracking"]
    assert shop.api.patch("/v1/templates/plain", json={"tracking": True}).json()["tracking"] == "recipient"
    assert shop.call("PATCH", "/v1/templates/plain", {"tracking": False})["tracking"] is False


def test_the_figures_of_the_template_count_people(shop: Tracking) -> None:
    found = shop.call("GET", "/v1/stats/templates/sale-smtp?by=day")
    assert "clicked" in json.dumps(found) and "opened" in json.dumps(found)


def test_a_scanner_that_follows_all_links_at_once_is_known_afterwards(shop: Tracking) -> None:
    scanned, read = shop.send("many", "scan@example.com", "read@example.com")
    *links, picture = shop.links(scanned)
    shop.person.get(picture)
    for link in links:
        # Each comes by itself, under a browser's name; what is told first is told of a person.
        assert shop.person.get(link).status_code == 302
        if link is links[0]:
            assert ("clicked", False) in shop.stages(scanned)
    shop.person.get(shop.links(read)[3])
    assert sorted(set(shop.stages(scanned))) == [("clicked", True), ("opened", True)]
    message = shop.call("GET", f"/v1/messages/{scanned}")
    assert message["status"] == "sent"
    clicks = [each for each in message["timeline"] if each["stage"] == "clicked"]
    assert {(each["machine_sign"], each["link"]) for each in clicks} == {("burst", n) for n in range(1, 11)}
    assert shop.stages(read) == [("clicked", False)]

    found = shop.call("GET", "/v1/stats/templates/many?by=day")
    assert found["stages"]["clicked"] == found["stages"]["clicked.times"] == 1
    assert found["stages"]["clicked.machine"] == 10 and "opened" not in found["stages"]
    links_told = {each["target"]: (each["messages"], each["times"], each["by_machine"]) for each in found["links"]}
    assert links_told["https://shop.example.cn/3?o={{ order }}"] == (1, 1, 1)
    assert links_told["https://shop.example.cn/9?o={{ order }}"] == (0, 0, 1) and len(links_told) == 10


def test_anonymous_links_are_the_same_for_all_and_say_of_nobody_whose_they_are(shop: Tracking) -> None:
    first, other = shop.send("nobody", "one@example.com", "two@example.com")
    assert shop.links(first) == shop.links(other)
    sale, order, picture = shop.links(first)
    assert shop.person.get(sale).headers["location"] == "https://shop.example.cn/sale"
    shop.person.get(sale)
    shop.person.get(order, headers=SCANNER)
    assert shop.person.get(picture).status_code == 200
    assert shop.stages(first) == shop.stages(other) == []
    found = shop.call("GET", "/v1/stats/templates/nobody?by=day")
    told = {name: n for name, n in found["stages"].items() if name.partition(".")[0] in ("opened", "clicked")}
    assert told == {"opened.anonymous": 1, "clicked.anonymous": 2, "clicked.machine": 1}
    assert [(each["target"], each["messages"], each["times"], each["by_machine"]) for each in found["links"]] == [
        ("https://shop.example.cn/sale", 0, 2, 0),
        ("https://shop.example.cn/orders/{{ order }}", 0, 0, 1),
    ]


def test_only_the_button_acknowledges(shop: Tracking) -> None:
    [message_id] = shop.send("notice", "busy@example.com")
    have, plain = shop.links(message_id)
    assert "/a/default/" in have and plain == "https://a.cn" and "<img" not in shop.html(message_id)
    for _ in range(2):
        page = shop.person.get(have, headers={"accept-language": "zh-CN"})
        assert page.status_code == 200 and "我已收到" in page.text and "<script" not in page.text
    shop.stack.drain(until_due=True)
    assert shop.call("GET", f"/v1/messages/{message_id}")["status"] == "sent"
    for _ in range(2):
        said = shop.person.post(have)
        assert said.status_code == 200 and "https://shop.example.cn/A-7" in said.text and "Thank you" in said.text
    shop.stack.drain(until_due=True)
    message = shop.call("GET", f"/v1/messages/{message_id}")
    assert message["status"] == "acknowledged"
    assert [each["stage"] for each in message["timeline"]].count("acknowledged") == 1
    assert shop.person.post(have.replace("/a/", "/c/")).status_code == 404
    assert shop.person.get(have.replace("/a/", "/c/")).status_code == 404


def test_who_is_nobody_cannot_acknowledge(shop: Tracking) -> None:
    content = {"type": "email", "subject": "Hi", "html": '<a href="https://a.cn" data-acknowledges>I have it</a>'}
    body = {"id": "odd", "name": "Odd", "class": "marketing", "accounts": ["mail-smtp"], "content": content}
    answer = shop.api.post("/v1/templates", json=body | {"tracking": "anonymous"})
    assert answer.status_code == 422 and [each["field"] for each in answer.json()["errors"]] == ["tracking"]
