"""What must not be the same in all processes that Lambda starts from one snapshot of a process (SnapStart).

Who keeps something of that kind says here how it is put away before the snapshot, and made anew in each process that
is started from it. `shared.wiring.starting` tells Lambda. ADR 30 lists what needs no such care, and why.
"""

import os
import random
import ssl
from collections.abc import Callable

Hook = Callable[[], object]

_before: list[Hook] = []
_after: list[Hook] = []


def before_snapshot(hook: Hook) -> Hook:
    """Have a hook called before a snapshot is taken; a decorator."""
    _before.append(hook)
    return hook


def after_restore(hook: Hook) -> Hook:
    """Have a hook called in each process that is started from a snapshot, before its first event; a decorator."""
    _after.append(hook)
    return hook


def put_away() -> None:
    """Call what is to be called before a snapshot, the last one first."""
    for hook in reversed(_before):
        hook()


def make_anew() -> None:
    """Call what is to be called after a restore, in order. Lambda gives it ten seconds, with all else of a restore."""
    for hook in _after:
        hook()


@after_restore
def _draw_anew() -> None:
    """Waits, weights and versions of records are drawn from `random`, which goes on from the same state everywhere
    otherwise. Ids and secrets come from the operating system, which Lambda gives other randomness. So does the library
    that encrypts connections, but not before it has drawn a while."""
    random.seed()
    ssl.RAND_add(os.urandom(64), 64.0)
