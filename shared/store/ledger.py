"""The ledger of envelopes: what became of each recipient, recorded before anything that follows from it happens."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from shared.model.clock import Clock
from shared.model.events import EventRow
from shared.store.dynamo import batch_get, batch_put

TTL_S = 7 * 86400
"""Longer than a queue keeps a message (4 days), so that no redelivery finds its ledger gone."""

_ROWS: TypeAdapter[list[EventRow]] = TypeAdapter(list[EventRow])


class Ledger:
    """Outcome rows per envelope, in the guard table."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def load(self, envelope_ids: Sequence[str]) -> dict[str, list[EventRow]]:
        """The rows of those envelopes that have been worked on before."""
        items = batch_get(self._client, self._table, [_key(e) for e in dict.fromkeys(envelope_ids)], consistent=True)
        return {
            item["pk"]["S"].removeprefix("envelope#"): _ROWS.validate_json(zlib.decompress(item["rows"]["B"]))
            for item in items
        }

    def save(self, rows: Mapping[str, Sequence[EventRow]]) -> None:
        """Record what became of envelopes' recipients; a recipient without a row is carried on by a continuation."""
        ttl = str(self._clock.now_ms() // 1000 + TTL_S)
        items = [
            {**_key(envelope), "rows": {"B": zlib.compress(to_json(list(r)), 1)}, "ttl": {"N": ttl}}
            for envelope, r in rows.items()
        ]
        batch_put(self._client, self._table, items)


def _key(envelope_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"envelope#{envelope_id}"}, "sk": {"S": "ledger"}}
