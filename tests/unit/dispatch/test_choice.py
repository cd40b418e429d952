"""Which account sends: by weight, and always the same for the same recipient."""

from collections import Counter

from shared.dispatch.accounts import choose
from shared.model.accounts import Account
from shared.model.words import Channel


def account(name: str, weight: int) -> Account:
    return Account(
        id=name, tenant="default", name=name, channel=Channel.SMS, provider="aws", settings={},
        weight=weight, created_at=0, updated_at=0,
    )  # fmt: skip


TAGS = [f"TAG{i:013d}" for i in range(4000)]


def test_shares_follow_the_weights() -> None:
    accounts = [account("a", 300), account("b", 100), account("c", 0)]
    counts = Counter(choose(accounts, tag).id for tag in TAGS)
    assert counts["c"] == 0
    assert 0.72 < counts["a"] / len(TAGS) < 0.78


def test_a_choice_sticks_and_a_new_account_takes_only_its_share() -> None:
    before = [account("a", 100), account("b", 100)]
    after = [*before, account("c", 100)]
    moved = 0
    for tag in TAGS:
        first, second = choose(before, tag).id, choose(after, tag).id
        assert choose(list(reversed(before)), tag).id == first
        if first != second:
            assert second == "c"
            moved += 1
    assert 0.29 < moved / len(TAGS) < 0.38


def test_accounts_without_weight_serve_when_there_is_no_other() -> None:
    assert choose([account("a", 0), account("b", 0)], TAGS[0]).id in {"a", "b"}
