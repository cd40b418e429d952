"""The guard against SMS pumping on the local stack: attacks are held, others are not, and people can let go."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from tests.e2e.test_verifications import Site

pytestmark = pytest.mark.xdist_group("local-stack")

GUARD = "/v1/verifications/guard"
heads = count(3000, 10)
PEOPLE = 40


class Guarded(Site):
    """A site with its guard."""

    def ask(self, number: str, key: str | None = None, **more: Any) -> httpx.Response:
        return self.post("/v1/verifications", {"to": number, "template": "code", "purpose": "login", **more}, key)

    def attack(self, prefix: str, starts: int, first: int = 0) -> list[httpx.Response]:
        """So many codes for numbers one after the other, of which none is entered."""
        answers = [self.ask(f"+86{prefix}{first + n:05d}") for n in range(starts)]
        self.stack.drain()
        return answers

    def people(self, prefix: str, count: int, first: int = 0) -> None:
        """People who enter their codes."""
        for n in range(first, first + count):
            number = f"+86{prefix}{n:05d}"
            started = self.start(number)
            assert self.check(started["id"], self.codes(number)[-1]) == ("approved", 0)

    def later(self, seconds: float) -> None:
        self.stack.clock.advance(seconds)

    def settle(self, **guard: Any) -> None:
        answer = self.api.patch(
            "/v1/settings", json={"verification_guard": guard}, headers={"Authorization": f"Bearer {self.key}"}
        )
        assert answer.is_success, answer.text
        self.later(11)

    def audit(self, target: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/v1/audit?target=verification-guard/{target}")["records"]
        return list(reversed(found))

    def row(self, prefix: str) -> dict[str, Any]:
        rows = [each for each in self.get(GUARD)["prefixes"] if each["prefix"] == prefix]
        assert len(rows) == 1
        found: dict[str, Any] = rows[0]
        return found

    def rule(self, method: str, prefix: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.api.request(method, f"{GUARD}/{prefix}", json=body, headers=headers)


@pytest.fixture(scope="module")
def site() -> Iterator[Guarded]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack, closing(Guarded(stack)) as it:
        it.settle(mode="enforce", least_started=30, times_usual=5, least_conversion=25, per_bind_per_hour=20)
        yield it


@pytest.fixture
def prefix() -> str:
    """The first six digits of numbers that no other test uses; the first five are in the longest prefix."""
    return f"13{next(heads)}"


def attacked(site: Guarded, prefix: str, starts: int = PEOPLE) -> list[httpx.Response]:
    site.attack(prefix, starts - 1)
    site.later(130)
    return site.attack(prefix, 2, first=starts)


def test_an_attack_is_held_and_others_are_not(site: Guarded, prefix: str) -> None:
    first, second = attacked(site, prefix)
    assert (first.status_code, second.status_code) == (429, 429)
    assert 880 <= int(first.headers["retry-after"]) <= 900
    told = first.json()["detail"]
    held = f"86{prefix[:5]}"
    assert f"+{held}" in told and "0 were entered" in told and f"{prefix}000" not in told
    other = f"15{next(heads)}"
    assert site.ask(f"+86{other}00001").status_code == 202
    [record] = site.audit(f"prefix/{held}")
    assert record["action"] == "hold_prefix" and record["who"] == "pumping-guard"
    assert record["after"]["figures"]["started"] >= 30 and record["after"]["figures"]["approved"] == 0


def test_people_who_enter_their_codes_are_never_held(site: Guarded, prefix: str) -> None:
    site.people(prefix, PEOPLE)
    site.later(130)
    site.people(prefix, PEOPLE, first=PEOPLE)
    assert site.audit(f"prefix/86{prefix[:5]}") == []
