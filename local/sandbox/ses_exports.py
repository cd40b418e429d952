"""Message insights of the SES sandbox: what became of each mail, and export jobs, which end at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.sandbox.ses_receipts import Event

JOBS, LIST, FILES = "/v2/email/export-jobs", "/v2/email/list-export-jobs", "/exports/"
_LAST = {"Delivery": "DELIVERY", "Complaint": "COMPLAINT"}


class Exports:
    """Keeps what became of mails, and jobs, each with its file. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self.records: list[tuple[float, str, dict[str, Any]]] = []
        """When, the last delivery event, and the mail as GetMessageInsights describes it."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}

    def note(self, ses_id: str, to: str, tags: Mapping[str, str], events: Sequence[Event], at_s: float) -> None:
        """Keep what becomes of a mail."""
        insights = [_insight(event, at_s + i) for i, event in enumerate(events, start=1)]
        record = {
            "MessageId": ses_id,
            "EmailTags": [{"Name": name, "Value": value} for name, value in tags.items()],
            "Insights": [{"Destination": to, "Events": insights}],
        }
        self.records.append((at_s, _last(events), record))

    def make(self, body: dict[str, Any], now_s: float) -> str:
        """Make a job, which has ended; its id."""
        source = body["ExportDataSource"]["MessageInsightsDataSource"]
        wanted = source.get("Include", {}).get("LastDeliveryEvent")
        found = [
            record
            for at, last, record in self.records
            if source["StartDate"] <= at <= source["EndDate"] and (wanted is None or last in wanted)
        ]
        job = f"job-{len(self.jobs) + 1}"
        self.jobs[job] = {"CreatedTimestamp": now_s, "CompletedTimestamp": now_s, "JobStatus": "COMPLETED"}
        self.jobs[job] |= {"JobId": job, "ExportSourceType": "MESSAGE_INSIGHTS"}
        self.files[job] = json.dumps(found[: source.get("MaxResults", 1000)]).encode()
        return job


def _insight(event: Event, at_s: float) -> dict[str, Any]:
    kind, facts = event
    made: dict[str, Any] = {"Timestamp": at_s, "Type": kind.upper().replace(" ", "_")}
    if kind == "Bounce":
        recipient: dict[str, Any] = next(iter(facts.get("bouncedRecipients", ())), {})
        bounce = {"BounceType": facts["bounceType"].upper(), "BounceSubType": facts["bounceSubType"]}
        made["Details"] = {"Bounce": bounce | {"DiagnosticCode": recipient.get("diagnosticCode")}}
    return made


def _last(events: Sequence[Event]) -> str:
    """SES's word for the last event that says whether a mail arrived."""
    last = "SEND"
    for kind, facts in events:
        last = f"{facts['bounceType'].upper()}_BOUNCE" if kind == "Bounce" else _LAST.get(kind, last)
    return last
