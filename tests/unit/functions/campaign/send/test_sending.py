"""Chains: slices in order, each once, whatever breaks off."""

from collections import Counter

import pytest

from functions.campaign.run import control
from functions.campaign.send.sending import RESERVE_MS
from shared.aws.stream import StreamError
from shared.errors import NotQueuedError
from shared.model.runs import Run, RunState, Shard
from shared.model.tasks import SendTask
from tests.samples import TENANT
from tests.unit.functions.campaign.run_harness import KEY, RunHarness, run_harness

LONG = 600_000


def sending(one: RunHarness) -> Run:
    """A run just before its first envelope."""
    run = one.start()
    one.drain(lambda: one.run(run.id).state is RunState.SENDING)
    one.drain(lambda: one.tasks.sent["send"] > 0)
    one.tasks.waiting.clear()
    return one.run(run.id)


def task(run: Run, shard: int = 0) -> SendTask:
    """What has a chain work."""
    return SendTask(tenant=TENANT.id, run=run.id, shard=shard)


def shard(one: RunHarness, run: Run, number: int = 0) -> Shard:
    """A shard as it is now."""
    stored = one.shards.load(TENANT.id, run.id, number)
    assert stored is not None
    return stored.value


def once(one: RunHarness) -> None:
    """Everybody who can be sent to is in one envelope."""
    assert len(one.outbox.addresses()) == one.rows.good
    assert set(one.outbox.addresses().values()) == {1}


def test_a_chain_goes_through_its_shards() -> None:
    with run_harness(sizes=(200, 300, 200)) as one:
        run = sending(one)
        assert run.chains == 3
        run = one.campaigns.change_run(TENANT.id, run.id, lambda found: found.moved(chains=2)) or run
        one.sending.work(task(run, 0), lambda: LONG)
        assert [shard(one, run, n).closed for n in range(3)] == [True, False, True]
        assert shard(one, run).sent.accepted == 180
        assert [len(d.envelope.recipients) for d in one.outbox.envelopes.values()] == [90, 90, 90, 90]
        one.sending.work(task(run, 1), lambda: LONG)
        once(one)
        assert len(one.outbox.records) == len(one.outbox.envelopes) == 7


def test_a_shard_is_worked_in_slices() -> None:
    with run_harness(sizes=(1000,), slice_rows=300) as one:
        run = sending(one)
        one.sending.work(task(run), lambda: LONG)
        stored = one.shards.load(TENANT.id, run.id, 0)
        assert stored is not None
        # Written when it was planned and checked, and for each slice.
        assert stored.rev == 2 + 4
        once(one)


def test_a_closed_shard_and_a_run_that_does_not_send_are_left_alone() -> None:
    with run_harness(sizes=(200,)) as one:
        run = sending(one)
        one.sending.work(task(run), lambda: LONG)
        before = len(one.outbox.times)
        one.sending.work(task(run), lambda: LONG)
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.pause(found, 1, KEY))
        one.sending.work(task(run), lambda: LONG)
        one.sending.work(SendTask(tenant=TENANT.id, run="spring.none", shard=0), lambda: LONG)
        assert len(one.outbox.times) == before


def test_a_short_time_has_the_chain_go_on_in_another_function() -> None:
    with run_harness(sizes=(1000,), slice_rows=100) as one:
        run = sending(one)
        left = iter([LONG] * 3 + [RESERVE_MS] * 10)
        one.sending.work(task(run), lambda: next(left))
        assert shard(one, run).next_row == 300
        assert [text for _, _, text in one.tasks.waiting] == [task(run).model_dump_json()]
        one.sending.work(task(run), lambda: LONG)
        once(one)


def test_envelopes_that_could_not_be_queued_do_not_move_the_shard() -> None:
    with run_harness(sizes=(1000,)) as one:
        run = sending(one)
        one.outbox.refuse = 3
        with pytest.raises(NotQueuedError):
            one.sending.work(task(run), lambda: LONG)
        assert shard(one, run).next_row == 0
        assert one.outbox.records == []
        one.sending.work(task(run), lambda: LONG)
        once(one)


def test_a_stream_that_does_not_answer_does_not_move_the_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness(sizes=(1000,)) as one:
        run = sending(one)
        with monkeypatch.context() as patched:

            def fail(records: object) -> None:
                raise StreamError

            patched.setattr(one.outbox, "put", fail)
            with pytest.raises(StreamError):
                one.sending.work(task(run), lambda: LONG)
        assert shard(one, run).next_row == 0
        one.sending.work(task(run), lambda: LONG)
        once(one)


@pytest.mark.parametrize("at", range(12))
def test_of_two_at_the_same_shard_one_gets_on(at: int) -> None:
    """The other does all of its work while the first is at one of its batches."""
    with run_harness(sizes=(3000,), slice_rows=1000) as one:
        run = sending(one)
        calls = 0

        def visit() -> None:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                one.sending.work(task(run), lambda: LONG)

        one.outbox.before = visit
        one.sending.work(task(run), lambda: LONG)
        once(one)
        found = shard(one, run)
        assert (found.closed, found.sent.accepted, found.sent.rows) == (True, 2700, 3000)


def test_a_task_that_is_delivered_again_later_changes_nothing() -> None:
    with run_harness(sizes=(500, 500), slice_rows=100) as one:
        run = sending(one)
        one.sending.work(task(run), lambda: LONG)
        before = shard(one, run)
        one.clock.advance(1000)
        one.sending.work(task(run), lambda: LONG)
        assert shard(one, run) == before
        one.sending.work(task(run, 1), lambda: LONG)
        once(one)


def test_a_chain_stops_at_the_next_batch_when_its_run_is_paused() -> None:
    with run_harness(sizes=(5000,)) as one:
        run = sending(one)
        calls = 0

        def pause() -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                one.campaigns.change_run(TENANT.id, run.id, lambda found: control.pause(found, 1, KEY))

        one.outbox.before = pause
        one.sending.work(task(run), lambda: LONG)
        assert calls == 2
        assert len(one.outbox.envelopes) == 20
        assert shard(one, run).next_row == 0
        one.outbox.before = None
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.resume(found, 2, KEY))
        one.sending.work(task(run), lambda: LONG)
        once(one)


def test_a_throttle_that_is_set_meanwhile_counts_from_the_next_slice() -> None:
    with run_harness(sizes=(2000,), slice_rows=500) as one:
        run = sending(one)

        def slow() -> None:
            one.campaigns.change_run(TENANT.id, run.id, lambda found: control.throttled(found, one.clock.now_ms(), 600))

        one.outbox.before = slow
        one.sending.work(task(run), lambda: LONG)
        # Half a second's slice, then one of ten seconds, and no more.
        assert shard(one, run).next_row == 600
        assert shard(one, run).due_at > one.clock.now_ms()


def test_requests_are_few() -> None:
    with run_harness(sizes=(10_000,)) as one:
        run = sending(one)
        client = one.campaigns._client
        call, counts = client._make_api_call, Counter[str]()  # type: ignore[attr-defined]  # boto3 hides it

        def through(operation: str, parameters: object) -> object:
            counts[operation] += 1
            return call(operation, parameters)

        client._make_api_call = through  # type: ignore[attr-defined]  # boto3 hides it
        one.sending.work(task(run), lambda: LONG)
        once(one)
        assert len(one.outbox.times) == len(one.outbox.envelopes) == 100
        assert counts.total() <= 6, counts
