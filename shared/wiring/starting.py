"""How a function starts in Lambda: what it works with is made while the process starts, not with its first event.

Lambda starts processes with more processor time than it runs them with, often before an event is there, and may keep
a snapshot of a started one for others to go on from.
"""

import os
from collections.abc import Callable, Iterable
from importlib import import_module

from shared.aws.clock import look
from shared.base import garbage, snapshots
from shared.model.base import make_validators

_SNAPSHOT = "snap-start"


def start(make: Callable[[], object], ahead: Iterable[str] = ()) -> None:
    """Make a function's parts, with their clients, and ask AWS what time it is, which opens a connection.

    ahead: modules that are imported before a snapshot, since all who go on from it have them then; otherwise by the
    event that needs them. The validators of models are made before a snapshot, too. Elsewhere than in Lambda nothing is
    done: tests and the local stack make parts when they need them. Raises: what making them raises, upon which Lambda
    starts anew.
    """
    how = os.environ.get(garbage.HOW)
    if how is None:
        return
    make()
    look()
    if how == _SNAPSHOT:
        for name in ahead:
            import_module(name)
        make_validators()
        _tell_lambda()
    garbage.resume()


def _tell_lambda() -> None:
    # It is part of Lambda's Python and of no package (Lambda developer guide, "Lambda SnapStart runtime hooks for
    # Python").
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(snapshots.put_away)
    register_after_restore(snapshots.make_anew)
