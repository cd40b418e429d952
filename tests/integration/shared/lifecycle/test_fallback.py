"""Fallback to another channel, from the templates to the books: over DynamoDB's tables."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.watch.following import GRACE_MS, LOOK_AGAIN_MS
from shared.lifecycle.fallback import decide
from shared.lifecycle.tail import tail
from shared.model.accounts import Account
from shared.model.content import Content, SmsContent, WecomText
from shared.model.envelope import Envelope, FallbackLeg, read_envelope
from shared.model.events import EventRow
from shared.model.ids import Tagger
from shared.model.keys import ApiKey
from shared.model.reasons import Reason
from shared.model.templates import Fallback
from shared.model.words import Channel, KeyKind, Scope
from shared.store.ledger import Entry
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.ingest import test_service
from tests.integration.functions.manage import manage_calls
from tests.integration.functions.recall import test_stopping
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.samples import NOW
from tests.unit.shared.lifecycle.test_fallback import END, leg, one

SMS, TEXT = SmsContent(text="Hello {{ name }}"), WecomText(type="text", content="Hello {{ name }}")
NUMBER = "13800138000"

# Templates

CREATE, PATCH = "POST /v1/templates", "PATCH /v1/templates/{id}"
PUBLISH = "POST /v1/templates/{id}/versions/{version}/publish"
CONTENTS = {
    "wecom": {"type": "text", "content": "Hello {{ name }}"},
    "sms": {"type": "sms", "text": "Hello {{ name }}"},
    "email": {"type": "email", "subject": "Hello", "text": "Hello {{ name }}"},
}
PROVIDERS = {"wecom": "app", "sms": "aws", "email": "smtp"}


@pytest.fixture
def manage(aws: Aws, clock: FakeClock) -> manage_calls.ManageApi:
    api = manage_calls.ManageApi(aws, clock)
    for channel, provider in PROVIDERS.items():
        account = Account(
            id=channel, tenant="default", name=channel, channel=Channel(channel), provider=provider,
            settings={}, created_at=0, updated_at=0,
        )  # fmt: skip
        api.catalog.create_account(account, samples.change())
    return api


def body(channel: str, id: str = "", **changes: Any) -> dict[str, Any]:
    found = {"id": id or channel, "name": channel, "class": "notification", "accounts": [channel]}
    return {**found, "content": CONTENTS[channel], "sample": {"name": "Ann"}, **changes}


def add(manage: manage_calls.ManageApi, channel: str, id: str = "", **changes: Any) -> None:
    made = manage.call(CREATE, body(channel, id, **changes))
    assert made.status == 201, made.text
    assert manage.call(PUBLISH, id=id or channel).status == 200


def test_a_template_names_the_one_that_stands_in(manage: manage_calls.ManageApi) -> None:
    add(manage, "email")
    add(manage, "sms", fallback={"template": "email"})
    wanted = {"template": "sms", "after_minutes": 5, "until": "sent"}
    add(manage, "wecom", fallback=wanted)
    assert manage.call("GET /v1/templates/{id}", id="wecom").json["fallback"] == wanted
    assert manage.call("GET /v1/templates").json["templates"][2]["fallback"] == wanted
    copied = manage.call("POST /v1/templates/{id}/copy", {"id": "again"}, id="wecom")
    assert copied.json["fallback"] == wanted
    assert manage.call(PATCH, {"name": "New"}, id="wecom").json["fallback"] == wanted
    assert manage.call(PATCH, {"fallback": None}, id="wecom").json["fallback"] is None
    records = manage.call("GET /v1/audit", query={"target": "template/wecom"}).json["records"]
    shown = [(r["before"]["fallback"], r["after"]["fallback"]) for r in records if r["before"]]
    # The first two, the publication and the new name, were made in the same millisecond as this one.
    assert (wanted, None) in shown and shown.count((wanted, wanted)) == 2


@pytest.mark.parametrize(
    ("fallback", "says"),
    [
        ("nothing", "there is no template `nothing`"),
        ("other-wecom", "name one of another channel"),
        ("codes", "is of the class verification; name one of the class notification"),
        ("draft", "has no published version; publish one first"),
        ("old", "is archived; name another"),
        ("more", "needs `city`, which `wecom` does not use"),
        ("ring", "`other-wecom` is for wecom, and so is `wecom`"),
    ],
)
def test_what_cannot_stand_in_is_refused(manage: manage_calls.ManageApi, fallback: str, says: str) -> None:
    add(manage, "wecom", "other-wecom")
    add(manage, "sms", "codes", **{"class": "verification"})
    manage.call(CREATE, body("sms", "draft"))
    add(manage, "sms", "old")
    manage.call("POST /v1/templates/{id}/archive", id="old")
    city = {"content": {"type": "sms", "text": "{{ name }} in {{ city }}"}, "sample": {"name": "Ann", "city": "X"}}
    add(manage, "sms", "more", **city)
    add(manage, "sms", "ring", fallback={"template": "other-wecom"})
    add(manage, "wecom")
    for answer in (
        manage.call(PATCH, {"fallback": {"template": fallback}}, id="wecom"),
        manage.call(CREATE, body("wecom", "wecom-2", fallback={"template": fallback})),
    ):
        assert (answer.status, answer.fields) == (422, ["fallback.template"])
        assert says.replace("`wecom`", "") in answer.json["errors"][0]["message"].replace("`wecom-2`", "").replace(
            "`wecom`", ""
        )


CARD = {"type": "template_card", "card": {"card_type": "button_interaction", "main_title": {"title": "{{ name }}"},
        "button_list": [{"text": "Mine", "key": "mine"}]}}  # fmt: skip
OWN_TASK = {**CARD, "card": {**CARD["card"], "task_id": "t"}}  # type: ignore[dict-item]  # it is one
UNTIL = "fallback.until"


@pytest.mark.parametrize(
    ("channel", "content", "fallback", "field", "says"),
    [
        ("wecom", CARD, {"until": "delivered", "after_minutes": 5}, UNTIL, "nobody tells whether"),
        ("email", None, {"until": "delivered", "after_minutes": 5}, "fallback.after_minutes", "leave it out"),
        ("email", None, {"until": "delivered"}, UNTIL, "name its `bounce_mailbox` first"),
        ("wecom", None, {"until": "acknowledged", "after_minutes": 5}, UNTIL, "use a WeCom card with buttons"),
        ("email", None, {"until": "acknowledged", "after_minutes": 5}, UNTIL, "use a WeCom card with buttons"),
        ("wecom", CARD, {"until": "acknowledged"}, "fallback", "say in `after_minutes`"),
        ("wecom", OWN_TASK, {"until": "acknowledged", "after_minutes": 5}, "content.card.task_id", "leave it out"),
        (
            "wecom",
            {**CARD, "acknowledges": False},
            {"until": "acknowledged", "after_minutes": 5},
            UNTIL,
            "acknowledges",
        ),
    ],
)
def test_what_can_never_be_known_is_not_waited_for(
    manage: manage_calls.ManageApi, channel: str, content: Any, fallback: dict[str, Any], field: str, says: str
) -> None:
    add(manage, "sms")
    wanted = body(channel, fallback={"template": "sms", **fallback}, **({"content": content} if content else {}))
    refused = manage.call(CREATE, wanted)
    assert (refused.status, refused.fields) == (422, [field])
    assert says in refused.json["errors"][0]["message"]
    # Nor may it come to that later.
    add(manage, channel, **({"content": content} if content else {}))
    assert manage.call(PATCH, {"fallback": {"template": "sms", **fallback}}, id=channel).status == 422


def test_only_cards_with_buttons_show_who_took_them(manage: manage_calls.ManageApi) -> None:
    notice = {
        "card_type": "text_notice",
        "main_title": {"title": "x"},
        "card_action": {"type": 1, "url": "https://a.b"},
    }
    for taken, card, fields in (
        ("Taken by {member} at {time}", CARD["card"], None),
        ("Taken", notice, ["content.taken"]),
        ("Taken by {{ name }}", CARD["card"], ["content.taken"]),
        ("Taken by {who}", CARD["card"], ["content.taken"]),
    ):
        content = {"type": "template_card", "card": card, "taken": taken}
        sample = {"name": "Ann"} if card is CARD["card"] else {}
        answer = manage.call(CREATE, body("wecom", f"t{len(taken)}", content=content, sample=sample))
        assert (answer.status, answer.json.get("errors") and answer.fields) == (
            (422, fields) if fields else (201, None)
        )


def test_what_may_be_known_is_waited_for(manage: manage_calls.ManageApi) -> None:
    add(manage, "email")
    add(manage, "sms", fallback={"template": "email", "until": "delivered"})
    add(manage, "wecom", content=CARD, fallback={"template": "sms", "until": "acknowledged", "after_minutes": 5})
    shown = manage.call("GET /v1/templates/{id}", id="wecom").json["fallback"]
    assert shown == {"template": "sms", "until": "acknowledged", "after_minutes": 5}
    # A version that nobody can acknowledge is not published.
    version = {"content": CONTENTS["wecom"], "sample": {"name": "Ann"}}
    assert manage.call("POST /v1/templates/{id}/versions", version, id="wecom").status == 201
    assert manage.call(PUBLISH, id="wecom", version=2).fields == [UNTIL]


def test_what_stands_in_keeps_fitting(manage: manage_calls.ManageApi) -> None:
    add(manage, "email")
    add(manage, "sms", fallback={"template": "email"})
    add(manage, "wecom", fallback={"template": "sms"})
    answer = manage.call("POST /v1/templates/{id}/archive", id="email")
    assert answer.status == 409 and "`sms`" in answer.json["detail"]
    # A version with a variable that the first does not use, and a way round to where it began.
    version = {"content": {"type": "email", "subject": "{{ city }}", "text": "x"}, "sample": {"city": "X"}}
    assert manage.call("POST /v1/templates/{id}/versions", version, id="email").status == 201
    refused = manage.call(PUBLISH, id="email", version=2)
    assert (refused.status, refused.fields) == (422, ["fallback.template"])
    assert "falls back to this one: `email` needs `city`" in refused.json["errors"][0]["message"]
    add(manage, "wecom", "last")
    ring = manage.call(PATCH, {"fallback": {"template": "last"}}, id="email")
    assert (
        ring.fields == ["fallback.template"] and "`wecom` falls back to this one" in ring.json["errors"][0]["message"]
    )
    # And a version of the first that lacks a variable.
    version = {"content": {"type": "text", "content": "Hello"}, "sample": {}}
    assert manage.call("POST /v1/templates/{id}/versions", version, id="wecom").status == 201
    assert manage.call(PUBLISH, id="wecom", version=2).fields == ["fallback.template"]


# Acceptance


class FallbackHarness(test_service.IngestHarness):
    """Accepts by a template that falls back from email to SMS after five minutes, and from there to WeCom."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        super().__init__(aws, clock)
        self.put("text", TEXT)
        self.put("sms", SMS, Fallback(template="text", after_minutes=7))
        self.put("welcome", samples.EMAIL, Fallback(template="sms", after_minutes=5))

    def put(self, id: str, content: Content, fallback: Fallback | None = None) -> None:
        self.add_template(content, id=id, fallback=fallback)

    def accept(self, *fallbacks: Any, **fields: Any) -> Any:
        people = [
            {"to": f"u{i}@example.com", "variables": {"name": "n"}} | ({} if each is None else {"fallback": each})
            for i, each in enumerate(fallbacks)
        ]
        return self.send({"template": "welcome", "recipients": people, **fields})


@pytest.fixture
def accepting(aws: Aws, clock: FakeClock) -> FallbackHarness:
    return FallbackHarness(aws, clock)


def test_a_request_carries_the_legs_and_the_addresses(accepting: FallbackHarness, clock: FakeClock) -> None:
    status, answer = accepting.accept({"sms": NUMBER, "wecom": "ann"}, ttl=3600)
    assert status == 202 and answer["accepted"] == 1
    [sent] = accepting.envelopes()
    end = clock.now_ms() + 3_600_000
    tenant = accepting.catalog.tenant("default")
    assert tenant is not None
    number = "+8613800138000"
    assert sent.recipients[0].other_addresses == {
        "sms": (number, Tagger(tenant.salt, "sms")(number)), "wecom": ("ann", Tagger(tenant.salt, "wecom")("ann")),
    }  # fmt: skip
    assert sent.fallback == [
        FallbackLeg(Channel.SMS, "sms", 1, 300, end, ["name"]),
        FallbackLeg(Channel.WECOM, "text", 1, 420, end, ["name"]),
    ]
    assert (sent.expires_at, sent.ends_at) == (clock.now_ms() + 300_000, end)


def test_who_falls_back_alike_shares_an_envelope_and_who_cannot_has_the_whole_time(
    accepting: FallbackHarness, clock: FakeClock
) -> None:
    both, end = {"sms": NUMBER, "wecom": "ann"}, clock.now_ms() + 3_600_000
    status, answer = accepting.accept(None, both, {"wecom": "bob"}, {}, both, {"email": "x@example.com"}, ttl=3600)
    assert status == 202 and answer["accepted"] == 6
    found = {tuple(each.channel.value for each in e.fallback): e for e in accepting.envelopes()}
    numbers = {legs: [int(answer["messages"].index(m)) for m in answer["messages"] for r in e.recipients
                      if m["message_id"].endswith(r.tag)] for legs, e in found.items()}  # fmt: skip
    assert numbers == {(): [0, 3, 5], ("sms", "wecom"): [1, 4], ("wecom",): [2]}
    assert found[()].expires_at == end and not found[()].recipients[0].other_addresses
    # Where SMS is left out the email has its five minutes all the same.
    assert found["wecom",].expires_at == clock.now_ms() + 300_000 and found["wecom",].fallback[0].after_s == 300
    assert [r.index for r in found["sms", "wecom"].recipients] == [0, 3]
    assert found["sms", "wecom"].id == answer["messages"][1]["message_id"][:26]


def test_the_time_before_it_falls_back_is_within_the_time_to_live_and_begins_when_it_is_due(
    accepting: FallbackHarness, clock: FakeClock
) -> None:
    accepting.accept({"sms": NUMBER}, ttl=60)
    [short] = accepting.envelopes()
    assert short.expires_at == short.ends_at == clock.now_ms() + 60_000
    later = clock.now_ms() // 1000 * 1000 + 3_600_000
    accepting.accept({"sms": NUMBER}, ttl=3600, send_at=datetime.fromtimestamp(later / 1000, UTC).isoformat())
    [schedule] = accepting.scheduler.list_schedules(GroupName="mepush")["Schedules"]
    target = accepting.scheduler.get_schedule(GroupName="mepush", Name=schedule["Name"])["Target"]
    due = read_envelope(json.loads(target["Input"])["MessageBody"])
    assert (due.expires_at, due.ends_at) == (later + 300_000, later + 3_600_000)


def test_a_wrong_address_rejects_the_recipient_and_names_it(accepting: FallbackHarness) -> None:
    status, answer = accepting.accept({"sms": NUMBER}, {"sms": "12"}, {"email": "no address"})
    assert status == 202 and (answer["accepted"], answer["rejected"]) == (2, 1)
    refused = answer["messages"][1]
    assert (refused["field"], refused["reason"]) == ("recipients.1.fallback.sms", "address_invalid")
    assert [stage for stage, _ in accepting.events()].count("rejected") == 1
    assert accepting.accept({"fax": "1"})[0] == 422
    status, answer = accepting.accept({"sms": "12"})
    assert status == 422 and [e["field"] for e in answer["errors"]] == ["recipients.0.fallback.sms"]


def test_every_address_must_be_on_a_team_keys_list(accepting: FallbackHarness) -> None:
    key = ApiKey(
        id="k", tenant="default", name="team", kind=KeyKind.TEAM, scopes=[Scope.SEND], hash="x", created_at=0,
        recipients=["email:u0@example.com", "email:u1@example.com", "sms:+8613800138000"],
    )  # fmt: skip
    accepting.catalog.create_key(key, samples.change())
    accepting.caller["kind"] = "team"
    _, answer = accepting.accept({"sms": NUMBER}, {"sms": "13900139000"})
    assert [m["status"] for m in answer["messages"]] == ["accepted", "rejected"]
    refused = answer["messages"][1]
    assert (refused["field"], refused["reason"]) == ("recipients.1.fallback.sms", "not_in_team_list")


def test_what_cannot_be_sent_any_more_is_left_out(accepting: FallbackHarness, clock: FakeClock) -> None:
    stored = accepting.catalog.load_template("default", "text")
    assert stored is not None
    archived = stored.value.model_copy(update={"archived": True})
    accepting.catalog.update_template(archived, stored.rev, samples.change())
    accepting.accept({"sms": NUMBER, "wecom": "ann"})
    [sent] = accepting.envelopes()
    assert [each.channel for each in sent.fallback] == ["sms"]


def test_the_variables_of_all_are_asked_for(accepting: FallbackHarness, clock: FakeClock) -> None:
    accepting.put("city", SmsContent(text="{{ name }} in {{ city }}"))
    accepting.put("first", samples.EMAIL, Fallback(template="city"))
    person = {"to": "a@example.com", "variables": {"name": "n"}, "fallback": {"sms": NUMBER}}
    status, answer = accepting.send({"template": "first", "recipients": [person]})
    assert status == 422 and [e["field"] for e in answer["errors"]] == ["recipients.0.variables.city"]
    status, _ = accepting.send({"template": "first", "recipients": [person], "variables": {"city": "X"}})
    assert status == 202


def test_a_repeat_stays_accepted_though_the_fallback_needs_more_by_now(
    accepting: FallbackHarness, clock: FakeClock
) -> None:
    person = {"to": "a@example.com", "variables": {"name": "n"}, "fallback": {"sms": NUMBER}}
    request = {"template": "welcome", "recipients": [person]}
    first = accepting.send(request, idempotency_key="one")
    accepting.put("city", SmsContent(text="{{ city }}"))
    stored = accepting.catalog.load_template("default", "welcome")
    assert stored is not None
    other = stored.value.model_copy(update={"fallback": Fallback(template="city")})
    accepting.catalog.update_template(other, stored.rev, samples.change())
    clock.advance(11)
    assert accepting.send(request)[0] == 422
    assert accepting.send(request, idempotency_key="one") == first


# The books


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    clock.set(NOW)
    return WatchHarness(aws, clock)


def fall(
    harness: WatchHarness, parent: Envelope, stage: str = "failed", **more: Any
) -> tuple[Envelope, list[EventRow]]:
    """Close the ledger of an envelope all of whose messages fall back; the trace knows."""
    rows = rows_of(parent, stage, **{"reason": Reason.ADDRESS_UNKNOWN, **more})
    decide(parent, rows)
    harness.ledger.acquire(parent.id, Entry("dispatcher", harness.clock.now_ms() + 60_000, rows, {}, closed=True))
    followed = tail(parent, rows)
    for record in followed.records:
        harness.tell(record)
    harness.trace()
    [child] = [dispatch.envelope for dispatch in followed.dispatches]
    return child, rows


def test_the_watch_follows_the_message_that_took_the_place(harness: WatchHarness) -> None:
    parent = one(3, leg(Channel.SMS), leg(Channel.WECOM))
    harness.accept(parent)
    second, _ = fall(harness, parent)
    third, _ = fall(harness, second, "expired", reason=Reason.EXPIRED)
    retry = harness.close(
        third, rows_of(third, "retrying", 1, reason="throttled", due_at=third.accepted_at + 60_000), told=False
    )
    assert [e.id for e in retry] == [f"{parent.id}/f1/f1/r1"]
    assert harness.in_flight() == 3 and harness.counts() == {"accepted": 9, "failed": 3, "expired": 3}
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    # What the trace has missed is told again, for the last messages and only once.
    assert (mark.mended, mark.found) == ({"restated": 3}, {"retry_overdue": 3})
    harness.clock.set(END + GRACE_MS + LOOK_AGAIN_MS)
    assert harness.mend().mended == {"ended": 3}
    assert harness.in_flight() == 0 and set(harness.outcomes_by_message().values()) == {1}
    assert harness.counts() == {"accepted": 9, "failed": 3, "expired": 6, "retrying": 3}
    ended = [e for e in harness.events("expired") if e.channel == "wecom"]
    assert {(e.template, e.version) for e in ended} == {("code-wecom", 4)}
    counts = harness.counters.read("default#template#code-sms", 0, 10**7)[NOW // 3_600_000]
    assert counts == {"accepted": 3, "expired": 3, "expired:expired": 3}
    assert harness.mend().mended == {}


def test_an_outcome_of_the_fallback_that_was_lost_is_told_again(harness: WatchHarness) -> None:
    parent = one(2)
    harness.accept(parent)
    child, _ = fall(harness, parent)
    harness.close(child, rows_of(child, "sent", account="sms", provider="aws", provider_id="p"), told=False)
    harness.clock.advance(3 * HOUR_S)
    assert harness.mend().mended == {"restated": 2}
    assert harness.counts() == harness.stages() == {"accepted": 4, "failed": 2, "sent": 2}
    assert harness.events("sent")[0].channel == "sms"


def test_a_long_time_to_live_is_not_cut_short_by_the_first_message(harness: WatchHarness) -> None:
    parent = one(2, leg(Channel.SMS, 5), expires_at=NOW + 300_000)
    harness.accept(parent)
    harness.clock.advance(5 * HOUR_S)
    assert harness.mend().mended == {}
    # Whoever still has the envelope lets it fall back.
    assert fall(harness, parent, "expired", reason=Reason.EXPIRED)[0].expires_at == END


@pytest.fixture
def recalls(harness: WatchHarness) -> Iterator[test_stopping.RecallHarness]:
    with ThreadPoolExecutor(4) as pool:
        yield test_stopping.RecallHarness(harness, pool)


@pytest.mark.parametrize("told", [True, False])
def test_a_recall_stops_the_message_that_took_the_place(
    harness: WatchHarness, recalls: test_stopping.RecallHarness, told: bool
) -> None:
    parent = one(1, leg(Channel.SMS), leg(Channel.WECOM))
    harness.accept(parent)
    rows = rows_of(parent, "failed", reason=Reason.ADDRESS_UNKNOWN)
    decide(parent, rows)
    harness.ledger.acquire(parent.id, Entry("d", harness.clock.now_ms() + 60_000, rows, {}, closed=True))
    followed = tail(parent, rows)
    harness.tell(followed.record)
    if told:
        for record in followed.opened:
            harness.tell(record)
    harness.trace()
    [child] = followed.dispatches
    parent_id, child_id = parent.id + parent.recipients[0].tag, parent.id + child.envelope.recipients[0].tag
    first = recalls(parent_id)
    again = recalls()
    found = {answer.message_id: answer for answer in first}
    assert found.keys() == {parent_id, child_id}
    assert found[parent_id].result == "too_late" and found[child_id].result == "recalled"
    assert test_stopping.results(again).count("recalled") == 1
    entry = harness.ledger.read(child.envelope.id)
    assert entry is not None and entry.recalled.keys() == {0}
    for record in followed.opened:
        harness.tell(record)
    harness.trace()
    assert harness.in_flight() == 0 and harness.counts() == {"accepted": 2, "failed": 1, "recalled": 1}
    assert {e.template for e in harness.events("recalled")} == {"code-sms"}


def test_others_of_the_request_are_not_recalled_with_one(
    harness: WatchHarness, recalls: test_stopping.RecallHarness
) -> None:
    parent = one(2)
    harness.accept(parent)
    child, _ = fall(harness, parent)
    recalls(parent.id + child.recipients[0].tag)
    entry = harness.ledger.read(child.id)
    assert entry is not None and entry.recalled.keys() == {0}
