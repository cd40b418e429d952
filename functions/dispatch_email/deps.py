"""Wires the email dispatch function."""

from functools import cache

from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.wiring import build_dispatcher
from shared.model.words import Channel


@cache
def deps() -> Dispatcher:
    """The function's dispatcher, built on first use and kept with its connections."""
    return build_dispatcher(Channel.EMAIL)
