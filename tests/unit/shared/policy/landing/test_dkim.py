import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.sandbox.dns import ZONE
from shared.policy.landing.dkim import check
from shared.policy.landing.findings import Record, Sender, State
from tests.unit.shared.policy.landing.zones import Names

D = "shop.test"
SENDER = Sender(selectors=("s1",))
GOOD = ZONE["default._domainkey.example.com"]["TXT"][0].partition("p=")[2]


def key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


EDWARDS = base64.b64encode(
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (f"v=DKIM1; k=rsa; p={GOOD}", "dkim_ok"),
        (f"p={GOOD[:50]} {GOOD[50:]}", "dkim_ok"),
        (f"v=DKIM1; k=ed25519; p={EDWARDS}", "dkim_ok"),
        (f"v=DKIM1; t=y:s; p={GOOD}", "dkim_testing"),
        ("v=DKIM1; p=", "dkim_revoked"),
        (f"v=DKIM1; p={GOOD[:100]}", "dkim_broken"),
        (f'v=DKIM1; p="{GOOD}"', "dkim_broken"),
        (f"v=DKIM1; k=dsa; p={GOOD}", "dkim_broken"),
        ("v=spf1 -all", "dkim_missing"),
    ],
)
def test_a_key_is_judged(record: str, code: str) -> None:
    assert [each.code for each in check(D, SENDER, Names({f"s1._domainkey.{D}": record}))] == [code]


def test_a_short_key_is_named_by_its_length() -> None:
    (weak,) = check(D, SENDER, Names({f"s1._domainkey.{D}": f"p={key(1024)}"}))
    assert (weak.code, weak.state, weak.facts["bits"]) == ("dkim_weak", State.WARNING, "1024")


def test_a_missing_key_of_the_provider_is_shown_as_the_record_to_copy() -> None:
    sender = Sender(selectors=("abc",), targets={"abc": "abc.dkim.amazonses.com"})
    (found,) = check(D, sender, Names({}))
    assert (found.code, found.state) == ("dkim_missing", State.FAILED)
    assert found.record == Record(f"abc._domainkey.{D}", "CNAME", "abc.dkim.amazonses.com")


def test_keys_lie_under_the_domain_that_signs() -> None:
    zone = {"s1._domainkey.test": f"p={GOOD}"}
    assert [each.code for each in check(D, Sender(selectors=("s1",), signer="test"), Names(zone))] == ["dkim_ok"]


def test_without_selectors_the_usual_ones_are_tried() -> None:
    zone: dict[str, object] = {f"google._domainkey.{D}": f"p={GOOD}", f"mail._domainkey.{D}": "p="}
    assert [each.facts["name"] for each in check(D, Sender(), Names(zone))] == [f"google._domainkey.{D}"]
    (found,) = check(D, Sender(), Names({}))
    assert (found.code, found.state) == ("dkim_not_found", State.WARNING)


def test_nobody_answers() -> None:
    (found,) = check(D, SENDER, Names({}, frozenset({f"s1._domainkey.{D}"})))
    assert found.state is State.UNKNOWN
