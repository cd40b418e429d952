"""Receipts that name an address alone: the last message to it through the account, as of when it was said."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from functions.receipts.matching import SKEW_MS, Matcher
from shared.model.receipts import Receipt
from shared.model.words import Stage
from shared.store.kept_events import KeptEvent

SAID = 1_764_500_000_000


class Timeline:
    """Messages to one recipient, newest first."""

    def __init__(self, *sent: tuple[str, int, str]) -> None:
        self.sent = sent

    def sent_to(self, tenant: str, tag: str, after_ms: int) -> Iterator[tuple[str, KeptEvent]]:
        for message_id, at, account in self.sent:
            yield message_id, KeptEvent(stage="sent", nth=0, at=at, provider="smtp", account=account)


class Catalog:
    """A tenant."""

    def tenant(self, id: str) -> Any:
        return SimpleNamespace(id=id, salt=b"salt", region="CN") if id == "acme" else None


def matched(timeline: Timeline, **more: Any) -> str | None:
    facts: dict[str, Any] = {"tenant": "acme", "account": "mail", "address": "bob@example.net", "latest": True}
    receipt = Receipt(provider="smtp", stage=Stage.UNDELIVERED, at=SAID, **facts | more)
    found, left = Matcher(cast(Any, timeline), cast(Any, Catalog())).match([receipt], thorough=True)
    assert len(found) + len(left) == 1
    return found[0].message_id if found else None


def test_the_last_one_is_meant_that_was_sent_when_it_was_said() -> None:
    timeline = Timeline(
        ("after", SAID + SKEW_MS + 1, "mail"), ("last", SAID - 5_000, "mail"), ("before", SAID - 90_000, "mail")
    )
    assert matched(timeline) == "last"


def test_clocks_need_not_agree_to_the_second() -> None:
    assert matched(Timeline(("sent", SAID + SKEW_MS, "mail"))) == "sent"


def test_one_through_another_account_is_not_meant() -> None:
    timeline = Timeline(("other", SAID - 1_000, "second"), ("ours", SAID - 2_000, "mail"))
    assert matched(timeline) == "ours"
    assert matched(timeline, account="third") is None


@pytest.mark.parametrize(
    "more", [{"tenant": "nobody"}, {"address": "no address"}, {"provider_id": "x", "latest": False}]
)
def test_what_names_too_little_finds_nothing(more: dict[str, Any]) -> None:
    assert matched(Timeline(("sent", SAID, "mail")), **more) is None
