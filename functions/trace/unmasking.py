"""Shows whole addresses, to keys that may see them, and records who looked before anything is shown."""

from collections.abc import Sequence
from typing import NamedTuple

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.api.kit import Call
from shared.api.trace import MessageView
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import NotRecordedError
from shared.model.audit import record_look
from shared.model.clock import Clock
from shared.model.words import Scope, Stage
from shared.policy.sealing import Sealer
from shared.store.audit import AuditLog
from shared.store.catalog import Catalog
from shared.store.kept_events import KeptEvent

logger = Logger(child=True)

_NOT_KEPT = (
    "Not kept: the setting `keep_addresses` was off when it was sent, or it was sent before addresses were kept."
)
_NO_ADDRESS = "Not kept: what was given as the address is none."


class Found(NamedTuple):
    """A message and its events."""

    id: str
    events: Sequence[KeptEvent]
    view: MessageView

    @property
    def sealed(self) -> str | None:
        """Its address, as it is kept."""
        return next((event.sealed_address for event in self.events if event.sealed_address), None)


class Unmasking(Struct, frozen=True):
    """Puts whole addresses into views of messages."""

    catalog: Catalog
    audit: AuditLog
    clock: Clock

    def check(self, call: Call, wanted: bool) -> bool:
        """Whether addresses are to be shown whole. Raises: ForbiddenError if the caller's key may not see them."""
        if wanted:
            call.require_scope(Scope.UNMASK, "To see whole addresses")
        return wanted

    def show(self, call: Call, target: str, found: Sequence[Found]) -> list[MessageView]:
        """The views, with the addresses that are kept. One record names all messages whose address is shown.

        target: what was looked at, such as `message/<id>`. Raises: NotRecordedError if it cannot be recorded; then no
        address is shown.
        """
        kept = [each for each in found if each.sealed is not None]
        tenant = self.catalog.tenant(call.caller.tenant) if kept else None
        if tenant is None:
            return [_with(each, None) for each in found]
        self._record(call, target, [each.id for each in kept])
        sealer = Sealer(tenant.salt)
        return [_with(each, each.sealed and sealer.open(each.id, each.sealed)) for each in found]

    def _record(self, call: Call, target: str, ids: Sequence[str]) -> None:
        key = self.catalog.key(call.caller.key_id)
        who_name = "" if key is None else key.name
        caller = call.caller
        record = record_look(self.clock.now_ms(), caller.tenant, caller.key_id, who_name, target, ids)
        try:
            self.audit.add(record)
        except AWS_ERRORS as error:
            log_error(logger, "a look at addresses cannot be recorded", error)
            raise NotRecordedError(
                "The look at whole addresses cannot be recorded just now, so none is shown. Try again."
            ) from None


def _with(found: Found, address: str | None) -> MessageView:
    note = None
    if address is None:
        invalid = found.view.to is None and found.view.status is Stage.REJECTED
        note = _NO_ADDRESS if invalid else _NOT_KEPT
    return found.view.model_copy(update={"address": address, "address_note": note})
