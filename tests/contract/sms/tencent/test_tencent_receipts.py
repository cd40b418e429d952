"""What Tencent Cloud's reports and answers say of texts, by bodies as its documents show them."""

import json
from typing import Any

import pytest

from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.reading import read_receipts
from shared.providers.sms.tencent.receipt_codes import CODES, PREFIXES, UNKNOWN, failed
from shared.providers.sms.tencent.receipts import wants_no_more

NOW = 1_770_000_000_000
OURS = "01HZZZZZZZZZZZZZZZZZZZZZZ0" + "0123456789ABCDEF"
SUCCESS = {
    "user_receive_time": "2015-10-17 08:03:04",
    "nationcode": "86",
    "mobile": "13800138000",
    "report_status": "SUCCESS",
    "errmsg": "DELIVRD",
    "description": "用户短信送达成功",
    "sid": "5000:1045710669157053657849499619",
}
"""The example of product/382/59178."""
ANSWER = {
    "extend": "",
    "mobile": "13800138000",
    "nationcode": "86",
    "sign": "腾讯云",
    "text": "用户回复的内容",
    "time": 1457336869,
}
"""The example of product/382/5809."""
ROW = {
    "UserReceiveTime": 1620734188,
    "CountryCode": "86",
    "SubscriberNumber": "13800138000",
    "PhoneNumber": "+8613800138000",
    "SerialNo": "5000:1045710669157053657849499619",
    "ReportStatus": "SUCCESS",
    "Description": "DELIVRD",
    "SessionContext": "",
}
"""The example of api/382/55977."""


def read(body: Any) -> list[Receipt]:
    text = body if isinstance(body, str) else json.dumps(body)
    found = read_receipts(Arrived(provider="tencent", tenant="default", account="sms", at=NOW, body=text))
    return [each for each in found if isinstance(each, Receipt)]


def one(**changes: Any) -> Receipt:
    (found,) = read([{**SUCCESS, **changes}])
    return found


def test_a_report_of_delivery_is_found_by_number_and_serial() -> None:
    assert read([SUCCESS]) == [
        Receipt(
            provider="tencent",
            stage=Stage.DELIVERED,
            at=1445040184_999,  # 00:03:04 in UTC
            tenant="default",
            account="sms",
            provider_id="5000:1045710669157053657849499619",
            address="+8613800138000",
        )
    ]


def test_a_report_that_names_our_id_is_found_by_it() -> None:
    assert one(ext=OURS).message_id == OURS
    assert one(ext="order 7").message_id is None
    assert one(ext=OURS.lower()).message_id is None
    assert one(ext=OURS, sid="").provider_id is None


def test_reports_of_several_sends_come_in_one_array() -> None:
    first, second = read([SUCCESS, {**SUCCESS, "mobile": "13900139000", "sid": "5000:2", "report_status": "FAIL"}])
    assert (first.address, first.stage) == ("+8613800138000", Stage.DELIVERED)
    assert (second.address, second.provider_id, second.stage) == ("+8613900139000", "5000:2", Stage.UNDELIVERED)


@pytest.mark.parametrize(
    ("code", "reason", "transient", "suppresses"),
    [
        ("MK:0001", Reason.ADDRESS_UNKNOWN, False, None),
        ("MK:0075", Reason.ADDRESS_UNKNOWN, True, None),
        ("MI:0019", Reason.NUMBER_SUSPENDED, True, None),
        ("UNDELIV", Reason.RECIPIENT_UNREACHABLE, True, None),
        ("EXPIRED", Reason.RECIPIENT_UNREACHABLE, True, None),
        ("MI:0208", Reason.RECIPIENT_UNREACHABLE, True, None),
        ("MBBLACK", Reason.RECIPIENT_OPTED_OUT, False, SuppressionReason.UNSUBSCRIBE),
        ("DB:0144", Reason.RECIPIENT_BLOCKED, False, SuppressionReason.PROVIDER),
        ("db:0144", Reason.RECIPIENT_BLOCKED, False, SuppressionReason.PROVIDER),
        ("KEYWORD", Reason.CONTENT_REFUSED, False, None),
        ("XA:0003", Reason.SENDER_REFUSED, False, None),
        ("MN:0001", Reason.CARRIER_BLOCKED, True, None),
        ("REJECTD", Reason.CARRIER_BLOCKED, True, None),
        ("BEYONDN", Reason.RECIPIENT_LIMIT, True, None),
        ("MI:0079", Reason.RECIPIENT_LIMIT, True, None),
        ("NOROUTER", Reason.NO_ROUTE, True, None),
        ("UNKNOWN", Reason.NOT_DELIVERED, True, None),
        ("QQ:9999", Reason.NOT_DELIVERED, True, None),
        ("-37", Reason.NOT_DELIVERED, True, None),
    ],
)
def test_a_failure_is_told_by_its_code(
    code: str, reason: Reason, transient: bool, suppresses: SuppressionReason | None
) -> None:
    found = one(report_status="FAIL", errmsg=code)
    assert (found.stage, found.code) == (Stage.UNDELIVERED, code)
    assert (found.reason, found.transient, found.suppresses) == (reason, transient, suppresses)


def test_codes_are_written_as_they_are_looked_for_and_none_stands_twice() -> None:
    assert all(code == code.strip().upper() for code in (*CODES, *PREFIXES))
    assert not [code for code in CODES if code.startswith(tuple(PREFIXES))]
    assert failed("") is failed("nothing like it") is UNKNOWN
    # Who is listed by a report gets nothing more, so no code does it that says anything else as well.
    listing = {code for code, meaning in CODES.items() if meaning.suppresses is not None}
    assert listing == {"MBBLACK", "BLACK", "BLOCKED", "PUBLOKD", "DB:0144", "DBBLACK", "HD:0001", "MA:0001"}


def test_a_failure_without_a_code_has_none() -> None:
    found = one(report_status="FAIL", errmsg="")
    assert (found.reason, found.code) == (Reason.NOT_DELIVERED, None)
    assert one(report_status="FAIL", errmsg=None).code is None


def test_a_status_that_nobody_knows_is_no_end_and_is_kept() -> None:
    found = one(report_status="WAITING", errmsg="X:1")
    assert (found.stage, found.code) == (Stage.DELAYED, "WAITING X:1")


def test_a_code_quotes_no_number_and_is_short() -> None:
    found = one(report_status="FAIL", errmsg="refused 13800138000 " + "x" * 100)
    assert found.code is not None
    assert "13800138000" not in found.code
    assert len(found.code) == 40


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2015-10-17 08:03:04", 1445040184_999),
        ("2015-10-17T08:03:04", 1445040184_999),
        ("2015-10-17T00:03:04Z", 1445040184_999),
        (1445040184, 1445040184_999),
        ("1445040184", 1445040184_999),
        ("", NOW),
        (None, NOW),
        (0, NOW),
        ("0000-00-00 00:00:00", NOW),
        (10**15, NOW),
        ("9" * 400, NOW),
        (["2015"], NOW),
        (True, NOW),
    ],
)
def test_times_are_chinas_or_seconds_and_else_when_it_came(said: object, at: int) -> None:
    assert one(user_receive_time=said).at == at


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"nationcode": 86}, "+8613800138000"),
        ({"nationcode": "+86"}, "+8613800138000"),
        ({"nationcode": "1", "mobile": "4254147755"}, "+14254147755"),
        ({"mobile": "+8613800138000"}, "+8613800138000"),
        ({"nationcode": ""}, "13800138000"),
        ({"mobile": 13800138000}, "+8613800138000"),
    ],
)
def test_numbers_have_the_code_of_their_country_apart(changes: dict[str, Any], address: str) -> None:
    assert one(**changes).address == address


@pytest.mark.parametrize("entry", [{}, "x", None, 7, [], {**SUCCESS, "sid": ""}, {**SUCCESS, "report_status": None}])
def test_an_entry_that_is_of_no_text_cannot_be_read(entry: object) -> None:
    with pytest.raises(UnreadableError):
        read([entry])


@pytest.mark.parametrize("body", ["", "x", "7", '"R"', "null", '{"PullSmsSendStatusSet": 1}', '[{"mobile": "\ud800"}]'])
def test_what_is_neither_cannot_be_read(body: str) -> None:
    with pytest.raises(UnreadableError):
        read(body)


def test_rows_that_were_asked_for_say_the_same() -> None:
    (found,) = read({"PullSmsSendStatusSet": [ROW]})
    (called,) = read([{**SUCCESS, "user_receive_time": 1620734188}])
    assert found == called
    (failure,) = read({"PullSmsSendStatusSet": [{**ROW, "ReportStatus": "FAIL", "Description": "MK:0005"}]})
    assert (failure.reason, failure.code) == (Reason.NUMBER_SUSPENDED, "MK:0005")
    assert read({"PullSmsSendStatusSet": []}) == []


# Answers


def stop(text: object) -> list[Receipt]:
    return read({**ANSWER, "text": text})


@pytest.mark.parametrize(
    "text",
    [
        "R",
        "r",
        " R ",
        "Ｒ",
        "ｒ",
        "TD",
        "td",
        "ＴＤ",
        "T",
        "N",
        "n\r\n",
        "R。",
        "“R”",
        "退订",
        "拒收",
        "stop",
        "\u3000R",
    ],
)
def test_who_wants_no_more_unsubscribes_from_whatever_came_last(text: str) -> None:
    assert stop(text) == [
        Receipt(
            provider="tencent",
            stage=Stage.UNSUBSCRIBED,
            at=1457336869_999,
            tenant="default",
            address="+8613800138000",
            latest=True,
            suppresses=SuppressionReason.UNSUBSCRIBE,
        )
    ]


@pytest.mark.parametrize("text", ["", "RR", "TDD", "OK", "收到", "R 1", "Not now", "不退订", "1", None, 7, ["R"]])
def test_any_other_answer_says_nothing(text: object) -> None:
    assert stop(text) == []
    assert not wants_no_more(text)


def test_answers_that_were_asked_for_say_the_same() -> None:
    row = {
        "ExtendCode": "",
        "NationCode": "86",
        "PhoneNumber": "+8613800138000",
        "Sign": "腾讯云",
        "ReplyContent": "td",
        "ReplyTime": "2016-03-07 15:47:49",
        "ReplyUnixTime": 1457336869,
    }
    other = {**row, "ReplyContent": "谢谢"}
    assert read({"PullSmsReplyStatusSet": [other, row]}) == stop("R")
    assert read({"PullSmsReplyStatusSet": [{**row, "ReplyUnixTime": None}]}) == stop("R")


def test_an_answer_without_a_number_cannot_be_read() -> None:
    with pytest.raises(UnreadableError):
        read({**ANSWER, "mobile": "", "nationcode": "", "text": "R"})
