"""What happens after messages were sent, on the local stack step by step: receipts, webhooks, mailboxes, links.

Every book is checked from outside: the timeline, the counters, the suppression list, what an endpoint was posted.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.seed import EXAMPLES, account_body, enter_callback, first_key
from local.stack import LocalStack
from local.stream_pollers import ShardPoller
from local.timeline_items import is_event
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.model.ids import tag_of
from shared.store.kept_events import read_event
from tests.guarantees.fault_points import FaultPoints, FunctionDiedError, watched
from tests.guarantees.plain_model import Fact
from tests.guarantees.platform import Haste, ViolationError, mortal
from tests.receiver import Posted, Receiver, receiving

HTML = '<p>Hello</p><a href="https://shop.example.com/sale">Sale</a><a href="{{ unsubscribe_url }}">No more</a>'
SALE = {"type": "email", "subject": "Sale", "html": HTML, "text": "Sale. No more: {{ unsubscribe_url }}"}
LETTER = {"type": "email", "subject": "Letter", "text": "Hello"}
TEXT = {"type": "sms", "tencent": {"template_id": "1234", "params": []}}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"
HOUR_S = 3600
MOST_TRIES = 20
"""How often somebody asks again who got no good answer."""

_UNTOLD = ("accepted", "delayed", "opened", "clicked")
"""Of these an endpoint hears only if it asks for it, and only of each time that it happened."""

Told = Mapping[str, Sequence[str]]
"""Message id -> the names by which its events count, in any order."""


class Afterwards:
    """A local stack that does nothing by itself; its functions' calls can be struck."""

    def __init__(self, stack: LocalStack, points: FaultPoints, receiver: Receiver) -> None:
        assert stack.memory is not None
        self.stack, self.points, self.receiver = stack, points, receiver
        self._tables = stack.memory.dynamodb
        self._numbers = iter(range(10**9))
        self.api = Client(stack.url, first_key(stack))
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            if entry["id"] in ("mail-ses", "mail-smtp", "sms-tencent"):
                body = account_body(entry, stack.sandboxes)
                if entry["id"] == "mail-smtp":
                    body["settings"]["bounce_mailbox"] = stack.mailbox.settings()
                    body["secret"] = {**body["secret"], "mailbox_password": stack.mailbox.password}
                if entry["id"] == "sms-tencent":
                    body["settings"]["pull_receipts"] = True
                enter_callback(self.api.post("/v1/accounts", body), stack.sandboxes)
        self._template("ses", "mail-ses", LETTER, "notification")
        self._template("smtp", "mail-smtp", LETTER, "notification")
        self._template("sale", "mail-smtp", SALE, "marketing", tracking=True)
        self._template("text", "sms-tencent", TEXT, "notification")
        self.api.post("/v1/webhooks", {"id": "mine", "url": receiver.url})
        self.reset()

    def _template(self, id: str, account: str, content: Any, message_class: str, **more: Any) -> None:
        body = {"id": id, "name": id, "class": message_class, "accounts": [account], "content": content}
        self.api.post("/v1/templates", body | more)
        self.api.post(f"/v1/templates/{id}/versions/1/publish", {})

    def close(self) -> None:
        """Give its connections back."""
        self.api.close()

    def reset(self) -> None:
        """Forget all messages, and who is on the list; accounts, templates and the endpoint stay."""
        self.points.disarm()
        for role in ("guard", "timeline"):
            self._tables.clear(self._table(role))
        # The stream keeps its records, so the checkpoints must stay.
        for role, starts in (("counters", ("default#", "health#")), ("catalog", ("suppress", "mailbox#"))):
            for item in self._items(role):
                if item["pk"].startswith(starts):
                    key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
                    self.stack.client("dynamodb").delete_item(TableName=self._table(role), Key=key)
        assert self.stack.memory is not None
        self.stack.memory.sqs.clear()
        scheduler = self.stack.client("scheduler")
        for schedule in scheduler.list_schedules()["Schedules"]:
            scheduler.delete_schedule(GroupName=schedule["GroupName"], Name=schedule["Name"])
        for mail in self.stack.mailbox.folder.mails:
            self.stack.mailbox.folder.remove(mail.uid)
        self.stack.outbox.clear()
        self.receiver.posted.clear()
        self.receiver.answer = lambda posted: 204
        # What functions remember of lists and accounts is over.
        self.stack.clock.advance(11)

    # What is done

    def label(self) -> str:
        """A word that no address had before."""
        return str(next(self._numbers))

    def send(self, template: str, *to: str, traced: bool = True) -> list[str]:
        """Send, and have it traced; nobody has said anything of the messages yet. traced: False to leave that, too."""
        body = {"template": template, "recipients": [{"to": each} for each in to]}
        ids = [each["message_id"] for each in self.api.post("/v1/messages", body)["messages"]]
        if traced:
            self.stack.drain()
        else:
            queues = [each for each in self.stack._pollers if not isinstance(each, ShardPoller)]
            while any([each.step() for each in queues]):
                pass
        return ids

    def fail_first(self) -> None:
        """Have the endpoint fail at the first post of every other event."""
        seen: set[str] = set()

        def answer(posted: Posted) -> int:
            id = posted.headers["webhook-id"]
            fails = id not in seen and len(seen) % 2 == 0
            seen.add(id)
            return 500 if fails else 204

        self.receiver.answer = answer

    def said(self, body: Mapping[str, Any]) -> None:
        """Put something on the queue of receipts, as EventBridge does."""
        self.stack.client("sqs").send_message(QueueUrl=self.stack.outputs["ReceiptsUrl"], MessageBody=json.dumps(body))

    def work(self) -> None:
        """Let everything happen that is due within hours."""
        self.stack.drain(until_due=True, horizon_s=4 * HOUR_S, max_rounds=5000)

    def run_each_ten_minutes(self, function: str, times: int = 2) -> None:
        """Have a schedule invoke a function some times."""
        for _ in range(times):
            self.stack.clock.advance(601)
            with suppress(Exception):  # a function may raise anything, and comes again in ten minutes
                self.stack.invoke(function, {})
            self.work()

    def visit(self, function: str, url: str, method: str = "GET", body: str = "") -> int:
        """Ask for a page as a person or a mail program does, until there is a good answer; returns how often."""
        path = "/" + url.split("/", 3)[3]
        tenant, token = path.rstrip("/").split("/")[-2:]
        headers = {"user-agent": BROWSER, "content-type": "application/x-www-form-urlencoded"}
        event = {
            "rawPath": path,
            "pathParameters": {"tenant": tenant, "token": token},
            "headers": headers,
            "body": body,
            "requestContext": {"http": {"method": method}},
        }
        for tries in range(1, MOST_TRIES):
            self.stack.clock.advance(30)
            with suppress(FunctionDiedError):
                if self.stack.invoke(function, event)["statusCode"] < 400:
                    return tries
        raise ViolationError(f"{function} gives no good answer")

    def links(self, message_id: str) -> list[str]:
        """The links of a mail, as it arrived."""
        [mail] = [each.data for each in self.stack.outbox.all() if each.message_id == message_id]
        return [found.replace("&amp;", "&") for found in re.findall(r'(?:href|src)="([^"]*)"', str(mail["html"]))]

    # What can be seen from outside

    def _table(self, role: str) -> str:
        return self.stack.outputs[f"{role.title()}Table"]

    def _items(self, role: str) -> list[dict[str, Any]]:
        pages = self.stack.client("dynamodb").get_paginator("scan").paginate(TableName=self._table(role))
        read = TypeDeserializer().deserialize
        return [{k: read(v) for k, v in item.items()} for found in pages for item in found["Items"]]

    def told(self) -> dict[str, list[str]]:
        """What the timeline has of each message: the names by which its events count."""
        found: dict[str, list[str]] = defaultdict(list)
        for item in self._items("timeline"):
            if is_event(item["pk"]):
                event = read_event(item["d"])
                fact = Fact(event.stage, event.nth, transient=event.transient, machine=event.machine)
                found[item["sk"].partition("#")[0]].append(fact.name)
        return {message_id: sorted(names) for message_id, names in found.items()}

    def listed(self) -> dict[str, list[str]]:
        """Who is on the list, by tag, and why."""
        docs = [item for item in self._items("catalog") if item["pk"].startswith("suppressed#")]
        return {item["sk"]: [entry["reason"] for entry in json.loads(item["doc"])["entries"]] for item in docs}

    def check(self, expected: Told, listed: Mapping[str, str] | None = None) -> Counter[str]:
        """Check every book; returns how many events there are of each name.

        expected: what the timeline must have of each message. listed: message id -> why its recipient must be on the
        list, and nobody else. Raises: ViolationError.
        """
        told = self.told()
        if told != {message_id: sorted(names) for message_id, names in expected.items()}:
            raise ViolationError(f"the timeline has {list(told.values())}")
        wanted = {tag_of(message_id): [reason] for message_id, reason in (listed or {}).items()}
        if self.listed() != wanted:
            raise ViolationError(f"on the list are {self.listed()}, not {wanted}")
        return self.check_books(told)

    def check_books(self, told: Told) -> Counter[str]:
        """Check that the counters and the endpoint know what the timeline has. Raises: ViolationError."""
        names: Counter[str] = Counter(name for each in told.values() for name in each)
        counted: Counter[str] = Counter()
        for item in self._items("counters"):
            if item["pk"] == "default#tenant":
                counted.update({name: int(n) for name, n in item.items() if name not in ("pk", "sk")})
        if counted != names:
            raise ViolationError(f"counted {dict(counted)}, in the timeline {dict(names)}")
        self._check_posts(told)
        self._check_queues()
        return names

    def _check_posts(self, told: Told) -> None:
        """Each event was posted, under one id however often; of openings and clicks each time is one."""
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        for posted in self.receiver.posted:
            data = json.loads(posted.body)["data"]
            name = f"{data['stage']}{'.transient' if data.get('transient') else ''}"
            ids[data["message_id"], name].add(posted.headers["webhook-id"])
        posted_names = Counter({place: len(found) for place, found in ids.items()})
        wanted: Counter[tuple[str, str]] = Counter()
        for message_id, names in told.items():
            wanted.update((message_id, n.removesuffix(".times")) for n in names if n not in _UNTOLD)
        if posted_names != wanted:
            raise ViolationError(f"posted {dict(posted_names)}, not {dict(wanted)}")

    def _check_queues(self) -> None:
        sqs = self.stack.client("sqs")
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        for url in self.stack.deployment.queues.values():
            left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            if any(int(n) for n in left.values()):
                raise ViolationError(f"left in {url}: {left}")


@contextmanager
def afterwards() -> Iterator[Afterwards]:
    """A platform with an endpoint for webhooks, whose functions' calls can be struck."""
    points = FaultPoints()
    with ExitStack() as exits:
        exits.enter_context(watched(points))
        stack = exits.enter_context(LocalStack(threads=False, memory=True))
        exits.enter_context(mortal(stack, points, Haste()))
        receiver = exits.enter_context(receiving())
        made = Afterwards(stack, points, receiver)
        exits.callback(made.close)
        yield made


Scene = Callable[[Afterwards], Callable[[], Counter[str]]]
"""Prepares a run, in which nothing is struck; what it returns is struck at, and tells how many events there were."""
