"""Reviews of template versions, and the settings that require them."""

from typing import Any

import pytest

from shared.model.accounts import Account
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.catalog_items import CatalogConflictError
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import Answer, ManageApi
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
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    manage_api = ManageApi(aws, clock)
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
    manage_api.catalog.create_account(account, change())
    assert manage_api.call(CREATE, TEMPLATE, who="author").status == 201
    return manage_api


def act(manage_api: ManageApi, route: str, who: str, body: Any = None, version: int | str = 1) -> Answer:
    return manage_api.call(route, BODIES.get(route) if body is None else body, id="hello", version=version, who=who)


def state(manage_api: ManageApi, version: int = 1) -> str:
    found: str = act(manage_api, VERSION, "anyone", version=version).json["review"]["state"]
    return found


def require(manage_api: ManageApi, wanted: bool = True) -> None:
    if not wanted:
        assert manage_api.call(SET, {"review_required": False}, who="k2").json["review_required"] is True
    assert manage_api.call(SET, {"review_required": wanted}).json["review_required"] is wanted


def test_a_review_says_who_when_and_why(manage_api: ManageApi, clock: FakeClock) -> None:
    made = act(manage_api, VERSION, "anyone").json
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
    assert act(manage_api, SUBMIT, "author").json["review"]["state"] == "submitted"
    clock.advance(60)
    answer = act(manage_api, REJECT, "reviewer", {"comment": "The price is wrong."})
    assert answer.json["review"] == {
        "state": "rejected",
        "submitted_by": "author",
        "submitted_at": "2025-01-15T10:01:00Z",
        "decided_by": "reviewer",
        "decided_at": "2025-01-15T10:02:00Z",
        "comment": "The price is wrong.",
    }
    again = act(manage_api, SUBMIT, "second author").json["review"]
    assert (again["state"], again["submitted_by"], again["decided_by"], again["comment"]) == (
        "submitted",
        "second author",
        None,
        "",
    )
    assert act(manage_api, APPROVE, "reviewer", {"comment": "Fine."}).json["review"]["comment"] == "Fine."
    assert act(manage_api, VERSION, "anyone").json["content"]["content"] == "Hello {{ name }}"


PROVIDER_FAULTS: dict[str, list[tuple[str, str]]] = {
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


@pytest.mark.parametrize("start", PROVIDER_FAULTS)
@pytest.mark.parametrize("route", [SUBMIT, APPROVE, REJECT])
@pytest.mark.parametrize("published", [False, True])
def test_each_step_is_possible_from_some_states_only(
    manage_api: ManageApi, start: str, route: str, published: bool
) -> None:
    for step, who in PROVIDER_FAULTS[start]:
        assert act(manage_api, step, who).status == 200
    if published:
        assert act(manage_api, PUBLISH, "anyone").status == 200
    assert state(manage_api) == start
    wanted = ALLOWED.get((start, route)) if not (published and route == REJECT) else None
    answer = act(manage_api, route, "reviewer")
    assert answer.status == (200 if wanted else 409)
    assert state(manage_api) == (wanted or start)


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
def test_nobody_approves_what_is_their_own(manage_api: ManageApi, submitter: str, approver: str, status: int) -> None:
    act(manage_api, SUBMIT, submitter)
    assert act(manage_api, APPROVE, approver).status == status
    assert state(manage_api) == ("approved" if status == 200 else "submitted")


def test_who_saved_a_version_is_told_by_the_key_alone(manage_api: ManageApi) -> None:
    for claim in ("author", "creator", "submitted_by"):
        assert manage_api.call(VERSIONS, {**CONTENT, claim: "someone else"}, id="hello").fields == [claim]
        assert act(manage_api, APPROVE, "reviewer", {"comment": "", claim: "x"}).fields == [claim]
    assert manage_api.call(VERSIONS, CONTENT, id="hello", who="second").json["author"] == "second"
    copied = manage_api.call(COPY, {"id": "copy"}, id="hello", who="copier").json["current"]
    assert copied["author"] == "copier"


def test_a_copy_is_a_draft_again(manage_api: ManageApi) -> None:
    act(manage_api, SUBMIT, "author")
    act(manage_api, APPROVE, "reviewer")
    assert manage_api.call(COPY, {"id": "copy"}, id="hello").json["current"]["review"]["state"] == "draft"


@pytest.mark.parametrize("comment", [None, "", "  \n", "x" * 1001, 7])
def test_a_rejection_says_why(manage_api: ManageApi, comment: Any) -> None:
    act(manage_api, SUBMIT, "author")
    answer = act(manage_api, REJECT, "reviewer", {} if comment is None else {"comment": comment})
    assert (answer.status, answer.fields) == (422, ["comment"])
    assert state(manage_api) == "submitted"


@pytest.mark.parametrize("route", [SUBMIT, APPROVE, REJECT])
def test_what_is_not_there_cannot_be_reviewed(manage_api: ManageApi, route: str) -> None:
    body = BODIES.get(route)
    assert manage_api.call(route, body, id="nope").status == 404
    assert manage_api.call(route, body, id="hello", version=2).status == 404
    assert manage_api.call(route, body, id="hello", version="x").fields == ["path.version"]
    assert manage_api.call(route, body, id="hello", tenant="other").status == 404
    assert manage_api.call(route, body, id="hello", scopes="send read").status == 403
    act(manage_api, ARCHIVE, "anyone")
    assert act(manage_api, route, "reviewer").status == 409


@pytest.mark.parametrize(("second", "status", "end"), [(APPROVE, 409, "approved"), (REJECT, 200, "rejected")])
def test_of_two_who_decide_at_once_the_second_sees_the_first(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch, second: str, status: int, end: str
) -> None:
    act(manage_api, SUBMIT, "author")
    update, others = manage_api.catalog.update_review, [ManageApi(manage_api.aws, manage_api.clock)]

    def late(*args: Any) -> None:
        while others:
            assert act(others.pop(), APPROVE, "first").status == 200
        update(*args)

    monkeypatch.setattr(manage_api.catalog, "update_review", late)
    assert act(manage_api, second, "second").status == status
    assert state(manage_api) == end
    assert not others


def test_a_review_that_never_stands_still_is_a_conflict(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(manage_api.catalog, "update_review", never)
    assert act(manage_api, SUBMIT, "author").status == 409


# Publishing


@pytest.mark.parametrize("road", PROVIDER_FAULTS)
def test_where_a_review_is_required_only_what_is_approved_is_published(manage_api: ManageApi, road: str) -> None:
    require(manage_api)
    for step, who in PROVIDER_FAULTS[road]:
        act(manage_api, step, who)
    answer = act(manage_api, PUBLISH, "author")
    assert answer.status == (200 if road == "approved" else 409)
    if road != "approved":
        assert f"is: {road}" in answer.json["detail"]
        assert manage_api.catalog.load_template("default", "hello").value.published is None  # type: ignore[union-attr] # made
        require(manage_api, False)
        assert act(manage_api, PUBLISH, "author").status == 200


def test_a_refusal_repeats_what_the_reviewer_said(manage_api: ManageApi) -> None:
    require(manage_api)
    act(manage_api, SUBMIT, "author")
    act(manage_api, REJECT, "reviewer", {"comment": "The price is wrong."})
    assert "The price is wrong." in act(manage_api, PUBLISH, "author").json["detail"]


def test_going_back_to_an_old_version_takes_its_approval_too(manage_api: ManageApi) -> None:
    act(manage_api, PUBLISH, "author")
    require(manage_api)
    assert act(manage_api, PUBLISH, "author").status == 409
    act(manage_api, SUBMIT, "author")
    act(manage_api, APPROVE, "reviewer")
    assert act(manage_api, PUBLISH, "author").status == 200


@pytest.mark.parametrize("what", ["rejected", "required"])
def test_what_changes_while_a_version_is_published_counts(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    act(manage_api, SUBMIT, "author")
    if what == "rejected":
        require(manage_api)
        act(manage_api, APPROVE, "reviewer")
    publish, others = manage_api.catalog.publish_version, [ManageApi(manage_api.aws, manage_api.clock)]

    def late(*args: Any) -> None:
        while others:
            other = others.pop()
            if what == "rejected":
                assert act(other, REJECT, "reviewer").status == 200
            else:
                require(other)
        publish(*args)

    monkeypatch.setattr(manage_api.catalog, "publish_version", late)
    assert act(manage_api, PUBLISH, "author").status == 409
    assert not others
    head = manage_api.catalog.load_template("default", "hello")
    assert head is not None and head.value.published is None


# Settings


def test_settings_begin_with_what_nobody_has_changed(manage_api: ManageApi) -> None:
    found = manage_api.call(SETTINGS).json
    assert found["version"] == 0 and found["review_required"] is False
    assert (found["changed_by"], found["changed_at"], found["restored"]) == (None, None, None)
    assert manage_api.call(SETTINGS_VERSIONS).json == {"settings": [], "cursor": None}


def test_every_change_of_the_settings_is_a_version_that_can_be_restored(
    manage_api: ManageApi, clock: FakeClock
) -> None:
    assert manage_api.call(SET, {"time_zone": "Asia/Tokyo"}, who="a").json["version"] == 1
    clock.advance(60)
    assert manage_api.call(SET, {"time_zone": "UTC"}, who="b").json["version"] == 2
    restored = manage_api.call(RESTORE, {"version": 1}, who="c").json
    about = {"version": 3, "changed_by": "c", "changed_at": "2025-01-15T10:01:00Z", "restored": 1}
    assert restored.items() >= ({"time_zone": "Asia/Tokyo"} | about).items()
    assert manage_api.call(SETTINGS).json == restored
    first = manage_api.call(SETTINGS_VERSIONS, query={"limit": "2"}).json
    rest = manage_api.call(SETTINGS_VERSIONS, query={"limit": "2", "cursor": first["cursor"]}).json
    found = first["settings"] + rest["settings"]
    assert [(s["version"], s["time_zone"], s["changed_by"]) for s in found] == [
        (1, "Asia/Tokyo", "a"),
        (2, "UTC", "b"),
        (3, "Asia/Tokyo", "c"),
    ]
    assert rest["cursor"] is None
    assert manage_api.call(SET, {"time_zone": "UTC"}).json["restored"] is None


@pytest.mark.parametrize("body", [{}, {"review_required": None}, {"review_required": True}])
def test_what_changes_nothing_makes_no_version(manage_api: ManageApi, body: Any) -> None:
    require(manage_api)
    assert manage_api.call(SET, body).json["version"] == 1
    assert manage_api.call(RESTORE, {"version": 1}).json["version"] == 1
    assert len(manage_api.call(SETTINGS_VERSIONS).json["settings"]) == 1


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
def test_wrong_settings_are_refused_whole(manage_api: ManageApi, route: str, body: Any, fields: list[str]) -> None:
    answer = manage_api.call(route, body)
    assert (answer.status, answer.fields) == (422, fields)
    assert manage_api.call(SETTINGS).json["version"] == 0


def test_settings_are_a_tenants_own_and_want_their_scopes(manage_api: ManageApi) -> None:
    require(manage_api)
    assert manage_api.call(SETTINGS, tenant="other").json["version"] == 0
    assert manage_api.call(RESTORE, {"version": 1}, tenant="other").status == 404
    assert manage_api.call(SETTINGS, scopes="read").status == 200
    assert manage_api.call(SET, {"review_required": False}, scopes="send read").status == 403
    assert manage_api.call(RESTORE, {"version": 1}, scopes="send read").status == 403
    assert manage_api.call(SETTINGS_VERSIONS, query={"cursor": "x"}).fields == ["query.cursor"]


def test_two_who_change_the_settings_at_once_make_two_versions(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, others = manage_api.catalog.save_settings, [ManageApi(manage_api.aws, manage_api.clock)]

    def late(*args: Any) -> None:
        while others:
            require(others.pop())
        save(*args)

    monkeypatch.setattr(manage_api.catalog, "save_settings", late)
    require(manage_api)
    assert manage_api.call(SETTINGS).json["version"] == 1
    others.append(ManageApi(manage_api.aws, manage_api.clock))
    monkeypatch.setattr(manage_api.catalog, "save_settings", late)
    assert manage_api.call(SET, {"review_required": False}).json["version"] == 2
    assert [v["version"] for v in manage_api.call(SETTINGS_VERSIONS).json["settings"]] == [1, 2]


def test_settings_that_never_stand_still_are_a_conflict(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(manage_api.catalog, "save_settings", never)
    assert manage_api.call(SET, {"review_required": True}).status == 409
    assert Catalog(manage_api.aws.dynamodb, manage_api.aws.catalog, manage_api.clock).load_settings("default") is None


def family(manage_api: ManageApi) -> None:
    """The first keys of Ann and Bob, and a key that descends from Ann's by another."""
    for key_id, lineage in (("ann", []), ("ann-2", ["ann", "gone"]), ("bob", [])):
        manage_api.catalog.create_key(api_key(key_id, lineage), change())


def test_nobody_approves_with_a_key_that_they_made_themselves(manage_api: ManageApi) -> None:
    family(manage_api)
    made = manage_api.call(VERSIONS, CONTENT, id="hello", who="ann").json
    assert act(manage_api, SUBMIT, "ann-2", version=made["version"]).status == 200
    for who in ("ann", "ann-2"):
        assert manage_api.call(APPROVE, {}, id="hello", version=made["version"], who=who).status == 403
    assert manage_api.call(APPROVE, {}, id="hello", version=made["version"], who="bob").status == 200


def test_a_review_is_switched_off_by_two_people(manage_api: ManageApi, clock: FakeClock) -> None:
    family(manage_api)
    require(manage_api)
    off = {"review_required": False}

    def asked(who: str, body: dict[str, Any] = off, route: str = SET) -> tuple[bool, str | None]:
        found = manage_api.call(route, body, who=who).json
        return found["review_required"], found["review_off_asked_by"]

    manage_api.call(SET, {"time_zone": "UTC"}, who="ann")
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
    version = next(
        s["version"] for s in manage_api.call(SETTINGS_VERSIONS).json["settings"] if not s["review_required"]
    )
    assert asked("ann", {"version": version}, RESTORE) == (True, "ann")
    assert asked("ann-2", {"version": version}, RESTORE) == (True, "ann")
    assert asked("bob", {"version": version}, RESTORE) == (False, None)
