"""Calls of the API of campaigns over tables in memory, each answer checked against the API's description."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from functions.campaign.operations.campaigns import CampaignOperations
from functions.campaign.operations.runs import RunOperations
from functions.campaign.operations.sampling import Sampler
from functions.campaign.operations.schedules import Follower
from functions.campaign.operations.trials import Testing
from functions.campaign.operations.uploads import Uploading
from functions.campaign.run.reporting import Reporter
from functions.campaign.run.starting import Starter
from shared.acceptance.addresses import Seals
from shared.acceptance.telling import Acceptance
from shared.api.kit import Api
from shared.api.openapi import document
from shared.aws import clients
from shared.aws.audiences import AudienceFiles
from shared.aws.queue import Dispatch
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.aws.tasks import TaskError
from shared.model.campaigns import Schedule
from shared.model.content import Content
from shared.model.envelope import Envelope, read_envelope
from shared.model.events import StreamRecord
from shared.model.runs import AudienceFile
from shared.model.tasks import Task
from shared.model.words import KeyKind, MessageClass
from shared.store.audit import AuditLog, AuditSearch
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.shards import Shards
from tests import samples
from tests.fakes import FakeClock, out_of_reach
from tests.integration.functions.manage.manage_calls import Answer
from tests.memory import tables

CSV = b"to,name\nann@example.com,Ann\nbob@example.com,Bob\n"


@cache
def described() -> dict[str, Any]:
    """The API's description."""
    return document()


class Objects:
    """Audience files by key."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.kinds: dict[str, KeyKind] = {}
        self.reads: list[tuple[int, int]] = []

    def head(self, key: str) -> AudienceFile | None:
        if key not in self.files:
            return None
        kind = self.kinds.get(key, KeyKind.LIVE)
        return AudienceFile(key=key, version="v1", size=len(self.files[key]), kind=kind)

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        if key not in self.files or version != "v1":
            raise FileGoneError(key)
        self.reads.append((start, end))
        return self.files[key][start:end]


class Schedules:
    """What EventBridge Scheduler would hold, by campaign; fails while it is broken."""

    def __init__(self) -> None:
        self.held: dict[str, Schedule] = {}
        self.broken = False

    def put(self, tenant: str, campaign: str, schedule: Schedule) -> None:
        self._check()
        self.held[campaign] = schedule

    def delete(self, tenant: str, campaign: str) -> None:
        self._check()
        self.held.pop(campaign, None)

    def _check(self) -> None:
        if self.broken:
            raise out_of_reach("scheduler")


@dataclass
class Queues:
    """Takes note of envelopes. failing: of so many it says that they could not be queued."""

    envelopes: list[Envelope] = field(default_factory=list)
    failing: int = 0

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]:
        failed = {each.envelope.id for each in dispatches[: self.failing]}
        self.envelopes += [read_envelope(d.body) for d in dispatches if d.envelope.id not in failed]
        return failed


@dataclass
class Stream:
    """Takes note of records."""

    records: list[StreamRecord] = field(default_factory=list)

    def put(self, records: Sequence[StreamRecord]) -> None:
        self.records += records


@dataclass
class Tasks:
    """Takes note of tasks; fails while it is broken."""

    sent: list[Task] = field(default_factory=list)
    broken: bool = False

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None:
        if self.broken and tasks:
            raise TaskError("not queued")
        self.sent += tasks


class CampaignApi:
    """All operations of the function, with two templates: `welcome` and `other`, which is like it."""

    def __init__(self, dynamodb: Any, clock: FakeClock) -> None:
        self.clock = clock
        self.catalog = Catalog(dynamodb, "catalog", clock)
        self.catalog.ensure_tenant("default")
        self.campaigns = Campaigns(dynamodb, "catalog", clock)
        self.shards = Shards(dynamodb, "guard", clock)
        self.objects, self.schedules, self.queues = Objects(), Schedules(), Queues()
        self.stream, self.tasks = Stream(), Tasks()
        signer = clients.client("s3", signature_version="s3v4")
        files = AudienceFiles("assets", lambda: signer)
        links: Any = RunFiles("assets", lambda: signer)
        tasks: Any = self.tasks
        schedules: Any = self.schedules
        queues: Any = self.queues
        stream: Any = self.stream
        reporter = Reporter(Counters(dynamodb, "counters"), self.shards)
        starter = Starter(self.campaigns, self.catalog, self.objects, tasks, clock)
        sampler, acceptance = Sampler(self.objects, self.objects, self.campaigns), Acceptance(queues, stream)
        parts = (
            Uploading(files, clock),
            CampaignOperations(self.catalog, self.campaigns, Follower(self.campaigns, schedules), clock),
            RunOperations(self.catalog, self.campaigns, self.shards, starter, reporter, tasks, links, clock),
            Testing(self.catalog, self.campaigns, sampler, acceptance, clock, Seals(self.catalog)),
        )
        self.api = Api({id: function for part in parts for id, function in part.operations().items()})
        self.audit = AuditLog(dynamodb, "catalog")
        for name in ("welcome", "other"):
            self.template(name)
        self.file("list.csv", CSV)

    def template(self, id: str, content: Content = samples.EMAIL, **changes: Any) -> None:
        """Add a template with one version."""
        published = changes.pop("published_at", samples.NOW)
        head, version = samples.template(content, **({"id": id, "message_class": MessageClass.MARKETING} | changes))
        version = version.model_copy(update={"template": id, "published_at": published})
        self.catalog.create_template(head, version, samples.change())

    def file(self, name: str, data: bytes, kind: KeyKind = KeyKind.LIVE) -> None:
        """Put an audience file into the bucket."""
        self.objects.files[f"audiences/default/{name}"] = data
        self.objects.kinds[f"audiences/default/{name}"] = kind

    def make(self, **changes: Any) -> Any:
        """Save a campaign and return it."""
        answer = self.call("POST /v1/campaigns", body(**changes))
        assert answer.status == 201, answer.text
        return answer.json

    def start(self, **more: Any) -> Any:
        """Start a run, of `news` unless said otherwise, and return it."""
        answer = self.call("POST /v1/campaigns/{id}/runs", {}, **({"id": "news"} | more))
        assert answer.status == 202, answer.text
        return answer.json

    def actions(self) -> list[tuple[str, str]]:
        """What the audit log holds of campaigns, the newest first."""
        search = AuditSearch(self.clock.now_ms() - 86_400_000, self.clock.now_ms() + 1)
        found = self.audit.page("default", search, 100).items
        return [(record.action, record.target) for record in found if record.target.startswith("campaign/")]

    def call(
        self, route: str, body: Any = None, *, id: str = "", query: dict[str, str] | None = None, **caller: str
    ) -> Answer:
        """Call an operation by its route."""
        who = {"tenant": "default", "key_id": "k1", "kind": "live", "scopes": "send read manage", "problem": ""}
        event: dict[str, Any] = {
            "routeKey": route,
            "headers": {"content-type": "application/json"},
            "pathParameters": {"id": id},
            "queryStringParameters": query,
            "requestContext": {"authorizer": {"lambda": who | caller}},
            "body": json.dumps(body),
        }
        answer = self.api(event)
        method, path = route.split(" ")
        status = str(answer["statusCode"])
        assert status in described()["paths"][path][method.lower()]["responses"], f"{route} answers {status}"
        text = answer.get("body", "")
        return Answer(answer["statusCode"], json.loads(text), text)


def body(**changes: Any) -> dict[str, Any]:
    """A campaign as callers write it; None leaves a field out."""
    found: dict[str, Any] = {
        "id": "news",
        "name": "News",
        "variants": [{"name": "a", "template": "welcome"}],
        "audience": {"file": "list.csv"},
    }
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


@contextmanager
def open_campaign_api(clock: FakeClock) -> Iterator[CampaignApi]:
    """The API over empty tables."""
    with tables(clock, "catalog", "guard", "counters") as dynamodb:
        yield CampaignApi(dynamodb, clock)
