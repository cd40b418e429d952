"""The code of a verification, what checks of it come to, and when something may be sent."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.model.ids import TAG_LENGTH, Numbering, new_base
from shared.model.verifications import Address, Proof, State, Verification
from shared.policy.verifying import (
    DAY_MS,
    KEPT,
    MINUTE_MS,
    MOST_CHECKS,
    MOST_LOCKED,
    MOST_MINUTES,
    Allowed,
    Result,
    TooOftenError,
    Wanted,
    as_entered,
    bound_to,
    code_of,
    judge,
    matches,
    start,
    status_of,
)

NOW = 1_764_500_000_000
SALT = bytes(range(32))
number = Numbering(new_base(NOW))


def wanted(n: int = 0, *, bind: str | None = None, purpose: str = "login", length: int = 6) -> Wanted:
    return Wanted(
        id=number(n) + "0" * TAG_LENGTH,
        message_id=number(n) + "0" * TAG_LENGTH,
        purpose=purpose,
        template="code",
        version=1,
        channel="sms",
        kind="live",
        length=length,
        minutes=10,
        bind=bind,
    )


def allowed(now: int, count: int = 5) -> Allowed:
    return Allowed(count, now - 10 * MINUTE_MS, 10 * MINUTE_MS)


def begun(address: Address | None = None, n: int = 0, now: int = NOW, **asked: Any) -> Address:
    return start(address or Address(), wanted(n, **asked), now, allowed(now))


def with_last(address: Address, **changes: object) -> Address:
    *others, last = address.verifications
    return replace(address, verifications=(*others, replace(last, **changes)))


# The code


def test_a_code_follows_from_the_secret_the_id_and_the_generation() -> None:
    proof = Proof(wanted().message_id, 1, 6)
    code = code_of(SALT, proof)
    assert len(code) == 6 and code.isdecimal()
    assert code == code_of(SALT, proof)
    others = {
        code_of(b"\1" * 32, proof),
        code_of(SALT, replace(proof, id=wanted(1).message_id)),
        code_of(SALT, replace(proof, generation=2)),
    }
    assert code not in others


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8])
def test_codes_have_their_length_and_any_digit_is_as_likely(length: int) -> None:
    codes = [code_of(SALT, Proof(number(n), 1, length)) for n in range(3000)]
    assert {len(code) for code in codes} == {length}
    for place in range(length):
        seen = Counter(code[place] for code in codes)
        # Six standard deviations of 300 each; leading zeros are digits as others.
        assert all(200 < seen[digit] < 400 for digit in "0123456789")


@pytest.mark.parametrize("entered", ["123456", " 123 456\n", "123-456", "１２３４５６", "１２３ ４５６"])
def test_what_stands_between_digits_does_not_matter(entered: str) -> None:
    assert as_entered(entered) == "123456"


@given(st.text(max_size=20))
def test_whatever_is_entered_is_compared(entered: str) -> None:
    found = begun().verifications[-1]
    assert matches(found, entered, None, SALT) == (as_entered(entered) == code_of(SALT, found.proof))


def test_what_it_is_bound_to_must_match_if_it_was_given() -> None:
    bind = bound_to(SALT, "session 1")
    found = begun(bind=bind).verifications[-1]
    code = code_of(SALT, found.proof)
    assert "session" not in bind
    assert matches(found, code, bind, SALT)
    assert not matches(found, code, None, SALT)
    assert not matches(found, code, bound_to(SALT, "session 2"), SALT)
    assert matches(begun().verifications[-1], code_of(SALT, begun().verifications[-1].proof), bind, SALT)


# Checks


def test_each_wrong_code_leaves_one_try_less_and_the_fifth_locks() -> None:
    found = begun().verifications[-1]
    lefts = [judge(replace(found, checks=n), right=False, now=NOW).left for n in range(MOST_CHECKS)]
    assert lefts == [4, 3, 2, 1, 0]
    locked = replace(found, checks=MOST_CHECKS)
    assert judge(locked, right=True, now=NOW).result is Result.LOCKED
    assert judge(locked, right=True, now=NOW + 11 * MINUTE_MS).result is Result.LOCKED


@pytest.mark.parametrize(
    ("changes", "later", "result"),
    [
        ({}, 10 * MINUTE_MS - 1, Result.APPROVED),
        ({}, 10 * MINUTE_MS, Result.EXPIRED),
        ({"state": State.APPROVED}, 0, Result.USED),
        ({"state": State.APPROVED, "checks": 4}, DAY_MS, Result.USED),
        ({"state": State.CANCELLED}, 0, Result.CANCELLED),
    ],
)
def test_a_right_code_is_approved_once_and_in_time(changes: dict[str, object], later: int, result: Result) -> None:
    found = replace(begun().verifications[-1], **changes)
    assert judge(found, right=True, now=NOW + later).result is result


# Starts


def test_who_asks_again_within_the_time_gets_the_same_code_for_longer() -> None:
    once = begun()
    twice = begun(once, 1, NOW + 9 * MINUTE_MS)
    first, again = once.verifications[-1], twice.verifications[-1]
    assert (first.id, first.generation) == (again.id, again.generation)
    assert again.valid_until == NOW + 19 * MINUTE_MS
    assert again.messages == (wanted(0).message_id, wanted(1).message_id)


def test_no_verification_lives_longer_than_an_hour() -> None:
    address = begun()
    for n, minute in enumerate((9, 18, 27, 36, 45, 54), start=1):
        address = begun(address, n, NOW + minute * MINUTE_MS)
    assert len(address.verifications) == 1
    assert address.verifications[-1].valid_until == NOW + MOST_MINUTES * MINUTE_MS
    assert len(begun(address, 7, NOW + 59 * MINUTE_MS).verifications) == 2


@pytest.mark.parametrize(
    ("changes", "asked", "later"),
    [
        ({"state": State.APPROVED}, {}, 0),
        ({"state": State.CANCELLED}, {}, 0),
        ({"checks": MOST_CHECKS}, {}, 0),
        ({}, {}, 10 * MINUTE_MS),
        ({}, {"purpose": "payment"}, 0),
        ({}, {"bind": "somebody else's"}, 0),
    ],
)
def test_otherwise_there_is_another_code(changes: dict[str, object], asked: dict[str, str], later: int) -> None:
    before = with_last(begun(), **changes)
    after = begun(before, 1, NOW + later, **asked)
    first, second = after.verifications
    assert second.id == wanted(1).message_id != first.id
    assert second.generation == first.generation + 1
    assert code_of(SALT, first.proof) != code_of(SALT, second.proof)


def test_a_sixth_within_ten_minutes_is_refused_until_the_first_is_ten_minutes_old() -> None:
    address = Address()
    for n in range(5):
        address = begun(address, n, NOW + n * MINUTE_MS)
    with pytest.raises(TooOftenError) as refused:
        begun(address, 5, NOW + 5 * MINUTE_MS)
    assert refused.value.until == NOW + 10 * MINUTE_MS and not refused.value.locked
    assert begun(address, 5, NOW + 10 * MINUTE_MS).sent[0] == NOW + MINUTE_MS


def test_a_limit_by_the_day_ends_with_the_day_and_none_is_none() -> None:
    by_day = Allowed(1, NOW - 1, None)
    address = start(Address(), wanted(), NOW, by_day)
    with pytest.raises(TooOftenError) as refused:
        start(address, wanted(1), NOW + 1, by_day)
    assert refused.value.until == NOW + DAY_MS
    for n in range(1, 30):
        address = start(address, wanted(n), NOW + n, Allowed(0, 0, None))
    assert len(address.verifications) == 1


def test_six_locked_within_a_day_are_all() -> None:
    address = Address()
    for n in range(MOST_LOCKED):
        address = with_last(begun(address, n, NOW + n * 11 * MINUTE_MS), checks=MOST_CHECKS)
    with pytest.raises(TooOftenError) as refused:
        begun(address, 9, NOW + DAY_MS - 1)
    assert refused.value.locked and refused.value.until == NOW + DAY_MS
    assert begun(address, 9, NOW + DAY_MS)


def test_others_do_not_push_out_what_is_locked() -> None:
    address = Address()
    for n in range(MOST_LOCKED - 1):
        address = with_last(begun(address, n, NOW + n), checks=MOST_CHECKS) if n < 5 else address
    for n in range(60):
        address = start(address, wanted(10 + n, purpose=f"p{n}"), NOW + MINUTE_MS + n, Allowed(0, 0, None))
    assert len(address.verifications) == KEPT
    assert sum(each.checks == MOST_CHECKS for each in address.verifications) == MOST_LOCKED - 1


def test_a_day_later_nothing_is_kept_of_one() -> None:
    later = begun(begun(), 1, NOW + DAY_MS)
    assert [each.id for each in later.verifications] == [wanted(1).message_id]


def test_how_far_one_is_follows_from_what_is_kept() -> None:
    found: Verification = begun().verifications[-1]
    assert status_of(found, NOW) is None
    assert status_of(found, found.valid_until) is Result.EXPIRED
