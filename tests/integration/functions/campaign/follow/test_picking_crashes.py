"""A run that follows another, whose functions are struck at each call of its planning that changes something."""

from collections import Counter
from collections.abc import Iterator

import pytest

from shared.model.runs import RunState
from shared.model.words import OUTCOMES
from tests.guarantees.fault_points import Position
from tests.integration.functions.campaign.campaign_platform import campaign_platform
from tests.integration.functions.campaign.followed_run import FollowedRun

pytestmark = pytest.mark.rotates
HOURS_S = 4 * 3600.0
KINDS = ("success", "opened", "silent", "bounce", "blind")


@pytest.fixture(scope="module")
def followed() -> Iterator[FollowedRun]:
    """A run of three shards, some of whose people have opened its message."""
    with campaign_platform(shard_rows=10) as found:
        yield FollowedRun(found, KINDS, each=5)


def struck_again(followed: FollowedRun, position: Position, number: int) -> tuple[str | None, bool]:
    """The call at which a run was struck that follows another and kept all promises, and whether it was planned then;
    None if it has no such call."""
    one = followed.one
    wanted = {to for to in followed.sent if to.partition("+")[0] in {"success", "silent"}}
    before = len(followed.mails("again"))
    one.points.disarm()
    run = one.start(followed.campaign_after("not_opened"))
    one.points.arm(number, position)
    one.work(lambda: one.points.struck is not None or one.run(run).over)
    planned = one.run(run).planned_at is not None
    one.work(horizon_s=HOURS_S)
    found = one.points.struck
    one.points.disarm()
    stored, counts = one.run(run), one.counts(one.run(run))
    got = Counter(d.to for d in followed.mails("again")[before:])
    said = f"{position} call {number} ({found}): {stored.state}, {stored.problem}, {dict(counts)}, {stored.picked}"
    assert (stored.state, stored.problem) == (RunState.FINISHED, None), said
    # A notification may be sent again when its provider's answer was lost, and says so.
    assert set(got) <= wanted, said
    assert len(got) >= counts["sent"], said
    assert counts["accepted"] == sum(counts[stage] for stage in OUTCOMES) == len(wanted), said
    assert stored.picked["picked"] == len(wanted) == stored.rows, said
    assert sum(stored.picked.values()) == len(followed.people) + 2, said
    assert [shard.rows for shard in one.all_shards(run)] == [
        each.picked.get("picked", 0) for each in one.all_shards(run)
    ]
    return found, planned


@pytest.mark.parametrize(("position", "calls"), [(Position.BEFORE, 6), (Position.AFTER, 6), (Position.TWICE, 4)])
def test_a_run_that_follows_another_picks_everybody_once_wherever_it_is_struck(
    followed: FollowedRun, position: Position, calls: int
) -> None:
    planning = 0
    for number in range(60):
        found, planned = struck_again(followed, position, number)
        # What follows the plan is as with any file.
        if found is None or planned:
            break
        planning += 1
    else:
        raise AssertionError("no end")
    assert planning >= calls, planning
