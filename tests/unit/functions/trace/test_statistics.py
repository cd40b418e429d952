"""A template's messages in numbers."""

from collections import Counter

from functions.trace.statistics import account_statistics, statistics
from shared.api.stats import GroupStats, Span
from shared.policy.latency import latency_name
from shared.store.counters import Group

HOUR = 491_000
"""2026-01-05 08:00 in UTC, so 16:00 in Shanghai."""


def counts(**stages: int) -> Counter[str]:
    return Counter({name.replace("_by_", ":").replace("__", "."): n for name, n in stages.items()})


MAIL, SMS = Group(1, "mail-ses"), Group(2, "mail-smtp", "spring.R", "b")
FOUND = {
    (HOUR, Group(1)): counts(accepted=100),
    (HOUR, MAIL): counts(sent=90, failed=10, failed_by_address_unknown=10, delivered=80, undelivered=4)
    + counts(undelivered_by_mailbox_full=1, undelivered__transient=2, opened=30, opened__machine=11, opened__times=44),
    (HOUR + 20, Group(2, None, "spring.R", "b")): counts(accepted=50),
    (HOUR + 20, SMS): counts(sent=40, unknown=5),
    (HOUR - 9, None): counts(accepted=1, sent=1),
}


def by_name(groups: list[GroupStats]) -> dict[str, dict[str, int]]:
    return {each.name: each.stages for each in groups}


def test_stages_add_up_over_groups_and_hours() -> None:
    found = statistics("sale", FOUND, Span.HOUR, "Asia/Shanghai", {})
    assert found.stages == {
        "accepted": 151,
        "sent": 131,
        "failed": 10,
        "unknown": 5,
        "delivered": 80,
        "undelivered": 4,
        "undelivered.transient": 2,
        "opened": 30,
        "opened.machine": 11,
        "opened.times": 44,
    }
    assert found.in_flight == 151 - 131 - 10 - 5
    assert found.no_receipt == 131 + 5 - 80 - 4 - 2


def test_each_group_has_its_own_figures() -> None:
    found = statistics("sale", FOUND, Span.HOUR, "Asia/Shanghai", {})
    assert by_name(found.versions)["2"] == {"accepted": 50, "sent": 40, "unknown": 5}
    assert [each.name for each in found.versions] == ["1", "2"], "the largest first"
    assert by_name(found.runs) == {"spring.R": {"accepted": 50, "sent": 40, "unknown": 5}}
    assert list(by_name(found.variants)) == ["b"] and set(by_name(found.accounts)) == {"mail-ses", "mail-smtp"}
    shares = {each.name: each.delivered_share for each in found.accounts}
    # Of the other nothing was ever reported: which is not that nothing arrived.
    assert shares == {"mail-ses": round(80 / 90, 4), "mail-smtp": None}


def test_providers_are_their_accounts_together() -> None:
    other = {(HOUR, Group(1, "mail-two")): counts(sent=10, delivered=10, undelivered=10)}
    known = {"mail-ses": "ses", "mail-two": "ses"}
    [ses] = statistics("sale", FOUND | other, Span.HOUR, "UTC", {}, known).providers
    # That of the third account is not known: it is deleted.
    assert (ses.name, ses.stages["sent"], ses.delivered_share) == ("ses", 100, 0.9)
    assert ses.delivered_share_of_reported == 0.9, "some came back after they had arrived: of no more than were sent"
    assert ses.undelivered_for == {"mailbox_full": 1}


def test_an_account_has_its_figures_by_hour_or_day() -> None:
    hours = {HOUR: counts(sent=4, delivered=2), HOUR + 1: counts(sent=6, delivered=6)}
    found = account_statistics("mail-ses", "ses", hours, Span.HOUR, "UTC")
    assert (found.stages, found.delivered_share, found.no_receipt) == ({"sent": 10, "delivered": 8}, 0.8, 2)
    assert [each.delivered_share for each in found.spans] == [0.5, 1.0]
    [day] = account_statistics("mail-ses", "ses", hours, Span.DAY, "UTC").spans
    assert day.delivered_share == 0.8


def test_of_nothing_no_share_is_known() -> None:
    found = account_statistics("mail-ses", "ses", {}, Span.HOUR, "UTC")
    assert (found.delivered_share, found.delivered_share_of_reported) == (None, None)


def test_reasons_say_what_they_mean() -> None:
    [first, second] = statistics("sale", FOUND, Span.HOUR, "UTC", {}).reasons
    assert (first.stage, first.reason, first.messages) == ("failed", "address_unknown", 10)
    assert (second.stage, second.reason, second.messages) == ("undelivered", "mailbox_full", 1)
    assert second.explanation == "The recipient's mailbox is full." and second.explanation_zh == "收件人的邮箱已满。"


def test_a_reason_of_another_time_is_shown_as_it_is() -> None:
    [found] = statistics("sale", {(HOUR, MAIL): Counter({"failed:solar_flare": 2})}, Span.HOUR, "UTC", {}).reasons
    assert (found.reason, found.messages, found.explanation, found.explanation_zh) == ("solar_flare", 2, "", None)


def test_days_begin_at_midnight_of_the_tenants_zone() -> None:
    found = statistics("sale", FOUND, Span.DAY, "Asia/Shanghai", {})
    starts = [each.start.isoformat() for each in found.spans]
    assert starts == ["2026-01-05T00:00:00+08:00", "2026-01-06T00:00:00+08:00"]
    assert [each.stages["accepted"] for each in found.spans] == [101, 50]


def test_latencies_are_of_all_groups_and_of_each() -> None:
    fast = Counter({latency_name("delivered", 1000): 95, latency_name("delivered", 60_000): 5})
    slow = Counter({latency_name("delivered", 60_000): 100})
    found = statistics("sale", {(HOUR, MAIL): fast, (HOUR, SMS): slow}, Span.HOUR, "UTC", {})
    by_account = {each.name: each.latency.delivered for each in found.accounts}
    assert (by_account["mail-ses"].p50, by_account["mail-ses"].messages) == (1024, 100)
    assert by_account["mail-smtp"].p50 == by_account["mail-ses"].p99 == found.latency.delivered.p95 == 55109
    assert found.latency.sent.p50 is None
