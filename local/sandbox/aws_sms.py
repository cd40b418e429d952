"""A double of AWS End User Messaging SMS (SendTextMessage only), on the wire of `pinpoint-sms-voice-v2`."""

import json
import re
import time
import uuid
from typing import Any

from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response

_TARGET = "PinpointSMSVoiceV2.SendTextMessage"
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/[0-9]{8}/[a-z0-9-]+/(?P<service>[a-z-]+)/")
_NUMBER = re.compile(r"\+?[1-9][0-9]{1,18}\Z")
_TYPE = "application/x-amz-json-1.0"


class AwsSmsSandbox(HttpSandbox):
    """Answers SendTextMessage. A fault of kind `code` names an exception and its Reason: `ConflictException/REASON`.

    identities: the origination identities known; None knows all. access_keys: the access key ids known; None knows all
    (signatures are not computed). opted_out: numbers that get DESTINATION_PHONE_NUMBER_OPTED_OUT.
    """

    provider = "aws"

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        identities: frozenset[str] | None = None,
        access_keys: frozenset[str] | None = None,
        opted_out: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(outbox)
        self._identities = identities
        self._access_keys = access_keys
        self._opted_out = opted_out

    def handle(self, request: Request) -> Response:
        params = _params(request)
        fault = self.faults.take() or self.faults.take(to=str(params.get("DestinationPhoneNumber")))
        if fault is not None and fault.kind == "delay":
            time.sleep(fault.seconds)
        elif fault is not None and fault.kind != "reset_after":
            return _faulty(fault)
        refused = self._unauthenticated(request) or self._refusal(request, params)
        if refused is not None:
            return refused
        message_id = str(uuid.uuid4())
        if not params.get("DryRun"):
            self.outbox.put(Delivery(self.provider, params["DestinationPhoneNumber"], message_id, _data(params)))
        if fault is not None and fault.kind == "reset_after":
            return Response(drop=True)
        return Response.of({"MessageId": message_id}, content_type=_TYPE)

    def _unauthenticated(self, request: Request) -> Response | None:
        found = _CREDENTIAL.match(request.headers.get("authorization", ""))
        if found is None or found["service"] != "sms-voice":
            return _error("MissingAuthenticationTokenException")
        if self._access_keys is not None and found["id"] not in self._access_keys:
            return _error("UnrecognizedClientException")
        return None

    def _refusal(self, request: Request, params: dict[str, Any]) -> Response | None:
        if request.headers.get("x-amz-target") != _TARGET:
            return _error("UnknownOperationException")
        to, text = params.get("DestinationPhoneNumber"), params.get("MessageBody")
        if not isinstance(to, str) or not _NUMBER.match(to):
            return _error("ValidationException", "INVALID_PARAMETER", "DestinationPhoneNumber")
        if not isinstance(text, str) or not text.strip():
            return _error("ValidationException", "FIELD_VALIDATION_FAILED", "MessageBody")
        if len(text) > 1600:
            return _error("ValidationException", "MAXIMUM_SIZE_EXCEEDED", "MessageBody")
        if params.get("MessageType", "TRANSACTIONAL") not in {"TRANSACTIONAL", "PROMOTIONAL"}:
            return _error("ValidationException", "INVALID_PARAMETER", "MessageType")
        if len(params.get("Context", {})) > 5:
            return _error("ValidationException", "INVALID_PARAMETER", "Context")
        if self._identities is not None and params.get("OriginationIdentity") not in self._identities:
            return _error("ResourceNotFoundException")
        if to in self._opted_out:
            return _error("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT")
        return None


def _params(request: Request) -> dict[str, Any]:
    try:
        params = json.loads(request.body)
    except ValueError:
        return {}
    return params if isinstance(params, dict) else {}


def _data(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": params["MessageBody"],
        "from": params.get("OriginationIdentity"),
        "message_type": params.get("MessageType"),
        "context": params.get("Context", {}),
        "configuration_set": params.get("ConfigurationSetName"),
        "max_price": params.get("MaxPrice"),
        "time_to_live": params.get("TimeToLive"),
        "protect_configuration": params.get("ProtectConfigurationId"),
    }


def _faulty(fault: Fault) -> Response:
    if fault.kind == "reset_before":
        return Response(drop=True)
    if fault.kind == "throttle":
        return _error("ThrottlingException")
    if fault.kind == "bad_json":
        return Response(200, b'{"MessageId": ', {"Content-Type": _TYPE})
    if fault.kind == "code":
        exception, _, reason = fault.code.partition("/")
        return _error(exception, reason)
    return Response(fault.status, b"<html>error</html>", {"Content-Type": "text/html"})


def _error(exception: str, reason: str = "", field: str = "") -> Response:
    body: dict[str, Any] = {"__type": exception, "Message": exception}
    if reason:
        body["Reason"] = reason
    if field:
        body["Fields"] = [{"Name": field, "Message": "is not valid"}]
    return Response.of(body, 500 if exception == "InternalServerException" else 400, _TYPE)
