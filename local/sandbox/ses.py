"""A double of the Amazon SES API v2: SendEmail with raw content, GetAccount and GetEmailIdentity."""

import base64
import binascii
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response
from local.sandbox.mail import read_mail
from shared.model.clock import Clock

_IDENTITIES = "/v2/email/identities/"
_NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-1"
_LARGEST_BYTES = 40 * 1024 * 1024

# Which HTTP status SES gives an error (SES API v2 reference); others are 400.
_STATUS = {"TooManyRequestsException": 429, "NotFoundException": 404, "InternalServiceErrorException": 500}


class SesSandbox(HttpSandbox):
    """SES in one region. Signatures are not checked.

    production: False is the SES sandbox of a new account. sending_enabled: False as after a pause.
    verified: if given, SendEmail takes only these senders (address or domain), and in the SES sandbox only these
    recipients. pending: identities that are not verified yet. configuration_sets: if given, the only ones that exist.
    Faults play at `SendEmail` unless they say another step; `code` answers with this error (and, after a blank, this
    text), `throttle` with TooManyRequestsException.
    """

    provider = "ses"
    steps = ("SendEmail", "GetAccount", "GetEmailIdentity")
    sends = frozenset({"SendEmail"})
    broken = b'{"MessageId": '
    mixture: ClassVar = (
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("status", status=500),
        Fault("status", status=503),
        Fault("throttle"),
        Fault("bad_json"),
        Fault("code", code="InternalServiceErrorException"),
        Fault("code", code="InternalServiceErrorException", accepted=True),
    )

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        production: bool = True,
        sending_enabled: bool = True,
        verified: frozenset[str] | None = None,
        pending: frozenset[str] = frozenset(),
        configuration_sets: frozenset[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox, clock)
        self.production = production
        self.sending_enabled = sending_enabled
        self.verified = verified
        self.pending = pending
        self.configuration_sets = configuration_sets
        self._serial = itertools.count(1)

    def handle(self, request: Request) -> Response:
        route = (request.method, request.path)
        if route == ("GET", "/v2/email/account"):
            return self.play(self.faults.take(at="GetAccount"), self._account)
        if request.method == "GET" and request.path.startswith(_IDENTITIES):
            identity = unquote(request.path.removeprefix(_IDENTITIES))
            return self.play(self.faults.take(at="GetEmailIdentity"), lambda: self._identity(identity))
        if route == ("POST", "/v2/email/outbound-emails"):
            return self._send(request)
        return _error("NotFoundException", "no such operation")

    def _send(self, request: Request) -> Response:
        try:
            body = json.loads(request.body)
            to = [str(address) for address in body["Destination"]["ToAddresses"]]
            raw = base64.b64decode(body["Content"]["Raw"]["Data"], validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error):
            return _error("BadRequestException", "give Destination.ToAddresses and Content.Raw.Data")
        return self.play(self.faults.take(*to, at="SendEmail"), lambda: self._accept(body, to, raw))

    def throttled(self, fault: Fault) -> Response:
        return _error("TooManyRequestsException", "Maximum sending rate exceeded.")

    def refused(self, fault: Fault) -> Response:
        code, _, text = fault.code.partition(" ")
        return _error(code, text or "asked for by a fault")

    def _accept(self, body: dict[str, Any], to: list[str], raw: bytes) -> Response:
        mail = read_mail(raw)
        refusal = self._refusal(body, to, raw, str(body.get("FromEmailAddress") or mail["from_address"]))
        if refusal is not None:
            return refusal
        # The form of SES's own ids.
        ses_id = f"0100019{int(time.time() * 1000):09x}-{next(self._serial):08x}-000000"
        tags = {str(tag["Name"]): str(tag["Value"]) for tag in body.get("EmailTags", [])}
        for address in to:
            data = {**mail, "tags": tags, "configuration_set": body.get("ConfigurationSetName")}
            self.outbox.put(Delivery(self.provider, address, ses_id, data, message_id=_our_id(mail, tags)))
        return Response.of({"MessageId": ses_id})

    def _refusal(self, body: dict[str, Any], to: list[str], raw: bytes, sender: str) -> Response | None:
        if not self.sending_enabled:
            return _error("SendingPausedException", "Email sending is disabled for your account")
        if len(raw) > _LARGEST_BYTES:
            return _error("BadRequestException", "Message length is more than 41943040 bytes long")
        if not all(address.isascii() for address in to):
            return _error("BadRequestException", "Local address contains control or whitespace")
        wanted = body.get("ConfigurationSetName")
        if wanted is not None and self.configuration_sets is not None and wanted not in self.configuration_sets:
            return _error("NotFoundException", f"Configuration set <{wanted}> does not exist.")
        if self.verified is not None:
            identities = [sender] if self.production else [sender, *to]
            if failed := [identity for identity in identities if not self._vouched(identity)]:
                return _error("MessageRejected", f"{_NOT_VERIFIED}: {', '.join(failed)}")
        return None

    def _vouched(self, address: str) -> bool:
        """Whether an address or a domain above it is verified."""
        labels = address.rpartition("@")[2].split(".")
        domains = {".".join(labels[i:]) for i in range(len(labels))}
        return self.verified is None or not self.verified.isdisjoint({address, *domains})

    def _identity(self, identity: str) -> Response:
        verified = self.verified is None or identity in self.verified
        if not verified and identity not in self.pending:
            return _error("NotFoundException", f"Email identity {identity} does not exist.")
        return Response.of(
            {
                "IdentityType": "EMAIL_ADDRESS" if "@" in identity else "DOMAIN",
                "VerificationStatus": "SUCCESS" if verified else "PENDING",
                "VerifiedForSendingStatus": verified,
            }
        )

    def _account(self) -> Response:
        most, rate = (50_000.0, 14.0) if self.production else (200.0, 1.0)
        return Response.of(
            {
                "DedicatedIpAutoWarmupEnabled": False,
                "EnforcementStatus": "HEALTHY" if self.sending_enabled else "SHUTDOWN",
                "ProductionAccessEnabled": self.production,
                "SendingEnabled": self.sending_enabled,
                "SendQuota": {
                    "Max24HourSend": most,
                    "MaxSendRate": rate,
                    "SentLast24Hours": float(self.outbox.count(self.provider)),
                },
            }
        )


def _our_id(mail: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    return tags.get("mepush_message_id") or str(mail["message_id"])


def _error(code: str, text: str) -> Response:
    return Response.of({"message": text}, _STATUS.get(code, 400), **{"x-amzn-ErrorType": code})
