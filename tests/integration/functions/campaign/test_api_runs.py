"""The operations on runs, and tests of a campaign."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from shared.model.content import EmailContent, SmsContent
from shared.model.keys import ApiKey
from shared.model.runs import Run, RunState, Shard, Tally
from shared.model.tasks import DriveTask, ReleaseTask
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, Scope
from shared.store.audit import AuditSearch
from shared.store.parking import BUCKETS
from tests.fakes import FakeClock
from tests.integration.functions.campaign.campaign_api import CSV, CampaignApi, body, open_campaign_api
from tests.samples import api_key, change

START, CHECK, RUNS = "POST /v1/campaigns/{id}/runs", "POST /v1/campaigns/{id}/check", "GET /v1/campaigns/{id}/runs"
GET, UPDATE, REJECTS = "GET /v1/runs/{id}", "PATCH /v1/runs/{id}", "GET /v1/runs/{id}/rejects"
PAUSE, RESUME, CANCEL, APPROVE = (f"POST /v1/runs/{{id}}/{what}" for what in ("pause", "resume", "cancel", "approve"))
TEST = "POST /v1/campaigns/{id}/test"


@pytest.fixture
def api(clock: FakeClock) -> Iterator[CampaignApi]:
    with open_campaign_api(clock) as made:
        yield made


@pytest.fixture
def news(api: CampaignApi) -> CampaignApi:
    """The API with the campaign `news`."""
    api.make()
    return api


def move(api: CampaignApi, run: str, state: RunState, **changes: Any) -> None:
    """Have the platform move a run on."""

    def moved(found: Run) -> Run:
        return found.to(state, api.clock.now_ms(), "platform", **changes)

    assert api.campaigns.change_run("default", run, moved) is not None


def test_a_run_starts_with_what_its_campaign_says_now(news: CampaignApi) -> None:
    run = news.call(START, {"throttle": 60}, id="news", key_id="k2").json
    assert (run["state"], run["purpose"], run["kind"], run["started_by"]) == ("planning", "send", "live", "k2")
    assert (run["throttle"], run["file"], run["fired_at"]) == (60, "list.csv", "2025-01-15T10:00:00Z")
    [variant] = run["variants"]
    assert (variant["template"], variant["version"]) == ("welcome", 1)
    assert news.tasks.sent == [DriveTask(tenant="default", run=run["id"], tick=0)]
    assert news.actions()[0][0] in ("start_run", "create_campaign")
    assert ("start_run", f"campaign/news/run/{run['id']}") in news.actions()
    assert news.call("GET /v1/campaigns/{id}", id="news").json["active_run"] == run["id"]
    assert news.call(GET, id=run["id"]).json == run


def own(news: CampaignApi, kind: str) -> None:
    """A campaign and a file of a key of a kind."""
    news.file(f"{kind}.csv", CSV, KeyKind(kind))
    made = news.call("POST /v1/campaigns", body(id=f"{kind}-news", audience={"file": f"{kind}.csv"}), kind=kind)
    assert made.json["kind"] == kind


@pytest.mark.parametrize("kind", ["team", "test"])
def test_a_file_is_read_for_keys_of_its_kind_alone(news: CampaignApi, kind: str) -> None:
    own(news, kind)
    # The campaign is theirs, and the file it names is not.
    news.call("PATCH /v1/campaigns/{id}", {"audience": {"file": "list.csv"}}, id=f"{kind}-news", kind=kind)
    for route in (CHECK, START):
        assert news.call(route, {}, id=f"{kind}-news", kind=kind).fields == ["audience.file"]
    answer = news.call(TEST, {"to": ["a@example.com"]}, id=f"{kind}-news", kind=kind)
    assert (answer.status, answer.fields) == (422, ["variables.name"])
    assert not news.objects.reads
    assert news.call(CHECK, {}, id=f"{kind}-news").status == 202


@pytest.mark.parametrize("kind", ["live", "team", "test"])
def test_a_run_is_of_the_kind_of_its_key(news: CampaignApi, kind: str) -> None:
    own(news, kind)
    assert news.start(kind=kind, id=f"{kind}-news")["kind"] == kind


def test_one_that_is_not_over_is_named_to_who_starts_another(news: CampaignApi) -> None:
    run = news.start()["id"]
    news.clock.advance(5)
    answer = news.call(START, {}, id="news")
    assert answer.status == 409
    assert run in answer.json["detail"]
    # A check sends nothing, and so waits for nothing.
    check = news.call(CHECK, id="news")
    assert (check.status, check.json["purpose"], check.json["state"]) == (202, "check", "planning")
    move(news, run, RunState.FINISHED)
    assert news.call(START, {}, id="news").status == 202


def test_one_waits_for_the_other_where_the_schedule_says_so(api: CampaignApi) -> None:
    api.make(schedule={"expression": "rate(1 day)", "overlap": "queue"})
    api.start()
    api.clock.advance(5)
    assert api.start()["state"] == "waiting"


def test_what_cannot_be_sent_any_more_starts_no_run(news: CampaignApi) -> None:
    del news.objects.files["audiences/default/list.csv"]
    answer = news.call(START, {}, id="news")
    assert (answer.status, answer.fields) == (422, ["audience.file"])
    stored = news.catalog.load_template("default", "welcome")
    assert stored is not None
    news.catalog.update_template(stored.value.model_copy(update={"archived": True}), stored.rev, change())
    for route in (START, CHECK):
        answer = news.call(route, {}, id="news")
        assert (answer.status, answer.fields) == (422, ["variants.0.template"])
    assert news.call(START, {}, id="none").status == 404
    assert news.tasks.sent == []


def test_what_could_not_be_told_says_so_and_is_there(news: CampaignApi) -> None:
    news.tasks.broken = True
    answer = news.call(START, {}, id="news")
    assert (answer.status, answer.json["type"]) == (503, "urn:mepush:problem:not-applied")
    [run] = news.call(RUNS, id="news").json["runs"]
    assert run["state"] == "planning"
    for route in (PAUSE, RESUME):
        news.tasks.broken = True
        assert news.call(route, id=run["id"]).status in (200, 503)
        news.tasks.broken = False
        assert news.call(route, id=run["id"]).status == 200
    assert DriveTask(tenant="default", run=run["id"], tick=0) in news.tasks.sent


def test_a_run_is_held_goes_on_and_ends(news: CampaignApi) -> None:
    run = news.start()["id"]
    move(news, run, RunState.SENDING, planned_at=1, checked_at=2, sending_at=news.clock.now_ms())
    news.tasks.sent.clear()
    assert news.call(PAUSE, id=run, key_id="k2").json["state"] == "paused"
    assert news.call(PAUSE, id=run).json["state"] == "paused"
    assert news.call(RESUME, id=run).json["state"] == "sending"
    assert sum(isinstance(task, ReleaseTask) for task in news.tasks.sent) == BUCKETS
    assert news.call(UPDATE, {"throttle": 100}, id=run).json["throttle"] == 100
    assert news.call(UPDATE, {"throttle": None}, id=run).json["throttle"] is None
    assert news.call(CANCEL, id=run).json["state"] == "cancelled"
    assert news.call(CANCEL, id=run).status == 200
    for route, given in ((PAUSE, None), (RESUME, None), (APPROVE, None), (UPDATE, {"throttle": 1})):
        answer = news.call(route, given, id=run)
        assert answer.status == 409
        assert "over" in answer.json["detail"]
    done = [action for action, target in news.actions() if target.endswith(run)]
    assert sorted(done) == ["cancel_run", "pause_run", "resume_run", "start_run", "update_run", "update_run"]


def test_another_key_approves(news: CampaignApi) -> None:
    run = news.start()["id"]
    assert "waits for no approval" in news.call(APPROVE, id=run).json["detail"]
    move(news, run, RunState.AWAITING_APPROVAL, planned_at=1, checked_at=2)
    answer = news.call(APPROVE, id=run)
    assert answer.status == 409
    assert "nobody approves their own" in answer.json["detail"]
    assert news.call(APPROVE, id=run, key_id="k2", scopes="send").status == 403
    approved = news.call(APPROVE, id=run, key_id="k2", scopes="manage").json
    assert (approved["state"], approved["approved_by"]) == ("sending", "k2")


def test_nobody_approves_with_a_key_that_they_made_nor_what_their_schedule_started(news: CampaignApi) -> None:
    for id, lineage in (("k1", []), ("k1-child", ["k1"]), ("k2", []), ("k3", [])):
        news.catalog.create_key(api_key(id, lineage), change())
    run = news.start()["id"]
    move(news, run, RunState.AWAITING_APPROVAL, planned_at=1, checked_at=2)
    assert news.call(APPROVE, id=run, key_id="k1-child").status == 409
    news.call("PATCH /v1/campaigns/{id}", {"name": "Other"}, id="news", key_id="k2")
    campaign = news.campaigns.load("default", "news")
    assert campaign is not None
    move(news, run, RunState.AWAITING_APPROVAL, started_by="schedule", campaign=campaign.value)
    for who in ("k1", "k1-child", "k2"):
        assert news.call(APPROVE, id=run, key_id=who).status == 409
    assert news.call(APPROVE, id=run, key_id="k3").status == 200


@pytest.mark.parametrize("kind", ["test", "team"])
def test_a_key_that_does_not_reach_everybody_leaves_runs_alone_that_do(news: CampaignApi, kind: str) -> None:
    run = news.start()["id"]
    for route in (GET, UPDATE, PAUSE, RESUME, CANCEL, APPROVE, REJECTS):
        answer = news.call(route, {"throttle": 1}, id=run, kind=kind)
        assert (answer.status, "Use a live key" in answer.json["detail"]) == (403, True)
    assert news.call(GET, id=run).json["state"] == "planning"
    move(news, run, RunState.FINISHED)
    news.clock.advance(5)
    own(news, kind)
    mine = news.start(kind=kind, id=f"{kind}-news")["id"]
    assert news.call(PAUSE, id=mine, kind=kind).status == 200
    assert news.call(CANCEL, id=mine).status == 200


@pytest.mark.parametrize("route", [GET, UPDATE, PAUSE, RESUME, CANCEL, APPROVE, REJECTS])
def test_a_run_that_is_not_there_or_anothers_is_404(news: CampaignApi, route: str) -> None:
    run = news.start()["id"]
    for wrong, tenant in (("news.01K", "default"), ("", "default"), ("x" * 2000, "default"), (run, "others")):
        answer = news.call(route, {"throttle": 1}, id=wrong, tenant=tenant)
        assert (answer.status, answer.json["detail"][:16]) == (404, "There is no such")


def test_runs_come_the_newest_first_in_pages(news: CampaignApi) -> None:
    started = []
    for _ in range(3):
        started.append(news.start()["id"])
        move(news, started[-1], RunState.FINISHED)
        news.clock.advance(60)
    first = news.call(RUNS, id="news", query={"limit": "2"}).json
    second = news.call(RUNS, id="news", query={"cursor": first["cursor"]}).json
    assert [run["id"] for run in first["runs"] + second["runs"]] == started[::-1]
    assert news.call(RUNS, id="news", query={"cursor": "eA"}).fields == ["query.cursor"]
    assert news.call(RUNS, id="none").status == 404


def test_rejected_rows_are_downloaded_part_by_part(news: CampaignApi) -> None:
    run = news.start()["id"]
    news.shards.create(
        "default",
        run,
        [
            Shard(
                number=n,
                key="k",
                version="v",
                start=0,
                end=1,
                first_row=n * 10 + 1,
                rows=10,
                checked=None if n == 4 else Tally(rows=10, rejected={"not_utf8": n} if n else {}),
            )
            for n in range(5)
        ],
    )
    first = news.call(REJECTS, id=run, query={"limit": "2"}).json
    second = news.call(REJECTS, id=run, query={"cursor": first["cursor"]}).json
    files = first["files"] + second["files"]
    assert [(f["first_row"], f["rows"], f["rejected"]) for f in files] == [
        (12, 10, 1),
        (22, 10, 2),
        (32, 10, 3),
    ]  # as a spreadsheet shows them
    assert f"/runs/default/{run}/rejects/000001?" in files[0]["url"]
    assert "X-Amz-Signature" in files[0]["url"]
    assert second["cursor"] is None
    for cursor in ("eA", "c2hhcmQjeA"):
        assert news.call(REJECTS, id=run, query={"cursor": cursor}).fields == ["query.cursor"]
    assert news.call(REJECTS, id=run, scopes="read").status == 403


def test_a_test_goes_to_each_address_with_the_first_good_rows_variables(api: CampaignApi) -> None:
    api.file("list.csv", b"to,name\nno address,Nobody\ncat@example.com,\nann@example.com,Ann\n")
    api.make(variants=[{"name": "a", "template": "welcome"}, {"name": "b", "template": "other"}], ttl=600)
    answer = api.call(TEST, {"to": ["Me@Example.com", "nonsense"]}, id="news")
    assert answer.status == 200
    messages = answer.json["messages"]
    assert [(m["to"], m["variant"], m["message_id"] is None) for m in messages] == [
        ("Me@Example.com", "a", False),
        ("Me@Example.com", "b", False),
        ("nonsense", "a", True),
        ("nonsense", "b", True),
    ]
    assert messages[2]["problem"] == messages[3]["problem"] != ""
    first, second = api.queues.envelopes
    assert [first.template, second.template] == ["welcome", "other"]
    assert first.id + first.recipients[0].tag == messages[0]["message_id"]
    assert second.id + second.recipients[0].tag == messages[1]["message_id"]
    assert (first.request, first.run, first.kind, first.recipients[0].address) == (
        second.request,
        None,
        KeyKind.LIVE,
        "me@example.com",
    )
    assert first.variables == second.variables == {"name": "Ann"}
    assert first.expires_at == api.clock.now_ms() + 600_000
    assert [(r.envelope, [e.stage for e in r.events]) for r in api.stream.records] == [
        (first.id, ["accepted"]),
        (second.id, ["accepted"]),
    ]


def test_what_is_given_comes_before_the_rows_own_and_that_before_what_is_shared(api: CampaignApi) -> None:
    content = EmailContent(subject="{{ name }} {{ city }}", text="{{ word }} {{ note | default('') }}")
    api.template("three", content)
    api.file("list.csv", "to,Vorname,city\nann@example.com,Änn,Köln\n".encode())
    api.make(
        variants=[{"name": "a", "template": "three"}],
        audience={"file": "list.csv", "columns": {"variables": {"name": "Vorname"}}},
        variables={"city": "nowhere", "word": "Hi", "name": "you"},
    )
    assert api.call(TEST, {"to": ["a@example.com"], "variables": {"word": "Hello"}}, id="news").status == 200
    assert api.queues.envelopes[0].variables == {"name": "Änn", "city": "Köln", "word": "Hello"}


@pytest.mark.parametrize("packed", [False, True])
def test_only_the_beginning_of_a_large_file_is_looked_at(news: CampaignApi, packed: bool) -> None:
    rows = b"".join(b"user%d@example.com,%s\n" % (n, (b"x%d" % n) * 50) for n in range(5000))
    data = b"to,name\n" + rows
    news.file("list.csv", gzip.compress(data, 1) if packed else data)
    assert news.call(TEST, {"to": ["a@example.com"]}, id="news").status == 200
    assert news.queues.envelopes[0].variables == {"name": "x0" * 50}
    assert news.objects.reads == [(0, min(65_536, len(news.objects.files["audiences/default/list.csv"])))]


def test_line_delimited_json_is_read_as_well(api: CampaignApi) -> None:
    api.file("list.ndjson", b'{"to": 5}\n{"to": "ann@example.com", "variables": {"name": "Ann"}}\n{"to": "b@exa')
    api.make(audience={"file": "list.ndjson", "format": "ndjson"})
    assert api.call(TEST, {"to": ["a@example.com"]}, id="news").status == 200
    assert api.queues.envelopes[0].variables == {"name": "Ann"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "there is no audience file `list.csv` yet"),
        (b"to,nom\na@example.com,Ann\n", "none that could be sent"),
        (b"address,name\na@example.com,Ann\n", "has no column `to`"),
        (b"", "is empty"),
        (b"\x1f\x8bnonsense", "gzip"),
        (b"PK\x03\x04 a workbook", "Excel"),
        (b'to,name\na@example.com,"Ann\n', "never closed"),
    ],
)
def test_a_variable_that_is_nowhere_is_named_and_why(news: CampaignApi, data: bytes | None, text: str) -> None:
    if data is None:
        del news.objects.files["audiences/default/list.csv"]
    else:
        news.file("list.csv", data)
    answer = news.call(TEST, {"to": ["a@example.com"]}, id="news")
    assert (answer.status, answer.fields) == (422, ["variables.name"]), answer.text
    assert text in answer.json["errors"][0]["message"]
    assert news.queues.envelopes == []
    # Whoever gives them needs no file.
    assert news.call(TEST, {"to": ["a@example.com"], "variables": {"name": "Me"}}, id="news").status == 200


def test_variables_that_fit_nothing_are_refused(news: CampaignApi) -> None:
    answer = news.call(TEST, {"to": ["a@example.com"], "variables": {"nmae": "x"}}, id="news")
    assert (answer.status, answer.fields) == (422, ["variables.nmae"])
    answer = news.call(TEST, {"to": ["a@example.com"], "variables": {"name": ["x" * 19_000] * 5}}, id="news")
    assert (answer.status, answer.fields) == (422, ["variables"])
    assert news.call(TEST, {"to": []}, id="news").fields == ["to"]
    assert news.call(TEST, {"to": ["a@example.com"]}, id="none").status == 404


def test_a_test_keys_test_is_played_and_a_team_keys_goes_to_its_list(news: CampaignApi) -> None:
    own(news, "test")
    news.call(TEST, {"to": ["a@example.com"]}, id="test-news", kind="test")
    assert news.queues.envelopes[0].kind is KeyKind.TEST
    key = ApiKey(
        id="team",
        tenant="default",
        name="Team",
        kind=KeyKind.TEAM,
        scopes=[Scope.SEND],
        hash="0" * 64,
        recipients=["email:qa@example.com"],
        created_at=0,
    )
    news.catalog.create_key(key, change())
    to = ["a@example.com", "qa@example.com"]
    own(news, "team")
    messages = news.call(TEST, {"to": to}, id="team-news", kind="team", key_id="team").json["messages"]
    assert [m["message_id"] is None for m in messages] == [True, False]
    assert news.queues.envelopes[-1].recipients[0].address == "qa@example.com"


def test_texts_go_to_the_tenants_countries_alone(api: CampaignApi) -> None:
    api.template("text", SmsContent(text="Hello"))
    api.catalog.save_settings("default", TenantSettings(version=1, countries=["CN"]), None, change())
    api.make(variants=[{"name": "a", "template": "text"}])
    messages = api.call(TEST, {"to": ["13800138000", "+14155550123"]}, id="news").json["messages"]
    assert [m["message_id"] is None for m in messages] == [False, True]


def test_what_could_not_be_queued_is_told(news: CampaignApi) -> None:
    news.queues.failing = 1
    first, second = news.call(TEST, {"to": ["a@example.com", "b@example.com"]}, id="news").json["messages"]
    assert (first["message_id"], first["problem"] is None) == (None, False)
    assert (second["message_id"] is None, second["problem"]) == (False, None)
    assert len(news.stream.records) == 1
    answer = news.call(TEST, {"to": ["a@example.com"]}, id="news")
    assert (answer.status, answer.json["type"]) == (503, "urn:mepush:problem:not-queued")


def follow(api: CampaignApi, who: str = "not_opened", run: str | None = None, **more: Any) -> Any:
    """Save the campaign `again`, which follows `news` or one of its runs, and start it."""
    which = {"campaign": "news"} if run is None else {"run": run}
    answer = api.call("POST /v1/campaigns", body(id="again", audience={"follows": {**which, "who": who, **more}}))
    assert answer.status == 201, answer.text
    assert answer.json["audience"]["follows"] == {
        "run": None, "campaign": None, "after_hours": None, **which, "who": who, **more
    }  # fmt: skip
    assert answer.json["audience"]["file"] is None
    return api.call(START, {}, id="again")


def over(api: CampaignApi, **changes: Any) -> str:
    """A run of `news` that sent and is over; its id."""
    run: str = api.start()["id"]
    move(
        api, run, RunState.FINISHED, sending_at=api.clock.now_ms(), planned=1, planned_at=api.clock.now_ms(), **changes
    )
    api.clock.advance(60)
    return run


def test_a_run_tells_which_one_it_follows(news: CampaignApi) -> None:
    before = over(news)
    run = follow(news, after_hours=48).json
    nothing: dict[str, Any] = {"rows": None, "picked": None, "others": [], "warning": None}
    assert run["follows"] == {"run": before, "who": "not_opened", "after_hours": 48, **nothing}
    assert run["file"] is None
    assert ("start_run", f"campaign/again/run/{run['id']}") in news.actions()
    search = AuditSearch(0, news.clock.now_ms() + 1)
    records = [r for r in news.audit.page("default", search, 100).items if r.target.startswith("campaign/again/run/")]
    assert [record.after["file"] for record in records if record.after] == [f"not_opened of {before}"]


def test_a_run_tells_who_was_picked_and_why_others_were_not(news: CampaignApi) -> None:
    over(news)
    run = follow(news).json["id"]
    now = news.clock.now_ms()
    picked = {"picked": 7, "opened": 2, "held_out": 5, "a_new_word": 1}
    move(news, run, RunState.CHECKING, planned_at=now, planned=1, picked=picked)
    shown = news.call(GET, id=run).json["follows"]
    assert (shown["rows"], shown["picked"], shown["after_hours"], shown["warning"]) == (15, 7, 24, None)
    assert [(each["why"], each["rows"]) for each in shown["others"]] == [
        ("held_out", 5), ("opened", 2), ("a_new_word", 1),
    ]  # fmt: skip
    assert shown["others"][1]["explanation"] == "The message was opened."
    # If nobody at all has opened it, it is hardly known who has not.
    move(news, run, RunState.CHECKING, picked={"picked": 7, "held_out": 5})
    assert "Probably that is not measured" in news.call(GET, id=run).json["follows"]["warning"]


def test_a_run_that_cannot_be_followed_is_refused(news: CampaignApi) -> None:
    going = news.start()["id"]
    move(news, going, RunState.SENDING, sending_at=news.clock.now_ms())
    answer = follow(news, run=going)
    assert answer.status == 409
    assert "is not over" in answer.json["detail"]
    move(news, going, RunState.FINISHED)
    started = news.call(START, {}, id="again")
    assert started.status == 202
    move(news, started.json["id"], RunState.FINISHED, sending_at=news.clock.now_ms())
    again = news.call(START, {}, id="again")
    assert again.status == 409
    assert "has followed the run" in again.json["detail"]
    # Looking is free.
    assert news.call(CHECK, id="again").status == 202


def test_a_test_keys_run_is_followed_by_a_test_key(news: CampaignApi) -> None:
    before = over(news)
    wanted = body(id="again", audience={"follows": {"run": before, "who": "not_opened"}})
    assert news.call("POST /v1/campaigns", wanted, key_id="t", kind="test").status == 201
    answer = news.call(START, {}, id="again", key_id="t", kind="test")
    assert answer.status == 403
    assert "is one of live keys" in answer.json["detail"]


def test_a_follow_up_is_tried_out_with_the_file_of_the_run_that_it_follows(news: CampaignApi) -> None:
    over(news)
    follow(news)
    tried = news.call(TEST, {"to": ["me@example.com"]}, id="again")
    assert (tried.status, tried.json["messages"][0]["problem"]) == (200, None)
    assert [envelope.variables for envelope in news.queues.envelopes] == [{"name": "Ann"}]
    # Without such a run the variables are to be given.
    wanted = body(id="other", audience={"follows": {"campaign": "other", "who": "failed"}})
    assert news.call("POST /v1/campaigns", wanted).status == 422
    wanted = body(id="other", audience={"follows": {"campaign": "again", "who": "failed"}})
    assert news.call("POST /v1/campaigns", wanted).status == 201
    answer = news.call(TEST, {"to": ["me@example.com"]}, id="other")
    assert (answer.status, answer.fields) == (422, ["variables.name"])
    assert "has no run of live keys yet that sent and is over" in answer.json["errors"][0]["message"]
    given = news.call(TEST, {"to": ["me@example.com"], "variables": {"name": "Bo"}}, id="other")
    assert (given.status, given.json["messages"][0]["problem"]) == (200, None)


def test_receipts_are_told_apart_from_outcomes(news: CampaignApi) -> None:
    run = over(
        news,
        outcomes={"accepted": 9, "sent": 8, "failed": 1, "delivered": 6, "undelivered.transient": 2, "complained": 1},
        reasons={"undelivered.transient:mailbox_full": 2},
    )
    shown = news.call(GET, id=run).json
    assert shown["receipts"] == {"delivered": 6, "undelivered.transient": 2, "complained": 1}
    assert shown["progress"]["outcomes"] == {"sent": 8, "failed": 1}
    assert [(r["stage"], r["reason"], r["messages"]) for r in shown["reasons"]] == [
        ("undelivered.transient", "mailbox_full", 2)
    ]
