"""What Tencent Cloud says of texts, from its console's callback URL to the timeline, the counters and the list."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from local.faults import FaultInput
from local.sandbox.tencent import TencentSandbox
from local.sandbox.tencent_receipts import PLAYERS, Untold
from local.seed import enter_callback
from local.stack import LocalStack
from tests.e2e.test_receipts import Sender

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNT = "sms-tencent"
SALE = {"type": "sms", "tencent": {"template_id": "1234", "params": []}}
STAGES = {
    "0001": ("undelivered", ["accepted", "sent", "undelivered"], "address_unknown"),
    "0005": ("undelivered", ["accepted", "sent", "undelivered"], "number_suspended"),
    "0010": ("undelivered", ["accepted", "sent", "undelivered"], "recipient_unreachable"),
    "0076": ("undelivered", ["accepted", "sent", "undelivered"], "content_refused"),
    "0144": ("undelivered", ["accepted", "sent", "undelivered"], "recipient_blocked"),
    "0145": ("undelivered", ["accepted", "sent", "undelivered"], "recipient_opted_out"),
    "1041": ("undelivered", ["accepted", "sent", "undelivered"], "recipient_limit"),
    "9999": ("undelivered", ["accepted", "sent", "undelivered"], "not_delivered"),
    "1002": ("delivered", ["accepted", "sent", "delivered"], None),
    "1003": ("undelivered", ["accepted", "sent", "undelivered"], "recipient_unreachable"),
    "1004": ("delivered", ["accepted", "sent", "delivered"], None),
    "1005": ("delivered", ["accepted", "sent", "undelivered", "delivered"], None),
    "1006": ("sent", ["accepted", "sent"], None),
    "1007": ("delivered", ["accepted", "sent", "delayed", "delivered"], None),
    "1008": ("delivered", ["accepted", "sent", "delivered", "delayed"], None),
    "2001": ("unsubscribed", ["accepted", "sent", "delivered", "unsubscribed"], None),
    "2002": ("unsubscribed", ["accepted", "sent", "delivered", "unsubscribed"], None),
    "2003": ("delivered", ["accepted", "sent", "delivered"], None),
    "0000": ("sent", ["accepted", "sent"], None),
    "7777": ("delivered", ["accepted", "sent", "delivered"], None),
}
"""The end of a number that plays a part -> status, timeline, and the reason of the status."""
LISTED = {"0144": ("all", "provider"), "0145": ("marketing", "unsubscribe")}
LISTED |= dict.fromkeys(("2001", "2002"), ("marketing", "unsubscribe"))


def number(end: str) -> str:
    return PLAYERS + "0" * (14 - len(PLAYERS) - len(end)) + end


@pytest.fixture
def sms() -> Iterator[Sender]:
    with (
        LocalStack(threads=False, memory=True) as stack,
        closing(Sender(stack, ACCOUNT, SALE, "marketing")) as it,
    ):
        enter_callback(it.get(f"/v1/accounts/{ACCOUNT}"), stack.sandboxes)
        yield it


def sandbox(sms: Sender) -> TencentSandbox:
    return cast(TencentSandbox, sms.stack.sandboxes["tencent"])


def stages(sms: Sender, message_id: str) -> list[str]:
    return [each["stage"] for each in sms.message(message_id)["timeline"]]


@pytest.mark.parametrize("told", [False, True], ids=["by number and serial", "by our id"])
def test_each_receipt_is_in_the_timeline_and_on_the_list(sms: Sender, told: bool) -> None:
    sandbox(sms).records.tells_context = told
    ids = sms.send(*map(number, STAGES))

    for (end, (status, wanted, reason)), message_id in zip(STAGES.items(), ids, strict=True):
        found = sms.message(message_id)
        assert [each["stage"] for each in found["timeline"]] == wanted, end
        deciding = [each for each in found["timeline"] if each["stage"] == found["status"]]
        assert (found["status"], deciding[-1].get("reason")) == (status, reason), end
    listed = sms.post("/v1/suppressions/query", {"channel": "sms"})["suppressions"]
    by_end = {each["address"][-4:]: each["entries"] for each in listed}
    assert {end: (e["scope"], e["reason"]) for end, [e] in by_end.items()} == LISTED
    message_ids = dict(zip(STAGES, ids, strict=True))
    assert all(entries[0]["message"] == message_ids[end] for end, entries in by_end.items())
    answers = [status for _, status in sms.stack.callbacks.answers]
    assert set(answers) == {200, 404}
    assert answers.count(404) == 3  # the forged one, thrice


def test_a_receipt_tells_what_a_lost_answer_did_not(sms: Sender) -> None:
    sms.stack.faults.add(FaultInput(provider="tencent", kind="reset_after", at="SendSms"))
    [message_id] = sms.send(number("7777"))
    # The vendor's records say that it went out, after its report came and found no text that was known to be sent.
    assert sms.stack.outbox.accepted(to=number("7777")) == 1
    assert (sms.message(message_id)["status"], stages(sms, message_id).count("delivered")) == ("delivered", 1)


def test_who_answers_r_gets_no_more_marketing_and_still_their_codes(sms: Sender) -> None:
    notice = {"id": "notice", "name": "Notice", "class": "notification", "accounts": [ACCOUNT]}
    sms.post("/v1/templates", {**notice, "content": SALE})
    sms.post("/v1/templates/notice/versions/1/publish", {})
    [first] = sms.send(number("2001"))
    assert sms.message(first)["status"] == "unsubscribed"
    [again] = sms.send(number("2001"))
    assert stages(sms, again) == ["accepted", "suppressed"]
    answer = sms.post("/v1/messages", {"template": "notice", "to": number("2001")})
    sms.drain()
    assert "sent" in stages(sms, answer["messages"][0]["message_id"])


def test_a_callback_url_that_was_made_anew_is_entered_anew(sms: Sender) -> None:
    sms.post(f"/v1/accounts/{ACCOUNT}/callback", {})
    sms.stack.skip(11)
    [old] = sms.send(number("7777"))
    assert stages(sms, old) == ["accepted", "sent"]
    assert [status for _, status in sms.stack.callbacks.answers] == [404] * 3
    enter_callback(sms.get(f"/v1/accounts/{ACCOUNT}"), sms.stack.sandboxes)
    [new] = sms.send(number("7777"))
    assert stages(sms, new) == ["accepted", "sent", "delivered"]


def call(sms: Sender, body: Any, **changes: Any) -> httpx.Response:
    url = sandbox(sms).callback_urls["1400006666"]
    return httpx.post(url, json=body, timeout=30, trust_env=False, **changes)


def test_what_is_not_the_vendors_gets_no_further_than_the_door(sms: Sender) -> None:
    [message_id] = sms.send(number("0000"))
    for bad in ("R", 7, {"text": "R"}, None):
        assert call(sms, bad).status_code == 400
    assert httpx.put(sandbox(sms).callback_urls["1400006666"], timeout=30, trust_env=False).status_code == 404
    sms.drain()
    assert stages(sms, message_id) == ["accepted", "sent"]


def test_a_burst_of_a_thousand_reports_in_one_call_is_told_whole(sms: Sender) -> None:
    sandbox(sms).callback_urls.clear()
    ids = sms.send(*(number(f"{i:05d}") for i in range(30_000, 31_000)))
    serials = {each.to: each.id for each in sms.stack.outbox.all("tencent")}
    entries = [
        {
            "user_receive_time": "2026-01-05 18:00:00",
            "nationcode": "86",
            "mobile": to.removeprefix("+86"),
            "report_status": "SUCCESS",
            "errmsg": "DELIVRD",
            "description": "用户短信送达成功",
            "sid": serial,
        }
        for to, serial in serials.items()
    ]
    assert len(entries) == 1000
    sandbox(sms).callback_urls["1400006666"] = sms.get(f"/v1/accounts/{ACCOUNT}")["callback_url"]
    answer = call(sms, entries)
    assert (answer.status_code, answer.text) == (200, '{"result":0,"errmsg":"OK"}')
    sms.drain()
    assert {sms.message(message_id)["status"] for message_id in (ids[0], ids[499], ids[999])} == {"delivered"}
    # Its answer may be lost, and it calls again.
    assert call(sms, entries).status_code == 200
    sms.drain()
    assert sms.get("/v1/stats/templates/letter")["stages"]["delivered"] == 1000


# What no callback brought


def pull(sms: Sender) -> None:
    sms.stack.invoke("pulling", {})
    sms.drain()


def test_what_no_callback_brought_is_asked_for_where_the_account_wants_it(sms: Sender) -> None:
    sandbox(sms).callback_urls.clear()
    sandbox(sms).untold["1400006666"] = Untold(sms.stack.clock)
    delivered, blocked, stopped = sms.send(number("7777"), number("0144"), number("2001"))
    sms.stack.skip(120)
    pull(sms)
    assert stages(sms, delivered) == ["accepted", "sent"]
    account = sms.get(f"/v1/accounts/{ACCOUNT}")
    changed = sms.patch(f"/v1/accounts/{ACCOUNT}", {"settings": {**account["settings"], "pull_receipts": True}})
    assert changed["settings"]["pull_receipts"] is True
    pull(sms)
    assert stages(sms, delivered) == ["accepted", "sent", "delivered"]
    assert stages(sms, blocked) == ["accepted", "sent", "undelivered"]
    assert stages(sms, stopped) == ["accepted", "sent", "delivered", "unsubscribed"]


def test_what_a_callback_brought_as_well_is_told_once(sms: Sender) -> None:
    sandbox(sms).untold["1400006666"] = Untold(sms.stack.clock)
    account = sms.get(f"/v1/accounts/{ACCOUNT}")
    sms.patch(f"/v1/accounts/{ACCOUNT}", {"settings": {**account["settings"], "pull_receipts": True}})
    ids = sms.send(number("7777"), number("0010"), number("2001"))
    before = [sms.message(each)["timeline"] for each in ids]
    sms.stack.skip(120)
    pull(sms)
    assert [sms.message(each)["timeline"] for each in ids] == before
    counts = sms.get("/v1/stats/templates/letter")["stages"]
    assert (counts["delivered"], counts["undelivered.transient"], counts["unsubscribed"]) == (2, 1, 1)


def test_where_it_is_not_allowed_nothing_breaks(sms: Sender) -> None:
    account = sms.get(f"/v1/accounts/{ACCOUNT}")
    sms.patch(f"/v1/accounts/{ACCOUNT}", {"settings": {**account["settings"], "pull_receipts": True}})
    [message_id] = sms.send(number("7777"))
    pull(sms)
    assert stages(sms, message_id) == ["accepted", "sent", "delivered"]


def test_no_log_holds_a_callback_urls_token_a_number_or_what_people_write(tmp_path: Path) -> None:
    log = tmp_path / "functions.log"
    with (
        LocalStack(threads=False, memory=True, log_file=log) as stack,
        closing(Sender(stack, ACCOUNT, SALE, "marketing")) as it,
    ):
        enter_callback(it.get(f"/v1/accounts/{ACCOUNT}"), stack.sandboxes)
        it.send(*map(number, ("7777", "1006", "2003", "0145", "9999")))
        assert call(it, {"text": "R"}).status_code == 400
        assert call(it, [{**dict.fromkeys(("mobile", "report_status"), "13900139000")}]).status_code == 200
        it.drain()
        token = sandbox(it).callback_urls["1400006666"].rpartition("/")[2]
    said = log.read_text()
    assert "callback refused" in said and "receipt cannot be read" in said
    for secret in (token, token[::-1], "13900139000", PLAYERS[3:], "谢谢", "callbacks/default"):
        assert secret not in said
