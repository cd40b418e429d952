"""A real browser for tests: headless Chromium, driven by Playwright, and a record of what a page did wrong.

The browser is the machine's own (Debian: `apt-get install chromium`); Playwright's builds are never downloaded.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, Route, sync_playwright

PATH_VARIABLE = "MEPUSH_CHROMIUM"
"""Names a Chromium that is found in none of the usual places."""
NARROW = (375, 812)
WIDE = (1440, 900)
TIMEOUT_MS = 15_000

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_APPS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
_HOW = f"install Chromium (Debian: `apt-get install chromium`), or set {PATH_VARIABLE} to its path"
# A page's policy does not stop this script: the driver adds it.
_RECORD_VIOLATIONS = """
window.violationsSeen = [];
document.addEventListener("securitypolicyviolation",
  (e) => window.violationsSeen.push(`${e.effectiveDirective} forbids ${e.blockedURI || "inline"}`));
"""
_OVERFLOWING = """
() => [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  const clipped = e.closest("pre, [data-scrolls]");
  return box.width && box.right > document.documentElement.clientWidth + 1 && (!clipped || clipped === e);
}).slice(0, 5).map((e) => `${e.tagName.toLowerCase()} ${e.textContent.trim().slice(0, 60)}`)
"""

Scheme = Literal["light", "dark"]


def find_chromium() -> str | None:
    """The path of the machine's Chromium or Chrome; None without one."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return named
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or next((str(path) for path in _APPS if path.exists()), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. Without one: the tests are skipped on a developer's machine and fail where CI is set."""
    path = find_chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"there is no browser: {_HOW}")
        pytest.skip(f"there is no browser: {_HOW}")
    with sync_playwright() as playwright:
        # Containers and root have no sandbox to offer; only our own pages on loopback are opened.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of one site in a window of its own, and everything that went wrong on it.

    page: Playwright's, to look at and to act on. problems: errors and warnings of its console, exceptions, answers
    of 400 and more, requests that failed or were for another host (they are stopped), in the order they came.
    """

    def __init__(self, page: Page, site: str) -> None:
        self.page = page
        self.site = site
        self.problems: list[str] = []
        self._host = urlsplit(site).netloc
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(_RECORD_VIOLATIONS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.route("**/*", self._route)

    def open(self, path: str) -> None:
        """Go to a path of the site, and wait until it is loaded."""
        self.page.goto(self.site + path, wait_until="load")

    def violations(self) -> list[str]:
        """What the page's content security policy stopped, since it was opened."""
        return self._list("() => window.violationsSeen")

    def overflowing(self) -> list[str]:
        """The elements that reach beyond the window's right edge, at most five; none may."""
        found = self._list(_OVERFLOWING)
        wider = self.page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return found or (["the document"] if wider else [])

    def focused(self) -> str:
        """The text of the element that has the keyboard."""
        return str(self.page.evaluate("() => document.activeElement.textContent.trim()"))

    def style(self, selector: str, name: str) -> str:
        """A computed style of the first element that matches."""
        return str(self.page.locator(selector).first.evaluate("(e, name) => getComputedStyle(e)[name]", name))

    def contrast(self, selector: str) -> float:
        """The contrast of an element's text with the page, as WCAG 2 counts it: 1 to 21; small text needs 4.5."""
        text = _luminance(_rgb(self.style(selector, "color")))
        page = _luminance(_rgb(str(self.page.evaluate(_CANVAS))))
        return (max(text, page) + 0.05) / (min(text, page) + 0.05)

    def _list(self, script: str) -> list[str]:
        found: Any = self.page.evaluate(script)
        return [str(each) for each in found]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.problems.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        self.problems.append(f"failed: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"answered {response.status}: {response.url}")

    def _route(self, route: Route) -> None:
        if urlsplit(route.request.url).netloc == self._host:
            route.continue_()
        else:
            self.problems.append(f"another host: {route.request.url}")
            route.abort()


@contextmanager
def visit(browser: Browser, site: str, window: tuple[int, int] = WIDE, scheme: Scheme = "light") -> Iterator[Visit]:
    """A fresh window on a site, without cookies or history. site: its address without a path."""
    width, height = window
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, service_workers="block"
    )
    try:
        yield Visit(context.new_page(), site)
    finally:
        context.close()


# What `Canvas` looks like when nothing else is painted; a computed background may be transparent.
_CANVAS = """
() => {
  const probe = document.createElement("i");
  probe.style.color = "Canvas";
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
"""


def _rgb(color: str) -> tuple[float, float, float]:
    """Raises: ValueError for what is not `rgb(1, 2, 3)`."""
    red, green, blue = (float(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(","))
    return red, green, blue


def _luminance(color: tuple[float, float, float]) -> float:
    # https://www.w3.org/TR/WCAG21/#dfn-relative-luminance
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
