"""A zone as tests write it."""

from collections.abc import Mapping
from typing import Any

from shared.net.dns import Answer, RecordType


class Names:
    """Looks up in a dictionary: by name, TXT records alone or records by type.

    failing: names that nobody answers for.
    """

    def __init__(self, zone: Mapping[str, Any], failing: frozenset[str] = frozenset()) -> None:
        self._zone = zone
        self._failing = failing
        self.asked: list[str] = []

    def find(self, name: str, kind: RecordType) -> Answer:
        self.asked.append(name)
        if name in self._failing:
            return Answer(failed=True)
        entry = self._zone.get(name, {})
        records = entry if isinstance(entry, Mapping) else {"TXT": entry}
        found = records.get(kind, ())
        return Answer((found,) if isinstance(found, str) else tuple(found))
