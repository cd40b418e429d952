"""Delivers events: posts them, has what failed tried again, keeps what became of each, and stops who fails for days.

What a batch has to say is put on the queue first: a crash afterwards delivers an event a second time under the same id,
and loses none.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from functions.webhooks.events import body_of, message_of
from functions.webhooks.gates import Gates
from functions.webhooks.posting import Failure
from functions.webhooks.retrying import LONGEST_MS, Answer, next_try
from functions.webhooks.signing import signed_headers
from shared.api.webhooks import WebhookView
from shared.aws.errors import AWS_ERRORS
from shared.aws.secrets import SecretError, SecretStore
from shared.aws.webhooks import DeliveryQueue, EventBus, NotPutError
from shared.base.logs import log_error
from shared.errors import PlatformError
from shared.model.audit import record_change
from shared.model.clock import Clock, iso
from shared.model.ids import ULID_LENGTH, tag_of
from shared.model.webhooks import (
    DISABLED,
    MAX_ATTEMPTS,
    Attempt,
    Delivery,
    DeliveryState,
    KeptDelivery,
    Stopped,
    Webhook,
    WebhookState,
    delivery_id,
    read_delivery,
)
from shared.model.wire import UnreadableError
from shared.policy.veiling import finder
from shared.store.catalog_items import CatalogConflictError
from shared.store.deliveries import Deliveries
from shared.store.veils import VeilStore
from shared.store.webhooks import WebhookStore

logger = Logger(child=True)

PATIENCE_MS = 5 * 86_400_000
"""An endpoint that has failed for so long, and done nothing else, is paused."""
LEAST_FAILURES = 10
"""And has failed so often: one event in a quiet week says little."""
WORKED_EVERY_MS = 60_000
"""How often it is written down that an endpoint works."""
BY = "webhooks"
"""Who stops endpoints, in the audit log."""
SECRET = "secret"  # noqa: S105 - the name of a field
TRIES = 5


class Posting(Protocol):
    """What posts."""

    def post(self, url: str, headers: dict[str, str], body: bytes, now_ms: int) -> Answer: ...


class Sent(Struct):
    """What became of a batch."""

    failed: list[str]
    """The ids of messages of the queue that come back."""
    paused: int = 0
    """Endpoints that were stopped."""


class _Job(Struct):
    """A delivery of a batch, and what becomes of it."""

    message: str
    """The id of the queue's message."""
    delivery: Delivery
    endpoint: Webhook | None = None
    answer: Answer | None = None
    state: DeliveryState | None = None
    """To be kept so."""
    again: Delivery | None = None
    """To be queued."""


class Sender:
    """Works on batches of the queue `webhooks`. pool: for posts side by side. chance: from 0 to 1, spreads retries."""

    def __init__(
        self,
        webhooks: WebhookStore,
        deliveries: Deliveries,
        queue: DeliveryQueue,
        secrets: SecretStore,
        poster: Posting,
        bus: EventBus,
        clock: Clock,
        pool: Executor,
        chance: Callable[[], float] = random.random,
        veils: VeilStore | None = None,
    ) -> None:
        self._veils = veils
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._queue = queue
        self._secrets = secrets
        self._poster = poster
        self._bus = bus
        self._clock = clock
        self._pool = pool
        self._chance = chance
        self._gates = Gates()
        self._worked: dict[str, int] = {}

    def run(self, event: dict[str, Any]) -> Sent:
        """Work on one SQS batch. Raises: what the table of endpoints raises; then all of it comes back."""
        sent = Sent([])
        jobs: list[_Job] = []
        for record in event["Records"]:
            try:
                delivery = read_delivery(record["body"])
                if not self._is_of_erased(delivery):
                    jobs.append(_Job(record["messageId"], delivery))
            except UnreadableError as error:
                logger.error("delivery cannot be read", message_id=record["messageId"], field=error.field)
                sent.failed.append(record["messageId"])
        due = [job for job in jobs if self._is_due(job)]
        self._find(due)
        for _ in self._pool.map(self._try, due):
            pass
        sent.failed += self._queue_again(jobs)
        sent.failed += self._keep(jobs)
        sent.paused = self._judge(jobs)
        return sent

    def _is_of_erased(self, delivery: Delivery) -> bool:
        """Whether a delivery is about a recipient who is erased: nothing is told of them any more."""
        message_id = message_of(delivery.body)
        if message_id is None or self._veils is None:
            return False
        veils = self._veils.of(delivery.tenant, message_id)
        return bool(veils) and finder(veils, message_id[:ULID_LENGTH])(tag_of(message_id)) is not None

    def _is_due(self, job: _Job) -> bool:
        """Whether a delivery's time has come; else it waits on the queue once more."""
        now = self._clock.now_ms()
        if job.delivery.due_at is None or job.delivery.due_at <= now:
            return True
        job.again = job.delivery
        return False

    def _find(self, jobs: Iterable[_Job]) -> None:
        """Find the endpoints. What this process remembers says nothing against one that was just made or resumed."""
        for tenant in dict.fromkeys(job.delivery.tenant for job in jobs):
            mine = [job for job in jobs if job.delivery.tenant == tenant]
            wanted = {job.delivery.endpoint for job in mine}
            known = {each.id: each for each in self._webhooks.webhooks(tenant)}
            if not all(id in known and known[id].state is WebhookState.ACTIVE for id in wanted):
                known = {each.id: each for each in self._webhooks.fresh.webhooks(tenant)}
            for job in mine:
                job.endpoint = known.get(job.delivery.endpoint)

    def _try(self, job: _Job) -> None:
        endpoint, delivery, now = job.endpoint, job.delivery, self._clock.now_ms()
        if endpoint is None:
            return  # removed, and its events with it
        if endpoint.state is not WebhookState.ACTIVE:
            job.state = DeliveryState.HELD
            return
        name = f"{endpoint.tenant}/{endpoint.id}"
        come_again = self._gates.enter(name, now, self._chance())
        if come_again is not None:
            self._put_off(job, come_again, now)
            return
        try:
            answer = self._post(endpoint, delivery, now)
        except Exception as error:  # of any kind: one delivery must not take the others of its batch with it
            log_error(logger, "posting failed", error, webhook=endpoint.id)
            answer = Answer(Attempt(at=now, ms=self._clock.now_ms() - now, error=Failure.BROKEN_OFF))
        job.answer = answer
        after = self._clock.now_ms()
        self._gates.leave(name, answer, after)
        attempts = [*delivery.attempts, answer.attempt][-MAX_ATTEMPTS:]
        job.delivery = delivery = replace(delivery, tries=delivery.tries + 1, attempts=attempts, due_at=None)
        if answer.ok:
            job.state = DeliveryState.DELIVERED
            return
        due_at = next_try(delivery, answer, after, self._chance())
        if due_at is None:
            job.state = DeliveryState.FAILED
            return
        job.state = DeliveryState.WAITING
        job.delivery = job.again = replace(delivery, due_at=due_at)

    def _put_off(self, job: _Job, until: int, now: int) -> None:
        """Leave an endpoint alone for a while. That is no try, but it does not go on for ever."""
        if now >= job.delivery.since + LONGEST_MS:
            job.state = DeliveryState.FAILED
            return
        job.again = replace(job.delivery, due_at=until)

    def _post(self, endpoint: Webhook, delivery: Delivery, now: int) -> Answer:
        if endpoint.url is None:
            return self._put_on_bus(delivery, now)
        try:
            versions = endpoint.signing(now)
            keys = [self._secrets.get(endpoint.tenant, endpoint.id, version)[SECRET] for version in versions]
        except (SecretError, KeyError) as error:
            log_error(logger, "the secret of an endpoint cannot be read", error, webhook=endpoint.id)
            return Answer(Attempt(at=now, ms=0, error=Failure.NO_SECRET))
        body = delivery.body.encode()
        return self._poster.post(endpoint.url, signed_headers(delivery.id, now // 1000, body, keys), body, now)

    def _put_on_bus(self, delivery: Delivery, now: int) -> Answer:
        try:
            self._bus.put(delivery)
        except NotPutError as error:
            log_error(logger, "the bus did not take an event", error)
            return Answer(Attempt(at=now, ms=self._clock.now_ms() - now, error=Failure.NOT_PUT))
        return Answer(Attempt(at=now, ms=self._clock.now_ms() - now, status=200))

    def _queue_again(self, jobs: Sequence[_Job]) -> list[str]:
        """Queue what is to come again; returns the messages for which that failed, which come back as they are."""
        wanted = {job.message: job.again for job in jobs if job.again is not None}
        # A batch may hold two copies of a delivery: each is answered for by its message.
        failed = self._queue.send(list(wanted.values()), self._clock.now_ms()) if wanted else set()
        return [message for message, again in wanted.items() if again.id in failed]

    def _keep(self, jobs: Sequence[_Job]) -> list[str]:
        """Keep what became of deliveries; returns the messages that come back, since nothing else knows of them."""
        kept = {job.message: KeptDelivery(state=job.state, delivery=job.delivery) for job in jobs if job.state}
        try:
            self._deliveries.keep(kept.values())
        except (PlatformError, *AWS_ERRORS) as error:
            log_error(logger, "deliveries are not kept", error)
            only_here = (DeliveryState.FAILED, DeliveryState.HELD)
            return [message for message, each in kept.items() if each.state in only_here]
        return []

    def _judge(self, jobs: Sequence[_Job]) -> int:
        """Note which endpoints work, and stop those that do not; returns how many were stopped."""
        stopped = 0
        tried = [job for job in jobs if job.answer is not None and job.endpoint is not None]
        for endpoint in {(e.tenant, e.id): e for job in tried if (e := job.endpoint)}.values():
            answers = [job.answer for job in tried if job.answer and job.endpoint is endpoint]
            try:
                why = self._verdict(endpoint, answers)
                if why is not None and self._stop(endpoint, why):
                    stopped += 1
            except (PlatformError, *AWS_ERRORS) as error:
                # The next failure finds it out again.
                log_error(logger, "how an endpoint is cannot be noted", error, webhook=endpoint.id)
        return stopped

    def _verdict(self, endpoint: Webhook, answers: Sequence[Answer]) -> Stopped | None:
        now, name = self._clock.now_ms(), f"{endpoint.tenant}/{endpoint.id}"
        if any(answer.ok for answer in answers):
            if now - self._worked.get(name, 0) >= WORKED_EVERY_MS:
                self._deliveries.worked(endpoint.tenant, endpoint.id, now)
                self._worked[name] = now
            return None
        if any(answer.gone for answer in answers):
            return Stopped.GONE
        # It did not work: whoever sees it work next has to say so at once.
        self._worked.pop(name, None)
        health = self._deliveries.failed(endpoint.tenant, endpoint.id, len(answers), now)
        since = now if health.failing_since is None else health.failing_since
        return Stopped.FAILURES if now - since >= PATIENCE_MS and health.failures >= LEAST_FAILURES else None

    def _stop(self, endpoint: Webhook, why: Stopped) -> bool:
        """Stop an endpoint: first the tenant's others hear of it, then it is so. False if it was stopped already.

        Raises: what the queue and the table raise.
        """
        for _ in range(TRIES):
            found = self._webhooks.load_webhook(endpoint.tenant, endpoint.id)
            if found is None or found.value.state is not WebhookState.ACTIVE:
                return False
            before, now = found.value, self._clock.now_ms()
            state = WebhookState.DISABLED if why is Stopped.GONE else WebhookState.PAUSED
            after = before.model_copy(
                update={
                    "state": state,
                    "stopped": why,
                    "stopped_at": now,
                    "updated_at": max(now, before.updated_at + 1),
                }
            )
            self._tell(after, found.rev, now)
            target = f"webhook/{endpoint.id}"
            shown = [WebhookView.of(each).model_dump(mode="json") for each in (before, after)]
            record = record_change(now, endpoint.tenant, BY, "stop_webhook", target, *shown)
            with suppress(CatalogConflictError):
                self._webhooks.save_webhook(after, found.rev, record)
                return True
        return False

    def _tell(self, stopped: Webhook, rev: int, now: int) -> None:
        """Tell the tenant's other endpoints that one is stopped; said again, it has the same ids."""
        told = []
        for other in self._webhooks.fresh.webhooks(stopped.tenant):
            if other.id != stopped.id and other.state is WebhookState.ACTIVE and DISABLED in other.types:
                id = delivery_id(DISABLED, stopped.id, str(rev), other.id)
                data = disabled_data(stopped)
                told.append(_told(other, id, DISABLED, body_of(DISABLED, now, data), now))
        if told and self._queue.send(told, now):
            raise NotPutError("the others were not told")


def disabled_data(stopped: Webhook) -> dict[str, Any]:
    """What others hear of an endpoint that is stopped: not its URL, whose path may be secret."""
    at = None if stopped.stopped_at is None else iso(stopped.stopped_at)
    return {"webhook_id": stopped.id, "state": stopped.state, "why": stopped.stopped, "stopped_at": at}


def _told(endpoint: Webhook, id: str, type: str, body: str, now: int) -> Delivery:
    return Delivery(tenant=endpoint.tenant, endpoint=endpoint.id, id=id, type=type, at=now, body=body, since=now)
