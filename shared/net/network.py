"""What a deployment may connect to for accounts: a host is resolved once, and each of its addresses is judged.

Whoever connects then goes to one of these addresses and asks no resolver again, so a name that answers otherwise the
next time (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from shared.net.addresses import Address, AnyNetwork, Kind, effective, is_within, kind_of

WHY = "accounts may connect to servers on the internet only"
HOW = "a private server can be allowed by `private_networks` of the deployment"


class ForbiddenAddressError(OSError):
    """A host leads to where accounts may not connect; nothing was connected to."""

    def __init__(self) -> None:
        super().__init__(WHY)


class Spot(Struct, frozen=True):
    """One address of a host, as sockets take it."""

    family: int
    address: Any

    @property
    def ip(self) -> Address:
        """The bare address, without the zone that a resolver may add."""
        return ipaddress.ip_address(str(self.address[0]).partition("%")[0])


class Network(Struct, frozen=True):
    """What may be reached beside the internet."""

    loopback: bool = False
    """This machine, for the sandboxes of the local stack."""
    private: tuple[AnyNetwork, ...] = ()
    """Networks of the company's own."""

    def resolve(self, host: str, port: int) -> list[Spot]:
        """The addresses of a host, in the order to try them: its families take turns (RFC 8305 section 4).

        Raises: ForbiddenAddressError if one of them may not be reached; socket.gaierror, other OSError.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            # Python's own reading of a name before the resolver sees it: a label too long, or empty.
            raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
        spots = list(dict.fromkeys(Spot(int(family), address) for family, _, _, _, address in found))
        # One that may not be reached among others is no accident: nobody's mail server is half inside of ours.
        if not all(self.allows(spot.ip) for spot in spots):
            raise ForbiddenAddressError
        return _taking_turns(spots)

    def allows(self, address: Address) -> bool:
        """Whether an address may be connected to."""
        kind = kind_of(address)
        if kind is Kind.LOOPBACK:
            return self.loopback
        if kind is Kind.PRIVATE:
            return is_within(effective(address), self.private)
        return kind is Kind.PUBLIC

    def problem(self, host: str, port: int) -> str | None:
        """Why an account may not name a host, as far as can be known now; a host that is not found is none."""
        try:
            self.resolve(host, port)
        except ForbiddenAddressError:
            return f"{WHY}; {HOW}"
        except OSError:
            return None
        return None


PUBLIC = Network()
"""The internet alone."""


def _taking_turns(spots: Sequence[Spot]) -> list[Spot]:
    first = [spot for spot in spots if spot.family == spots[0].family]
    other = [spot for spot in spots if spot.family != spots[0].family]
    turns: list[Spot] = []
    for index in range(max(len(first), len(other))):
        turns += [*first[index : index + 1], *other[index : index + 1]]
    return turns
