"""Test keys: what an address asks for, what is played, and the receipts that follow."""

import pytest
from msgspec.structs import replace

from shared.model.address import normalise
from shared.model.events import EventRow
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import Channel, Stage
from shared.policy.simulation import CODE, Pattern, outcome_of, pattern_of, receipts

ADDRESSES = [
    (Channel.EMAIL, "Bounced@example.com", Pattern.BOUNCED),
    (Channel.EMAIL, "throttled+case-7@mail.example.org", Pattern.THROTTLED),
    (Channel.EMAIL, "unknown@qq.com", Pattern.UNKNOWN),
    (Channel.EMAIL, "refused+@example.com", Pattern.REFUSED),
    (Channel.EMAIL, "delivered@example.com", Pattern.DELIVERED),
    (Channel.EMAIL, "bounced.not@example.com", Pattern.DELIVERED),
    (Channel.EMAIL, "someone@bounced.com", Pattern.DELIVERED),
    (Channel.SMS, "13800000001", Pattern.DELIVERED),
    (Channel.SMS, "138 0000 0002", Pattern.BOUNCED),
    (Channel.SMS, "13800000003", Pattern.THROTTLED),
    (Channel.SMS, "+14254140004", Pattern.UNKNOWN),
    (Channel.SMS, "13800000005", Pattern.REFUSED),
    (Channel.SMS, "13800000006", Pattern.DELIVERED),
    (Channel.SMS, "13800020000", Pattern.DELIVERED),
    (Channel.WECOM, "Bounced", Pattern.BOUNCED),
    (Channel.WECOM, "refused-zhang", Pattern.REFUSED),
    (Channel.WECOM, "throttled_zhang", Pattern.DELIVERED),
    (Channel.WECOM, "zhangsan", Pattern.DELIVERED),
    (Channel.WECOM, "@all", Pattern.DELIVERED),
    (Channel.WECOM, "party:2", Pattern.DELIVERED),
]
LATE = Retry(Reason.THROTTLED, CODE)


@pytest.mark.parametrize(("channel", "address", "pattern"), ADDRESSES)
def test_an_address_asks_for_its_pattern(channel: Channel, address: str, pattern: Pattern) -> None:
    assert pattern_of(channel, normalise(channel, address)) is pattern


@pytest.mark.parametrize(
    ("address", "played"),
    [
        ("delivered@example.com", [Sent("delivered-M"), Sent("delivered-M")]),
        ("bounced@example.com", [Sent("bounced-M")]),
        ("throttled@example.com", [LATE, LATE, Sent("throttled-M"), Sent("throttled-M")]),
        ("unknown@example.com", [Unknown(Reason.TIMED_OUT, CODE), Sent("unknown-M")]),
        ("refused@example.com", [Rejected(Reason.ADDRESS_UNKNOWN, CODE)] * 2),
    ],
)
def test_each_try_has_its_outcome(address: str, played: list[Outcome]) -> None:
    assert [outcome_of(Channel.EMAIL, address, tries, "M") for tries in range(len(played))] == played


def test_what_is_redriven_is_past_the_first_tries() -> None:
    assert outcome_of(Channel.EMAIL, "throttled@example.com", 100, "M") == Sent("throttled-M")


def test_receipts_follow_from_what_the_simulated_provider_took() -> None:
    def row(i: int, stage: Stage, provider: str, pid: str) -> EventRow:
        return EventRow(
            index=i, tag="t", stage=stage, nth=1, at=5, account=provider, provider=provider, provider_id=pid, took_ms=0
        )

    rows = [
        row(0, Stage.SENT, "test", "delivered-M"),
        row(1, Stage.SENT, "test", "bounced-M"),
        row(2, Stage.SENT, "smtp", "bounced-M"),
        row(3, Stage.FAILED, "test", ""),
    ]
    found = [row(0, Stage.DELIVERED, "test", ""), row(1, Stage.UNDELIVERED, "test", "")]
    found[1].reason, found[1].code = Reason.ADDRESS_UNKNOWN, CODE
    assert receipts(rows) == [replace(each, provider_id=None, took_ms=None) for each in found]
