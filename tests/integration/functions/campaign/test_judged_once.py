"""Rows of which the check might answer this way or that: who is sent to is settled once, so nobody is sent to twice."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from shared.acceptance.sendable import Sendable, Unfit
from shared.model.reasons import Reason
from shared.model.runs import RunState
from tests.guarantees.fault_points import Position
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform, campaign_platform

PEOPLE = 40
HOURS_S = 4 * 3600.0
EVERY = 7
"""Of so many looks at rows one finds that the message cannot be sent, whosever it is."""


@pytest.fixture
def wavering(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a message does whose rendering takes about as long as it may."""
    looks, plain = count(1), Sendable.problem

    def problem(self: Sendable, own: Any) -> Unfit | None:
        found = plain(self, own)
        return Unfit(Reason.RENDERING_FAILED, "too long") if found is None and next(looks) % EVERY == 0 else found

    monkeypatch.setattr(Sendable, "problem", problem)
    monkeypatch.setattr(Sendable, "is_plain", lambda self, own: False)


@pytest.fixture(scope="module")
def one() -> Iterator[CampaignPlatform]:
    with campaign_platform(shard_rows=20) as found:
        # Only what is worked out has to be filled in row by row.
        content = {"type": "email", "subject": "{{ name | upper }}", "text": "{{ name | upper }}"}
        found.api.post("/v1/templates/spring/versions", {"content": content, "sample": {"name": "Ann"}})
        found.api.post("/v1/templates/spring/versions/2/publish", {})
        yield found


def sent(one: CampaignPlatform, number: int | None) -> tuple[int, dict[str, int], list[str]]:
    """How many messages a run has, what each address got of it, and the calls that were made. number: of the call after
    which its function dies."""
    people = one.people(PEOPLE)
    one.file(people)
    one.points.disarm()
    run = one.start(one.campaign())
    if number is not None:
        one.points.arm(number, Position.AFTER)
    one.work(horizon_s=HOURS_S)
    names = one.points.disarm()
    assert one.run(run).state is RunState.FINISHED
    return one.run(run).tally.accepted, one.delivered(people), names


@pytest.mark.usefixtures("wavering")
def test_a_slice_that_is_done_again_sends_the_same_rows(one: CampaignPlatform) -> None:
    accepted, delivered, names = sent(one, None)
    assert 0 < accepted < PEOPLE and len(delivered) == accepted
    queued = [i for i, name in enumerate(names) if name == "sqs.SendMessageBatch"]
    assert len(queued) > 3
    for number in queued:
        accepted, delivered, _ = sent(one, number)
        assert set(delivered.values()) == {1}, f"after call {number}"
        assert len(delivered) <= accepted < PEOPLE
