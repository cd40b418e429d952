"""For how long events are kept: as the tenant's settings say of the class, else as the deployment does."""

from collections.abc import Mapping
from typing import Protocol

from shared.base.cache import TtlCache
from shared.model.clock import Clock
from shared.model.events import StreamRecord
from shared.model.tenants import TenantSettings
from shared.model.words import MessageClass

REMEMBERED_S = 300
"""How long a process may go by an earlier version of the settings: so a lone code's trace seldom reads them."""


class Settings(Protocol):
    """Where settings are read."""

    def settings(self, tenant: str) -> TenantSettings: ...


class Retention:
    """Says for how many days the events of a record are kept. Raises: what reading the settings raises."""

    def __init__(self, settings: Settings, clock: Clock, days: int) -> None:
        self._settings = settings
        self._days = days
        self._known: TtlCache[Mapping[MessageClass, int]] = TtlCache(clock, REMEMBERED_S, 500, REMEMBERED_S)

    def __call__(self, record: StreamRecord) -> int:
        tenant = record.tenant
        own = self._known.get(tenant, lambda: self._settings.settings(tenant).retention) or {}
        return own.get(record.message_class, self._days)
