"""A double of the Amazon SES API v2: SendEmail of raw content, SendBulkEmail by templates, what tries accounts."""

import base64
import binascii
import itertools
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from typing import Any, ClassVar
from urllib.parse import unquote

from local.sandbox.base import Delivery, Fault, HttpSandbox, Outbox, Request, Response
from local.sandbox.mail import read_mail
from local.sandbox.ses_exports import FILES, JOBS, LIST, Exports
from local.sandbox.ses_listed import PATH as LISTED
from local.sandbox.ses_listed import SuppressedList
from local.sandbox.ses_receipts import DETAIL_TYPES, Event, as_published, events_for
from local.sandbox.ses_templates import Mangle, RenderingError, mime, read_data, render
from shared.model.clock import Clock

_IDENTITIES = "/v2/email/identities/"
_TEMPLATES = "/v2/email/templates"
_NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-1"
_LARGEST_BYTES = 40 * 1024 * 1024

MOST_ENTRIES = 50
"""Recipients of a call (SES Developer Guide, "Using templates to send personalized email")."""
_HEADER = re.compile(r"[!-9;-@A-~]{1,126}:[ -~]{1,995}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MOST_HEADERS = 15
_ADDRESS = re.compile(r"[!-~]+@[!-~]+")

# What SES says of one recipient of a call, where it says the other of a call for one (SES API v2 reference,
# "BulkEmailEntryResult").
_ENTRY_STATUS = {
    "AccountSuspendedException": "ACCOUNT_SUSPENDED",
    "BadRequestException": "INVALID_PARAMETER",
    "MailFromDomainNotVerifiedException": "MAIL_FROM_DOMAIN_NOT_VERIFIED",
    "MessageRejected": "MESSAGE_REJECTED",
    "SendingPausedException": "ACCOUNT_SENDING_PAUSED",
    "TooManyRequestsException": "ACCOUNT_THROTTLED",
}

# Which HTTP status SES gives an error (SES API v2 reference); others are 400.
_STATUS = {"TooManyRequestsException": 429, "NotFoundException": 404, "InternalServiceErrorException": 500}


class SesSandbox(HttpSandbox):
    """SES in one region. Signatures are not checked.

    production: False is the SES sandbox of a new account. sending_enabled: False as after a pause.
    verified: if given, SendEmail takes only these senders (address or domain), and in the SES sandbox only these
    recipients. pending: identities that are not verified yet. configuration_sets: if given, the only ones that exist.
    templates: by name, for looking at and for taking away. mangle: what it makes of each value that it puts into a
    template, to be an SES that leaves nothing as it is. rendering_failures: the ids of messages that it took and never
    delivered, since their data did not fit their template. suppressed: the addresses on its own suppression list.
    exports: what became of mails, whether anybody was told or not.

    Faults play at the step that sends unless they say another one; `code` answers with this error (and, after a blank,
    this text), `throttle` with TooManyRequestsException. In a call for many, `code` and `throttle` with a recipient are
    about that one alone, as those at `entry` are about any one; `code` may then be a status such as `FAILED`.
    """

    provider = "ses"
    steps = (
        *("SendEmail", "SendBulkEmail", "entry"),
        *("CreateEmailTemplate", "TestRenderEmailTemplate", "GetAccount", "GetEmailIdentity"),
        *("ListSuppressedDestinations", "DeleteSuppressedDestination", "ExportJob"),
    )
    sends = frozenset({"SendEmail", "SendBulkEmail"})
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
        self.tokens: tuple[str, ...] = ()
        """Of the DKIM keys of each domain."""
        self.mail_from = ""
        """The domain of the envelope's sender, for each domain."""
        self.pending = pending
        self.configuration_sets = configuration_sets
        self.templates: dict[str, dict[str, str]] = {}
        self.mangle: Mangle | None = None
        self.rendering_failures: list[str] = []
        self.suppressed = SuppressedList()
        self.exports = Exports()
        self._call = threading.local()
        self._serial = itertools.count(1)

    def plays_at(self, fault: Fault, at: str) -> bool:
        if fault.at is None and fault.kind == "mixed":
            return at in self.sends or at == "entry"
        if fault.at is None and fault.to is not None and fault.kind in {"code", "throttle"}:
            return at in {"SendEmail", "entry"}
        return super().plays_at(fault, at)

    def handle(self, request: Request) -> Response:
        route = (request.method, request.path)
        if route == ("GET", "/v2/email/account"):
            return self.play(self.faults.take(at="GetAccount"), self._account)
        if request.method == "GET" and request.path.startswith(_IDENTITIES):
            identity = unquote(request.path.removeprefix(_IDENTITIES))
            return self.play(self.faults.take(at="GetEmailIdentity"), lambda: self._identity(identity))
        if route == ("POST", "/v2/email/outbound-emails"):
            return self._send(request)
        if route == ("POST", "/v2/email/outbound-bulk-emails"):
            return self._send_bulk(request)
        if request.path.startswith(_TEMPLATES):
            return self._template(request)
        if request.path.startswith(LISTED):
            return self._suppression(request)
        if request.path.startswith((JOBS, LIST, FILES)):
            return self.play(self.faults.take(at="ExportJob"), lambda: self._export(request))
        return _error("NotFoundException", "no such operation")

    def _export(self, request: Request) -> Response:
        exports, job = self.exports, request.path.rpartition("/")[2]
        if request.path == LIST:
            return Response.of({"ExportJobs": list(exports.jobs.values())})
        if request.path == JOBS:
            return Response.of({"JobId": exports.make(json.loads(request.body), self.clock.now_ms() / 1000)})
        if job not in exports.jobs:
            return _error("NotFoundException", "no such job")
        if request.path.startswith(FILES):
            return Response(200, exports.files[job])
        where = {"DataFormat": "JSON", "S3Url": f"{self.url}{FILES}{job}"}
        return Response.of({**exports.jobs[job], "ExportDestination": where})

    def _suppression(self, request: Request) -> Response:
        if request.method == "DELETE":
            fault = self.faults.take(at="DeleteSuppressedDestination")
            return self.play(fault, lambda: self._unlist(request.path))
        size, token = int(request.query.get("PageSize", 1000)), request.query.get("NextToken")
        return self.play(self.faults.take(at="ListSuppressedDestinations"), lambda: self._list(size, token))

    def _list(self, size: int, token: str | None) -> Response:
        page = self.suppressed.page(size, token)
        return _error("BadRequestException", "Invalid NextToken") if page is None else Response.of(page)

    def _unlist(self, path: str) -> Response:
        if self.suppressed.remove(path):
            return Response.of({})
        return _error("NotFoundException", "Email address does not exist on your suppression list.")

    def _template(self, request: Request) -> Response:
        name, _, rest = unquote(request.path.removeprefix(_TEMPLATES)).strip("/").partition("/")
        body = json.loads(request.body or b"{}")
        if request.method == "POST" and not name:
            return self.play(self.faults.take(at="CreateEmailTemplate"), lambda: self._create(body))
        if request.method == "POST" and rest == "render":
            return self.play(self.faults.take(at="TestRenderEmailTemplate"), lambda: self._render(name, body))
        return _error("BadRequestException", "no such operation")

    def _create(self, body: dict[str, Any]) -> Response:
        name, content = str(body["TemplateName"]), body["TemplateContent"]
        if name in self.templates:
            return _error("AlreadyExistsException", f"Template {name} already exists.")
        self.templates[name] = {part: str(source) for part, source in content.items()}
        return Response.of({})

    def _render(self, name: str, body: dict[str, Any]) -> Response:
        content = self.templates.get(name)
        if content is None:
            return _error("NotFoundException", f"Template {name} does not exist.")
        try:
            parts = render(content, str(body["TemplateData"]), self.mangle)
        except RenderingError as error:
            return _error("BadRequestException", str(error))
        return Response.of({"RenderedTemplate": mime(parts, {}).decode()})

    def _send_bulk(self, request: Request) -> Response:
        try:
            body = json.loads(request.body)
            to = [str(entry["Destination"]["ToAddresses"][0]) for entry in body["BulkEmailEntries"]]
            content = body["DefaultContent"]["Template"]
            content["TemplateName"], body["FromEmailAddress"]
        except (ValueError, KeyError, TypeError, IndexError):
            return _error("BadRequestException", "give FromEmailAddress, a stored template, and entries")
        return self.play(self.faults.take(*to, at="SendBulkEmail"), lambda: self._accept_bulk(body, to))

    def _accept_bulk(self, body: dict[str, Any], to: list[str]) -> Response:
        if not 1 <= len(to) <= MOST_ENTRIES:
            return _error("BadRequestException", f"Number of destinations must be 1 to {MOST_ENTRIES}.")
        # One that is not well formed spoils the whole call (SES API reference, "SendBulkTemplatedEmail").
        if not all(map(_ADDRESS.fullmatch, to)):
            return _error("BadRequestException", "Illegal address")
        refusal = self._refusal(body, [], b"", parseaddr(body["FromEmailAddress"])[1])
        if refusal is not None:
            return refusal
        template = body["DefaultContent"]["Template"]
        files = [
            {**file, "RawContent": base64.b64decode(file["RawContent"])} for file in template.get("Attachments", ())
        ]
        self._call.said = []
        try:
            results = [
                self._entry(body, entry, address, files)
                for entry, address in zip(body["BulkEmailEntries"], to, strict=True)
            ]
            if self.publish is not None and self._call.said:
                self.publish("aws.ses", self._call.said)
        finally:
            self._call.said = None
        return Response.of({"BulkEmailEntryResults": results})

    def _entry(
        self, body: dict[str, Any], entry: dict[str, Any], to: str, files: list[dict[str, Any]]
    ) -> dict[str, str]:
        """What becomes of one recipient of a call for many."""
        fault = self.faults.take(to, at="entry", part=True)
        if fault is None:
            return self._deliver(body, entry, to, files)
        if fault.accepted or fault.kind == "reset_after":
            self._deliver(body, entry, to, files)
            return {"Status": "FAILED", "Error": "asked for by a fault"}
        if fault.kind == "throttle":
            return {"Status": "ACCOUNT_THROTTLED", "Error": "Maximum sending rate exceeded."}
        if fault.kind == "code":
            code, _, text = fault.code.partition(" ")
            status = _ENTRY_STATUS.get(code, code if code.isupper() else "FAILED")
            return {"Status": status, "Error": text or "asked for by a fault"}
        return {"Status": "TRANSIENT_FAILURE", "Error": "Unknown error occurred. Please try again later"}

    def _deliver(
        self, body: dict[str, Any], entry: dict[str, Any], to: str, files: list[dict[str, Any]]
    ) -> dict[str, str]:
        template = self.templates.get(body["DefaultContent"]["Template"]["TemplateName"])
        if template is None:
            name = body["DefaultContent"]["Template"]["TemplateName"]
            return {"Status": "TEMPLATE_NOT_FOUND", "Error": f"Template {name} does not exist."}
        if not self.production and not self._vouched(to):
            return {"Status": "MESSAGE_REJECTED", "Error": f"{_NOT_VERIFIED}: {to}"}
        headers, tags = _named(entry, "ReplacementHeaders"), _named(entry, "ReplacementTags")
        if problem := _entry_problem(headers, tags):
            return {"Status": "INVALID_PARAMETER", "Error": problem}
        data = (
            entry.get("ReplacementEmailContent", {}).get("ReplacementTemplate", {}).get("ReplacementTemplateData", "{}")
        )
        try:
            read_data(data)
        except RenderingError as error:
            return {"Status": "INVALID_PARAMETER", "Error": str(error)}
        ses_id = self._new_id()
        replies = {"Reply-To": ", ".join(body["ReplyToAddresses"])} if body.get("ReplyToAddresses") else {}
        try:
            parts = render(template, data, self.mangle)
            raw = mime(parts, {"From": body["FromEmailAddress"], "To": to, **replies, **headers}, files)
        except (RenderingError, ValueError):
            # It has said yes before it renders; who listens hears of a "Rendering Failure".
            self.rendering_failures.append(ses_id)
            failure = ("Rendering Failure", {"errorMessage": "a variable is missing", "templateName": "?"})
            self._tell([failure], to, ses_id, tags, body)
            return {"Status": "SUCCESS", "MessageId": ses_id}
        self._put(to, ses_id, read_mail(raw), tags, body.get("ConfigurationSetName"), "SendBulkEmail")
        self._tell(events_for(to), to, ses_id, tags, body)
        return {"Status": "SUCCESS", "MessageId": ses_id}

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
        ses_id = self._new_id()
        tags = _named(body, "EmailTags")
        for address in to:
            self._put(address, ses_id, mail, tags, body.get("ConfigurationSetName"), "SendEmail")
            self._tell(events_for(address), address, ses_id, tags, body)
        return Response.of({"MessageId": ses_id})

    def _tell(self, events: Sequence[Event], to: str, ses_id: str, tags: dict[str, str], body: dict[str, Any]) -> None:
        """Publish what becomes of a mail, one after the other, if its configuration set does."""
        configuration_set = body.get("ConfigurationSetName")
        self.exports.note(ses_id, to, tags, events, self.clock.now_ms() / 1000)
        if self.publish is None or configuration_set is None:
            return
        sender = str(body.get("FromEmailAddress") or "")
        said: list[tuple[str, Mapping[str, Any], int]] = []
        for i, event in enumerate(events, start=1):
            at_ms = self.clock.now_ms() + i * 1000
            detail = as_published(event, to, sender, ses_id, tags, configuration_set, at_ms)
            said.append((DETAIL_TYPES[event[0]], detail, i))
        together = getattr(self._call, "said", None)
        if together is None:
            self.publish("aws.ses", said)
        else:
            together += said

    def _new_id(self) -> str:
        """An id of the form of SES's own."""
        return f"0100019{int(time.time() * 1000):09x}-{next(self._serial):08x}-000000"

    def _put(
        self, to: str, ses_id: str, mail: dict[str, Any], tags: dict[str, str], configuration_set: str | None, by: str
    ) -> None:
        data = {**mail, "tags": tags, "configuration_set": configuration_set, "operation": by}
        self.outbox.put(Delivery(self.provider, to, ses_id, data, message_id=_our_id(mail, tags)))

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
        signs = bool(self.tokens) and "@" not in identity
        dkim = {"SigningEnabled": signs, "Status": "SUCCESS" if signs else "NOT_STARTED", "Tokens": list(self.tokens)}
        envelope = {"MailFromDomain": self.mail_from} if self.mail_from else {}
        return Response.of(
            {
                "IdentityType": "EMAIL_ADDRESS" if "@" in identity else "DOMAIN",
                "VerificationStatus": "SUCCESS" if verified else "PENDING",
                "VerifiedForSendingStatus": verified,
                "DkimAttributes": {**dkim, "SigningAttributesOrigin": "AWS_SES"},
                "MailFromAttributes": {**envelope, "BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
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


def _named(holder: Mapping[str, Any], what: str) -> dict[str, str]:
    """Tags or headers by name."""
    return {str(each["Name"]): str(each["Value"]) for each in holder.get(what, [])}


def _entry_problem(headers: Mapping[str, str], tags: Mapping[str, str]) -> str | None:
    """What is wrong with the headers or tags of a recipient."""
    if len(headers) > _MOST_HEADERS or not all(_HEADER.fullmatch(f"{name}:{value}") for name, value in headers.items()):
        return "Invalid header"
    return None if all(map(_TAG.fullmatch, (*tags, *tags.values()))) else "Invalid tag"


def _our_id(mail: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    return tags.get("mepush_message_id") or str(mail["message_id"])


def _error(code: str, text: str) -> Response:
    return Response.of({"message": text}, _STATUS.get(code, 400), **{"x-amzn-ErrorType": code})
