"""The vendors: one line each, and from it follows what their folders declare."""

from importlib import import_module

from shared.model.words import Channel
from shared.providers.spec import ProviderSpec

FOLDERS = (
    "email.smtp",
    "email.ses",
    "sms.tencent",
    "sms.aws",
    "wecom.app",
    "wecom.robot",
)


def spec_of(folder: str) -> ProviderSpec:
    """What a folder declares. folder: such as `sms.aws`. Raises: ModuleNotFoundError if there is none."""
    spec: ProviderSpec = import_module(f"shared.providers.{folder}").SPEC
    return spec


PROVIDERS: dict[str, ProviderSpec] = {spec.name: spec for spec in map(spec_of, FOLDERS)}


def providers_of(*channels: Channel) -> tuple[ProviderSpec, ...]:
    """The providers of some channels."""
    return tuple(spec for spec in PROVIDERS.values() if spec.channel in channels)


def modules_of(*channels: Channel) -> tuple[str, ...]:
    """The modules of some channels' providers."""
    return tuple(spec.module for spec in providers_of(*channels))
