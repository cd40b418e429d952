"""Links of texts that are the same for everybody: made for a template, followed, and counted in aggregate."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from local.stack import LocalStack
from mepush.main import app
from tests.e2e.verifying import Site

pytestmark = pytest.mark.xdist_group("local-stack")

TARGET = "https://shop.example.cn/sale?what=茶&from=text"
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"}
TEXT = {"type": "sms", "text": "Sale", "tencent": {"template_id": "1900001", "params": []}}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with LocalStack(threads=False, memory=True) as stack, closing(Site(stack)) as it:
        body = {"id": "sale", "name": "Sale", "class": "marketing", "accounts": ["sms-tencent"], "content": TEXT}
        it.call("/v1/templates", body)
        it.call("/v1/templates/sale/versions/1/publish", {})
        yield it


def link(site: Site, template: str, target: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {site.key}"}
    return site.api.get(f"/v1/templates/{template}/link", params={"target": target}, headers=headers)


def test_a_constant_link_leads_on_and_counts_for_its_template(site: Site) -> None:
    made: dict[str, Any] = link(site, "sale", TARGET).json()
    assert (made["template"], made["version"], made["characters"]) == ("sale", 1, len(made["url"]))
    assert link(site, "sale", TARGET).json() == made
    for _ in range(3):
        answer = httpx.get(made["url"], headers=BROWSER, follow_redirects=False, timeout=30)
        assert (answer.status_code, httpx.URL(answer.headers["location"])) == (302, httpx.URL(TARGET))
        site.stack.clock.advance(1)
    httpx.get(made["url"], headers={"user-agent": "Barracuda Sentinel (EE)"}, timeout=30)
    site.stack.drain(until_due=True)
    stages = site.get("/v1/stats/templates/sale")["stages"]
    assert stages["clicked.anonymous"] == 3 and "clicked" not in stages
    # Who leads it elsewhere makes no link of ours.
    assert httpx.get(made["url"][:-2], headers=BROWSER, timeout=30).status_code == 404


@pytest.mark.parametrize(
    "target", ["shop.example.cn", "javascript:alert(1)", "ftp://shop.example.cn", "https://" + "x" * 1990 + "茶"]
)
def test_what_leads_to_no_web_page_is_refused(site: Site, target: str) -> None:
    answer = link(site, "sale", target)
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "query.target"


def test_templates_that_are_not_there_and_those_of_codes_have_none(site: Site) -> None:
    assert link(site, "none", TARGET).status_code == 404
    assert link(site, "code", TARGET).json()["errors"][0]["field"] == "template"


def test_by_the_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPUSH_URL", site.stack.url)
    monkeypatch.setenv("MEPUSH_KEY", site.key)
    result = CliRunner().invoke(app, ["template", "link", "sale", TARGET])
    assert result.stdout.strip() == link(site, "sale", TARGET).json()["url"]


def test_a_text_that_is_to_be_tracked_is_told_why_it_is_not(site: Site) -> None:
    body = {"id": "watched", "name": "W", "class": "marketing", "accounts": ["sms-tencent"], "content": TEXT}
    answer = site.post("/v1/templates", {**body, "tracking": True})
    [error] = answer.json()["errors"]
    assert error["field"] == "tracking" and "ICP filing" in error["message"]


def test_links_of_wecom_messages_are_the_same_for_all_or_refused(site: Site) -> None:
    card = {"type": "textcard", "title": "Sale", "description": "Now", "url": "https://shop.example.cn/card"}
    body = {"id": "card", "name": "C", "class": "marketing", "accounts": ["wecom-app"], "content": card}
    [error] = site.post("/v1/templates", {**body, "tracking": True}).json()["errors"]
    assert error["field"] == "tracking" and "anonymous" in error["message"]
    site.call("/v1/templates", {**body, "tracking": "anonymous"})
    site.call("/v1/templates/card/versions/1/publish", {})
    site.call("/v1/messages", {"template": "card", "recipients": [{"to": "ann"}, {"to": "ben"}]})
    site.stack.drain(until_due=True)
    [url] = {str(each.data["body"]["url"]) for who in ("ann", "ben") for each in site.got(who)}
    assert url.startswith(site.stack.url)
    assert httpx.get(url, headers=BROWSER, timeout=30).headers["location"] == "https://shop.example.cn/card"
    site.stack.drain(until_due=True)
    found = site.get("/v1/stats/templates/card")
    assert found["stages"]["clicked.anonymous"] == 1
    assert [(each["target"], each["times"]) for each in found["links"]] == [("https://shop.example.cn/card", 1)]
