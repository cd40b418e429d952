"""Wires the manage function."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from functions.manage.function import ManageSettings
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.mappings import QueueMappings
from shared.aws.secrets import SecretStore
from shared.model.clock import Clock
from shared.providers.base import TokenCache
from shared.store.audit import AuditLog
from shared.store.catalog import Catalog
from shared.store.suppressions import Suppressions
from shared.store.tokens import MemoryTokenCache

IMPORT_THREADS = 16


@dataclass(frozen=True, slots=True)
class ManageDeps:
    """What the operations work with."""

    catalog: Catalog
    audit: AuditLog
    suppressions: Suppressions
    secrets: SecretStore
    tokens: TokenCache
    mappings: QueueMappings
    clock: Clock
    settings: ManageSettings


@cache
def deps() -> ManageDeps:
    """The function's parts, built on first use."""
    settings = ManageSettings.load()
    clock = service_clock(settings.catalog_table)
    dynamodb = client("dynamodb")
    return ManageDeps(
        Catalog(dynamodb, settings.catalog_table, clock),
        AuditLog(dynamodb, settings.catalog_table),
        Suppressions(dynamodb, settings.catalog_table, clock, ThreadPoolExecutor(IMPORT_THREADS, "import")),
        SecretStore(client("secretsmanager"), settings.secret_prefix, clock=clock),
        MemoryTokenCache(clock),
        QueueMappings(client("lambda"), settings.queue_mappings),
        clock,
        settings,
    )
