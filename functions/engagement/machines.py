"""Tells openings and clicks of machines from those of people, by what a single request shows. Pure.

Many mail servers fetch all that a message links to before anybody reads it, and some programs fetch pictures as soon as
a message arrives. Some of them look like people: what they follow at once tells them apart later, by all that is known
of a message (`shared/policy/engagement.py`).
"""

import re
from typing import Final

from shared.model.engagement import MachineSign
from shared.model.ids import ulid_time

SOONEST_MS: Final = 2_000
"""Nobody reads a message so soon after it was accepted: scanners come while it is being delivered."""
_SCANNERS = re.compile(
    r"barracuda|bingpreview|existence discovery|proofpoint|mimecast|symantec|trendmicro|safelinks|urldefense|"
    r"(?<!cu)bot\b|crawler|spider|preview|scanner|monitor|"
    r"python-|curl/|wget/|go-http-client|java/|okhttp|libwww|httpclient|headlesschrome|phantomjs|node-fetch|axios",
    re.IGNORECASE,
)
"""In the User-Agent of scanners and of programs; Cubot makes telephones.

Sources: Mautic's list of bots, reports to listmonk and GoPhish.
"""
_PEOPLES_PROXIES = re.compile(r"googleimageproxy|yahoomailproxy", re.IGNORECASE)
"""They fetch a picture when somebody opens the message, for whom they hide the address."""
_PREFETCHING: Final = frozenset({"Mozilla/5.0"})
"""Apple Mail Privacy Protection: it fetches pictures when messages arrive, opened or not."""
_GMAIL_PREFETCH: Final = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246"
"""Gmail fetches pictures of some messages before they are opened, under this name (SparkPost, 2022)."""


def sign_of(user_agent: str, message_id: str | None, now_ms: int) -> MachineSign | None:
    """By what a request is known to be a machine's; None if it may be a person's.

    message_id: its time is when the message was accepted; None if nobody knows which it is.
    """
    agent = user_agent.strip()
    if not agent:
        return MachineSign.NO_NAME
    if _PEOPLES_PROXIES.search(agent):
        return None
    if agent in _PREFETCHING or _GMAIL_PREFETCH in agent:
        return MachineSign.PREFETCH
    if _SCANNERS.search(agent):
        return MachineSign.SCANNER
    soon = message_id is not None and now_ms - ulid_time(message_id) < SOONEST_MS
    return MachineSign.TOO_SOON if soon else None
