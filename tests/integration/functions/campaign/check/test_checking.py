"""A run's file over S3: read by ranges of one version, checked against the suppression list, compared, estimated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.campaign.check import hashes
from functions.campaign.check.checking import Checker
from functions.campaign.check.comparing import Comparer
from functions.campaign.check.estimating import Estimator
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.model.ids import Tagger
from shared.model.runs import Run, Shard, Tally
from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.shards import Shards
from shared.store.suppressions import Suppressions
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import NOW, TENANT, change, template
from tests.unit.functions.campaign.audience import KEY, cut_into, judge_of, run_of

BUCKET = "assets"
FILE = (
    "\ufeffto,name\n"
    "a@example.com,A\n"
    "b@example.com,B\n"
    "a@example.com,again within the shard\n"
    "c@example.com,C\n"
    "nobody,N\n"
    "B@example.com,again in another\n"
    '"d@example.com","D, ""the"" 4th"\n'
    "c@example.com,and again\n"
    "a@example.com,and again\n"
).encode()


@pytest.fixture
def s3(aws: Aws) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def files(s3: Any) -> RunFiles:
    return RunFiles(BUCKET, lambda: s3)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def uploaded(s3: Any, data: bytes, rows: int) -> tuple[Run, list[Shard]]:
    """A run of an uploaded file."""
    version = s3.put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
    run, shards = cut_into(run_of(data), data, rows)
    return run, [shard.model_copy(update={"version": version}) for shard in shards]


def test_three_shards_are_checked_and_compared(
    aws: Aws, s3: Any, files: RunFiles, pool: ThreadPoolExecutor, clock: FakeClock
) -> None:
    suppressions = Suppressions(aws.dynamodb, aws.catalog, clock)
    tag = Tagger(TENANT.salt, "email")("b@example.com")
    nobody = Suppressed(tenant="default", channel=Channel.EMAIL, address="b@example.com", tag=tag)
    entry = SuppressionEntry(scope=SuppressionScope.ALL, reason=SuppressionReason.BOUNCE, at=NOW, by="k1")
    suppressions.change(nobody, lambda found: found.plus([entry]), lambda _before, _after: change())
    run, shards = uploaded(s3, FILE, 3)
    # What is uploaded under the same name later is not what the run reads.
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"other")
    checker = Checker(files, suppressions, judge_of)
    store = Shards(aws.dynamodb, aws.guard, clock)
    store.create("default", run.id, shards)
    for shard in shards:
        assert store.save("default", run.id, checker.check(run, shard), 1) is not None
    comparer = Comparer(files, store, pool)
    assert comparer.compare(run, store.all("default", run.id), lambda: 900)
    done = store.all("default", run.id)
    tally = Tally()
    repeated = []
    for shard in done:
        assert shard.checked is not None
        tally = tally.plus(shard.checked)
        if (bits := comparer.repeated_rows(run, shard)) is not None:
            repeated += [shard.first_row + row for row in range(shard.rows) if hashes.has_bit(bits, row)]
    assert repeated == [3, 6, 8, 9]
    assert (tally.rows, tally.messages, tally.duplicates, tally.suppressed) == (9, 4, 4, 1)
    assert tally.rejected == {"address_invalid": 1}
    assert [shard.repeats for shard in done] == [0, 1, 2]
    rejects = files.get("default", run.id, "rejects", 1).decode("utf-8-sig").splitlines()
    assert rejects[0] == "row,reason,detail,to,name"
    assert rejects[1].startswith("6,address_invalid,") and rejects[1].endswith(",nobody,N")
    catalog = Catalog(aws.dynamodb, aws.catalog, clock)
    catalog.create_template(*template(), change())
    estimate = Estimator(catalog).estimate(run.moved(tally=tally), checker.sample(run, done))
    assert (estimate.messages, estimate.fees) == (4, ())


def test_some_bytes_of_one_version(s3: Any, files: RunFiles) -> None:
    first = s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"0123456789")["VersionId"]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"abc")
    assert files.read(KEY, first, 2, 5) == b"234"
    assert files.read(KEY, first, 0, 10) == b"0123456789"
    assert files.read(KEY, first, 4, 4) == b""
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=first)
    with pytest.raises(FileGoneError):
        files.read(KEY, first, 0, 1)


def test_a_file_of_a_run_is_written_over_and_read_in_parts(files: RunFiles) -> None:
    with pytest.raises(FileGoneError) as caught:
        files.get("default", "sale.1", "hashes", 7)
    assert caught.value.key == "runs/default/sale.1/hashes/000007"
    files.put("default", "sale.1", "hashes", 7, b"first")
    files.put("default", "sale.1", "hashes", 7, b"second")
    assert files.get("default", "sale.1", "hashes", 7) == b"second"
    assert files.get("default", "sale.1", "hashes", 7, 2, 4) == b"co"
    assert files.get("default", "sale.1", "hashes", 7, 2) == b"cond"
    assert files.get("default", "sale.1", "hashes", 7, 3, 3) == b""


def test_a_link_names_the_file_it_is_saved_as(files: RunFiles) -> None:
    link = urlsplit(files.link("default", "sale.1", "rejects", 2, "sale-rejects-2.csv"))
    assert "runs/default/sale.1/rejects/000002" in link.path
    query = parse_qs(link.query)
    assert query["response-content-disposition"] == ['attachment; filename="sale-rejects-2.csv"']
