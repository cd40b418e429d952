"""Wires the function of recipients' preferences."""

from functools import cache

from functions.preferences.answering import Preferences
from functions.preferences.function import PreferencesSettings
from shared.wiring.parts import Parts


@cache
def deps() -> Preferences:
    """What answers, built on first use."""
    return preferences_of(Parts(PreferencesSettings.load()))


def preferences_of(parts: Parts) -> Preferences:
    """What answers a recipient's page."""
    return Preferences(parts.catalog, parts.suppressions, parts.timeline, parts.receipt_queue, parts.clock)
