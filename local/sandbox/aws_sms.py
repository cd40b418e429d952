"""A double of AWS End User Messaging SMS, by SendTextMessage and PutMessageFeedback of `pinpoint-sms-voice-v2`."""

import json
import re
import uuid
from typing import Any, ClassVar

from local.sandbox.aws_sms_receipts import DETAIL_TYPE, as_published, on_the_bus, statuses_of
from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response
from shared.model.clock import Clock

_TARGET = "PinpointSMSVoiceV2.SendTextMessage"
_FEEDBACK = "PinpointSMSVoiceV2.PutMessageFeedback"
FEEDBACK_MS = 3_600_000
"""After so long AWS takes a message for failed of which nothing was said (user guide, "Message feedback")."""
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/[0-9]{8}/[a-z0-9-]+/(?P<service>[a-z-]+)/")
_NUMBER = re.compile(r"\+?[1-9][0-9]{1,18}\Z")
_TYPE = "application/x-amz-json-1.0"


class AwsSmsSandbox(HttpSandbox):
    """Answers SendTextMessage. A fault of kind `code` names an exception and its Reason: `ConflictException/REASON`.

    identities: the origination identities known; None knows all. access_keys: the access key ids known; None knows all
    (signatures are not computed). opted_out: numbers that get DESTINATION_PHONE_NUMBER_OPTED_OUT.
    """

    provider = "aws"
    steps = ("SendTextMessage", "PutMessageFeedback")
    sends = frozenset({"SendTextMessage"})
    broken = b'{"MessageId": '
    content_type = _TYPE
    mixture: ClassVar = (
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("status", status=500),
        Fault("status", status=503),
        Fault("throttle"),
        Fault("bad_json"),
        Fault("code", code="InternalServerException"),
        Fault("code", code="InternalServerException", accepted=True),
    )

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        identities: frozenset[str] | None = None,
        access_keys: frozenset[str] | None = None,
        opted_out: frozenset[str] = frozenset(),
        clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox, clock)
        self._identities = identities
        self._access_keys = access_keys
        self._opted_out = opted_out
        self._feedback: dict[str, tuple[int, str | None]] = {}

    def feedback(self, message_id: str) -> str | None:
        """What AWS knows of a message sent with feedback: RECEIVED, FAILED, or nothing yet. Raises: KeyError."""
        sent_at, said = self._feedback[message_id]
        return said or ("FAILED" if self.clock.now_ms() >= sent_at + FEEDBACK_MS else None)

    def handle(self, request: Request) -> Response:
        params = _params(request)
        if request.headers.get("x-amz-target") == _FEEDBACK:
            fault = self.faults.take(str(params.get("MessageId")), at="PutMessageFeedback")
            return self.play(fault, lambda: self._take_feedback(request, params))
        fault = self.faults.take(str(params.get("DestinationPhoneNumber")), at="SendTextMessage")
        return self.play(fault, lambda: self._answer(request, params))

    def throttled(self, fault: Fault) -> Response:
        return _error("ThrottlingException")

    def refused(self, fault: Fault) -> Response:
        exception, _, reason = fault.code.partition("/")
        return _error(exception, reason)

    def _answer(self, request: Request, params: dict[str, Any]) -> Response:
        refused = self._unauthenticated(request) or self._refusal(request, params)
        if refused is not None:
            return refused
        message_id = str(uuid.uuid4())
        if not params.get("DryRun"):
            ours = str(params.get("Context", {}).get("mepush_message_id", ""))
            to = params["DestinationPhoneNumber"]
            self.outbox.put(Delivery(self.provider, to, message_id, _data(params), message_id=ours))
            if params.get("MessageFeedbackEnabled"):
                self._feedback[message_id] = self.clock.now_ms(), None
            self._tell(params, message_id)
        return Response.of({"MessageId": message_id}, content_type=_TYPE)

    def _take_feedback(self, request: Request, params: dict[str, Any]) -> Response:
        refused = self._unauthenticated(request)
        if refused is not None:
            return refused
        id, status = params.get("MessageId"), params.get("MessageFeedbackStatus")
        if status not in ("RECEIVED", "FAILED"):
            return _error("ValidationException", "INVALID_PARAMETER", "MessageFeedbackStatus")
        if id not in self._feedback:
            return _error("ResourceNotFoundException")
        self._feedback[id] = self._feedback[id][0], status
        return Response.of({"MessageId": id, "MessageFeedbackStatus": status}, content_type=_TYPE)

    def _tell(self, params: dict[str, Any], message_id: str) -> None:
        """Have EventBridge told what becomes of a text."""
        if self.publish is None:
            return
        now = self.clock.now_ms()
        # Roughly: none of its scripts cares for more than whether there are several.
        parts = 1 + len(params["MessageBody"]) // 160
        for status, after_s in statuses_of(params["DestinationPhoneNumber"]):
            event = as_published(status, params, message_id, now + after_s * 1000, parts)
            self.publish("aws.sms-voice", [(DETAIL_TYPE, on_the_bus(event), after_s)])

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
        # Without one, AWS chooses among the account's.
        identity = params.get("OriginationIdentity")
        if self._identities is not None and identity is not None and identity not in self._identities:
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


def _error(exception: str, reason: str = "", field: str = "") -> Response:
    body: dict[str, Any] = {"__type": exception, "Message": exception}
    if reason:
        body["Reason"] = reason
    if field:
        body["Fields"] = [{"Name": field, "Message": "is not valid"}]
    return Response.of(body, 500 if exception == "InternalServerException" else 400, _TYPE)
