"""Follow-up runs: exactly those get another message of whose first one what is said fits, and nobody gets two.

A run goes to addresses of Amazon SES's mailbox simulator and of its sandbox, which say each something else; then a run
follows for each set.
"""

from collections.abc import Iterator

import pytest

from tests.integration.functions.campaign.campaign_platform import campaign_platform
from tests.integration.functions.campaign.followed_run import SETS, FollowedRun

pytestmark = pytest.mark.xdist_group("local-stack")


@pytest.fixture(scope="module")
def world() -> Iterator[FollowedRun]:
    with campaign_platform(shard_rows=20, slice_rows=20) as one:
        yield FollowedRun(one)


@pytest.mark.parametrize("who", ["no_receipt", "not_opened", "not_clicked", "undelivered"])
def test_exactly_the_right_people_are_written_to_again(world: FollowedRun, who: str) -> None:
    before = len(world.mails("again"))
    view = world.follow(who)
    wanted = {to for to in world.sent if to.partition("+")[0] in SETS[who]}
    follows = view["follows"]
    assert follows["picked"] == len(wanted)
    assert view["check"]["rows"] == view["check"]["messages"] == len(wanted)
    # Every row of the run is told of: those to whom it was sent, the held out, the broken and the repeated one.
    assert (
        follows["picked"] + sum(each["rows"] for each in follows["others"]) == follows["rows"] == len(world.people) + 2
    )
    got = [d.to for d in world.mails("again")[before:]]
    assert len(got) == len(set(got))
    if who == "undelivered":
        # They are on the suppression list, but for those whose content was refused.
        assert {to.partition("+")[0] for to in got} == {"rejected"}
    else:
        assert set(got) == wanted
    outcomes = view["progress"]["outcomes"]
    assert sum(outcomes.values()) == view["progress"]["accepted"] == len(wanted)
    assert outcomes.get("sent", 0) == len(got)
