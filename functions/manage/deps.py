"""Wires the manage function."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from functions.manage.function import ManageSettings
from shared.aws.mappings import QueueMappings
from shared.aws.secrets import SecretStore
from shared.model.clock import Clock
from shared.net.dns import Lookups
from shared.providers.base import TokenCache
from shared.store.audit import AuditLog
from shared.store.catalog import Catalog
from shared.store.inboxes import Inboxes
from shared.store.pumping import Pumping
from shared.store.suppressions import Suppressions
from shared.store.tokens import MemoryTokenCache
from shared.wiring.parts import Parts

IMPORT_THREADS = 16


@dataclass(frozen=True, slots=True)
class ManageDeps:
    """What the operations work with."""

    catalog: Catalog
    audit: AuditLog
    inboxes: Inboxes
    suppressions: Suppressions
    pumping: Pumping
    secrets: SecretStore
    tokens: TokenCache
    mappings: QueueMappings
    clock: Clock
    lookups: Callable[[], Lookups]
    """Makes what asks the DNS, for one check."""
    settings: ManageSettings


@cache
def deps() -> ManageDeps:
    """The function's parts, built on first use."""
    settings = ManageSettings.load()
    return deps_of(Parts(settings, pool=ThreadPoolExecutor(IMPORT_THREADS, "import")), settings)


def deps_of(parts: Parts, settings: ManageSettings) -> ManageDeps:
    """What the operations work with, made of parts."""
    return ManageDeps(
        parts.catalog,
        parts.audit_log,
        parts.inboxes,
        parts.suppressions,
        parts.pumping,
        parts.secrets,
        MemoryTokenCache(parts.clock),
        parts.mappings,
        parts.clock,
        parts.lookups,
        settings,
    )
