"""Wires the email dispatch function."""

from functools import cache

from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.function import DispatchSettings
from shared.model.words import Channel
from shared.wiring.dispatch import DispatchParts


@cache
def deps() -> Dispatcher:
    """The function's dispatcher, built on first use and kept with its connections."""
    return DispatchParts(DispatchSettings.load()).dispatcher(Channel.EMAIL)
