"""The long run of the guarantees: `python -m tests.guarantees.soak [--messages N] [--lives N] [--steps N] [--seed N]`.

First many random lives of the platform (`test_stateful.py`). Then a great many messages through the real functions and
providers, to sandboxes of which one call in twenty goes wrong in one of many ways, while functions die now and then.
What the sandboxes took is counted by them, not by us; it is compared with what every message's timeline says.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from unittest.mock import patch

from local.faults import FaultInput
from shared.model.events import fold
from shared.model.words import OUTCOMES, MessageClass, Stage
from shared.store.kept_events import KeptEvent
from tests.conftest import ENVIRONMENT
from tests.guarantees.fault_points import Position
from tests.guarantees.platform import PROVIDER_FAULTS, Platform, ViolationError, platform
from tests.guarantees.test_stateful import live

RATE = 0.05
"""How many calls of a provider go wrong."""
STRIKE_EVERY = 150
"""A function is struck about once in so many calls to AWS."""
REQUEST = 1000
Events = Sequence[KeptEvent]


def soak(one: Platform, messages: int, seed: int) -> None:
    """Send messages by all providers in all classes, and check every one. Raises: ViolationError."""
    chance = random.Random(seed)
    one.reset()
    one.allow_tries(4)
    for provider in PROVIDER_FAULTS:
        one.stack.faults.add(FaultInput(provider=provider, kind="mixed", rate=RATE, seed=seed))
    roads = [(p, c) for p in PROVIDER_FAULTS if p != "robot" for c in MessageClass]
    addresses: dict[str, str] = {}
    strikes = 0
    while len(addresses) < messages:
        provider, message_class = roads[(len(addresses) // REQUEST) % len(roads)]
        to = one.addresses(provider, min(REQUEST, messages - len(addresses)))
        addresses.update(zip(one.send(f"{provider}-{message_class}", to), to, strict=True))
        one.points.arm(chance.randrange(STRIKE_EVERY), chance.choice(list(Position)))
        one.step(3)
        strikes += one.points.struck is not None
        print(f"\r{len(addresses):,} accepted", end="", file=sys.stderr, flush=True)
    one.points.disarm()
    one.work()
    print(file=sys.stderr)
    _compare(one, addresses, strikes)


def _compare(one: Platform, addresses: Mapping[str, str], strikes: int) -> None:
    """Compare what the sandboxes took with the timelines. Raises: ViolationError."""
    taken = Counter({found.to: sum(found.times.values()) for found in one.stack.outbox.each()})
    timelines = one.timelines()
    lost = addresses.keys() - timelines.keys()
    ends: Counter[str] = Counter()
    twice: Counter[str] = Counter()
    for message_id, to in addresses.items():
        events = timelines.get(message_id, [])
        ends[fold(events).state if events else "lost"] += 1
        times = taken[to.lower()]
        if times > 1:
            twice[_why(events)] += times - 1
        _check(events, times)
    one.check_books(timelines)
    print(f"{len(addresses):,} messages, {strikes} functions struck, {RATE:.0%} of providers' calls gone wrong")
    print(f"lost: {len(lost)}; ends: {_written(ends)}")
    print(f"taken more than once: {twice.total()}:")
    for why, times in sorted(twice.items()):
        print(f"  {times} {why}")
    if lost or twice["in silence"]:
        raise ViolationError("a promise is broken")


def _check(events: Events, times: int) -> None:
    outcomes = [e for e in events if e.stage in OUTCOMES]
    if len(outcomes) != 1:
        raise ViolationError(f"{len(outcomes)} outcomes")
    end = outcomes[0].stage
    if end == Stage.SENT and not times:
        raise ViolationError("called sent, and was not")
    if times and end not in (Stage.SENT, Stage.UNKNOWN, Stage.DEAD_LETTERED):
        raise ViolationError(f"sent, and called {end}")
    if times > 1 and events[0].message_class == MessageClass.MARKETING:
        raise ViolationError("marketing sent twice")


def _why(events: Events) -> str:
    """What a timeline says of a message that was sent more than once."""
    doubts = sorted({str(e.reason) for e in events if e.stage == Stage.RETRYING and e.maybe_sent})
    return f"{events[0].message_class}, {' and '.join(doubts)}" if doubts else "in silence"


def _written(counts: Counter[str]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items())) or "none"


def main() -> int:
    """Run it; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Try the guarantees for long.")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with patch.dict(os.environ, ENVIRONMENT), platform() as one:
        started = time.monotonic()
        live(one, options.lives, options.steps, database=None)
        print(f"{options.lives:,} lives of up to {options.steps} steps: {time.monotonic() - started:.0f} s")
        started = time.monotonic()
        soak(one, options.messages, options.seed)
        print(f"{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
