"""What the sandbox providers accepted: the newest in full, and an exact count of everything."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one recipient that a sandbox provider accepted.

    id: the provider's message id. data: what a person would see, for example subject and text. message_id: the
    platform's own id, where it rides along with the message. withdrawn: it was taken back.
    """

    provider: str
    to: str
    id: str
    data: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    message_id: str = ""
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How often each provider accepted one message (`message_id` empty: all that carried none) to one recipient."""

    to: str
    message_id: str
    times: dict[str, int]


class Outbox:
    """What the sandbox providers accepted; thread-safe.

    It keeps the newest deliveries in full, at most `keep` of them and about `keep_characters` of their texts, and
    counts all of them by provider, recipient and message id, for ever (about 170 bytes for each such triple).
    """

    def __init__(self, keep: int = 10_000, keep_characters: int = 50_000_000) -> None:
        self._lock = threading.Lock()
        self._keep = keep
        self._keep_characters = keep_characters
        self._deliveries: deque[tuple[Delivery, int]] = deque()
        self._characters = 0
        self._totals: dict[str, int] = {}
        # One string per triple costs a third of a tuple. Neither addresses nor ids hold blanks.
        self._each: dict[str, dict[str, int]] = {}

    def put(self, delivery: Delivery) -> None:
        """Add one."""
        size = _characters(delivery.data)
        key = f"{delivery.to} {delivery.message_id}"
        with self._lock:
            self._totals[delivery.provider] = self._totals.get(delivery.provider, 0) + 1
            counts = self._each.setdefault(delivery.provider, {})
            counts[key] = counts.get(key, 0) + 1
            self._deliveries.append((delivery, size))
            self._characters += size
            while len(self._deliveries) > self._keep or (
                self._characters > self._keep_characters and len(self._deliveries) > 1
            ):
                self._characters -= self._deliveries.popleft()[1]

    def withdraw(self, provider: str, id: str) -> None:
        """Show what a provider accepted under an id as taken back, as far as it is kept."""
        with self._lock:
            self._deliveries = deque(
                (replace(d, withdrawn=True) if (d.provider, d.id) == (provider, id) else d, size)
                for d, size in self._deliveries
            )

    def change(self, provider: str, id: str, **data: Any) -> None:
        """Show more of what a provider accepted under an id, as far as it is kept."""
        with self._lock:
            self._deliveries = deque(
                (replace(d, data=d.data | data) if (d.provider, d.id) == (provider, id) else d, size)
                for d, size in self._deliveries
            )

    def all(self, provider: str | None = None, to: str | None = None) -> list[Delivery]:
        """The deliveries kept, oldest first, of one provider or recipient where given."""
        with self._lock:
            return [
                d
                for d, _ in self._deliveries
                if (provider is None or d.provider == provider) and (to is None or d.to == to)
            ]

    def count(self, provider: str | None = None) -> int:
        """How many were ever accepted."""
        with self._lock:
            return sum(n for name, n in self._totals.items() if provider is None or name == provider)

    def totals(self) -> dict[str, int]:
        """How many each provider ever accepted."""
        with self._lock:
            return dict(self._totals)

    def accepted(self, to: str, message_id: str | None = None, provider: str | None = None) -> int:
        """How many times a recipient was ever accepted: for one message where given, by one provider where given.

        Quick with a message id; without one it looks at everything.
        """
        with self._lock:
            found = [counts for name, counts in self._each.items() if provider is None or name == provider]
            if message_id is not None:
                return sum(counts.get(f"{to} {message_id}", 0) for counts in found)
            return sum(n for counts in found for key, n in counts.items() if key.partition(" ")[0] == to)

    def each(self) -> Iterator[Acceptance]:
        """Every recipient and message that was ever accepted, and how often by whom."""
        with self._lock:
            copies = {provider: dict(counts) for provider, counts in self._each.items()}
        for i, counts in enumerate(copies.values()):
            earlier = list(copies.values())[:i]
            for key in counts:
                if not any(key in other for other in earlier):
                    to, _, message_id = key.partition(" ")
                    times = {provider: found[key] for provider, found in copies.items() if key in found}
                    yield Acceptance(to, message_id, times)

    def repeated(self) -> list[Acceptance]:
        """The messages that were accepted more than once for the same recipient, by the same provider or by several.

        Only where a message's id rides along: without it, two deliveries may well be two messages.
        """
        return [found for found in self.each() if found.message_id and sum(found.times.values()) > 1]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._deliveries.clear()
            self._characters = 0
            self._totals.clear()
            self._each.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """The deliveries kept, as plain data."""
        return [asdict(d) for d in self.all()]


def _characters(value: Any) -> int:
    """About how much text there is in plain data."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 8
