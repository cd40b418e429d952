"""A service of AWS is out of reach for minutes: what was accepted waits, and comes to its end when it is back."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from local.stack import NotQuietError
from shared.model.words import MessageClass
from tests.guarantees.platform import Platform, platform
from tests.guarantees.test_crash_matrix import refused, scripted, taken

MINUTES = 12

pytestmark = pytest.mark.xdist_group("outages")


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


def endure(one: Platform, service: str, minutes: int) -> None:
    """Let time pass while a service is out of reach."""
    one.points.down = service
    for _ in range(minutes):
        one.stack.clock.advance(60)
        with suppress(NotQuietError):
            one.stack.drain(max_rounds=20)
    one.points.down = None


@pytest.mark.parametrize("message_class", list(MessageClass))
@pytest.mark.parametrize("service", ["dynamodb", "kinesis", "sqs"])
def test_nothing_is_lost_while_a_service_is_out_of_reach(one: Platform, service: str, message_class: str) -> None:
    one.reset()
    ids, one.script = scripted(taken, taken, refused(1), refused(99))
    ids += one.send(f"smtp-{message_class}", one.addresses("smtp", 4))
    endure(one, service, MINUTES)
    one.work()
    ends = one.check(ids)
    if message_class != MessageClass.VERIFICATION:
        # Their time to live is longer than the outage.
        assert ends["sent"] == 3, ends


def test_sending_goes_on_while_only_the_stream_is_down_and_the_trace_catches_up(one: Platform) -> None:
    one.reset()
    one.points.down = "kinesis"
    ids, one.script = scripted(taken, taken, taken)
    ids += one.send("smtp-verification", one.addresses("smtp", 1))
    ids += one.send("ses-marketing", one.addresses("ses", 2))
    one.stack.drain()
    assert one.book.taken == dict.fromkeys(ids, 1)
    assert one.timelines() == {}
    endure(one, "kinesis", MINUTES)
    one.work()
    assert one.check(ids) == {"sent": 3}
    assert one.book.taken == dict.fromkeys(ids, 1)


def test_a_provider_that_refuses_all_tries_but_the_last_gets_everything_once(one: Platform) -> None:
    one.reset()
    one.allow_tries(8)
    ids, one.script = scripted(*[refused(7)] * 3)
    ids += one.send("aws-notification", one.addresses("aws", 3))
    one.work()
    assert one.check(ids) == {"sent": 3}
    assert one.book.taken == dict.fromkeys(ids, 1)
