"""The guard against SMS pumping on the local stack: attacks are held, others are not, and people can let go."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from local.stack import LocalStack
from mepush.main import app
from shared.store.pumping import Pumping
from tests.e2e.verifying import Site
from tests.fakes import out_of_reach

pytestmark = pytest.mark.xdist_group("local-stack")

GUARD = "/v1/verifications/guard"
heads = count(3000, 10)
PEOPLE = 40


class Guarded(Site):
    """A site with its guard."""

    def __init__(self, stack: LocalStack) -> None:
        self.guarded: list[str] = []
        super().__init__(stack)

    def _note(self, service: str, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        super()._note(service, operation, asked, answer)
        if service == "dynamodb" and "'pumping#" in repr(asked):
            self.guarded.append(operation)

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
def prefix(site: Guarded) -> str:
    """The first six digits of numbers that no other test uses, on another day: the first five are in the longest
    prefix."""
    site.later(25 * 3600)
    n = next(heads)
    return f"1{3 + n // 10 % 7}{n}"


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
    assert site.ask(f"+86{prefix[:4]}{int(prefix[4]) ^ 1}{prefix[5:]}00001").status_code == 202
    [record] = site.audit(f"prefix/{held}")
    assert record["action"] == "hold_prefix" and record["who"] == "pumping-guard"
    assert record["after"]["figures"]["started"] >= 30 and record["after"]["figures"]["approved"] == 0


def test_people_who_enter_their_codes_are_never_held(site: Guarded, prefix: str) -> None:
    site.people(prefix, PEOPLE)
    site.later(130)
    site.people(prefix, PEOPLE, first=PEOPLE)
    assert site.audit(f"prefix/86{prefix[:5]}") == []


def test_a_held_prefix_is_tried_and_held_longer_or_let_go(site: Guarded, prefix: str) -> None:
    attacked(site, prefix)
    held = f"86{prefix[:5]}"
    site.later(15 * 60)
    assert site.ask(f"+86{prefix}90000").status_code == 202
    answers = site.attack(prefix, 12, first=90001)
    assert [each.status_code for each in answers] == [202] * 9 + [429] * 3
    assert answers[-1].headers["retry-after"] == "60"
    site.later(130)
    assert site.ask(f"+86{prefix}91000").status_code == 429
    assert site.row(held)["state"] == "held" and site.row(held)["figures"]["window"] == "trial"
    site.later(30 * 60)
    site.people(prefix, 10, first=92000)
    site.later(130)
    site.people(prefix, 1, first=93000)
    assert site.row(held)["state"] == "cleared"
    actions = [each["action"] for each in site.audit(f"prefix/{held}")]
    assert actions == ["hold_prefix", "try_prefix", "hold_prefix", "try_prefix", "clear_prefix"]


def test_who_gave_a_code_back_today_is_let_through(site: Guarded, prefix: str) -> None:
    site.people(prefix, 1, first=80000)
    attacked(site, prefix)
    assert site.ask(f"+86{prefix}90000").status_code == 429
    assert site.ask(f"+86{prefix}80000").status_code == 202


def test_monitor_counts_and_holds_nothing(site: Guarded, prefix: str) -> None:
    site.settle(mode="monitor", per_day=0)
    try:
        assert {each.status_code for each in attacked(site, prefix)} == {202}
        row = site.row(f"86{prefix[:5]}")
        assert (row["state"], row["enforced"], row["refused"]) == ("held", False, 0)
        [record] = site.audit(f"prefix/86{prefix[:5]}")
        assert record["action"] == "hold_prefix" and record["after"]["enforced"] is False
    finally:
        site.settle(mode="enforce", per_day=None)


def test_off_counts_nothing(site: Guarded, prefix: str) -> None:
    site.settle(mode="off")
    try:
        assert {each.status_code for each in attacked(site, prefix)} == {202}
    finally:
        site.settle(mode="enforce")
    assert not [each for each in site.get(GUARD)["prefixes"] if each["prefix"].startswith(f"86{prefix[:5]}")]


def test_test_keys_are_not_counted(site: Guarded, prefix: str) -> None:
    key = site.call("/v1/keys", {"name": "t", "kind": "test", "scopes": ["send"]})["key"]
    assert site.ask(f"+86{prefix}99999").status_code == 202
    before = site.row(f"86{prefix[:2]}")["started"]
    assert before == 1
    for n in range(PEOPLE):
        assert site.ask(f"+86{prefix}{n:05d}", key).status_code == 202
    assert site.row(f"86{prefix[:2]}")["started"] == before


def test_people_can_release_hold_block_and_forget(site: Guarded, prefix: str) -> None:
    attacked(site, prefix)
    held = f"86{prefix[:5]}"
    assert site.rule("PUT", held, {"state": "released", "minutes": 60, "reason": "a fair"}).status_code == 200
    site.later(11)
    assert {each.status_code for each in site.attack(prefix, 10, first=70000)} == {202}
    assert site.rule("PUT", held, {"state": "blocked", "reason": "no people there"}).status_code == 200
    site.later(11)
    blocked = site.ask(f"+86{prefix}71000")
    assert blocked.status_code == 403 and "no people there" in blocked.json()["detail"]
    assert site.rule("PUT", held, {"state": "held"}).json()["until"] is not None
    site.later(11)
    assert site.ask(f"+86{prefix}71000").status_code == 429
    assert site.rule("DELETE", held).status_code == 204
    assert site.rule("DELETE", held).status_code == 404
    site.later(11)
    actions = [each["action"] for each in site.audit(f"prefix/{held}")]
    assert actions == ["hold_prefix", *["set_guard_prefix"] * 3, "delete_guard_prefix"]
    for method, path, body, field in (
        ("PUT", "x1", {"state": "held"}, "prefix"),
        ("PUT", "62", {"state": "trial"}, "state"),
        ("PUT", "62", {"state": "blocked", "minutes": 5}, "minutes"),
    ):
        answer = site.rule(method, path, body)
        assert answer.status_code == 422 and [each["field"] for each in answer.json()["errors"]] == [field]


def test_limits_that_people_set(site: Guarded, prefix: str) -> None:
    site.settle(per_bind_per_hour=2)
    codes = [site.ask(f"+86{prefix}{n:05d}", bind="a device").status_code for n in range(4)]
    assert codes == [202, 202, 429, 429]
    assert site.ask(f"+86{prefix}00009", bind="another").status_code == 202
    site.settle(per_bind_per_hour=20, per_country_per_day={"CN": 3})
    try:
        answers = [site.ask(f"+86{prefix}1{n:04d}") for n in range(4)]
        assert [each.status_code for each in answers] == [202, 202, 202, 429]
        assert "per_country_per_day" in answers[-1].json()["detail"]
    finally:
        site.settle(per_country_per_day={})


def test_what_codes_may_cost(site: Guarded, prefix: str) -> None:
    headers = {"Authorization": f"Bearer {site.key}"}
    fee = {"fee": {"amount": 0.05, "currency": "CNY"}}
    assert site.api.patch("/v1/accounts/sms-tencent", json=fee, headers=headers).is_success
    site.settle(spend_per_day={"amount": 0.1, "currency": "CNY"})
    try:
        answers = [site.ask(f"+86{prefix}{n:05d}") for n in range(3)]
        assert [each.status_code for each in answers] == [202, 202, 429]
        assert "0.10 CNY" in answers[-1].json()["detail"]
    finally:
        site.settle(spend_per_day=None)


def test_a_country_that_nobody_sent_codes_to(site: Guarded) -> None:
    headers = {"Authorization": f"Bearer {site.key}"}
    assert site.api.patch("/v1/settings", json={"countries": ["CN", "HK", "GB"]}, headers=headers).is_success
    site.settle(new_countries="block")
    try:
        refused = site.ask("+85261234567")
        assert refused.status_code == 403 and "HK" in refused.json()["detail"]
        assert site.rule("PUT", "852", {"state": "released"}).status_code == 200
        site.later(11)
        assert site.ask("+85261234567").status_code == 202
        site.settle(new_countries="monitor")
        assert site.ask("+447400123456").status_code == 202
        site.later(11)
        assert site.ask("+447400123457").status_code == 202
        [record] = site.audit("country/GB")
        assert record["action"] == "first_code_to_country"
    finally:
        site.settle(new_countries="monitor")


def test_a_start_takes_few_requests(site: Guarded, prefix: str) -> None:
    """Three for the guard, and one while the process remembers the figures."""
    site.start(f"+86{prefix}00001")
    counted = []
    for wait, number in ((11, 2), (1, 3)):
        site.later(wait)
        site.guarded.clear()
        assert site.ask(f"+86{prefix}{number:05d}").status_code == 202
        counted.append(sorted(site.guarded))
        site.stack.drain()
    assert counted == [["Query", "Query", "UpdateItem"], ["UpdateItem"]]


def test_what_cannot_be_counted_is_sent(site: Guarded, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise out_of_reach("dynamodb")

    monkeypatch.setattr(Pumping, "start", broken)
    monkeypatch.setattr(Pumping, "overview", broken)
    site.later(11)
    assert site.ask(f"+86{prefix}00001").status_code == 202


def test_by_the_command(site: Guarded, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPUSH_URL", site.stack.url)
    monkeypatch.setenv("MEPUSH_KEY", site.key)

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["verify", *words])
        assert result.exit_code == code, result.output
        return result.output

    attacked(site, prefix)
    held = f"86{prefix[:5]}"
    shown = run("guard")
    assert f"+{held}" in shown and "held" in shown and "0 were entered" in " ".join(shown.split())
    assert "released until" in run("release", f"+{held}", "--minutes", "5", "--reason", "a fair")
    assert "held until" in run("hold", held)
    assert "until somebody changes it" in run("block", held)
    assert "left to the guard" in run("forget", held)
    assert "Nothing was decided" in run("forget", held, code=1)
    assert '"mode": "enforce"' in run("guard", "--json")
