"""Who falls back: whose message came to an end by which another channel may take over.

Of messages that were sent, and must come to more, `shared/policy/awaiting.py` decides.
"""

from collections.abc import Sequence

from shared.model.envelope import FallbackLeg
from shared.model.reasons import Blame, Reason, blame_of
from shared.model.words import MessageClass, Stage


def falls_back(stage: str, reason: str | None, message_class: MessageClass) -> bool:
    """Whether a message that certainly was not sent, and ended so, is sent by another channel.

    Quiet hours are quiet on every channel, and a duplicate, a capped or a recalled message is not wanted on any.
    """
    if stage == Stage.FAILED:
        # As with the suppression list, codes are sent to who opted out.
        return blame_of(reason) is not Blame.WISH or message_class is MessageClass.VERIFICATION
    if stage == Stage.EXPIRED:
        return reason != Reason.QUIET_HOURS
    # Entries of the suppression list speak of one address, or are people's wish, which holds for every road.
    return stage == Stage.DEAD_LETTERED or (stage == Stage.SUPPRESSED and blame_of(reason) is Blame.RECIPIENT)


def expires_at(legs: Sequence[FallbackLeg], start: int, end: int) -> int:
    """When messages expire that fall back to `legs`. start: from when on they may be sent. end: of the whole time."""
    after_s = legs[0].after_s if legs else None
    return end if after_s is None else min(end, start + 1000 * after_s)
