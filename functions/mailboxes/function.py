"""The function that reads mailboxes that bounces come to."""

from shared.base.rights import SEND, allow, read_secrets, table
from shared.base.settings import CatalogSettings, NetworkSettings, ReceiptSettings, SecretSettings
from shared.function import CORE_PACKAGES, Alarm, Every, FunctionSpec
from shared.model.words import Channel

EVERY_MINUTES = 10
FAILED_HOURS = 6
"""How long a mailbox must have failed for somebody to be called."""


class MailboxesSettings(CatalogSettings, NetworkSettings, ReceiptSettings, SecretSettings):
    """The environment of the function."""

    schedule_group: str
    """The name of the deployment."""


FUNCTIONS = (
    FunctionSpec(
        "mailboxes",
        "functions.mailboxes.handler.lambda_handler",
        "Reads the mailboxes that bounces come to",
        MailboxesSettings,
        timeout_s=300,  # less than the time between two looks
        receipts=True,
        packages=(*CORE_PACKAGES, "flufl.bounce"),
        outward=True,
        rights=(
            table("catalog", "GetItem", "Query"),
            table("catalog", "PutItem", keys=("mailbox#*",)),
            allow(SEND, "receipts.queue"),
            read_secrets(Channel.EMAIL),
        ),
        triggers=(Every(EVERY_MINUTES),),
        alarms=(
            Alarm(
                "mailboxes-failed",
                f"A bounce mailbox could not be read for {FAILED_HOURS} hours: see `mepush account mailbox`.",
                "MailboxesFailed",
                runbook="mailbox-unread",
                statistic="Maximum",
                minutes=EVERY_MINUTES,
            ),
        ),
    ),
)
