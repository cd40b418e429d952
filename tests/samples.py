"""Sample domain objects that tests share."""

from typing import Any

from shared.model.audit import AuditRecord, record_change
from shared.model.content import Content, EmailContent, SmsContent
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.ids import Numbering, Tagger, derived_base
from shared.model.keys import ApiKey
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant
from shared.model.words import Channel, KeyKind, MessageClass, Scope
from shared.rendering.render import analyse

NOW = 1_736_935_200_000
REQUEST = derived_base(NOW, "request")
TENANT = Tenant(id="default", salt=b"c2FsdHNhbHRzYWx0c2FsdA==", created_at=NOW)
EMAIL = EmailContent(subject="Hello {{ name }}", html="<p>Hello <b>{{ name }}</b></p>", text="Hello {{ name }}")
SMS = SmsContent(text="Your code is {{ code }}")


def recipients(count: int, channel: str = "email", **variables: Any) -> list[EnvelopeRecipient]:
    """That many recipients with tags."""
    tagger = Tagger(TENANT.salt, channel)
    pattern = "u{}@example.com" if channel == "email" else "+8613800{:06d}"
    address = pattern.format
    return [EnvelopeRecipient(i, address(i), tagger(address(i)), variables or {"name": f"n{i}"}) for i in range(count)]


def envelope(count: int = 1, channel: Channel = Channel.EMAIL, start: int = 0, **changes: Any) -> Envelope:
    """A root envelope of the template `welcome`, accepted now."""
    values: dict[str, Any] = {
        "id": Numbering(REQUEST)(start),
        "tenant": TENANT.id,
        "channel": channel,
        "message_class": MessageClass.NOTIFICATION,
        "template": "welcome",
        "version": 1,
        "request": REQUEST,
        "accepted_at": NOW,
        "expires_at": NOW + 3 * 86_400_000,
        "recipients": recipients(count, channel.value),
    }
    return Envelope(**values | changes)


def template(content: Content = EMAIL, **changes: Any) -> tuple[Template, TemplateVersion]:
    """The published template `welcome` and its version."""
    found = analyse(content)
    channel = Channel.EMAIL if content.type == "email" else Channel.SMS if content.type == "sms" else Channel.WECOM
    head: dict[str, Any] = {
        "id": "welcome",
        "tenant": TENANT.id,
        "name": "Welcome",
        "channel": channel,
        "message_class": MessageClass.NOTIFICATION,
        "accounts": ["main"],
        "latest": 1,
        "published": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    version = TemplateVersion(
        template="welcome",
        version=1,
        content=content,
        required=found.required,
        optional=found.optional,
        loops=found.loops,
        created_at=NOW,
        published_at=NOW,
    )
    return Template(**head | changes), version


def change() -> AuditRecord:
    """The record of a change, for tests that change the catalog directly; another one each time."""
    return record_change(NOW, TENANT.id, "k1", "test", "test", None, None)


def api_key(id: str, lineage: list[str]) -> ApiKey:
    """A live key that descends from others."""
    return ApiKey(
        id=id,
        tenant="default",
        name=id,
        kind=KeyKind.LIVE,
        scopes=list(Scope),
        hash="0" * 64,
        created_at=0,
        lineage=lineage,
    )
