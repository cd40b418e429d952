"""No webhook leads to where nothing may be sent: not as it is saved, not when its name leads elsewhere by then."""

import ipaddress
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from functions.webhooks.posting import Failure, Poster, check_url
from shared.net.network import PUBLIC, Network
from tests.receiver import Posted, Reply, receiving
from tests.security.attempts import Attempts
from tests.security.spellings import INSIDE, NAMES, OTHER_PARSERS
from tests.unit.shared.net.resolver import Resolver

PLACES = (
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.1"),
    *("192.168.0.1", "192.168.255.9", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200"),
    *("168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1"),
)
"""Of IPv4: this machine, the company's networks, the clouds' metadata, nowhere."""
PLACES_6 = ("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2001::1")
GOOD = "hooks.example.com"
GOOD_IP = "93.184.215.14"
FORMS = (
    *(
        "https://{h}",
        "https://{h}/",
        "https://{h}/hooks?x=1",
        "https://{h}:8443/hooks",
        "HTTPS://{h}/",
        " https://{h}/\n",
    ),
    *(
        "https://user@{h}/",
        "https://user:pw@{h}/",
        "https://hooks.example.com@{h}/",
        "https://hooks.example.com:443@{h}/",
    ),
    *("https://{h}\\@hooks.example.com/", "https://{h}#@hooks.example.com/", "https://{h}?@hooks.example.com"),
    *("https:\\\\{h}/", "https:/{h}/", "https:///{h}/", "//{h}/", "{h}", "http://{h}/", "ftp://{h}/", "gopher://{h}/"),
)


def spelled(place: str) -> Iterator[str]:
    """Ways to write an IPv4 address that one program or another takes for it."""
    a, b, c, d = (int(part) for part in place.split("."))
    whole = int(ipaddress.IPv4Address(place))
    yield from (place, f"{place}.", str(whole), hex(whole), f"0{whole:o}", f"{a}.{whole & 0xFFFFFF}")
    yield from (f"{a}.{b}.{whole & 0xFFFF}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}")
    yield from (f"{a:#x}.{b}.{c}.{d}", f"{a:03d}.{b:03d}.{c:03d}.{d:03d}", str(whole + 2**32), f"{a}.{b}.{c}.{d + 256}")
    yield from (
        f"{a}。{b}。{c}。{d}",
        f"{a}．{b}．{c}．{d}",
        "".join(chr(0xFF10 + int(x)) if x.isdigit() else x for x in place),
    )
    yield from (f"[{each}]" for each in carried(place))
    yield from (f"{place}%00.example.com", f"{place}%2eexample.com", f"{place}\t", f"{place}\x00")


def carried(place: str) -> Iterator[str]:
    """IPv6 addresses that carry an IPv4 address."""
    high, low = divmod(int(ipaddress.IPv4Address(place)), 65_536)
    yield from (f"::ffff:{place}", f"::ffff:{high:x}:{low:x}", f"::{high:x}:{low:x}", f"::ffff:0:{high:x}:{low:x}")
    yield from (f"64:ff9b::{high:x}:{low:x}", f"64:ff9b:1::{high:x}:{low:x}", f"2002:{high:x}:{low:x}::1")
    yield f"2001:0:{high:x}:{low:x}::1"


_connected: list[Any] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _connected.append(arguments[1])


# The interpreter itself tells of every attempt, whichever library makes it.
sys.addaudithook(_listen)


@pytest.fixture
def connected() -> Iterator[list[Any]]:
    """The addresses that anything in this process tried to connect to."""
    _connected.clear()
    yield _connected
    _connected.clear()


def _saved(url: str) -> str | None:
    """A URL as it would be kept; None if it is refused, with words for people."""
    try:
        return check_url(url, PUBLIC)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return None


def test_no_spelling_of_a_place_inside_is_saved(monkeypatch: pytest.MonkeyPatch, attempts: Attempts) -> None:
    Resolver(monkeypatch, NAMES | {GOOD: [[GOOD_IP]]})
    hosts = [*INSIDE, *(each for place in PLACES for each in spelled(place)), *(f"[{each}]" for each in PLACES_6)]
    for host in dict.fromkeys(hosts):
        for form in FORMS:
            url = form.format(h=host)
            attempts.check(f"{url!r}", held=_saved(url) is None)


def test_no_address_that_programs_read_differently_is_saved(
    monkeypatch: pytest.MonkeyPatch, attempts: Attempts
) -> None:
    Resolver(monkeypatch, NAMES | {GOOD: [[GOOD_IP]]})
    for form in OTHER_PARSERS:
        url = form.format(v=GOOD)
        kept = _saved(url)
        # Some are plain URLs, of this name or of another on the internet: all programs agree on which.
        held = kept is None or len({urlsplit(kept).hostname, httpx.URL(kept).host, _by_hand(kept)}) == 1
        attempts.check(url, held=held)


def _by_hand(url: str) -> str:
    """The host as the simplest program would read it."""
    return url.partition("://")[2].partition("/")[0].partition(":")[0]


def test_nothing_is_connected_to_when_a_name_leads_inside(
    monkeypatch: pytest.MonkeyPatch, attempts: Attempts, connected: list[Any]
) -> None:
    inside = [*PLACES, *PLACES_6, *(each for place in PLACES for each in carried(place))]
    ways: dict[str, list[list[str]]] = {}
    for number, place in enumerate(inside):
        ways |= {
            f"a{number}.example.com": [[place]],
            f"b{number}.example.com": [[GOOD_IP, place]],
            f"c{number}.example.com": [[place, "2606:2800:21f:cb07::1"]],
            # It was good when it was saved, and leads inside when an event is posted.
            f"d{number}.example.com": [[GOOD_IP], [place]],
        }
    Resolver(monkeypatch, ways)
    with closing(Poster(PUBLIC, 1.0)) as poster:
        for name in ways:
            url = f"https://{name}/hooks"
            if name.startswith("d"):
                assert check_url(url, PUBLIC) == url
            else:
                attempts.check(f"saved: {name} {ways[name]}", held=_saved(url) is None)
            answer = poster.post(url, {}, b"{}", 0)
            refused = answer.attempt.error == Failure.FORBIDDEN_ADDRESS and not connected
            attempts.check(f"posted: {name} {ways[name]}", held=refused and answer.attempt.status is None)


def test_nothing_is_connected_to_that_was_saved_in_another_way(
    monkeypatch: pytest.MonkeyPatch, attempts: Attempts, connected: list[Any]
) -> None:
    """Were something wrong with how URLs are saved, the connection would still be refused."""
    Resolver(monkeypatch, NAMES)
    hosts = [*(place for place in PLACES), *(f"[{each}]" for place in PLACES for each in carried(place))]
    hosts += [f"[{each}]" for each in PLACES_6] + [str(int(ipaddress.IPv4Address(place))) for place in PLACES]
    with closing(Poster(PUBLIC, 1.0)) as poster:
        for host in hosts:
            answer = poster.post(f"https://{host}/", {}, b"{}", 0)
            attempts.check(host, held=answer.attempt.status is None and not connected)


def _say(reply: Reply, posted: Posted) -> Reply:
    return reply


def test_no_redirect_is_followed_and_nothing_that_is_said_comes_back(connected: list[Any]) -> None:
    with receiving() as inside, receiving() as endpoint, closing(Poster(Network(loopback=True))) as poster:
        for status in (301, 302, 303, 307, 308):
            reply = (status, {"location": inside.url, "x-secret": "s3cret"})
            endpoint.answer = partial(_say, reply)
            answer = poster.post(endpoint.url, {}, b"{}", 0)
            assert answer.attempt.status == status and not answer.ok
            assert "s3cret" not in repr(answer)
        assert inside.posted == [] and len(endpoint.posted) == 5
        assert {address[1] for address in connected} == {int(endpoint.url.rpartition(":")[2].partition("/")[0])}


@pytest.mark.parametrize("port", [22, 25, 80, 1023, 0, 65536])
def test_doors_to_other_services_are_refused(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    Resolver(monkeypatch, {GOOD: [[GOOD_IP]]})
    assert _saved(f"https://{GOOD}:{port}/hooks") is None
    assert _saved(f"https://{GOOD}:8443/hooks") == f"https://{GOOD}:8443/hooks"


def test_loopback_is_for_the_local_stack_alone() -> None:
    assert check_url("http://127.0.0.1:8000/hooks?a=b", Network(loopback=True)) == "http://127.0.0.1:8000/hooks?a=b"
    with pytest.raises(ValueError, match="https"):
        check_url("http://127.0.0.1:8000/hooks", PUBLIC)
    with pytest.raises(ValueError, match="https"):
        check_url("http://example.com/hooks", Network(loopback=True))


def test_an_account_in_a_private_network_opens_nothing_for_webhooks() -> None:
    from functions.webhooks.function import SendSettings, WebhooksApiSettings

    for settings in (SendSettings, WebhooksApiSettings):
        assert "private_networks" not in settings.model_fields
    assert json.dumps(sorted(SendSettings.model_fields)).count("loopback") == 1
