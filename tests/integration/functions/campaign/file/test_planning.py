"""A run's file over S3: planned as a stream, whole or packed, and expanded from the shards."""

import gzip
from itertools import repeat
from typing import Any

import pytest

from functions.campaign.file.planning import Planner
from functions.campaign.send.expanding import Expander
from functions.campaign.send.packing import Packer
from shared.aws.runfiles import RunFiles
from shared.model.runs import AudienceFile
from shared.store.shards import Shards
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.memory import tables
from tests.samples import NOW
from tests.unit.functions.campaign.audience import KEY, judge_of, run_of

BUCKET = "assets"
ROWS = 2500
DATA = ("\ufeffto,name\r\n" + "".join(f'u{i}@example.com,"名\n{i}"\r\n' for i in range(ROWS))).encode()


@pytest.fixture
def s3(aws: Aws) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.mark.parametrize("packed", [False, True])
def test_every_row_of_the_version_that_was_there_becomes_a_message(s3: Any, packed: bool) -> None:
    data = gzip.compress(DATA) if packed else DATA
    version = s3.put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"another")
    files = RunFiles(BUCKET, lambda: s3)
    run = run_of(DATA).moved(file=AudienceFile(key=KEY, version=version, size=len(data)), planned=None, sending_at=NOW)
    clock, left = FakeClock(NOW), repeat(900.0)

    with tables(clock, "guard") as client:
        shards = Shards(client, "guard", clock)
        planned = Planner(files, shards, rows=1000).plan(run, lambda: next(left))
        found = shards.all(run.tenant, run.id)

    expander = Expander(
        files, judge_of, lambda run: Packer(run, {"a": 600}, "UTC"), lambda run, shard: None, lambda run, shard: None
    )
    sent = []
    for shard in found:
        rest = expander.open(planned, shard)
        while part := rest.take(300):
            sent += [(r.address, r.variables["name"]) for d in part.dispatches for r in d.envelope.recipients]
    assert (planned.planned, planned.rows, [shard.rows for shard in found]) == (3, ROWS, [1000, 1000, 500])
    assert sent == [(f"u{i}@example.com", f"名\n{i}") for i in range(ROWS)]
