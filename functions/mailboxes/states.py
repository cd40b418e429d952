"""What becomes of what is known of a mailbox: when it may be tried, and what a look into it changes. Pure."""

from collections import Counter

from shared.model.accounts import Account
from shared.model.inboxes import MOST_KEPT, InboxState
from shared.providers.mailboxes import Found

MINUTE_MS = 60_000
FIRST_PAUSE_MINUTES = 10
LONGEST_PAUSE_MINUTES = 360
"""After each failure the pause is twice as long. Services that block clients go on doing so while they are asked."""
SLACK_MS = 2 * MINUTE_MS
"""How much earlier than its time a mailbox may be tried: a schedule does not fire to the second."""


def state_for(account: Account, where: str, known: InboxState | None) -> InboxState:
    """What counts for a mailbox now. Another mailbox begins anew; a new secret is tried at once."""
    if known is None or known.where != where:
        return InboxState(where=where, secret_version=account.secret_version)
    if known.secret_version != account.secret_version:
        return known.model_copy(update={"secret_version": account.secret_version, "next_at": 0, "failures": 0})
    return known


def is_due(state: InboxState, now: int) -> bool:
    """Whether a mailbox may be tried."""
    return now >= state.next_at


def claimed(state: InboxState, now: int) -> InboxState:
    """What is stored before a look, so that one that breaks off is not followed by another at once."""
    return state.model_copy(update={"next_at": now + FIRST_PAUSE_MINUTES * MINUTE_MS - SLACK_MS})


def after(state: InboxState, found: Found, now: int) -> InboxState:
    """What is known after a look."""
    counts = Counter(state.counts) + found.counts
    unread = [*reversed(found.unread), *state.unread][:MOST_KEPT]
    read = {"place": found.place, "counts": dict(counts), "unread": unread}
    if found.problem is None:
        return state.model_copy(update={**read, "looked_at": now, "failures": 0, "failing_since": None})
    failures = state.failures + 1
    pause = min(FIRST_PAUSE_MINUTES * 2 ** min(failures - 1, 10), LONGEST_PAUSE_MINUTES)
    return state.model_copy(
        update={
            **read,
            "failures": failures,
            "failing_since": state.failing_since or now,
            "problem": found.problem,
            "problem_at": now,
            "next_at": now + pause * MINUTE_MS - SLACK_MS,
        }
    )
