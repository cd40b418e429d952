"""The operations on erasures. No address is in a URL, in a log or in the audit log."""

import secrets
from dataclasses import dataclass

from shared.api.audit import Auditor
from shared.api.erasures import ErasureAudit, ErasureCreate, ErasureView
from shared.api.kit import Call, OperationFunction
from shared.aws.erasures import ErasureQueue
from shared.errors import invalid_field, not_found
from shared.model.address import AddressError, normalise
from shared.model.clock import Clock
from shared.model.erasures import Erasure, ErasureState, ErasureTask
from shared.model.ids import ALPHABET, TAG_LENGTH, Tagger, new_base
from shared.model.veils import Veil, veil_name
from shared.store.erasures import ErasureStore
from shared.store.tenants import TenantStore
from shared.store.veils import VeilStore

_GROUPS = frozenset({"@all", "@group"})


@dataclass(frozen=True, slots=True)
class Erasures:
    """What callers can do."""

    store: ErasureStore
    tenants: TenantStore
    veils: VeilStore
    queue: ErasureQueue
    auditor: Auditor
    clock: Clock

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {"create_erasure": self.create, "get_erasure": self.get}

    def create(self, call: Call) -> ErasureView:
        """Have a person forgotten; one who is being forgotten already is not forgotten twice. Raises: InvalidError."""
        body: ErasureCreate = call.body
        tenant = self.tenants.ensure_tenant(call.caller.tenant)
        address = _address(body, tenant.region)
        tag = Tagger(tenant.salt, body.channel.value)(address)
        name, now = veil_name(tag), self.clock.now_ms()
        found = self._under_way(tenant.id, name, body.keep_suppression)
        if found is None:
            # First of all nothing more may be sent. Whoever is erased a second time keeps their veil.
            veil = self.veils.put(tenant.id, name, Veil(_drawn(), now))
            found = Erasure(
                id=new_base(now),
                tenant=tenant.id,
                channel=body.channel,
                name=name,
                by=call.caller.key_id,
                at=now,
                keep_suppression=body.keep_suppression,
                address=address,
                tag=tag,
                veil=veil.tag,
            )
            about = ErasureAudit(channel=body.channel, name=name, keep_suppression=body.keep_suppression)
            self.store.create(found, self.auditor.record(call, f"erasure/{found.id}", None, about))
        self.queue.send(ErasureTask(tenant=tenant.id, erasure=found.id))
        return ErasureView.of(found)

    def get(self, call: Call) -> ErasureView:
        """How far an erasure is. Raises: NotFoundError."""
        stored = self.store.erasure(call.caller.tenant, call.path["id"])
        if stored is None:
            raise not_found("erasure")
        return ErasureView.of(stored.value)

    def _under_way(self, tenant: str, name: str, keep_suppression: bool) -> Erasure | None:
        for each in self.store.newest(tenant):
            same = each.name == name and each.keep_suppression == keep_suppression
            # What is waiting looks at messages up to its own time alone: who asks again has newer ones in mind.
            if same and each.state is ErasureState.ERASING and each.searches == 0:
                return each
        return None


def _address(body: ErasureCreate, region: str) -> str:
    try:
        address = normalise(body.channel.value, body.address, region)
    except AddressError as error:
        raise invalid_field("address", str(error)) from None
    if address in _GROUPS or address.startswith(("party:", "tag:")):
        raise invalid_field("address", "this is a group; give one person's address")
    return address


def _drawn() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(TAG_LENGTH))
