"""How faults are told: what the API takes and refuses, files, chance, outages that pass, and the mixture."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.faults import MOST, PROVIDER_FAULTS, FaultFileError, read_faults
from local.sandbox.base import Fault
from local.sandbox.faults import Faults
from shared.model.outcome import Outcome, Sent
from tests.contract.faulty import TO, FaultySandboxes, said
from tests.fakes import FakeClock

PROVIDERS = list(PROVIDER_FAULTS)


def test_a_fault_is_listed_until_it_is_removed(faulty: FaultySandboxes) -> None:
    status, added = faulty.ask("POST", {"provider": "aws", "kind": "status", "status": 503, "times": 2})
    assert status == 201
    assert added == {
        "id": added["id"],
        "provider": "aws",
        "kind": "status",
        "status": 503,
        "times": 2,
        "left": 2,
        "played": 0,
        "active": True,
    }
    faulty.provider("aws").send([faulty.message("aws")])
    assert faulty.ask("GET") == (200, {"faults": [{**added, "left": 1, "played": 1}]})
    faulty.provider("aws").send([faulty.message("aws")])
    assert faulty.ask("GET")[1]["faults"] == [{**added, "left": 0, "played": 2, "active": False}]
    assert faulty.ask("DELETE", query=f"id={added['id']}") == (204, None)
    assert faulty.ask("GET") == (200, {"faults": []})
    assert faulty.ask("DELETE", query=f"id={added['id']}")[0] == 404


def test_the_faults_of_one_provider_are_removed(faulty: FaultySandboxes) -> None:
    for name in ("app", "robot", "aws"):
        faulty.ask("POST", {"provider": name, "kind": "throttle", "times": -1})
    assert faulty.ask("DELETE", query="provider=robot") == (204, None)
    assert [fault["provider"] for fault in faulty.ask("GET")[1]["faults"]] == ["app", "aws"]
    assert isinstance(faulty.provider("robot").send([faulty.message("robot")])[0], Sent)
    assert said(faulty.provider("app").send([faulty.message("app")])[0]) == "Retry throttled 45009 after 60"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "provider"),
        ({"provider": "aws"}, "kind"),
        ({"provider": "pigeon", "kind": "throttle"}, "provider"),
        ({"provider": "aws", "kind": "explode"}, "kind"),
        ({"provider": "aws", "kind": "throttle", "colour": "red"}, "colour"),
        ({"provider": "aws", "kind": "status"}, "status"),
        ({"provider": "aws", "kind": "status", "status": 200}, "status"),
        ({"provider": "aws", "kind": "status", "status": 600}, "status"),
        ({"provider": "aws", "kind": "throttle", "status": 500}, "status"),
        ({"provider": "smtp", "kind": "code", "code": "5.1.1 no"}, "status"),
        ({"provider": "aws", "kind": "code"}, "code"),
        ({"provider": "aws", "kind": "throttle", "code": "X"}, "code"),
        ({"provider": "app", "kind": "code", "code": "Ok"}, "code"),
        ({"provider": "robot", "kind": "code", "code": "invaliduser"}, "code"),
        ({"provider": "ses", "kind": "code", "code": "X\r\nSet-Cookie: a=b"}, "code"),
        ({"provider": "tencent", "kind": "code", "code": "not a code"}, "code"),
        ({"provider": "smtp", "kind": "status", "status": 451, "code": "a\r\n250 b"}, "code"),
        ({"provider": "aws", "kind": "delay"}, "seconds"),
        ({"provider": "aws", "kind": "delay", "seconds": -1}, "seconds"),
        ({"provider": "aws", "kind": "outage", "seconds": 86_401}, "seconds"),
        ({"provider": "aws", "kind": "bad_json", "seconds": 1}, "seconds"),
        ({"provider": "smtp", "kind": "status", "status": 451, "seconds": 1}, "seconds"),
        ({"provider": "aws", "kind": "throttle", "at": "SendSms"}, "at"),
        ({"provider": "smtp", "kind": "throttle", "at": "body"}, "at"),
        ({"provider": "tencent", "kind": "reset_before", "at": "number"}, "at"),
        ({"provider": "app", "kind": "throttle", "at": "user"}, "at"),
        ({"provider": "app", "kind": "code", "code": "invaliduser", "at": "gettoken"}, "at"),
        ({"provider": "aws", "kind": "outage", "seconds": 1, "at": "SendTextMessage"}, "at"),
        ({"provider": "aws", "kind": "outage", "seconds": 1, "to": "+14254147755"}, "to"),
        ({"provider": "robot", "kind": "throttle", "to": "@group"}, "to"),
        ({"provider": "smtp", "kind": "throttle", "at": "mail", "to": TO["smtp"]}, "to"),
        ({"provider": "app", "kind": "throttle", "at": "gettoken", "to": TO["app"]}, "to"),
        ({"provider": "aws", "kind": "throttle", "to": ""}, "to"),
        ({"provider": "aws", "kind": "throttle", "times": 0}, "times"),
        ({"provider": "aws", "kind": "throttle", "times": -2}, "times"),
        ({"provider": "aws", "kind": "outage", "seconds": 1, "times": 2}, "times"),
        ({"provider": "aws", "kind": "throttle", "rate": 0}, "rate"),
        ({"provider": "aws", "kind": "throttle", "rate": 1.1}, "rate"),
        ({"provider": "aws", "kind": "throttle", "seed": -1}, "seed"),
        ({"provider": "aws", "kind": "delay", "seconds": 1, "accepted": True}, "accepted"),
        ({"provider": "app", "kind": "bad_json", "at": "gettoken", "accepted": True}, "accepted"),
        ({"provider": "smtp", "kind": "bad_json", "to": TO["smtp"], "accepted": True}, "accepted"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_played_is_refused_by_field(body: dict[str, Any], field: str, faulty: FaultySandboxes) -> None:
    status, problem = faulty.ask("POST", body)
    assert (status, problem["type"]) == (422, "urn:mepush:problem:invalid-request")
    assert field in [error["field"] for error in problem["errors"]]
    assert all(len(error["message"]) > 10 for error in problem["errors"])
    assert faulty.ask("GET")[1] == {"faults": []}


def test_what_is_no_fault_at_all(faulty: FaultySandboxes) -> None:
    assert faulty.ask("POST", b"{not json")[0] == 400
    assert faulty.ask("POST", b"\xff\xfe")[0] == 400
    assert faulty.ask("POST", [])[0] == 422
    assert faulty.ask("PUT", {})[0] == 405
    assert faulty.ask("DELETE", query="id=x")[1]["errors"][0]["field"] == "query.id"
    assert faulty.ask("DELETE", query="provider=x")[1]["errors"][0]["field"] == "query.provider"
    assert faulty.ask("DELETE", query="all=1")[1]["errors"][0]["field"] == "query.all"


def test_so_many_may_wait_and_no_more(faulty: FaultySandboxes) -> None:
    for _ in range(MOST):
        assert faulty.ask("POST", {"provider": "aws", "kind": "throttle"})[0] == 201
    assert faulty.ask("POST", {"provider": "aws", "kind": "throttle"})[0] == 409


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("kind", ["outage", "outage_refused", "outage_dropped"])
def test_an_outage_passes_with_the_clock(name: str, kind: str, faulty: FaultySandboxes) -> None:
    provider = faulty.provider(name)
    assert isinstance(provider.send([faulty.message(name)])[0], Sent)
    faulty.ask("POST", {"provider": name, "kind": kind, "seconds": 60})
    assert not isinstance(provider.send([faulty.message(name)])[0], Sent)
    faulty.clock.advance(59)
    assert not isinstance(provider.send([faulty.message(name)])[0], Sent)
    assert faulty.ask("GET")[1]["faults"][0]["active"]
    faulty.clock.advance(1)
    faulty.sandbox(name).heed_outages()
    assert isinstance(provider.send([faulty.message(name)])[0], Sent)
    assert not faulty.ask("GET")[1]["faults"][0]["active"]
    assert faulty.outbox.count() == 2


def test_a_refusing_sandbox_opens_its_door_by_itself(faulty: FaultySandboxes) -> None:
    port = faulty.sandbox("aws").port
    faulty.ask("POST", {"provider": "aws", "kind": "outage_refused", "seconds": 60})
    assert not faulty.sandbox("aws").is_open
    faulty.clock.advance(60)
    assert faulty.sandbox("aws").reachable.wait(10)
    assert faulty.sandbox("aws").port == port
    assert isinstance(faulty.provider("aws").send([faulty.message("aws")])[0], Sent)


def play(faulty: FaultySandboxes, name: str, seed: int, threads: int) -> list[Outcome | None]:
    """Send to forty recipients three times each, with a fault by chance, and return the outcomes in order."""
    faulty.ask("DELETE")
    faulty.ask("POST", {"provider": name, "kind": "mixed", "rate": 0.3, "seed": seed})
    provider = faulty.provider(name)
    to = "u{}@example.com" if name in {"smtp", "ses"} else "+8613800000{:03d}" if name != "app" else "user{}"

    def send(n: int) -> list[Outcome | None]:
        return [provider.send([faulty.message(name, to.format(n))])[0] for _ in range(3)]

    with ThreadPoolExecutor(threads) as pool:
        return [outcome for outcomes in pool.map(send, range(40)) for outcome in outcomes]


def test_the_same_seed_plays_the_same_whatever_the_threads_do(faulty: FaultySandboxes) -> None:
    # AWS: one call per message, and no outcome of one call shows in another.
    one, again, other = (play(faulty, "aws", seed, threads) for seed, threads in ((7, 1), (7, 8), (8, 8)))
    assert [said(outcome) for outcome in one] == [said(outcome) for outcome in again]
    assert [said(outcome) for outcome in one] != [said(outcome) for outcome in other]
    played = sum(not isinstance(outcome, Sent) for outcome in one)
    # 36 of 120 are expected; the seed is fixed, so this cannot fail by chance.
    assert 20 <= played <= 55
    assert len({said(outcome) for outcome in one}) >= 6


@pytest.mark.parametrize("name", ["smtp", "ses", "tencent", "aws", "app"])
def test_in_a_mixture_nothing_accepted_is_called_unsent(name: str, faulty: FaultySandboxes) -> None:
    outcomes = play(faulty, name, 5, 4)
    # Every `Sent` was accepted, and nothing was but what is called `Sent` or `Unknown`.
    sent = sum(isinstance(outcome, Sent) for outcome in outcomes)
    unknown = sum(said(outcome).startswith("Unknown") for outcome in outcomes)
    assert 0 < unknown < 60
    assert sent <= faulty.outbox.count() <= sent + unknown


def test_chance_is_as_likely_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault("throttle", rate=0.05, seed=3, times=-1))
    played = sum(faults.take(f"user{n}") is not None for n in range(20_000))
    # 1,000 are expected, and the standard deviation is 31; the seed is fixed.
    assert math.isclose(played, 1000, abs_tol=100)


def test_times_count_what_was_played() -> None:
    faults = Faults()
    planned = faults.add(Fault("throttle", rate=0.5, seed=1, times=3))
    played = [n for n in range(100) if faults.take(f"user{n}")]
    assert (len(played), planned.played, planned.left) == (3, 3, 0)
    assert not faults.active(planned)


def test_a_fault_that_was_removed_plays_no_more() -> None:
    clock = FakeClock()
    faults = Faults(clock=clock)
    first, second = faults.add(Fault("throttle")), faults.add(Fault("bad_json"))
    faults.remove(first)
    assert faults.take("a") == Fault("bad_json")
    outage = faults.add(Fault("outage", seconds=10))
    assert faults.take("a") == Fault("outage", status=503)
    faults.remove(outage)
    assert faults.take("a") is None
    assert not any(faults.active(planned) for planned in (first, second, outage))


def test_a_file_of_faults(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"provider": name, "kind": "mixed", "rate": 0.05} for name in PROVIDERS]))
    faults = [given.fault() for given in read_faults(path)]
    assert [(fault.rate, fault.times, fault.seed) for fault in faults] == [(0.05, -1, 0)] * 6


@pytest.mark.parametrize(
    ("text", "said_of_it", "fields"),
    [
        (None, "cannot be read", []),
        ("{", "is not JSON", []),
        ("{}", "must be a JSON list", []),
        ('[{"provider": "aws", "kind": "status"}, {"kind": "x"}]', "cannot be played", ["0.status", "1.kind"]),
    ],
)
def test_a_file_that_is_none(text: str | None, said_of_it: str, fields: list[str], tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FaultFileError, match=said_of_it) as caught:
        read_faults(path)
    assert {field for field in fields} <= {detail.field for detail in caught.value.details}
