"""Everything that a local stack holds, to be searched for a person: independent of the code that erases them."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.stack import LocalStack

TABLES = ("CatalogTable", "GuardTable", "TimelineTable", "CountersTable")

Held = tuple[str, bytes]
"""Where something is, and what it is."""


def spellings(*texts: str) -> set[bytes]:
    """All spellings under which texts are looked for: in lower case; plain, encoded for URLs, and in base 64."""
    found: set[bytes] = set()
    for text in texts:
        forms = {text, quote(text, safe=""), json.dumps(text)[1:-1]}
        if text.startswith("+86"):
            forms |= {
                text[1:],
                text[3:],
                f"{text[3:6]} {text[6:10]} {text[10:]}",
                f"{text[3:6]}-{text[6:10]}-{text[10:]}",
            }
        found |= {form.lower().encode() for form in forms}
        found |= {each.lower() for each in _base64(text.encode())}
    return found


def _base64(data: bytes) -> Iterator[bytes]:
    """What of a text stands in base 64 in any case, wherever in the whole it begins."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data)
        yield whole[-(-shift * 8 // 6) : len(whole) - 4]


def held(stack: LocalStack) -> Iterator[Held]:
    """All that is in tables, queues, the bucket (with all versions) and schedules, unpacked."""
    yield from items(stack)
    yield from _messages(stack)
    yield from _objects(stack)
    yield from _schedules(stack)


def items(stack: LocalStack) -> Iterator[Held]:
    """All items of all tables."""
    for output in TABLES:
        for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[output]):
            for item in page["Items"]:
                yield f"{output} {item['pk']['S']} {item['sk']['S']}", _unpacked(item)


def stream(stack: LocalStack) -> Iterator[Held]:
    """All records of the stream of events."""
    assert stack.memory is not None
    for shard, records in stack.memory.kinesis.held(stack.outputs["StreamName"]).items():
        for number, record in enumerate(records):
            yield f"stream {shard} {number}", b"\n".join(_bytes(record))


def found(where: Iterable[Held], wanted: set[bytes]) -> list[str]:
    """The places that hold any of some spellings."""
    return [place for place, data in where if any(each in data.lower() for each in wanted)]


def log(path: Path, begin: int) -> Held:
    """What functions logged from a byte on."""
    return "log", path.read_bytes()[begin:]


def _messages(stack: LocalStack) -> Iterator[Held]:
    assert stack.memory is not None
    for url in stack.client("sqs").list_queues()["QueueUrls"]:
        for message in stack.memory.sqs.held(url):
            yield f"queue {url.rpartition('/')[2]}", b"\n".join(_bytes(message))


def _objects(stack: LocalStack) -> Iterator[Held]:
    s3, bucket = stack.client("s3"), stack.outputs["AssetsBucket"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in page.get("Versions", ()):
            got = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
            data = got["Body"].read()
            about = json.dumps([each["Key"], got["Metadata"]]).encode()
            yield f"object {each['Key']} {each['VersionId']}", b"\n".join((about, *_opened(data)))


def _schedules(stack: LocalStack) -> Iterator[Held]:
    scheduler, group = stack.client("scheduler"), stack.outputs["ScheduleGroup"]
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for each in page["Schedules"]:
            whole = scheduler.get_schedule(GroupName=group, Name=each["Name"])
            yield f"schedule {each['Name']}", json.dumps(whole["Target"]["Input"]).encode()


def _unpacked(item: dict[str, Any]) -> bytes:
    return b"\n".join(_bytes([*item, *item.values()]))


def _bytes(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name).encode()
            yield from _bytes(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _bytes(inner)
    elif isinstance(value, bytes):
        yield from _opened(value)
    else:
        yield str(value).encode()


def _opened(data: bytes) -> Iterator[bytes]:
    yield data
    for unpack in (zlib.decompress, gzip.decompress, lambda packed: packed.decode("utf-16").encode()):
        try:
            yield unpack(data)
        except (zlib.error, OSError, EOFError, UnicodeDecodeError):
            continue
