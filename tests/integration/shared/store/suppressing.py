"""The suppression list as tests of it fill it, and a client of its table that dies."""

from typing import Any

from shared.model.audit import AuditRecord, record_change
from shared.model.ids import Tagger
from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import Channel
from shared.store.suppressions import Suppressions

TAGGER = Tagger(b"salt", "email")


class DiedError(BaseException):
    """The function dies here; nothing may catch it."""


class Dying:
    """A client that dies before or after its n-th call; counts them."""

    def __init__(self, client: Any, at: int, after: bool) -> None:
        self._client, self._at, self._after, self.calls = client, at, after, 0

    def __getattr__(self, name: str) -> Any:
        if name == "exceptions":
            return self._client.exceptions

        def call(**arguments: Any) -> Any:
            self.calls += 1
            if self.calls == self._at and not self._after:
                raise DiedError
            answer = getattr(self._client, name)(**arguments)
            if self.calls == self._at:
                raise DiedError
            return answer

        return call


def nobody(n: int, channel: Channel = Channel.EMAIL, tenant: str = "default") -> Suppressed:
    address = f"u{n}@example.com"
    return Suppressed(tenant=tenant, channel=channel, address=address, tag=TAGGER(address))


def entry(
    reason: SuppressionReason = SuppressionReason.MANUAL, scope: SuppressionScope = SuppressionScope.ALL
) -> SuppressionEntry:
    return SuppressionEntry(scope=scope, reason=reason, at=1, by="k1")


def record(before: Suppressed, after: Suppressed) -> AuditRecord:
    return record_change(1, "default", "k1", "add_suppression", "suppression/email/x", None, {})


def add(found: Suppressions, recipient: Suppressed, *entries: SuppressionEntry) -> None:
    found.change(recipient, lambda before: before.plus(entries), record)


def remove(found: Suppressions, recipient: Suppressed, reason: SuppressionReason | None = None) -> None:
    found.change(recipient, lambda before: before.minus(None, reason), record)
