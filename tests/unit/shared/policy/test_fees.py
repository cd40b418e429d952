"""What messages cost: the fee that counts, and the parts of text messages."""

import pytest

from shared.model.accounts import Account, UnitFee
from shared.model.content import RenderedEmail, RenderedSms
from shared.model.words import Channel
from shared.policy.fees import parts_of
from shared.providers.declared import fee_of, units_of


def account(provider: str, **changes: object) -> Account:
    facts = {"id": "a", "tenant": "default", "name": "A", "channel": Channel.SMS, "settings": {}}
    return Account.model_validate({**facts, "provider": provider, "created_at": 0, "updated_at": 0, **changes})


@pytest.mark.parametrize(
    ("provider", "amount"),
    [("smtp", 0), ("ses", 0.0001), ("app", 0), ("robot", 0), ("tencent", None), ("aws", None), ("gone", None)],
)
def test_what_providers_charge_where_nobody_has_said_more(provider: str, amount: float | None) -> None:
    fee, origin = fee_of(account(provider))
    assert (None if fee is None else fee.amount) == amount
    assert origin == "provider"


def test_the_fee_of_the_account_comes_first() -> None:
    fee = UnitFee(amount=0, currency="CNY")
    assert fee_of(account("ses", fee=fee)) == (fee, "account")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        # Characters of the extension take two places, and are not divided.
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 76 + "a" + "€" * 76, 2),
        ("€" * 76 + "€" + "€" * 76, 3),
        ("é" * 160, 1),
        # One character outside of the alphabet has all of the text counted in UCS-2.
        ("a" * 69 + "字", 1),
        ("a" * 70 + "字", 2),
        ("字" * 134, 2),
        ("字" * 135, 3),
        ("ç" + "a" * 70, 2),
        # An emoji takes two places there.
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_the_parts_of_a_text(text: str, parts: int) -> None:
    assert parts_of(text) == parts


def sms(text: str | None) -> RenderedSms:
    return RenderedSms(text, "1", ())


def test_tencent_counts_any_characters_to_china_with_the_signature() -> None:
    by = account("tencent", settings={"provider": "tencent", "sdk_app_id": "14", "sign_name": "示例"})
    assert units_of(sms("a" * 66), by, "+8613800138000") == 1
    assert units_of(sms("a" * 67), by, "+8613800138000") == 2
    assert units_of(sms("a" * 130), by, "+8613800138000") == 2
    assert units_of(sms("a" * 131), by, "+8613800138000") == 3
    assert units_of(sms("a" * 160), by, "+14155550100") == 1
    assert units_of(sms("a" * 160), account("aws"), "+8613800138000") == 1
    assert units_of(sms("a" * 161), account("aws"), "+8613800138000") == 2


def test_what_is_not_a_text_of_ours_counts_as_one() -> None:
    assert units_of(sms(None), account("tencent"), "+8613800138000") == 1
    assert units_of(RenderedEmail("Hi", None, "x" * 10_000), account("ses"), "a@example.com") == 1
