"""The suppression list of the SES sandbox: it keeps the letter case of addresses, and wants it back as it is."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

PATH = "/v2/email/suppression/addresses"


@dataclass(slots=True)
class SuppressedList:
    """Addresses with their reason (`BOUNCE`, `COMPLAINT`) and since when, in seconds since the epoch."""

    entries: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, address: str, reason: str = "BOUNCE", at_s: float = 1_736_935_200.0) -> None:
        """Put an address on the list."""
        self.entries[address] = (reason, at_s)

    def page(self, size: int, token: str | None) -> dict[str, Any] | None:
        """An answer of ListSuppressedDestinations; None for a token that is none of ours."""
        if token is not None and not token.isdigit():
            return None
        start = int(token or 0)
        every = list(self.entries.items())
        some = every[start : start + size]
        rows = [{"EmailAddress": each, "Reason": reason, "LastUpdateTime": at} for each, (reason, at) in some]
        following = start + len(some)
        more = {"NextToken": str(following)} if following < len(every) else {}
        return {"SuppressedDestinationSummaries": rows, **more}

    def remove(self, path: str) -> bool:
        """Whether the address at the end of a path was there, letter for letter."""
        return self.entries.pop(unquote(path.removeprefix(PATH).lstrip("/")), None) is not None
