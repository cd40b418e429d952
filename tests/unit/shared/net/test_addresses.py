"""Where addresses lead, and which networks a deployment may open."""

import ipaddress

import pytest

from shared.base.settings import ConfigurationError, NetworkSettings
from shared.net.addresses import Kind, kind_of, own_network
from shared.net.network import Network


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("1.1.1.1", Kind.PUBLIC),
        ("52.94.5.1", Kind.PUBLIC),
        ("2606:4700::1", Kind.PUBLIC),
        ("64:ff9b::1.1.1.1", Kind.PUBLIC),
        ("::ffff:1.1.1.1", Kind.PUBLIC),
        ("127.0.0.1", Kind.LOOPBACK),
        ("127.255.255.254", Kind.LOOPBACK),
        ("::1", Kind.LOOPBACK),
        ("::ffff:127.0.0.1", Kind.LOOPBACK),
        ("64:ff9b::7f00:1", Kind.LOOPBACK),
        ("10.0.0.1", Kind.PRIVATE),
        ("172.31.255.255", Kind.PRIVATE),
        ("172.32.0.1", Kind.PUBLIC),
        ("192.168.1.1", Kind.PRIVATE),
        ("100.64.0.1", Kind.PRIVATE),
        ("100.128.0.1", Kind.PUBLIC),
        ("198.18.0.1", Kind.PRIVATE),
        ("fd12:3456::1", Kind.PRIVATE),
        ("fc00::1", Kind.PRIVATE),
        ("::ffff:10.0.0.1", Kind.PRIVATE),
        ("64:ff9b::a00:1", Kind.PRIVATE),
        ("0.0.0.0", Kind.RESERVED),
        ("0.1.2.3", Kind.RESERVED),
        ("169.254.169.254", Kind.RESERVED),
        ("169.254.170.2", Kind.RESERVED),
        ("64:ff9b::a9fe:a9fe", Kind.RESERVED),
        ("fd00:ec2::254", Kind.RESERVED),
        ("100.100.100.200", Kind.RESERVED),
        ("168.63.129.16", Kind.RESERVED),
        ("192.0.0.192", Kind.RESERVED),
        ("192.0.2.1", Kind.RESERVED),
        ("224.0.0.1", Kind.RESERVED),
        ("240.0.0.1", Kind.RESERVED),
        ("255.255.255.255", Kind.RESERVED),
        ("::", Kind.RESERVED),
        ("::127.0.0.1", Kind.RESERVED),
        ("::ffff:0:127.0.0.1", Kind.RESERVED),
        ("64:ff9b:1::7f00:1", Kind.RESERVED),
        ("2002:7f00:1::", Kind.RESERVED),
        ("2001:0:1::1", Kind.RESERVED),
        ("2001:db8::1", Kind.RESERVED),
        ("fe80::1", Kind.RESERVED),
        ("fec0::1", Kind.RESERVED),
        ("ff02::1", Kind.RESERVED),
        ("5f00::1", Kind.RESERVED),
    ],
)
def test_where_an_address_leads(address: str, kind: Kind) -> None:
    assert kind_of(ipaddress.ip_address(address)) is kind


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.20.3.4", True),
        ("::ffff:10.20.3.4", True),
        ("10.21.0.1", False),
        ("fd00:1::9", True),
        ("fd00:2::9", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("1.1.1.1", True),
    ],
)
def test_a_deployment_opens_single_networks(address: str, allowed: bool) -> None:
    network = Network(private=(own_network("10.20.0.0/16"), own_network("fd00:1::/32")))
    assert network.allows(ipaddress.ip_address(address)) is allowed


@pytest.mark.parametrize(
    "text", ["0.0.0.0/0", "::/0", "127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/7", "8.8.8.0/24", "10.0.0.1/8", "x", ""]
)
def test_what_is_no_network_of_the_companys_own_cannot_be_opened(text: str) -> None:
    with pytest.raises(ValueError):
        own_network(text)
    with pytest.raises(ConfigurationError, match="PRIVATE_NETWORKS"):
        NetworkSettings.load({"PRIVATE_NETWORKS": f'["{text}"]'})


def test_networks_come_from_the_environment_and_nothing_is_open_without() -> None:
    assert NetworkSettings.load({}).network == Network()
    found = NetworkSettings.load({"ALLOW_LOOPBACK_ENDPOINTS": "true", "PRIVATE_NETWORKS": '["10.1.0.0/16"]'}).network
    assert found == Network(loopback=True, private=(ipaddress.ip_network("10.1.0.0/16"),))
