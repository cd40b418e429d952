"""Waves: how many recipients may be in doubt at a time."""

from collections import deque

import pytest

from shared.dispatch.plan import WAVE_RECIPIENTS, Call, Plan, flight
from shared.model.accounts import Account
from shared.model.content import RenderedEmail
from shared.model.outcome import Sent
from shared.model.words import Channel
from shared.providers.base import Outgoing
from shared.providers.email.ses.bulk import MOST
from tests import samples
from tests.unit.shared.dispatch.harness import ScriptedProvider

CONTENT = RenderedEmail("Hello", None, "Hello")
ACCOUNT = Account(
    id="main",
    tenant="default",
    name="main",
    channel=Channel.EMAIL,
    provider="ses",
    settings={},
    created_at=samples.NOW,
    updated_at=samples.NOW,
)


def waves_of(*sizes: int) -> list[list[int]]:
    """The sizes of the calls of each wave, of an envelope whose calls have these sizes."""
    envelope = samples.envelope(sum(sizes))
    provider, at, calls = ScriptedProvider(lambda _: Sent("1")), 0, deque[Call]()
    for size in sizes:
        recipients = envelope.recipients[at : at + size]
        calls.append(Call(ACCOUNT, provider, [Outgoing(r.tag, r.address, CONTENT) for r in recipients], recipients))
        at += size
    plan = Plan(envelope, calls=calls)
    waves: list[list[int]] = []
    while wave := plan.wave(60):
        assert sum(map(len, flight(wave).values())) == sum(len(call.recipients) for call in wave)
        waves.append([len(call.recipients) for call in wave])
    return waves


@pytest.mark.parametrize(
    ("sizes", "waves"),
    [
        ([50, 50], [[50], [50]]),
        ([1, 50, 49], [[1], [50], [49]]),
        ([50, *[1] * 50], [[50], [1] * 34, [1] * 16]),
        ([*[1] * 20, 14, 50, 16], [[*[1] * 20, 14], [50], [16]]),
        ([30, 30, 30, 10], [[30], [30], [30], [10]]),
    ],
)
def test_a_call_for_many_is_a_wave_of_its_own(sizes: list[int], waves: list[list[int]]) -> None:
    found = waves_of(*sizes)
    assert [size for wave in found for size in wave] == sizes
    # A crash leaves no more than a whole call, or a wave of smaller ones, in doubt.
    assert max(sum(wave) for wave in found) <= max(WAVE_RECIPIENTS, MOST) == 50
    assert found == waves
