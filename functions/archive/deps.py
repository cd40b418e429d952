"""Wires the function that puts events into the archive."""

from functools import cache

from functions.archive.archiving import Archiver
from shared.base.settings import ArchiveSettings
from shared.wiring.parts import Parts


@cache
def deps() -> Archiver:
    """What archives, built on first use."""
    return Archiver(Parts(ArchiveSettings.load()).firehose)
