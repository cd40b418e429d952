"""What a stage may have besides, a table each in its file: a domain, a network, a mail domain, a budget. No CDK."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from msgspec import Struct

_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_ZONE = re.compile(r"Z[0-9A-Z]{5,31}")
EDGE_REGION = "us-east-1"
"""Certificates and firewalls of CloudFront are there alone."""

Misfits = Iterator[tuple[str, str]]


class Domain(Struct, frozen=True, forbid_unknown_fields=True):
    """The API's own name."""

    name: str
    """Such as `push.example.com`."""
    zone_id: str
    """Of the zone in Route 53 that the name is in: its records, and those that prove it for certificates, go there."""
    edge: bool = False
    """Whether CloudFront stands in front with a firewall (WAF), which also costs while nothing is sent."""

    @property
    def origin(self) -> str:
        """The name that the API itself has: what stands in front of it calls it by another."""
        first, _, rest = self.name.partition(".")
        return f"{first}-origin.{rest}" if self.edge else self.name

    def misfits(self) -> Misfits:
        """The fields whose values do not fit, with what to write."""
        if not _NAME.fullmatch(self.name):
            yield "name", "a name in small letters, such as push.example.com"
        if not _ZONE.fullmatch(self.zone_id):
            yield (
                "zone_id",
                "the id of a hosted zone, as `aws route53 list-hosted-zones` shows it, without `/hostedzone/`",
            )


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """The VPC of the functions that connect to others' servers: one that is made, or one that is there."""

    cidr: str = "10.80.0.0/20"
    """Of the VPC that is made: from /16 to /24, and none that it shall be joined with."""
    addresses: int = 1
    """How many fixed addresses they connect from, 1 or 2; with two the failure of one zone leaves the other."""
    subnets: tuple[str, ...] = ()
    """Of a VPC that is there; then none is made. They need a way to the internet."""
    security_groups: tuple[str, ...] = ()
    """Of that VPC."""

    def misfits(self) -> Misfits:
        """The fields whose values do not fit, with what to write."""
        try:
            sized = 16 <= IPv4Network(self.cidr).prefixlen <= 24 and IPv4Network(self.cidr).is_private
        except ValueError:
            sized = False
        if not sized:
            yield "cidr", "a private network from /16 to /24, such as 10.80.0.0/20"
        if self.addresses not in (1, 2):
            yield "addresses", "1 or 2"
        if bool(self.subnets) != bool(self.security_groups):
            yield "subnets", "give `subnets` and `security_groups`, or neither"
        if not all(re.fullmatch(r"subnet-[0-9a-f]{8,17}", each) for each in self.subnets):
            yield "subnets", "ids such as subnet-0123456789abcdef0"
        if not all(re.fullmatch(r"sg-[0-9a-f]{8,17}", each) for each in self.security_groups):
            yield "security_groups", "ids such as sg-0123456789abcdef0"


class Mail(Struct, frozen=True, forbid_unknown_fields=True):
    """The domain that Amazon SES sends from."""

    domain: str
    """Such as `mail.example.com`: any address of it can be a sender."""
    zone_id: str | None = None
    """Of its zone in Route 53, to which its DKIM records then go; None to enter them by hand, from the outputs."""

    def misfits(self) -> Misfits:
        """The fields whose values do not fit, with what to write."""
        if not _NAME.fullmatch(self.domain):
            yield "domain", "a name in small letters, such as mail.example.com"
        if self.zone_id is not None and not _ZONE.fullmatch(self.zone_id):
            yield "zone_id", "the id of a hosted zone, without `/hostedzone/`"


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """What the AWS account may cost; whoever hears the alarms is written to."""

    monthly_usd: int
    """All of the account's costs of a month in US dollars: at 80 % of it, and when 100 % are foreseen."""

    def misfits(self) -> Misfits:
        """The fields whose values do not fit, with what to write."""
        if self.monthly_usd < 1:
            yield "monthly_usd", "1 or more"
