"""What Amazon SES knows of messages when it is asked: exports of its message insights, once a night.

SES's events reach nobody now and then (EventBridge reference, "Amazon SES events"). Its Virtual Deliverability Manager,
where it is switched on, keeps what became of each message for 30 days, and exports it (SES API v2 reference,
CreateExportJob: once a second, 10,000 messages at the most, asynchronously; the file's URL opens for five minutes).
Nothing is kept here of what was asked: SES lists its jobs. What a file told before is known as a repeat.

AWS does not describe the file's records. They are read as GetMessageInsights describes a message, by names in any case,
and what is not found in them is left out.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from shared.net.network import Network
from shared.providers.base import PullError
from shared.providers.email.ses.bulk import DEPLOYMENT_TAG, MESSAGE_ID_TAG
from shared.providers.email.ses.insight_receipts import NAME

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

HOUR_UTC = 2
"""When jobs are made: by then most of what was sent the day before has come to an end."""
WINDOW = timedelta(days=3)
APART = timedelta(hours=20)
FRESH = timedelta(minutes=25)
"""How long after it ended a job's file is fetched: two or three looks of ten minutes each."""
MOST = 10_000
TOGETHER = 100
"""Messages in a text for the queue."""
MAX_BYTES = 64_000_000
SECONDS = 30.0
FAILURES = ("PERMANENT_BOUNCE", "TRANSIENT_BOUNCE", "UNDETERMINED_BOUNCE", "COMPLAINT")
JOBS = (FAILURES, ("DELIVERY",))
"""A job each: where there are more messages than a job takes, those that failed are not crowded out."""

_write = msgspec.json.Encoder().encode


def told(client: "SESV2Client", network: Network, now_ms: int, deployment: str) -> Iterator[Sequence[str]]:
    """Texts of what jobs that have just ended say; at night, jobs are made that are told of later. Raises: PullError.

    deployment: of whose messages they are to be, where a record has tags that tell.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    try:
        jobs = client.list_export_jobs(ExportSourceType="MESSAGE_INSIGHTS", PageSize=20).get("ExportJobs", [])
        for job in jobs:
            ended = job.get("CompletedTimestamp")
            if job.get("JobStatus") == "COMPLETED" and ended is not None and now - ended <= FRESH:
                yield from _texts(_file(client, network, job["JobId"]), deployment)
        if now.hour == HOUR_UTC and all(now - job["CreatedTimestamp"] > APART for job in jobs):
            _make(client, now)
    except PullError:
        raise
    except Exception as error:  # botocore stumbles in many ways over what it does not expect
        answer = getattr(error, "response", None) or {}
        raise PullError(answer.get("Error", {}).get("Code") or type(error).__name__) from None


def _make(client: "SESV2Client", now: datetime) -> None:
    for events in JOBS:
        source: Any = {
            "StartDate": now - WINDOW,
            "EndDate": now,
            "Include": {"LastDeliveryEvent": list(events)},
            "MaxResults": MOST,
        }
        client.create_export_job(
            ExportDataSource={"MessageInsightsDataSource": source}, ExportDestination={"DataFormat": "JSON"}
        )


def _file(client: "SESV2Client", network: Network, job: str) -> bytes:
    """A job's file; empty for one that is no JSON, which somebody else asked for. Raises: PullError."""
    destination = client.get_export_job(JobId=job).get("ExportDestination", {})
    url = destination.get("S3Url")
    return _fetched(url, network) if url and destination.get("DataFormat") == "JSON" else b""


def _fetched(url: str, network: Network) -> bytes:
    # Botocore brings it along; functions that send have no use for it.
    import urllib3

    from shared.net.pools import guard

    with urllib3.PoolManager(retries=False) as manager:
        guard(manager, network)
        answer = manager.request("GET", url, redirect=False, preload_content=False, timeout=SECONDS)
        try:
            body: bytes = answer.read(MAX_BYTES + 1)
        finally:
            answer.release_conn()
    if answer.status != 200:
        raise PullError(f"export {answer.status}")
    if len(body) > MAX_BYTES:
        raise PullError("export too large")
    return body


def _texts(file: bytes, deployment: str) -> Iterator[Sequence[str]]:
    """What a file says of messages of a deployment, as texts for the queue."""
    read = map(_short, _records(file))
    records = [record for record in read if record is not None and _is_ours(record["tags"], deployment)]
    for start in range(0, len(records), TOGETHER):
        yield [_write({NAME: records[start : start + TOGETHER]}).decode()]


def _records(file: bytes) -> Iterator[dict[str, Any]]:
    """The records of a file: an array, an object that holds one, or an object in each line. Raises: PullError."""
    try:
        try:
            found = msgspec.json.decode(file or b"[]")
        except msgspec.DecodeError:
            found = [msgspec.json.decode(line) for line in file.splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise PullError("export unreadable") from None
    if isinstance(found, dict):
        held = [each for each in found.values() if isinstance(each, list)]
        found = held[0] if len(held) == 1 and "messageid" not in _low(found) else [found]
    yield from (each for each in found if isinstance(each, dict))


def _short(record: dict[str, Any]) -> dict[str, Any] | None:
    """What is needed of a record; None if it names no message, or nothing that became of one."""
    given = _low(record)
    insights = [_low(each) for each in given.get("insights") or [record] if isinstance(each, dict)]
    to = next((each["destination"] for each in insights if isinstance(each.get("destination"), str)), None)
    events = [event for each in insights for event in each.get("events") or () if isinstance(event, dict)]
    if not isinstance(given.get("messageid"), str) or not events:
        return None
    tags = [_low(tag) for tag in given.get("emailtags") or () if isinstance(tag, dict)]
    return {
        "id": given["messageid"],
        "to": to,
        "tags": {str(tag.get("name")): str(tag.get("value")) for tag in tags},
        "events": [_low(event) for event in events],
    }


def _is_ours(tags: dict[str, str], deployment: str) -> bool:
    if not tags:
        return True  # it is looked for by its address
    return MESSAGE_ID_TAG in tags and tags.get(DEPLOYMENT_TAG, deployment) == deployment


def _low(values: dict[str, Any]) -> dict[str, Any]:
    return {name.lower().replace("_", ""): value for name, value in values.items()}
