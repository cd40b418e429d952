"""Keeps what a local stack in memory holds, in a file, so that the next one goes on from there.

Kept are tables, queues, the stream, schedules, secrets, files and the first key. What is taken is one moment: the
services stand still while it is read, so that to the platform a restart is a crash, which it is made for. Not kept are
the outbox and the faults, which belong to the sandboxes.
"""

import gzip
import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends

from local.deployment import ACCOUNT, REGION
from local.gateway import Answer, Incoming
from local.logs import SINK
from local.synth import ROOT

if TYPE_CHECKING:
    from local.stack import LocalStack

FILE = ROOT / ".mepush" / "local.json.gz"
PATH = "keep"
"""Under `/_local/`: a POST keeps what there is now."""
FORMAT = 1
"""Changes when a file of before cannot be read any more: with the shape of what is kept, or of what the tables hold."""
EVERY_S = 30.0
_BYTES = "bytes;base64"

State = dict[str, Any]


class KeepError(Exception):
    """What was kept cannot be read; says why."""


def load(path: Path = FILE) -> State | None:
    """What was kept; None if nothing was. Raises: KeepError."""
    if not path.exists():
        return None
    try:
        state: State = json.loads(gzip.decompress(path.read_bytes()), object_hook=_unpacked)
        found = state["format"]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise KeepError(f"{path} cannot be read ({type(error).__name__})") from None
    if found != FORMAT:
        raise KeepError(f"{path} has the format {found}, and this version reads {FORMAT}")
    return state


def put_aside(path: Path = FILE) -> Path:
    """Move away what cannot be read, so that it is not written over; returns where it is."""
    aside = path.with_name(f"{path.name}.unread")
    path.replace(aside)
    return aside


class Keeper:
    """Writes a stack's state: when told to, and every half minute while it is on. key: the first key, kept as it is."""

    def __init__(self, stack: "LocalStack", key: str, path: Path = FILE) -> None:
        self._stack, self._key, self._path = stack, key, path
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self.keep()

    def __call__(self, request: Incoming) -> Answer:
        """Answer the local page."""
        if request.method != "POST":
            return 405, [("allow", "POST")], b""
        self.keep()
        return 204, [], b""

    def keep(self) -> None:
        """Write what there is now, whole or not at all; for this user only."""
        with self._writing:
            text = json.dumps({"format": FORMAT, "key": self._key, **taken(self._stack)}, default=_packed)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(gzip.compress(text.encode(), compresslevel=1))
            unfinished.replace(self._path)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self.keep()
            except Exception:  # of any kind: the next time may go well
                SINK.failure("keeper")


def taken(stack: "LocalStack") -> State:
    """What a stack holds, of one moment. Raises: RuntimeError for a stack over moto."""
    if stack.memory is None:
        raise RuntimeError("only what is in memory can be kept")
    made = stack.deployment
    with stack.memory.still() as memory:
        state: State = {
            "at": stack.clock.now_ms(),
            "tables": {name: memory.dynamodb.held(table) for name, table in made.tables.items()},
            "queues": {name: memory.sqs.held(url) for name, url in made.queues.items()},
            "streams": {name: memory.kinesis.held(stream) for name, stream in made.streams.items()},
            "schedules": _schedules({each["Name"] for each in made.schedules}),
        }
    # What tables and queues name is written before them, so what is read after them has it.
    return {**state, "secrets": _secrets(stack), "files": {n: _files(stack, b) for n, b in made.buckets.items()}}


def restore(stack: "LocalStack", state: State) -> None:
    """Put back what was kept into a stack that has just been deployed, before anything runs."""
    if stack.memory is None:
        raise RuntimeError("only what is in memory can be kept")
    made, memory = stack.deployment, stack.memory
    for kind, places, put in (
        ("tables", made.tables, memory.dynamodb.take),
        ("queues", made.queues, memory.sqs.take),
        ("streams", made.streams, memory.kinesis.take),
    ):
        for name, held in state[kind].items():
            if name in places:
                put(places[name], held)
    scheduler = stack.client("scheduler")
    for schedule in state["schedules"]:
        # One that was due meanwhile fires at once; what recurs goes on with its next time.
        scheduler.create_schedule(**_with_times(schedule))
    for secret in state["secrets"]:
        _put_secret(stack, secret)
    for name, files in state["files"].items():
        if name in made.buckets:
            _put_files(stack, made.buckets[name], files)


_SCHEDULE = {
    "ActionAfterCompletion": "action_after_completion",
    "Description": "description",
    "EndDate": "end_date",
    "FlexibleTimeWindow": "flexible_time_window",
    "GroupName": "group_name",
    "Name": "name",
    "ScheduleExpression": "schedule_expression",
    "ScheduleExpressionTimezone": "schedule_expression_timezone",
    "StartDate": "start_date",
    "State": "state",
    "Target": "target",
}
"""Fields as the API has them, and as moto keeps them."""


def _schedules(deployed: set[str]) -> list[State]:
    """All schedules but those that a deployment makes."""
    groups = scheduler_backends[ACCOUNT][REGION].schedule_groups.values()
    found = [each for group in groups for each in list(group.schedules.values()) if each.name not in deployed]
    return [
        {name: value for name, field in _SCHEDULE.items() if (value := getattr(each, field)) is not None}
        for each in found
    ]


def _with_times(schedule: State) -> State:
    times: State = {
        name: datetime.fromtimestamp(schedule[name], UTC) for name in ("StartDate", "EndDate") if name in schedule
    }
    return {**schedule, **times}


def _secrets(stack: "LocalStack") -> list[State]:
    client, found = stack.client("secretsmanager"), []
    for pages in client.get_paginator("list_secrets").paginate():
        for secret in pages["SecretList"]:
            versions = client.list_secret_version_ids(SecretId=secret["Name"])["Versions"]
            current = secret.get("SecretVersionsToStages", {})
            ids = sorted((each["VersionId"] for each in versions), key=lambda id: "AWSCURRENT" in current.get(id, ()))
            texts = {id: client.get_secret_value(SecretId=secret["Name"], VersionId=id)["SecretString"] for id in ids}
            found.append({"name": secret["Name"], "tags": secret.get("Tags", []), "versions": texts})
    return found


def _put_secret(stack: "LocalStack", secret: Mapping[str, Any]) -> None:
    client = stack.client("secretsmanager")
    (first, text), *others = secret["versions"].items()
    client.create_secret(
        Name=secret["name"], ClientRequestToken=first, SecretString=text, Tags=secret["tags"], Description=""
    )
    for id, text in others:
        client.put_secret_value(SecretId=secret["name"], ClientRequestToken=id, SecretString=text)


def _files(stack: "LocalStack", bucket: str) -> list[State]:
    """All versions of all files, the oldest first."""
    client, found = stack.client("s3"), []
    versions = client.list_object_versions(Bucket=bucket).get("Versions", [])
    for each in sorted(versions, key=lambda version: version["LastModified"]):
        which = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        with suppress(client.exceptions.NoSuchKey):
            got = client.get_object(**which)
            tags = client.get_object_tagging(**which)["TagSet"]
            kept = {name: got[name] for name in ("ContentType", "Metadata")} | {"Body": got["Body"].read()}
            found.append({"key": each["Key"], "version": each["VersionId"], "tags": tags, **kept})
            found[-1]["modified"] = each["LastModified"].timestamp()
    return found


def _put_files(stack: "LocalStack", bucket: str, files: list[State]) -> None:
    client = stack.client("s3")
    for file in files:
        client.put_object(
            Bucket=bucket,
            Key=file["key"],
            **{name: file[name] for name in ("Body", "ContentType", "Metadata")},
        )
        # Messages and runs name versions; no request to S3 can say which one a file is to have.
        made = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.getlist(file["key"])[-1]
        made._version_id = file["version"]
        made.last_modified = datetime.fromtimestamp(file["modified"], UTC).replace(tzinfo=None)
        if file["tags"]:
            which = {"Bucket": bucket, "Key": file["key"], "VersionId": file["version"]}
            client.put_object_tagging(**which, Tagging={"TagSet": file["tags"]})


def _packed(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {_BYTES: b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _unpacked(value: dict[str, Any]) -> Any:
    return b64decode(value[_BYTES]) if value.keys() == {_BYTES} else value
