"""Audience files for tests: a bucket in memory, a run, and its shards."""

import io
import re
from typing import Any

from botocore.exceptions import ClientError

from functions.campaign.check.rows import Facts, Judge
from mepush.sheets.cutting import cut
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import read_header
from shared.model.campaigns import Audience, Campaign, Variant
from shared.model.runs import AudienceFile, PinnedVariant, Run, RunState, Shard, run_id
from shared.model.words import Channel, MessageClass
from tests.samples import NOW, TENANT, template

KEY = "audiences/default/people.csv"


class MemoryS3:
    """As much of S3 as runs' files need. objects: by key, or by key and version."""

    def __init__(self) -> None:
        self.objects: dict[Any, bytes] = {}
        self.reads = 0

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, str]:
        self.objects[Key] = Body
        return {"VersionId": "v1"}

    def get_object(self, Bucket: str, Key: str, VersionId: str = "", Range: str = "bytes=0-") -> dict[str, Any]:
        self.reads += 1
        key = (Key, VersionId) if VersionId else Key
        found = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", Range)
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchVersion" if VersionId else "NoSuchKey"}}, "GetObject")
        assert found is not None
        start, end = int(found[1]), int(found[2]) + 1 if found[2] else None
        assert end is None or start < end
        return {"Body": io.BytesIO(self.objects[key][start:end])}


def run_of(
    data: bytes, *, weights: dict[str, int] | None = None, channel: Channel = Channel.EMAIL, **changes: Any
) -> Run:
    """A run of a file, not yet cut. weights: of variants by name. changes: of the campaign."""
    weights = weights or {"a": 1}
    audience: dict[str, Any] = {"file": "people.csv", **changes.pop("audience", {})}
    facts: dict[str, Any] = {
        "id": "sale",
        "tenant": TENANT.id,
        "name": "Sale",
        "variants": [Variant(name=name, template="welcome", weight=weight) for name, weight in weights.items()],
        "audience": Audience.model_validate(audience),
    }
    campaign = Campaign.model_validate(facts | changes)
    header = read_header(data, campaign.audience.format, True)
    assert header is not None
    return Run(
        id=run_id(TENANT.id, "sale", NOW),
        tenant=TENANT.id,
        fired_at=NOW,
        state=RunState.CHECKING,
        state_at=NOW,
        state_by="platform",
        started_by="k1",
        campaign=campaign,
        channel=channel,
        message_class=MessageClass.MARKETING,
        variants=tuple(PinnedVariant(name=n, template="welcome", version=1, weight=w) for n, w in weights.items()),
        file=AudienceFile(key=KEY, version="v1", size=len(data), header=header.names, delimiter=header.delimiter),
        created_at=NOW,
        planned=1,
        rows=0,
    )


def cut_into(run: Run, data: bytes, rows: int) -> tuple[Run, list[Shard]]:
    """The run as planned, with shards of so many rows."""
    format = run.campaign.audience.format
    header = read_header(data, format, True)
    assert header is not None
    rest = data[header.end :]
    cuts = cut(rest, format, header.delimiter, rows) if rest else []
    shards = [
        Shard(
            number=i, key=KEY, version="v1", start=header.end + c.start, end=header.end + c.end, first_row=c.first_row,
            rows=c.rows,
        )
        for i, c in enumerate(cuts)
    ]  # fmt: skip
    return run.moved(planned=len(shards), rows=sum(shard.rows for shard in shards)), shards


def judge_of(run: Run, **facts: Any) -> Judge:
    """The judge of a run whose variants are all the template `welcome`, which takes a `name`."""
    _, version = template()
    versions = {variant.name: version for variant in run.variants}
    return Judge(run, Facts(TENANT, versions, **facts))


CSV, NDJSON = FileFormat.CSV, FileFormat.NDJSON
