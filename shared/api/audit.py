"""Makes the audit log's record of what a call changes: who it was comes from the API key alone."""

from pydantic import BaseModel

from shared.api.kit import Call
from shared.model.audit import AuditRecord, record_change
from shared.model.clock import Clock
from shared.store.keys import KeyStore


class Auditor:
    """Makes records; whoever writes the change writes them with it."""

    def __init__(self, keys: KeyStore, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def record(
        self,
        call: Call,
        target: str,
        before: BaseModel | None,
        after: BaseModel | None,
        hidden: tuple[str, ...] = (),
    ) -> AuditRecord:
        """The record of a change. before, after: views, as the API shows them. hidden: changed fields they mask."""
        caller = call.caller
        key = self._keys.key(caller.key_id)
        return record_change(
            self._clock.now_ms(),
            caller.tenant,
            caller.key_id,
            call.operation,
            target,
            None if before is None else before.model_dump(mode="json", by_alias=True),
            None if after is None else after.model_dump(mode="json", by_alias=True),
            who_name="" if key is None else key.name,
            hidden=hidden,
        )
