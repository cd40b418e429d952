"""Who is erased goes out of envelopes and rows; everybody else, and every count, stays."""

from msgspec.structs import replace

from shared.model.envelope import Envelope
from shared.model.ids import ulid_time
from shared.model.veils import Veil, veil_name
from shared.policy.veiling import veiled_envelope
from tests.samples import envelope

STAND_IN = "VVVVVVVVVVVVVVVV"


def _veils(one: Envelope, index: int = 0, ms: int = 0) -> dict[str, Veil]:
    return {veil_name(one.recipients[index].tag): Veil(STAND_IN, ulid_time(one.id) + ms)}


def test_one_recipient_goes_and_the_others_stay() -> None:
    one = envelope(3)
    found = veiled_envelope(one, _veils(one, 1))
    gone = found.recipients[1]
    assert (gone.address, gone.tag, gone.variables, gone.reference) == ("", STAND_IN, {}, None)
    assert [found.recipients[0], found.recipients[2]] == [one.recipients[0], one.recipients[2]]
    assert [r.index for r in found.recipients] == [r.index for r in one.recipients]
    assert found.variables == one.variables


def test_what_all_share_goes_with_the_last_of_them() -> None:
    one = replace(envelope(1), variables={"name": "Ada"}, reference="order-7")
    found = veiled_envelope(one, _veils(one))
    assert (found.variables, found.reference) == ({}, None)


def test_newer_messages_are_the_same() -> None:
    one = envelope(2)
    assert veiled_envelope(one, _veils(one, ms=-1)) is one


def test_of_whom_an_account_was_to_be_asked_nobody_says_that_nothing_was_sent() -> None:
    one = replace(envelope(2), ask_account={0: "main", 1: "main"})
    found = veiled_envelope(one, _veils(one))
    assert (found.ask_account, found.maybe_sent) == ({1: "main"}, [0])


def test_an_address_on_another_channel_goes_alone() -> None:
    one = envelope(1)
    one.recipients[0].other_addresses = {"sms": ("+8613811112222", "A" * 16)}
    found = veiled_envelope(one, {veil_name("A" * 16): Veil(STAND_IN, ulid_time(one.id))})
    assert found.recipients[0].address == one.recipients[0].address
    assert found.recipients[0].other_addresses == {}
