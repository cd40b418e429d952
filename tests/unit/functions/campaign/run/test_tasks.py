"""Tasks as they come from their queue, and what becomes of those that break off."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from functions.campaign.run import control
from functions.campaign.run.tasks import HOPELESS_AFTER, Worker
from shared.aws.runfiles import FileGoneError
from shared.aws.tasks import TaskError
from shared.errors import NotQueuedError
from shared.model.runs import RunState
from shared.model.tasks import CheckTask, CompareTask, PlanTask, ReleaseTask, SendTask
from shared.store.catalog_items import CatalogConflictError, CatalogTooLargeError
from shared.store.dynamo import StoreError
from shared.store.parking import BUCKETS
from tests.samples import NOW, TENANT, envelope
from tests.unit.functions.campaign.run_harness import KEY, RunHarness, run_harness


@dataclass
class Context:
    """Lambda's context."""

    left_ms: int = 600_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@dataclass
class Returning:
    """A queue that is told when tasks are to come back."""

    told: list[tuple[str, int]] = field(default_factory=list)

    def put_back(self, receipt: str, delay_s: int) -> None:
        self.told.append((receipt, delay_s))


def event(body: str, received: int = 1) -> dict[str, Any]:
    """An SQS batch of one message."""
    attributes = {"ApproximateReceiveCount": str(received)}
    return {"Records": [{"messageId": "m", "receiptHandle": "r", "body": body, "attributes": attributes}]}


def worker(one: RunHarness, queue: Returning) -> Worker:
    """The worker, with another queue."""
    return Worker(one.worker._steps, one.campaigns, one.shards, queue, one.clock)  # type: ignore[arg-type]  # plays its parts


def test_a_task_that_is_none_goes_to_the_dead_letters() -> None:
    with run_harness() as one:
        for body in ("{", '{"task": "dance", "tenant": "default"}', '{"task": "plan"}'):
            queue = Returning()
            for received in range(1, 7):
                answer = worker(one, queue).run(event(body, received), Context())
                assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}
            # After the sixth it is there, within minutes.
            assert sum(delay_s for _, delay_s in queue.told) < 600


@pytest.mark.parametrize(("received", "delay_s"), [(1, 5), (2, 10), (6, 160), (20, 300)])
def test_a_task_that_breaks_off_comes_back_soon_and_then_later(received: int, delay_s: int) -> None:
    with run_harness() as one:
        run, queue = one.start(), Returning()
        one.rows.fails = ConnectionError()
        task = PlanTask(tenant=TENANT.id, run=run.id)
        answer = worker(one, queue).run(event(task.model_dump_json(), received), Context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}
        assert queue.told == [("r", delay_s)]
        assert one.run(run.id).state is RunState.PLANNING


BROKEN = (
    CatalogTooLargeError("more than 380,000 bytes"),
    KeyError("to"),
    MemoryError(),
    ClientError({"Error": {"Code": "ValidationException"}}, "PutItem"),
    ClientError({"Error": {"Code": "SerializationException"}}, "PutItem"),
)
PASSING = (
    ConnectionError(),
    StoreError(),
    TaskError(),
    CatalogConflictError(),
    EndpointConnectionError(endpoint_url="s3"),
    ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"),
)


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_run_fails_in_words_if_its_step_breaks_off_by_what_will_not_pass(error: Exception) -> None:
    with run_harness() as one:
        run, queue = one.start(), Returning()
        one.rows.fails = error
        body = PlanTask(tenant=TENANT.id, run=run.id).model_dump_json()
        for received in range(1, HOPELESS_AFTER):
            assert worker(one, queue).run(event(body, received), Context())["batchItemFailures"]
            assert one.run(run.id).state is RunState.PLANNING
        assert one.worker.run(event(body, HOPELESS_AFTER), Context()) == {"batchItemFailures": []}
        found = one.run(run.id)
        assert found.state is RunState.FAILED
        assert found.problem is not None
        assert f"The step `plan` failed 5 times in the same way ({type(error).__name__})" in found.problem
        assert sum(delay_s for _, delay_s in queue.told) < 120


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_run_waits_for_what_may_pass(error: Exception) -> None:
    with run_harness() as one:
        run = one.start()
        one.rows.fails = error
        body = PlanTask(tenant=TENANT.id, run=run.id).model_dump_json()
        for received in range(1, 20):
            assert worker(one, Returning()).run(event(body, received), Context())["batchItemFailures"]
        assert one.run(run.id).state is RunState.PLANNING


def test_a_run_that_sends_is_held_if_its_step_breaks_off_by_what_will_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Any, shard: Any) -> Any:
        raise KeyError("to")

    with run_harness() as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.SENDING)
        monkeypatch.setattr(one.rows, "open", broken)
        body = SendTask(tenant=TENANT.id, run=run.id, shard=0).model_dump_json()
        assert one.worker.run(event(body, HOPELESS_AFTER), Context()) == {"batchItemFailures": []}
        found = one.run(run.id)
        assert found.state is RunState.PAUSED
        assert found.problem is not None and "The step `send` failed 5 times" in found.problem


def test_a_task_that_is_done_is_acknowledged() -> None:
    with run_harness() as one:
        run = one.start()
        task = PlanTask(tenant=TENANT.id, run=run.id)
        assert one.worker.run(event(task.model_dump_json()), Context()) == {"batchItemFailures": []}
        assert one.run(run.id).state is RunState.CHECKING


def test_a_run_whose_files_are_gone_fails_with_what_to_do() -> None:
    with run_harness() as one:
        one.rows.fails = FileGoneError("audiences/default/people.csv")
        run = one.start()
        one.drain()
        found = one.run(run.id)
        assert found.state is RunState.FAILED
        assert found.problem is not None
        assert "audiences/default/people.csv" in found.problem
        assert "start another run" in found.problem


def test_a_plan_that_needs_more_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness() as one:
        plan, calls = one.rows.plan, 0

        def slow(run: Any, remaining_s: Any) -> Any:
            nonlocal calls
            calls += 1
            return run if calls < 3 else plan(run, remaining_s)

        monkeypatch.setattr(one.rows, "plan", slow)
        run = one.start()
        one.drain()
        assert calls == 3
        assert one.run(run.id).state is RunState.FINISHED


def test_a_chain_of_checks_goes_on_in_another_function_when_the_time_is_short() -> None:
    with run_harness(sizes=(10,) * 40) as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.CHECKING)
        one.tasks.waiting.clear()
        left = iter([600_000, 60_000])
        one.worker.do(CheckTask(tenant=TENANT.id, run=run.id, shard=3), lambda: next(left))
        assert [text for _, _, text in one.tasks.waiting] == [
            CheckTask(tenant=TENANT.id, run=run.id, shard=19).model_dump_json()
        ]


def test_a_check_whose_shard_was_checked_meanwhile_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness(sizes=(10,)) as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.CHECKING)
        check, again = one.rows.check, [True]

        def twice(run: Any, shard: Any) -> Any:
            if again:
                again.clear()
                one.worker.do(CheckTask(tenant=TENANT.id, run=run.id, shard=0), lambda: 600_000)
            return check(run, shard)

        monkeypatch.setattr(one.rows, "check", twice)
        one.worker.do(CheckTask(tenant=TENANT.id, run=run.id, shard=0), lambda: 600_000)
        one.drain()
        assert one.run(run.id).state is RunState.FINISHED
        assert one.run(run.id).tally.rows == 10


def test_shards_are_compared_once_all_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness() as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.CHECKING)
        compared: list[str] = []

        def compare(run: Any, shards: Any, remaining_s: Any) -> bool:
            compared.append(run.id)
            return len(compared) > 2

        monkeypatch.setattr(one.rows, "compare", compare)
        one.worker.do(CompareTask(tenant=TENANT.id, run=run.id), lambda: 600_000)
        assert compared == []
        one.drain()
        # Twice it needed more time.
        assert compared == [run.id] * 3
        assert one.run(run.id).state is RunState.FINISHED
        one.worker.do(CompareTask(tenant=TENANT.id, run=run.id), lambda: 600_000)
        assert len(compared) == 3


def parked(one: RunHarness, run: str, count: int) -> None:
    """Park envelopes of a run, as dispatch does."""
    one.parking.put([envelope(start=i, run=run) for i in range(count)])


def release(one: RunHarness, run: str, left_ms: int = 600_000) -> None:
    """Empty all buckets."""
    for bucket in range(BUCKETS):
        one.worker.do(ReleaseTask(tenant=TENANT.id, run=run, bucket=bucket), lambda: left_ms)


def test_what_was_parked_goes_to_its_queue_and_is_forgotten() -> None:
    with run_harness() as one:
        run = one.start()
        parked(one, run.id, 100)
        release(one, run.id)
        assert len(one.outbox.envelopes) == 100
        assert not one.parking.any(TENANT.id, run.id)


def test_while_a_run_is_paused_nothing_is_released() -> None:
    with run_harness() as one:
        run = one.start()
        parked(one, run.id, 10)
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.pause(found, NOW, KEY))
        release(one, run.id)
        assert one.outbox.envelopes == {}
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.cancel(found, NOW, KEY))
        release(one, run.id)
        assert len(one.outbox.envelopes) == 10


def test_what_could_not_be_queued_stays_parked() -> None:
    with run_harness() as one:
        run = one.start()
        parked(one, run.id, 10)
        one.outbox.refuse = 100
        with pytest.raises(NotQueuedError):
            release(one, run.id)
        one.outbox.refuse = 0
        release(one, run.id)
        assert len(one.outbox.envelopes) == 10
        assert not one.parking.any(TENANT.id, run.id)


def test_a_short_time_has_another_function_go_on_releasing() -> None:
    with run_harness() as one:
        run = one.start()
        one.tasks.waiting.clear()
        parked(one, run.id, 10)
        release(one, run.id, left_ms=1000)
        assert one.outbox.envelopes == {}
        assert {'"task":"release"' in text for _, _, text in one.tasks.waiting} == {True}
        one.drain()
        assert len(one.outbox.envelopes) == 10
