"""Which addresses are on the internet, and which lead to this machine, to its neighbours or to nowhere.

By IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its updates).
"""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Kind(StrEnum):
    """Where an address leads. RESERVED: nowhere that a provider could be, or to the metadata of a cloud."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    RESERVED = "reserved"


def _networks(*texts: str) -> tuple[AnyNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7")
"""What a company may number its own network with (RFC 1918, 6598, 2544, 4193); AWS takes all of it for a VPC."""
_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
_RESERVED = _networks(
    "0.0.0.0/8",
    "100.100.100.200/32",  # metadata of Alibaba Cloud
    "168.63.129.16/32",  # the host of a machine in Azure
    "169.254.0.0/16",  # link-local, with the metadata and the credentials of EC2, ECS and Lambda
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",  # Teredo and other protocols that wrap addresses
    "2001:db8::/32",
    "2002::/16",  # 6to4: an IPv4 address, reached through anybody's relay
    "3fff::/20",
    "fd00:ec2::/32",  # metadata, time and name servers of EC2
)
_GLOBAL = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out: what is not in it is loopback, link-local, multicast, mapped or unknown."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def effective(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries by rule, else the address itself.

    NAT64 is how a network without IPv4 reaches it (RFC 6052). Other ways to carry one are out of use: reserved.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address
    return address


def kind_of(address: Address) -> Kind:
    """Where an address leads; one that carries another by rule leads where that does."""
    address = effective(address)
    for kind, networks in ((Kind.LOOPBACK, _LOOPBACK), (Kind.RESERVED, _RESERVED), (Kind.PRIVATE, PRIVATE)):
        if is_within(address, networks):
            return kind
    return Kind.PUBLIC if address.version == 4 or address in _GLOBAL else Kind.RESERVED


def is_within(address: Address, networks: Sequence[AnyNetwork]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address.version == network.version and address in network for network in networks)


def own_network(text: str) -> AnyNetwork:
    """A network of a company's own, such as `10.20.0.0/16`. Raises: ValueError for what is none."""
    network = ipaddress.ip_network(text)
    if not any(network.prefixlen >= own.prefixlen and is_within(network.network_address, (own,)) for own in PRIVATE):
        raise ValueError(f"{text} is not within {', '.join(map(str, PRIVATE))}")
    return network
