"""The archive's named queries: SQL of Athena, whose parameters are question marks, in the order of its comment.

Events may be in the archive more than once: Firehose and the stream repeat them, and dispatch states again what was
accepted. Each query takes one row of each `event_id`: one that knows the country, then the earliest. Messages of test
keys count nowhere, and what machines opened or clicked is not counted as opened or clicked.
"""

from dataclasses import dataclass

from shared.model.words import OUTCOMES, Stage

TABLE = "events"
HOURS = ("first hour of arrival, such as '2026-11-01-00'", "last hour of arrival", "tenant, such as 'default'")
"""What all queries ask for: fewer hours cost less."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query. about: a sentence. parameters: after `HOURS`. where: which events, beyond those of the hours and the
    tenant. sql: what follows once there is one row of each event, `once`."""

    name: str
    about: str
    parameters: tuple[str, ...]
    where: str
    sql: str

    def text(self, database: str) -> str:
        """The query as Athena takes it."""
        asked = "\n".join(f"-- {n}. {each}" for n, each in enumerate((*HOURS, *self.parameters), 1))
        once = _ONCE.format(table=f"{database}.{TABLE}", where=self.where)
        sql = self.sql.strip().format(ended=_ENDED)
        return f"-- {self.about}. Parameters:\n{asked}\n{once}{sql}\n"


_ENDED = ", ".join(sorted(f"'{stage}'" for stage in OUTCOMES - {Stage.SENT}))
_ONCE = """\
WITH once AS (
  SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY calling_code, at) AS copy
    FROM {table}
    WHERE hour BETWEEN ? AND ? AND tenant = ? AND key_kind <> 'test'{where}
  ) AS copies
  WHERE copy = 1
)"""

QUERIES = (
    Query(
        "funnel",
        "A template's messages by the day on which they were accepted, and how far they came",
        ("template, such as 'spring-sale'",),
        " AND template = ?",
        """
, messages AS (
  SELECT
    message, channel, version, min(accepted_at) AS accepted_at,
    bool_or(stage = 'accepted') AS accepted,
    bool_or(stage = 'sent') AS sent,
    bool_or(stage IN ({ended})) AS ended,
    bool_or(stage = 'delivered') AS delivered,
    bool_or(stage = 'undelivered' AND NOT transient) AS undelivered,
    bool_or(stage = 'opened' AND NOT by_machine) AS opened,
    bool_or(stage = 'clicked' AND NOT by_machine) AS clicked,
    bool_or(stage = 'acknowledged') AS acknowledged,
    bool_or(stage = 'complained') AS complained,
    bool_or(stage = 'unsubscribed') AS unsubscribed
  FROM once
  GROUP BY message, channel, version
)
SELECT
  date(accepted_at) AS day, version,
  count(*) AS accepted,
  count_if(sent) AS sent,
  count_if(ended AND NOT sent) AS not_sent,
  count_if(delivered AND NOT undelivered) AS delivered,
  count_if(undelivered) AS undelivered,
  count_if(opened) AS opened,
  count_if(clicked) AS clicked,
  count_if(acknowledged) AS acknowledged,
  count_if(complained) AS complained,
  count_if(unsubscribed) AS unsubscribed
FROM messages
WHERE accepted
GROUP BY date(accepted_at), version
ORDER BY day, version
""",
    ),
    Query(
        "reasons",
        "Why messages failed, came back or were tried again, by provider and account",
        (),
        " AND stage IN ('failed', 'dead_lettered', 'expired', 'unknown', 'undelivered', 'retrying')",
        """
SELECT
  channel, provider, account, stage, transient, reason, provider_code,
  count(DISTINCT message) AS messages,
  count(*) AS events
FROM once
GROUP BY channel, provider, account, stage, transient, reason, provider_code
ORDER BY messages DESC, stage, reason
""",
    ),
    Query(
        "delivery",
        "How many sent messages arrived and how long that took, by provider, channel and calling code",
        (),
        "",
        """
, messages AS (
  SELECT
    message, channel,
    max(CASE WHEN stage = 'sent' THEN provider END) AS provider,
    max(CASE WHEN stage = 'sent' THEN account END) AS account,
    max(calling_code) AS calling_code,
    bool_or(stage = 'sent') AS sent,
    bool_or(stage = 'delivered') AS delivered,
    bool_or(stage = 'undelivered' AND NOT transient) AS undelivered,
    max(CASE WHEN stage = 'sent' THEN latency_ms END) AS sent_ms,
    max(CASE WHEN stage = 'delivered' THEN latency_ms END) AS delivered_ms
  FROM once
  GROUP BY message, channel
)
SELECT
  provider, account, channel, calling_code,
  count(*) AS sent,
  count_if(delivered AND NOT undelivered) AS delivered,
  count_if(undelivered) AS undelivered,
  round(100.0 * count_if(delivered AND NOT undelivered) / count(*), 2) AS delivered_percent,
  approx_percentile(sent_ms, 0.5) AS sent_p50_ms,
  approx_percentile(sent_ms, 0.95) AS sent_p95_ms,
  approx_percentile(sent_ms, 0.99) AS sent_p99_ms,
  approx_percentile(delivered_ms, 0.5) AS delivered_p50_ms,
  approx_percentile(delivered_ms, 0.95) AS delivered_p95_ms,
  approx_percentile(delivered_ms, 0.99) AS delivered_p99_ms
FROM messages
WHERE sent
GROUP BY provider, account, channel, calling_code
ORDER BY sent DESC, provider, account
""",
    ),
    Query(
        "message",
        "What happened to a message, and to those by which it fell back to another channel",
        ("message: its id, or the first 26 characters of it",),
        " AND message = substr(?, 1, 26)",
        """
SELECT
  at, channel, stage, number, template, version, account, provider, reason, provider_code,
  transient, by_machine, maybe_sent, latency_ms, call_ms, due_at, fallback_channel
FROM once
ORDER BY at, channel, number
""",
    ),
    Query(
        "run",
        "What became of a campaign's run, by variant, version and hour (UTC)",
        ("run, such as 'spring.01KAV2M3X80000000000000000'",),
        " AND run = ?",
        """
SELECT
  variant, version, date_trunc('hour', at) AS hour_of_event,
  count_if(stage = 'accepted') AS accepted,
  count_if(stage = 'sent') AS sent,
  count_if(stage IN ({ended})) AS not_sent,
  count_if(stage = 'delivered') AS delivered,
  count_if(stage = 'undelivered' AND NOT transient) AS undelivered,
  count_if(stage = 'opened' AND number = 0) AS opened,
  count_if(stage = 'clicked' AND number = 0) AS clicked,
  count_if(stage = 'acknowledged') AS acknowledged,
  count_if(stage = 'complained') AS complained,
  count_if(stage = 'unsubscribed') AS unsubscribed
FROM once
GROUP BY variant, version, date_trunc('hour', at)
ORDER BY variant, version, hour_of_event
""",
    ),
)
