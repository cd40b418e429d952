"""Names of servers as people give them: read once, by one strict grammar, and passed on in the form that was read.

Programs differ in where they see a host begin and end in what is no proper address (`https://a\\@b`, `https://a#@b`).
So nothing is passed on as it was given: only what fits here, put together anew.
"""

import ipaddress
import re
from dataclasses import dataclass

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What the C library's resolver reads as a number: `127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1`.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_ENDPOINT = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?/?")
_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[!-~]*)?")
_MAX_URL = 2_000
_PORTS = {"http": 80, "https": 443}
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Vendor:
    """The servers of a vendor's service."""

    hosts: re.Pattern[str]
    """Fits their names whole."""
    example: str
    """An endpoint to give."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is reached at."""

    scheme: str
    host: str
    """A name or an address, in lower case, without brackets."""
    port: int

    @property
    def authority(self) -> str:
        """Host and port as in an address, without the port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, without a slash at its end."""
        return f"{self.scheme}://{self.authority}"


def read_host(text: str) -> str:
    """A host as it is passed on: a name in lower case, or an address in its usual spelling.

    Raises: ValueError with what to do.
    """
    host = _plain(text)
    if ":" in host:
        return str(_address(host))
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return str(_address(host))
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise ValueError("give a server's name, such as smtp.example.com, or its address")
    return host


def read_endpoint(url: str) -> Endpoint:
    """An endpoint of scheme, host and port, and nothing else. Raises: ValueError with what to do."""
    found = _ENDPOINT.fullmatch(_plain(url))
    if found is None:
        raise ValueError("give an address such as https://api.example.com, without user, path or query")
    host = found[2][1:-1] if found[2].startswith("[") else found[2]
    port = int(found[3]) if found[3] else _PORTS[found[1]]
    if not 0 < port < 65536:
        raise ValueError("give a port from 1 to 65535")
    return Endpoint(found[1], read_host(host), port)


def read_url(url: str) -> tuple[Endpoint, str]:
    """Where a URL leads, and its path with the query, of scheme, host, port, path and query, and nothing else.

    Raises: ValueError with what to do.
    """
    url = url.strip(_BLANKS)
    found = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    # A backslash or a fragment: programs differ in what comes before it.
    if found is None or set(found[4] or "") & {"\\", "#"}:
        raise ValueError("give an address such as https://example.com/webhooks, in ASCII and without user or fragment")
    port = f":{found[3]}" if found[3] else ""
    return read_endpoint(f"{found[1]}://{found[2]}{port}"), found[4] or "/"


def check_endpoint(url: str, vendor: Vendor) -> str:
    """Return an endpoint as it is passed on, if it is the vendor's by https, or this machine's (a sandbox).

    Keeps an account from turning the platform into a proxy to other hosts. Whether this machine may be reached is for
    `Network` to say. Raises: ValueError with what to do.
    """
    endpoint = read_endpoint(url)
    if is_loopback(endpoint.host):
        return endpoint.url
    # Vendors serve at the port of https alone; any other is a door to something else.
    if endpoint.scheme == "https" and endpoint.port == _PORTS["https"] and vendor.hosts.fullmatch(endpoint.host):
        return endpoint.url
    raise ValueError(f"give the vendor's own address, such as {vendor.example}")


def endpoint_server(url: str | None) -> tuple[str, str, int] | None:
    """What settings with an endpoint say of their server: the setting's name, host and port."""
    if url is None:
        return None
    endpoint = read_endpoint(url)
    return "endpoint", endpoint.host, endpoint.port


def aws_vendor(service: str, example: str) -> Vendor:
    """The servers of a service of AWS: in any region, also for FIPS, dual stack and a VPC's own endpoint of it.

    Sources: the service's endpoint rules in botocore; AWS PrivateLink guide, "Access an AWS service".
    """
    domains = r"(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.(com\.cn|eu))"
    region = r"[a-z]{2,4}(-[a-z]+)+-[0-9]"
    own = rf"vpce-[a-z0-9-]+\.{service}(-fips)?\.{region}\.vpce\.{domains}"
    return Vendor(re.compile(rf"({service}(-fips)?\.{region}\.{domains}|{own})"), example)


def is_loopback(host: str) -> bool:
    """Whether a host name or literal address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _plain(text: str) -> str:
    """Without blanks around it, in lower case. Raises: ValueError for what is not ASCII, before case is touched: some
    letters of other alphabets become ASCII by it."""
    text = text.strip(_BLANKS)
    if not text.isascii():
        raise ValueError("give the name in ASCII; a name in other letters begins with xn-- there")
    return text.lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("write an address as 192.0.2.1 or 2001:db8::1") from None
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        raise ValueError("give an address without a zone")
    return found
