"""Shows the events that were set aside, and has them carried out again.

`python examples/events/redrive.py QUEUE_URL` shows when and why each came on the queue, and leaves it there.
`python examples/events/redrive.py QUEUE_URL FUNCTION` has the function carry each out again, under the id that it had:
what of it was sent within the last 24 hours is not sent again. The stack's outputs `EventsDeadLetterUrl` and
`IngestEventsFunction` are the two names. Mend the cause first: an event that is still not valid is set aside again.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

MAX_EMPTY = 3
"""SQS may say that there is nothing though there is: look again."""


def set_aside(sqs: Any, url: str, hidden_s: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Receipt and record of each event on the queue, hidden from others for some seconds; none twice."""
    seen: set[str] = set()
    empty = 0
    while empty < MAX_EMPTY:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=hidden_s, WaitTimeSeconds=1
        )
        new = [each for each in answer.get("Messages", ()) if each["MessageId"] not in seen]
        empty = 0 if new else empty + 1
        for message in new:
            seen.add(message["MessageId"])
            yield message["ReceiptHandle"], json.loads(message["Body"])


def reason_of(record: dict[str, Any]) -> str:
    """Why an event was set aside: by mePush, by Lambda, or, without a record, by EventBridge."""
    if "requestPayload" not in record:
        return "EventBridge could not deliver it"
    found = record.get("responsePayload") or {}
    errors = [f"{each['field'] or 'event'}: {each['message']}" for each in found.get("errors", ())]
    what = "; ".join(errors) or found.get("detail") or found.get("errorMessage") or "no answer"
    return f"{record['requestContext']['condition']}: {what}"


def redrive(sqs: Any, functions: Any, url: str, function: str) -> dict[str, int]:
    """Carry all out again; returns how many were accepted, set aside again, and left where they were."""
    counts = {"accepted": 0, "set_aside": 0, "left": 0}
    # What is set aside again comes on the queue as a new message: each event has one turn.
    done: set[str] = set()
    for receipt, record in set_aside(sqs, url, hidden_s=300):
        event = record.get("requestPayload", record)
        name = json.dumps(event, sort_keys=True)
        if name in done:
            continue
        done.add(name)
        answer = functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        if "FunctionError" in answer:
            counts["left"] += 1
            continue
        counts["accepted" if "request_id" in json.loads(answer["Payload"].read()) else "set_aside"] += 1
        sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
    return counts


def main(arguments: list[str]) -> None:
    """Run the command."""
    import boto3

    if len(arguments) not in (1, 2):
        raise SystemExit(__doc__)
    sqs = boto3.client("sqs")
    if len(arguments) == 2:
        sys.stdout.write(json.dumps(redrive(sqs, boto3.client("lambda"), *arguments)) + "\n")
        return
    for _, record in set_aside(sqs, arguments[0], hidden_s=5):
        event = record.get("requestPayload", record)
        about = {"id": event.get("id"), "source": event.get("source")} if isinstance(event, dict) else {}
        line = {"at": record.get("timestamp"), **about, "reason": reason_of(record)}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
