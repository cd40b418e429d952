"""A run that follows another is planned from that one's shards: which rows, as they were written, and once."""

import gzip
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import pytest

from functions.campaign.check import hashes
from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.planning import Planner
from functions.campaign.file.reading import read_rows
from functions.campaign.follow.finding import its_file
from functions.campaign.follow.picking import MESSAGES, Picker
from functions.campaign.follow.reasons import Why
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.reading import Content
from shared.aws.runfiles import RunFiles
from shared.model.campaigns import Audience, Columns, Follows, Who
from shared.model.ids import Numbering, Tagger, ulid_value
from shared.model.runs import AudienceFile, Run, RunState, Shard, run_id
from shared.store.campaigns import Campaigns
from shared.store.shards import Shards
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.memory import tables
from tests.samples import NOW, TENANT
from tests.unit.functions.campaign.audience import KEY, judge_of, run_of

BUCKET = "assets"


def plenty() -> float:
    """Seconds that are left."""
    return 900.0


class World:
    """A run of a file, planned, and one that follows it. Of its messages those are in the set that `picks` says."""

    def __init__(
        self,
        client: Any,
        s3: Any,
        data: bytes,
        format: FileFormat,
        rows: int,
        written: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.s3 = s3
        clock = FakeClock(NOW)
        self.campaigns, self.shards = Campaigns(client, "catalog", clock), Shards(client, "guard", clock)
        self.files = RunFiles(BUCKET, lambda: s3)
        stored = written(data)
        version = s3.put_object(Bucket=BUCKET, Key=KEY, Body=stored)["VersionId"]
        file = AudienceFile(key=KEY, version=version, size=len(stored))
        run = run_of(data, audience={"format": format}).moved(file=file, planned=None, sending_at=NOW)
        planned = Planner(self.files, self.shards, rows=rows).plan(run, plenty)
        self.followed = planned.moved(state=RunState.FINISHED, over_at=NOW)
        self.campaigns.create_run(self.followed)
        follows = Follows(run=self.followed.id, who=Who.NOT_OPENED)
        audience = Audience(follows=follows, format=format, columns=run.campaign.audience.columns)
        campaign = run.campaign.model_copy(update={"id": "again", "audience": audience})
        fresh = {"state": RunState.PLANNING, "over_at": None, "sending_at": None, "planned": None, "rows": 0}
        id = run_id(TENANT.id, "again", NOW)
        self.run = self.followed.moved(id=id, campaign=campaign, file=its_file(self.followed), **fresh)
        self.campaigns.create_run(self.run)
        self.asked: list[int] = []
        self.picks: Callable[[int], bool] = lambda i: True
        self.bits: dict[str, set[int]] = {"repeats": set(), "refused": set()}
        self.picker = Picker(
            self.campaigns, self.shards, self.files, self, judge_of, self._bits("repeats"), self._bits("refused")
        )

    def _bits(self, which: str) -> Callable[[Run, Shard], bytes | None]:
        def found(run: Run, shard: Shard) -> bytes | None:
            bits = hashes.bits_for(shard.rows)
            for row in self.bits[which]:
                if 0 <= row - shard.first_row + 1 < shard.rows:
                    hashes.set_bit(bits, row - shard.first_row + 1)
            return bytes(bits) if any(bits) else None

        return found

    def sorting(self, followed: Run, run: Run) -> Callable[[Sequence[str]], dict[str, Why]]:
        """As a sorter has it: a message is known by its place among all rows of the file."""
        bases = {
            ulid_value(followed.shard_base(s.number)): s.first_row - 1 for s in self.shards.all(TENANT.id, followed.id)
        }

        def sort(ids: Sequence[str]) -> dict[str, Why]:
            self.asked.append(len(ids))
            found = {}
            for id in ids:
                value = ulid_value(id[:26])
                base = value & ~((1 << 20) - 1)
                found[id] = Why.PICKED if self.picks(bases[base] + value - base) else Why.OPENED
            return found

        return sort

    def plan(self, remaining_s: Callable[[], float] = plenty) -> Run:
        return self.picker.plan(self.run, remaining_s)

    def mine(self) -> list[Shard]:
        return self.shards.all(TENANT.id, self.run.id)

    def bytes_of(self, shard: Shard) -> bytes:
        return self.files.read(shard.key, shard.version, shard.start, shard.end)

    def contents(self, run: Run) -> list[Content]:
        """The rows of a run as sending reads them."""
        assert run.file is not None
        format, found = run.campaign.audience.format, []
        for shard in self.shards.all(TENANT.id, run.id):
            rows = list(read_rows(self.bytes_of(shard), format, run.file))
            assert len(rows) <= shard.rows
            found += [content for _, content in rows]
        return found


@pytest.fixture
def s3(aws: Aws) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def world(s3: Any) -> Iterator[Callable[..., World]]:
    with tables(FakeClock(NOW), "catalog", "guard") as client:
        yield lambda data, format=FileFormat.CSV, rows=10, written=bytes: World(client, s3, data, format, rows, written)


def people(n: int) -> bytes:
    return b"to,name\n" + b"".join(b"u%d@example.com,Ann %d\n" % (i, i) for i in range(n))


def test_each_shard_becomes_one_of_those_who_are_picked(world: Callable[..., World]) -> None:
    it = world(people(25))
    it.picks = lambda i: i % 3 == 0
    run = it.plan()
    assert (run.planned, run.rows, run.picked) == (3, 9, {"picked": 9, "opened": 16})
    assert [(s.number, s.first_row, s.rows) for s in it.mine()] == [(0, 1, 4), (1, 5, 3), (2, 8, 2)]
    assert it.contents(run) == [[f"u{i}@example.com", f"Ann {i}"] for i in range(25) if i % 3 == 0]


def test_ids_are_those_that_were_sent(world: Callable[..., World]) -> None:
    it = world(people(12))
    asked: list[str] = []
    plain = it.sorting(it.followed, it.run)
    it.picker.sorter.sorting = lambda followed, run: lambda ids: (asked.extend(ids), plain(ids))[1]  # type: ignore[method-assign,func-returns-value]  # listens
    it.plan()
    tag, numbers = Tagger(TENANT.salt, "email"), [Numbering(it.followed.shard_base(i)) for i in (0, 1)]
    assert asked == [numbers[i // 10](i % 10) + tag(f"u{i}@example.com") for i in range(12)]


AWKWARD = (
    'to,name\r\n"u0@example.com","Ann ""A"", of\nx"\r\n\r\nu1@example.com,\'=SUM(1)\r\nbroken\r\n'
    "u2@example.com,\" \u200bAnn \"\r\n,\r\nu3@example.com,''=twice\r\nu4@example.com,last"
).encode()
OBJECTS = b'{"to": "u0@example.com", "name": "Ann", "more": {"a": [1, 2]}}\n\n{"to": "u1@example.com","name":"B"}\nnone'


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
@pytest.mark.parametrize(("data", "format"), [(AWKWARD, FileFormat.CSV), (OBJECTS, FileFormat.NDJSON)])
def test_rows_are_kept_as_they_were_written(
    world: Callable[..., World], data: bytes, format: FileFormat, rows: int
) -> None:
    it = world(data, format, rows)
    run = it.plan()
    before = it.contents(it.followed)
    good = [row for row in before if str(row).count("@")]
    assert it.contents(run) == good
    assert run.picked == {"picked": len(good), "rejected": len(before) - len(good)}
    # Nothing is read into cells and written anew.
    assert all(
        it.bytes_of(shard).replace(b"\r\n", b"\n").rstrip(b"\n") in data.replace(b"\r\n", b"\n")
        for shard in it.mine()
        if rows == 1
    )


@pytest.mark.parametrize("written", [gzip.compress, lambda data: data.decode().encode("utf-16")])
def test_a_file_that_was_written_anew_for_its_run_is_followed_as_it_was_then(
    world: Callable[..., World], written: Callable[[bytes], bytes]
) -> None:
    it = world(people(25).replace(b",", b";"), written=written)
    it.picks = lambda i: i % 3 == 0
    run = it.plan()
    assert it.followed.file is not None
    assert it.followed.file.rewritten
    assert run.rows == 9
    assert it.contents(run) == [[f"u{i}@example.com", f"Ann {i}"] for i in range(25) if i % 3 == 0]


def test_who_got_no_message_is_not_asked_about(world: Callable[..., World]) -> None:
    it = world(people(25))
    it.bits = {"repeats": {3, 14}, "refused": {5, 14, 24}}
    run = it.plan()
    # What the check rejected it did not compare.
    assert run.picked == {"picked": 21, "duplicate": 1, "rejected": 3}
    assert sum(it.asked) == 21
    assert not {"u3@", "u14@", "u5@", "u24@"} & {str(row[0])[: str(row[0]).index("@") + 1] for row in it.contents(run)}  # type: ignore[index]  # all are rows of a CSV


def test_a_plan_for_which_the_time_is_short_goes_on(world: Callable[..., World]) -> None:
    it = world(people(45))
    it.picks = lambda i: i % 2 == 0
    for done in (2, 4):
        left = iter([900.0, 900.0, 30.0])
        assert it.plan(lambda left=left: next(left)).planned is None  # type: ignore[misc]  # binds the loop's
        assert len(it.mine()) == done
    run = it.plan()
    assert (run.planned, run.rows) == (5, 23)
    assert [s.first_row for s in it.mine()] == [1, 6, 11, 16, 21]
    # Each shard was looked at once.
    assert sum(it.asked) == 45


def test_what_a_shards_item_says_counts(world: Callable[..., World]) -> None:
    it = world(people(30))
    it.picks = lambda i: i % 2 == 0
    other = it.picker.plan
    saved = it.shards.create

    def create(tenant: str, run: str, shards: Sequence[Shard]) -> None:
        """Just before the first shard is saved, another planner does it, and finds that many have opened since."""
        it.shards.create = saved  # type: ignore[method-assign]  # once
        it.picks = lambda i: i % 10 == 0
        left = iter((900.0, 30.0))
        assert other(it.run, lambda: next(left)).planned is None
        assert [shard.rows for shard in it.mine()] == [1]
        saved(tenant, run, shards)

    it.shards.create = create  # type: ignore[method-assign]  # comes between
    run = it.plan()
    assert (run.planned, run.rows, run.picked) == (3, 3, {"picked": 3, "opened": 27})
    assert [(s.first_row, s.rows) for s in it.mine()] == [(1, 1), (2, 1), (3, 1)]
    # The object that the other one wrote is read, though this one's is newer.
    assert it.contents(run) == [[f"u{i}@example.com", f"Ann {i}"] for i in (0, 10, 20)]


def test_a_run_that_is_cancelled_stops(world: Callable[..., World]) -> None:
    it = world(people(45))
    calls = repeat(900.0)

    def remaining() -> float:
        if len(it.mine()) == 2:
            it.campaigns.change_run(TENANT.id, it.run.id, lambda run: run.to(RunState.CANCELLED, NOW, "k1"))
        return next(calls)

    assert it.plan(remaining).planned is None
    assert len(it.mine()) == 2


@pytest.mark.parametrize("what", ["file", "shard", "run"])
def test_one_whose_rows_are_gone_fails_with_what_to_do(world: Callable[..., World], what: str) -> None:
    it = world(people(25))
    if what == "file":
        assert it.followed.file is not None
        it.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=it.followed.file.version)
    elif what == "shard":
        key = {"pk": {"S": f"run#{TENANT.id}#{it.followed.id}"}, "sk": {"S": "shard#000001"}}
        it.shards._client.delete_item(TableName="guard", Key=key)
    else:
        it.campaigns.load_run = lambda tenant, run: None  # type: ignore[method-assign]  # as if it were gone
    with pytest.raises(RunFailedError) as error:
        it.plan()
    assert ("is gone" if what == "run" else "kept for 60 days") in error.value.problem
    assert error.value.problem[0] == "T" and error.value.problem[-1] == "."


def test_a_column_that_the_file_does_not_have_is_named_before_anything_is_read(world: Callable[..., World]) -> None:
    it = world(people(5))
    audience = it.run.campaign.audience.model_copy(update={"columns": Columns(to="phone")})
    it.run = it.run.moved(campaign=it.run.campaign.model_copy(update={"audience": audience}))
    with pytest.raises(SheetError, match="phone"):
        it.plan()
    assert (it.mine(), it.asked) == ([], [])


def test_nobody_may_be_picked(world: Callable[..., World]) -> None:
    it = world(people(25))
    it.picks = lambda i: False
    run = it.plan()
    assert (run.planned, run.rows, run.picked) == (3, 0, {"opened": 25})
    assert it.contents(run) == []


def test_memory_does_not_grow_with_the_file(s3: Any) -> None:
    def peak(n: int) -> int:
        with tables(FakeClock(NOW), "catalog", "guard") as client:
            it = World(client, s3, people(n), FileFormat.CSV, 2000)
            # The bucket is in this process, too.
            it.files.put = lambda *_: "v1"  # type: ignore[method-assign]  # keeps nothing
            tracemalloc.start()
            assert it.plan().rows == n
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert Counter(it.asked) == {MESSAGES: n // MESSAGES}
            return most

    small = peak(4000)
    assert peak(20_000) < 1.5 * small
