"""API keys: their shape, and that only a hash of their secret is kept."""

import pytest

from shared.model.ids import ALPHABET
from shared.model.keys import ApiKey, hash_secret, new_secret, parse_key
from shared.model.words import KeyKind, Scope


def key(digest: str) -> ApiKey:
    return ApiKey(
        id="0123456789ab",
        tenant="default",
        name="k",
        kind=KeyKind.LIVE,
        scopes=[Scope.SEND],
        hash=digest,
        created_at=1,
    )


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_new_key_says_its_kind_and_can_be_taken_apart(kind: KeyKind) -> None:
    key_id, text, digest = new_secret(kind)
    parsed = parse_key(text)
    assert parsed is not None
    assert (parsed.kind, parsed.id) == (kind, key_id)
    assert text == f"mp_{kind.value}_{key_id}_{parsed.secret}"
    assert hash_secret(parsed.secret) == digest
    assert parsed.secret not in digest


def test_keys_are_drawn_anew_from_a_readable_alphabet() -> None:
    texts = {new_secret(KeyKind.LIVE)[1] for _ in range(100)}
    assert len(texts) == 100
    assert set("".join(text.split("_", 2)[2] for text in texts)) <= set(ALPHABET.lower() + "_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mp_live",
        "mp_live_0123456789ab",
        "mp_root_0123456789ab_" + "0" * 40,
        "mp_live_0123456789a_" + "0" * 40,
        "mp_live_0123456789ab_" + "0" * 39,
        "mp_live_0123456789ab_" + "0" * 41,
        "mp_live_0123456789AB_" + "0" * 40,
        " mp_live_0123456789ab_" + "0" * 40,
        "mp_live_0123456789ab_" + "０" * 40,
        "mp_live_0123456789ab_" + "0" * 40 + "," + "mp_live_0123456789ab_" + "0" * 40,
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text) is None


def test_only_the_right_secret_matches() -> None:
    secret = "a" * 40
    found = key(hash_secret(secret))
    assert found.matches(secret)
    assert not found.matches("b" * 40)
    assert not found.matches("")
    assert not key(secret).matches(secret)


def test_a_stored_key_holds_no_secret() -> None:
    _, text, digest = new_secret(KeyKind.LIVE)
    assert text.rpartition("_")[2] not in key(digest).model_dump_json()
