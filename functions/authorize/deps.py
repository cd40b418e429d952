"""Wires the authorizer."""

from functools import cache

from msgspec import Struct

from shared.base.settings import CatalogSettings
from shared.model.clock import Clock
from shared.store.keys import KeyStore
from shared.wiring.parts import Parts


class AuthorizeDeps(Struct, frozen=True):
    """What the authorizer works with."""

    keys: KeyStore
    clock: Clock


@cache
def deps() -> AuthorizeDeps:
    """The function's parts, built on first use."""
    parts = Parts(CatalogSettings.load())
    return AuthorizeDeps(parts.keys, parts.clock)
