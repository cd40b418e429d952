"""The failover drill, smaller: an account dies for a minute, and nothing is lost or sent twice."""

import pytest

from bench.drill import Result, Scene, drilled
from shared.policy.routing import STEPS

pytestmark = pytest.mark.xdist_group("local-stack")


def nothing_lost_or_repeated(result: Result) -> None:
    assert (result.lost, result.repeated) == (0, 0)
    assert result.ends == {"sent": result.accepted}


def test_weight_leaves_an_account_that_cannot_be_reached_and_comes_back() -> None:
    scene = Scene(per_step=20, step_s=4, ends_s=360)
    with drilled(scene, "connection refused") as result:
        nothing_lost_or_repeated(result)
        away, back = result.away_s(scene), result.back_s(scene)
        assert away is not None and 0 < away <= 60
        assert back is not None and back <= 240
        factors = [factor for _, factor, _ in result.shifts]
        assert factors[-4:] == [STEPS[3], STEPS[2], STEPS[1], STEPS[0]] and set(factors) <= set(STEPS)
        # They waited for a try through the other account, and for no more than that.
        assert result.retried > 0 and result.failed_over == 0 and result.waited_s < 40


def test_of_an_account_that_says_that_it_is_down_nobody_waits() -> None:
    scene = Scene(per_step=20, step_s=4, ends_s=180)
    with drilled(scene, "account suspended") as result:
        nothing_lost_or_repeated(result)
        assert result.away_s(scene) == 0
        assert result.failed_over > 0 and result.retried == 0
