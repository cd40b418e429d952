"""Checks what callers give as an account's settings and secret, and names what is wrong without repeating it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from shared.errors import FieldError, invalid, invalid_field
from shared.model.accounts import ProviderSettings
from shared.model.findings import details, plain_words
from shared.net.network import Network
from shared.providers.registry import secret_model, settings_adapter, settings_model
from shared.providers.table import PROVIDERS

MASK = "••••••"
"""What stands for a secret in every answer."""


def read_settings(given: Mapping[str, Any]) -> ProviderSettings:
    """The settings of the provider that they name. Raises: InvalidError naming each field."""
    try:
        return settings_adapter().validate_python(given)
    except ValidationError as error:
        raise invalid(list(_settings_errors(error))) from None


def read_secret(provider: str, given: Mapping[str, Any]) -> dict[str, str]:
    """A provider's secret in plain, ready to be stored; empty if it has none. Raises: InvalidError."""
    masked = [name for name, value in given.items() if value == MASK]
    if masked:
        raise invalid(
            [FieldError(field=f"secret.{name}", message="this is the mask, not the secret") for name in masked],
            "Give the secret itself, or leave `secret` out to keep the one that is stored.",
        )
    try:
        secret = secret_model(provider).model_validate(given)
    except ValidationError as error:
        raise invalid(list(_errors(error, "secret", 0))) from None
    values = {name: getattr(secret, name) for name in type(secret).model_fields}
    return {name: value.get_secret_value() for name, value in values.items() if isinstance(value, SecretStr)}


def check_together(settings: ProviderSettings, given: Collection[str]) -> None:
    """Check settings against the fields of the secret that are given or stored. Raises: InvalidError."""
    missing = settings.missing_secret(given)
    if missing is not None:
        field, why = missing
        raise invalid_field(f"secret.{field}", why)


def check_secret_stays(provider: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse to let a stored secret go to another server, or be used as another's. Raises: InvalidError.

    before, after: settings as they are stored.
    """
    changed = settings_model(provider).binding_changes(before, after)
    if changed:
        names = ", ".join(f"`{name}`" for name in changed)
        why = f"give it again because of the change of {names}: a stored secret stays with what it was given for"
        raise invalid_field("secret", f"{why}; give {{}} if the account is to have none")


def check_servers(settings: ProviderSettings, network: Network) -> None:
    """Refuse settings that name a server where accounts may not connect to. Raises: InvalidError.

    The same is judged anew at every connection: this is to say it while somebody looks.
    """
    for setting, host, port in settings.servers():
        problem = network.problem(host, port)
        if problem is not None:
            raise invalid_field(f"settings.{setting}", problem)


def _settings_errors(error: ValidationError) -> Iterator[FieldError]:
    first = details(error)[0]
    if first["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        yield FieldError(field="settings.provider", message=f"give one of {', '.join(PROVIDERS)}")
        return
    # The place begins with the provider's name, which is no part of the caller's path.
    yield from _errors(error, "settings", 1)


def _errors(error: ValidationError, where: str, skip: int) -> Iterator[FieldError]:
    for found in details(error)[:50]:
        path = ".".join([where, *(str(part) for part in found["loc"][skip:])])
        yield FieldError(field=path, message=plain_words(found))
