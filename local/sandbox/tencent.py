"""A double of Tencent Cloud SMS (API version 2021-01-11) that checks signatures and the rules of SendSms."""

import hashlib
import hmac
import itertools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from local.sandbox.base import Callback, Delivery, Fault, HttpSandbox, Outbox, Request, Response
from local.sandbox.tencent_receipts import AT_ONCE, Reply, Untold, reply_body, report_entry, told_of
from local.sandbox.tencent_records import BadQueryError, Record, Records, masked
from shared.model.clock import Clock

MAX_NUMBERS = 200
CALLS = 3
"""How often the vendor calls back until it is answered well (product/382/59178)."""
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
    """Answers SendSms, SendStatusStatistics, DescribeSendRecordList and three ways to ask for reports and answers.

    keys: SecretId to SecretKey. sdk_app_id: the only one known; None takes any. templates: id to the number of its
    parameters, or to its text with {1}, {2}; None takes any id and any number. signs: the approved signatures; None:
    all. clock: its time. signature_clock: what signatures are dated by, if that is another. records: what it tells
    about past calls. callback_urls: what the console has for applications, by their SdkAppId: it is called there what
    became of texts; without one, nothing is. untold: for applications for which support has allowed it, what is told to
    whoever asks, each once. reporters: the applications that may report conversions, as support has allowed it;
    conversions: SerialNo to when its code was given back, in seconds since the epoch.

    Faults play at SendSms, or the action that they name. The kinds `code` and `throttle` with a recipient are about
    that number alone, as those `at="number"` are about any one number of a call.
    """

    provider = "tencent"
    steps = (
        *("SendSms", "number", "SendStatusStatistics", "DescribeSendRecordList", "PullSmsSendStatusByPhoneNumber"),
        *("PullSmsSendStatus", "PullSmsReplyStatus", "ReportConversion"),
    )
    sends = frozenset({"SendSms"})
    broken = b'{"Response": {"SendStatusSet": ['
    mixture: ClassVar = (
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("status", status=502),
        Fault("throttle"),
        Fault("bad_json"),
        Fault("code", code="LimitExceeded.GlobalSmsSendingRateLimit"),
        Fault("code", code="InternalError.Timeout"),
        Fault("code", code="InternalError.Timeout", accepted=True),
    )

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        keys: Mapping[str, str],
        sdk_app_id: str | None = None,
        templates: Mapping[str, int | str] | None = None,
        signs: frozenset[str] | None = None,
        clock: Clock | None = None,
        signature_clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox, clock)
        self.keys = dict(keys)
        self._sdk_app_id = sdk_app_id
        self._templates = templates
        self._signs = signs
        self._signature_clock = signature_clock or self.clock
        self.records = Records(self.clock)
        self.callback_urls: dict[str, str] = {}
        self.untold: dict[str, Untold] = {}
        self.reporters: set[str] = set()
        self.conversions: dict[str, int] = {}
        self._serial = itertools.count(1)
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "SendSms": self._send_sms,
            "SendStatusStatistics": self._statistics,
            "DescribeSendRecordList": self._described,
            "PullSmsSendStatusByPhoneNumber": self._pulled,
            "ReportConversion": self._converted,
            "PullSmsSendStatus": lambda params: self._untold(params).reports(params),
            "PullSmsReplyStatus": lambda params: self._untold(params).replies(params),
        }

    def handle(self, request: Request) -> Response:
        action = request.headers.get("x-tc-action", "")
        fault = self.faults.take(*_numbers(request.body), at=action)
        return self.play(fault, lambda: self._answer(request))

    def plays_at(self, fault: Fault, at: str) -> bool:
        if fault.at is None and fault.to is not None and fault.kind in {"code", "throttle"}:
            return at == "number"
        return super().plays_at(fault, at)

    def throttled(self, fault: Fault) -> Response:
        return _error(fault.code or "RequestLimitExceeded", "too many requests")

    def refused(self, fault: Fault) -> Response:
        return _error(fault.code)

    def _answer(self, request: Request) -> Response:
        try:
            self._authenticate(request)
            return _response(self._actions[self._action(request)](_params(request)))
        except RefusedError as error:
            return _error(error.code, error.message)
        except BadQueryError as error:
            return _error(error.code)

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
        if abs(self._signature_clock.now_ms() // 1000 - int(timestamp)) > MAX_SKEW_SECONDS:
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
        rows = [self._send_one(number, params, refused) for number in numbers]
        self._tell([(row["PhoneNumber"], row["SerialNo"]) for row in rows if row["SerialNo"]], params)
        return {"SendStatusSet": rows}

    def _tell(self, taken: Sequence[tuple[str, str]], params: dict[str, Any]) -> None:
        """Have it called back what becomes of texts: reports that are due at the same time in one, answers alone."""
        app = str(params["SmsSdkAppId"])
        url, untold = self.callback_urls.get(app), self.untold.get(app)
        if untold is not None:
            shown = str(params.get("SessionContext", "")) if self.records.tells_context else ""
            untold.add(taken, str(params.get("SignName", "")), shown)
        if url is None or self.call_back is None:
            return
        context = str(params.get("SessionContext", "")) if self.records.tells_context else None
        now = self.clock.now_ms()
        reports: dict[tuple[int, bool], list[dict[str, Any]]] = {}
        for number, serial in taken:
            for told in told_of(number):
                at_ms = now + told.after_s * 1000
                if isinstance(told, Reply):
                    self._call(url, reply_body(told, number, str(params.get("SignName", "")), at_ms), told.after_s)
                    continue
                entry = report_entry(told, number, serial, context, at_ms)
                for i in range(told.times):
                    reports.setdefault((told.after_s + i, told.forged), []).append(entry)
        for (after_s, forged), entries in reports.items():
            for start in range(0, len(entries), AT_ONCE):
                self._call(_guessed(url) if forged else url, entries[start : start + AT_ONCE], after_s)

    def _call(self, url: str, body: Any, after_s: int) -> None:
        if self.call_back is not None:
            callback = Callback(url, json.dumps(body, ensure_ascii=False).encode(), good=_taken, tries=CALLS)
            self.call_back(callback, after_s)

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
        fault = self.faults.take(number, at="number", part=True)
        if fault is not None and fault.kind == "throttle":
            refused = fault.code or "LimitExceeded.PhoneNumberThirtySecondLimit"
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
        now = self.clock.now_ms()
        context = str(params.get("SessionContext", ""))
        if refused is None:
            row |= {"SerialNo": f"5000:{now}{next(self._serial):010d}", "Fee": 1}
            data = self._data(params)
            self.outbox.put(Delivery(self.provider, number, str(row["SerialNo"]), data, message_id=context))
        content = self._text(params, masked(params.get("TemplateParamSet") or ())) or ""
        self.records.add(number, Record(now, str(row["SerialNo"]), str(row["Code"]), context, content))
        return row

    def _data(self, params: dict[str, Any]) -> dict[str, Any]:
        values = list(params.get("TemplateParamSet") or ())
        data = {"sign": params.get("SignName"), "template_id": params["TemplateId"], "params": values}
        data["context"] = params.get("SessionContext", "")
        text = self._text(params, values)
        return data if text is None else data | {"text": text}

    def _text(self, params: dict[str, Any], values: list[Any]) -> str | None:
        """The text with these parameters; None if the template's wording is not known here."""
        sign, wording = params.get("SignName"), (self._templates or {}).get(params["TemplateId"])
        if not isinstance(wording, str):
            return None
        text = _PLACEHOLDER.sub(lambda found: _nth(values, int(found[1])), wording)
        return f"【{sign}】{text}" if sign else text

    def _statistics(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        for name, code in (("BeginTime", "BeginTimeVerifyFail"), ("EndTime", "EndTimeVerifyFail")):
            if not re.fullmatch(r"[0-9]{10}", str(params.get(name, ""))):
                raise RefusedError(f"InvalidParameterValue.{code}")
        if params["EndTime"] < params["BeginTime"]:
            raise RefusedError("InvalidParameterValue.EndTimeVerifyFail")
        count = self.outbox.count(self.provider)
        return {"SendStatusStatistics": {"FeeCount": count, "RequestCount": count, "RequestSuccessCount": count}}

    def _described(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        return self.records.described(params)

    def _untold(self, params: dict[str, Any]) -> Untold:
        self._check_app(params)
        found = self.untold.get(str(params["SmsSdkAppId"]))
        if found is None:
            # Which code it is, the documents do not say.
            raise RefusedError("UnauthorizedOperation.RequestPermissionDeny")
        return found

    def _converted(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        if params["SmsSdkAppId"] not in self.reporters:
            raise RefusedError("UnauthorizedOperation.RequestPermissionDeny")
        serial = str(params.get("SerialNo") or "")
        if not serial:
            raise RefusedError("MissingParameter", "SerialNo")
        if not any(each.id == serial for each in self.outbox.all()):
            # What it says of those, the documents do not tell.
            return {"ReportConversionStatus": {"Code": "FailedOperation.OtherError", "Message": "no such SerialNo"}}
        self.conversions.setdefault(serial, int(params.get("ConversionTime") or 0))
        return {"ReportConversionStatus": {"Code": "OK", "Message": "success"}}

    def _pulled(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_app(params)
        return self.records.pulled(params)


def _numbers(body: bytes) -> list[str]:
    """The numbers that a request is about, as far as they can be read."""
    try:
        params = json.loads(body)
    except ValueError:
        return []
    if not isinstance(params, dict):
        return []
    numbers = params.get("PhoneNumberSet") or params.get("PhoneNumber") or ()
    return [_e164(number) for number in (numbers if isinstance(numbers, list) else (numbers,))]


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


def _taken(status: int, body: bytes) -> bool:
    """Whether a callback was answered as the vendor wants (product/382/59178)."""
    try:
        return status == 200 and json.loads(body)["result"] == 0
    except (ValueError, KeyError, TypeError):
        return False


def _guessed(url: str) -> str:
    """A callback URL with another token."""
    start, _, token = url.rpartition("/")
    return f"{start}/{token[::-1]}"


def _nth(values: list[Any], n: int) -> str:
    return str(values[n - 1]) if 0 < n <= len(values) else ""


def _error(code: str, message: str = "") -> Response:
    # The vendor answers its errors with 200, and its SDK reads them only under this very content type.
    return _response({"Error": {"Code": code, "Message": message or code}})


def _response(answer: dict[str, Any]) -> Response:
    request_id = hashlib.blake2b(str(time.monotonic_ns()).encode(), digest_size=16).hexdigest()
    return Response.of({"Response": {**answer, "RequestId": request_id}})
