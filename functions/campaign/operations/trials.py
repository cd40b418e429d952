"""Tests of a campaign: its message to some addresses, before anybody else gets it.

A test belongs to no run. It takes the way of any message, and a test key's is played as any of its messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from functions.campaign.operations.sampling import Sampler
from functions.campaign.operations.views import load_campaign
from functions.campaign.run.variants import Resolved, resolve
from shared.acceptance.addresses import Seals
from shared.acceptance.packing import RecipientTooLargeError, check_sizes, pack
from shared.acceptance.telling import Acceptance, accepted_record
from shared.api.campaigns import TestMessage, TestSend, TestSent
from shared.api.kit import Call, Caller, OperationFunction
from shared.aws.queue import Dispatch
from shared.errors import ConflictError, FieldError, invalid, invalid_field, not_found
from shared.model.campaigns import Campaign
from shared.model.clock import Clock
from shared.model.envelope import MAX_BYTES, Envelope, EnvelopeRecipient
from shared.model.events import StreamRecord
from shared.model.ids import ULID_LENGTH, Numbering, Tagger, new_base
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.tenants import Tenant
from shared.model.variables import check_variables
from shared.model.words import Channel, KeyKind
from shared.policy.admission import Gate, RefusedError
from shared.policy.ttl import ttl_seconds
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Testing:
    """The operation `test_campaign`."""

    catalog: Catalog
    campaigns: Campaigns
    sampler: Sampler
    acceptance: Acceptance
    clock: Clock
    seals: Seals

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {"test_campaign": self.test}

    def test(self, call: Call) -> TestSent:
        """Send one message per address and variant.

        Raises: ForbiddenError, NotFoundError, ConflictError, InvalidError, UnavailableError.
        """
        body: TestSend = call.body
        campaign = load_campaign(self.campaigns, call).value
        if campaign.archived:
            raise ConflictError(f"The campaign `{campaign.id}` is archived, and sends nothing any more. Make another.")
        variants, errors = resolve(self.catalog, campaign.tenant, campaign.variants)
        if errors:
            raise invalid(errors, "The campaign cannot be sent as it is.")
        tenant = self.catalog.tenant(campaign.tenant)
        if tenant is None:
            raise not_found("campaign")
        variables = self._variables(campaign, variants, body.variables, tenant, call.caller)
        gate = self._gate(call.caller, tenant, variants[0].template.channel)
        messages, dispatches = self._plan(body.to, campaign, variants, variables, tenant, gate, call.caller)
        return TestSent(messages=self._carry_out(messages, dispatches))

    def _variables(
        self,
        campaign: Campaign,
        variants: Sequence[Resolved],
        given: Mapping[str, Any],
        tenant: Tenant,
        caller: Caller,
    ) -> list[dict[str, Any]]:
        """The variables for each variant. Raises: InvalidError naming each that is missing or superfluous."""
        if problem := check_variables(given):
            raise invalid_field("variables", problem)
        used = {name for one in variants for name in one.placeholders}
        message = "no template of the campaign uses the variable `{}`; leave it out"
        errors = [
            FieldError(field=f"variables.{name}", message=message.format(name))
            for name in sorted(given)
            if name not in used
        ]
        shared = _present({**campaign.variables, **given})
        sample, found = self.sampler.sample(campaign, caller.kind), []
        for one in variants:
            own = sample.variables(campaign, one, tenant, shared)
            # As in a run a row's own comes before what all have in common; what is given here before both.
            values = {**campaign.variables, **(own or {}), **given}
            found.append({name: value for name, value in _present(values).items() if name in one.placeholders})
            why = sample.problem or "the first rows of the audience file have none that could be sent"
            errors += [
                FieldError(field=f"variables.{name}", message=f"the variable `{name}` is missing: give it; {why}")
                for name in sorted({*one.version.required} - found[-1].keys())
                if f"variables.{name}" not in (error.field for error in errors)
            ]
        if errors:
            raise invalid(errors, "Variables do not fit the campaign's templates.")
        return found

    def _gate(self, caller: Caller, tenant: Tenant, channel: Channel) -> Gate:
        team = self.catalog.fresh.team(caller.key_id, caller.kind)
        countries = self.catalog.fresh.settings(tenant.id).countries if channel is Channel.SMS else ()
        return Gate(tenant.region, team, frozenset(countries))

    def _plan(
        self,
        to: Sequence[str],
        campaign: Campaign,
        variants: Sequence[Resolved],
        variables: Sequence[dict[str, Any]],
        tenant: Tenant,
        gate: Gate,
        caller: Caller,
    ) -> tuple[list[TestMessage], list[Dispatch]]:
        """What callers are told if all can be queued, and an envelope for each message. Raises: InvalidError."""
        base, now = new_base(self.clock.now_ms()), self.clock.now_ms()
        number, channel = Numbering(base), variants[0].template.channel
        tagger = Tagger(tenant.salt, channel)
        messages: list[TestMessage] = []
        dispatches: list[Dispatch] = []
        for raw in to:
            try:
                address, problem = gate.admit("to", channel, raw), None
            except RefusedError as refused:
                address, problem = "", refused.detail
            for one, values in zip(variants, variables, strict=True):
                id = None
                if problem is None:
                    recipient = EnvelopeRecipient(len(dispatches), address, tagger(address))
                    header = _header(campaign, one, values, base, caller.kind, now)
                    dispatches.append(_packed(header, recipient, number))
                    id = dispatches[-1].envelope.id + recipient.tag
                messages.append(TestMessage(to=raw, variant=one.variant.name, message_id=id, problem=problem))
        return messages, dispatches

    def _carry_out(self, messages: list[TestMessage], dispatches: Sequence[Dispatch]) -> list[TestMessage]:
        """Queue envelopes, then tell the trace. Raises: NotQueuedError if nothing could be queued."""

        def records(failed: set[str]) -> list[StreamRecord]:
            return [
                accepted_record(each, self.seals.of(each.envelope.tenant))
                for each in dispatches
                if each.envelope.id not in failed
            ]

        failed = self.acceptance.carry_out(dispatches, records, "Send the request again.") if dispatches else set()
        problem = " ".join(EXPLANATIONS[Reason.NOT_QUEUED])
        return [
            each.model_copy(update={"message_id": None, "problem": problem})
            if each.message_id is not None and each.message_id[:ULID_LENGTH] in failed
            else each
            for each in messages
        ]


def _header(
    campaign: Campaign, one: Resolved, values: dict[str, Any], request: str, kind: KeyKind, now: int
) -> Envelope:
    """What the envelope of a message has besides its recipient."""
    return Envelope(
        id="",
        tenant=campaign.tenant,
        channel=one.template.channel,
        message_class=one.template.message_class,
        template=one.template.id,
        version=one.version.version,
        request=request,
        kind=kind,
        reference=f"test of {campaign.id}",
        accepted_at=now,
        expires_at=now + 1000 * ttl_seconds(campaign.ttl, one.template),
        variables=values,
        recipients=[],
    )


def _packed(header: Envelope, recipient: EnvelopeRecipient, number: Numbering) -> Dispatch:
    """The envelope of one message. Raises: InvalidError if its variables are too large for any."""
    [dispatch] = pack(header, [recipient], number)
    try:
        check_sizes([dispatch], header.request)
    except RecipientTooLargeError as error:
        message = f"with the campaign's own they make a message of {error.size:,} bytes, more than {MAX_BYTES:,}"
        raise invalid_field("variables", message) from None
    return dispatch


def _present(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in variables.items() if value is not None}
