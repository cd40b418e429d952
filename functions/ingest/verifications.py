"""Starts verifications: `POST /v1/verifications`. The order: validate, claim, keep the verification, queue."""

from functools import partial
from typing import Final

from msgspec import Struct

from functions.ingest.carrying import Carrying
from functions.ingest.fallback import steps
from functions.ingest.guard import PumpingGuard
from functions.ingest.service import Ingest, idempotency_key
from shared.api.kit import Call
from shared.api.messages import FallbackIn, SendRequest, SendResponse
from shared.api.verifications import VerificationDetail, VerificationStart, VerificationStarted
from shared.errors import FieldError, InvalidError, LostError, TooManyError, invalid, invalid_field
from shared.model.accounts import UnitFee
from shared.model.clock import Clock, iso
from shared.model.ids import Tagger
from shared.model.phones import takes_texts
from shared.model.templates import Template
from shared.model.tenants import Tenant
from shared.model.verifications import Address, Proof, State, Verification
from shared.model.words import Channel, KeyKind, MessageClass
from shared.policy.admission import Gate, RefusedError
from shared.policy.caps import since
from shared.policy.resolve import resolve
from shared.policy.verifying import (
    CODE,
    MINUTE_MS,
    MINUTES,
    USUAL_LENGTH,
    Allowed,
    TooOftenError,
    Wanted,
    bound_to,
    carrying,
    start,
)
from shared.store.catalog import Catalog
from shared.store.verifications import Verifications

ROUNDS: Final = 10
"""How often a start that others were faster than is tried."""


class Starting(Struct, frozen=True):
    """The operation `start_verification`."""

    ingest: Ingest
    catalog: Catalog
    verifications: Verifications
    clock: Clock
    guard: PumpingGuard

    def start_verification(self, call: Call) -> VerificationStarted:
        """Send a code, or the same one again. Raises: PlatformError."""
        body: VerificationStart = call.body
        tenant = self.catalog.tenant(call.caller.tenant)
        first = self._template(call.caller.tenant, body)
        if tenant is None:
            raise invalid_field("template", f"there is no template `{body.template}`")
        tag = self._tag(tenant, first.channel, body.to)
        template, to, fallback = self._road(body, first)
        kept = _Kept(self, body, tenant, first, template, tag, call.caller.kind.value)
        kept.number = self._number(tenant, template, to, fallback)
        if template is not first:
            kept.message_tag = self._tag(tenant, template.channel, to)
        sent = self._accept(call, _request(body, template, to, fallback), kept)
        message_id = sent.messages[0]["message_id"]
        found = kept.found or carrying(self.verifications.load(tenant.id, tag), message_id)
        if found is None:  # it was accepted under its key days ago
            raise LostError
        view = VerificationDetail.of(found, self.clock.now_ms())
        return VerificationStarted(**dict(view), message_id=message_id, request_id=sent.request_id)

    def _accept(self, call: Call, request: SendRequest, kept: "_Kept") -> SendResponse:
        try:
            return self.ingest.accept(call.caller, request, call.raw_body, idempotency_key(call, request), kept)
        except InvalidError as error:
            # Of the recipients of a request there is one, which callers have not heard of.
            errors = [FieldError(each.field.removeprefix("recipients.0."), each.message) for each in error.errors]
            raise invalid(errors, error.detail) from None

    def _template(self, tenant: str, body: VerificationStart) -> Template:
        """The template that is sent, by the recipient's language. Raises: InvalidError."""
        for name in _names(body.template, body.locale):
            found = self.catalog.template(tenant, name)
            if found is not None and not (found.archived and name != body.template):
                break
        else:
            raise invalid_field("template", f"there is no template `{body.template}`")
        if found.message_class is not MessageClass.VERIFICATION:
            message = f"the template `{found.id}` is of the class `{found.message_class}`; use one of `verification`"
            raise invalid_field("template", message)
        self._check_length(found, body.length)
        return found

    def _check_length(self, template: Template, length: int) -> None:
        if length <= USUAL_LENGTH:
            return
        # Few ask for more, and what vendors declare takes its time to import.
        from shared.providers.table import PROVIDERS

        accounts = (self.catalog.account(template.tenant, id) for id in template.accounts)
        for spec in (PROVIDERS.get(account.provider) for account in accounts if account is not None):
            if spec is not None and spec.code_digits is not None and length > spec.code_digits:
                message = f"the provider `{spec.name}` takes codes of at most {spec.code_digits} digits"
                raise invalid_field("length", message)

    @staticmethod
    def _tag(tenant: Tenant, channel: Channel, to: str) -> str:
        try:
            # Whether it may be sent to is asked by whoever accepts the message.
            address = Gate(tenant.region, None, frozenset()).canonical("to", channel.value, to)
        except RefusedError as refused:
            raise invalid_field("to", refused.detail) from None
        return Tagger(tenant.salt, channel.value)(address)

    @staticmethod
    def _number(tenant: Tenant, template: Template, to: str, fallback: FallbackIn | None) -> str | None:
        """The number that gets a text, or may get one by a fallback; None for none, or for none that is valid."""
        given = to if template.channel is Channel.SMS else (fallback or {}).get(Channel.SMS.value)
        if not isinstance(given, str):
            return None
        try:
            return Gate(tenant.region, None, frozenset()).canonical("to", Channel.SMS.value, given)
        except RefusedError:
            return None  # whoever accepts the message says so

    def fees(self, template: Template) -> list[UnitFee]:
        """What people say that a template's texts cost."""
        accounts = (self.catalog.account(template.tenant, id) for id in template.accounts)
        return [account.fee for account in accounts if account is not None and account.fee is not None]

    def _road(self, body: VerificationStart, first: Template) -> tuple[Template, str, FallbackIn | None]:
        """The template that is sent, the address, and those to which it may fall back. Raises: InvalidError."""
        if body.channel is None or body.channel is first.channel:
            return first, body.to, body.fallback
        for step in steps(self.catalog, first):
            if step.template.channel is body.channel:
                break
        else:
            message = (
                f"the template `{first.id}` does not fall back to `{body.channel}`: leave it out, or have it do so"
            )
            raise invalid_field("channel", message)
        address = (body.fallback or {}).get(body.channel.value)
        if not isinstance(address, str):
            raise invalid_field(f"fallback.{body.channel}", "give the address to send to")
        return step.template, address, body.fallback


class _Kept(Carrying):
    """Keeps what is sent: which verification it is of is known once that is written."""

    def __init__(
        self,
        parts: Starting,
        body: VerificationStart,
        tenant: Tenant,
        first: Template,
        sent: Template,
        tag: str,
        kind: str,
    ) -> None:
        self._parts, self._body, self._tenant = parts, body, tenant
        self._first, self._sent, self._tag, self._kind = first, sent, tag, kind
        self.message_tag = tag
        self.meaning = body
        self.found: Verification | None = None
        self.number: str | None = None
        """Of the text, in E.164, if it is one or may be."""
        self._prefix: str | None = None
        self._admitted = False

    supplied = frozenset({CODE, MINUTES})
    needed = frozenset({CODE})

    def keep(self, base: str, version: int) -> Proof:
        """Raises: TooManyError, LostError."""
        store, tenant = self._parts.verifications, self._tenant.id
        message_id = base + self.message_tag
        for _ in range(ROUNDS):
            before = store.load(tenant, self._tag)
            self.found = carrying(before, message_id)
            if self.found is not None:
                return self.found.proof
            try:
                now = self._parts.clock.now_ms()
                allowed = self._allowed(now)
                start(before, self._wanted(base, version), now, allowed)
                self._admit(before)
                after = start(before, self._wanted(base, version), now, allowed)
                store.save(tenant, self._tag, before, after)
            except TooOftenError as error:
                raise _too_many(error, self._parts.clock.now_ms()) from None
            except LostError:
                continue
            self.found = after.verifications[-1]
            return self.found.proof
        raise LostError

    def _admit(self, before: Address) -> None:
        """Ask the guard against SMS pumping, once. Raises: TooManyError, ForbiddenError, NotCountedError."""
        if self.number is None or self._admitted or self._kind == KeyKind.TEST:
            return
        bind, known = self._bind(), any(each.state is State.APPROVED for each in before.verifications)
        guard, tenant = self._parts.guard, self._tenant.id
        fees = partial(self._parts.fees, self._sent)
        self._prefix = guard.admit(tenant, self.number, known=known, bind=bind, fees=fees)
        self._admitted = True

    def _bind(self) -> str | None:
        bind = self._body.bind
        return None if bind is None else bound_to(self._tenant.salt, bind)

    def _wanted(self, base: str, version: int) -> Wanted:
        body = self._body
        return Wanted(
            id=base + self._tag,
            message_id=base + self.message_tag,
            purpose=body.purpose,
            template=self._sent.id,
            version=version,
            channel=self._first.channel.value,
            kind=self._kind,
            length=body.length,
            minutes=body.valid_minutes,
            bind=self._bind(),
            prefix=self._prefix,
            country=None if self.number is None else takes_texts(self.number)[0],
        )

    def _allowed(self, now: int) -> Allowed:
        first, tenant = self._first, self._tenant
        settings = self._parts.catalog.settings(tenant.id)
        cap = resolve(settings, first, first.channel, first.message_class).cap
        if cap is None or not cap.count:
            return Allowed(0, now, None)
        window = None if cap.minutes is None else cap.minutes * MINUTE_MS
        return Allowed(cap.count, since(cap, now, settings.time_zone or tenant.time_zone), window)


def _names(template: str, locale: str | None) -> list[str]:
    """The templates that may be meant, the best first."""
    parts = (locale or "").lower().split("-") if locale else []
    return [*("-".join([template, *parts[:n]]) for n in range(len(parts), 0, -1)), template]


def _request(body: VerificationStart, template: Template, to: str, fallback: FallbackIn | None) -> SendRequest:
    given = {name: address for name, address in (fallback or {}).items() if name != template.channel}
    recipient = {"to": to, **({"fallback": given} if given else {})}
    return SendRequest(
        template=template.id,
        recipients=[recipient],
        variables=body.variables,
        # A code that comes after its time is of no use to anybody.
        ttl=body.valid_minutes * 60,
        reference=body.reference,
    )


def _too_many(error: TooOftenError, now: int) -> TooManyError:
    seconds = max(1, -(-(error.until - now) // 1000))
    why = (
        "Too many wrong codes were entered for this address within a day"
        if error.locked
        else "This address has been sent as many codes as the cap of the class `verification` allows"
    )
    return TooManyError(f"{why}, so none was sent. Start again at {iso(error.until)}.", retry_after_s=seconds)
