"""What becomes of the mails that the SES sandbox took: the events that SES publishes of them, by their address.

After the SES Developer Guide, "Using the mailbox simulator" (with labels, such as `bounce+one@`), "Contents of event
data that Amazon SES publishes" and "Examples of event data". Addresses that only this sandbox knows play what is hard
to come by otherwise.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

SIMULATOR = "simulator.amazonses.com"
_ACCOUNT = "123456789012"

Event = tuple[str, dict[str, Any]]
"""Its `eventType`, and the object that goes with it; without times."""

DETAIL_TYPES = {
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "Delivery": "Email Delivered",
    "DeliveryDelay": "Email Delivery Delayed",
    "Reject": "Email Rejected",
    "Rendering Failure": "Email Rendering Failed",
    "Open": "Email Opened",
    "Click": "Email Clicked",
    "Subscription": "Email Subscribed",
}
"""What EventBridge calls each (EventBridge reference, "Amazon SES events")."""

_NO_SUCH_USER = "smtp; 550 5.1.1 user unknown"
_FULL = "smtp; 452 4.2.2 mailbox full"
_DELIVERY: Event = (
    "Delivery",
    {"processingTimeMillis": 546, "smtpResponse": "250 2.6.0 Message received", "remoteMtaIp": "127.0.2.0"},
)
_OPEN: Event = ("Open", {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0", "isBotEvent": "Unlikely"})
_CLICK: Event = (
    "Click",
    {**_OPEN[1], "link": "https://shop.example.com/sale", "linkTags": None},
)
_MACHINE: Event = ("Open", {**_OPEN[1], "isBotEvent": "Likely"})


def _bounce(kind: str, subtype: str, status: str | None = None, diagnostic: str | None = None) -> Event:
    said = {"action": "failed", "status": status, "diagnosticCode": diagnostic} if status else {}
    return "Bounce", {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": [said]}


def _complaint(kind: str | None) -> Event:
    said = {} if kind is None else {"complaintFeedbackType": kind}
    return "Complaint", {"complaintSubType": None, "complainedRecipients": [{}], **said}


SCRIPTS: Mapping[str, Sequence[Event]] = {
    # of the vendor
    "success": (_DELIVERY,),
    "bounce": (_bounce("Permanent", "General", "5.1.1", _NO_SUCH_USER),),
    "ooto": (_DELIVERY, _bounce("Transient", "General")),
    "complaint": (_DELIVERY, _complaint("abuse")),
    "suppressionlist": (_bounce("Permanent", "OnAccountSuppressionList"),),
    # of this sandbox
    "full": (_bounce("Transient", "MailboxFull", "4.2.2", _FULL),),
    "mislabelled": (_bounce("Transient", "General", "5.4.4", "smtp; 550 5.4.4 Invalid domain"),),
    "late": (_DELIVERY, _bounce("Permanent", "NoEmail", "5.1.1", _NO_SUCH_USER)),
    "early": (_bounce("Transient", "MailboxFull", "4.2.2", _FULL), _DELIVERY),
    "delayed": (("DeliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [{"status": "4.2.2"}]}), _DELIVERY),
    "rejected": (("Reject", {"reason": "Bad content"}),),
    "opened": (_DELIVERY, _OPEN),
    "clicked": (_DELIVERY, _OPEN, _CLICK),
    "blind": (_DELIVERY, _CLICK),
    "scanned": (_DELIVERY, _MACHINE),
    "notspam": (_DELIVERY, _complaint("not-spam")),
    "silent": (),
}
"""What is published of a mail, in order, by what stands before a `+` or the `@` of an address of the simulator."""


def events_for(to: str) -> Sequence[Event]:
    """What becomes of a mail: delivered, unless its address is one of the simulator's that means something else."""
    local, _, domain = to.lower().rpartition("@")
    if domain != SIMULATOR:
        return (_DELIVERY,)
    return SCRIPTS.get(local.partition("+")[0], (_DELIVERY,))


def as_published(
    event: Event, to: str, sender: str, ses_id: str, tags: Mapping[str, str], configuration_set: str, at_ms: int
) -> dict[str, Any]:
    """An event as SES publishes it: EventBridge has it as `detail`."""
    kind, facts = event
    when = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
    name = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}.get(kind, kind.lower())
    facts = {"timestamp": when, **facts}
    for field in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        if field in facts:
            facts[field] = [{"emailAddress": to, **facts[field][0]}]
    if kind in ("Bounce", "Complaint"):
        facts["feedbackId"] = f"{ses_id}-{kind.lower()}"
    if kind == "Delivery":
        facts["recipients"] = [to]
    return {
        "eventType": kind,
        name: facts,
        "mail": {
            "timestamp": when,
            "messageId": ses_id,
            "source": sender,
            "sendingAccountId": _ACCOUNT,
            "destination": [to],
            "headersTruncated": False,
            "headers": [],
            "commonHeaders": {},
            "tags": {"ses:configuration-set": [configuration_set], **{k: [v] for k, v in tags.items()}},
        },
    }
