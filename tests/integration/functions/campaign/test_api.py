"""The operations on audience files and campaigns: what is saved, what is refused, and that EventBridge follows."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.aws.audiences import MAX_BYTES
from shared.model.content import SmsContent
from shared.model.words import MessageClass
from tests.fakes import FakeClock
from tests.integration.functions.campaign.campaign_api import CampaignApi, body, open_campaign_api
from tests.samples import api_key, change

CREATE, GET, UPDATE = "POST /v1/campaigns", "GET /v1/campaigns/{id}", "PATCH /v1/campaigns/{id}"
ARCHIVE = "POST /v1/campaigns/{id}/archive"
VARIANT = {"name": "a", "template": "welcome"}

RUN = "news.01JHMPFN8022ECZH5CSHTK0000"
NO_SHARE = {"after": 10, "complaints_percent": None, "undelivered_percent": None}


@pytest.fixture
def api(clock: FakeClock) -> Iterator[CampaignApi]:
    with open_campaign_api(clock) as made:
        yield made


def test_a_form_lets_one_file_in_for_an_hour(api: CampaignApi) -> None:
    answers = [api.call("POST /v1/audiences", given) for given in ({}, {"format": "ndjson"}, {})]
    assert [answer.status for answer in answers] == [201] * 3
    files = [answer.json["file"] for answer in answers]
    assert len(set(files)) == 3
    assert [name.rpartition(".")[2] for name in files] == ["csv", "ndjson", "csv"]
    form = answers[0].json
    conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    assert {"key": f"audiences/default/{files[0]}"} in conditions
    assert ["content-length-range", 1, MAX_BYTES] in conditions
    assert form["expires_at"] == "2025-01-15T11:00:00Z"
    assert files[0].startswith("uploads/")
    assert api.call(CREATE, body(audience={"file": files[0]})).status == 201


def test_what_is_saved_is_shown(api: CampaignApi) -> None:
    given = body(
        variants=[VARIANT, {"name": "b", "template": "other", "version": 1, "weight": 3}],
        variables={"name": "you"},
        throttle=600,
        stop_rule={"failures_percent": 5},
        holdout_percent=2.5,
        duplicates="each",
        approve_above=0,
        ttl=3600,
    )
    made = api.make(**given)
    assert made == api.call(GET, id="news").json
    assert {name: made[name] for name in ("throttle", "holdout_percent", "duplicates", "approve_above", "ttl")} == {
        name: given[name] for name in ("throttle", "holdout_percent", "duplicates", "approve_above", "ttl")
    }
    assert made["variants"] == [{**VARIANT, "version": None, "weight": 1}, given["variants"][1]]
    assert (made["channel"], made["class"], made["active_run"], made["schedule"]) == ("email", "marketing", None, None)
    assert api.actions() == [("create_campaign", "campaign/news")]
    [listed] = api.call("GET /v1/campaigns").json["campaigns"]
    assert listed == made


def test_campaigns_come_in_pages(api: CampaignApi) -> None:
    for n in range(3):
        api.make(id=f"c{n}")
    first = api.call("GET /v1/campaigns", query={"limit": "2"}).json
    second = api.call("GET /v1/campaigns", query={"cursor": first["cursor"]}).json
    assert [c["id"] for c in first["campaigns"] + second["campaigns"]] == ["c0", "c1", "c2"]
    assert second["cursor"] is None
    assert api.call("GET /v1/campaigns", query={"cursor": "x"}).fields == ["query.cursor"]


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"variants": [{"name": "a", "template": "none"}]}, "variants.0.template", "there is no template"),
        ({"variants": [{"name": "a", "template": "codes"}]}, "variants.0.template", "codes are sent one by one"),
        ({"variants": [{"name": "a", "template": "old"}]}, "variants.0.template", "is archived"),
        ({"variants": [{"name": "a", "template": "draft"}]}, "variants.0.template", "no published version"),
        ({"variants": [{**VARIANT, "version": 2}]}, "variants.0.version", "never published"),
        ({"variants": [VARIANT, {"name": "b", "template": "text"}]}, "variants.1.template", "must be alike"),
        ({"variants": [VARIANT, {"name": "b", "template": "plain"}]}, "variants.1.template", "must be alike"),
        ({"variants": [VARIANT, VARIANT]}, "variants.1.name", "name of another variant"),
        ({"variants": [{**VARIANT, "name": "A"}]}, "variants.0.name", ""),
        ({"variants": []}, "variants", ""),
        ({"variables": {"nmae": "x"}}, "variables.nmae", "no template of the campaign uses"),
        ({"variables": {"name": "x" * 30_001}}, "variables", "has a text of"),
        ({"variables": {"name": ["x" * 19_000] * 3}}, "variables", "more than 30,000"),
        ({"audience": {"file": "a/../b.csv"}}, "audience.file", "no name of a file"),
        ({"audience": {"file": "a//b.csv"}}, "audience.file", "no name of a file"),
        ({"audience": {"file": "a/"}}, "audience.file", "no name of a file"),
        ({"audience": {"file": "/a"}}, "audience.file", ""),
        ({"audience": {"file": "a?b"}}, "audience.file", ""),
        (
            {"audience": {"file": "a", "columns": {"variables": {"nmae": "first name"}}}},
            "audience.columns.variables.nmae",
            "no template of the campaign uses",
        ),
        ({"audience": {}}, "audience", "either `file` or `follows`"),
        (
            {"audience": {"file": "a", "follows": {"run": RUN, "who": "failed"}}},
            "audience",
            "either `file` or `follows`",
        ),
        ({"audience": {"follows": {"who": "failed"}}}, "audience.follows", "either `run` or `campaign`"),
        ({"audience": {"follows": {"run": RUN, "who": "failed"}}}, "audience.follows.run", "there is no run"),
        ({"audience": {"follows": {"run": "x", "who": "failed"}}}, "audience.follows.run", "pattern"),
        (
            {"audience": {"follows": {"campaign": "none", "who": "failed"}}},
            "audience.follows.campaign",
            "there is no campaign",
        ),
        ({"audience": {"follows": {"campaign": "news", "who": "asleep"}}}, "audience.follows.who", "not_opened"),
        (
            {"audience": {"follows": {"campaign": "news", "who": "failed", "after_hours": 1}}},
            "audience.follows",
            "means nothing for `failed`",
        ),
        ({"stop_rule": NO_SHARE}, "stop_rule", "give failures_percent"),
        ({"stop_rule": {"failures_percent": True}}, "stop_rule.failures_percent", "number"),
        ({"holdout_percent": 51}, "holdout_percent", "50"),
        ({"holdout_percent": "5"}, "holdout_percent", "number"),
        ({"throttle": 0}, "throttle", "1"),
        ({"ttl": 5}, "ttl", "10"),
        ({"id": "News"}, "id", ""),
        ({"extra": 1}, "extra", ""),
    ],
)
def test_what_cannot_be_sent_is_refused_by_field(api: CampaignApi, changes: Any, field: str, text: str) -> None:
    api.template("codes", message_class=MessageClass.VERIFICATION)
    api.template("old", archived=True)
    api.template("draft", published=None, published_at=None)
    api.template("text", SmsContent(text="{{ name }}"))
    api.template("plain", message_class=MessageClass.NOTIFICATION)
    answer = api.call(CREATE, body(**changes))
    assert (answer.status, answer.fields) == (422, [field])
    assert text in answer.json["errors"][0]["message"]
    assert api.call("GET /v1/campaigns").json["campaigns"] == []


def test_everything_that_is_wrong_is_told_at_once(api: CampaignApi) -> None:
    wrong = body(
        variants=[{"name": "a", "template": "none"}, VARIANT],
        audience={"file": "../secret"} | {"file": "x/../y"},
        schedule={"expression": "rate(1 day)", "local": True},
        stop_rule=NO_SHARE,
    )
    answer = api.call(CREATE, wrong)
    assert answer.fields == ["schedule.local", "variants.0.template", "variants.1.name", "audience.file", "stop_rule"]


@pytest.mark.parametrize(
    ("schedule", "field", "text"),
    [
        ({"expression": "every day"}, "schedule.expression", "cron(0 9 * * ? *)"),
        ({"expression": "cron(0 9 * * *)"}, "schedule.expression", "six fields"),
        ({"expression": "cron(0 9 * * * *)"}, "schedule.expression", "`?`"),
        ({"expression": "rate(0 days)"}, "schedule.expression", "at least 1"),
        ({"expression": "at(2025-02-30T09:00:00)"}, "schedule.expression", "no such date"),
        ({"expression": "at(2025-01-15T09:00:00)", "time_zone": "UTC"}, "schedule.expression", "in the past in UTC"),
        ({"expression": "at(2025-01-16T00:00:00)", "local": True}, "schedule.expression", "UTC+14"),
        ({"expression": "at(2200-01-01T09:00:00)", "time_zone": "UTC"}, "schedule.expression", "2199"),
        ({"expression": "at(2026-01-01T09:00:00)", "ends_at": "2026-02-01T00:00:00Z"}, "schedule.ends_at", "just once"),
        ({"expression": "rate(1 day)", "local": True}, "schedule.local", "a rate knows no clocks"),
        ({"expression": "rate(1 day)", "local": 1}, "schedule.local", ""),
        ({"expression": "rate(1 day)", "ends_at": "2025-01-15T09:59:59Z"}, "schedule.ends_at", "in the past"),
        (
            {"expression": "rate(1 day)", "ends_at": "2025-01-16T09:00:00Z"},
            "schedule.ends_at",
            "not after when it begins",
        ),
        (
            {
                "expression": "cron(0 9 * * ? *)",
                "starts_at": "2025-03-01T00:00:00Z",
                "ends_at": "2025-02-01T00:00:00Z",
            },
            "schedule.ends_at",
            "not after starts_at, 2025-03-01",
        ),
        ({"expression": "cron(0 0 31 2 ? *)"}, "schedule.expression", "there is no such time"),
        (
            {"expression": "rate(1 day)", "starts_at": "9999-12-31T23:59:59-12:00"},
            "schedule.starts_at",
            "1970 and 2199",
        ),
        (
            {"expression": "rate(1 day)", "starts_at": "0001-01-01T00:00:00+12:00"},
            "schedule.starts_at",
            "1970 and 2199",
        ),
        ({"expression": "rate(1 day)", "starts_at": "2025-03-01T00:00:00"}, "schedule.starts_at", ""),
        ({"expression": "rate(1 day)", "time_zone": "Mars/Base"}, "schedule.time_zone", "IANA"),
        ({"expression": "rate(1 day)", "window_minutes": 1441}, "schedule.window_minutes", "1440"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(api: CampaignApi, schedule: Any, field: str, text: str) -> None:
    answer = api.call(CREATE, body(schedule=schedule))
    assert (answer.status, answer.fields) == (422, [field]), answer.text
    assert text in answer.json["errors"][0]["message"]
    assert api.schedules.held == {}


def test_a_schedule_is_settled_when_it_is_saved(api: CampaignApi) -> None:
    made = api.make(schedule={"expression": "cron(0 9 ? * MON-FRI *)"})["schedule"]
    # The tenant's zone, of this moment.
    assert made["time_zone"] == "Asia/Shanghai"
    assert made["next"] == [f"2025-01-{day}T01:00:00Z" for day in (16, 17, 20, 21, 22)]
    assert api.schedules.held["news"].time_zone == "Asia/Shanghai"
    local = api.make(id="local", schedule={"expression": "at(2025-01-17T09:00:00)", "local": True})["schedule"]
    assert (local["next"], local["time_zone"]) == (["2025-01-16T19:00:00Z"], "Asia/Shanghai")


def test_a_rate_counts_from_now_and_goes_on_so(api: CampaignApi) -> None:
    schedule = {"expression": "rate(1 day)"}
    api.clock.advance(ms=-1)
    # By the second, as EventBridge Scheduler counts.
    made = api.make(schedule=schedule)["schedule"]
    assert made["starts_at"] == "2025-01-16T10:00:00Z"
    assert made["next"][:2] == ["2025-01-16T10:00:00Z", "2025-01-17T10:00:00Z"]
    api.clock.advance(3600)
    for given in ({"name": "Other"}, {"schedule": schedule}):
        kept = api.call(UPDATE, given, id="news").json["schedule"]
        assert kept["starts_at"] == "2025-01-16T10:00:00Z"
    changed = api.call(UPDATE, {"schedule": {"expression": "rate(2 days)"}}, id="news").json["schedule"]
    assert changed["starts_at"] == "2025-01-17T11:00:00Z"


def test_an_update_changes_what_is_given_and_null_takes_away(api: CampaignApi) -> None:
    api.make(throttle=60, ttl=600, stop_rule={"complaints_percent": 1}, approve_above=5, variables={"name": "x"})
    api.make(id="other", schedule={"expression": "rate(1 day)"})
    api.clock.advance(60)
    changed = api.call(UPDATE, {"throttle": 120, "holdout_percent": 10}, id="news").json
    assert (changed["throttle"], changed["holdout_percent"], changed["ttl"]) == (120, 10, 600)
    assert changed["updated_at"] == "2025-01-15T10:01:00Z"
    nothing = dict.fromkeys(("throttle", "ttl", "stop_rule", "variables", "holdout_percent"))
    emptied = api.call(UPDATE, nothing, id="news").json
    assert {name: emptied[name] for name in nothing} == {**nothing, "variables": {}, "holdout_percent": 0}
    assert api.call(UPDATE, {"schedule": None}, id="other").json["schedule"] is None
    assert api.schedules.held == {}
    answer = api.call(UPDATE, {"name": None, "audience": None}, id="news")
    assert (answer.status, answer.fields) == (422, ["name", "audience"])
    assert api.call(UPDATE, {"name": "x"}, id="none").status == 404
    assert [action for action, _ in api.actions()] == ["update_campaign"] * 3 + ["create_campaign"] * 2


def test_fewer_approvals_take_two_people(api: CampaignApi) -> None:
    api.make(approve_above=5)
    for id, lineage in (("k1", []), ("child", ["k1"]), ("k2", [])):
        api.catalog.create_key(api_key(id, lineage), change())

    def limit(value: int | None, key_id: str = "k1") -> tuple[int | None, str | None]:
        found = api.call(UPDATE, {"approve_above": value}, id="news", key_id=key_id).json
        asked = found["approve_above_asked"]
        return found["approve_above"], None if asked is None else asked["by"]

    assert limit(4) == (4, None)
    assert limit(None) == (4, "k1")
    assert limit(None, "child") == (4, "k1")
    # Another wish is another one, and a lower limit ends it.
    assert limit(9, "k2") == (4, "k2")
    assert limit(3, "child") == (3, None)
    assert limit(9) == (3, "k1")
    api.clock.advance(86_400)
    assert limit(9, "k2") == (3, "k2")
    assert limit(9, "child") == (9, None)
    assert limit(None) == (9, "k1")
    assert limit(None, "k2") == (None, None)


def test_a_change_that_changes_nothing_is_none(api: CampaignApi) -> None:
    made = api.make(throttle=60)
    api.clock.advance(60)
    assert api.call(UPDATE, {"throttle": 60, "name": "News"}, id="news").json == made
    assert len(api.actions()) == 1


def test_what_became_of_a_template_counts_for_what_goes_with_it_alone(api: CampaignApi) -> None:
    api.make()
    stored = api.catalog.load_template("default", "welcome")
    assert stored is not None
    api.catalog.update_template(stored.value.model_copy(update={"archived": True}), stored.rev, change())
    assert api.call(UPDATE, {"throttle": 5}, id="news").status == 200
    answer = api.call(UPDATE, {"variables": {}}, id="news")
    assert (answer.status, answer.fields) == (422, ["variants.0.template"])


def test_who_saves_it_again_gets_the_same_and_another_one_is_refused(api: CampaignApi) -> None:
    made = api.make(schedule={"expression": "rate(1 day)"})
    api.clock.advance(60)
    assert api.make(schedule={"expression": "rate(1 day)"}) == made
    assert api.call(CREATE, body()).status == 409
    assert len(api.actions()) == 1


def test_what_eventbridge_does_not_follow_is_sent_again(api: CampaignApi) -> None:
    api.schedules.broken = True
    given = body(schedule={"expression": "cron(0 9 * * ? *)"})
    answer = api.call(CREATE, given)
    assert (answer.status, answer.json["type"]) == (503, "urn:mepush:problem:not-applied")
    assert "Send the same request again" in answer.json["detail"]
    assert api.call(GET, id="news").json["schedule"]["expression"] == "cron(0 9 * * ? *)"
    api.schedules.broken = False
    assert api.call(CREATE, given).status == 201
    assert api.schedules.held["news"].expression == "cron(0 9 * * ? *)"
    api.schedules.broken = True
    later = {"schedule": {"expression": "cron(0 10 * * ? *)"}}
    assert api.call(UPDATE, later, id="news").status == 503
    api.schedules.broken = False
    assert api.call(UPDATE, later, id="news").status == 200
    assert api.schedules.held["news"].expression == "cron(0 10 * * ? *)"
    api.schedules.broken = True
    assert api.call(ARCHIVE, id="news").status == 503
    api.schedules.broken = False
    assert api.call(ARCHIVE, id="news").status == 200
    assert api.schedules.held == {}
    assert sorted(action for action, _ in api.actions()) == ["archive_campaign", "create_campaign", "update_campaign"]


def test_of_two_who_change_it_at_once_the_last_one_saved_is_followed(
    api: CampaignApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.make(schedule={"expression": "cron(0 9 * * ? *)"})
    put = api.schedules.put

    def slow(tenant: str, campaign: str, schedule: Any) -> None:
        """While it is written another call saves and writes its own."""
        monkeypatch.setattr(api.schedules, "put", put)
        api.call(UPDATE, {"schedule": {"expression": "cron(0 11 * * ? *)"}}, id="news")
        put(tenant, campaign, schedule)

    monkeypatch.setattr(api.schedules, "put", slow)
    assert api.call(UPDATE, {"schedule": {"expression": "cron(0 10 * * ? *)"}}, id="news").status == 200
    assert api.call(GET, id="news").json["schedule"]["expression"] == "cron(0 11 * * ? *)"
    assert api.schedules.held["news"].expression == "cron(0 11 * * ? *)"


def test_an_archived_one_starts_nothing_and_stays_as_it_is(api: CampaignApi) -> None:
    api.make(schedule={"expression": "cron(0 9 * * ? *)"})
    archived = api.call(ARCHIVE, id="news").json
    assert (archived["archived"], archived["schedule"]["next"]) == (True, [])
    assert api.schedules.held == {}
    assert api.call(ARCHIVE, id="news").json == archived
    assert api.call(UPDATE, {"name": "x"}, id="news").status == 409
    assert api.call("POST /v1/campaigns/{id}/runs", {}, id="news").status == 409
    assert api.call("POST /v1/campaigns/{id}/test", {"to": ["a@example.com"]}, id="news").status == 409


@pytest.mark.parametrize(
    ("route", "given"),
    [(CREATE, body()), (UPDATE, {"name": "x"}), (ARCHIVE, None), ("POST /v1/audiences", {})],
)
def test_who_may_only_read_changes_nothing(api: CampaignApi, route: str, given: Any) -> None:
    assert api.call(route, given, id="news", scopes="read manage").status == 403
    assert api.call("GET /v1/campaigns", scopes="send").status == 403


def test_tenants_see_their_own_alone(api: CampaignApi) -> None:
    api.make()
    assert api.call(GET, id="news", tenant="others").status == 404
    assert api.call("GET /v1/campaigns", tenant="others").json["campaigns"] == []


@pytest.mark.parametrize("kind", ["test", "team"])
def test_only_a_live_key_has_to_do_with_what_a_schedule_sends(api: CampaignApi, kind: str) -> None:
    schedule = {"expression": "rate(1 day)"}
    assert api.call(CREATE, body(schedule=schedule), kind=kind).status == 403
    api.make(schedule=schedule)
    for route, given in ((UPDATE, {"audience": {"file": "mine.csv"}}), (UPDATE, {"schedule": None}), (ARCHIVE, None)):
        answer = api.call(route, given, id="news", kind=kind)
        assert (answer.status, "Use a live key" in answer.json["detail"]) == (403, True)
    assert api.call(CREATE, body(id="mine"), kind=kind).status == 201
    assert api.call(UPDATE, {"schedule": schedule}, id="mine", kind=kind).status == 403
    assert api.call(UPDATE, {"name": "Mine"}, id="mine", kind=kind).status == 200
    assert list(api.schedules.held) == ["news"]
