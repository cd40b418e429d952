"""The crash matrix: a request is accepted, sent, tried again, given up and traced, and is struck once at every point.

Every call that changes something is counted in a run without a strike: AWS calls of all functions, calls of
providers, and deletes of the queues' mappings. Then the run is repeated for each call and each position.
"""

from collections.abc import Callable, Iterator

import pytest

from shared.model.outcome import Outcome, Retry, Unknown
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.providers.base import Outgoing
from tests.guarantees.matrix import Ends, Scenario, cover
from tests.guarantees.platform import LOST, ROADS, Platform, Script, platform

RECIPIENTS = 4
BUSY = Retry(Reason.THROTTLED, "busy")
UNSEEN = Unknown(Reason.TIMED_OUT, "never arrived")


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


def scripted(*scripts: Callable[[int], Outcome | None]) -> tuple[list[str], Script]:
    """A list for message ids in the order of the recipients, and the script of what each meets at its n-th call.

    By message id, since all of a robot's messages go to one group.
    """
    ids: list[str] = []

    def script(message: Outgoing, n: int) -> Outcome | None:
        return scripts[ids.index(message.message_id)](n)

    return ids, script


def taken(n: int) -> Outcome | None:
    return None


def refused(times: int) -> Callable[[int], Outcome | None]:
    return lambda n: BUSY if n <= times else None


def in_doubt(what: Outcome) -> Callable[[int], Outcome | None]:
    return lambda n: what if n == 1 else None


def sending(
    provider: str,
    message_class: str,
    *scripts: Callable[[int], Outcome | None],
    later_s: int = 0,
    tries: int = 2,
    most: int | None = None,
) -> Scenario:
    """One request, and all that follows.

    later_s: when it is due. tries: of each class. most: calls of a provider in one invocation.
    """

    def scenario(one: Platform) -> Callable[[], Ends]:
        def rest() -> Ends:
            ids, one.script = scripted(*scripts)
            one.haste.most = most
            one.allow_tries(tries)
            fields = {"send_at": one.later(later_s)} if later_s else {}
            ids += one.send(f"{provider}-{message_class}", one.addresses(provider, len(scripts)), **fields)
            one.work()
            return one.check(ids)

        return rest

    return scenario


@pytest.mark.parametrize("message_class", list(MessageClass))
@pytest.mark.parametrize("provider", [pytest.param(p, marks=pytest.mark.xdist_group(f"crash-{p}")) for p in ROADS])
def test_it_may_die_anywhere(one: Platform, provider: str, message_class: str) -> None:
    # Two are sent at once, one at the second try, one never.
    scenario = sending(provider, message_class, taken, taken, refused(1), refused(99))
    cover(one, f"{provider} {message_class}", scenario, {"sent": 3, "dead_lettered": 1})


def expected_of_doubt(provider: str, message_class: str) -> dict[str, int]:
    """Who can be asked is asked; else it is sent again, but for marketing."""
    if provider == "tencent" or message_class != MessageClass.MARKETING:
        return {"sent": 4}
    return {"sent": 2, "unknown": 2}


@pytest.mark.parametrize("message_class", list(MessageClass))
@pytest.mark.parametrize(
    "provider", [pytest.param(p, marks=pytest.mark.xdist_group(f"doubt-{p}")) for p in ("smtp", "tencent")]
)
def test_it_may_die_anywhere_while_outcomes_are_in_doubt(one: Platform, provider: str, message_class: str) -> None:
    scenario = sending(provider, message_class, taken, refused(1), in_doubt(LOST), in_doubt(UNSEEN), tries=6)
    cover(one, f"{provider} {message_class} in doubt", scenario, expected_of_doubt(provider, message_class))


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_its_time_is_short(one: Platform) -> None:
    scenario = sending("smtp", "notification", taken, taken, refused(1), taken, most=2)
    cover(one, "smtp notification with continuations", scenario, {"sent": 4})


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_a_schedule_holds_the_message(one: Platform) -> None:
    scenario = sending("smtp", "notification", taken, refused(1), later_s=7200)
    cover(one, "smtp notification by schedule", scenario, {"sent": 2})


def deciding(message_class: str, what: str, **more: str) -> Scenario:
    """Messages were given up; a person decides."""

    def scenario(one: Platform) -> Callable[[], Ends]:
        ids, one.script = scripted(taken, refused(2), refused(2))
        ids += one.send(f"smtp-{message_class}", one.addresses("smtp", 3))
        one.work()
        assert one.check(ids) == {"sent": 1, "dead_lettered": 2}

        def rest() -> Ends:
            one.decide(what, **more)
            one.work()
            return one.check(ids)

        return rest

    return scenario


@pytest.mark.xdist_group("crash-letters")
@pytest.mark.parametrize("message_class", [MessageClass.NOTIFICATION, MessageClass.MARKETING])
def test_a_redrive_may_die_anywhere(one: Platform, message_class: str) -> None:
    cover(one, f"redrive {message_class}", deciding(message_class, "redrive"), {"sent": 3})


@pytest.mark.xdist_group("crash-letters")
def test_a_discard_may_die_anywhere(one: Platform) -> None:
    scenario = deciding("notification", "discard", note="no longer needed")
    cover(one, "discard", scenario, {"sent": 1, "discarded": 2})


@pytest.mark.xdist_group("crash-watch")
def test_a_sweep_may_die_anywhere(one: Platform) -> None:
    def scenario(one: Platform) -> Callable[[], Ends]:
        ids, one.script = scripted(taken, taken, refused(1))
        ids += one.send("smtp-verification", one.addresses("smtp", 2))
        one.lose_queues()
        one.work()

        def rest() -> Ends:
            # What was interrupted in one sweep is looked into by a later one.
            for _ in range(3):
                one.stack.clock.advance(4 * 3600)
                one.sweep()
                one.work()
            return one.check(ids)

        return rest

    cover(one, "sweep", scenario, {"expired": 2})
