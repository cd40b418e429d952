"""Which entries of the suppression list stop which class, and how a recipient's entries change."""

from itertools import product

import pytest

from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import Channel, MessageClass
from shared.policy.suppression import stopped_by, stops, stops_nothing, wants_no_tracking

ALL, MARKETING = SuppressionScope.ALL, SuppressionScope.MARKETING


def entry(scope: SuppressionScope, reason: SuppressionReason, at: int = 1) -> SuppressionEntry:
    return SuppressionEntry(scope=scope, reason=reason, at=at, by="k1")


STOPS = {
    # scope: reason -> the classes that it stops, by their first letters
    "all": {"bounce": "vnm", "complaint": "vnm", "unsubscribe": "nm", "manual": "vnm", "provider": "vnm"},
    "verification": {"bounce": "v", "complaint": "v", "unsubscribe": "", "manual": "v", "provider": "v"},
    "notification": {"bounce": "n", "complaint": "n", "unsubscribe": "n", "manual": "n", "provider": "n"},
    "marketing": {"bounce": "m", "complaint": "m", "unsubscribe": "m", "manual": "m", "provider": "m"},
    "tracking": {reason.value: "" for reason in SuppressionReason},
}


@pytest.mark.parametrize(("scope", "reason"), list(product(SuppressionScope, SuppressionReason)))
def test_what_an_entry_stops(scope: SuppressionScope, reason: SuppressionReason) -> None:
    stopped = {c for c in MessageClass if stopped_by([entry(scope, reason)], c) == entry(scope, reason)}
    assert "".join(c.value[0] for c in MessageClass if c in stopped) == STOPS[scope][reason]
    assert {c for c in MessageClass if stops(scope, reason, c)} == stopped
    tracking = scope is SuppressionScope.TRACKING
    assert stops_nothing(scope, reason) == (not stopped and not tracking)
    assert wants_no_tracking([entry(scope, reason)]) == tracking


def test_nobody_is_stopped_by_nothing() -> None:
    assert [stopped_by([], c) for c in MessageClass] == [None, None, None]


def test_of_several_reasons_the_one_that_somebody_decided_is_told() -> None:
    found = [entry(ALL, reason) for reason in SuppressionReason]
    first = stopped_by(found, MessageClass.MARKETING)
    assert first is not None and first.reason is SuppressionReason.MANUAL
    both = [entry(ALL, SuppressionReason.UNSUBSCRIBE), entry(ALL, SuppressionReason.COMPLAINT)]
    first = stopped_by(both, MessageClass.VERIFICATION)
    assert first is not None and first.reason is SuppressionReason.COMPLAINT


def test_an_entry_that_is_there_stays_as_it_is() -> None:
    nobody = Suppressed(tenant="default", channel=Channel.EMAIL, address="a@example.com", tag="A" * 16)
    once = nobody.plus([entry(ALL, SuppressionReason.BOUNCE, 1)])
    again = once.plus([entry(ALL, SuppressionReason.BOUNCE, 2), entry(MARKETING, SuppressionReason.BOUNCE, 3)])
    assert [(e.scope, e.at) for e in again.entries] == [(ALL, 1), (MARKETING, 3)]
    assert nobody.entries == []
    more = again.plus([entry(ALL, SuppressionReason.MANUAL, 4)])
    assert [e.at for e in more.minus(ALL, None).entries] == [3]
    assert [e.at for e in more.minus(None, SuppressionReason.BOUNCE).entries] == [4]
    assert [e.at for e in more.minus(ALL, SuppressionReason.BOUNCE).entries] == [3, 4]
    assert more.minus(None, None).entries == []
