"""The whole platform on the local stack, step by step, with every promise checked from outside."""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer

from local.runtime import Context
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack, NotQuietError
from local.timeline_items import is_event
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.dispatch import accounts
from shared.dispatch.sending import Sender
from shared.model.envelope import read_envelope
from shared.model.events import fold
from shared.model.ids import ULID_LENGTH, Numbering, ulid_time
from shared.model.outcome import AccountDown, Outcome, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.receipts import Receipt, Waiting, as_json
from shared.model.words import OUTCOMES, MessageClass, Stage
from shared.policy import retry
from shared.providers.base import Outgoing, Provider
from shared.providers.registry import build_provider
from shared.store.idempotency import TTL_S
from shared.store.kept_events import KeptEvent, read_event
from shared.wiring import dispatch
from tests.guarantees.fault_points import CrashError, FaultPoints, FunctionDiedError, watched

PROVIDER_FAULTS: Mapping[str, tuple[str, str]] = {
    "smtp": ("mail-smtp", "email"),
    "ses": ("mail-ses", "email"),
    "tencent": ("sms-tencent", "sms"),
    "aws": ("sms-aws", "sms"),
    "app": ("wecom-app", "wecom"),
    "robot": ("wecom-robot", "wecom"),
}
"""Provider -> the examples' account and its channel."""
CONTENTS: Mapping[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "Hello", "text": "Hello {{ name }}"},
    "sms": {"type": "sms", "text": "Hello {{ name }}", "tencent": {"template_id": "1900002", "params": ["{{ name }}"]}},
    "wecom": {"type": "text", "content": "Hello {{ name }}"},
}
ONCE = "once"
"""A template whose messages go once to a recipient: no duplicates, and no more than one a day."""
PAIR = "pair"
"""Templates, one for each class, with two accounts: the one by SMTP, and one by SES that only stands in."""
FALLING = "falling"
"""Templates for WeCom, one for each class, whose messages fall back to SMS."""
WAITING = "waiting"
"""Templates for emails, one for each class but codes, whose messages fall back to SMS if they are not delivered."""
WAIT_MINUTES = 60
MAX_REPEATS = 200
"""How often a caller repeats a request."""

Script = Callable[[Outgoing, int], Outcome | None]
"""What happens to a message at its n-th call (from 1): an outcome instead of asking the provider, or None to ask it."""
LOST = Unknown(Reason.TIMED_OUT, "lost")
"""In a script: the provider is asked, and its answer is lost."""


@dataclass
class Book:
    """What providers were asked and took, by message id. down: the provider whose accounts are down, by its class."""

    asked: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    down: str | None = None


@dataclass
class Haste:
    """How many calls of a provider fit into the time of one invocation; None for as many as there are."""

    most: int | None = None
    made: int = 0

    @property
    def short(self) -> bool:
        """Whether the time is nearly over."""
        return self.most is not None and self.made >= self.most


class ViolationError(AssertionError):
    """A promise is broken."""


class NotCarriedOutError(ViolationError):
    """A request was repeated as a careful caller does, and answered with 5xx to the end."""


class Platform:
    """A local stack that does nothing by itself, with a template per provider and class."""

    def __init__(self, stack: LocalStack, points: FaultPoints, book: Book, haste: Haste) -> None:
        assert stack.memory is not None
        self.stack = stack
        self._tables = stack.memory.dynamodb
        self.points = points
        self.book = book
        self.haste = haste
        self.script: Script = lambda message, n: None
        self.confirmed: dict[str, tuple[str, int]] = {}
        """By message id what a recall answered for certain, and how often a provider had been asked until then."""
        self._numbers = iter(range(10**9))
        with Client(stack.url, first_key(stack)) as api:
            # More than a key may send by default: the soak sends that many in a minute.
            texts = {"texts_per_key_per_day": 10_000_000, "texts_abroad_per_key_per_day": 10_000_000}
            api.patch("/v1/settings", {"countries": ["CN", "GB"], **texts})
            for entry in read_accounts(EXAMPLES / "accounts.toml"):
                api.post("/v1/accounts", account_body(entry, stack.sandboxes))
            for provider, (account, channel) in PROVIDER_FAULTS.items():
                for message_class in MessageClass:
                    self._add_template(api, f"{provider}-{message_class}", message_class, account, CONTENTS[channel])
            once = {"duplicate_seconds": 7 * 86_400, "cap": {"count": 1, "minutes": 1440}}
            weights = {"accounts": ["mail-smtp", "mail-ses"], "policies": {"weights": {"mail-ses": 0}}}
            for message_class in MessageClass:
                self._add_template(
                    api, f"{PAIR}-{message_class}", message_class, "mail-smtp", CONTENTS["email"], **weights
                )
            for message_class in MessageClass:
                fallback = {"template": f"aws-{message_class}"}
                name, content = f"{FALLING}-{message_class}", CONTENTS["wecom"]
                self._add_template(api, name, message_class, "wecom-app", content, fallback=fallback)
                if message_class is not MessageClass.VERIFICATION:
                    waits = {**fallback, "until": "delivered", "after_minutes": WAIT_MINUTES}
                    name, content = f"{WAITING}-{message_class}", CONTENTS["email"]
                    self._add_template(api, name, message_class, "mail-ses", content, fallback=waits)
            self._add_template(api, ONCE, "notification", "mail-smtp", CONTENTS["email"], policies=once)

    @staticmethod
    def _add_template(
        api: Client, name: str, message_class: str, account: str, content: Mapping[str, Any], **more: Any
    ) -> None:
        body = {"id": name, "name": name, "class": message_class, "accounts": [account], "content": content, **more}
        api.post("/v1/templates", {**body, "sample": {"name": "1234"}})
        api.post(f"/v1/templates/{name}/versions/1/publish", {})

    def addresses(self, provider: str, count: int) -> list[str]:
        """New addresses for a provider."""
        numbers = [next(self._numbers) for _ in range(count)]
        if provider == "robot":
            return ["@group"] * count
        written = {
            "email": lambda n: f"u{n}@example.com",
            "sms": lambda n: f"+86138{n:08d}" if provider == "tencent" else f"+44740{n:07d}",
            "wecom": lambda n: f"member{n}",
        }
        return [written[PROVIDER_FAULTS[provider][1]](n) for n in numbers]

    def reset(self) -> None:
        """Forget all messages; accounts and templates stay."""
        for role in ("guard", "timeline"):
            self._tables.clear(self.table(role))
        # The stream keeps its records, so the checkpoints must stay.
        counters = [item for item in self.items("counters") if not item["pk"].startswith("checkpoint#")]
        for role, items in (("counters", counters), ("catalog", self._dead_letters())):
            for item in items:
                self.stack.client("dynamodb").delete_item(TableName=self.table(role), Key=_key(item))
        self.clear_away()
        self.stack.outbox.clear()
        self.haste.most, self.haste.made = None, 0
        self.allow_tries(2)
        self.book.asked.clear()
        self.book.taken.clear()
        self.book.down = None
        self.confirmed.clear()
        self.points.disarm()
        self.points.down = self.points.visitor = self.points.between = None

    @staticmethod
    def allow_tries(tries: int) -> None:
        """Let each class have so many tries; within a minute, so that no run takes long."""
        for message_class, schedule in retry.SCHEDULES.items():
            retry.SCHEDULES[message_class] = retry.RetrySchedule(tries, min(schedule.window_s, 60))

    def send(self, template: str, to: Sequence[str], key: str | None = None, **fields: Any) -> list[str]:
        """Send as a careful caller does, who repeats a request that was not answered; returns the message ids.

        key: the Idempotency-Key; a new one if none is given.
        """
        body = {"template": template, "recipients": [{"to": t, "variables": {"name": "1234"}} for t in to], **fields}
        event = self.event("POST /v1/messages", body)
        event["headers"]["idempotency-key"] = key or self.new_key()
        answer = self.ask("ingest", event)
        return [m["message_id"] for m in answer["messages"] if m["status"] == "accepted"]

    def new_key(self) -> str:
        """An Idempotency-Key that was not used before."""
        return f"request-{next(self._numbers)}"

    def is_remembered(self, message_ids: Sequence[str]) -> bool:
        """Whether a request's Idempotency-Key still stands for it, with some time to spare."""
        return self.stack.clock.now_ms() - ulid_time(message_ids[0]) < 1000 * (TTL_S - 3600)

    def later(self, seconds: float) -> str:
        """A time for `send_at`."""
        return datetime.fromtimestamp(self.stack.clock.now() + seconds, UTC).isoformat()

    def set_policies(self, template: str, policies: Mapping[str, Any] | None) -> None:
        """Give a template policies of its own, and wait until every function knows."""
        self.ask("manage", self.event("PATCH /v1/templates/{id}", {"policies": policies}, id=template))
        self.stack.clock.advance(11)

    def set_rate(self, account: str, rate: Mapping[str, Any] | None) -> None:
        """Give an account a rate of its own, and wait until every function knows."""
        self.ask("manage", self.event("PATCH /v1/accounts/{id}", {"rate": rate}, id=account))
        self.stack.clock.advance(11)

    def decide(self, what: str, **more: Any) -> None:
        """Redrive or discard all dead letters, as a careful caller does."""
        event = self.event(f"POST /v1/dead-letters/{what}", {"all": True, **more})
        self.ask("dead_letters_api", event, lambda answer: not answer["left"])

    def recall(self, message_ids: Sequence[str]) -> Counter[str]:
        """Recall a request, all of whose messages were accepted, as a careful caller does; returns what was answered.

        Nothing is, as long as the trace does not know the request.
        """
        event = self.event("POST /v1/requests/{id}/recall", None, id=message_ids[0][:ULID_LENGTH])
        answer = self.ask("recall", event, refused=404)
        for each in answer.get("messages", ()):
            if each["result"] in ("recalled", "unknown"):
                id = each["message_id"]
                self.confirmed.setdefault(id, (each["result"], self.book.asked[id]))
        return Counter(answer.get("counts", {}))

    def event(self, route: str, body: Any, **path: str) -> dict[str, Any]:
        """A request as the gateway passes it on. path: what stands in the route's braces."""
        caller = {"tenant": "default", "key_id": "k", "kind": "live", "scopes": "send manage", "problem": ""}
        return {
            "routeKey": route,
            "headers": {},
            "body": json.dumps(body),
            "pathParameters": path,
            "requestContext": {"authorizer": {"lambda": caller}},
        }

    def ask(
        self, function: str, event: Any, done: Callable[[Any], bool] = lambda answer: True, refused: int | None = None
    ) -> Any:
        """Repeat a request until it is carried out. refused: a status by which it may be refused; {} is returned."""
        for _ in range(MAX_REPEATS):
            try:
                answer = self.stack.invoke(function, event)
            except FunctionDiedError:
                continue
            body = json.loads(answer["body"])
            if answer["statusCode"] < 300 and done(body):
                return body
            if answer["statusCode"] == refused:
                return {}
            if 300 <= answer["statusCode"] < 500 and answer["statusCode"] != 409:
                raise ViolationError(f"refused with {answer['statusCode']}: {answer['body']}")
            self.stack.clock.advance(30)
        raise NotCarriedOutError("the request was never carried out")

    def clear_away(self) -> None:
        """Delete what is left in queues and schedules; the watch's schedule, too: it comes when a test lets it."""
        self.lose_queues()
        scheduler = self.stack.client("scheduler")
        for schedule in scheduler.list_schedules()["Schedules"]:
            scheduler.delete_schedule(GroupName=schedule["GroupName"], Name=schedule["Name"])

    def report(self, *receipts: Receipt) -> None:
        """Have receipts come, however early: they wait until the trace knows their messages."""
        waiting = Waiting(since=self.stack.clock.now_ms(), tries=0, waiting=list(receipts))
        self.stack.client("sqs").send_message(QueueUrl=self.stack.outputs["ReceiptsUrl"], MessageBody=as_json(waiting))

    def lose_queues(self) -> None:
        """All that the queues hold is gone: what must never happen, and is looked after all the same."""
        assert self.stack.memory is not None
        self.stack.memory.sqs.clear()

    def sweep(self) -> None:
        """Let the watch sweep until one sweep goes through."""
        for _ in range(MAX_REPEATS):
            with suppress(Exception):  # a function may raise anything
                self.stack.invoke("watch", {})
                return
            self.stack.clock.advance(300)
        raise ViolationError("no sweep went through")

    def deliver_again(self, which: int) -> None:
        """Put a copy of a message that waits on one of the queues beside it: they deliver at least once."""
        sqs, urls = self.stack.client("sqs"), sorted(self.stack.deployment.queues.values())
        for i in range(len(urls)):
            url = urls[(which + i) % len(urls)]
            found = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, AttributeNames=["MessageGroupId"])
            for message in found.get("Messages", ()):
                sqs.send_message(QueueUrl=url, MessageBody=message["Body"])
                return

    def step(self, rounds: int) -> None:
        """Let some of what is due happen."""
        with suppress(NotQuietError):
            self.stack.drain(max_rounds=rounds)

    def work(self) -> None:
        """Let everything happen, now and later, until all is quiet."""
        self.stack.drain(until_due=True, max_rounds=5000)

    # What can be seen from outside

    def table(self, role: str) -> str:
        """The name of a table."""
        return self.stack.outputs[f"{role.title()}Table"]

    def items(self, role: str) -> list[dict[str, Any]]:
        """All that a table holds."""
        pages = self.stack.client("dynamodb").get_paginator("scan").paginate(TableName=self.table(role))
        read = TypeDeserializer().deserialize
        return [{k: read(v) for k, v in item.items()} for found in pages for item in found["Items"]]

    def _dead_letters(self) -> list[dict[str, Any]]:
        return [item for item in self.items("catalog") if item["pk"].startswith(("letter#", "dead#"))]

    def kept(self) -> set[str]:
        """The messages whose recipients lie in dead letters, to be decided on."""
        found = set()
        for item in self._dead_letters():
            if item["sk"] == "body":
                envelope = read_envelope(zlib.decompress(bytes(item["doc"])))
                number = Numbering(envelope.root)
                found |= {number(r.index) + r.tag for r in envelope.recipients}
        return found

    def timelines(self) -> dict[str, list[KeptEvent]]:
        """All events by message id."""
        found: dict[str, list[KeptEvent]] = defaultdict(list)
        for item in self.items("timeline"):
            if not is_event(item["pk"]):
                continue
            found[item["sk"].partition("#")[0]].append(read_event(item["d"]))
        return found

    def check(self, message_ids: Sequence[str]) -> Counter[str]:
        """Check every promise for these messages, which are all there are; returns how many came to which end.

        Raises: ViolationError.
        """
        timelines = self.timelines()
        ends: Counter[str] = Counter()
        if set(timelines) != set(message_ids):
            raise ViolationError(f"{len(message_ids)} accepted, {len(timelines)} traced")
        dead: set[str] = set()
        for message_id in message_ids:
            end = self._check_message(message_id, timelines[message_id])
            ends[end] += 1
            dead |= {message_id} if end == Stage.DEAD_LETTERED else set()
        if self.kept() != dead:
            raise ViolationError(f"{len(dead)} given up, {len(self.kept())} kept to be decided on")
        self.check_books(timelines)
        return ends

    def check_books(self, timelines: Mapping[str, list[KeptEvent]]) -> None:
        """Check that the counters say what the timelines say, and that nothing is left. Raises: ViolationError."""
        self._check_counters(timelines)
        self._check_nothing_left()

    def _check_message(self, message_id: str, events: list[KeptEvent]) -> str:
        status = fold(events)
        if not status.final:
            raise ViolationError(f"still {status.state}: {_story(events)}")
        outcomes = [e for e in events if e.stage in OUTCOMES]
        redrives = [e for e in events if e.stage == Stage.REDRIVEN]
        if len(outcomes) != 1 + len(redrives):
            raise ViolationError(f"{len(outcomes)} outcomes: {_story(events)}")
        taken = self.book.taken[message_id]
        doubts = [e for e in events if e.stage == Stage.RETRYING and e.maybe_sent]
        # Who redrives a message can see that its last try may have come through.
        doubts += [e for e in events if e.stage == Stage.DEAD_LETTERED and e.reason in _DOUBTS][: len(redrives)]
        found = status.state, self.book.asked[message_id]
        if self.confirmed.get(message_id, found) != found:
            raise ViolationError(
                f"recall answered {self.confirmed[message_id]}, but it came to {found}: {_story(events)}"
            )
        if status.state in _TAKEN and taken < 1:
            raise ViolationError(f"called sent, and was not: {_story(events)}")
        if taken > 1 + len(doubts):
            raise ViolationError(f"sent {taken} times in silence: {_story(events)}")
        if taken > 1 and any(e.message_class == MessageClass.MARKETING for e in events):
            raise ViolationError(f"marketing sent {taken} times: {_story(events)}")
        if taken and status.state not in (*_TAKEN, Stage.UNKNOWN, *_GIVEN_UP):
            raise ViolationError(f"sent, and called {status.state}: {_story(events)}")
        return status.state

    def _check_counters(self, timelines: Mapping[str, list[KeptEvent]]) -> None:
        """The counters must say what the timeline says, and each hour must balance."""
        expected: Counter[str] = Counter(e.stage for events in timelines.values() for e in events)
        counted: Counter[str] = Counter()
        for item in self.items("counters"):
            if item["pk"] == "default#tenant":
                counted.update({s: int(n) for s, n in item.items() if s in set(Stage)})
        if counted != expected:
            raise ViolationError(f"counted {dict(counted)}, in the timeline {dict(expected)}")
        ended = sum(counted[s] for s in OUTCOMES)
        if counted[Stage.ACCEPTED] + counted[Stage.REDRIVEN] != ended:
            raise ViolationError(f"no balance: {dict(counted)}")

    def _check_nothing_left(self) -> None:
        for item in self.items("guard"):
            if item["sk"] == "ledger" and not item.get("closed"):
                raise ViolationError(f"the ledger {item['pk']} is open")
        sqs = self.stack.client("sqs")
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        for url in self.stack.deployment.queues.values():
            # What readers of the stream have not come to for a day is told there, and holds no message: the counters
            # show what the trace has lost, and no webhook is here to have lost anything.
            if url.endswith(("-trace-dlq", "-webhooks-dlq")):
                continue
            left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            if any(int(n) for n in left.values()):
                raise ViolationError(f"left in {url}: {left}")
        if schedules := self.stack.client("scheduler").list_schedules(GroupName=self.stack.outputs["ScheduleGroup"])[
            "Schedules"
        ]:
            raise ViolationError(f"{len(schedules)} schedules are left")


_DOUBTS = frozenset(
    {
        Reason.CONNECTION_LOST,
        Reason.INTERRUPTED,
        Reason.PROVIDER_ERROR,
        Reason.TIMED_OUT,
        Reason.UNRECOGNISED_ANSWER,
        Reason.UNRESOLVED,
    }
)
"""Reasons of a dead letter that may have been sent."""
_TAKEN = frozenset({Stage.SENT, Stage.WITHDRAWN, Stage.DELIVERED, Stage.UNDELIVERED, Stage.VERIFIED})
"""What nobody says of a message that no provider took."""
_GIVEN_UP = frozenset({Stage.DEAD_LETTERED, Stage.DISCARDED})
"""Ends of which nobody says that the message was not sent: the timeline tells of the doubt."""


def _key(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}


def _story(events: Sequence[KeptEvent]) -> str:
    return ", ".join(f"{e.stage}/{e.nth}({(e.reason or '')})" for e in sorted(events, key=lambda e: e.at))


@contextmanager
def platform() -> Iterator[Platform]:
    """A platform whose functions' calls, and whose providers, can be struck; two tries in each class."""
    points, book, haste = FaultPoints(), Book(), Haste()
    made: list[Platform] = []

    def build(*arguments: Any) -> Provider:
        provider = build_provider(*arguments)
        closing.callback(provider.close)
        return _struck(provider, points, book, haste, lambda m, n: made[0].script(m, n))

    with (
        ExitStack() as closing,
        watched(points),
        patch.object(retry, "SCHEDULES", dict(retry.SCHEDULES)),
        # Receipts have tests of their own, of a function that dies at every call.
        LocalStack(threads=False, memory=True, receipts=False) as stack,
        mortal(stack, points, haste),
        patch.object(accounts, "build_provider", build),
        # Who waits for a place in a rate moves the stack's clock.
        patch.object(dispatch, "Sender", partial(Sender, sleep=stack.clock.advance)),
    ):
        made.append(Platform(stack, points, book, haste))
        yield made[0]


@contextmanager
def mortal(stack: LocalStack, points: FaultPoints, haste: Haste) -> Iterator[None]:
    """A function that dies is an error to its invoker, and its successor knows nothing of what it had in memory."""
    invoke = stack.runner.invoke
    remaining = Context.get_remaining_time_in_millis

    def again(name: str, event: Any) -> None:
        points.again = None
        # Whoever invoked the other one looks after its failure.
        with suppress(Exception):  # a function may raise anything
            points.answers.append(invoke(name, event))

    def invoked(name: str, event: Any) -> Any:
        haste.made = 0
        points.again = partial(again, name, event)
        try:
            return invoke(name, event)
        except CrashError as crash:
            stack.runner.reset()
            raise FunctionDiedError(str(crash)) from None
        finally:
            points.again = None

    def left(context: Context) -> int:
        return 0 if haste.short else remaining(context)

    with patch.object(stack.runner, "invoke", invoked), patch.object(Context, remaining.__name__, left):
        yield


def _struck(provider: Provider, points: FaultPoints, book: Book, haste: Haste, script: Script) -> Provider:
    """The provider, with its calls counted, scripted and struck at."""
    send, look_up, name = provider.send, provider.look_up, type(provider).__name__

    def ask(group: Sequence[Outgoing]) -> Sequence[Outcome | None]:
        outcomes = send(group)
        book.taken.update(m.message_id for m, o in zip(group, outcomes, strict=True) if isinstance(o, Sent))
        return outcomes

    def counted(group: Sequence[Outgoing]) -> Sequence[Outcome | None]:
        book.asked.update(m.message_id for m in group)
        if book.down == name:
            return points.call(f"{name}.send", lambda: [AccountDown(Reason.ACCOUNT_SUSPENDED, "down") for _ in group])
        scripted = {m.message_id: script(m, book.asked[m.message_id]) for m in group}
        left = [m for m in group if scripted[m.message_id] in (None, LOST)]
        real = iter(points.call(f"{name}.send", lambda: ask(left)) if left else ())
        haste.made += 1
        answers = {m.message_id: next(real) for m in left}
        return [scripted[m.message_id] or answers[m.message_id] for m in group]

    def looked(messages: Sequence[Outgoing], began: int, ended: int) -> list[Outcome]:
        return points.call(f"{name}.look_up", lambda: look_up(messages, began, ended))

    # One call after the other, so that each run makes them in the same order.
    provider.threads = 1  # type: ignore[misc] # of this one only
    provider.send = counted  # type: ignore[method-assign] # that is the point
    provider.look_up = looked  # type: ignore[method-assign] # the same
    return provider
