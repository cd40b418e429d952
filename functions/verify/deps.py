"""Wires the function that checks codes."""

from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.verify.function import VerifySettings
from functions.verify.operations import Verifying
from shared.api.kit import Api
from shared.wiring.parts import Parts


@cache
def deps() -> Api:
    """The function's API, built on first use."""
    return Api(verifying_of(Parts(VerifySettings.load())).operations())


def verifying_of(parts: Parts) -> Verifying:
    """What checks codes."""
    return Verifying(parts.catalog, parts.verifications, parts.receipt_queue, parts.clock, EphemeralMetrics())
