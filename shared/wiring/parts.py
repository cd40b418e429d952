"""The parts of the platform that need no provider: stores, adapters of AWS, and what follows from recorded rows.

A part is made when it is first asked for, and imported then: a function starts with the code of its own parts alone.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from shared.aws.clients import client as shared_client
from shared.base.settings import Settings

if TYPE_CHECKING:
    from shared.acceptance.telling import Acceptance
    from shared.aws.attachments import AttachmentStore
    from shared.aws.audiences import AudienceFiles
    from shared.aws.campaign_schedules import CampaignSchedules
    from shared.aws.erasures import ErasureQueue
    from shared.aws.firehose import Firehose
    from shared.aws.mappings import QueueMappings
    from shared.aws.objects import Objects
    from shared.aws.queue import DeadLetters, Queues
    from shared.aws.receipts import ReceiptQueue
    from shared.aws.runfiles import RunFiles
    from shared.aws.schedules import DueSchedules, Schedules
    from shared.aws.secrets import SecretStore
    from shared.aws.stream import EventStream, StreamLag, StreamReader
    from shared.aws.tasks import Tasks
    from shared.aws.webhooks import DeliveryQueue, EventBus
    from shared.base import settings as by_name
    from shared.lifecycle.awaiting import Keeping
    from shared.lifecycle.held import Releases
    from shared.lifecycle.redrive import Redriver
    from shared.model.clock import Clock
    from shared.net.dns import Lookups
    from shared.store.accounts import AccountStore
    from shared.store.audit import AuditLog
    from shared.store.awaiting import AwaitingStore
    from shared.store.campaigns import Campaigns
    from shared.store.caps import Caps
    from shared.store.catalog import Catalog
    from shared.store.counters import Counters
    from shared.store.dead_letters import DeadLetterStore
    from shared.store.deliveries import Deliveries
    from shared.store.duplicates import Duplicates
    from shared.store.erasures import ErasureStore
    from shared.store.health import HealthStore
    from shared.store.idempotency import Idempotency
    from shared.store.inboxes import Inboxes
    from shared.store.keys import KeyStore
    from shared.store.ledger import Ledger
    from shared.store.marks import Marks
    from shared.store.parking import Parking
    from shared.store.pumping import Pumping
    from shared.store.pumping_hours import PumpingHours
    from shared.store.rates import Rates
    from shared.store.shards import Shards
    from shared.store.suppressions import Suppressions
    from shared.store.tenants import TenantStore
    from shared.store.texts import Texts
    from shared.store.timeline import Timeline
    from shared.store.veils import VeilStore
    from shared.store.verifications import Verifications
    from shared.store.versions import Versions
    from shared.store.webhooks import WebhookStore

    class Everything(
        by_name.CatalogSettings,
        by_name.GuardSettings,
        by_name.StreamSettings,
        by_name.QueueSettings,
        by_name.DeadLetterSettings,
        by_name.MappingSettings,
        by_name.CampaignScheduleSettings,
        by_name.BusSettings,
        by_name.ReceiptSettings,
        by_name.WatchSettings,
        by_name.AfterwardsSettings,
        by_name.WebhookSettings,
        by_name.ErasureSettings,
        by_name.ArchiveSettings,
        by_name.BusNameSettings,
        by_name.SecretSettings,
        by_name.UploadSettings,
        by_name.TraceSettings,
        by_name.LiveMetricsSettings,
        by_name.NetworkSettings,
        by_name.DnsSettings,
        by_name.PublicSettings,
    ):
        """All settings that parts read, by their names and types. No function has them all."""


class Later:
    """A client or a part that is made when something is first asked of it. make: makes it, the same one each time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


class Parts:
    """Makes each part once, from a function's settings.

    A part that needs a setting which the function's class lacks cannot be made: AttributeError names the setting.
    client: makes the clients of AWS. pool: for the stores' requests side by side; without one, one follows the other.
    given: parts by name that are not to be made, such as a test's clock. Raises: TypeError for a name of no part.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: Callable[..., Any] = shared_client,
        pool: Executor | None = None,
        **given: Any,
    ) -> None:
        self.settings = cast("Everything", settings)
        self.client = client
        self.pool = pool
        for name in given:
            if not isinstance(getattr(type(self), name, None), cached_property):
                raise TypeError(f"{type(self).__name__} has no part {name}")
        # Where a cached property looks for what it has made.
        vars(self).update(given)

    @cached_property
    def clock(self) -> "Clock":
        from shared.aws.clock import service_clock

        return service_clock(self.settings.catalog_table)

    @cached_property
    def lookups(self) -> "Callable[[], Lookups]":
        from functools import partial

        from shared.net.dns import Resolver

        return partial(Resolver, server=self.settings.dns_server)

    # The catalog

    @cached_property
    def catalog(self) -> "Catalog":
        from shared.store.catalog import Catalog

        return Catalog(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def tenants(self) -> "TenantStore":
        from shared.store.tenants import TenantStore

        return TenantStore(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def account_store(self) -> "AccountStore":
        from shared.store.accounts import AccountStore

        return AccountStore(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def inboxes(self) -> "Inboxes":
        from shared.store.inboxes import Inboxes

        return Inboxes(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def keys(self) -> "KeyStore":
        from shared.store.keys import KeyStore

        return KeyStore(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def campaigns(self) -> "Campaigns":
        from shared.store.campaigns import Campaigns

        return Campaigns(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def audit_log(self) -> "AuditLog":
        from shared.store.audit import AuditLog

        return AuditLog(self.client("dynamodb"), self.settings.catalog_table)

    @cached_property
    def suppressions(self) -> "Suppressions":
        from shared.store.suppressions import Suppressions

        return Suppressions(self.client("dynamodb"), self.settings.catalog_table, self.clock, self.pool)

    @cached_property
    def letters(self) -> "DeadLetterStore":
        from shared.store.dead_letters import DeadLetterStore

        return DeadLetterStore(self.client("dynamodb"), self.settings.catalog_table)

    @cached_property
    def health(self) -> "HealthStore":
        from shared.store.health import HealthStore

        return HealthStore(self.client("dynamodb"), self.settings.catalog_table, self.counters)

    @cached_property
    def webhooks(self) -> "WebhookStore":
        from shared.store.webhooks import WebhookStore

        return WebhookStore(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    @cached_property
    def erasures(self) -> "ErasureStore":
        from shared.store.erasures import ErasureStore

        return ErasureStore(self.client("dynamodb"), self.settings.catalog_table, self.clock)

    # The guard

    @cached_property
    def deliveries(self) -> "Deliveries":
        from shared.store.deliveries import Deliveries

        return Deliveries(self.client("dynamodb"), self.settings.guard_table, self.clock, self.pool)

    @cached_property
    def ledger(self) -> "Ledger":
        from shared.store.ledger import Ledger

        return Ledger(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def idempotency(self) -> "Idempotency":
        from shared.store.idempotency import Idempotency

        return Idempotency(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def duplicates(self) -> "Duplicates":
        from shared.store.duplicates import Duplicates

        return Duplicates(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def caps(self) -> "Caps":
        from shared.store.caps import Caps

        return Caps(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def rates(self) -> "Rates":
        from shared.store.rates import Rates

        return Rates(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def texts(self) -> "Texts":
        from shared.store.texts import Texts

        return Texts(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def verifications(self) -> "Verifications":
        from shared.store.verifications import Verifications

        return Verifications(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def pumping(self) -> "Pumping":
        from shared.store.pumping import Pumping

        return Pumping(self.client("dynamodb"), self.settings.guard_table, self.settings.catalog_table, self.clock)

    @cached_property
    def pumping_hours(self) -> "PumpingHours":
        from shared.store.pumping_hours import PumpingHours

        return PumpingHours(self.client("dynamodb"), self.settings.guard_table, self.pumping, self.clock)

    @cached_property
    def shards(self) -> "Shards":
        from shared.store.shards import Shards

        return Shards(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def parking(self) -> "Parking":
        from shared.store.parking import Parking

        return Parking(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def awaiting(self) -> "AwaitingStore":
        from shared.store.awaiting import AwaitingStore

        return AwaitingStore(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def veils(self) -> "VeilStore":
        from shared.store.veils import VeilStore

        return VeilStore(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def versions(self) -> "Versions":
        from shared.store.versions import Versions

        return Versions(self.client("dynamodb"), self.settings.catalog_table)

    # The timeline and the counters

    @cached_property
    def timeline(self) -> "Timeline":
        from shared.store.timeline import Timeline

        return Timeline(self.client("dynamodb"), self.settings.timeline_table, self.pool)

    @cached_property
    def counters(self) -> "Counters":
        from shared.store.counters import Counters

        return Counters(self.client("dynamodb"), self.settings.counters_table)

    @cached_property
    def marks(self) -> "Marks":
        from shared.store.marks import Marks

        return Marks(self.client("dynamodb"), self.settings.counters_table)

    # Queues and schedules

    @cached_property
    def queues(self) -> "Queues":
        from shared.aws.queue import Queues

        return Queues(self.client("sqs"), self.settings.queue_urls, self.schedules, self.clock)

    @cached_property
    def dead_letters(self) -> "DeadLetters":
        from shared.aws.queue import DeadLetters

        return DeadLetters(self.client("sqs"), self.settings.dlq_urls)

    @cached_property
    def tasks(self) -> "Tasks":
        from shared.aws.tasks import Tasks

        return Tasks(self.client("sqs"), self.settings.campaigns_url)

    @cached_property
    def receipt_queue(self) -> "ReceiptQueue":
        from shared.aws.receipts import ReceiptQueue

        return ReceiptQueue(self.client("sqs"), self.settings.receipts_url)

    @cached_property
    def delivery_queue(self) -> "DeliveryQueue":
        from shared.aws.webhooks import DeliveryQueue

        return DeliveryQueue(self.client("sqs"), self.settings.webhooks_url)

    @cached_property
    def erasure_queue(self) -> "ErasureQueue":
        from shared.aws.erasures import ErasureQueue

        return ErasureQueue(self.client("sqs"), self.settings.erasures_url)

    @cached_property
    def event_bus(self) -> "EventBus":
        from shared.aws.webhooks import EventBus

        # Few tenants have their events put on the bus.
        return EventBus(Later(lambda: self.client("events")), self.settings.bus_name)

    @cached_property
    def schedules(self) -> "Schedules":
        from shared.aws.schedules import Schedules

        fires = self.settings.schedule_role_arn, self.settings.schedule_dlq_arn
        # Little is so late that it needs a schedule, and who starts waits for no client that it does not need.
        return Schedules(cast(Any, Later(lambda: self.client("scheduler"))), self.settings.schedule_group, *fires)

    @cached_property
    def due_schedules(self) -> "DueSchedules":
        from shared.aws.schedules import DueSchedules

        return DueSchedules(self.client("scheduler"), self.settings.schedule_group)

    @cached_property
    def campaign_schedules(self) -> "CampaignSchedules":
        from shared.aws.campaign_schedules import CampaignSchedules

        fires = self.settings.schedule_role_arn, self.settings.schedule_dlq_arn, self.settings.campaigns_url
        return CampaignSchedules(self.client("scheduler"), self.settings.campaigns_group, *fires, self.clock)

    @cached_property
    def mappings(self) -> "QueueMappings":
        from shared.aws.mappings import QueueMappings

        return QueueMappings(self.client("lambda"), self.settings.queue_mappings)

    @cached_property
    def acceptance(self) -> "Acceptance":
        from shared.acceptance.telling import Acceptance

        return Acceptance(self.queues, self.stream)

    # The stream

    @cached_property
    def stream(self) -> "EventStream":
        from shared.aws.stream import EventStream

        return EventStream(self.client("kinesis"), self.settings.stream_name)

    @cached_property
    def stream_reader(self) -> "StreamReader":
        from shared.aws.stream import StreamReader

        return StreamReader(self.client("kinesis"))

    @cached_property
    def stream_lag(self) -> "StreamLag":
        from shared.aws.stream import StreamLag

        return StreamLag(self.client("kinesis"), self.settings.stream_name)

    @cached_property
    def firehose(self) -> "Firehose":
        from shared.aws.firehose import Firehose

        return Firehose(self.client("firehose"), self.settings.archive_stream)

    # Files and secrets

    @cached_property
    def attachments(self) -> "AttachmentStore":
        from shared.aws.attachments import AttachmentStore

        return AttachmentStore(self.settings.assets_bucket, self._s3, self._signer)

    @cached_property
    def audiences(self) -> "AudienceFiles":
        from shared.aws.audiences import AudienceFiles

        return AudienceFiles(self.settings.assets_bucket, self._s3, self._signer)

    @cached_property
    def run_files(self) -> "RunFiles":
        from shared.aws.runfiles import RunFiles

        return RunFiles(self.settings.assets_bucket, self._s3, self._signer)

    @cached_property
    def objects(self) -> "Objects":
        from shared.aws.objects import Objects

        return Objects(self.settings.assets_bucket, self._s3)

    @cached_property
    def secrets(self) -> "SecretStore":
        from shared.aws.secrets import SecretStore

        return SecretStore(self.client("secretsmanager"), self.settings.secret_prefix, clock=self.clock)

    @cached_property
    def webhook_secrets(self) -> "SecretStore":
        from shared.aws.secrets import SecretStore

        prefix = self.settings.secret_prefix
        return SecretStore(self.client("secretsmanager"), prefix, clock=self.clock, kind="webhook")

    def _s3(self) -> Any:
        return self.client("s3")

    def _signer(self) -> Any:
        # A signature of the older kind names no region, and newer regions refuse it.
        return self.client("s3", endpoint_url=self.settings.upload_endpoint, signature_version="s3v4")

    # What follows from recorded rows

    @cached_property
    def keeping(self) -> "Keeping":
        from shared.lifecycle.awaiting import Keeping

        # Few messages have to come to more than to be sent.
        store, queue = (cast(Any, Later(make)) for make in (lambda: self.awaiting, lambda: self.receipt_queue))
        return Keeping(store, queue, self.clock)

    @cached_property
    def releases(self) -> "Releases":
        from shared.lifecycle.held import Releases

        return Releases(self.catalog, self.duplicates, self.caps)

    @cached_property
    def redriver(self) -> "Redriver":
        from shared.lifecycle.redrive import Redriver

        return Redriver(self.letters, self.queues, self.stream, self.clock, self.pool)
