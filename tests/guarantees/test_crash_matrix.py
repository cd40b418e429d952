"""The crash matrix: a request is accepted, sent, tried again, given up and traced, and is struck once at every point.

Every call that changes something is counted in a run without a strike: AWS calls of all functions, calls of
providers, and deletes of the queues' mappings. Then the run is repeated for each call and each position.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.faults import FaultInput
from shared.aws import queue
from shared.dispatch import plan
from shared.dispatch.routing import DOWN_MS
from shared.model.events import fold
from shared.model.ids import ULID_LENGTH
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Unknown
from shared.model.reasons import Reason
from shared.model.receipts import Receipt
from shared.model.words import MessageClass, Stage
from shared.providers.base import Outgoing
from shared.providers.email.smtp import provider as smtp
from tests.guarantees.matrix import Ends, Scenario, cover
from tests.guarantees.platform import (
    FALLING,
    LOST,
    ONCE,
    PAIR,
    PROVIDER_FAULTS,
    WAITING,
    Platform,
    Script,
    ViolationError,
    platform,
)

pytestmark = pytest.mark.rotates
RECIPIENTS = 4
SHANGHAI = ZoneInfo("Asia/Shanghai")
"""The tenant's time zone."""
BUSY = Retry(Reason.THROTTLED, "busy")
STOPPED = (Stage.DUPLICATE, Stage.CAPPED)
UNSEEN = Unknown(Reason.TIMED_OUT, "never arrived")
REFUSED = Rejected(Reason.ADDRESS_UNKNOWN, "nobody of that name")
SUSPENDED = AccountDown(Reason.ACCOUNT_SUSPENDED, "suspended")


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
) -> Scenario[Platform]:
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
@pytest.mark.parametrize(
    "provider", [pytest.param(p, marks=pytest.mark.xdist_group(f"crash-{p}")) for p in PROVIDER_FAULTS]
)
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
    "provider", [pytest.param(p, marks=pytest.mark.xdist_group(f"doubt-{p}")) for p in ("smtp", "ses", "tencent")]
)
def test_it_may_die_anywhere_while_outcomes_are_in_doubt(one: Platform, provider: str, message_class: str) -> None:
    scenario = sending(provider, message_class, taken, refused(1), in_doubt(LOST), in_doubt(UNSEEN), tries=6)
    cover(one, f"{provider} {message_class} in doubt", scenario, expected_of_doubt(provider, message_class))


@pytest.mark.xdist_group("crash-many")
@pytest.mark.parametrize("message_class", list(MessageClass))
def test_a_call_for_many_may_go_wrong_in_part_or_as_a_whole(one: Platform, message_class: str) -> None:
    def send(to: list[str], *faults: FaultInput) -> list[str]:
        for fault in faults:
            one.stack.faults.add(fault)
        ids = one.send(f"ses-{message_class}", to)
        one.work()
        return ids

    one.reset()
    one.script = lambda message, n: None
    to, at = one.addresses("ses", 12), {"provider": "ses", "at": "entry"}
    in_part = send(
        to[:6],
        FaultInput(**at, kind="code", code="TRANSIENT_FAILURE", to=to[0]),
        FaultInput(**at, kind="throttle", to=to[1]),
        FaultInput(**at, kind="code", code="MESSAGE_REJECTED", to=to[2]),
    )
    # All are taken, and the answer is lost.
    whole = send(to[6:], FaultInput(provider="ses", kind="reset_after", at="SendBulkEmail"))
    again = message_class != MessageClass.MARKETING
    assert one.check([*in_part, *whole]) == {"sent": 11 if again else 5, "failed": 1} | (
        {} if again else {"unknown": 6}
    )
    assert {found.message_id for found in one.stack.outbox.repeated()} == (set(whole) if again else set())
    # Who was tried again came in one call, too.
    ways = Counter(delivery.data["operation"] for delivery in one.stack.outbox.all("ses"))
    assert ways == {"SendBulkEmail": 17 if again else 11}


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_its_time_is_short(one: Platform) -> None:
    scenario = sending("smtp", "notification", taken, taken, refused(1), taken, most=2)
    cover(one, "smtp notification with continuations", scenario, {"sent": 4})


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_a_schedule_holds_the_message(one: Platform) -> None:
    scenario = sending("smtp", "notification", taken, refused(1), later_s=7200)
    cover(one, "smtp notification by schedule", scenario, {"sent": 2})


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_it_is_quiet(one: Platform) -> None:
    def scenario(one: Platform) -> Callable[[], Ends]:
        # It is quiet for the next half an hour, so one of the waits is a schedule's.
        hours = [datetime.fromtimestamp(one.stack.clock.now() + s, SHANGHAI).strftime("%H:%M") for s in (-120, 1800)]
        quiet = {"windows": [{"start": hours[0], "end": hours[1]}], "spread_minutes": 5}
        one.set_policies("smtp-notification", {"quiet_hours": quiet})
        return sending("smtp", "notification", taken, refused(1), refused(99))(one)

    try:
        cover(one, "smtp notification in quiet hours", scenario, {"sent": 2, "dead_lettered": 1})
    finally:
        one.set_policies("smtp-notification", None)


@pytest.mark.xdist_group("crash-time")
def test_it_may_die_anywhere_while_it_ends_since_no_schedule_takes_it(
    one: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_INPUT_BYTES", 100)

    def scenario(one: Platform) -> Callable[[], Ends]:
        hours = [datetime.fromtimestamp(one.stack.clock.now() + s, SHANGHAI).strftime("%H:%M") for s in (-120, 18_000)]
        one.set_policies("smtp-notification", {"quiet_hours": {"windows": [{"start": hours[0], "end": hours[1]}]}})

        def rest() -> Ends:
            ids = one.send("smtp-notification", one.addresses("smtp", 2))
            one.work()
            reasons = {e.reason for each in one.timelines().values() for e in each if e.stage == Stage.DEAD_LETTERED}
            if reasons != {Reason.TOO_LARGE}:
                raise ViolationError(f"given up for {reasons}")
            return one.check(ids)

        return rest

    try:
        cover(one, "smtp notification that no schedule takes", scenario, {"dead_lettered": 2})
    finally:
        one.set_policies("smtp-notification", None)


@pytest.mark.xdist_group("crash-rates")
@pytest.mark.parametrize(("message_class", "per_second", "scripts"), [
    (MessageClass.VERIFICATION, 0.05, (taken, taken, taken, taken)),
    # A schedule brings who waits.
    (MessageClass.MARKETING, 0.001, (taken, refused(1), taken)),
])  # fmt: skip
def test_it_may_die_anywhere_while_messages_wait_for_their_places(
    one: Platform, message_class: str, per_second: float, scripts: tuple[Callable[[int], Outcome | None], ...]
) -> None:
    def scenario(one: Platform) -> Callable[[], Ends]:
        # Two go at once, the others wait.
        one.set_rate("mail-smtp", {"per_second": per_second, "burst": 2, "code_share": 0})
        return sending("smtp", message_class, *scripts)(one)

    try:
        cover(one, f"smtp {message_class} at a rate", scenario, {"sent": len(scripts)})
    finally:
        one.set_rate("mail-smtp", None)


def recalling(
    message_class: str, *scripts: Callable[[int], Outcome | None], at: int | None = None
) -> Scenario[Platform]:
    """A request that the trace knows before it is due, in waves of two; all of it is recalled at some moment.

    at: when the provider is asked for the n-th time; else just before whatever is struck.
    """

    def scenario(one: Platform) -> Callable[[], Ends]:
        ids, script = scripted(*scripts)
        asked = iter(range(1, 1000))

        def visit() -> None:
            if ids:
                one.recall(ids)

        def recalled(message: Outgoing, n: int) -> Outcome | None:
            if next(asked) == at:
                one.recall(ids)
            return script(message, n)

        one.script = recalled
        if at is None:
            one.points.visitor = visit
        one.allow_tries(2)

        def rest() -> Ends:
            ids.extend(one.send(f"smtp-{message_class}", one.addresses("smtp", len(scripts)), send_at=one.later(60)))
            one.work()
            return one.check(ids)

        return rest

    return scenario


@pytest.fixture
def small_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WAVE_RECIPIENTS", 2)
    monkeypatch.setattr(smtp, "GROUP", 2)


@pytest.mark.xdist_group("crash-recall")
@pytest.mark.parametrize("message_class", [MessageClass.NOTIFICATION, MessageClass.MARKETING])
def test_a_recall_may_come_at_any_moment(one: Platform, small_waves: None, message_class: str) -> None:
    scenario = recalling(message_class, taken, in_doubt(LOST), refused(1), taken)
    ends = {"sent": 4} if message_class == MessageClass.NOTIFICATION else {"sent": 3, "unknown": 1}
    cover(one, f"recall {message_class} at any moment", scenario, ends)


@pytest.mark.xdist_group("crash-recall")
def test_a_recall_may_die_anywhere(one: Platform, small_waves: None) -> None:
    scenario = recalling("notification", taken, refused(1), in_doubt(LOST), taken, taken, at=3)
    # Of the first wave one was to be tried again, of the second one is in doubt; the last one is in none.
    cover(one, "recall in the second wave", scenario, {"sent": 2, "recalled": 2, "unknown": 1})


def once_each(one: Platform) -> Callable[[], Ends]:
    """The same request twice, for templates whose messages go once to a recipient; the last one's first is given up."""

    def rest() -> Ends:
        ids, one.script = scripted(taken, taken, refused(1), refused(99), taken, taken, taken, taken)
        to = one.addresses("smtp", 4)
        ids += one.send(ONCE, to)
        one.work()
        first = one.timelines()
        ids += one.send(ONCE, to)
        one.work()
        both = one.timelines()
        for before, after in zip(ids[:4], ids[4:], strict=True):
            given_up = [e for e in first[before] if e.stage == Stage.DEAD_LETTERED and not e.maybe_sent]
            ends = fold(first[before]).state, fold(both[after]).state
            # Who has, or may have, got it gets no other; whoever certainly has not is not held back.
            if (ends[0] in STOPPED) or (ends[1] in STOPPED) is bool(given_up):
                raise ViolationError(f"the first one {ends[0]}, the second one {ends[1]}")
        return one.check(ids)

    return rest


@pytest.mark.xdist_group("crash-once")
def test_it_may_die_anywhere_while_each_recipient_gets_it_once(one: Platform) -> None:
    cover(one, "smtp notification once each", once_each, {"sent": 4, "dead_lettered": 1, "duplicate": 3})


def deciding(message_class: str, what: str, **more: str) -> Scenario[Platform]:
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


def failing_over(message_class: str, down: str | None, *scripts: Callable[[int], Outcome | None]) -> Scenario[Platform]:
    """One request by a template with two accounts, of which one may be down."""

    def scenario(one: Platform) -> Callable[[], Ends]:
        # What a process remembers of accounts that were down in an earlier run is over.
        one.stack.clock.advance(DOWN_MS / 1000 + 1)

        def rest() -> Ends:
            ids, one.script = scripted(*scripts)
            one.book.down = down
            ids += one.send(f"{PAIR}-{message_class}", one.addresses("smtp", len(scripts)))
            one.work()
            ends = one.check(ids)
            unseen = [id for id, script in zip(ids, scripts, strict=True) if script(1) is UNSEEN]
            if message_class == MessageClass.MARKETING and any(one.book.taken[id] for id in unseen):
                raise AssertionError("marketing was sent through another account after an unknown outcome")
            return ends

        return rest

    return scenario


@pytest.mark.xdist_group("crash-failover")
@pytest.mark.parametrize("message_class", [MessageClass.NOTIFICATION, MessageClass.MARKETING])
def test_it_may_die_anywhere_while_one_account_is_down_and_another_stands_in(one: Platform, message_class: str) -> None:
    # The first ask of each is by the account that is down; the other is busy for one, and never takes the last.
    scenario = failing_over(message_class, "SmtpProvider", taken, taken, refused(2), refused(99))
    cover(one, f"{message_class} failing over", scenario, {"sent": 3, "dead_lettered": 1})


@pytest.mark.xdist_group("crash-failover")
def test_it_may_die_anywhere_and_what_is_unknown_never_fails_over(one: Platform) -> None:
    scenario = failing_over("marketing", None, taken, in_doubt(UNSEEN), in_doubt(LOST), in_doubt(SUSPENDED))
    cover(one, "marketing unknown by one of two accounts", scenario, {"sent": 2, "unknown": 2})


def falling_back(
    message_class: str, *scripts: Callable[[int], Outcome | None], recalled: bool = False
) -> Scenario[Platform]:
    """One request by WeCom, which falls back to SMS; that takes all that it is given.

    recalled: the trace knows it before it is due, and it is recalled at some moment.
    """

    def scenario(one: Platform) -> Callable[[], Ends]:
        first, script = scripted(*scripts)
        one.script = lambda message, n: script(message, n) if message.message_id in first else None

        def visit() -> None:
            if first:
                one.recall(first)

        if recalled:
            one.points.visitor = visit
        fields = {"send_at": one.later(60)} if recalled else {}

        def rest() -> Ends:
            pairs = zip(one.addresses("app", len(scripts)), one.addresses("aws", len(scripts)), strict=True)
            people = [{"to": to, "variables": {"name": "1"}, "fallback": {"sms": sms}} for to, sms in pairs]
            first.extend(one.send(f"{FALLING}-{message_class}", [], recipients=people, **fields))
            one.work()
            timelines = one.timelines()
            for id in first:
                _check_fallback(one, id, [other for other in timelines if other[:ULID_LENGTH] == id[:ULID_LENGTH]])
            return one.check(list(timelines))

        return rest

    return scenario


def _check_fallback(one: Platform, first: str, messages: list[str]) -> None:
    """A message that fell back has one other that names it, and one that did not has none."""
    events = {id: one.timelines()[id] for id in messages}
    fell = [first[:ULID_LENGTH] + e.fell_back_to.tag for e in events[first] if e.fell_back_to is not None]
    if sorted([first, *fell]) != sorted(messages):
        raise ViolationError(f"{len(fell)} fell back, and there are {len(messages)} messages")
    if fell and one.book.taken[first]:
        raise ViolationError("it was sent, and fell back")
    if fell and not any(e.stands_in_for == first[ULID_LENGTH:] for e in events[fell[0]]):
        raise ViolationError("the other one does not say whose place it takes")


@pytest.mark.xdist_group("crash-fallback")
@pytest.mark.parametrize("message_class", [MessageClass.NOTIFICATION, MessageClass.MARKETING])
def test_it_may_die_anywhere_while_it_falls_back(one: Platform, message_class: str) -> None:
    # WeCom takes one, refuses one, and is busy for one until its tries are used up.
    scenario = falling_back(message_class, taken, lambda n: REFUSED, refused(99))
    cover(one, f"{message_class} falling back", scenario, {"sent": 3, "failed": 2})


def waiting(message_class: str) -> Scenario[Platform]:
    """One request by email, whose messages must be delivered: one is, one comes back, and of one nothing is said."""

    def scenario(one: Platform) -> Callable[[], Ends]:
        one.script = lambda message, n: None

        def rest() -> Ends:
            pairs = zip(one.addresses("ses", 3), one.addresses("aws", 3), strict=True)
            people = [{"to": to, "variables": {"name": "1"}, "fallback": {"sms": sms}} for to, sms in pairs]
            first = one.send(f"{WAITING}-{message_class}", [], recipients=people)
            said: dict[str, Any] = {"tenant": "default", "at": one.stack.clock.now_ms()}
            one.report(
                Receipt(stage=Stage.DELIVERED, message_id=first[0], **said),
                Receipt(stage=Stage.UNDELIVERED, message_id=first[1], reason=Reason.ADDRESS_UNKNOWN, **said),
            )
            one.work()
            timelines = one.timelines()
            for id, others in zip(first, (0, 1, 1), strict=True):
                _check_waiting(one, id, [m for m in timelines if m[:ULID_LENGTH] == id[:ULID_LENGTH]], others)
            return one.check(list(timelines))

        return rest

    return scenario


def _check_waiting(one: Platform, first: str, messages: list[str], others: int) -> None:
    """A sent message has so many in its place, and each of them has taken one's place."""
    events = {id: one.timelines()[id] for id in messages}
    fell = [first[:ULID_LENGTH] + e.fell_back_to.tag for e in events[first] if e.fell_back_to is not None]
    if len(fell) != others or sorted([first, *fell]) != sorted(messages):
        raise ViolationError(f"{len(fell)} fell back instead of {others}, and there are {len(messages)} messages")


@pytest.mark.xdist_group("crash-waiting")
def test_it_may_die_anywhere_while_sent_messages_wait_to_arrive(one: Platform) -> None:
    ends = {"delivered": 1, "undelivered": 1, "sent": 3}
    cover(one, "notification that must arrive", waiting("notification"), ends)


@pytest.mark.xdist_group("crash-fallback")
def test_a_recall_may_come_at_any_moment_while_it_falls_back(one: Platform) -> None:
    scenario = falling_back("notification", lambda n: REFUSED, refused(99), recalled=True)
    cover(one, "recall while it falls back", scenario, {"sent": 2, "failed": 2})
