"""Places for texts that the process has are kept with the claim, in the one write that makes it."""

from typing import Any

import pytest

from shared.model.tenants import TenantSettings
from shared.store.idempotency import Idempotency
from shared.store.texts import DAY_MS, Of, Texts
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.ingest.test_service import IngestHarness, add_code

BLOCK = 10
OF = Of("default", "k", "all")


@pytest.fixture
def ingest_harness(aws: Aws, clock: FakeClock) -> IngestHarness:
    made = IngestHarness(aws, clock)
    add_code(made)
    settings = TenantSettings(version=1, texts_per_key_per_day=BLOCK * 1000)
    made.catalog.save_settings("default", settings, None, samples.change())
    return made


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is kept with a claim by a write of its own."""
    found: list[str] = []
    plain = Idempotency.keep

    def keep(store: Idempotency, slot: Any, grant: str) -> None:
        found.append(slot.name)
        plain(store, slot, grant)

    monkeypatch.setattr(Idempotency, "keep", keep)
    return found


def code(*numbers: int) -> dict[str, Any]:
    recipients = [{"to": f"+86138{number:08d}"} for number in numbers]
    return {"template": "code", "recipients": recipients, "variables": {"code": "123456"}}


def spent(harness: IngestHarness) -> int:
    """How many places of the first block are spent."""
    (left,) = harness.ingest.limits.texts._left.values()
    return BLOCK - left


def test_the_first_request_asks_for_places_and_the_next_have_them(
    ingest_harness: IngestHarness, kept: list[str]
) -> None:
    for number in range(3):
        status, answer = ingest_harness.send(code(number), idempotency_key=f"k{number}")
        assert (status, answer["accepted"]) == (202, 1)
    assert kept == ["k0"] and spent(ingest_harness) == 3


def test_a_repeat_takes_no_place(ingest_harness: IngestHarness, kept: list[str]) -> None:
    ingest_harness.send(code(0), idempotency_key="k0")
    first = ingest_harness.send(code(1, 2), idempotency_key="k1")
    assert [ingest_harness.send(code(1, 2), idempotency_key="k1") for _ in range(3)] == [first] * 3
    assert ingest_harness.send(code(3), idempotency_key="k1")[0] == 422
    assert kept == ["k0"] and spent(ingest_harness) == 3


def test_who_wants_more_than_there_is_asks(ingest_harness: IngestHarness, kept: list[str]) -> None:
    ingest_harness.send(code(0), idempotency_key="k0")
    assert ingest_harness.send(code(*range(BLOCK)), idempotency_key="k1")[1]["accepted"] == BLOCK
    assert kept == ["k0", "k1"]


def test_places_of_yesterday_are_gone(aws: Aws, clock: FakeClock) -> None:
    texts = Texts(aws.dynamodb, aws.guard, clock)
    texts.take(OF, 1, BLOCK * 1000)
    anew = (clock.now_ms() // DAY_MS + 1) * DAY_MS
    assert texts.at_hand(OF, 4) and not texts.at_hand(OF, BLOCK)
    clock.advance(86_400)
    assert not texts.at_hand(OF, 1)
    texts.take(OF, 1, BLOCK * 1000)
    texts.give_back(OF, 4, anew)
    assert texts._left[OF] == BLOCK - 1
