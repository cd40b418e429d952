"""Looks records up in the DNS, by dnspython: nothing is connected to that an answer names."""

import time
from typing import Any, Literal, Protocol

from msgspec import Struct

RecordType = Literal["A", "AAAA", "CNAME", "MX", "TXT"]

_SECONDS = 12.0
_SECONDS_EACH = 4.0


class Answer(Struct, frozen=True):
    """What the DNS says of a name."""

    records: tuple[str, ...] = ()
    """TXT as one text each, MX as `10 mail.example.com`, names without the dot at their end."""
    failed: bool = False
    """Nobody answered, or not in time: nothing is known of what there is."""


class Lookups(Protocol):
    """Whoever looks names up."""

    def find(self, name: str, kind: RecordType) -> Answer:
        """The records of a name; none where there is no such name. Never raises."""
        ...


class Resolver:
    """Asks the machine's own resolver, for so many seconds in all; what is asked after that has failed.

    server: another, as `address:port`; empty for the machine's own. An instance is for one check: it remembers what it
    was told.
    """

    def __init__(self, seconds: float = _SECONDS, server: str = "") -> None:
        self._until = time.monotonic() + seconds
        self._server = server
        self._known: dict[tuple[str, RecordType], Answer] = {}

    def find(self, name: str, kind: RecordType) -> Answer:
        """See `Lookups`."""
        wanted = name.rstrip(".").lower(), kind
        if wanted not in self._known:
            self._known[wanted] = self._ask(*wanted)
        return self._known[wanted]

    def _ask(self, name: str, kind: RecordType) -> Answer:
        import dns.exception
        import dns.name
        import dns.resolver

        left = self._until - time.monotonic()
        if left <= 0:
            return Answer(failed=True)
        try:
            found = self._resolver(dns.resolver).resolve(
                f"{name}.", kind, search=False, lifetime=min(left, _SECONDS_EACH)
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Answer()
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return Answer()  # such a name cannot have records
        except (dns.exception.DNSException, OSError):
            return Answer(failed=True)
        return Answer(tuple(sorted(_text(record) for record in found)))

    def _resolver(self, module: Any) -> Any:
        resolver = module.Resolver(configure=not self._server)
        if self._server:
            address, _, port = self._server.rpartition(":")
            resolver.nameservers, resolver.port = [address], int(port)
        return resolver


def _text(record: Any) -> str:
    if hasattr(record, "strings"):
        return b"".join(record.strings).decode("utf-8", "replace")
    if hasattr(record, "exchange"):
        return f"{record.preference} {str(record.exchange).rstrip('.')}"
    return str(getattr(record, "target", record)).rstrip(".")
