"""Wires the function of tracked links."""

from functools import cache

from functions.engagement.answering import Engagement
from functions.engagement.function import EngagementSettings
from shared.wiring.parts import Parts


@cache
def deps() -> Engagement:
    """What answers, built on first use."""
    return engagement_of(Parts(EngagementSettings.load()))


def engagement_of(parts: Parts) -> Engagement:
    """What answers clicks and openings."""
    return Engagement(parts.catalog, parts.suppressions, parts.receipt_queue, parts.clock)
