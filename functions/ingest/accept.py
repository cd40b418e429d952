"""Plans a request: who is accepted, who is rejected and why, and the envelopes to queue. Pure: no I/O.

The same request with the same base and template version always yields the same plan.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from functions.ingest.attachments import Files, attach
from functions.ingest.carrying import Carrying
from functions.ingest.fallback import Addresses, Step, by_legs
from functions.ingest.texts import Grant, Seats
from shared.acceptance.packing import RecipientTooLargeError, check_sizes, pack
from shared.acceptance.telling import accepted_record
from shared.api.messages import MessageOut, RecipientIn, SendRequest
from shared.aws.queue import Dispatch
from shared.errors import FieldError, invalid
from shared.model.address import mask
from shared.model.envelope import MAX_BYTES, MAX_RECIPIENTS, Envelope, EnvelopeRecipient
from shared.model.events import EventRow, Seal, StreamRecord
from shared.model.ids import Numbering, Tagger, ulid_time
from shared.model.reasons import Reason
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant
from shared.model.variables import check_variables, not_finite
from shared.model.verifications import Proof
from shared.model.words import Channel, KeyKind, Stage
from shared.policy.admission import Gate, RefusedError
from shared.policy.fallback import expires_at
from shared.policy.ttl import ttl_seconds
from shared.policy.variables import VariableRules

MAX_ERRORS = 50


class Context(Struct, frozen=True):
    """What a plan depends on besides the request."""

    tenant: Tenant
    template: Template
    version: TemplateVersion
    kind: KeyKind
    base: str
    team: frozenset[str] | None = None
    """For team keys, the addresses allowed, as `channel:address`."""
    files: Files = field(default_factory=dict)
    """Those that the request names and that are there."""
    steps: Sequence[Step] = ()
    """The templates to which this one falls back, one after the other."""
    new: bool = True
    """No earlier request was accepted under the same key."""
    countries: frozenset[str] = frozenset()
    """To whose numbers texts may go; without any, see `Gate`."""
    carrying: Carrying | None = None
    """What its message carries beside what the caller gave."""
    proof: Proof | None = None
    """The verification that it carries, once it is kept."""
    grant: Grant | None = None
    """The places for texts that the request has got; None as long as it needs to know how many it takes."""
    seal: Seal | None = None
    """What seals addresses, if they are kept."""


class Plan(Struct):
    """What to do for a request."""

    base: str
    due_at: int | None
    """When they are due, if not now."""
    seats: Seats
    """How many texts it may come to."""
    dispatches: list[Dispatch] = field(default_factory=list)
    """With their bodies, in order."""
    messages: list[MessageOut] = field(default_factory=list)
    """The result per recipient, as if everything can be queued."""
    rejected: StreamRecord | None = None
    seal: Seal | None = None

    def records(self, failed: set[str]) -> list[StreamRecord]:
        """The stream records of this plan, less the envelopes that could not be queued."""
        kept = [accepted_record(each, self.seal) for each in self.dispatches if each.envelope.id not in failed]
        return kept if self.rejected is None else [*kept, self.rejected]


def plan(request: SendRequest, context: Context) -> Plan:
    """Plan a request. Raises: InvalidError naming each variable that is missing or superfluous."""
    recipients: Sequence[RecipientIn] = request.recipients or [{"to": request.to or ""}]
    _check_variables(request, recipients, context)
    accepted_at = ulid_time(context.base)
    due_at = None
    if request.send_at is not None:
        due_at = max(int(request.send_at.timestamp() * 1000), accepted_at)
    result = Plan(context.base, due_at if due_at != accepted_at else None, Seats(context.tenant.region, context.grant))
    result.seal = context.seal
    accepted = _sort_out(request, recipients, context, result)
    if not accepted:
        raise _nobody_left(request, result)
    begins_at = due_at or accepted_at
    ends_at = begins_at + 1000 * ttl_seconds(request.ttl, context.template)
    header = Envelope(
        id="",
        tenant=context.tenant.id,
        channel=context.template.channel,
        message_class=context.template.message_class,
        template=context.template.id,
        version=context.version.version,
        request=context.base,
        kind=context.kind,
        reference=request.reference,
        accepted_at=accepted_at,
        expires_at=ends_at,
        variables=request.variables,
        proof=context.proof,
        attachments=attach(request.attachments, context.files, context.version.content, ends_at),
        recipients=[],
    )
    number = Numbering(context.base)
    for legs, members in by_legs(accepted, context.steps, ends_at):
        alike = replace(header, fallback=legs, expires_at=expires_at(legs, begins_at, ends_at)) if legs else header
        for start in range(0, len(members), MAX_RECIPIENTS):
            recipients_of_one = [recipient for _, recipient in members[start : start + MAX_RECIPIENTS]]
            _pack(alike, recipients_of_one, number, request, result)
    return result


def _field(request: SendRequest, index: int, name: str) -> str:
    """The path of a recipient's field in the form the caller used."""
    return name if request.recipients is None else f"recipients.{index}.{name}"


def _check_variables(request: SendRequest, recipients: Sequence[RecipientIn], context: Context) -> None:
    version, shared = context.version, request.variables
    supplied = _supplied(context)
    # A pinned version may know fewer variables than the templates to which it falls back. What was accepted before
    # stays so, though these need others by now.
    needed = [name for step in context.steps for name in step.version.required]
    required, optional = (needed, []) if context.new else ([], needed)
    names = ([name for name in some if name not in supplied] for some in (version.required, required))
    others = ([name for name in some if name not in supplied] for some in (version.optional, optional))
    rules = VariableRules([*chain(*names)], [*chain(*others)], shared)
    errors = [
        FieldError(
            field=f"variables.{name}", message=f"the variable `{name}` is not used by the template; leave it out"
        )
        for name in rules.superfluous(shared)
    ]
    nothing: dict[str, Any] = {}
    for index, recipient in enumerate(recipients):
        own = recipient.get("variables", nothing)
        if not rules.fits(own):
            for name, wrong in rules.problems(own):
                path = f"variables.{name}" if request.recipients is None else f"recipients.{index}.variables.{name}"
                errors.append(FieldError(field=path, message=f"the variable `{name}` {wrong} (recipient {index})"))
            if len(errors) >= MAX_ERRORS:
                break
    if version.loops or errors or any(step.version.loops for step in context.steps):
        errors += _wrong(request, recipients, check_variables)
    if errors:
        raise invalid(errors[:MAX_ERRORS], "Variables do not fit the template.")


def _supplied(context: Context) -> frozenset[str]:
    """The variables that the platform fills in. Raises: InvalidError if a template does not show what it must."""
    carrying = context.carrying
    if carrying is None:
        return frozenset()
    for found in (context.version, *(step.version for step in context.steps)):
        if missing := sorted(carrying.needed - {*found.required, *found.optional}):
            message = (
                f"the template `{found.template}` does not show {{{{ {missing[0]} }}}}; publish a version that does"
            )
            raise invalid([FieldError(field="template", message=message)])
    return carrying.supplied


def _wrong(
    request: SendRequest, recipients: Sequence[RecipientIn], problem_of: Callable[[Mapping[str, Any]], str | None]
) -> list[FieldError]:
    """The variables in which there is a problem: the request's own, and those of each recipient."""
    errors = []
    if problem := problem_of(request.variables):
        errors.append(FieldError(field="variables", message=problem))
    for index, recipient in enumerate(recipients):
        if problem := problem_of(recipient.get("variables", {})):
            errors.append(FieldError(field=_field(request, index, "variables"), message=problem))
    return errors


Accepted = tuple[int, EnvelopeRecipient]


def _sort_out(
    request: SendRequest, recipients: Sequence[RecipientIn], context: Context, result: Plan
) -> list[Accepted]:
    """Number and tag every recipient; returns the accepted ones and notes all results."""
    channel = context.template.channel.value
    number, tagger = Numbering(context.base), Tagger(context.tenant.salt, channel)
    gate = Gate(context.tenant.region, context.team, context.countries)
    others = Addresses(context.steps, context.tenant, gate) if context.steps else None
    accepted: list[Accepted] = []
    rejected: list[EventRow] = []
    at = ulid_time(context.base)
    for index, recipient in enumerate(recipients):
        tag, to, also = None, None, None
        try:
            to = gate.admit("to", channel, recipient["to"])
            tag = tagger(to)
            if others is not None and (given := recipient.get("fallback")):
                also = others.read(given)
            _take_seat(channel, to, also, result.seats)
        except RefusedError as refused:
            tag = tag or tagger(refused.address)
            field = _field(request, index, refused.field)
            result.messages.append(_rejection(index, number(index) + tag, field, refused.reason, refused.detail))
            row = EventRow(index=index, tag=tag, stage=Stage.REJECTED, nth=0, at=at, reason=refused.reason)
            to = _well_formed(to, refused)
            if to is not None:
                row.masked_address = mask(channel, to)
                row.sealed_address = context.seal and context.seal(number(index) + tag, to)
            rejected.append(row)
            continue
        result.messages.append({"index": index, "message_id": number(index) + tag, "status": "accepted"})
        accepted.append((index, _entry(index, to, tag, recipient, also)))
    if rejected:
        for row in rejected:
            if reference := recipients[row.index].get("reference"):
                row.reference = reference
        result.rejected = _rejected(request, context, rejected)
    return accepted


def _well_formed(to: str | None, refused: RefusedError) -> str | None:
    """The address of a rejected recipient, if it is one: of what is none, nothing is kept."""
    if to is not None or refused.field != "to":
        return to
    return None if refused.reason is Reason.ADDRESS_INVALID else refused.address


def _take_seat(channel: str, to: str, also: dict[str, tuple[str, str]] | None, seats: Seats) -> None:
    """A place for the text that a recipient gets, or may get by a fallback. Raises: RefusedError."""
    if channel == Channel.SMS:
        seats.take("to", to)
    elif also and Channel.SMS in also:
        seats.take(f"fallback.{Channel.SMS}", also[Channel.SMS][0])


def _entry(
    index: int, to: str, tag: str, recipient: RecipientIn, also: dict[str, tuple[str, str]] | None
) -> EnvelopeRecipient:
    """A recipient as an envelope has it."""
    return EnvelopeRecipient(
        index,
        to,
        tag,
        recipient.get("variables") or {},
        recipient.get("reference") or None,
        recipient.get("time_zone") or None,
        also or {},
    )


def _rejected(request: SendRequest, context: Context, rows: list[EventRow]) -> StreamRecord:
    """A record of rejected recipients. No envelope carries them: they count from the request's base."""
    return StreamRecord(
        tenant=context.tenant.id,
        envelope=context.base,
        channel=context.template.channel,
        message_class=context.template.message_class,
        template=context.template.id,
        version=context.version.version,
        request=context.base,
        kind=context.kind,
        reference=request.reference,
        events=rows,
    )


def _rejection(index: int, message_id: str, field: str, reason: Reason, detail: str) -> MessageOut:
    return {
        "index": index,
        "message_id": message_id,
        "status": "rejected",
        "field": field,
        "reason": reason,
        "detail": detail,
    }


def _nobody_left(request: SendRequest, result: Plan) -> Exception:
    errors = [FieldError(field=m["field"], message=m["detail"]) for m in result.messages[:MAX_ERRORS]]
    return invalid(errors, "No recipient can be accepted.")


def _pack(
    header: Envelope, recipients: list[EnvelopeRecipient], number: Numbering, request: SendRequest, result: Plan
) -> None:
    """Pack up to 100 recipients. Raises: InvalidError for variables that are too large, or hold no finite number."""
    found = list(pack(header, recipients, number, result.due_at))
    try:
        check_sizes(found, result.base)
    except RecipientTooLargeError as error:
        message = (
            f"recipient {error.index}: shared and own variables make a message of {error.size:,} bytes, more than "
            f"{MAX_BYTES:,} (JSON in UTF-8: a Chinese character takes 3, an emoji 4)"
        )
        raise invalid([FieldError(field=_field(request, error.index, "variables"), message=message)]) from None
    # So a number like 1e999 is written, which is none to JSON; it may also be the caller's own null, or in a text.
    if any("null" in each.body for each in found) and (errors := _wrong(request, request.recipients or (), not_finite)):
        raise invalid(errors[:MAX_ERRORS], "Variables do not fit the template.")
    result.dispatches += found
