"""What the benchmarks send: one template, its recipients, and doubles of the stores that keep everything in memory."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.session import Session

from shared.aws.clients import made
from shared.aws.queue import Dispatch
from shared.base.settings import GuardSettings
from shared.base.shared_reads import SharedReads
from shared.dispatch.dispatcher import Dispatcher
from shared.model.accounts import Account
from shared.model.clock import SystemClock
from shared.model.content import EmailContent
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import StreamRecord
from shared.model.ids import Numbering, Tagger, new_base
from shared.model.suppression import SuppressionEntry
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant, TenantSettings
from shared.model.words import Channel, MessageClass
from shared.rendering.render import analyse
from shared.store.ledger import Entry, HeldError
from shared.wiring.dispatch import DispatchParts

HTML = (
    "<html><body><h1>你好 {{ name }}</h1><p>您的订单 {{ order }} 已于今日发货，预计 {{ days }} 天内送达。</p>"
    + "<p>感谢您的信任。如有任何问题，请随时与我们的客服联系，我们将竭诚为您服务。</p>" * 12
    + "</body></html>"
)
TEXT = "你好 {{ name }}，您的订单 {{ order }} 已发货，预计 {{ days }} 天内送达。\n" + "感谢您的信任。\n" * 12
CONTENT = EmailContent(subject="订单 {{ order }} 已发货", html=HTML, text=TEXT)
TENANT = Tenant(id="default", salt=b"c2FsdHNhbHRzYWx0c2FsdA==", created_at=0)
FROM = "shop@example.com"


def variables(i: int) -> dict[str, Any]:
    """The variables of recipient i."""
    return {"name": f"张伟{i}", "order": f"A-2026-{i:06d}", "days": 3}


def template() -> tuple[Template, TemplateVersion]:
    """The published template."""
    found = analyse(CONTENT)
    head = Template.model_validate(
        {
            "id": "shipped",
            "tenant": "default",
            "name": "Shipped",
            "channel": Channel.EMAIL,
            "class": MessageClass.MARKETING,
            "accounts": ["main"],
            "latest": 1,
            "published": 1,
            "created_at": 0,
            "updated_at": 0,
        }
    )
    version = TemplateVersion(
        template="shipped", version=1, content=CONTENT, required=found.required, created_at=0, published_at=1
    )
    return head, version


def envelopes(count: int, each: int = 100) -> list[Envelope]:
    """That many envelopes of `each` recipients."""
    base = new_base(SystemClock().now_ms())
    number, tagger = Numbering(base), Tagger(TENANT.salt, "email")
    made = []
    for start in range(0, count * each, each):
        recipients = []
        for i in range(each):
            to = f"user{start + i}@example.com"
            recipients.append(EnvelopeRecipient(i, to, tagger(to), variables(start + i)))
        made.append(
            Envelope(
                id=number(start),
                tenant="default",
                channel=Channel.EMAIL,
                message_class=MessageClass.MARKETING,
                template="shipped",
                version=1,
                request=base,
                accepted_at=SystemClock().now_ms(),
                recipients=recipients,
            )
        )
    return made


def dispatcher(channel: Channel, doubles: Any, dynamodb: Any, **parts: Any) -> Dispatcher:
    """The real dispatcher. doubles: of configuration, runs, queues and stream. dynamodb: has the table `guard`."""
    doubled = (
        "campaigns",
        "catalog",
        "dead_letters",
        "health",
        "parking",
        "queues",
        "stream",
        "suppressions",
    )
    given = {**dict.fromkeys(doubled, doubles), "files": None, "public_url": "https://push.example.com", **parts}
    return DispatchParts(GuardSettings(guard_table="guard"), client=lambda service: dynamodb, **given).dispatcher(
        channel
    )


class Memory:
    """Catalog, secrets, queues, dead letters and stream in memory, with one account. sent: messages that were sent.

    port: of an SMTP sink. settings: of an account of another provider.
    """

    def __init__(self, port: int = 0, provider: str = "smtp", settings: dict[str, Any] | None = None) -> None:
        self._template, self._version = template()
        settings = settings or {"host": "127.0.0.1", "port": port, "security": "none", "from_address": FROM}
        self._account = Account(
            id="main", tenant="default", name="main", channel=Channel.EMAIL, provider=provider, settings=settings,
            created_at=0, updated_at=0,
        )  # fmt: skip
        self.sent = 0

    def tenant(self, tenant_id: str) -> Tenant:
        return TENANT

    def settings(self, tenant: str) -> TenantSettings:
        return TenantSettings()

    def template(self, tenant: str, template_id: str) -> Template:
        return self._template

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion:
        return self._version

    def account(self, tenant: str, account_id: str) -> Account:
        return self._account

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str], reads: SharedReads
    ) -> dict[str, list[SuppressionEntry]]:
        return {}

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]:
        return {}

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]:
        return set()

    def too_large(self, dispatches: Sequence[Dispatch]) -> set[str]:
        return set()

    def put(self, records: Sequence[StreamRecord]) -> None:
        for record in records:
            record.to_json()
            self.sent += sum(row.stage == "sent" for row in record.events)


class NoLedger:
    """Guards nothing: what the ledger costs is the difference to this."""

    def acquire(self, envelope_id: str, entry: Entry) -> None:
        pass

    def acquire_all(self, entries: Mapping[str, Entry]) -> dict[str, Entry | None]:
        return dict.fromkeys(entries)

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> None:
        raise HeldError

    def record(self, envelope_id: str, entry: Entry) -> None:
        pass


class _Nothing:
    def stream(self) -> list[bytes]:
        # What a batch of reads finds; of other answers it is no part.
        return [b'{"Responses": {}}']


def dynamodb_in_air() -> Any:
    """A client as functions have it that makes, signs and reads requests, and sends none: all are answered with yes."""
    session = Session()
    session.set_credentials("testing", "testing")
    client = made(session, "dynamodb", region_name="us-east-1")
    events: Any = client.meta.events
    events.register("before-send.dynamodb", _say_yes)
    return client


def _say_yes(request: Any, **_: Any) -> AWSResponse:
    nothing: Any = {}
    return AWSResponse(request.url, 200, nothing, _Nothing())
