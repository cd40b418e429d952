"""Reviews of template versions, and the settings that require them."""

from typing import Any

import pytest

from shared.model.accounts import Account
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.catalog_items import CatalogConflictError
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.managing import Answer, Desk
from tests.samples import api_key, change

CREATE = "POST /v1/templates"
VERSIONS = "POST /v1/templates/{id}/versions"
VERSION = "GET /v1/templates/{id}/versions/{version}"
SUBMIT = "POST /v1/templates/{id}/versions/{version}/submit"
APPROVE = "POST /v1/templates/{id}/versions/{version}/approve"
REJECT = "POST /v1/templates/{id}/versions/{version}/reject"
PUBLISH = "POST /v1/templates/{id}/versions/{version}/publish"
COPY = "POST /v1/templates/{id}/copy"
ARCHIVE = "POST /v1/templates/{id}/archive"
SETTINGS = "GET /v1/settings"
SET = "PATCH /v1/settings"
RESTORE = "POST /v1/settings/restore"
SETTINGS_VERSIONS = "GET /v1/settings/versions"
CONTENT = {"content": {"type": "text", "content": "Hello {{ name }}"}, "sample": {"name": "Ann"}}
TEMPLATE = {"id": "hello", "name": "Hello", "class": "notification", "accounts": ["app"], **CONTENT}
BODIES: dict[str, Any] = {APPROVE: {}, REJECT: {"comment": "No."}}


@pytest.fixture
def desk(aws: Aws, clock: FakeClock) -> Desk:
    desk = Desk(aws, clock)
    account = Account(
        id="app",
        tenant="default",
        name="App",
        channel=Channel.WECOM,
        provider="app",
        settings={},
        created_at=0,
        updated_at=0,
    )
    desk.catalog.create_account(account, change())
    assert desk.call(CREATE, TEMPLATE, who="author").status == 201
    return desk


def act(desk: Desk, route: str, who: str, body: Any = None, version: int | str = 1) -> Answer:
    return desk.call(route, BODIES.get(route) if body is None else body, id="hello", version=version, who=who)


def state(desk: Desk, version: int = 1) -> str:
    found: str = act(desk, VERSION, "anyone", version=version).json["review"]["state"]
    return found


def require(desk: Desk, wanted: bool = True) -> None:
    if not wanted:
        assert desk.call(SET, {"review_required": False}, who="k2").json["review_required"] is True
    assert desk.call(SET, {"review_required": wanted}).json["review_required"] is wanted


def test_a_review_says_who_when_and_why(desk: Desk, clock: FakeClock) -> None:
    made = act(desk, VERSION, "anyone").json
    assert made["author"] == "author"
    assert made["review"] == {
        "state": "draft",
        "submitted_by": None,
        "submitted_at": None,
        "decided_by": None,
        "decided_at": None,
        "comment": "",
    }
    clock.advance(60)
    assert act(desk, SUBMIT, "author").json["review"]["state"] == "submitted"
    clock.advance(60)
    answer = act(desk, REJECT, "reviewer", {"comment": "The price is wrong."})
    assert answer.json["review"] == {
        "state": "rejected",
        "submitted_by": "author",
        "submitted_at": "2025-01-15T10:01:00Z",
        "decided_by": "reviewer",
        "decided_at": "2025-01-15T10:02:00Z",
        "comment": "The price is wrong.",
    }
    again = act(desk, SUBMIT, "second author").json["review"]
    assert (again["state"], again["submitted_by"], again["decided_by"], again["comment"]) == (
        "submitted",
        "second author",
        None,
        "",
    )
    assert act(desk, APPROVE, "reviewer", {"comment": "Fine."}).json["review"]["comment"] == "Fine."
    assert act(desk, VERSION, "anyone").json["content"]["content"] == "Hello {{ name }}"


ROADS: dict[str, list[tuple[str, str]]] = {
    "draft": [],
    "submitted": [(SUBMIT, "author")],
    "approved": [(SUBMIT, "author"), (APPROVE, "reviewer")],
    "rejected": [(SUBMIT, "author"), (REJECT, "reviewer")],
}
ALLOWED = {
    ("draft", SUBMIT): "submitted",
    ("rejected", SUBMIT): "submitted",
    ("submitted", APPROVE): "approved",
    ("submitted", REJECT): "rejected",
    ("approved", REJECT): "rejected",
}


@pytest.mark.parametrize("start", ROADS)
@pytest.mark.parametrize("route", [SUBMIT, APPROVE, REJECT])
@pytest.mark.parametrize("published", [False, True])
def test_each_step_is_possible_from_some_states_only(desk: Desk, start: str, route: str, published: bool) -> None:
    for step, who in ROADS[start]:
        assert act(desk, step, who).status == 200
    if published:
        assert act(desk, PUBLISH, "anyone").status == 200
    assert state(desk) == start
    wanted = ALLOWED.get((start, route)) if not (published and route == REJECT) else None
    answer = act(desk, route, "reviewer")
    assert answer.status == (200 if wanted else 409)
    assert state(desk) == (wanted or start)


@pytest.mark.parametrize(
    ("submitter", "approver", "status"),
    [
        ("author", "author", 403),
        ("helper", "author", 403),
        ("helper", "helper", 403),
        ("author", "reviewer", 200),
        ("helper", "reviewer", 200),
    ],
)
def test_nobody_approves_what_is_their_own(desk: Desk, submitter: str, approver: str, status: int) -> None:
    act(desk, SUBMIT, submitter)
    assert act(desk, APPROVE, approver).status == status
    assert state(desk) == ("approved" if status == 200 else "submitted")


def test_who_saved_a_version_is_told_by_the_key_alone(desk: Desk) -> None:
    for claim in ("author", "creator", "submitted_by"):
        assert desk.call(VERSIONS, {**CONTENT, claim: "someone else"}, id="hello").fields == [claim]
        assert act(desk, APPROVE, "reviewer", {"comment": "", claim: "x"}).fields == [claim]
    assert desk.call(VERSIONS, CONTENT, id="hello", who="second").json["author"] == "second"
    copied = desk.call(COPY, {"id": "copy"}, id="hello", who="copier").json["current"]
    assert copied["author"] == "copier"


def test_a_copy_is_a_draft_again(desk: Desk) -> None:
    act(desk, SUBMIT, "author")
    act(desk, APPROVE, "reviewer")
    assert desk.call(COPY, {"id": "copy"}, id="hello").json["current"]["review"]["state"] == "draft"


@pytest.mark.parametrize("comment", [None, "", "  \n", "x" * 1001, 7])
def test_a_rejection_says_why(desk: Desk, comment: Any) -> None:
    act(desk, SUBMIT, "author")
    answer = act(desk, REJECT, "reviewer", {} if comment is None else {"comment": comment})
    assert (answer.status, answer.fields) == (422, ["comment"])
    assert state(desk) == "submitted"


@pytest.mark.parametrize("route", [SUBMIT, APPROVE, REJECT])
def test_what_is_not_there_cannot_be_reviewed(desk: Desk, route: str) -> None:
    body = BODIES.get(route)
    assert desk.call(route, body, id="nope").status == 404
    assert desk.call(route, body, id="hello", version=2).status == 404
    assert desk.call(route, body, id="hello", version="x").fields == ["path.version"]
    assert desk.call(route, body, id="hello", tenant="other").status == 404
    assert desk.call(route, body, id="hello", scopes="send read").status == 403
    act(desk, ARCHIVE, "anyone")
    assert act(desk, route, "reviewer").status == 409


@pytest.mark.parametrize(("second", "status", "end"), [(APPROVE, 409, "approved"), (REJECT, 200, "rejected")])
def test_of_two_who_decide_at_once_the_second_sees_the_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, second: str, status: int, end: str
) -> None:
    act(desk, SUBMIT, "author")
    update, others = desk.catalog.update_review, [Desk(desk.aws, desk.clock)]

    def late(*args: Any) -> None:
        while others:
            assert act(others.pop(), APPROVE, "first").status == 200
        update(*args)

    monkeypatch.setattr(desk.catalog, "update_review", late)
    assert act(desk, second, "second").status == status
    assert state(desk) == end
    assert not others


def test_a_review_that_never_stands_still_is_a_conflict(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(desk.catalog, "update_review", never)
    assert act(desk, SUBMIT, "author").status == 409


# Publishing


@pytest.mark.parametrize("road", ROADS)
def test_where_a_review_is_required_only_what_is_approved_is_published(desk: Desk, road: str) -> None:
    require(desk)
    for step, who in ROADS[road]:
        act(desk, step, who)
    answer = act(desk, PUBLISH, "author")
    assert answer.status == (200 if road == "approved" else 409)
    if road != "approved":
        assert f"is: {road}" in answer.json["detail"]
        assert desk.catalog.load_template("default", "hello").value.published is None  # type: ignore[union-attr] # made
        require(desk, False)
        assert act(desk, PUBLISH, "author").status == 200


def test_a_refusal_repeats_what_the_reviewer_said(desk: Desk) -> None:
    require(desk)
    act(desk, SUBMIT, "author")
    act(desk, REJECT, "reviewer", {"comment": "The price is wrong."})
    assert "The price is wrong." in act(desk, PUBLISH, "author").json["detail"]


def test_going_back_to_an_old_version_takes_its_approval_too(desk: Desk) -> None:
    act(desk, PUBLISH, "author")
    require(desk)
    assert act(desk, PUBLISH, "author").status == 409
    act(desk, SUBMIT, "author")
    act(desk, APPROVE, "reviewer")
    assert act(desk, PUBLISH, "author").status == 200


@pytest.mark.parametrize("what", ["rejected", "required"])
def test_what_changes_while_a_version_is_published_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    act(desk, SUBMIT, "author")
    if what == "rejected":
        require(desk)
        act(desk, APPROVE, "reviewer")
    publish, others = desk.catalog.publish_version, [Desk(desk.aws, desk.clock)]

    def late(*args: Any) -> None:
        while others:
            other = others.pop()
            if what == "rejected":
                assert act(other, REJECT, "reviewer").status == 200
            else:
                require(other)
        publish(*args)

    monkeypatch.setattr(desk.catalog, "publish_version", late)
    assert act(desk, PUBLISH, "author").status == 409
    assert not others
    head = desk.catalog.load_template("default", "hello")
    assert head is not None and head.value.published is None


# Settings


def test_settings_begin_with_what_nobody_has_changed(desk: Desk) -> None:
    found = desk.call(SETTINGS).json
    assert found["version"] == 0 and found["review_required"] is False
    assert (found["changed_by"], found["changed_at"], found["restored"]) == (None, None, None)
    assert desk.call(SETTINGS_VERSIONS).json == {"settings": [], "cursor": None}


def test_every_change_of_the_settings_is_a_version_that_can_be_restored(desk: Desk, clock: FakeClock) -> None:
    assert desk.call(SET, {"time_zone": "Asia/Tokyo"}, who="a").json["version"] == 1
    clock.advance(60)
    assert desk.call(SET, {"time_zone": "UTC"}, who="b").json["version"] == 2
    restored = desk.call(RESTORE, {"version": 1}, who="c").json
    about = {"version": 3, "changed_by": "c", "changed_at": "2025-01-15T10:01:00Z", "restored": 1}
    assert restored.items() >= ({"time_zone": "Asia/Tokyo"} | about).items()
    assert desk.call(SETTINGS).json == restored
    first = desk.call(SETTINGS_VERSIONS, query={"limit": "2"}).json
    rest = desk.call(SETTINGS_VERSIONS, query={"limit": "2", "cursor": first["cursor"]}).json
    found = first["settings"] + rest["settings"]
    assert [(s["version"], s["time_zone"], s["changed_by"]) for s in found] == [
        (1, "Asia/Tokyo", "a"),
        (2, "UTC", "b"),
        (3, "Asia/Tokyo", "c"),
    ]
    assert rest["cursor"] is None
    assert desk.call(SET, {"time_zone": "UTC"}).json["restored"] is None


@pytest.mark.parametrize("body", [{}, {"review_required": None}, {"review_required": True}])
def test_what_changes_nothing_makes_no_version(desk: Desk, body: Any) -> None:
    require(desk)
    assert desk.call(SET, body).json["version"] == 1
    assert desk.call(RESTORE, {"version": 1}).json["version"] == 1
    assert len(desk.call(SETTINGS_VERSIONS).json["settings"]) == 1


@pytest.mark.parametrize(
    ("route", "body", "fields"),
    [
        (SET, {"review_required": "true"}, ["review_required"]),
        (SET, {"review_required": 1}, ["review_required"]),
        (SET, {"review": True}, ["review"]),
        (SET, {"review_required": True, "version": 7}, ["version"]),
        (RESTORE, {}, ["version"]),
        (RESTORE, {"version": 0}, ["version"]),
        (RESTORE, {"version": "1"}, ["version"]),
        (RESTORE, {"version": 1, "x": 1}, ["x"]),
    ],
)
def test_wrong_settings_are_refused_whole(desk: Desk, route: str, body: Any, fields: list[str]) -> None:
    answer = desk.call(route, body)
    assert (answer.status, answer.fields) == (422, fields)
    assert desk.call(SETTINGS).json["version"] == 0


def test_settings_are_a_tenants_own_and_want_their_scopes(desk: Desk) -> None:
    require(desk)
    assert desk.call(SETTINGS, tenant="other").json["version"] == 0
    assert desk.call(RESTORE, {"version": 1}, tenant="other").status == 404
    assert desk.call(SETTINGS, scopes="read").status == 200
    assert desk.call(SET, {"review_required": False}, scopes="send read").status == 403
    assert desk.call(RESTORE, {"version": 1}, scopes="send read").status == 403
    assert desk.call(SETTINGS_VERSIONS, query={"cursor": "x"}).fields == ["query.cursor"]


def test_two_who_change_the_settings_at_once_make_two_versions(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    save, others = desk.catalog.save_settings, [Desk(desk.aws, desk.clock)]

    def late(*args: Any) -> None:
        while others:
            require(others.pop())
        save(*args)

    monkeypatch.setattr(desk.catalog, "save_settings", late)
    require(desk)
    assert desk.call(SETTINGS).json["version"] == 1
    others.append(Desk(desk.aws, desk.clock))
    monkeypatch.setattr(desk.catalog, "save_settings", late)
    assert desk.call(SET, {"review_required": False}).json["version"] == 2
    assert [v["version"] for v in desk.call(SETTINGS_VERSIONS).json["settings"]] == [1, 2]


def test_settings_that_never_stand_still_are_a_conflict(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(desk.catalog, "save_settings", never)
    assert desk.call(SET, {"review_required": True}).status == 409
    assert Catalog(desk.aws.dynamodb, desk.aws.catalog, desk.clock).load_settings("default") is None


def family(desk: Desk) -> None:
    """The first keys of Ann and Bob, and a key that descends from Ann's by another."""
    for key_id, lineage in (("ann", []), ("ann-2", ["ann", "gone"]), ("bob", [])):
        desk.catalog.create_key(api_key(key_id, lineage), change())


def test_nobody_approves_with_a_key_that_they_made_themselves(desk: Desk) -> None:
    family(desk)
    made = desk.call(VERSIONS, CONTENT, id="hello", who="ann").json
    assert act(desk, SUBMIT, "ann-2", version=made["version"]).status == 200
    for who in ("ann", "ann-2"):
        assert desk.call(APPROVE, {}, id="hello", version=made["version"], who=who).status == 403
    assert desk.call(APPROVE, {}, id="hello", version=made["version"], who="bob").status == 200


def test_a_review_is_switched_off_by_two_people(desk: Desk, clock: FakeClock) -> None:
    family(desk)
    require(desk)
    off = {"review_required": False}

    def asked(who: str, body: dict[str, Any] = off, route: str = SET) -> tuple[bool, str | None]:
        found = desk.call(route, body, who=who).json
        return found["review_required"], found["review_off_asked_by"]

    desk.call(SET, {"time_zone": "UTC"}, who="ann")
    assert asked("ann") == (True, "ann")
    assert asked("ann-2") == (True, "ann")
    # Restoring a version of before is the same wish, and saying that it stays on ends it.
    assert asked("ann", {"review_required": True}) == (True, None)
    assert asked("ann") == (True, "ann")
    clock.advance(86_400)
    assert asked("bob") == (True, "bob")
    assert asked("ann-2", {"time_zone": "Asia/Tokyo"}) == (True, "bob")
    assert asked("ann-2") == (False, None)
    assert asked("ann", {"review_required": True}) == (True, None)
    version = next(s["version"] for s in desk.call(SETTINGS_VERSIONS).json["settings"] if not s["review_required"])
    assert asked("ann", {"version": version}, RESTORE) == (True, "ann")
    assert asked("ann-2", {"version": version}, RESTORE) == (True, "ann")
    assert asked("bob", {"version": version}, RESTORE) == (False, None)
