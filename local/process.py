"""What the local stack changes in its process while it runs, and puts back: providers, boto3's loader, variables."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore.loaders import create_loader

from local.deployment import REGION
from shared.dispatch import accounts
from shared.net import http
from shared.providers.base import Provider
from shared.providers.registry import build_provider

# Nothing of a developer's AWS configuration may count here: neither keys nor profiles nor endpoints.
_AWS_ENVIRONMENT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": REGION,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def closing_providers() -> Iterator[None]:
    """Close the connections of the providers that functions keep, as they would end with their environments."""
    made: list[Provider] = []

    def build(*arguments: Any) -> Provider:
        made.append(build_provider(*arguments))
        return made[-1]

    with patch.object(accounts, "build_provider", build):
        yield
    for provider in made:
        provider.close()


@contextmanager
def closing_connections() -> Iterator[None]:
    """Close the connections of the HTTP clients that functions keep for themselves."""
    made: list[Any] = []
    make = http._transport

    def transport(*arguments: Any) -> Any:
        made.append(make(*arguments))
        return made[-1]

    with patch.object(http, "_transport", transport):
        yield
    for each in made:
        each.close()


@cache
def loader() -> Any:
    """Reads the services' descriptions: several megabytes, the same for each session of a process."""
    return create_loader()


@contextmanager
def aws_environment() -> Iterator[None]:
    """Have this process know of no AWS but the stack's own; the environment is put back afterwards."""
    unwanted = [n for n in os.environ if n.startswith(("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ROLE", "AWS_WEB_"))]
    before = {name: os.environ.get(name) for name in (*_AWS_ENVIRONMENT, *unwanted)}
    for name in unwanted:
        del os.environ[name]
    os.environ.update(_AWS_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
