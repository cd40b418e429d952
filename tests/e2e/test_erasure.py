"""A person is sent to in every way, forgotten, and then looked for in all that the platform holds."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from local import permissions
from local.faults import FaultInput
from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LOG_FILE, LocalStack
from mepush.files.accounts import read_accounts
from shared.model.ids import Tagger
from shared.store.tenants import TenantStore
from tests.searching import Held, found, held, items, log, spellings, stream

pytestmark = pytest.mark.xdist_group("local-stack")

MAIL, PHONE, MEMBER = f"bounce+ada.lovelace@{SIMULATOR}", "+8613811112222", "ada-lovelace"
ADA = {"email": MAIL, "sms": PHONE, "wecom": MEMBER}
BOB = {"email": f"success+bob@{SIMULATOR}", "sms": "+8613900001111", "wecom": "bob"}
SECRET = "Analytical-Engine-Order"
ACCOUNTS = {"email": "mail-ses", "sms": "sms-aws", "wecom": "wecom-app"}
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "{{ name }}", "text": "{{ name }} {{ unsubscribe_url }}"},
    "sms": {"type": "sms", "text": "{{ name }}"},
    "wecom": {"type": "text", "content": "{{ name }}"},
}
OURS = ("audit#", "erasures#", "erased#", "checkpoint#", "watch#", "health#", "token#", "suppressing#", "tenants")
"""Items that the platform itself goes on to write, or that say of the erasure."""


class Platform:
    """A stack with an account and a marketing template on each channel, a webhook, and what Ada and Bob got."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.log_from = LOG_FILE.stat().st_size if LOG_FILE.exists() else 0
        self.api = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {first_key(stack)}"}, timeout=60)
        for channel, content in CONTENTS.items():
            [account] = read_accounts(EXAMPLES / "accounts.toml", ACCOUNTS[channel])
            self.call("POST", "/v1/accounts", account_body(account, stack.sandboxes))
            body = {"id": channel, "name": channel, "class": "marketing", "accounts": [ACCOUNTS[channel]]}
            self.call("POST", "/v1/templates", {**body, "content": content, "sample": {"name": "x"}})
            self.call("POST", f"/v1/templates/{channel}/versions/1/publish", {})
        self.call("PATCH", "/v1/templates/wecom", {"fallback": {"template": "sms"}})
        alarm = {"id": "alarm", "name": "alarm", "class": "marketing", "accounts": [ACCOUNTS["email"]]}
        fallback = {"template": "sms", "until": "delivered"}
        content = CONTENTS["email"]
        self.call("POST", "/v1/templates", {**alarm, "content": content, "sample": {"name": "x"}, "fallback": fallback})
        self.call("POST", "/v1/templates/alarm/versions/1/publish", {})
        code = {"id": "code", "name": "code", "class": "verification", "accounts": [ACCOUNTS["sms"]]}
        self.call(
            "POST", "/v1/templates", {**code, "content": {"type": "sms", "text": "{{ code }}"}, "sample": {"code": "1"}}
        )
        self.call("POST", "/v1/templates/code/versions/1/publish", {})
        self.call("POST", "/v1/webhooks", {"id": "all", "bus": True})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.api.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def close(self) -> None:
        self.api.close()

    def drain(self, horizon_s: float = 600) -> None:
        self.stack.drain(20_000, until_due=True, horizon_s=horizon_s)

    def send(self, channel: str, name: str, **more: Any) -> Any:
        people = [
            {"to": who[channel], "variables": {"name": f"{SECRET} {name}" if who is ADA else "Bob"}, "reference": ref}
            for who, ref in ((ADA, f"{SECRET}-{name}"), (BOB, f"bob-{name}"))
        ]
        return self.call("POST", "/v1/messages", {"template": channel, "recipients": people, **more})

    def upload(self, key: str, rows: str, encoding: str = "utf-8") -> None:
        data = rows.encode(encoding)
        data = gzip.compress(data) if key.endswith(".gz") else data
        self.stack.client("s3").put_object(
            Bucket=self.stack.outputs["AssetsBucket"], Key=f"audiences/default/{key}", Body=data
        )

    def campaign(self, id: str, file: str) -> str:
        body = {"id": id, "name": id, "variants": [{"name": "only", "template": "email"}], "audience": {"file": file}}
        self.call("POST", "/v1/campaigns", body)
        run: str = self.call("POST", f"/v1/campaigns/{id}/runs", {})["id"]
        return run

    def seen_of_bob(self) -> Any:
        return self.call("POST", "/v1/messages/query", {"channel": "email", "to": BOB["email"]})

    def seen_of_runs(self) -> Any:
        ids = [self.call("GET", f"/v1/campaigns/{id}/runs")["runs"][0]["id"] for id in ("news", "packed", "half")]
        runs = [self.call("GET", f"/v1/runs/{id}") for id in ids]
        return [{name: run[name] for name in ("state", "progress", "check") if name in run} for run in runs]

    def tags(self) -> list[str]:
        store = TenantStore(self.stack.client("dynamodb"), self.stack.outputs["CatalogTable"], self.stack.clock)
        return [Tagger(store.ensure_tenant("default").salt, channel)(address) for channel, address in ADA.items()]

    def live_through_all(self) -> None:
        """Everything that leaves something behind."""
        later = (datetime.fromtimestamp(self.stack.clock.now_ms() / 1000, UTC) + timedelta(days=3)).isoformat()
        self.send("email", "deferred", send_at=later)
        self.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=-1))
        self.send("email", "dead")
        self.drain(8 * 3600)
        self.stack.sandboxes["ses"].faults.clear()
        self.stack.faults.add(FaultInput(provider="app", kind="code", code="invaliduser", to=MEMBER))
        people = [{"to": MEMBER, "variables": {"name": SECRET}, "fallback": {"sms": PHONE}}]
        self.call("POST", "/v1/messages", {"template": "wecom", "recipients": people})
        for channel in ADA:
            self.send(channel, "sent", reference="everybody")
        alone = {"template": "email", "to": MAIL, "variables": {"name": SECRET}, "reference": f"{SECRET}-alone"}
        self.call("POST", "/v1/messages", alone, **{"Idempotency-Key": "one"})
        for who in (ADA, BOB):
            self.call("POST", "/v1/verifications", {"to": who["sms"], "template": "code", "purpose": "login"})
        people = [
            {"to": ADA["email"], "variables": {"name": SECRET}, "fallback": {"sms": BOB["sms"]}},
            {"to": BOB["email"], "variables": {"name": "Bob"}, "fallback": {"sms": BOB["sms"]}},
            {"to": f"success+carol@{SIMULATOR}", "variables": {"name": "Carol"}, "fallback": {"sms": PHONE}},
        ]
        self.call("POST", "/v1/messages", {"template": "alarm", "recipients": people})
        rows = "".join(f"success+p{i}@{SIMULATOR},Person {i}\n" for i in range(40))
        table = f"to,name\n{rows}{MAIL.upper()},{SECRET} file\n{BOB['email']},Bob\n"
        self.upload("list.csv", table)
        self.upload("list.csv", table + f'"{MAIL}","{SECRET}\nin two lines"\n')
        self.upload("list.csv.gz", table)
        self.upload("wide.csv", table, "utf-16")
        self.upload("people.ndjson", f'{{"to":"{MAIL}","name":"{SECRET}"}}\n{{"to":"{BOB["email"]}","name":"Bob"}}\n')
        self.upload("phones.csv", f"to,name\n138 1111-2222,{SECRET}\n13900001111,Bob\n")
        self.upload("half.csv", f"to,name\n{MAIL},\n{BOB['email']},Bob\n")
        self.upload("mentions.csv", f"to,name\n{BOB['email']},Bob whom {MAIL} knows\n")
        for id, file in (("news", "list.csv"), ("packed", "list.csv.gz"), ("half", "half.csv")):
            self.campaign(id, file)
        self.drain(3600)
        for channel, address in ADA.items():
            self.call("POST", "/v1/suppressions", {"channel": channel, "address": address, "note": f"{SECRET} called"})
        self.stack.clock.advance(11)
        self.send("email", "suppressed")
        self.drain(3600)

    def forget(self, keep_suppression: bool = False) -> list[Any]:
        """Have Ada forgotten on every channel; the erasures as they are when that is done."""
        ids = [
            self.call("POST", "/v1/erasures", {"channel": c, "address": a, "keep_suppression": keep_suppression})["id"]
            for c, a in ADA.items()
        ]
        self.drain(4 * 3600)
        return [self.call("GET", f"/v1/erasures/{id}") for id in ids]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True) as stack, closing(Platform(stack)) as it:
        yield it


def test_nothing_is_left_of_who_is_forgotten_and_all_is_left_of_others(platform: Platform) -> None:
    platform.live_through_all()
    wanted = spellings(*ADA.values(), SECRET, *platform.tags())
    before = dict(held(platform.stack))
    # What the search looks at holds the person in all these places; else it would prove nothing.
    kinds = {_kind(place) for place in found(before.items(), wanted)}
    assert kinds >= {
        *("CatalogTable suppressed", "CatalogTable letter", "CatalogTable audit"),
        *("GuardTable envelope", "GuardTable deliveries", "GuardTable cap"),
        *("GuardTable awaiting", "GuardTable verification"),
        *("TimelineTable default", "TimelineTable provider:aws", "schedule", "object audiences", "object runs"),
    }
    bob_before, runs_before = platform.seen_of_bob(), platform.seen_of_runs()

    erasures = platform.forget()

    assert {each["state"] for each in erasures} == {"done"}
    assert all(not each["waiting"] for each in erasures)
    assert found(held(platform.stack), wanted) == []
    assert found([log(LOG_FILE, platform.log_from)], spellings(*ADA.values(), SECRET)) == []
    # What the stream holds until it forgets it names nobody: tags and masked addresses alone.
    assert found(stream(platform.stack), spellings(*ADA.values())) == []
    _others_are_the_same(before, dict(held(platform.stack)), wanted)
    # A run's own items name the version of its file, which is another one now.
    assert (platform.seen_of_bob(), platform.seen_of_runs()) == (bob_before, runs_before)
    total = {place for each in erasures for place in each["erased"]}
    assert total >= {
        "timeline: events",
        "ledgers",
        "envelopes that may still fall back",
        "verifications",
        "dead letters",
        "suppression list",
        "audit log",
        "files of recipients",
    }


def _kind(place: str) -> str:
    where, _, rest = place.partition(" ")
    if where == "schedule":
        return where
    return f"{where} {rest.partition('#')[0].partition('/')[0]}"


def _others_are_the_same(before: dict[str, bytes], after: dict[str, bytes], wanted: set[bytes]) -> None:
    theirs = set(found(before.items(), wanted))
    others = {
        place: data
        for place, data in before.items()
        if place not in theirs and " run#" not in place
        if not any(place.partition(" ")[2].startswith(own) for own in OURS)
    }
    assert len(others) > 100
    assert {place: data for place, data in others.items() if after.get(place) != data} == {}


def test_messages_that_wait_are_not_sent_and_still_count(platform: Platform) -> None:
    later = (datetime.fromtimestamp(platform.stack.clock.now_ms() / 1000, UTC) + timedelta(days=2)).isoformat()
    sent = platform.send("email", "deferred", send_at=later)
    platform.drain(60)
    platform.forget()
    platform.drain(3 * 86_400)
    assert {each.to for each in platform.stack.outbox.all()} == {BOB["email"]}
    whole = platform.call("GET", f"/v1/requests/{sent['request_id']}")
    assert whole["counts"] == {"recalled": 1, "delivered": 1}
    [gone] = [each for each in whole["messages"] if each["status"] == "recalled"]
    assert gone["timeline"][-1]["reason"] == "erased"


def test_who_is_on_the_suppression_list_stays_there_without_an_address(platform: Platform) -> None:
    platform.call("POST", "/v1/suppressions", {"channel": "email", "address": MAIL, "note": SECRET})
    erasures = platform.forget(keep_suppression=True)
    assert erasures[0]["state"] == "done"
    left = found(held(platform.stack), spellings(*ADA.values(), SECRET, *platform.tags()))
    assert [_kind(place) for place in left] == ["CatalogTable suppressed"]
    platform.stack.clock.advance(11)
    sent = platform.send("email", "again")
    platform.drain()
    assert platform.call("GET", f"/v1/requests/{sent['request_id']}")["counts"] == {"suppressed": 1, "delivered": 1}


def test_files_of_a_run_that_is_not_over_wait_for_it(platform: Platform) -> None:
    platform.upload("list.csv", f"to,name\n{MAIL},{SECRET}\n{BOB['email']},Bob\n")
    run = platform.campaign("slow", "list.csv")
    platform.call("POST", f"/v1/runs/{run}/pause", {})
    platform.drain(60)
    waiting = platform.forget()[0]
    assert (waiting["state"], waiting["waiting"]) == ("waiting", {"files of runs that are not over": 1})
    platform.stack.outbox.clear()
    platform.call("POST", f"/v1/runs/{run}/resume", {})
    platform.drain(10 * 3600)
    assert {each.to for each in platform.stack.outbox.all()} == {BOB["email"]}
    done = platform.call("GET", f"/v1/erasures/{waiting['id']}")
    assert (done["state"], done["waiting"]) == ("done", {})
    assert found(held(platform.stack), spellings(*ADA.values(), SECRET, *platform.tags())) == []


def test_the_audit_log_says_who_asked_and_not_for_whom(platform: Platform) -> None:
    made = platform.call("POST", "/v1/erasures", {"channel": "email", "address": MAIL})
    [record] = platform.call("GET", "/v1/audit?action=create_erasure")["records"]
    assert (record["target"], record["who"]) == (f"erasure/{made['id']}", made["asked_by"])
    assert record["after"] == {"channel": "email", "name": made["name"], "keep_suppression": True}
    again = platform.call("POST", "/v1/erasures", {"channel": "email", "address": MAIL.upper()})
    assert again["id"] == made["id"]


def test_a_search_that_breaks_off_anywhere_goes_on(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of call that the search makes fails once; each failure ends an invocation."""
    platform.send("email", "sent")
    platform.upload("list.csv", f"to,name\n{MAIL},{SECRET}\n")
    platform.drain()
    broken: list[str] = []
    check = platform.stack.counting.guard
    assert check is not None

    def guard(service: str, operation: str, asked: Any) -> None:
        check(service, operation, asked)
        call = f"{service}.{operation}"
        if permissions._running.get("") == "erasures" and call not in broken and service != "sqs":
            broken.append(call)
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "broken"}}, operation)

    monkeypatch.setattr(platform.stack.counting, "guard", guard)
    for _ in range(5):
        # Who fails six times is given up by the queue, and goes on when it is asked for again.
        erasures = platform.forget()
        if {each["state"] for each in erasures} == {"done"}:
            break
    assert {each["state"] for each in erasures} == {"done"}
    assert len(broken) >= 12, broken
    dead = platform.stack.client("sqs").get_queue_url(QueueName="mepush-erasures-dlq")["QueueUrl"]
    platform.stack.client("sqs").purge_queue(QueueUrl=dead)
    assert found(held(platform.stack), spellings(*ADA.values(), SECRET, *platform.tags())) == []


@pytest.mark.parametrize("packed", [False, True])
def test_the_search_finds_what_is_left(platform: Platform, packed: bool) -> None:
    """The search of these tests can fail."""
    wanted = spellings(*ADA.values())
    assert found(items(platform.stack), wanted) == []
    planted: list[Held] = list(items(platform.stack))
    data = gzip.compress(PHONE[3:].encode()) if packed else PHONE[3:].encode()
    item = {"pk": {"S": "left"}, "sk": {"S": "over"}, "d": {"B": data}}
    platform.stack.client("dynamodb").put_item(TableName=platform.stack.outputs["GuardTable"], Item=item)
    assert found(items(platform.stack), wanted) == ["GuardTable left over"]
    assert len(list(items(platform.stack))) == len(planted) + 1
