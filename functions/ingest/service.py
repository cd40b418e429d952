"""Accepts requests: resolves the template, claims the ids, queues the envelopes, tells the trace.

Accepted means that SQS (or a schedule) holds it. The order matters: validate, claim, queue, trace, mark done.
"""

import json
from datetime import UTC
from hashlib import blake2b
from typing import NamedTuple

from aws_lambda_powertools import Logger
from msgspec import Struct

from functions.ingest.accept import Context, Plan, plan
from functions.ingest.attachments import Attachments
from functions.ingest.carrying import Carrying
from functions.ingest.fallback import steps
from functions.ingest.texts import Grant, TextLimits, uncounted
from shared.acceptance.addresses import Seals
from shared.acceptance.telling import Acceptance
from shared.api.kit import Call, Caller
from shared.api.messages import SendRequest, SendResponse
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import BusyError, FieldError, PlatformError, RequestError, invalid, invalid_field
from shared.model.clock import Clock
from shared.model.ids import new_base
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.templates import Template
from shared.model.verifications import Proof
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.idempotency import Claim, Fingerprint, Idempotency, Slot

logger = Logger(child=True)

MAX_AHEAD_MS = 365 * 86_400_000
KEY_HEADER = "idempotency-key"
MAX_KEY_LENGTH = 200
_LISTS = frozenset({Reason.NOT_IN_TEAM_LIST, Reason.COUNTRY_NOT_ALLOWED})
"""Reasons to reject a recipient that rest on a list, which may just have been changed."""


class RepeatKey(NamedTuple):
    """What a repeat of a request is known by, for 24 hours."""

    text: str
    field: str
    """Where the caller gave it, for errors."""


class Ingest(Struct, frozen=True):
    """The operation `send_messages`."""

    catalog: Catalog
    idempotency: Idempotency
    acceptance: Acceptance
    clock: Clock
    attachments: Attachments
    limits: TextLimits
    seals: Seals

    def send_messages(self, call: Call) -> SendResponse:
        """Accept a request of the API. Raises: PlatformError."""
        request: SendRequest = call.body
        return self.accept(call.caller, request, call.raw_body, idempotency_key(call, request))

    def accept(
        self,
        caller: Caller,
        request: SendRequest,
        raw: bytes,
        key: RepeatKey | None,
        carrying: Carrying | None = None,
    ) -> SendResponse:
        """Accept a request from wherever it comes. raw: as it came, to tell a repeat from another request.

        carrying: what its one message carries beside; it is kept before anything is queued. Raises: PlatformError.
        """
        _check_send_at(request, self.clock.now_ms())
        try:
            planned, version = self._plan_new(caller, request, carrying)
        except RequestError:
            # What was accepted under this key stays accepted, though the template has changed since.
            earlier = self._earlier(caller, request, raw, key, carrying)
            if earlier is None:
                raise
            # Of its files nothing is in the answer, and they may have ended.
            request = request.model_copy(update={"attachments": []})
            planned, _ = self._plan(
                caller, request, earlier.base, earlier.version, grant=_granted(earlier), carrying=carrying
            )
            return _response(planned, set())
        if key is None:
            planned = self._limited(caller, request, planned, version, None, carrying)
            return self._carry_out(self._kept(caller, request, planned, version, carrying))
        slot = Slot(caller.tenant, caller.kind, key.text)
        claim = self._claim(caller, slot, fingerprint(request, raw, carrying), planned, version)
        _check_claim(claim, key.field)
        if claim.base != planned.base:
            planned, _ = self._plan(
                caller, request, claim.base, claim.version, grant=_granted(claim), carrying=carrying
            )
        if claim.done:
            return _response(planned, set())
        try:
            if claim.grant is None:
                planned = self._limited(caller, request, planned, claim.version, slot, carrying)
            response = self._carry_out(self._kept(caller, request, planned, claim.version, carrying))
        except PlatformError:
            self._finish(slot, done=False)
            raise
        self._finish(slot, done=response.not_queued == 0)
        return response

    def _kept(
        self, caller: Caller, request: SendRequest, planned: Plan, version: int, carrying: Carrying | None
    ) -> Plan:
        """A plan with what its message carries, which is kept now. Raises: PlatformError."""
        if carrying is None:
            return planned
        proof, grant = carrying.keep(planned.base, version), planned.seats.grant
        found, _ = self._plan(caller, request, planned.base, version, grant=grant, carrying=carrying, proof=proof)
        return found

    def _claim(self, caller: Caller, slot: Slot, body: Fingerprint, planned: Plan, version: int) -> Claim:
        """Claim a request, with its places for texts if the process has them: else they are kept by another write."""
        grant = self.limits.at_hand(caller, planned.seats)
        kept = None if grant is None else grant.model_dump_json()
        claim = self.idempotency.claim(slot, body, planned.base, version, kept)
        if grant is not None and claim.base != planned.base:
            self.limits.give_back(caller, grant)
        return claim

    def _earlier(
        self, caller: Caller, request: SendRequest, raw: bytes, key: RepeatKey | None, carrying: Carrying | None
    ) -> Claim | None:
        """The claim of the same request, if it was carried out before."""
        if key is None:
            return None
        slot = Slot(caller.tenant, caller.kind, key.text)
        return self.idempotency.find(slot, fingerprint(request, raw, carrying))

    def _limited(
        self,
        caller: Caller,
        request: SendRequest,
        planned: Plan,
        version: int,
        slot: Slot | None,
        carrying: Carrying | None,
    ) -> Plan:
        """A plan without the texts that the key may not send today. Its places are kept with the claim before anything
        is queued; those of what cannot be queued then, or of a claim that cannot be written, count as spent.

        Raises: InvalidError if nobody is left, NotCountedError if the texts cannot be counted.
        """
        grant = self.limits.grant(caller, planned.seats)
        if grant is None:
            return planned
        if (grant.all, grant.abroad) != (planned.seats.all, planned.seats.abroad):
            planned, _ = self._plan(caller, request, planned.base, version, grant=grant, carrying=carrying)
        if slot is not None:
            try:
                self.idempotency.keep(slot, grant.model_dump_json())
            except AWS_ERRORS as error:
                log_error(logger, "places not kept", error)
                raise uncounted() from None
        return planned

    def _finish(self, slot: Slot, *, done: bool) -> None:
        """Mark the claim. What is queued stays accepted if that fails: a repeat queues it again under the same ids."""
        try:
            self.idempotency.finish(slot, done=done)
        except AWS_ERRORS as error:
            log_error(logger, "claim not marked", error)

    def _plan_new(self, caller: Caller, request: SendRequest, carrying: Carrying | None) -> tuple[Plan, int]:
        """Plan a request. What would be refused by what is remembered is looked at again by what is stored now: who
        has just published a template, or put somebody on a list, need not wait. Raises: PlatformError."""
        base = new_base(self.clock.now_ms())
        try:
            planned, version = self._plan(caller, request, base, None, carrying=carrying)
            if planned.rejected is None or not any(row.reason in _LISTS for row in planned.rejected.events):
                return planned, version
        except RequestError:
            pass
        return self._plan(caller, request, base, None, self.catalog.fresh, carrying=carrying)

    def _plan(
        self,
        caller: Caller,
        request: SendRequest,
        base: str,
        claimed: int | None,
        fresh: Catalog | None = None,
        grant: Grant | None = None,
        carrying: Carrying | None = None,
        proof: Proof | None = None,
    ) -> tuple[Plan, int]:
        """Plan a request with a base; `claimed` is the template version that an earlier claim of it went by,
        `grant` its places for texts, once it has some. fresh: the catalog to read anew, for a second look."""
        catalog = fresh or self.catalog
        tenant = self.catalog.tenant(caller.tenant)
        template = catalog.template(caller.tenant, request.template)
        if tenant is None or template is None:
            raise invalid_field("template", f"there is no template `{request.template}`")
        number = claimed or _version_number(request, template)
        version = self.catalog.version(caller.tenant, template.id, number)
        if fresh is not None and (version is None or version.published_at is None):
            version = fresh.version(caller.tenant, template.id, number)
        if version is None or version.published_at is None:
            raise invalid_field("version", f"version {number} of the template was never published")
        files = self.attachments.find(caller, request.attachments) if template.channel is Channel.EMAIL else {}
        found = steps(catalog, template) if template.fallback is not None else []
        team = catalog.team(caller.key_id, caller.kind)
        texts = Channel.SMS in (template.channel, *(step.template.channel for step in found))
        countries = frozenset(catalog.settings(caller.tenant).countries if texts else ())
        seal, new = self.seals.of(caller.tenant), claimed is None
        context = Context(
            tenant,
            template,
            version,
            caller.kind,
            base,
            team,
            files,
            found,
            new,
            countries,
            carrying,
            proof,
            grant,
            seal,
        )
        return plan(request, context), number

    def _carry_out(self, planned: Plan) -> SendResponse:
        """Queue a plan's envelopes, then tell the trace. Raises: NotQueuedError if nothing could be queued."""
        again = "Send the request again, with the same Idempotency-Key if it had one."
        failed = self.acceptance.carry_out(planned.dispatches, planned.records, again)
        return _response(planned, failed)


def fingerprint(request: SendRequest, raw: bytes, carrying: Carrying | None = None) -> Fingerprint:
    """What a repeat of a request is told by: its meaning, whatever the order of its fields, blanks, or how its time is
    written."""
    if carrying is not None:
        return Fingerprint(_digest(carrying.meaning.model_dump_json().encode()), _digest(raw))
    if request.send_at is not None:
        request = request.model_copy(update={"send_at": request.send_at.astimezone(UTC)})
    meaning = json.dumps(request.model_dump(mode="json"), sort_keys=True).encode()
    return Fingerprint(_digest(meaning), _digest(raw))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def reference_key(request: SendRequest) -> RepeatKey | None:
    """The key of a request that is to be carried out once per reference."""
    if not request.once_per_reference:
        return None
    # Not printable, so that no header can name it.
    return RepeatKey(f"\x1f{request.template}\x1f{request.reference}", "reference")


def idempotency_key(call: Call, request: SendRequest) -> RepeatKey | None:
    """Under which key a repeat of a request gets the same answer, if under any. Raises: InvalidError."""
    key = call.headers.get(KEY_HEADER)
    if key is None:
        return reference_key(request)
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise invalid_field("Idempotency-Key", f"give 1 to {MAX_KEY_LENGTH} printable characters")
    return RepeatKey(key, "Idempotency-Key")


def _granted(claim: Claim) -> Grant | None:
    return None if claim.grant is None else Grant.model_validate_json(claim.grant)


def _check_claim(claim: Claim, field: str) -> None:
    if not claim.same_body:
        message = "was used with another body in the last 24 hours; use a new one"
        raise invalid([FieldError(field=field, message=message)], f"The {field} belongs to another request.")
    if claim.busy:
        raise BusyError(f"A request with this {field} is being carried out; ask again for its answer.")


def _version_number(request: SendRequest, template: Template) -> int:
    if template.archived:
        raise invalid_field("template", f"the template `{template.id}` is archived; use another")
    if request.version is not None:
        return request.version
    if template.published is None:
        raise invalid_field("template", f"the template `{template.id}` has no published version; publish one")
    return template.published


def _check_send_at(request: SendRequest, now_ms: int) -> None:
    if request.send_at is not None and request.send_at.timestamp() * 1000 - now_ms > MAX_AHEAD_MS:
        raise invalid_field("send_at", "is more than 365 days ahead")


def _response(planned: Plan, failed: set[str]) -> SendResponse:
    messages = planned.messages
    for envelope in (each.envelope for each in planned.dispatches):
        if envelope.id in failed:
            offset = _index_of(planned, envelope.id)
            for recipient in envelope.recipients:
                index = offset + recipient.index
                messages[index] = {
                    "index": index,
                    "message_id": messages[index]["message_id"],
                    "status": "not_queued",
                    "reason": Reason.NOT_QUEUED,
                    "detail": " ".join(EXPLANATIONS[Reason.NOT_QUEUED]),
                }
    counts = {"accepted": 0, "rejected": 0, "not_queued": 0}
    for message in messages:
        counts[message["status"]] += 1
    return SendResponse.model_construct(None, request_id=planned.base, messages=messages, **counts)


def _index_of(planned: Plan, envelope_id: str) -> int:
    """Where in the request an envelope's first recipient stands."""
    return next(m["index"] for m in planned.messages if m["message_id"].startswith(envelope_id))
