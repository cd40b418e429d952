"""What the Tencent Cloud sandbox tells of past calls, asked through the vendor's own SDK: for unknown outcomes."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111.sms_client import SmsClient

from local.clock import RealClock
from local.sandbox.base import Fault
from local.sandbox.tencent import TencentSandbox
from shared.model.outcome import Rejected, Sent, Unknown
from shared.providers.base import Provider
from tests.contract.sms.support import message, sms
from tests.contract.sms.tencent.support import APP, ONE, SECRET_ID, SECRET_KEY, TWO, provider_at
from tests.fakes import FakeClock


@pytest.fixture
def box(clock: FakeClock) -> Iterator[TencentSandbox]:
    templates: dict[str, int | str] = {"2": "您的验证码是{1}，{2}分钟内有效。", "1234": 0}
    keys = {SECRET_ID: SECRET_KEY}
    with TencentSandbox(keys=keys, templates=templates, clock=clock, signature_clock=RealClock()) as found:
        yield found


@pytest.fixture
def provider(box: TencentSandbox) -> Iterator[Provider]:
    with closing(provider_at(box.url)) as found:
        yield found


def ask(box: TencentSandbox, action: str, **params: Any) -> Any:
    """Ask as a customer's program would. Raises: TencentCloudSDKException."""
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{box.port}", reqTimeout=10)
    client = SmsClient(Credential(SECRET_ID, SECRET_KEY), "ap-guangzhou", ClientProfile(httpProfile=http))
    client.request.conn.proxy = None
    session = client.request.conn._session
    with closing(session):
        return client.call_json(action, {"SmsSdkAppId": APP, "PhoneNumber": ONE, **params})["Response"]


def described(box: TencentSandbox, **params: Any) -> Any:
    params = {"BeginTime": box.clock.now_ms() // 1000 - 3600, **params}
    return ask(box, "DescribeSendRecordList", **params)


def pulled(box: TencentSandbox, **params: Any) -> Any:
    params = {"BeginTime": box.clock.now_ms() // 1000 - 3600, "Offset": 0, "Limit": 100, **params}
    return ask(box, "PullSmsSendStatusByPhoneNumber", **params)["PullSmsSendStatusSet"]


def refusal(ask_: Any, box: TencentSandbox, **params: Any) -> str:
    with pytest.raises(TencentCloudSDKException) as caught:
        ask_(box, **params)
    return str(caught.value.get_code())


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        (Fault("reset_after"), 1),
        (Fault("bad_json", accepted=True), 1),
        (Fault("code", code="InternalError.Timeout", accepted=True), 1),
        (Fault("reset_before"), 0),
        (Fault("code", code="InternalError.Timeout"), 0),
    ],
    ids=lambda value: f"{value.kind}-{value.accepted}" if isinstance(value, Fault) else "",
)
def test_an_unknown_outcome_can_be_looked_up(fault: Fault, there: int, box: TencentSandbox, provider: Provider) -> None:
    box.faults.add(fault)
    assert isinstance(provider.send([message(ONE, sms("2", "135790", "5"))])[0], Unknown)
    assert (described(box)["TotalCount"], len(pulled(box)), box.outbox.count()) == (there, there, there)


def test_a_record_has_the_vendors_fields(box: TencentSandbox, provider: Provider, clock: FakeClock) -> None:
    [sent] = provider.send([message(ONE, sms("2", "135790", "5"))])
    assert isinstance(sent, Sent)
    now = clock.now_ms() // 1000
    answer = described(box)
    assert (answer["TotalCount"], answer["SendRecordSet"]) == (
        1,
        [
            {
                "PhoneNumber": ONE,
                "SerialNo": sent.provider_message_id,
                "SendStatus": 2,
                "RequestCode": "Ok",
                "StatusCode": "DELIVRD",
                "SendTime": now,
                "UserReceiveTime": now,
                "Content": "【微推】您的验证码是1****0，*分钟内有效。",
                "IsoCode": "CN",
            }
        ],
    )
    assert pulled(box) == [
        {
            "UserReceiveTime": now,
            "CountryCode": "86",
            "SubscriberNumber": ONE.removeprefix("+86"),
            "PhoneNumber": ONE,
            "SerialNo": sent.provider_message_id,
            "ReportStatus": "SUCCESS",
            "Description": "DELIVRD",
            "SessionContext": "",
        }
    ]


def test_reports_name_our_id_once_support_has_switched_it_on(box: TencentSandbox, provider: Provider) -> None:
    box.records.tells_context = True
    ours = message(ONE, sms("2", "135790", "5"))
    provider.send([ours])
    assert [row["SessionContext"] for row in pulled(box)] == [ours.message_id]
    assert box.outbox.accepted(ONE, ours.message_id) == 1


def test_all_four_states(box: TencentSandbox, provider: Provider, clock: FakeClock) -> None:
    box.records.carrier_seconds = 30
    box.faults.add(Fault("code", code="FailedOperation.PhoneNumberInBlacklist", to=TWO))
    one, two = provider.send([message(ONE), message(TWO)])
    assert isinstance(one, Sent) and isinstance(two, Rejected)
    (waiting,) = described(box)["SendRecordSet"]
    assert (waiting["SendStatus"], waiting["StatusCode"], waiting["UserReceiveTime"], pulled(box)) == (3, "", 0, [])
    (failed,) = described(box, PhoneNumber=TWO)["SendRecordSet"]
    assert (failed["SendStatus"], failed["RequestCode"]) == (1, "FailedOperation.PhoneNumberInBlacklist")
    assert failed["SerialNo"] == ""
    clock.advance(30)
    assert [row["SendStatus"] for row in described(box)["SendRecordSet"]] == [2]
    assert pulled(box, PhoneNumber=TWO) == []
    box.records.undeliverable.add(ONE)
    (row,) = described(box)["SendRecordSet"]
    assert (row["SendStatus"], row["StatusCode"]) == (4, "UNDELIV")
    assert [(row["ReportStatus"], row["Description"]) for row in pulled(box)] == [("FAIL", "UNDELIV")]


def test_pages_and_times(box: TencentSandbox, provider: Provider, clock: FakeClock) -> None:
    serials = []
    for _ in range(5):
        [sent] = provider.send([message(ONE)])
        serials.append(sent.provider_message_id if isinstance(sent, Sent) else "")
        clock.advance(60)
    newest_first = serials[::-1]
    first = described(box, Limit=2)
    assert (first["TotalCount"], [row["SerialNo"] for row in first["SendRecordSet"]]) == (5, newest_first[:2])
    assert [row["SerialNo"] for row in described(box, Limit=2, Offset=4)["SendRecordSet"]] == newest_first[4:]
    now = clock.now_ms() // 1000
    some = described(box, BeginTime=now - 240, EndTime=now - 120)
    assert [row["SerialNo"] for row in some["SendRecordSet"]] == newest_first[1:4]
    assert [row["SerialNo"] for row in pulled(box, Limit=3)] == serials[:3]
    assert described(box, PhoneNumber=TWO) | {"RequestId": ""} == {
        "SendRecordSet": [],
        "TotalCount": 0,
        "RequestId": "",
    }


def test_what_is_too_old_cannot_be_asked_for(box: TencentSandbox, clock: FakeClock) -> None:
    now = clock.now_ms() // 1000
    wrong_begin = "InvalidParameterValue.BeginTimeVerifyFail"
    assert refusal(described, box, BeginTime=now - 72 * 3600 - 1) == wrong_begin
    assert refusal(pulled, box, BeginTime=now - 7 * 86_400 - 1) == wrong_begin
    assert refusal(described, box, BeginTime="yesterday") == wrong_begin
    assert refusal(described, box, EndTime=now - 7200) == "InvalidParameterValue.EndTimeVerifyFail"
    for limit in (0, 51):
        assert refusal(described, box, Limit=limit) == "InvalidParameterValue.LimitVerifyFail"
    assert refusal(described, box, Offset=1001) == "InvalidParameterValue.OffsetVerifyFail"
    assert refusal(pulled, box, Offset=1) == "InvalidParameterValue.OffsetVerifyFail"
    assert refusal(pulled, box, Limit=101) == "InvalidParameterValue.LimitVerifyFail"
    assert refusal(pulled, box, PhoneNumber="13812345678") == "InvalidParameterValue.IncorrectPhoneNumber"


def test_looking_up_may_fail_too(box: TencentSandbox, provider: Provider) -> None:
    box.faults.add(Fault("throttle", at="DescribeSendRecordList"))
    assert isinstance(provider.send([message(ONE)])[0], Sent)
    assert refusal(described, box) == "RequestLimitExceeded"
    assert described(box)["TotalCount"] == 1
    assert json.dumps(described(box)).count(ONE) == 1
