"""Wires the function that takes callbacks."""

from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.callbacks.answering import Callbacks
from functions.callbacks.function import CallbacksSettings
from shared.wiring.parts import Parts


@dataclass(frozen=True, slots=True)
class CallbacksDeps:
    """What answers callbacks, where it counts those that it refuses, and for which deployment."""

    callbacks: Callbacks
    metrics: EphemeralMetrics
    deployment: str


@cache
def deps() -> CallbacksDeps:
    """The function's parts, built on first use."""
    settings = CallbacksSettings.load()
    return CallbacksDeps(callbacks_of(Parts(settings)), EphemeralMetrics(), settings.deployment)


def callbacks_of(parts: Parts) -> Callbacks:
    """What answers callbacks."""
    # Few vendors have their secrets asked for, so the client for it is made when the first of them calls.
    return Callbacks(parts.catalog, lambda: parts.secrets, parts.receipt_queue, parts.clock)
