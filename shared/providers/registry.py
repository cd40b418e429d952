"""Finds providers by name, without loading the others."""

from functools import cache
from importlib import import_module
from typing import Annotated, Any, Union, cast

from pydantic import Field, TypeAdapter

from shared.model.accounts import ProviderSecret, ProviderSettings
from shared.providers.base import Provider, ProviderModule, Tools
from shared.providers.table import PROVIDERS


@cache
def provider_module(name: str) -> ProviderModule:
    """Import a provider's module. Raises: KeyError for a name that is not registered."""
    return cast(ProviderModule, import_module(PROVIDERS[name].module))


def build_provider(settings: dict[str, Any], secret: dict[str, Any], tools: Tools) -> Provider:
    """Make the provider that `settings["provider"]` names.

    Raises: pydantic.ValidationError for settings or a secret that do not fit.
    """
    module = provider_module(settings["provider"])
    return module.build(module.Settings.model_validate(settings), module.Secret.model_validate(secret), tools)


@cache
def settings_adapter() -> TypeAdapter[ProviderSettings]:
    """Validate the settings of any provider, told apart by `provider`."""
    union: Any = Union[tuple(provider_module(name).Settings for name in PROVIDERS)]  # noqa: UP007 - made at run time
    return TypeAdapter(Annotated[union, Field(discriminator="provider")])


def secret_model(provider: str) -> type[ProviderSecret]:
    """The model of a provider's secret."""
    return cast(type[ProviderSecret], provider_module(provider).Secret)


def settings_model(provider: str) -> type[ProviderSettings]:
    """The model of a provider's settings."""
    return cast(type[ProviderSettings], provider_module(provider).Settings)
