"""Whatever dies, and whenever: no event is lost, and what comes twice has the same id."""

import itertools

import pytest

from shared.model.webhooks import Stopped, WebhookState
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.webhooks.harness import DAY_S, Killed, Strike, WebhooksHarness, record


@pytest.fixture
def hooks(aws: Aws, clock: FakeClock) -> WebhooksHarness:
    found = WebhooksHarness(aws, clock)
    found.hook()
    return found


@pytest.mark.parametrize("after", [False, True])
def test_the_feed_dies_at_each_of_its_calls(hooks: WebhooksHarness, after: bool) -> None:
    struck = 0
    for at in itertools.count(1):
        one, strike = record(3), Strike(at, after)
        hooks.endpoint.taken.clear()
        try:
            hooks.feed(one, strike=strike)
        except Killed:
            struck += 1
            hooks.feed(one)
        hooks.feed(one)
        hooks.deliver()
        assert len(hooks.endpoint.taken) == 3
        assert sum(hooks.endpoint.taken.values()) in (3, 6)
        if strike.calls < at:
            break
    # Endpoints, what is known, the queue, what is remembered.
    assert struck == 4


@pytest.mark.parametrize("after", [False, True])
def test_the_sender_dies_at_each_of_its_calls(hooks: WebhooksHarness, after: bool) -> None:
    struck = 0
    for at in itertools.count(1):
        hooks.feed(record(4))
        hooks.endpoint.taken.clear()
        hooks.endpoint.tried.clear()
        failing = iter([200, 500, None, 200])
        hooks.endpoint.answer = lambda url, failing=failing: next(failing, 200)  # type: ignore[misc] # a lambda's default
        strike = Strike(at, after)
        hooks.deliver(strike)
        struck += strike.calls >= at
        hooks.deliver_all()
        assert len(hooks.endpoint.taken) == 4
        assert {id for _, id, _ in hooks.endpoint.tried} == set(hooks.endpoint.taken)
        if strike.calls < at:
            break
    # Endpoints, four posts, the queue, what is kept, that it works.
    assert struck == 8
    assert {state for _, state, _ in hooks.kept()} == {"delivered"}


@pytest.mark.parametrize("after", [False, True])
def test_it_dies_while_an_endpoint_is_stopped(aws: Aws, clock: FakeClock, after: bool) -> None:
    for at in itertools.count(1):
        hooks = WebhooksHarness(aws, clock)
        mine, other = f"mine{at}{after}".lower(), f"other{at}{after}".lower()
        hooks.hook(mine)
        hooks.hook(other, types=["endpoint.disabled"])
        hooks.endpoint.answer = lambda url, mine=mine: 410 if mine in url else 200  # type: ignore[misc] # a lambda's default
        hooks.feed(record(1))
        strike = Strike(at, after)
        hooks.deliver(strike)
        hooks.deliver_all()
        # Another event, if it died before anything of it was done.
        hooks.feed(record(1))
        hooks.deliver_all()

        found = hooks.stored(mine)
        assert (found.state, found.stopped) == (WebhookState.DISABLED, Stopped.GONE)
        told = {id for url, id, _ in hooks.endpoint.tried if other in url}
        assert len(told) == 1 and hooks.endpoint.taken[told.pop()] >= 1
        for each in (mine, other):
            stored = hooks.parts().webhooks.load_webhook("default", each)
            assert stored is not None
            from shared.model.audit import record_change

            gone = record_change(clock.now_ms(), "default", "k", "delete_webhook", f"webhook/{each}", {}, None)
            hooks.parts().webhooks.delete_webhook(stored.value, stored.rev, gone)
        if strike.calls < at:
            assert at > 5
            break


def test_a_queue_that_takes_some_of_it(hooks: WebhooksHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.feed(record(3))
    hooks.endpoint.answer = lambda url: 500
    monkeypatch.setattr("functions.webhooks.sending.DeliveryQueue.send", lambda self, each, now: {each[0].id})
    hooks.deliver()
    monkeypatch.undo()
    hooks.endpoint.answer = lambda url: 200
    # The one that could not be queued is on the queue as it was; the others were said to be.
    [left] = hooks.waiting()
    hooks.put_back([left])
    hooks.deliver_all()
    assert len(hooks.endpoint.taken) == 1


def test_a_table_that_keeps_nothing_loses_nothing(hooks: WebhooksHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.store.dynamo import StoreError

    def refuse(*_: object) -> None:
        raise StoreError("no")

    hooks.feed(record(3))
    replies = iter([200, 500, 410])
    hooks.endpoint.answer = lambda url: next(replies)
    monkeypatch.setattr("shared.store.deliveries.Deliveries.keep", refuse)
    hooks.deliver()
    monkeypatch.undo()
    # The second is tried again, and the third comes back, to be kept as one that was given up or held.
    assert len(hooks.waiting()) == 2


def test_five_days(hooks: WebhooksHarness) -> None:
    hooks.endpoint.answer = lambda url: 500
    hooks.feed(record(1))
    hooks.deliver_all(4)
    assert hooks.stored().state is WebhookState.ACTIVE
    assert [state for _, state, _ in hooks.kept()] == ["failed"]
    hooks.clock.advance(2 * DAY_S)
    hooks.feed(record(1))
    assert hooks.deliver().paused == 1
    assert hooks.stored().stopped is Stopped.FAILURES


def test_a_success_in_between_begins_the_five_days_anew(hooks: WebhooksHarness) -> None:
    for day in range(12):
        hooks.endpoint.answer = lambda url, day=day: 200 if day % 4 == 0 else 500  # type: ignore[misc] # a lambda's default
        hooks.feed(record(2))
        hooks.deliver()
        hooks.clock.advance(DAY_S)
    assert hooks.stored().state is WebhookState.ACTIVE
