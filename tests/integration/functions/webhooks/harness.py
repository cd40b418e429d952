"""Webhooks over moto's tables and queue, with an endpoint that says what a test wants."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from functions.webhooks.deps import feed_of, sender_of
from functions.webhooks.function import SendSettings
from functions.webhooks.retrying import Answer
from functions.webhooks.sending import Sent
from shared.base.settings import TraceSettings
from shared.model.audit import record_change
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import new_base
from shared.model.webhooks import Attempt, Delivery, SecretVersion, Webhook, read_delivery
from shared.model.words import Channel, MessageClass
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAY_S = 86_400


class HarnessSettings(SendSettings, TraceSettings):
    """Of both functions."""


class Killed(BaseException):
    """The function dies here; nothing may catch it."""


class Strike:
    """Kills a function before or after its n-th call, of whatever service."""

    def __init__(self, at: int = 0, after: bool = False) -> None:
        self.at, self.after, self.calls = at, after, 0

    def around(self, client: Any) -> Any:
        """A client whose calls are counted."""
        return _Fragile(client, self)

    def call(self, operation: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        mine = self.calls
        if mine == self.at and not self.after:
            raise Killed
        answer = operation(*arguments, **named)
        if mine == self.at:
            raise Killed
        return answer


class _Fragile:
    def __init__(self, client: Any, strike: Strike) -> None:
        self._client, self._strike = client, strike
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        return lambda **arguments: self._strike.call(operation, **arguments)


class Inline(Executor):
    """A pool that does everything at once, in its caller's thread: a strike there ends the function."""

    def submit(self, call: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(call(*arguments, **named))
        return done

    def map(self, call: Any, *each: Any, timeout: Any = None, chunksize: int = 1) -> Any:
        return [call(*arguments) for arguments in zip(*each, strict=False)]


class Endpoint:
    """Takes the place of what posts. answer: a status, or None for none; may be replaced."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.answer: Callable[[str], int | None] = lambda url: 200
        self.retry_after_ms: int | None = None
        self.taken: Counter[str] = Counter()
        self.tried: list[tuple[str, str, int]] = []
        self.strike = Strike()

    def post(self, url: str, headers: dict[str, str], body: bytes, now_ms: int) -> Answer:
        return self.strike.call(self._post, url, headers, body, now_ms)  # type: ignore[no-any-return] # as `_post` does

    def _post(self, url: str, headers: dict[str, str], body: bytes, now_ms: int) -> Answer:
        status = self.answer(url)
        self.tried.append((url, headers["webhook-id"], now_ms))
        if status is not None and 200 <= status < 300:
            self.taken[headers["webhook-id"]] += 1
        error = "timed_out" if status is None else None
        return Answer(Attempt(at=now_ms, ms=1, status=status, error=error), self.retry_after_ms)


class Secrets:
    """Holds the one secret of all endpoints."""

    def get(self, tenant: str, id: str, version: int) -> dict[str, str]:
        return {"secret": SECRET}


class Bus:
    """Takes events."""

    def __init__(self) -> None:
        self.taken: list[Delivery] = []

    def put(self, delivery: Delivery) -> None:
        self.taken.append(delivery)


class WebhooksHarness:
    """The feed and the sender, each time as a new process."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.aws, self.clock = aws, clock
        self.sqs = aws.client("sqs")
        self.url = self.sqs.create_queue(QueueName="webhooks")["QueueUrl"]
        self.endpoint, self.bus = Endpoint(clock), Bus()

    def parts(self, strike: Strike | None = None) -> Parts:
        settings = HarnessSettings(
            catalog_table="catalog",
            guard_table="guard",
            timeline_table="timeline",
            counters_table="counters",
            webhooks_url=self.url,
            secret_prefix="mepush",
            bus_name="b",
        )
        services = {"dynamodb": self.aws.dynamodb, "sqs": self.sqs}

        def client(service: str) -> Any:
            return strike.around(services[service]) if strike else services[service]

        return Parts(settings, client=client, clock=self.clock, webhook_secrets=Secrets(), event_bus=self.bus)

    def hook(self, id: str = "mine", **more: Any) -> Webhook:
        """Save an endpoint."""
        now = self.clock.now_ms()
        given: dict[str, Any] = {"url": f"https://{id}.example.com", "secrets": [SecretVersion(version=1)]}
        made = Webhook(id=id, tenant="default", created_at=now, updated_at=now, **given | more)
        record = record_change(now, "default", "k", "create_webhook", f"webhook/{id}", None, {"id": id})
        self.parts().webhooks.save_webhook(made, None, record)
        return made

    def stored(self, id: str = "mine") -> Webhook:
        """An endpoint as it is stored."""
        found = self.parts().webhooks.load_webhook("default", id)
        assert found is not None
        return found.value

    def feed(self, *records: StreamRecord, strike: Strike | None = None, arrived_days_ago: int = 0) -> None:
        """Have the feed read records."""
        raw = [
            {
                "kinesis": {
                    "sequenceNumber": str(number),
                    "data": base64.b64encode(record.to_json()).decode(),
                    "approximateArrivalTimestamp": self.clock.now_ms() / 1000 - arrived_days_ago * DAY_S,
                }
            }
            for number, record in enumerate(records)
        ]
        feed_of(self.parts(strike), Inline()).run({"Records": raw})

    def waiting(self) -> list[dict[str, str]]:
        """Take what is on the queue, whenever it is due."""
        from moto.sqs.models import sqs_backends

        queue = next(iter(sqs_backends.values()))["us-east-1"].queues["webhooks"]
        found = [{"messageId": message.id, "body": message.body} for message in queue._messages]
        queue._messages.clear()
        return found

    def put_back(self, messages: list[dict[str, str]]) -> None:
        """Put on the queue what a function did not deal with."""
        for each in messages:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=each["body"])

    def deliver(self, strike: Strike | None = None) -> Sent:
        """Have the sender work on all that is on the queue, in batches of ten; a batch that breaks off comes back."""
        sent = Sent([])
        messages = self.waiting()
        for start in range(0, len(messages), 10):
            batch = messages[start : start + 10]
            self.endpoint.strike = strike or Strike()
            sender = sender_of(self.parts(strike), self.endpoint, Inline())
            try:
                found = sender.run({"Records": batch})
            except Killed:
                self.put_back(batch)
                continue
            self.put_back([each for each in batch if each["messageId"] in found.failed])
            sent.paused += found.paused
        return sent

    def deliver_all(self, days: float = 5) -> None:
        """Deliver until nothing is left, moving the clock on to what is due."""
        end = self.clock.now_ms() + int(days * DAY_S * 1000)
        while True:
            messages = self.waiting()
            if not messages:
                return
            self.put_back(messages)
            due = [read_delivery(each["body"]).due_at or 0 for each in messages]
            now = self.clock.now_ms()
            if min(due) > now:
                if min(due) > end:
                    return
                self.clock.set(min(due))
            self.deliver()

    def kept(self, id: str = "mine") -> list[tuple[str, str, int]]:
        """(id, state, tries) of each kept delivery."""
        store = self.parts().deliveries
        found = store.newest("default", id, (self.clock.now_ms() + 1, ""), store.oldest_time())
        return [(each.delivery.id, each.state.value, each.delivery.tries) for each in found]


def record(count: int = 1, stage: str = "sent", at: int = 1_736_935_200_000, **more: Any) -> StreamRecord:
    """A record about new messages."""
    base = new_base(at)
    rows = [EventRow(index=i, tag=f"{i:016d}", stage=stage, nth=0, at=at, **more) for i in range(count)]
    return StreamRecord(
        tenant="default",
        envelope=base,
        channel=Channel.EMAIL,
        message_class=MessageClass.NOTIFICATION,
        template="t",
        version=1,
        request=base,
        events=rows,
    )


def body_of(message: dict[str, str]) -> Any:
    """The event in a message of the queue."""
    return json.loads(read_delivery(message["body"]).body)
