"""Wires the authorizer."""

from dataclasses import dataclass
from functools import cache

from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.base.settings import CatalogSettings
from shared.model.clock import Clock
from shared.store.catalog import Catalog


@dataclass(frozen=True, slots=True)
class AuthorizeDeps:
    """What the authorizer works with."""

    catalog: Catalog
    clock: Clock


@cache
def deps() -> AuthorizeDeps:
    """The function's parts, built on first use."""
    settings = CatalogSettings.load()
    clock = service_clock(settings.catalog_table)
    return AuthorizeDeps(Catalog(client("dynamodb"), settings.catalog_table, clock), clock)
