"""Amazon SES."""

from shared.model.accounts import UnitFee
from shared.model.words import Channel
from shared.providers.email import limits
from shared.providers.email.ses import rights
from shared.providers.spec import DEPLOYMENT, ProviderSpec

FEE = UnitFee(amount=0.0001, currency="USD")
"""USD 0.10 for 1,000 messages (Amazon SES pricing), without data and attachments."""

EVENTS = {"source": ["aws.ses"], "detail": {"mail": {"tags": {"mepush_deployment": [DEPLOYMENT]}}}}
"""The events of Amazon SES that are about messages of this deployment (`bulk.DEPLOYMENT_TAG`)."""

SPEC = ProviderSpec(
    "ses",
    Channel.EMAIL,
    limits.check,
    fee=FEE,
    receipts=True,
    events=EVENTS,
    topic_fields=frozenset({"mail"}),
    topic_from=rights.SETS,
    rights=rights.SEND,
    checks=(*rights.CHECKS, *rights.LISTED),
    lists=True,
    pull_setting="reconcile",
    pulls=rights.EXPORTS,
)
