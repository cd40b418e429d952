"""A run that somebody pauses or ends at any moment: nothing is lost, nothing goes out twice, and what waits goes on."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from mepush.client.errors import ApiError
from shared.model.runs import RunState
from shared.model.words import OUTCOMES
from tests.guarantees.fault_points import Position
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform, campaign_platform

pytestmark = pytest.mark.rotates
PEOPLE = 25
HOURS_S = 4 * 3600.0


@pytest.fixture(scope="module")
def one() -> Iterator[CampaignPlatform]:
    """A platform with ten rows to a shard."""
    with campaign_platform(shard_rows=10) as found:
        yield found


def visited(one: CampaignPlatform, what: str, number: int) -> tuple[str, list[str]] | None:
    """A run at whose n-th call somebody pauses or cancels it, and its people; None if it has no such call."""
    people = one.people(PEOPLE)
    one.file(people)
    one.points.disarm()
    run = one.start(one.campaign())

    def visit() -> None:
        # At its last calls it is over.
        with suppress(ApiError):
            one.api.post(f"/v1/runs/{run}/{what}")

    one.points.visitor = visit
    one.points.arm(number, Position.VISITED)
    one.work(lambda: one.points.struck is not None, horizon_s=HOURS_S)
    struck = one.points.struck
    one.points.disarm()
    one.points.visitor = None
    one.work(horizon_s=60.0)
    return None if struck is None else (run, people)


def test_it_may_be_paused_at_any_call_and_goes_on(one: CampaignPlatform) -> None:
    held: Counter[bool] = Counter()
    for number in range(150):
        found = visited(one, "pause", number)
        if found is None:
            break
        run, people = found
        paused = one.run(run).state is RunState.PAUSED
        before = one.delivered(people)
        one.stack.clock.advance(600)
        one.work(horizon_s=60.0)
        if paused:
            assert one.delivered(people) == before, number
            one.api.post(f"/v1/runs/{run}/resume")
        held[paused and len(before) < PEOPLE] += 1
        one.work(horizon_s=HOURS_S)
        one.check(run, people)
    else:
        raise AssertionError("no end")
    assert held[True] > 5, held


def test_it_may_be_ended_at_any_call(one: CampaignPlatform) -> None:
    stopped: Counter[bool] = Counter()
    for number in range(150):
        found = visited(one, "cancel", number)
        if found is None:
            break
        run, people = found
        one.work(horizon_s=HOURS_S)
        stored, counts, delivered = one.run(run), one.counts(one.run(run)), one.delivered(people)
        said = f"call {number}: {stored.state}, {dict(counts)}"
        assert stored.state in (RunState.CANCELLED, RunState.FINISHED), said
        assert counts["accepted"] == sum(counts[stage] for stage in OUTCOMES), said
        assert counts["sent"] == len(delivered), said
        assert set(delivered.values()) <= {1}, said
        assert counts["sent"] + counts["recalled"] == counts["accepted"] <= PEOPLE, said
        stopped[len(delivered) < PEOPLE] += 1
    else:
        raise AssertionError("no end")
    assert stopped[True] > 5, stopped
