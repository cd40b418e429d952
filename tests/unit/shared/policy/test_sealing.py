"""Sealed addresses: opened for their own message alone, by their own tenant's key."""

import pytest

from shared.policy.sealing import Sealer

MESSAGE, OTHER = "01M8K9Z6WDA0TCC3HFT9EV0000E9E4R15GWEV11TZ1", "01M8K9Z6WDA0TCC3HFT9EV0001E9E4R15GWEV11TZ1"
ONE = Sealer(b"s" * 32)


@pytest.mark.parametrize("address", ["ann@example.com", "+8613800138000", "zhang.san", f"{'a' * 64}@{'b' * 251}.com"])
def test_what_is_sealed_opens_again(address: str) -> None:
    sealed = ONE.seal(MESSAGE, address)
    assert ONE.open(MESSAGE, sealed) == address
    assert address not in sealed
    # What it takes: 16 bytes more than the address, as base64.
    assert len(sealed) == -(-(len(address) + 16) * 4 // 3)


def test_repeats_are_alike_and_messages_are_not() -> None:
    assert ONE.seal(MESSAGE, "ann@example.com") == Sealer(b"s" * 32).seal(MESSAGE, "ann@example.com")
    assert ONE.seal(MESSAGE, "ann@example.com") != ONE.seal(OTHER, "ann@example.com")


@pytest.mark.parametrize("sealed", ["", "A", "!!", "é", "QUJD"])
def test_what_was_not_sealed_does_not_open(sealed: str) -> None:
    assert ONE.open(MESSAGE, sealed) is None


def test_it_opens_for_nobody_else() -> None:
    sealed = ONE.seal(MESSAGE, "ann@example.com")
    changed = sealed[:-2] + ("A" if sealed[-2] != "A" else "B") + sealed[-1]
    assert ONE.open(OTHER, sealed) is None
    assert ONE.open(MESSAGE, changed) is None
    assert Sealer(b"t" * 32).open(MESSAGE, sealed) is None
