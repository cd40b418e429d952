"""A resolver for tests: names that lead where the test says, and how often they were asked for."""

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest


class Resolver:
    """Takes the place of the system's. names: each with its answers, one after the other; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._names = {name: list(answers) for name, answers in names.items()}
        self._real = socket.getaddrinfo
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name not in self._names:
            return self._real(host, port, *args, **more)
        self.asked.append(name)
        answers = self._names[name]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [_row(address, int(port)) for address in found]


def _row(address: str, port: int) -> Any:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    where = (address, port, 0, 0) if ":" in address else (address, port)
    return (family, socket.SOCK_STREAM, 6, "", where)
