"""The health of accounts: what became of their latest tries, as the trace counted it, and what routing made of that.

| table | pk | sk | holds |
|---|---|---|---|
| catalog | `shift#<tenant>` | `<account>` | the last shift: how much of its weight the account has, since when, why |
| catalog | `shift#<tenant>` | `conversion#<country>` | the last shifts of accounts for codes to the country |
| counters | `health#<tenant>#<account>` | `<bucket>#<shard>` | tries of ten seconds, slow ones, bad ones by reason |
"""

from collections.abc import Sequence
from typing import Any

from shared.model.audit import AuditRecord
from shared.policy import conversion
from shared.policy.conversion import CountryShifts
from shared.policy.routing import BUCKET_MS, LOOK_BACK_MS, REST_MS, Buckets, Shift
from shared.store.audit import audit_put
from shared.store.catalog_items import Stored, conflicts, item_of, key_of, put_of, read_item
from shared.store.counters import Counters, conversion_scope, health_scope
from shared.store.dynamo import batch_get

ROUTING = "routing"
"""Who shifts weight, in the audit log: no key, but the platform itself."""


_COUNTRY = "conversion#"
"""No account's id holds a #."""


class HealthStore:
    """Reads the health of accounts, and shifts their weight; thread-safe."""

    def __init__(self, client: Any, catalog_table: str, counters: Counters) -> None:
        self._client = client
        self._table = catalog_table
        self._counters = counters

    def last_shift(self, tenant: str, account: str) -> Stored[Shift] | None:
        """An account's last shift, if there ever was one. Raises: what the table raises."""
        key = key_of(_pk(tenant), account)
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else read_item(Shift, item)

    def last_shifts(self, tenant: str, accounts: Sequence[str]) -> dict[str, Shift]:
        """The last shift of each of these accounts that ever had one. Raises: what the table raises."""
        keys = [key_of(_pk(tenant), account) for account in accounts]
        items = batch_get(self._client, self._table, keys, consistent=True) if keys else []
        return {item["sk"]["S"]: read_item(Shift, item).value for item in items}

    def buckets(self, tenant: str, account: str, now: int) -> Buckets:
        """What became of an account's tries, as far back as it counts. Raises: what the table raises."""
        first = (now - max(LOOK_BACK_MS, REST_MS)) // BUCKET_MS
        return self._counters.read(health_scope(tenant, account), first, now // BUCKET_MS)

    def shift(self, tenant: str, account: str, shift: Shift, over: int | None, record: AuditRecord) -> None:
        """Save a shift over the revision of the last one, with its record in the audit log, or neither.

        Raises: CatalogConflictError if somebody else has shifted it meanwhile; what the table raises.
        """
        self._save(tenant, account, shift, over, record)

    def country_shifts(self, tenant: str, country: str) -> Stored[CountryShifts] | None:
        """The last shifts of accounts for codes to a country, if there ever were any. Raises: what the table raises."""
        key = key_of(_pk(tenant), f"{_COUNTRY}{country}")
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else read_item(CountryShifts, item)

    def codes(self, tenant: str, country: str, now: int) -> conversion.Buckets:
        """What became of codes to a country, as far back as it counts. Raises: what the table raises."""
        first = (now - conversion.LOOK_BACK_MS) // conversion.BUCKET_MS - 1
        return self._counters.read(conversion_scope(tenant, country), first, now // conversion.BUCKET_MS)

    def shift_country(
        self, tenant: str, country: str, shifts: CountryShifts, over: int | None, record: AuditRecord
    ) -> None:
        """Save the shifts for codes to a country as `shift` does those of an account. Raises: as `shift`."""
        self._save(tenant, f"{_COUNTRY}{country}", shifts, over, record)

    def _save(self, tenant: str, sk: str, value: Shift | CountryShifts, over: int | None, record: AuditRecord) -> None:
        item = item_of(_pk(tenant), sk, value, (over or 0) + 1)
        put = {"Put": put_of(self._table, item, over)}
        with conflicts():
            self._client.transact_write_items(TransactItems=[put, audit_put(self._table, record)])


def _pk(tenant: str) -> str:
    return f"shift#{tenant}"
