"""Files are planned as they stream by: into the same shards however often it breaks off, packed or not."""

import csv
import gzip
import io
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError

from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.planning import Planner
from functions.campaign.file.reading import read_rows
from mepush.sheets.failures import SheetError
from shared.aws.runfiles import ATTEMPTS, FileGoneError, RunFiles
from shared.model.campaigns import Columns
from shared.model.runs import AudienceFile, Run, Shard
from shared.store.shards import Shards
from tests.fakes import FakeClock
from tests.memory import tables
from tests.samples import NOW
from tests.unit.functions.campaign.audience import KEY, run_of

PIECE = 40
AUDIENCES = sorted((Path(__file__).parents[5] / "examples" / "audience").glob("*.csv"))
DATA = "".join(
    ["\ufeffto,name\r\n"] + [f'u{i}@example.com,"名{i}, ""the""\n{i}"\r\n' if i % 3 else "\r\n" for i in range(200)]
).encode()


class Body(io.BytesIO):
    """A body that comes in small pieces. breaks_at: where its connection breaks."""

    breaks_at: int | None = None
    piece = PIECE

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while piece := self.read(self.piece):
            if self.breaks_at is not None and self.tell() > self.breaks_at:
                raise (
                    ReadTimeoutError(endpoint_url="s3")
                    if self.breaks_at % 2
                    else IncompleteReadError(actual_bytes=1, expected_bytes=2)
                )
            yield piece


class S3:
    """The bucket. breaks: where the connections break, one after the other."""

    piece = PIECE

    def __init__(self, data: bytes, *breaks: int | None) -> None:
        self.objects: dict[Any, bytes] = {(KEY, "v1"): data}
        self.breaks = chain(breaks, repeat(None))
        self.ranges: list[str] = []

    def get_object(self, Bucket: str, Key: str, VersionId: str, Range: str) -> dict[str, Any]:
        if (Key, VersionId) not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchVersion"}}, "GetObject")
        self.ranges.append(Range)
        start, _, end = Range.removeprefix("bytes=").partition("-")
        body = Body(self.objects[Key, VersionId][int(start) : int(end) + 1 if end else None])
        body.breaks_at, body.piece = next(self.breaks), self.piece
        return {"Body": body}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, str]:
        version = f"w{len(self.objects)}"
        self.objects[Key, version] = Body
        return {"VersionId": version}


@pytest.fixture
def shards() -> Iterator[Shards]:
    clock = FakeClock(NOW)
    with tables(clock, "guard") as client:
        yield Shards(client, "guard", clock)


def run_for(data: bytes, **changes: Any) -> Run:
    """A run of a file of which nothing is known yet."""
    run = run_of(b"to\n", **changes)
    return run.moved(file=AudienceFile(key=KEY, version="v1", size=len(data)), planned=None)


def plan(s3: S3, shards: Shards, run: Run, rows: int = 7, time: Iterator[float] | None = None) -> Run:
    left = time or repeat(900.0)
    files = RunFiles("assets", lambda: s3)  # type: ignore[arg-type,return-value]  # plays S3
    return Planner(files, shards, rows=rows, size=10**6).plan(run, lambda: next(left))


def rows_of(s3: S3, run: Run, shards: list[Shard]) -> list[tuple[int, Any]]:
    """All rows with their numbers."""
    assert run.file is not None
    found = []
    for shard in shards:
        data = s3.objects[shard.key, shard.version][shard.start : shard.end]
        rows = read_rows(data, run.campaign.audience.format, run.file)
        found += [(shard.first_row + index, content) for index, content in rows]
    return found


EXPECTED = [(i + 1, [f"u{i}@example.com", f'名{i}, "the"\n{i}']) for i in range(200) if i % 3]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_becomes_shards_of_its_rows(shards: Shards, packed: bool) -> None:
    data = gzip.compress(DATA[:900], mtime=0) + gzip.compress(DATA[900:], mtime=0) if packed else DATA
    s3, run = S3(data), run_for(data)

    done = plan(s3, shards, run)

    found = shards.all("default", run.id)
    assert (done.planned, done.rows) == (29, 200)
    assert done.file == AudienceFile(key=KEY, version="v1", size=len(data), gzip=packed, header=("to", "name"))
    assert [shard.rows for shard in found] == [7] * 28 + [4]
    assert rows_of(s3, done, found) == EXPECTED
    assert {shard.key for shard in found} == (
        {f"runs/default/{run.id}/shards/{i:06d}" for i in range(29)} if packed else {KEY}
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_plan_goes_on_where_it_broke_off(shards: Shards, packed: bool) -> None:
    data = gzip.compress(DATA, 0, mtime=0) if packed else DATA
    s3, run = S3(data), run_for(data)
    whole = plan(s3, shards, run)
    expected = [shard.model_copy(update={"version": ""}) for shard in shards.all("default", run.id)]
    other = run.moved(id="sale.01KAV2M3X80000000000000000")
    tries = 0
    while (done := plan(s3, shards, other, time=chain([900.0] * 30, repeat(1.0)))).planned is None:
        assert done == other
        tries += 1
        assert tries < 100
    assert tries > 3

    assert (done.planned, done.rows, done.file) == (whole.planned, whole.rows, whole.file)
    found = shards.all("default", other.id)
    assert rows_of(s3, done, found) == EXPECTED
    assert [(s.number, s.start, s.end, s.first_row, s.rows) for s in found] == [
        (s.number, s.start, s.end, s.first_row, s.rows) for s in expected
    ]


def test_another_connection_takes_over_where_one_breaks(shards: Shards) -> None:
    s3, run = S3(DATA, 100, 501, 0, 0, 81), run_for(DATA)

    done = plan(s3, shards, run)

    assert rows_of(s3, done, shards.all("default", run.id)) == EXPECTED
    assert s3.ranges == [f"bytes={at}-" for at in (0, 80, 560, 560, 560, 640)]


def test_connections_that_bring_nothing_are_given_up(shards: Shards) -> None:
    s3 = S3(DATA, *[0] * ATTEMPTS)
    with pytest.raises(IncompleteReadError):
        plan(s3, shards, run_for(DATA))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (gzip.compress(b"", mtime=0), "The file is empty"),
        (b"to,name\n", "names columns and has no rows"),
        (b"mail,name\na,b\n", "The file has no column `to`; its columns are: `mail`, `name`."),
        (gzip.compress(DATA, mtime=0)[:-20], "The gzip file ends too early"),
        (DATA + b'x,"open', "Row 202 opens a quote that is never closed"),
        (b"to,na\xff\n", "neither UTF-8 nor Chinese in GBK"),
        (b"PK\x03\x04rest", "an Excel workbook or a zip archive"),
        (gzip.compress(b"PK\x03\x04rest"), "an Excel workbook or a zip archive"),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_run(shards: Shards, data: bytes, words: str) -> None:
    with pytest.raises((RunFailedError, SheetError)) as failed:
        plan(S3(data), shards, run_for(data))
    assert words in str(failed.value)


def test_a_file_that_is_gone_is_told(shards: Shards) -> None:
    run = run_for(b"x")
    s3 = S3(b"x")
    s3.objects.clear()
    with pytest.raises(FileGoneError):
        plan(s3, shards, run)


def test_lines_of_json_become_shards(shards: Shards) -> None:
    data = b'{"to": "a@example.com"}\n\n' * 10
    s3, run = S3(data), run_for(data, audience={"format": "ndjson"})

    done = plan(s3, shards, run)

    assert (done.planned, done.rows) == (3, 20)
    assert rows_of(s3, done, shards.all("default", run.id)) == [(2 * i + 1, {"to": "a@example.com"}) for i in range(10)]


@pytest.mark.parametrize("path", AUDIENCES, ids=lambda path: path.stem)
def test_the_examples_are_read_as_the_csv_module_reads_them(shards: Shards, path: Path) -> None:
    data = path.read_bytes()
    chinese = "gb18030" in path.name
    records = list(csv.reader(io.StringIO(data.decode("gb18030" if chinese else "utf-8-sig"), newline="\n")))
    to = next(name for name in records[0] if name in ("to", "手机号", "E-Mail"))
    s3, run = S3(data), run_for(data, audience={"columns": Columns(to=to)})

    done = plan(s3, shards, run, rows=9)

    found = rows_of(s3, done, shards.all("default", run.id))
    expected = [(i, [cell.strip() for cell in cells]) for i, cells in enumerate(records[1:], 1)]
    assert found == [(i, cells) for i, cells in expected if any(cells)]
    assert done.file is not None and done.file.recoded == chinese


def columns(count: int, name: str = "c") -> bytes:
    """A file whose first row names so many columns."""
    return ",".join(["to", *(f"{name}{i:05d}" for i in range(count - 1))]).encode() + b"\na@example.com\n"


@pytest.mark.parametrize("data", [columns(2_000), columns(20, "汉" * 1_000), columns(20, "😀" * 750)])
def test_a_file_may_name_many_columns(shards: Shards, data: bytes) -> None:
    s3 = S3(data)
    s3.piece = 1_000_000
    done = plan(s3, shards, run_for(data))
    assert done.planned == 1 and len(done.model_dump_json()) < 380_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (columns(2_001), "The file's first row has 2,001 columns, more than 2,000."),
        (columns(70_000), "The file's first row has 70,000 columns, more than 2,000."),
        (columns(20, "汉" * 1_200), "bytes of column names, more than 64,000."),
        (columns(20, "😀" * 900), "bytes of column names, more than 64,000."),
        (columns(20, "\x01" * 600), "bytes of column names, more than 64,000."),
        (b"to" * 600_000, "The first row, which names the columns, has no end"),
        (gzip.compress(b"to\n" + b"a@example.com\n" * 3_000_000, mtime=0), "are unpacked. Divide it"),
        (b"to\n" + b"a" * 1_000_001 + b"\n", "Row 2 is longer than 1,000,000 bytes"),
    ],
)
def test_a_file_beyond_a_limit_fails_the_run_and_says_which(shards: Shards, data: bytes, words: str) -> None:
    s3 = S3(data)
    s3.piece = 1_000_000
    with pytest.raises((RunFailedError, SheetError)) as failed:
        plan(s3, shards, run_for(data), rows=10_000)
    assert words in str(failed.value)


TEXT = "to,姓名,备注\n" + "".join(f'a{i}@example.com,李雷{i},"容{i}，\n{i}"\n' for i in range(299))
TEXT += "a299@example.com,朱镕基😀,€\n"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("packed", [False, True])
def test_whatever_a_file_is_written_in_its_shards_hold_the_same_rows(
    shards: Shards, encoding: str, packed: bool
) -> None:
    """Also if the plan breaks off after every shard, and pieces end amid characters."""
    data = TEXT.encode(encoding)
    data = gzip.compress(data, mtime=0) if packed else data
    s3, run = S3(data), run_for(data)

    done = plan(s3, shards, run, rows=7)

    found = rows_of(s3, done, shards.all("default", run.id))
    assert found[-1] == (300, ["a299@example.com", "朱镕基😀", "€"])
    assert found[:-1] == [(i + 1, [f"a{i}@example.com", f"李雷{i}", f"容{i}，\n{i}"]) for i in range(299)]
    assert done.file is not None and done.file.header == ("to", "姓名", "备注")


def test_lines_that_end_with_a_carriage_return_alone_are_read(shards: Shards) -> None:
    data = b"to,name\ra@example.com,A\rb@example.com,B\r"
    s3, run = S3(data), run_for(data)
    done = plan(s3, shards, run)
    assert rows_of(s3, done, shards.all("default", run.id)) == [
        (1, ["a@example.com", "A"]),
        (2, ["b@example.com", "B"]),
    ]
