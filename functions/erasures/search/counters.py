"""Takes a person out of events that were set aside beside the counters. Counters themselves hold nobody."""

import zlib
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from functions.erasures.person import Person
from functions.erasures.search.result import Result
from shared.store.counters import Counters
from shared.store.dynamo import Item, key_of
from shared.store.veiled_items import veiled_event

ASIDE = "events that were set aside"


class CountersItems:
    """Looks at items of the counters table."""

    def __init__(self, counters: Counters, person: Person) -> None:
        self._counters = counters
        self._person = person
        self._own = f"{person.tenant}#{person.tag}"

    def __call__(self, items: Sequence[Item], result: Result) -> None:
        """Take the person out of some items. Raises: what the table raises."""
        for item in items:
            pk, sk = key_of(item)
            if pk.startswith("unkept#") and self._person.tagged(sk):
                self._aside(pk.partition("#")[2], item, result)

    def _aside(self, stream: str, item: Item, result: Result) -> None:
        event: dict[str, Any] = from_json(zlib.decompress(item["d"]["B"]))
        pk, sk = key_of(event)
        if pk == self._own and self._person.covers(sk):
            self._counters.set_aside(stream, [veiled_event(event, self._person.veil)])
        self._counters.take_back(stream, [event])
        result.erased[ASIDE] += 1
