"""Campaigns and their runs in the catalog table, in the partition of their tenant.

| sk | holds |
|---|---|
| `campaign#<id>` | a campaign |
| `run#<campaign>.<ULID>` | a run; beside it, for dispatch, its `state`, `state_at` and `state_by` |
| `open#<campaign>.<ULID>` | that the run is not over |
| `turn#<campaign>`, with `#test` or `#team` of such keys | which run has the campaign's turn |

Every write is guarded by the revision that it replaces. The runs of a campaign come in the order in which they were
fired.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.base.cache import TtlCache
from shared.model.audit import AuditRecord
from shared.model.campaigns import Campaign
from shared.model.clock import Clock
from shared.model.runs import Run, RunState
from shared.model.words import KeyKind
from shared.store.audit import audit_put
from shared.store.catalog_items import (
    CatalogConflictError,
    Page,
    Stored,
    conflicts,
    from_cursor,
    item_of,
    key_of,
    put_of,
    read_item,
    tenant_pk,
    to_cursor,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 10
CONTROL_SECONDS = 2
"""How old what dispatch knows of a run's state may be."""


@dataclass(frozen=True, slots=True)
class Control:
    """Whether messages of a run may go out."""

    state: RunState
    at: int
    """Since when it is so, in milliseconds since the epoch."""
    by: str
    """The key that wanted it."""


class Campaigns:
    """Reads and writes campaigns and runs; thread-safe."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._controls: TtlCache[Control] = TtlCache(clock, CONTROL_SECONDS, 1000, 1)

    # Campaigns

    def load(self, tenant: str, campaign: str) -> Stored[Campaign] | None:
        """A campaign as it is now."""
        item = self._get(tenant, f"campaign#{campaign}")
        return None if item is None else read_item(Campaign, item)

    def save(self, campaign: Campaign, over: int | None, record: AuditRecord) -> None:
        """Save a campaign over a revision (None: a new one), and the record of the change with it.

        Raises: CatalogConflictError if it has changed or the id is taken; CatalogTooLargeError.
        """
        item = item_of(tenant_pk(campaign.tenant), f"campaign#{campaign.id}", campaign, (over or 0) + 1)
        self._transact({"Put": put_of(self._table, item, over)}, audit_put(self._table, record))

    def page(self, tenant: str, limit: int, cursor: str | None = None) -> Page[Campaign]:
        """A page of at most `limit` campaigns by id. Raises: CursorError."""
        after = None if cursor is None else from_cursor(cursor, "campaign#")
        items, more = self._query(tenant, "campaign#", limit, after)
        return Page(
            [read_item(Campaign, item).value for item in items], to_cursor(items[-1]["sk"]["S"]) if more else None
        )

    # Runs

    def load_run(self, tenant: str, run: str) -> Stored[Run] | None:
        """A run as it is now."""
        item = self._get(tenant, f"run#{run}")
        return None if item is None else read_item(Run, item)

    def create_run(self, run: Run, record: AuditRecord | None = None) -> bool:
        """Save a new run, and the record of it with it; False if it is there already."""
        writes = self._writes(run, None)
        if record is not None:
            writes.append(audit_put(self._table, record))
        try:
            self._transact(*writes)
        except CatalogConflictError:
            if self._get(run.tenant, f"run#{run.id}") is None:
                raise
            return False
        return True

    def change_run(
        self,
        tenant: str,
        run: str,
        change: Callable[[Run], Run | None],
        record: Callable[[Run, Run], AuditRecord] | None = None,
    ) -> Run | None:
        """Change a run from what it is now; returns it as it is then, None if there is no such run.

        change: answers None (or the same) to leave it as it is; it may be asked more than once. record: of the change,
        from before and after. Raises: CatalogConflictError if others keep changing it; what `change` raises.
        """
        for _ in range(ATTEMPTS):
            found = self.load_run(tenant, run)
            if found is None:
                return None
            before, after = found.value, change(found.value)
            if after is None or after == before:
                return before
            writes = self._writes(after, found)
            if record is not None:
                writes.append(audit_put(self._table, record(before, after)))
            try:
                self._transact(*writes)
            except CatalogConflictError:
                continue
            self._controls.drop(f"{tenant}#{run}")
            return after
        raise CatalogConflictError("others keep changing this run")

    def runs(self, tenant: str, campaign: str, limit: int, cursor: str | None = None) -> Page[Run]:
        """A page of at most `limit` runs of a campaign, the newest first. Raises: CursorError."""
        prefix = f"run#{campaign}."
        after = None if cursor is None else from_cursor(cursor, prefix)
        items, more = self._query(tenant, prefix, limit, after, newest_first=True)
        return Page([read_item(Run, item).value for item in items], to_cursor(items[-1]["sk"]["S"]) if more else None)

    def run_ids(self, tenant: str) -> list[str]:
        """The ids of all runs of a tenant. Raises: what the table raises."""
        found: list[str] = []
        after: str | None = None
        more = True
        while more:
            items, more = self._query(tenant, "run#", 100, after)
            found += [item["sk"]["S"].removeprefix("run#") for item in items]
            after = items[-1]["sk"]["S"] if items else None
        return found

    def open_runs(self, tenant: str, campaign: str | None = None) -> list[str]:
        """The ids of the runs of a campaign, or of all, that are not over; of each campaign in the order of firing."""
        prefix, found, more = "open#" if campaign is None else f"open#{campaign}.", [], True
        after: str | None = None
        while more:
            items, more = self._query(tenant, prefix, 1000, after)
            found += [item["sk"]["S"].removeprefix("open#") for item in items]
            after = items[-1]["sk"]["S"] if items else None
        return found

    def take_turn(self, run: Run) -> bool:
        """Give a run its campaign's turn; False while another run has it that is not over.

        Of the runs of keys of a kind one at a time. Raises: CatalogConflictError if others keep
        taking it.
        """
        lane = "" if run.kind is KeyKind.LIVE else f"#{run.kind}"
        key = key_of(tenant_pk(run.tenant), f"turn#{run.campaign.id}{lane}")
        for _ in range(ATTEMPTS):
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            holder = None if item is None else item["run"]["S"]
            if holder == run.id:
                return True
            found = None if holder is None else self.load_run(run.tenant, holder)
            if found is not None and not found.value.over:
                return False
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
            if holder is not None:
                condition = {
                    "ConditionExpression": "#run = :holder",
                    "ExpressionAttributeNames": {"#run": "run"},
                    "ExpressionAttributeValues": {":holder": {"S": holder}},
                }
            with suppress(CatalogConflictError), conflicts():
                self._client.put_item(TableName=self._table, Item={**key, "run": {"S": run.id}}, **condition)
                return True
        raise CatalogConflictError("others keep taking this campaign's turn")

    def control(self, tenant: str, run: str, fresh: bool = False) -> Control | None:
        """Whether messages of a run may go out, at most two seconds old; None if there is no such run."""
        return self._controls.get(f"{tenant}#{run}", lambda: self._control(tenant, run, fresh), fresh)

    def _control(self, tenant: str, run: str, fresh: bool) -> Control | None:
        item = self._client.get_item(
            TableName=self._table,
            Key=key_of(tenant_pk(tenant), f"run#{run}"),
            ConsistentRead=fresh,
            ProjectionExpression="#state, state_at, state_by",
            ExpressionAttributeNames={"#state": "state"},
        ).get("Item")
        if item is None:
            return None
        return Control(RunState(item["state"]["S"]), int(item["state_at"]["N"]), item["state_by"]["S"])

    # The table

    def _writes(self, run: Run, over: Stored[Run] | None) -> list[Any]:
        """The parts of a transaction that save a run, and whether it is over."""
        pk, rev = tenant_pk(run.tenant), None if over is None else over.rev
        item = item_of(pk, f"run#{run.id}", run, (rev or 0) + 1)
        item |= {
            "state": {"S": run.state.value},
            "state_at": {"N": str(run.state_at)},
            "state_by": {"S": run.state_by},
        }
        writes: list[Any] = [{"Put": put_of(self._table, item, rev)}]
        mark = key_of(pk, f"open#{run.id}")
        if run.over and over is not None:
            writes.append({"Delete": {"TableName": self._table, "Key": mark}})
        elif not run.over and over is None:
            writes.append({"Put": {"TableName": self._table, "Item": mark}})
        return writes

    def _get(self, tenant: str, sk: str) -> dict[str, Any] | None:
        if len(sk.encode(errors="replace")) > 1024:
            return None
        key = key_of(tenant_pk(tenant), sk)
        return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _transact(self, *writes: Any) -> None:
        with conflicts():
            self._client.transact_write_items(TransactItems=list(writes))

    def _query(
        self, tenant: str, prefix: str, limit: int, after: str | None, *, newest_first: bool = False
    ) -> tuple[Sequence[Any], bool]:
        more: dict[str, Any] = {} if after is None else {"ExclusiveStartKey": key_of(tenant_pk(tenant), after)}
        got = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": tenant_pk(tenant)}, ":prefix": {"S": prefix}},
            ConsistentRead=True,
            ScanIndexForward=not newest_first,
            Limit=limit + 1,
            **more,
        )
        items = got["Items"]
        return items[:limit], len(items) > limit or "LastEvaluatedKey" in got
