"""A batch is worked off together; one envelope that is slow to be decided holds no other up."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.dispatch import together
from shared.dispatch.decide import filling
from shared.dispatch.together import Together
from shared.model.content import EmailContent
from tests.samples import envelope, recipients, template
from tests.unit.shared.dispatch.harness import harness

SECONDS = 20
"""Far more than anything here takes: it only keeps a failing test from hanging."""


def test_what_is_decided_in_time_goes_on_together_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_S", SECONDS)
    groups: list[list[str]] = []
    second = threading.Event()

    def decide(argument: int) -> int | None:
        if argument == 1:
            second.wait(SECONDS)
        else:
            second.set()
        return None if argument == 3 else argument

    def go_on(decided: Mapping[str, int]) -> dict[str, str]:
        groups.append(list(decided))
        return {id: f"did {each}" for id, each in decided.items()}

    with ThreadPoolExecutor(3) as pool:
        found = Together(pool, decide, go_on).run({"a": 1, "b": 2, "c": 3})
    assert groups == [["a", "b"]]
    assert found == {"a": "did 1", "b": "did 2"}


def test_who_is_late_goes_on_alone_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_S", 0.01)
    fast_are_done = threading.Event()
    groups: list[list[str]] = []

    def decide(argument: str) -> str:
        # Would the others wait for this one, it would not end in time, and come first.
        if argument == "slow":
            assert fast_are_done.wait(SECONDS)
        return argument

    def go_on(decided: Mapping[str, str]) -> dict[str, str]:
        groups.append(sorted(decided))
        if "slow" not in decided:
            fast_are_done.set()
        return dict(decided)

    with ThreadPoolExecutor(3) as pool:
        found = Together(pool, decide, go_on).run({"a": "slow", "b": "fast", "c": "fast"})
    assert groups[0] and "a" not in groups[0] and ["a"] in groups
    assert found == {"a": "slow", "b": "fast", "c": "fast"}


def test_what_going_on_raises_is_raised_once_nobody_is_at_work_any_more() -> None:
    working = threading.Event()

    def go_on(decided: Mapping[str, int]) -> dict[str, int]:
        raise RuntimeError("no table")

    def decide(argument: int) -> int:
        working.set()
        return argument

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(RuntimeError, match="no table"):
            Together(pool, decide, go_on).run({"a": 1, "b": 2})
        assert working.is_set()


BOMB = EmailContent(subject="s", text="{% for a in l %}{% for b in l %}{{ a ~ b }}{% endfor %}{% endfor %}{{ name }}")


def test_one_envelope_of_a_template_that_does_too_much_fails_and_the_others_are_sent() -> None:
    with harness() as w:
        w.templates["bomb"] = template(BOMB, id="bomb")
        bomb = envelope(3, template="bomb", recipients=recipients(3, name="n", l=["x"] * 200))
        assert w.run(bomb, envelope(2, start=500)) == []
        assert w.providers["main"].calls == 2 and not w.dispatched and not w.dead
        ends = {(r.template, e.stage, e.reason) for r in w.records for e in r.events if e.stage != "accepted"}
        assert ends == {("bomb", "failed", "rendering_failed"), ("welcome", "sent", None)}
        [code] = {e.code for r in w.records for e in r.events if e.stage == "failed"}
        assert (code or "").startswith("content.text: line 1: does too much")


def test_an_envelope_that_takes_too_long_does_what_it_can_and_a_continuation_carries_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filling, "FILLING_S", -1.0)
    with harness() as w:
        left = envelope(3)
        for sent in (1, 2, 3):
            assert w.run(left) == []
            assert len(w.providers["main"].sent) == sent
            if w.dispatched:
                left = w.dispatched.pop().envelope
        assert left.id.endswith("/c1/c1") and not w.dispatched
        assert [m.to for m in w.providers["main"].sent] == [f"u{i}@example.com" for i in range(3)]
