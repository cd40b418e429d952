"""Who may talk to a server on loopback: programs of this machine, and pages that the server itself has served.

Any web page may have the browser send a request to 127.0.0.1, and by a name of its own that leads there (DNS
rebinding) read the answer, too. Browsers say by Host which name was used, by Origin and Sec-Fetch-Site which page asks,
and no page can make them say otherwise (Fetch standard, "Forbidden request-header").
"""

import re
from collections.abc import Iterable, Mapping

_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_OWN_SITES = frozenset({"same-origin", "none"})
"""Of a page of ours, and of nobody's: an address that a person typed."""
_SAFE_METHODS = frozenset({"GET", "HEAD"})

Headers = Iterable[tuple[str, str]]


def refusal(method: str, headers: Headers) -> str | None:
    """Why a request is not answered, in a sentence; None if it may be. headers: as they came, repeated ones too."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.strip())
    hosts = values.get("host", [])
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return "This server answers to the names 127.0.0.1, localhost and [::1] alone."
    origins = values.get("origin", [])
    if any(not _is_own(origin, hosts[0]) for origin in origins):
        return "This server takes no requests of pages from elsewhere (the header Origin)."
    sites = values.get("sec-fetch-site", [])
    if not _OWN_SITES.issuperset(sites) and not _opens_a_page(method, values):
        return "This server takes no requests of pages from elsewhere (the header Sec-Fetch-Site)."
    return None


def is_plain_form(method: str, headers: Headers) -> bool:
    """Whether a browser would send this for any page without asking first: a POST whose type is not JSON."""
    kinds = [value.partition(";")[0].strip().lower() for name, value in headers if name.lower() == "content-type"]
    json = bool(kinds) and all(re.fullmatch(r"application/([\w.+-]+[+-])?json(-[\d.]+)?", kind) for kind in kinds)
    return method == "POST" and not json


def _is_own(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _opens_a_page(method: str, values: Mapping[str, list[str]]) -> bool:
    """Whether a person follows a link to here: the page that has it does not see what it shows."""
    wanted = (values.get("sec-fetch-mode"), values.get("sec-fetch-dest"))
    return method in _SAFE_METHODS and wanted == (["navigate"], ["document"])
