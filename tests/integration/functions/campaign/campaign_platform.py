"""The whole platform for tests of runs: small shards, a template, files, and an API that campaigns are made by."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

from functions.campaign import deps
from functions.campaign.file.planning import Planner
from functions.campaign.send.sending import Sending
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack, NotQuietError
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.model import runs
from shared.model.runs import Run, Shard
from shared.model.words import OUTCOMES
from shared.store.campaigns import Campaigns
from shared.store.counters import HOUR_MS, Counters
from shared.store.shards import Shards
from tests.guarantees.fault_points import FaultPoints, watched
from tests.guarantees.platform import Haste, mortal

TENANT = "default"
WORKING_S = 3600.0


class CampaignPlatform:
    """A stack that does nothing by itself. points: where its functions can be struck."""

    def __init__(self, stack: LocalStack, points: FaultPoints, api: Client) -> None:
        self.stack = stack
        self.points = points
        self.api = api
        self._numbers = count()
        self._people = count()
        dynamodb = stack.client("dynamodb")
        self.campaigns = Campaigns(dynamodb, stack.outputs["CatalogTable"], stack.clock)
        self.shards = Shards(dynamodb, stack.outputs["GuardTable"], stack.clock)
        self.counters = Counters(dynamodb, stack.outputs["CountersTable"])
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            api.post("/v1/accounts", account_body(entry, stack.sandboxes))
        for name in ("spring", "summer"):
            content = {"type": "email", "subject": name, "text": "Hello {{ name }}"}
            body = {"id": name, "name": name, "class": "marketing", "accounts": ["mail-smtp"], "content": content}
            api.post("/v1/templates", {**body, "sample": {"name": "Ann"}})
            api.post(f"/v1/templates/{name}/versions/1/publish", {})

    def with_key(self, secret: str) -> Client:
        """The API with another key."""
        return Client(self.stack.url, secret)

    def people(self, how_many: int, name: str = "u") -> list[str]:
        """New addresses."""
        return [f"{name}+{next(self._people)}@example.com" for _ in range(how_many)]

    def put(self, text: str, name: str = "people.csv", kind: str = "live") -> None:
        """Upload an audience file, as a key of a kind."""
        self.stack.client("s3").put_object(
            Bucket=self.stack.outputs["AssetsBucket"],
            Key=f"audiences/{TENANT}/{name}",
            Body=text.encode(),
            Metadata={"kind": kind},
        )

    def file(self, people: list[str], name: str = "people.csv", kind: str = "live") -> None:
        """Upload a file of people."""
        self.put("to,name\n" + "".join(f"{to},Ann\n" for to in people), name, kind)

    def campaign(self, by: Client | None = None, **more: Any) -> str:
        """Save a new campaign; its id. by: with another key than the first."""
        id = f"campaign-{next(self._numbers)}"
        body = {
            "id": id,
            "name": id,
            "variants": [{"name": "main", "template": "spring"}],
            "audience": {"file": "people.csv"},
        }
        (by or self.api).post("/v1/campaigns", body | more)
        return id

    def start(self, campaign: str, **more: Any) -> str:
        """Start a run; its id."""
        found: str = self.api.post(f"/v1/campaigns/{campaign}/runs", more)["id"]
        return found

    def work(self, until: Callable[[], bool] = lambda: False, horizon_s: float = WORKING_S) -> None:
        """Have everything happen, now and later, or until something is so."""
        end = self.stack.clock.now_ms() + 1000 * horizon_s
        while self.stack.clock.now_ms() < end and not until():
            with suppress(NotQuietError):
                # One round at a time, so that a test can look in between.
                self.stack.drain(max_rounds=1, until_due=True, horizon_s=(end - self.stack.clock.now_ms()) / 1000)
                return

    def run(self, id: str) -> Run:
        """A run as it is stored."""
        stored = self.campaigns.load_run(TENANT, id)
        assert stored is not None
        return stored.value

    def view(self, id: str) -> dict[str, Any]:
        """A run as the API shows it."""
        found: dict[str, Any] = self.api.get(f"/v1/runs/{id}")
        return found

    def all_shards(self, id: str) -> list[Shard]:
        """The shards of a run."""
        return self.shards.all(TENANT, id)

    def counts(self, run: Run) -> Counter[str]:
        """What the counters say of a run."""
        hour = run.fired_at // HOUR_MS
        return sum(self.counters.read(f"{TENANT}#run#{run.id}", hour, hour).values(), Counter())

    def delivered(self, people: list[str]) -> Counter[str]:
        """How often each of these people got something."""
        wanted = set(people)
        return Counter(d.to for d in self.stack.outbox.all() if d.to in wanted)

    def check(self, id: str, people: list[str]) -> None:
        """Everybody got one message of a run, and the counters balance."""
        delivered, counts = self.delivered(people), self.counts(self.run(id))
        assert set(delivered.values()) == {1}, Counter(delivered.values())
        assert len(delivered) == len(people)
        assert counts["accepted"] == sum(counts[stage] for stage in OUTCOMES) == len(people), dict(counts)


@contextmanager
def campaign_platform(shard_rows: int = 1000, slice_rows: int = 400) -> Iterator[CampaignPlatform]:
    """A platform whose shards and slices are small."""
    points = FaultPoints()
    with ExitStack() as enter:
        enter.enter_context(watched(points))
        stack = enter.enter_context(LocalStack(threads=False, memory=True))
        enter.enter_context(mortal(stack, points, Haste()))
        # Where a function is at work twice, the other one has copies of the function's modules.
        enter.enter_context(patch.object(runs, "SHARD_ROWS", shard_rows))
        enter.enter_context(patch.object(deps, "Planner", partial(Planner, rows=shard_rows)))
        enter.enter_context(patch.object(deps, "Sending", partial(Sending, slice_rows=slice_rows)))
        api = enter.enter_context(Client(stack.url, first_key(stack)))
        yield CampaignPlatform(stack, points, api)
