"""A real browser looks at the API's page as a person would, and the kit that lets it sees what is wrong."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from local.stack import LocalStack
from shared.api.operations import OPERATIONS
from tests.e2e import browser as kit
from tests.e2e.browser import NARROW, WIDE, Scheme, Visit, chromium, visit

pytestmark = pytest.mark.xdist_group("local-stack")
WINDOWS = pytest.mark.parametrize("window", [NARROW, WIDE], ids=["narrow", "wide"])


BY_HAND = 10
"""So many things are clicked, or one of so many; scripts do the rest, since each click takes a tenth of a second."""
_FOLLOW_ALL = """
() => [...document.querySelectorAll("nav[aria-label='Operations'] a")].filter((a) => a.hash !== "#schemas").map((a) => {
  a.click();
  const heading = document.querySelector(`h3${a.hash}`);
  const box = heading.getBoundingClientRect();
  return {
    id: a.hash.slice(1),
    link: a.textContent.trim(),
    heading: heading.textContent.trim(),
    route: heading.closest("section").querySelector(".route").textContent.trim(),
    seen: box.top >= 0 && box.top < window.innerHeight,
  };
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(browser: Browser) -> Iterator[str]:
    """The address of a local stack; `browser` comes first, so that none is started in vain."""
    with LocalStack(port=0) as stack:
        yield stack.url


@contextmanager
def docs(browser: Browser, site: str, window: tuple[int, int] = WIDE, scheme: Scheme = "light") -> Iterator[Visit]:
    with visit(browser, site, window, scheme) as seen:
        seen.open("/docs")
        yield seen


@WINDOWS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_renders_and_nothing_goes_wrong(
    browser: Browser, site: str, window: tuple[int, int], scheme: Scheme
) -> None:
    with docs(browser, site, window, scheme) as seen:
        expect(seen.page).to_have_title("mePush API")
        expect(seen.page.get_by_role("heading", level=1)).to_be_in_viewport()
        assert seen.style("code", "fontFamily").startswith("ui-monospace")
        assert seen.overflowing() == []
        # By hand the first ones, for a person clicks where they see something; a script is quicker with the rest.
        for example in seen.page.locator("summary").all()[:BY_HAND]:
            example.click()
        seen.page.evaluate("() => document.querySelectorAll('details:not([open]) > summary').forEach(e => e.click())")
        assert seen.page.locator("details[open]").count() == seen.page.locator("summary").count() > 0
        assert seen.overflowing() == []
        assert seen.violations() == []
        assert seen.problems == []


def test_every_operation_can_be_reached_from_the_navigation(browser: Browser, site: str) -> None:
    with docs(browser, site) as seen:
        links = seen.page.get_by_role("navigation", name="Operations").get_by_role("link")
        hrefs = links.evaluate_all("(found) => found.map((a) => a.getAttribute('href'))")
        assert set(hrefs) == {f"#{o.id}" for o in OPERATIONS} | {"#schemas"}
        for operation in OPERATIONS[::BY_HAND]:
            links.get_by_text(operation.summary, exact=True).click()
            expect(seen.page.locator(f"h3#{operation.id}")).to_be_in_viewport()
        reached = {each["id"]: each for each in seen.page.evaluate(_FOLLOW_ALL)}
        assert reached.keys() == {operation.id for operation in OPERATIONS}
        for operation in OPERATIONS:
            found = reached[operation.id]
            assert found["link"] == found["heading"] == operation.summary
            assert found["seen"], operation.id
            assert found["route"] == f"{operation.method} {operation.path}"
        assert seen.problems == []


@WINDOWS
def test_anchors_lead_to_what_they_name(browser: Browser, site: str, window: tuple[int, int]) -> None:
    with docs(browser, site, window) as seen:
        anchors = seen.page.evaluate("() => [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))")
        ids = seen.page.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert set(anchors) <= set(ids)
        assert len(ids) == len(set(ids))
        section = seen.page.locator("section", has=seen.page.locator("#send_messages"))
        section.get_by_role("link", name="SendRequest").click()
        expect(seen.page).to_have_url(re.compile("#schema-SendRequest$"))
        expect(seen.page.get_by_role("heading", name="SendRequest", exact=True)).to_be_in_viewport()


def test_what_a_parameter_and_the_api_are_for_is_said(browser: Browser, site: str) -> None:
    with docs(browser, site) as seen:
        expect(seen.page.locator("main > p").nth(1)).to_contain_text("Every call carries an API key")
        parameters = seen.page.get_by_role("table", name="Parameters").first
        row = parameters.get_by_role("row", name="Idempotency-Key")
        expect(row).to_contain_text("at least 1 character, at most 200 characters")
        expect(row).to_contain_text("optional. Your own name for the request")


def test_an_address_with_an_anchor_opens_there(browser: Browser, site: str) -> None:
    with visit(browser, site, NARROW) as seen:
        seen.open("/docs#create_key")
        expect(seen.page.locator("#create_key")).to_be_in_viewport()


def test_the_keyboard_can_skip_the_navigation(browser: Browser, site: str) -> None:
    with docs(browser, site) as seen:
        link = seen.page.get_by_role("link", name="Skip to the text")
        expect(link).not_to_be_in_viewport()
        seen.page.keyboard.press("Tab")
        expect(link).to_be_focused()
        expect(link).to_be_in_viewport(ratio=1)
        seen.page.keyboard.press("Enter")
        expect(link).not_to_be_in_viewport()
        seen.page.keyboard.press("Tab")
        assert seen.focused() == "openapi.json"


@WINDOWS
def test_text_and_tables_are_readable(browser: Browser, site: str, window: tuple[int, int]) -> None:
    with docs(browser, site, window) as seen:
        for selector in ("main p", "main td", "main code", "nav a"):
            assert float(seen.style(selector, "fontSize").removesuffix("px")) >= 14
        too_thin = seen.page.evaluate(
            "() => [...document.querySelectorAll('tbody *')].filter("
            "e => e.matches('td, th') && e.textContent && e.offsetWidth < 40).length"
        )
        assert too_thin == 0
        fields = seen.page.locator("table.fields tbody tr").first
        boxes = [cell.bounding_box() for cell in fields.locator("th, td").all()]
        left = {round(box["x"]) for box in boxes if box}
        assert len(left) == (1 if window == NARROW else 3)
        for paragraph in seen.page.locator("main p").all()[:20]:
            box = paragraph.bounding_box()
            assert box
            assert box["width"] <= 60 * 16


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_readers_colours(browser: Browser, site: str, scheme: Scheme, dark: bool) -> None:
    with docs(browser, site, scheme=scheme) as seen:
        text = seen.style("main p", "color")
        assert (text == "rgb(255, 255, 255)") is dark
        for selector in ("main p", "main td", "main a", "nav a", "main code"):
            assert seen.contrast(selector) >= 4.5, selector


class _BadSite(BaseHTTPRequestHandler):
    """A page with everything that the kit must see."""

    def do_GET(self) -> None:
        body = b"""<!doctype html><title>Bad</title>
            <meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'; style-src 'none'">
            <p style="width: 3000px">unstyled</p><img src="http://127.0.0.2:9/other.png" alt="">
            <img src="/missing.png" alt=""><table width="2000"><tr><td>wide</table>
            <script>console.error("oh no"); setTimeout(() => { throw new Error("late") })</script>"""
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body if found else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_the_kit_sees_what_is_wrong(browser: Browser) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _BadSite)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with visit(browser, f"http://127.0.0.1:{server.server_address[1]}", NARROW) as seen:
            with seen.page.expect_event("pageerror"):
                seen.open("/")
            seen.page.wait_for_function("() => window.violationsSeen.length > 0")
            problems = "\n".join(seen.problems)
            assert "console error: oh no" in problems
            assert "exception: late" in problems
            assert "another host: http://127.0.0.2:9/other.png" in problems
            assert re.search(r"answered 404: \S+/missing.png", problems)
            assert seen.violations() == ["style-src-attr forbids inline"]
            assert seen.overflowing()[0].startswith("table")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize(("ci", "raised"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_browser_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, ci: str, raised: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(kit, "find_chromium", lambda: None)
    with pytest.raises(raised, match="apt-get install chromium"), chromium():
        raise AssertionError("a browser was started")


def test_a_browser_elsewhere_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kit.PATH_VARIABLE, "/opt/chromium")
    assert kit.find_chromium() == "/opt/chromium"
    monkeypatch.setenv(kit.PATH_VARIABLE, "")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(kit, "_APPS", ())
    assert kit.find_chromium() is None
