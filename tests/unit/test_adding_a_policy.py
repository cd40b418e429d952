"""The page on adding a policy, carried out; and the page on the architecture, held to the steps that there are."""

import inspect
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from shared.dispatch.decide import planning, steps
from shared.model.envelope import Envelope
from shared.model.words import MessageClass
from tests.samples import envelope, recipients
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = dict(
    re.findall(
        r"^```python\n# (\S+)\n(.*?)^```$", (DOCS / "adding-a-policy.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
)
STEP, TUPLE = "shared/dispatch/decide/weekends.py", "shared/dispatch/decide/steps.py"
SATURDAY_NOON = datetime(2025, 1, 18, 12, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's step, at the place in the tuple that the page says."""
    made = ModuleType("shared.dispatch.decide.weekends")
    exec(compile(BLOCKS[STEP], STEP, "exec"), made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    before, new, after = re.findall(r"\w+", BLOCKS[TUPLE])
    there = [step.__name__ for step in steps.STEPS]
    at = there.index(before) + 1
    assert there[at] == after
    with_it = (*steps.STEPS[:at], made.__dict__[new], *steps.STEPS[at:])
    monkeypatch.setattr(planning, "STEPS", with_it)


def on_saturday(w: DispatchHarness, one: Envelope) -> dict[int, tuple[str, str | None, int | None]]:
    """What becomes of an envelope's messages on a Saturday, by recipient."""
    w.clock.advance(ms=ms(SATURDAY_NOON) - w.clock.now_ms())
    assert w.run(one) == []
    rows = [row for record in w.records for row in record.events if row.stage != "accepted"]
    return {row.index: (row.stage, row.reason, row.due_at) for row in rows}


def test_marketing_waits_for_monday_by_the_recipients_clock() -> None:
    several = recipients(3)
    # It is Sunday there already, and still Saturday; who names no zone has the tenant's, which is Shanghai's.
    several[1].time_zone, several[2].time_zone = "Pacific/Kiritimati", "America/Los_Angeles"
    one = envelope(recipients=several, message_class=MessageClass.MARKETING, expires_at=None)
    with harness() as w:
        ends = on_saturday(w, one)
        again = on_saturday(w, one)
    monday = datetime(2025, 1, 20, 9, tzinfo=UTC)
    hours = 3_600_000
    assert ends == again == {
        0: ("deferred", "quiet_hours", ms(monday) - 8 * hours),
        1: ("deferred", "quiet_hours", ms(monday) - 14 * hours),
        2: ("deferred", "quiet_hours", ms(monday) + 8 * hours),
    }  # fmt: skip


def test_codes_go_out_and_so_does_marketing_on_a_friday() -> None:
    with harness() as w:
        code = envelope(2, message_class=MessageClass.VERIFICATION, expires_at=None)
        assert {end[0] for end in on_saturday(w, code).values()} == {"sent"}
    with harness() as w:
        w.clock.advance(2 * 86_400)
        w.run(envelope(2, message_class=MessageClass.MARKETING, expires_at=None))
        assert w.stages() == {"accepted": 2, "sent": 2}


def test_the_architecture_lists_the_steps_in_their_order() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    section = text.partition("### The steps of a decision")[2].partition("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\w+\.py)` \|", section, re.MULTILINE)
    assert listed == [(step.__name__, Path(inspect.getfile(step)).name) for step in steps.STEPS]
