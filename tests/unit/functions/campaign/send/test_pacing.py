"""How fast runs go: their throttle, and what their accounts can take."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.run import control
from functions.campaign.run.starting import sizes
from functions.campaign.send.pacing import LOOKAHEAD_MS, Pacer
from shared.model.accounts import Account, AccountState, Rate
from shared.model.runs import Run, RunState
from shared.model.tasks import SendTask
from shared.model.words import Channel, KeyKind
from shared.policy.rates import Paced, lanes_of, pace
from shared.store.rates import Rates
from tests.rates import most_within
from tests.samples import NOW, TENANT, change
from tests.unit.functions.campaign.audience import run_of
from tests.unit.functions.campaign.run_harness import RunHarness, run_harness


def add_account(one: RunHarness, **changes: Any) -> Account:
    """The account of the template, with ten messages a second."""
    values: dict[str, Any] = {
        "id": "main",
        "tenant": TENANT.id,
        "name": "Main",
        "channel": Channel.EMAIL,
        "provider": "smtp",
        "settings": {},
        "rate": Rate(per_second=10, burst=1),
        "created_at": NOW,
        "updated_at": NOW,
    }
    account = Account(**values | changes)
    one.catalog.create_account(account, change())
    return account


def book(one: RunHarness, account: Account, messages: int) -> None:
    """Take places of an account."""
    assert account.rate is not None
    one.rates.reserve(TENANT.id, account.id, lanes_of(account.rate), messages, None, codes=False)


def a_run(**changes: Any) -> Run:
    """A run that sends by the template `welcome`."""
    return run_of(b"to\n").moved(state=RunState.SENDING, sending_at=NOW, **changes)


def test_without_a_throttle_everything_goes_at_once() -> None:
    with run_harness() as one:
        assert one.pacer.place(a_run(), 10_000) is None
        assert one.pacer.rows(a_run(), 10_000) == 10_000


def test_a_slice_waits_for_the_places_of_those_before_it() -> None:
    with run_harness() as one:
        run = a_run(throttle=600)
        assert one.pacer.place(run, 100) is None
        # That took ten seconds of it; what begins within five goes now.
        ready = one.pacer.place(run, 100)
        assert ready == one.clock.now_ms() + 5_000
        one.clock.set(ready)
        assert one.pacer.place(run, 100) is None
        assert one.pacer.place(run, 0) is None


def test_another_throttle_counts_from_the_next_slice_on() -> None:
    with run_harness() as one:
        slow = a_run(throttle=1)
        assert one.pacer.place(slow, 100) is None
        ready = one.pacer.place(slow, 100)
        assert ready is not None
        assert ready > one.clock.now_ms() + 5_000_000
        one.clock.advance(1)
        fast = control.throttled(slow, one.clock.now_ms(), 6000)
        assert one.pacer.place(fast, 100) is None


@pytest.mark.parametrize(
    ("throttle", "block", "rows"), [(600, 100, 100), (6000, 100, 1000), (6000, 300, 900), (60, 100, 100), (1, 1, 1)]
)
def test_a_slice_is_whole_blocks_of_ten_seconds(throttle: int, block: int, rows: int) -> None:
    with run_harness() as one:
        assert one.pacer.rows(a_run(throttle=throttle, block=block), 10_000) == rows


def test_no_account_is_booked_far_ahead() -> None:
    with run_harness() as one:
        run, account = a_run(), add_account(one)
        assert one.pacer.accounts_ready(run) is None
        book(one, account, 301)
        ready = one.pacer.accounts_ready(run)
        assert ready is not None
        assert 0 < ready - one.clock.now_ms() <= 200
        one.clock.set(ready)
        assert one.pacer.accounts_ready(run) is None
        # To look takes nothing.
        assert one.pacer.accounts_ready(run) is None


@pytest.mark.parametrize(
    ("weights", "rates", "per_minute"),
    [
        ({"main": 10}, {"main": 10}, 540),
        ({"main": 10, "other": 10}, {"main": 10}, 1080),
        ({"main": 10, "other": 10}, {"main": 10, "other": 5}, 540),
        ({"main": 10, "other": 30}, {"main": 10, "other": 40}, 2160),
        ({"main": 10, "other": 0}, {"main": 10, "other": 1}, 540),
        ({"main": 10}, {}, None),
    ],
)
def test_a_run_queues_no_faster_than_each_account_sends_its_share(
    weights: dict[str, int], rates: dict[str, float], per_minute: float | None
) -> None:
    with run_harness() as one:
        for id, weight in weights.items():
            rate = Rate(per_second=rates[id], burst=10) if id in rates else None
            add_account(one, id=id, weight=weight, rate=rate)
        stored = one.catalog.load_template(TENANT.id, "welcome")
        assert stored is not None
        both = stored.value.model_copy(update={"accounts": list(weights)})
        one.catalog.update_template(both, stored.rev, change())
        found = one.pacer.per_minute(a_run())
        assert found == (None if per_minute is None else pytest.approx(per_minute, rel=1e-3))
        assert one.pacer.per_minute(a_run(throttle=100)) == 100
        assert one.pacer.per_minute(a_run(kind=KeyKind.TEST)) is None


def test_accounts_without_a_rate_or_a_share_keep_nobody_waiting() -> None:
    with run_harness() as one:
        account = add_account(one, state=AccountState.DISABLED)
        book(one, account, 1000)
        assert one.pacer.accounts_ready(a_run()) is None


def test_a_test_key_waits_for_no_account() -> None:
    with run_harness() as one:
        book(one, add_account(one), 1000)
        assert one.pacer.accounts_ready(a_run()) is not None
        assert one.pacer.accounts_ready(a_run(kind=KeyKind.TEST)) is None


@pytest.mark.parametrize(
    ("throttle", "sizes"),
    [(6, (14,)), (7, (30,)), (60, (60,)), (600, (300, 300)), (600, (1900,)), (12_000, (4000, 4000, 4000, 3000))],
)
def test_a_run_keeps_to_its_throttle(throttle: int, sizes: tuple[int, ...]) -> None:
    with run_harness(sizes=sizes) as one:
        begun = one.clock.now_ms()
        run = one.start(throttle=throttle)
        one.drain()
        assert one.run(run.id).state is RunState.FINISHED
        times = [at for at, n in one.outbox.times for _ in range(n)]
        assert len(times) == one.rows.good
        assert most_within(times, 60) <= throttle
        wanted_s = one.rows.good * 60 / throttle
        took_s = (max(times) - begun) / 1000
        assert wanted_s - 20 <= took_s <= wanted_s * 1.2 + 20


def test_a_run_waits_for_its_accounts_and_goes_on() -> None:
    with run_harness(sizes=(1000,), slice_rows=100) as one:
        account = add_account(one)
        # Somebody else sends as much by it.
        one.outbox.before = lambda: book(one, account, 180)
        run = one.start()
        one.drain()
        assert one.run(run.id).state is RunState.FINISHED
        took_s = (max(at for at, _ in one.outbox.times) - NOW) / 1000
        # Of ten places a second half are its own, and the last are queued half a minute before.
        assert 130 <= took_s <= 180
        first = min(at for at, _ in one.outbox.times)
        early = sum(n for at, n in one.outbox.times if at < first + 1000)
        assert early <= 10 * LOOKAHEAD_MS / 1000


def test_many_chains_book_no_account_far_ahead() -> None:
    """Though dispatch, which takes the places, is late."""
    with run_harness(sizes=(1000,) * 20) as one:
        add_account(one)
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.SENDING)
        begun = one.clock.now_ms()
        one.drain(lambda: one.clock.now_ms() - begun > 60_000)
        assert one.run(run.id).chains == 1
        assert len(one.outbox.addresses()) <= 10 * 75


def test_a_faster_throttle_wakes_a_run_that_waits_for_long() -> None:
    with run_harness(sizes=(200,)) as one:
        run = one.start(throttle=1)
        one.drain(lambda: one.outbox.envelopes != {})
        changed = one.campaigns.change_run(
            TENANT.id, run.id, lambda found: control.throttled(found, one.clock.now_ms(), None)
        )
        assert changed is not None
        begun = one.clock.now_ms()
        one.tasks.send(control.tasks_after(changed))
        one.drain(lambda: len(one.outbox.addresses()) == one.rows.good)
        assert one.clock.now_ms() - begun < 15_000
        one.drain()
        assert set(one.outbox.addresses().values()) == {1}


def test_a_task_that_comes_early_waits_on() -> None:
    with run_harness(sizes=(200,)) as one:
        run = one.start(throttle=60)
        one.drain(lambda: one.outbox.envelopes != {})
        one.drain(lambda: one.run(run.id).state is RunState.SENDING and len(one.tasks.waiting) == 2)
        before = len(one.outbox.times)
        one.worker.do(SendTask(tenant=TENANT.id, run=run.id, shard=0), lambda: 600_000)
        assert len(one.outbox.times) == before
        one.drain()
        assert set(one.outbox.addresses().values()) == {1}
        assert len(one.outbox.addresses()) == one.rows.good


def test_a_key_of_the_throttle_is_not_of_an_account() -> None:
    with run_harness() as one:
        add_account(one)
        assert one.pacer.place(a_run(throttle=1), 1000) is None
        assert one.pacer.accounts_ready(a_run(throttle=1)) is None


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 90_000)), min_size=1, max_size=40),
)
def test_no_minute_ever_holds_more_than_the_throttle(per_minute: int, slices: list[tuple[int, int]]) -> None:
    """Slices of any size, asked for at any time; who has to wait comes again when it is told to, or later."""
    paced, now = Paced(), NOW
    times: list[int] = []
    for wanted, late_ms in slices:
        messages = min(wanted, per_minute)
        now += late_ms
        ready, after = pace(paced, messages, per_minute, now, 5_000)
        if ready > now:
            now = ready
            ready, after = pace(paced, messages, per_minute, now, 5_000)
        assert ready == now
        paced = after
        times += [now] * messages
    # Between a queue and its recipients a message may take two seconds more than another one.
    assert most_within(times, 61.999) <= per_minute
    assert len(paced.sent) <= 63


@pytest.mark.parametrize(("per_minute", "messages"), [(6, 1), (600, 100), (3_000, 500), (100, 16), (0.5, 1), (1, 5)])
def test_a_run_is_nearly_as_fast_as_its_throttle(per_minute: float, messages: int) -> None:
    paced, now, sent = Paced(), NOW, 0
    while now < NOW + 3_600_000:
        ready, after = pace(paced, messages, per_minute, now, 5_000)
        if ready <= now:
            paced, sent = after, sent + messages
        now = max(now, ready) + 100
    assert 0.9 * 60 * per_minute <= sent <= 60 * per_minute + messages


def test_functions_that_send_at_the_same_time_keep_to_the_throttle_together() -> None:
    with run_harness() as one:
        run, times = a_run(throttle=60), []
        others = [Pacer(Rates(one.rates._client, "guard", one.clock), one.catalog, one.clock) for _ in range(3)]
        for step in range(400):
            if others[step % 3].place(run, 7) is None:
                times += [one.clock.now_ms()] * 7
            one.clock.advance(0.7)
        assert most_within(times, 60) <= 60
        assert len(times) >= 0.85 * 400 * 0.7


@pytest.mark.parametrize("variants", [1, 2, 5])
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("throttle", [1, 6, 59, 600, 3000, 100_000])
def test_what_goes_at_once_is_never_more_than_some_seconds_of_the_throttle(
    throttle: int, local: bool, variants: int
) -> None:
    envelope, block = sizes(throttle, variants, local=local)
    assert envelope <= block <= max(1, throttle // 6)
