"""Connecting: the addresses of a host race, each was judged before, and the resolver is asked once."""

import socket
import time

import pytest

from shared.net.connecting import connect
from shared.net.network import PUBLIC, ForbiddenAddressError, Network
from tests.unit.shared.net.listeners import listening, port_of, silent
from tests.unit.shared.net.resolver import Resolver

HERE = Network(loopback=True)


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def test_a_silent_address_does_not_hide_a_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as server:
        port = port_of(server)
        with silent("127.0.0.2", port):
            Resolver(monkeypatch, {"two.test": [["127.0.0.2", "127.0.0.1"]]})
            with connect(HERE, "two.test", port, soon()) as sock:
                assert sock.getpeername() == ("127.0.0.1", port)
                assert sock.gettimeout()
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_refuses_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as server:
        Resolver(monkeypatch, {"two.test": [["127.0.0.3", "::1", "127.0.0.1"]]})
        with connect(HERE, "two.test", port_of(server), soon()) as sock:
            assert sock.getpeername() == ("127.0.0.1", port_of(server))


def test_when_none_answers_time_runs_out_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as server:
        port = port_of(server)
        with silent("127.0.0.2", port), silent("127.0.0.3", port):
            Resolver(monkeypatch, {"two.test": [["127.0.0.2", "127.0.0.3"]]})
            made: list[socket.socket] = []
            real = socket.socket

            def noted(*args: int) -> socket.socket:
                made.append(real(*args))
                return made[-1]

            monkeypatch.setattr(socket, "socket", noted)
            with pytest.raises(TimeoutError):
                connect(HERE, "two.test", port, soon(0.4))
    assert len(made) == 2
    assert all(sock.fileno() == -1 for sock in made)


def test_when_all_refuse_the_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as server:
        Resolver(monkeypatch, {"two.test": [["127.0.0.3", "127.0.0.2"]]})
        with pytest.raises(ConnectionRefusedError):
            connect(HERE, "two.test", port_of(server), soon())


def test_families_take_turns_and_an_address_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["2606:4700::1", "2606:4700::2", "2606:4700::1", "1.1.1.1", "1.0.0.1", "8.8.8.8"]
    Resolver(monkeypatch, {"many.test": [given]})
    found = [spot.address[0] for spot in PUBLIC.resolve("many.test", 25)]
    assert found == ["2606:4700::1", "1.1.1.1", "2606:4700::2", "1.0.0.1", "8.8.8.8"]


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["1.1.1.1", "fe80::1%eth0"]])
def test_a_name_that_leads_inside_is_refused_before_any_connection(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    Resolver(monkeypatch, {"inside.test": [answer]})
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(ForbiddenAddressError, match="on the internet only"):
        connect(PUBLIC, "inside.test", 25, soon())


def test_a_name_that_changes_its_mind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged is what is connected to: here the first answer, at which nobody listens."""
    with listening() as server:
        resolver = Resolver(monkeypatch, {"rebind.test": [["127.0.0.2"], ["127.0.0.1"]]})
        with pytest.raises(ConnectionRefusedError):
            connect(HERE, "rebind.test", port_of(server), soon())
        assert resolver.asked == ["rebind.test"]


def test_a_family_that_this_machine_lacks_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, kind)

    with listening() as server:
        Resolver(monkeypatch, {"two.test": [["::1", "127.0.0.1"]]})
        monkeypatch.setattr(socket, "socket", without_ipv6)
        with connect(HERE, "two.test", port_of(server), soon()) as sock:
            assert sock.family == socket.AF_INET


def test_a_name_that_no_resolver_takes_is_not_found() -> None:
    with pytest.raises(socket.gaierror):
        connect(PUBLIC, "a" * 64 + ".example", 25, soon())
