"""A claim that a clock ahead of all others has made keeps nobody waiting."""

from shared.model.words import KeyKind
from shared.store.idempotency import IN_PROGRESS_MS, Fingerprint, Idempotency, Slot
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import NOW

ORDER, OTHER = (Slot("default", KeyKind.LIVE, key) for key in ("order", "other"))
BODY = Fingerprint("meaning", "text")


def test_a_claim_of_the_future_is_taken_over_and_one_of_now_is_not(aws: Aws) -> None:
    ahead, right = FakeClock(NOW + 3_600_000), FakeClock(NOW)
    Idempotency(aws.dynamodb, "guard", ahead).claim(ORDER, BODY, "base-1", 1)
    Idempotency(aws.dynamodb, "guard", right).claim(OTHER, BODY, "base-2", 1)
    right.advance((IN_PROGRESS_MS - 1000) / 1000)
    mine = Idempotency(aws.dynamodb, "guard", right)
    found = mine.claim(ORDER, BODY, "base-3", 2)
    assert (found.base, found.version, found.mine, found.busy) == ("base-1", 1, True, False)
    assert mine.claim(OTHER, BODY, "base-3", 2).busy
    assert mine.claim(ORDER, BODY, "base-4", 2).busy
