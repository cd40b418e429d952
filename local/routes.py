"""Finds the route of a request as an HTTP API does: the most specific one.

After the API Gateway developer guide, "Create routes for HTTP APIs in API Gateway".
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from local.deployment import Route

_DEFAULT = "$default"


class Routes:
    """The routes of an API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._default: Route | None = None
        found: list[tuple[tuple[object, ...], str, re.Pattern[str], Route]] = []
        for route in routes:
            if route.key == _DEFAULT:
                self._default = route
                continue
            method, path = route.key.split(" ", 1)
            found.append((_specificity(method, path), method, _pattern(path), route))
        self._routes = sorted(found, key=lambda each: each[0])

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a method and an encoded path, with the decoded path parameters; None if there is none."""
        for _, wanted, pattern, route in self._routes:
            if wanted in (method, "ANY") and (match := pattern.fullmatch(raw_path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return (self._default, {}) if self._default else None


def _specificity(method: str, path: str) -> tuple[object, ...]:
    """Sorts the most specific first: by segment literal, parameter, greedy; then a method before ANY."""
    return tuple(_rank(segment) for segment in path.split("/")), method == "ANY"


def _rank(segment: str) -> tuple[int, str]:
    if segment.endswith("+}"):
        return 2, ""
    return (1, "") if segment.startswith("{") else (0, segment)


def _pattern(path: str) -> re.Pattern[str]:
    parts = []
    for segment in path.split("/"):
        if segment.endswith("+}"):
            parts.append(f"(?P<{segment[1:-2]}>.+)")
        elif segment.startswith("{"):
            parts.append(f"(?P<{segment[1:-1]}>[^/]+)")
        else:
            parts.append(re.escape(segment))
    return re.compile("/".join(parts))
