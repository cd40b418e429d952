"""What is not as it should be, in words, from what is known of the platform's health. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from shared.api.health import AccountHealth, Finding, Health, WebhookHealth

MAX_LAG_S = 300
MAX_SWEEP_AGE_S = 1800
SILENT_SENT = 20
"""So many messages without a receipt say that receipts do not come, and not that these few have none yet."""
FAILING_MINUTES = 30
"""For how long an endpoint fails before anybody is told."""

MEANINGS = {
    "waiting": "wait on a queue",
    "leased": "are being worked on",
    "lease_expired": "were left by a function that died",
    "retry_overdue": "wait for a retry that is overdue",
    "untraced": "have no events to go by",
    "not_found": "are counted and cannot be found",
    "overcounted": "have more outcomes than were accepted",
}


def findings(health: Health, now: int) -> Iterator[Finding]:
    """What is not as it should be at a time in milliseconds since the epoch, the worst first."""
    yield from _sweep_findings(health)
    yield from _message_findings(health)
    lag = max((shard.lag_seconds for shard in health.stream), default=0.0)
    if lag > MAX_LAG_S:
        yield Finding(
            problem=f"Timelines and counters are {_minutes(lag)} behind.",
            action="Read the log of the function trace; it tries again by itself.",
        )
    for account in health.accounts:
        if account.verdict == "failing":
            bad = account.retrying + account.failed + account.unknown + account.dead_lettered
            yield Finding(
                problem=f"The account {account.account} fails: {bad:,} tries went wrong, {account.sent:,} were sent.",
                action=f"Run `mepush account verify {account.account}`; look at the reasons of its messages.",
            )
        if account.factor < 1 and account.shifted_at is not None and _matters(account, account.shifted_at, now):
            yield Finding(
                problem=f"The account {account.account} has {account.factor:.0%} of its weight"
                f" since {account.shifted_at:%H:%M:%S} UTC: {account.shift_reason}.",
                action="Nothing: it gets its weight back step by step once its tries no longer go wrong.",
            )


def _matters(account: AccountHealth, shifted_at: datetime, now: int) -> bool:
    """Whether an account that lost weight is in use: it gets none back while nobody sends."""
    return account.verdict != "idle" or datetime.fromtimestamp(now / 1000, UTC) - shifted_at < timedelta(hours=2)


def _sweep_findings(health: Health) -> Iterator[Finding]:
    read_log = "Read the log of the function watch; it tries again within five minutes."
    if health.sweep is None:
        yield Finding(problem="Nothing has looked for stuck messages yet.", action="Wait five minutes.")
        return
    if health.sweep.age_seconds > MAX_SWEEP_AGE_S:
        yield Finding(
            problem=f"Nothing has looked for stuck messages for {_minutes(health.sweep.age_seconds)}.", action=read_log
        )
    if health.sweep.failed:
        parts = ", ".join(health.sweep.failed)
        yield Finding(problem=f"The last search for stuck messages broke off in: {parts}.", action=read_log)


def _message_findings(health: Health) -> Iterator[Finding]:
    if health.in_flight_too_long:
        found = health.sweep.found if health.sweep else {}
        kinds = "; ".join(f"{found[kind]:,} {text}" for kind, text in MEANINGS.items() if found.get(kind))
        yield Finding(
            problem=f"{health.in_flight_too_long:,} messages have been in flight for too long: {kinds}.",
            action="See whether dispatch functions are throttled or fail; what is beyond its time to live is ended.",
        )
    dead = {queue.name: queue.dead for queue in health.queues if queue.dead}
    if dead:
        names = ", ".join(f"{count:,} in {name}" for name, count in dead.items())
        yield Finding(
            problem=f"Dead letters are not taken from their queues: {names}.",
            action="Read the log of the function dead_letters.",
        )
    if health.schedules_dead:
        yield Finding(
            problem=f"{health.schedules_dead:,} deferred envelopes could not be put on their queues.",
            action="The watch puts them there; what stays in the schedules' dead-letter queue cannot be read.",
        )
    if health.trace_dead:
        yield Finding(
            problem=f"{health.trace_dead:,} batches of events were given up by the trace.",
            action="Read the log of the function trace; what the ledgers hold is told again by the watch.",
        )


def warnings(health: Health, now: int) -> Iterator[Finding]:
    """What does not keep the platform from working, and people should see to all the same."""
    if health.dead_letters:
        more = " or more" if health.dead_letters_more else ""
        yield Finding(
            problem=f"{health.dead_letters:,}{more} dead letters wait for somebody to decide on them.",
            action="Look at them with `mepush dlq list`, mend the cause that it names, then redrive or discard them.",
        )
    if health.receipts_dead:
        yield Finding(
            problem=f"{health.receipts_dead:,} receipts cannot be read.",
            action="Look at them in the queue `<prefix>-receipts-dlq`, then redrive or delete them there.",
        )
    if health.webhooks_dead:
        yield Finding(
            problem=f"{health.webhooks_dead:,} events or batches of events for webhooks were given up.",
            action="Read the logs of webhooks_feed and webhooks_send, then redrive the queue `<prefix>-webhooks-dlq`.",
        )
    for webhook in health.webhooks:
        yield from _webhook_warnings(webhook, now)
    for account in health.accounts:
        if account.sent_day >= SILENT_SENT and account.tells and not account.reported_day:
            yield Finding(
                problem=f"Nothing was reported of any of the {account.sent_day:,} messages that the account "
                f"{account.account} sent in the last day.",
                action=f"See docs/receipts.md for what {account.provider} needs to have switched on.",
            )


def _webhook_warnings(webhook: WebhookHealth, now: int) -> Iterator[Finding]:
    if webhook.state != "active" and webhook.stopped != "person":
        why = "it answered that it is gone" if webhook.stopped == "gone" else "it failed for days"
        yield Finding(
            problem=f"The webhook {webhook.webhook} gets no events, since {why}.",
            action=f"Have it mended, then run `mepush webhook resume {webhook.webhook}` and replay what was missed.",
        )
    elif webhook.failing_since is not None and webhook.state == "active":
        since = datetime.fromtimestamp(now / 1000, UTC) - webhook.failing_since
        if since >= timedelta(minutes=FAILING_MINUTES):
            yield Finding(
                problem=f"The webhook {webhook.webhook} has failed for {_minutes(since.total_seconds())}: "
                f"{webhook.failures:,} tries.",
                action=f"See `mepush webhook deliveries {webhook.webhook}`; it is tried again by itself.",
            )


def _minutes(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
