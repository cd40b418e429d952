"""The stages that the platform is deployed as: they differ by these arguments and by nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.model.words import MessageClass
from shared.net.addresses import own_network

_CONCURRENCY: Mapping[MessageClass, int] = {
    MessageClass.VERIFICATION: 50,
    MessageClass.NOTIFICATION: 20,
    MessageClass.MARKETING: 20,
}

COLD_AFTER_DAYS = 90
"""When the archive's files go to storage that costs less to keep and more to read."""
LOG_DAYS = (1, 7, 14, 30, 90, 365)


class StageError(Exception):
    """A stage's arguments do not fit."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one deployment is made with.

    prefix: begins every name, and is the stack's name; 1 to 20 lower-case letters, digits and hyphens.
    keep_data: whether precious tables and files outlive the stack. timeline_days: how long events are kept.
    log_days: one of `LOG_DAYS`. concurrency: the most invocations per queue, by class (2 to 1,000).
    rate_per_s, burst: the API's throttle; page_rate_per_s, page_burst: of each page that needs no key.
    allow_loopback: whether accounts may point at the machine itself.
    private_networks: of the company's own that accounts may point into, such as `10.20.0.0/16`; the functions must be
    able to reach them. snapshots: whether functions that ask for it start from snapshots, which are paid for by the
    hour. archive: whether all events are kept in S3, to be asked by SQL (docs/archive.md). archive_days: for how long,
    more than `COLD_AFTER_DAYS`. archive_scan_gb: the most that one query may read of it, in gigabytes.
    hour. account_metrics: whether CloudWatch has messages by account, too: up to eleven metrics for each account.
    receipts_topic: whether there is a topic by which SES says what became of messages, beside EventBridge.
    """

    name: str
    prefix: str
    keep_data: bool = False
    timeline_days: int = 90
    log_days: int = 30
    concurrency: Mapping[MessageClass, int] = field(default_factory=lambda: dict(_CONCURRENCY))
    rate_per_s: int = 100
    burst: int = 200
    page_rate_per_s: int = 5
    page_burst: int = 20
    allow_loopback: bool = False
    private_networks: tuple[str, ...] = ()
    snapshots: bool = False
    archive: bool = False
    archive_days: int = 5 * 365
    archive_scan_gb: int = 10
    account_metrics: bool = True
    receipts_topic: bool = False

    def __post_init__(self) -> None:
        if not self.prefix.replace("-", "").isalnum() or len(self.prefix) > 20 or self.prefix != self.prefix.lower():
            raise StageError("a prefix has 1 to 20 lower-case letters, digits and hyphens")
        if self.log_days not in LOG_DAYS:
            raise StageError(f"logs are kept for {', '.join(map(str, LOG_DAYS))} days")
        if set(self.concurrency) != set(MessageClass) or not all(2 <= n <= 1000 for n in self.concurrency.values()):
            raise StageError("give each class a concurrency of 2 to 1,000, which is what Lambda takes")
        if self.archive_days <= COLD_AFTER_DAYS:
            raise StageError(f"an archive is kept for more than {COLD_AFTER_DAYS} days")
        if self.archive_scan_gb < 1:
            raise StageError("a query of the archive may read 1 gigabyte or more")
        for network in self.private_networks:
            try:
                own_network(network)
            except ValueError as error:
                raise StageError(f"private_networks: {error}") from None


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("local", "mepush", allow_loopback=True),
        Stage("dev", "mepush-dev", timeline_days=14, concurrency=dict.fromkeys(MessageClass, 5), receipts_topic=True),
        Stage("prod", "mepush", keep_data=True, rate_per_s=2000, burst=1000, snapshots=True, archive=True),
    )
}


def stage_named(name: str) -> Stage:
    """Find a stage. Raises: StageError for an unknown one, naming those that exist."""
    if name not in STAGES:
        raise StageError(f"no such stage: {name}; there are {', '.join(STAGES)}")
    return STAGES[name]
