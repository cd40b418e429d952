"""Claims of requests that were left unfinished: who takes them over, and what they learn."""

from typing import Any
from unittest.mock import patch

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


def test_who_takes_a_claim_over_learns_of_places_that_were_kept_since_it_looked(aws: Aws) -> None:
    clock = FakeClock(NOW)
    slow = Idempotency(aws.dynamodb, "guard", clock)
    slow.claim(ORDER, BODY, "base-1", 1)
    clock.advance(IN_PROGRESS_MS / 1000)
    update = aws.dynamodb.update_item

    def late(**arguments: Any) -> Any:
        if "#at" in arguments["ExpressionAttributeNames"]:
            slow.keep(ORDER, "three places")
        return update(**arguments)

    with patch.object(aws.dynamodb, "update_item", late):
        found = Idempotency(aws.dynamodb, "guard", clock).claim(ORDER, BODY, "base-2", 2)
    assert (found.base, found.mine, found.grant) == ("base-1", True, "three places")
