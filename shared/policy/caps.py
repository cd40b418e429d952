"""How far a cap looks back."""

from datetime import datetime
from zoneinfo import ZoneInfo

from shared.model.policies import Cap


def since(cap: Cap, now: int, zone: str) -> int:
    """Messages count that are later than this: milliseconds since the epoch, as is `now`.

    zone: the IANA name of the time zone whose days count, for a cap per day.
    """
    if cap.minutes is not None:
        return now - cap.minutes * 60_000
    today = datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Where a day begins at one o'clock, midnight is taken by the clock of the day before: the same moment.
    return round(today.replace(fold=0).timestamp() * 1000) - 1
