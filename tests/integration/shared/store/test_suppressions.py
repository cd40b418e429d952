"""The suppression list over moto: nothing added is lost, whatever comes at once or dies; and its operations."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from shared.model.suppression import Suppressed, SuppressionReason, SuppressionScope
from shared.model.words import Channel
from shared.store import suppressions as store
from shared.store.catalog_items import CatalogConflictError, CursorError
from shared.store.suppressions import DIRECTLY, Suppressions
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import Answer, ManageApi
from tests.integration.shared.store.suppressing import DiedError, Dying, add, entry, nobody, record, remove

ADD, REMOVE = "POST /v1/suppressions", "POST /v1/suppressions/remove"
QUERY, IMPORT = "POST /v1/suppressions/query", "POST /v1/suppressions/import"
REASONS = list(SuppressionReason)


def items(aws: Aws, prefix: str) -> int:
    found = aws.dynamodb.scan(TableName=aws.catalog)["Items"]
    return sum(item["pk"]["S"].startswith(prefix) for item in found)


@pytest.fixture
def suppressions(aws: Aws, clock: FakeClock) -> Suppressions:
    return Suppressions(aws.dynamodb, aws.catalog, clock)


# The store


def test_a_few_are_looked_up_with_one_call(aws: Aws, clock: FakeClock) -> None:
    counting = Dying(aws.dynamodb, 0, False)
    found = Suppressions(counting, aws.catalog, clock)  # type: ignore[arg-type]  # it passes calls on
    for n in range(3):
        add(found, nobody(n), entry())
    add(found, nobody(4, Channel.SMS), entry())
    add(found, nobody(5, tenant="other"), entry())
    tags = [nobody(n).tag for n in range(DIRECTLY)]
    found.find("default", Channel.EMAIL, tags)  # that there is a list at all is asked once in a while
    before = counting.calls
    got = found.find("default", Channel.EMAIL, [*tags, tags[0]])
    assert counting.calls == before + 1
    assert got == {tags[n]: [entry()] for n in range(3)}


def test_where_there_is_no_list_nothing_is_asked_and_the_first_entry_counts_in_ten_seconds(
    aws: Aws, clock: FakeClock
) -> None:
    counting = Dying(aws.dynamodb, 0, False)
    found = Suppressions(counting, aws.catalog, clock)  # type: ignore[arg-type]  # it passes calls on
    tags = [nobody(n).tag for n in range(5)]
    for _ in range(3):
        assert found.find("default", Channel.EMAIL, tags) == {}
    assert counting.calls == 1
    add(Suppressions(aws.dynamodb, aws.catalog, clock), nobody(1), entry())
    assert found.find("default", Channel.EMAIL, tags) == {}
    clock.advance(10)
    assert found.find("default", Channel.EMAIL, tags) == {tags[1]: [entry()]}
    assert found.find("default", Channel.SMS, tags) == {}


def test_the_last_entry_takes_the_item_with_it(aws: Aws, suppressions: Suppressions) -> None:
    add(suppressions, nobody(1), entry(), entry(SuppressionReason.BOUNCE))
    remove(suppressions, nobody(1), SuppressionReason.MANUAL)
    assert suppressions.find("default", Channel.EMAIL, [nobody(1).tag]) == {
        nobody(1).tag: [entry(SuppressionReason.BOUNCE)]
    }
    remove(suppressions, nobody(1))
    assert items(aws, "suppressed#") == 0
    assert items(aws, "audit#") == 3


def test_what_changes_nothing_writes_nothing(aws: Aws, suppressions: Suppressions) -> None:
    remove(suppressions, nobody(1))
    assert items(aws, "audit#") == 0
    add(suppressions, nobody(1), entry())
    add(suppressions, nobody(1), entry())
    assert items(aws, "audit#") == 1


def test_who_was_removed_and_added_again_is_another_revision(suppressions: Suppressions, clock: FakeClock) -> None:
    add(suppressions, nobody(1), entry())
    tag = nobody(1).tag
    seen = suppressions.load_all("default", Channel.EMAIL, [tag])
    remove(suppressions, nobody(1))
    clock.advance(1)
    add(suppressions, nobody(1), entry(SuppressionReason.BOUNCE))
    # An import that saw the list before all that must not write over it.
    suppressions.add_all([nobody(1).plus([entry(SuppressionReason.PROVIDER)])], seen)
    found = suppressions.find("default", Channel.EMAIL, [tag])[tag]
    assert [e.reason for e in found] == [SuppressionReason.BOUNCE, SuppressionReason.PROVIDER]


def test_entries_added_at_the_same_time_are_all_kept(
    aws: Aws, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many may come first as there are others.
    monkeypatch.setattr(store, "ATTEMPTS", 2 * len(REASONS))
    together = threading.Barrier(len(REASONS))
    found = Suppressions(aws.dynamodb, aws.catalog, clock)

    def one(reason: SuppressionReason) -> None:
        together.wait()
        if len(reason) % 2:
            add(found, nobody(1), entry(reason))
        else:
            found.add_all([nobody(1).plus([entry(reason)])], {})

    with ThreadPoolExecutor(len(REASONS)) as pool:
        list(pool.map(one, REASONS))
    assert {e.reason for e in found.find("default", Channel.EMAIL, [nobody(1).tag])[nobody(1).tag]} == set(REASONS)


def test_it_gives_up_when_others_always_come_first(aws: Aws, clock: FakeClock) -> None:
    found = Suppressions(aws.dynamodb, aws.catalog, clock)
    others = iter([entry(reason, SuppressionScope.MARKETING) for reason in REASONS])

    def busy(before: Suppressed) -> Suppressed:
        add(found, nobody(1), next(others))
        return before.plus([entry()])

    with pytest.raises(CatalogConflictError):
        found.change(nobody(1), busy, record)


@pytest.mark.parametrize("after", [False, True])
def test_a_change_may_die_at_every_call(aws: Aws, clock: FakeClock, after: bool) -> None:
    plain = Suppressions(aws.dynamodb, aws.catalog, clock)
    add(plain, nobody(99), entry())
    for at in range(1, 5):
        dying = Dying(aws.dynamodb, at, after)
        one = Suppressions(dying, aws.catalog, clock)  # type: ignore[arg-type]  # it passes calls on
        try:
            add(one, nobody(at), entry())
        except DiedError:
            kept = bool(plain.find("default", Channel.EMAIL, [nobody(at).tag]))
            assert kept == (after and at == 3)
        add(plain, nobody(at), entry())
        assert plain.find("default", Channel.EMAIL, [nobody(at).tag]) == {nobody(at).tag: [entry()]}
    # Each was added once, and each has its record.
    assert dying.calls == 3
    assert (items(aws, "suppressed#"), items(aws, "audit#")) == (5, 5)


def test_every_page_together_is_the_list(suppressions: Suppressions, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = [nobody(n, channel) for n in range(60) for channel in (Channel.EMAIL, Channel.WECOM)]
    suppressions.add_all([each.plus([entry()]) for each in everyone if each.channel is Channel.EMAIL], {})
    suppressions.add_all([each.plus([entry()]) for each in everyone if each.channel is Channel.WECOM], {})
    suppressions.add_all([nobody(1, tenant="other").plus([entry()])], {})

    def pages(limit: int, *channels: Channel) -> list[list[tuple[Channel, str]]]:
        found, cursor = [], None
        while True:
            page = suppressions.page("default", channels, lambda each: True, limit, cursor)
            assert len(page.items) <= limit
            found.append([(each.channel, each.tag) for each in page.items])
            cursor = page.cursor
            if cursor is None:
                return found

    expected = sorted((each.channel, each.tag) for each in everyone)
    for limit, most in ((7, 150), (60, 150), (1000, 150), (1000, 5)):
        monkeypatch.setattr(store, "MAX_QUERIES", most)
        monkeypatch.setattr(store, "BATCH", 2)
        found = pages(limit, *Channel)
        assert sorted(each for page in found for each in page) == expected
        assert found[-1] or most == 5
    assert sum(len(page) for page in pages(7, Channel.WECOM)) == 60


@pytest.mark.parametrize("cursor", ["", "!", "c21zI0E", "ZW1haWwjIQ", "ZW1haWwjQUI", "ZW1haWw"])
def test_a_strange_cursor_is_refused(cursor: str, suppressions: Suppressions) -> None:
    with pytest.raises(CursorError):
        suppressions.page("default", [Channel.EMAIL], lambda each: True, 10, cursor)


# The operations


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    return ManageApi(aws, clock)


def entries(answer: Answer) -> list[tuple[str, str, str]]:
    assert answer.status == 200, answer.text
    return [(e["scope"], e["reason"], e["by"]) for e in answer.json["suppression"]["entries"]]


def test_a_recipient_is_added_found_and_removed(manage_api: ManageApi) -> None:
    body = {"channel": "sms", "address": "138 0013 8000", "note": "by phone"}
    answer = manage_api.call(ADD, body, who="k7")
    assert entries(answer) == [("all", "manual", "k7")]
    assert (answer.json["changed"], answer.json["suppression"]["address"]) == (1, "+8613800138000")
    assert manage_api.call(ADD, body).json["changed"] == 0
    more = manage_api.call(ADD, {**body, "scope": "marketing", "reason": "unsubscribe"}, who="k8")
    assert entries(more) == [("all", "manual", "k7"), ("marketing", "unsubscribe", "k8")]
    for query in ({"channel": "sms", "address": "+86 138-0013-8000"}, {}, {"reason": "unsubscribe"}):
        assert manage_api.call(QUERY, query).json == {"suppressions": [more.json["suppression"]], "cursor": None}
    for query in ({"channel": "email"}, {"reason": "bounce"}, {"channel": "sms", "address": "13800138001"}):
        assert manage_api.call(QUERY, query).json["suppressions"] == []
    assert manage_api.call(QUERY, {}, tenant="other").json["suppressions"] == []
    gone = manage_api.call(REMOVE, {"channel": "sms", "address": "13800138000", "reason": "manual"})
    assert (gone.json["changed"], entries(gone)) == (1, [("marketing", "unsubscribe", "k8")])
    gone = manage_api.call(REMOVE, {"channel": "sms", "address": "13800138000"})
    assert (gone.json["changed"], entries(gone)) == (1, [])
    assert manage_api.call(REMOVE, {"channel": "sms", "address": "13800138000"}).json["changed"] == 0


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        (ADD, {"channel": "email"}, "address"),
        (ADD, {"channel": "email", "address": ""}, "address"),
        (ADD, {"channel": "email", "address": "nobody"}, "address"),
        (ADD, {"channel": "fax", "address": "a@example.com"}, "channel"),
        (ADD, {"channel": "email", "address": "a@example.com", "scope": "some"}, "scope"),
        (ADD, {"channel": "email", "address": "a@example.com", "reason": "dislike"}, "reason"),
        (ADD, {"channel": "email", "address": "a@example.com", "note": "x" * 201}, "note"),
        (
            ADD,
            {"channel": "email", "address": "a@example.com", "scope": "verification", "reason": "unsubscribe"},
            "reason",
        ),
        (REMOVE, {"channel": "sms", "address": "12"}, "address"),
        (QUERY, {"limit": 1001}, "limit"),
        (QUERY, {"limit": True}, "limit"),
        (QUERY, {"cursor": "nonsense"}, "cursor"),
        (QUERY, {"address": "a@example.com"}, ""),
        (QUERY, {"channel": "email", "address": "nobody"}, "address"),
        (IMPORT, {"channel": "email", "rows": []}, "rows"),
        (IMPORT, {"channel": "email", "rows": [{}]}, "rows.0.address"),
        (IMPORT, {"channel": "email", "rows": [{"address": "a@example.com", "name": "A"}]}, "rows.0.name"),
        (IMPORT, {"channel": "email", "rows": [{"address": "a@example.com"}] * 1001}, "rows"),
    ],
)
def test_what_is_not_right_is_named(route: str, body: dict[str, Any], field: str, manage_api: ManageApi) -> None:
    answer = manage_api.call(route, body)
    assert (answer.status, answer.fields) == (422, [field])
    assert manage_api.call(QUERY, {}).json["suppressions"] == []


@pytest.mark.parametrize("route", [ADD, REMOVE, QUERY, IMPORT])
def test_it_needs_a_key_that_manages(route: str, manage_api: ManageApi) -> None:
    assert manage_api.call(route, {}, scopes="send read").status == 403


def test_each_row_of_an_import_is_reported(manage_api: ManageApi) -> None:
    manage_api.call(ADD, {"channel": "email", "address": "old@example.com", "reason": "bounce"})
    rows = [
        {"address": "old@example.com"},
        {"address": "New@example.com", "note": "one"},
        {"address": "new@example.com", "note": "the same"},
        {"address": "new@example.com", "scope": "marketing", "reason": "unsubscribe"},
        {"address": "  "},
        {"address": "nobody"},
        {"address": "a@example.com", "scope": "some"},
        {"address": "a@example.com", "reason": "dislike"},
        {"address": "a@example.com", "note": "x" * 201},
        {"address": "a@example.com", "scope": "verification", "reason": "unsubscribe"},
    ]
    body = {"channel": "email", "reason": "bounce", "rows": rows}
    answer = manage_api.call(IMPORT, body)
    assert answer.status == 200
    assert [answer.json[name] for name in ("added", "already_there", "invalid")] == [2, 2, 6]
    found = [(r["index"], r["status"], r["field"]) for r in answer.json["rows"]]
    wrong = ["address", "address", "scope", "reason", "note", "reason"]
    assert found == [
        (0, "already_there", None),
        (1, "added", None),
        (2, "already_there", None),
        (3, "added", None),
        *((n, "invalid", name) for n, name in enumerate(wrong, start=4)),
    ]
    assert all(r["detail"] for r in answer.json["rows"][4:])
    [new] = manage_api.call(QUERY, {"channel": "email", "address": "new@example.com"}).json["suppressions"]
    assert [(e["reason"], e["note"]) for e in new["entries"]] == [("bounce", "one"), ("unsubscribe", "")]
    again = manage_api.call(IMPORT, body)
    assert [again.json[name] for name in ("added", "already_there", "invalid")] == [0, 4, 6]
    targets = [
        r["target"] for r in manage_api.call("GET /v1/audit", query={"target": "suppression/email"}).json["records"]
    ]
    # What added nothing has no record.
    assert sorted(t.rpartition("/")[0] for t in targets) == ["suppression", "suppression/email"]


@dataclass(frozen=True)
class DyingAws(Aws):
    """AWS whose tables are reached by a client that dies."""

    tables: Any = None

    def client(self, service: str, **config: Any) -> Any:
        return self.tables if service == "dynamodb" else super().client(service, **config)


@pytest.mark.parametrize("after", [False, True])
def test_an_import_may_die_at_every_call_and_be_done_again(aws: Aws, clock: FakeClock, after: bool) -> None:
    manage_api = ManageApi(aws, clock)
    manage_api.catalog.ensure_tenant("default")
    died = 0
    for at in range(1, 20):
        body = {"channel": "email", "rows": [{"address": f"u{at}.{n}@example.com"} for n in range(3)]}
        dying = Dying(aws.dynamodb, at, after)
        before = items(aws, "suppressed#"), items(aws, "audit#")
        try:
            assert ManageApi(DyingAws(tables=dying), clock).call(IMPORT, body).status == 200
        except DiedError:
            died += 1
            # Nothing is added that is not on record.
            if items(aws, "suppressed#") > before[0]:
                assert items(aws, "audit#") == before[1] + 1
            again = manage_api.call(IMPORT, body).json
            assert again["added"] + again["already_there"] == 3
        assert items(aws, "suppressed#") == before[0] + 3
    # The tenant, the list, the key, the record, the mark, and three recipients.
    assert died == 8


def test_the_audit_log_tells_who_and_what_but_not_the_address(manage_api: ManageApi, clock: FakeClock) -> None:
    manage_api.call(ADD, {"channel": "email", "address": "secret.name@example.com"}, who="k7")
    clock.advance(1)
    manage_api.call(REMOVE, {"channel": "email", "address": "secret.name@example.com"}, who="k8")
    clock.advance(1)
    manage_api.call(IMPORT, {"channel": "email", "rows": [{"address": "secret.name@example.com"}, {"address": "x"}]})
    answer = manage_api.call("GET /v1/audit")
    imported, removed, added = answer.json["records"]
    assert (added["who"], added["before"]) == ("k7", None)
    assert added["after"]["recipient"] == "s***@example.com"
    assert (removed["who"], removed["after"], removed["before"]) == ("k8", None, added["after"])
    assert imported["after"] | {"rows": 0} == {
        "channel": "email", "scope": "all", "reason": "manual", "added": 1, "already_there": 0, "invalid": 1, "rows": 0,
    }  # fmt: skip
    assert "secret.name" not in answer.text
