"""Whether the addresses of a tenant's messages are kept, and what seals them."""

from typing import Protocol

from aws_lambda_powertools import Logger

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.model.events import Seal
from shared.model.tenants import Tenant, TenantSettings
from shared.policy.sealing import Sealer

logger = Logger(child=True)


class Configured(Protocol):
    """Where it is read what people have configured; seconds old at most."""

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def settings(self, tenant: str) -> TenantSettings: ...


class Seals:
    """What seals the addresses of each tenant; kept, as a key takes a moment to make. Thread-safe."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self._sealers: dict[str, Sealer] = {}

    def of(self, tenant_id: str) -> Seal | None:
        """What seals a tenant's addresses; None if they are not kept, or if that cannot be read just now.

        What is told of messages that are queued or sent already must not fail for an address that nobody may miss.
        """
        try:
            tenant = self._configured.tenant(tenant_id)
            if tenant is None or not self._configured.settings(tenant_id).keep_addresses:
                return None
        except AWS_ERRORS as error:
            log_error(logger, "addresses not kept", error)
            return None
        return self._sealers.setdefault(tenant_id, Sealer(tenant.salt)).seal
