"""A double of Tencent Cloud SMS (API version 2021-01-11) that checks signatures and the rules of SendSms."""

import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response
from shared.model.clock import Clock, SystemClock

MAX_NUMBERS = 200
MAX_SKEW_SECONDS = 300
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<date>[0-9-]+)/(?P<service>[a-z]+)/tc3_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;\-]+), Signature=(?P<signature>[0-9a-f]{64})\Z"
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_PLACEHOLDER = re.compile(r"\{([0-9]+)\}")


class RefusedError(Exception):
    """A request that the vendor would answer with an error code."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or code


def tc3_signature(secret_key: str, request: Request, signed_headers: str, timestamp: str, service: str = "sms") -> str:
    """The TC3-HMAC-SHA256 signature of a request, in hex (Tencent Cloud docs: api/382/52072)."""
    if request.headers.get("x-tc-content-sha256") == "UNSIGNED-PAYLOAD":
        payload = b"UNSIGNED-PAYLOAD"
    else:
        payload = b"" if request.method == "GET" else request.body
    headers = "".join(f"{name}:{request.headers.get(name, '').strip().lower()}\n" for name in signed_headers.split(";"))
    query = request.raw_query if request.method == "GET" else ""
    canonical = f"{request.method}\n/\n{query}\n{headers}\n{signed_headers}\n{hashlib.sha256(payload).hexdigest()}"
    date = datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%d")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = ("TC3" + secret_key).encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{digest}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


class TencentSandbox(HttpSandbox):
    """Answers SendSms, SendStatusStatistics and DescribeSendRecordList.

    keys: SecretId to SecretKey. sdk_app_id: the only one known; None takes any. templates: id to the number of its
    parameters, or to its text with {1}, {2}; None takes any id and any number. signs: the approved signatures; None:
    all. clock: what signatures are dated by.
    """

    provider = "tencent"

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        keys: Mapping[str, str],
        sdk_app_id: str | None = None,
        templates: Mapping[str, int | str] | None = None,
        signs: frozenset[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox)
        self.keys = dict(keys)
        self._sdk_app_id = sdk_app_id
        self._templates = templates
        self._signs = signs
        self._clock = clock or SystemClock()
        self._serial = itertools.count(1)
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "SendSms": self._send_sms,
            "SendStatusStatistics": self._statistics,
            "DescribeSendRecordList": self._records,
        }

    def handle(self, request: Request) -> Response:
        fault = self.faults.take()
        if fault is not None and fault.kind == "delay":
            time.sleep(fault.seconds)
        elif fault is not None and fault.kind != "reset_after":
            return _faulty(fault)
        try:
            self._authenticate(request)
            answer = self._actions[self._action(request)](_params(request))
        except RefusedError as error:
            return _error(error.code, error.message)
        if fault is not None and fault.kind == "reset_after":
            return Response(drop=True)
        return _response(answer)

    def _action(self, request: Request) -> str:
        if request.headers.get("x-tc-version") != "2021-01-11":
            raise RefusedError("NoSuchVersion")
        if not request.headers.get("x-tc-region"):
            raise RefusedError("MissingParameter", "X-TC-Region")
        action = request.headers.get("x-tc-action", "")
        if action not in self._actions:
            raise RefusedError("InvalidAction")
        return action

    def _authenticate(self, request: Request) -> None:
        parts = _AUTHORIZATION.match(request.headers.get("authorization", ""))
        timestamp = request.headers.get("x-tc-timestamp", "")
        if parts is None or not timestamp.isdigit() or parts["service"] != "sms":
            raise RefusedError("AuthFailure.InvalidAuthorization")
        signed = parts["headers"].split(";")
        if "content-type" not in signed or "host" not in signed:
            raise RefusedError("AuthFailure.InvalidAuthorization")
        if abs(self._clock.now_ms() // 1000 - int(timestamp)) > MAX_SKEW_SECONDS:
            raise RefusedError("AuthFailure.SignatureExpire")
        if parts["date"] != datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%d"):
            raise RefusedError("AuthFailure.SignatureFailure")
        if parts["id"] not in self.keys:
            raise RefusedError("AuthFailure.SecretIdNotFound")
        expected = tc3_signature(self.keys[parts["id"]], request, parts["headers"], timestamp)
        if not hmac.compare_digest(expected, parts["signature"]):
            raise RefusedError("AuthFailure.SignatureFailure")

    def _check_app(self, params: dict[str, Any]) -> None:
        app = params.get("SmsSdkAppId")
        if not app:
            raise RefusedError("MissingParameter", "SmsSdkAppId")
        if self._sdk_app_id is not None and app != self._sdk_app_id:
            raise RefusedError("UnauthorizedOperation.SmsSdkAppIdVerifyFail")

    def _send_sms(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        numbers = [_e164(number) for number in params.get("PhoneNumberSet") or ()]
        mainland = _check_numbers(numbers)
        if len(str(params.get("SessionContext", "")).encode()) >= 512:
            raise RefusedError("InvalidParameter.InvalidParameters", "SessionContext")
        refused = self._refusal(params, mainland)
        return {"SendStatusSet": [self._send_one(number, params, refused) for number in numbers]}

    def _refusal(self, params: dict[str, Any], mainland: bool) -> str | None:
        """The code that every number of this call gets, if any."""
        sign = params.get("SignName")
        if (mainland and not sign) or (sign and self._signs is not None and sign not in self._signs):
            return "FailedOperation.SignatureIncorrectOrUnapproved"
        template = params.get("TemplateId")
        if not template:
            raise RefusedError("MissingParameter", "TemplateId")
        if self._templates is None:
            return None
        wanted = self._templates.get(template)
        if wanted is None:
            return "FailedOperation.TemplateUnapprovedOrNotExist"
        count = wanted if isinstance(wanted, int) else len(set(_PLACEHOLDER.findall(wanted)))
        if len(params.get("TemplateParamSet") or ()) != count:
            return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
        return None

    def _send_one(self, number: str, params: dict[str, Any], refused: str | None) -> dict[str, Any]:
        fault = self.faults.take(to=number)
        if fault is not None and fault.kind == "throttle":
            refused = "LimitExceeded.PhoneNumberThirtySecondLimit"
        elif fault is not None:
            refused = fault.code or "InternalError.OtherError"
        elif not _E164.match(number):
            refused = "InvalidParameterValue.IncorrectPhoneNumber"
        row = {
            "SerialNo": "",
            "PhoneNumber": number,
            "Fee": 0,
            "SessionContext": params.get("SessionContext", ""),
            "Code": refused or "Ok",
            "Message": refused or "send success",
            "IsoCode": "CN" if number.startswith("+86") else "DEF",
        }
        if refused is None:
            row |= {"SerialNo": f"5000:{self._clock.now_ms()}{next(self._serial):010d}", "Fee": 1}
            self.outbox.put(Delivery(self.provider, number, str(row["SerialNo"]), self._data(params)))
        return row

    def _data(self, params: dict[str, Any]) -> dict[str, Any]:
        sign, template = params.get("SignName"), params["TemplateId"]
        values = list(params.get("TemplateParamSet") or ())
        data = {"sign": sign, "template_id": template, "params": values, "context": params.get("SessionContext", "")}
        wording = (self._templates or {}).get(template)
        if isinstance(wording, str):
            text = _PLACEHOLDER.sub(lambda found: _nth(values, int(found[1])), wording)
            data["text"] = f"【{sign}】{text}" if sign else text
        return data

    def _statistics(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        for name, code in (("BeginTime", "BeginTimeVerifyFail"), ("EndTime", "EndTimeVerifyFail")):
            if not re.fullmatch(r"[0-9]{10}", str(params.get(name, ""))):
                raise RefusedError(f"InvalidParameterValue.{code}")
        if params["EndTime"] < params["BeginTime"]:
            raise RefusedError("InvalidParameterValue.EndTimeVerifyFail")
        count = self.outbox.count(self.provider)
        return {"SendStatusStatistics": {"FeeCount": count, "RequestCount": count, "RequestSuccessCount": count}}

    def _records(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        offset, limit = int(params.get("Offset") or 0), int(params.get("Limit") or 20)
        if not 1 <= limit <= 50:
            raise RefusedError("InvalidParameterValue.LimitVerifyFail")
        found = self.outbox.all(self.provider, str(params.get("PhoneNumber", "")))[::-1]
        rows = [
            {
                "SerialNo": delivery.id,
                "PhoneNumber": delivery.to,
                "SendStatus": 2,
                "RequestCode": "Ok",
                "StatusCode": "DELIVRD",
                "SendTime": int(delivery.at),
                "UserReceiveTime": int(delivery.at),
                "Content": "***",
            }
            for delivery in found[offset : offset + limit]
        ]
        return {"SendRecordSet": rows, "TotalCount": len(found)}


def _params(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type") != "application/json":
        raise RefusedError("InvalidParameter", "content type")
    try:
        params = json.loads(request.body)
    except ValueError:
        raise RefusedError("FailedOperation.JsonParseFail") from None
    if not isinstance(params, dict):
        raise RefusedError("FailedOperation.FailResolvePacket")
    return params


def _e164(number: object) -> str:
    """Read a number as the vendor does: without a country code it is a mainland one."""
    text = str(number)
    if re.fullmatch(r"1[0-9]{10}", text):
        return "+86" + text
    return re.sub(r"^(0086|86)(?=1[0-9]{10}$)", "+86", text)


def _check_numbers(numbers: list[str]) -> bool:
    """Whether the numbers are mainland ones. Raises: RefusedError for a set that cannot go in one call."""
    if not numbers:
        raise RefusedError("MissingParameter.EmptyPhoneNumberSet")
    if len(numbers) > MAX_NUMBERS:
        raise RefusedError("LimitExceeded.PhoneNumberCountLimit")
    kinds = {number.startswith("+86") for number in numbers}
    if len(kinds) > 1:
        raise RefusedError("UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber")
    return kinds.pop()


def _nth(values: list[Any], n: int) -> str:
    return str(values[n - 1]) if 0 < n <= len(values) else ""


def _faulty(fault: Fault) -> Response:
    """The answer that a fault of the whole request asks for."""
    if fault.kind == "reset_before":
        return Response(drop=True)
    if fault.kind == "throttle":
        return _error("RequestLimitExceeded", "too many requests")
    if fault.kind == "bad_json":
        return Response(200, b'{"Response": {"SendStatusSet": [', {"Content-Type": "application/json"})
    if fault.kind == "code":
        return _error(fault.code)
    return Response(fault.status, b"<html>error</html>", {"Content-Type": "text/html"})


def _error(code: str, message: str = "") -> Response:
    # The vendor answers its errors with 200, and its SDK reads them only under this very content type.
    return _response({"Error": {"Code": code, "Message": message or code}})


def _response(answer: dict[str, Any]) -> Response:
    request_id = hashlib.blake2b(str(time.monotonic_ns()).encode(), digest_size=16).hexdigest()
    return Response.of({"Response": {**answer, "RequestId": request_id}})
