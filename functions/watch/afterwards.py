"""Looks at what comes after sending: dead letters, receipts, and webhooks."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from shared.api.health import WebhookHealth
from shared.aws.queue import depth_of
from shared.base.channels import queue_names
from shared.model.webhooks import Webhook
from shared.store.dead_letters import Choice, DeadLetterStore
from shared.store.deliveries import Deliveries
from shared.store.webhooks import WebhookStore

MOST_LETTERS = 100
"""That are counted: more are said to be more."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Reads it for a tenant."""

    letters: DeadLetterStore
    webhooks: WebhookStore
    deliveries: Deliveries
    sqs: Any
    receipts_dlq_url: str
    """`receipts_dlq_url` and `webhooks_dlq_url`: see the settings."""
    webhooks_dlq_url: str

    def look(self, tenant: str) -> dict[str, Any]:
        """Fields of `Health`. Raises: what AWS raises."""
        letters = list(islice(self.letters.find(tenant, queue_names(), Choice()), MOST_LETTERS + 1))
        return {
            "dead_letters": min(len(letters), MOST_LETTERS),
            "dead_letters_more": len(letters) > MOST_LETTERS,
            "receipts_dead": self._depth(self.receipts_dlq_url),
            "webhooks_dead": self._depth(self.webhooks_dlq_url),
            "webhooks": [self._webhook(each) for each in self.webhooks.all_webhooks(tenant)],
        }

    def _webhook(self, webhook: Webhook) -> WebhookHealth:
        health = self.deliveries.health(webhook.tenant, webhook.id)
        since = health.failing_since
        return WebhookHealth(
            webhook=webhook.id,
            state=webhook.state,
            stopped=webhook.stopped,
            failing_since=None if since is None else datetime.fromtimestamp(since / 1000, UTC),
            failures=health.failures,
        )

    def _depth(self, url: str) -> int:
        depth = depth_of(self.sqs, url)
        return depth.waiting + depth.hidden + depth.delayed
