"""A run whose functions are struck at each of their calls that change something: everybody gets one message."""

from collections import Counter
from collections.abc import Iterator

import pytest

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


def struck(one: CampaignPlatform, position: Position, number: int) -> str | None:
    """The call at which a run was struck that kept all promises; None if it has no such call."""
    people = one.people(PEOPLE)
    # One stands in two shards, and one row is broken.
    one.file([*people, people[0], "nobody"])
    one.points.disarm()
    campaign = one.campaign()
    run = one.start(campaign)
    one.points.arm(number, position)
    one.work(horizon_s=HOURS_S)
    found = one.points.struck
    one.points.disarm()
    stored, counts, delivered = one.run(run), one.counts(one.run(run)), one.delivered(people)
    said = f"{position} call {number} ({found}): {stored.state}, {stored.problem}, {dict(counts)}"
    assert (stored.state, stored.problem) == (RunState.FINISHED, None), said
    assert counts["accepted"] == sum(counts[stage] for stage in OUTCOMES) == PEOPLE, said
    # Dispatch may have died while a provider was asked: marketing is not sent again then.
    assert set(delivered.values()) <= {1}, said
    assert counts["sent"] <= len(delivered) <= counts["sent"] + counts["unknown"], said
    assert stored.tally.accepted == PEOPLE, said
    assert stored.outcomes.get("accepted") == PEOPLE, said
    return found


@pytest.mark.parametrize(
    "position",
    [Position.BEFORE, Position.AFTER, Position.PARTIAL, Position.TWICE],
)
def test_a_run_that_is_struck_anywhere_sends_everything_once(one: CampaignPlatform, position: Position) -> None:
    calls: Counter[str] = Counter()
    for number in range(150):
        found = struck(one, position, number)
        if found is None:
            break
        calls[found] += 1
    else:
        raise AssertionError("no end")
    assert calls.total() > (8 if position is Position.PARTIAL else 30), calls
