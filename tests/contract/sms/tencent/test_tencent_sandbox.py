"""The Tencent Cloud sandbox refuses what the vendor refuses, signatures first."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tencentcloud.common.sign import Sign

from local.sandbox.base import Fault, Request
from local.sandbox.tencent import TencentSandbox, tc3_signature
from tests.fakes import FakeClock

KEYS = {"AKIDEXAMPLE": "examplesecret"}
TIMESTAMP = 1_700_000_000
ONE = "+8613812345678"

# Made with the vendor's SDK at a frozen clock.
VECTOR_BODY = b'{"Limit": 10, "SmsSdkAppId": "1400006666"}'
VECTOR_SIGNATURE = "383adad5b8e8ec5fe677135173c9a6824ee01675730efe089faeb54acc70bc21"


def request(body: bytes, action: str = "SendSms", **headers: str) -> Request:
    """A signed request; `headers` replace (`x_tc_region=...`) or, when empty, remove."""
    found = {
        "content-type": "application/json",
        "host": "sms.tencentcloudapi.com",
        "x-tc-action": action,
        "x-tc-timestamp": str(TIMESTAMP),
        "x-tc-version": "2021-01-11",
        "x-tc-region": "ap-guangzhou",
    }
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    made = Request("POST", "/", {}, {k: v for k, v in found.items() if v}, body)
    return signed(made, "AKIDEXAMPLE", "examplesecret", "2023-11-14")


def signed(made: Request, secret_id: str, key: str, date: str, names: str = "content-type;host") -> Request:
    if "authorization" in made.headers:
        return made
    signature = tc3_signature(key, made, names, made.headers["x-tc-timestamp"])
    value = (
        f"TC3-HMAC-SHA256 Credential={secret_id}/{date}/sms/tc3_request, SignedHeaders={names}, Signature={signature}"
    )
    return replace(made, headers={**made.headers, "authorization": value})


def send(**params: Any) -> Request:
    full = {"PhoneNumberSet": [ONE], "SmsSdkAppId": "1400006666", "TemplateId": "1", "SignName": "微推", **params}
    return request(json.dumps({k: v for k, v in full.items() if v is not None}).encode())


def sandbox(**options: Any) -> TencentSandbox:
    return TencentSandbox(keys=KEYS, clock=FakeClock(TIMESTAMP * 1000), **options)


def answer(made: Request, box: TencentSandbox | None = None) -> Mapping[str, Any]:
    response = (box or sandbox()).handle(made)
    assert response.status == 200
    assert response.headers == {"Content-Type": "application/json"}
    found: Mapping[str, Any] = json.loads(response.body)["Response"]
    assert found["RequestId"]
    return found


def error(made: Request, box: TencentSandbox | None = None) -> str:
    return str(answer(made, box)["Error"]["Code"])


def status(made: Request, box: TencentSandbox | None = None) -> str:
    (row,) = answer(made, box)["SendStatusSet"]
    assert (row["Code"] == "Ok") == (row["SerialNo"] != "") == (row["Fee"] == 1)
    return str(row["Code"])


def test_the_signature_is_the_vendors() -> None:
    headers = {"content-type": "application/json", "host": "sms.tencentcloudapi.com"}
    made = Request("POST", "/", {}, headers, VECTOR_BODY)
    assert tc3_signature("examplesecret", made, "content-type;host", str(TIMESTAMP)) == VECTOR_SIGNATURE


def test_an_unsigned_payload_is_left_out_of_the_signature() -> None:
    unsigned = request(b"{}", x_tc_content_sha256="UNSIGNED-PAYLOAD")
    names = "content-type;host"
    one, other = (tc3_signature("k", replace(unsigned, body=body), names, str(TIMESTAMP)) for body in (b"{}", b"[]"))
    assert one == other
    plain = request(b"{}")
    assert tc3_signature("k", plain, names, str(TIMESTAMP)) != one


def test_of_a_get_the_query_is_signed_in_place_of_the_body() -> None:
    got = Request("GET", "/", {"a": "1"}, {"host": "h"}, b"ignored", "a=1")
    digest = hashlib.sha256(f"GET\n/\na=1\nhost:h\n\nhost\n{hashlib.sha256(b'').hexdigest()}".encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{TIMESTAMP}\n2023-11-14/sms/tc3_request\n{digest}"
    assert tc3_signature("k", got, "host", str(TIMESTAMP)) == Sign.sign_tc3("k", "2023-11-14", "sms", text)


def test_a_signed_message_is_accepted() -> None:
    box = sandbox()
    assert status(send(), box) == "Ok"
    (delivery,) = box.outbox.all("tencent", ONE)
    assert delivery.data["template_id"] == "1"


@pytest.mark.parametrize("skew", [-300, 300])
def test_a_timestamp_may_be_five_minutes_off(skew: int) -> None:
    box = TencentSandbox(keys=KEYS, clock=FakeClock((TIMESTAMP + skew) * 1000))
    assert status(send(), box) == "Ok"


@pytest.mark.parametrize("skew", [-301, 301, 86_400])
def test_an_expired_timestamp_is_refused(skew: int) -> None:
    box = TencentSandbox(keys=KEYS, clock=FakeClock((TIMESTAMP + skew) * 1000))
    assert error(send(), box) == "AuthFailure.SignatureExpire"
    assert box.outbox.count() == 0


def test_signatures_that_do_not_fit_are_refused() -> None:
    good = send()
    bare = replace(good, headers={k: v for k, v in good.headers.items() if k != "authorization"})
    date = "2023-11-14"
    assert error(replace(good, body=good.body + b" ")) == "AuthFailure.SignatureFailure"
    assert error(replace(good, headers={**good.headers, "host": "other"})) == "AuthFailure.SignatureFailure"
    assert error(signed(bare, "AKIDEXAMPLE", "wrong", date)) == "AuthFailure.SignatureFailure"
    assert error(signed(bare, "AKIDEXAMPLE", "examplesecret", "2023-11-13")) == "AuthFailure.SignatureFailure"
    assert error(signed(bare, "AKIDnobody", "examplesecret", date)) == "AuthFailure.SecretIdNotFound"
    assert error(signed(bare, "AKIDEXAMPLE", "examplesecret", date, "host")) == "AuthFailure.InvalidAuthorization"
    assert status(signed(bare, "AKIDEXAMPLE", "examplesecret", date, "content-type;host;x-tc-action")) == "Ok"


@pytest.mark.parametrize("value", ["", "Bearer x", "TC3-HMAC-SHA256 Credential=a/2023-11-14/cvm/tc3_request"])
def test_other_authorizations_are_refused(value: str) -> None:
    good = send()
    headers = {**good.headers, "authorization": value}
    assert error(replace(good, headers=headers)) == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (request(b"{}", "SendEverything"), "InvalidAction"),
        (request(b"{}", x_tc_version="2019-07-11"), "NoSuchVersion"),
        (request(b"{}", x_tc_region=""), "MissingParameter"),
        (request(b"{}", content_type="application/json; charset=utf-8"), "InvalidParameter"),
        (request(b"{"), "FailedOperation.JsonParseFail"),
        (request(b"[]"), "FailedOperation.FailResolvePacket"),
        (send(SmsSdkAppId=None), "MissingParameter"),
        (send(TemplateId=None), "MissingParameter"),
        (send(PhoneNumberSet=[]), "MissingParameter.EmptyPhoneNumberSet"),
        (send(PhoneNumberSet=[ONE] * 201), "LimitExceeded.PhoneNumberCountLimit"),
        (
            send(PhoneNumberSet=[ONE, "+14254147755"]),
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        ),
        (send(SessionContext="x" * 512), "InvalidParameter.InvalidParameters"),
        (request(b'{"SmsSdkAppId": "1"}', "SendStatusStatistics"), "InvalidParameterValue.BeginTimeVerifyFail"),
        (
            request(b'{"SmsSdkAppId": "1", "BeginTime": "2025010101"}', "SendStatusStatistics"),
            "InvalidParameterValue.EndTimeVerifyFail",
        ),
        (
            request(
                b'{"SmsSdkAppId": "1", "BeginTime": "2025010102", "EndTime": "2025010101"}', "SendStatusStatistics"
            ),
            "InvalidParameterValue.EndTimeVerifyFail",
        ),
        (
            request(b'{"SmsSdkAppId": "1", "Limit": 51}', "DescribeSendRecordList"),
            "InvalidParameterValue.LimitVerifyFail",
        ),
    ],
)
def test_requests_against_the_rules_are_refused(made: Request, code: str) -> None:
    box = sandbox()
    assert error(made, box) == code
    assert box.outbox.count() == 0


def test_messages_against_the_rules_are_refused_per_number() -> None:
    box = sandbox(templates={"1": 0, "2": "{1} and {2}"}, signs=frozenset({"微推"}))
    assert status(send(), box) == "Ok"
    assert status(send(TemplateId="2", TemplateParamSet=["a", "b"]), box) == "Ok"
    assert status(send(TemplateId="3"), box) == "FailedOperation.TemplateUnapprovedOrNotExist"
    assert status(send(TemplateId="2"), box) == "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
    assert status(send(SignName=None), box) == "FailedOperation.SignatureIncorrectOrUnapproved"
    assert status(send(SignName="别人"), box) == "FailedOperation.SignatureIncorrectOrUnapproved"
    assert status(send(PhoneNumberSet=["+86"]), box) == "InvalidParameterValue.IncorrectPhoneNumber"
    box.faults.add(Fault("throttle", to=ONE))
    assert status(send(), box) == "LimitExceeded.PhoneNumberThirtySecondLimit"
    assert box.outbox.all()[1].data["text"] == "【微推】a and b"
    assert box.outbox.count() == 2


@pytest.mark.parametrize("spelling", ["13812345678", "8613812345678", "008613812345678", ONE])
def test_mainland_numbers_may_be_written_in_four_ways(spelling: str) -> None:
    (row,) = answer(send(PhoneNumberSet=[spelling]))["SendStatusSet"]
    assert (row["PhoneNumber"], row["IsoCode"]) == (ONE, "CN")


def test_records_of_a_number_come_newest_first_and_in_pages() -> None:
    box = sandbox()
    sent = [answer(send(), box)["SendStatusSet"][0]["SerialNo"] for _ in range(3)]
    answer(send(PhoneNumberSet=["+8613900000000"]), box)
    params = {"SmsSdkAppId": "1400006666", "PhoneNumber": ONE, "BeginTime": TIMESTAMP, "Limit": 2, "Offset": 1}
    found = answer(request(json.dumps(params).encode(), "DescribeSendRecordList"), box)
    assert found["TotalCount"] == 3
    assert [row["SerialNo"] for row in found["SendRecordSet"]] == [sent[1], sent[0]]
    assert {row["SendStatus"] for row in found["SendRecordSet"]} == {2}


def test_another_application_is_refused() -> None:
    assert error(send(), sandbox(sdk_app_id="1")) == "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
