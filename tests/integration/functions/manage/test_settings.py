"""The sending policies and the rest of the settings: validated, merged as described, and heeded by templates."""

from typing import Any

import pytest

from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import ManageApi

GET, SET, RESTORE = "GET /v1/settings", "PATCH /v1/settings", "POST /v1/settings/restore"
NIGHT = {"windows": [{"start": "22:00", "end": "08:00"}]}
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SMTP = {"provider": "smtp", "host": "smtp.example.com", "port": 587, "username": "u", "from_address": "a@example.com"}
MAIL = {"id": "mail", "name": "Mail", "settings": SMTP, "secret": {"password": "abcdefghijklmnop"}}
CONTENT = {"content": {"type": "email", "subject": "Hi {{ name }}", "html": "<p>Sale</p>"}, "sample": {"name": "Ann"}}
TEMPLATE = {"id": "sale", "name": "Sale", "class": "marketing", "accounts": ["mail"], **CONTENT}


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    manage_api = ManageApi(aws, clock)
    assert manage_api.call("POST /v1/accounts", MAIL).status == 201
    return manage_api


def test_policies_are_kept_per_class_and_a_class_is_replaced_as_a_whole(manage_api: ManageApi) -> None:
    marketing = {"quiet_hours": NIGHT, "cap": {"count": 2}}
    assert manage_api.call(SET, {"policies": {"marketing": marketing}}).status == 200
    manage_api.call(SET, {"policies": {"notification": {"duplicate_seconds": 60}}})
    found = manage_api.call(GET).json["policies"]
    assert found["marketing"]["quiet_hours"] == {
        "windows": [{"days": WEEKDAYS, "start": "22:00", "end": "08:00"}],
        "action": "defer",
        "spread_minutes": 15,
    }
    assert found["marketing"]["cap"] == {"count": 2, "minutes": None}
    assert found["notification"]["duplicate_seconds"] == 60
    manage_api.call(SET, {"policies": {"marketing": {"duplicate_seconds": 300}}})
    found = manage_api.call(GET).json["policies"]
    assert (found["marketing"]["cap"], found["marketing"]["duplicate_seconds"]) == (None, 300)
    assert found["notification"]["duplicate_seconds"] == 60
    assert manage_api.call(RESTORE, {"version": 1}).json["policies"]["marketing"]["cap"] == {
        "count": 2,
        "minutes": None,
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"time_zone": "Asia/Atlantis"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"blocked_words": [" x"]}, "blocked_words.0"),
        ({"blocked_words": ["x"] * 501}, "blocked_words"),
        ({"countries": ["cn"]}, "countries.0"),
        ({"countries": ["CN", "XX"]}, "countries.1"),
        ({"concurrency": {"email.marketing": 2}}, "concurrency"),
        ({"policies": {"marketing": {"cap": {"count": 21}}}}, "policies.marketing.cap.count"),
        ({"policies": {"marketing": {"quiet_hours": {"windows": [{"start": "24:00", "end": "1:00"}]}}}},
         "policies.marketing.quiet_hours.windows.0.start"),
        ({"policies": {"verification": {"quiet_hours": NIGHT}}}, "policies.verification.quiet_hours"),
        ({"policies": {"anything": {}}}, "policies.anything"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_changes(manage_api: ManageApi, body: Any, field: str) -> None:
    answer = manage_api.call(SET, body)
    assert answer.status == 422
    assert any(found.startswith(field) for found in answer.fields), answer.fields
    assert manage_api.call(GET).json["version"] == 0


def test_countries_are_kept_as_they_are_given_and_taken_back_by_none(manage_api: ManageApi) -> None:
    assert manage_api.call(GET).json["countries"] == []
    assert manage_api.call(SET, {"countries": ["HK", "CN"]}).json["countries"] == ["HK", "CN"]
    assert manage_api.call(SET, {"review_required": True}).json["countries"] == ["HK", "CN"]
    assert manage_api.call(SET, {"countries": []}).json["countries"] == []


def test_a_template_has_policies_of_its_own(manage_api: ManageApi) -> None:
    own = {"cap": {"count": 1}, "weights": {"mail": 10}}
    made = manage_api.call("POST /v1/templates", TEMPLATE | {"policies": own})
    assert made.status == 201
    found = made.json["policies"]
    assert (found["quiet_hours"], found["cap"]) == (None, {"count": 1, "minutes": None})
    assert found["weights"] == {"mail": 10}
    changed = manage_api.call("PATCH /v1/templates/{id}", {"policies": {"duplicate_seconds": 0}}, id="sale")
    assert changed.json["policies"]["cap"] is None and changed.json["policies"]["duplicate_seconds"] == 0
    assert manage_api.call("PATCH /v1/templates/{id}", {"policies": None}, id="sale").json["policies"] is None


def test_policies_that_do_not_fit_a_template_are_refused(manage_api: ManageApi) -> None:
    answer = manage_api.call("POST /v1/templates", TEMPLATE | {"policies": {"weights": {"other": 1}}})
    assert (answer.status, answer.fields) == (422, ["policies.weights.other"])
    codes = TEMPLATE | {"class": "verification", "policies": {"quiet_hours": NIGHT}}
    assert manage_api.call("POST /v1/templates", codes).fields == ["policies.quiet_hours"]
    assert manage_api.call("POST /v1/templates", TEMPLATE).status == 201
    answer = manage_api.call("PATCH /v1/templates/{id}", {"policies": {"weights": {"other": 1}}}, id="sale")
    assert (answer.status, answer.fields) == (422, ["policies.weights.other"])


def test_a_blocked_word_is_refused_at_save(manage_api: ManageApi, clock: FakeClock) -> None:
    manage_api.call(SET, {"blocked_words": ["sale"]})
    clock.advance(11)
    answer = manage_api.call("POST /v1/templates", TEMPLATE)
    assert (answer.status, answer.fields) == (422, ["content"])
    assert "`sale`" in answer.json["errors"][0]["message"]
