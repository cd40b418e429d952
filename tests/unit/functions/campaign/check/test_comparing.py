"""Rows that repeat an address further up in the file are found exactly, however it is cut, wherever time runs out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.campaign.check import hashes
from functions.campaign.check.checking import Checker
from functions.campaign.check.comparing import RESERVE_S, Comparer
from functions.campaign.check.rows import Bad, HeldOut
from shared.aws.runfiles import RunFiles
from shared.model.campaigns import Duplicates
from shared.model.ids import ALPHABET, TAG_LENGTH, Tagger
from shared.model.runs import Run, Shard, Tally
from shared.store.shards import Shards
from tests.fakes import FakeClock
from tests.memory import tables
from tests.unit.functions.campaign.audience import KEY, MemoryS3, cut_into, judge_of, run_of

PLENTY = 900.0


class Nobody:
    """A suppression list without anybody."""

    def find(self, tenant: str, channel: Any, tags: Any) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    with tables(FakeClock(), "guard") as client:
        yield client


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


class CheckedFile:
    """A run's file in a bucket in memory, checked shard by shard."""

    def __init__(
        self, client: Any, pool: ThreadPoolExecutor, data: bytes, rows: int, per_bucket: int = 10**6, **changes: Any
    ) -> None:
        self.s3 = MemoryS3()
        self.s3.objects[KEY, "v1"] = data
        self.files = RunFiles("assets", lambda: self.s3)  # type: ignore[arg-type, return-value]  # plays S3
        self.shards = Shards(client, "guard", FakeClock())
        self.run, planned = cut_into(run_of(data, **changes), data, rows)
        CheckedFile.count += 1
        self.run = self.run.moved(id=f"sale.{CheckedFile.count}")
        self.checker = Checker(self.files, Nobody(), judge_of, per_bucket)
        self.comparer = Comparer(self.files, self.shards, pool, per_bucket)
        self.shards.create("default", self.run.id, [self.checker.check(self.run, shard) for shard in planned])

    count = 0

    def all(self) -> list[Shard]:
        return self.shards.all("default", self.run.id)

    def compare(self, remaining_s: Callable[[], float] = lambda: PLENTY) -> bool:
        return self.comparer.compare(self.run, self.all(), remaining_s)

    def repeated(self) -> list[int]:
        """The numbers of the repeated rows in the file."""
        found = []
        for shard in self.all():
            bits = self.comparer.repeated_rows(self.run, shard)
            if bits is not None:
                found += [shard.first_row + row for row in range(shard.rows) if hashes.has_bit(bits, row)]
        return found


def naive(run: Run, addresses: list[str]) -> tuple[list[int], Tally]:
    """The same by one dictionary over the whole file."""
    judge, seen, repeated = judge_of(run), set[str](), []
    counts = {"rows": 0, "good": 0, "held_out": 0, "duplicates": 0, "rejected": 0}
    for number, address in enumerate(addresses, 1):
        judged = judge(number, [address, "n"])
        counts["rows"] += 1
        if isinstance(judged, Bad):
            counts["rejected"] += 1
        elif judged.tag in seen:
            counts["duplicates"] += 1
            repeated.append(number)
        else:
            seen.add(judged.tag)
            counts["held_out" if isinstance(judged, HeldOut) else "good"] += 1
    rejected = {"address_invalid": counts.pop("rejected")}
    return repeated, Tally(**counts, rejected={k: n for k, n in rejected.items() if n})


def total(shards: list[Shard]) -> Tally:
    tally = Tally()
    for shard in shards:
        assert shard.checked is not None
        tally = tally.plus(shard.checked)
    return tally.model_copy(update={"samples": {}})


def file_of(addresses: list[str]) -> bytes:
    return b"to,name\n" + "".join(f"{address},n\n" for address in addresses).encode()


PEOPLE = st.lists(st.sampled_from([*(f"u{i}@example.com" for i in range(25)), "U1@EXAMPLE.com", "nobody"]), max_size=80)


@settings(max_examples=150, deadline=None)
@given(
    people=PEOPLE, rows=st.integers(1, 30), per_bucket=st.integers(1, 40), holdout=st.sampled_from([0, 40]),
    patience=st.lists(st.booleans(), max_size=6),
)  # fmt: skip
def test_repeated_rows_are_those_of_a_dictionary_over_the_whole_file(
    table: Any, pool: ThreadPoolExecutor, people: list[str], rows: int, per_bucket: int, holdout: int,
    patience: list[bool],
) -> None:  # fmt: skip
    checked_file = CheckedFile(table, pool, file_of(people), rows, per_bucket, holdout_percent=holdout)
    left = iter(patience)
    for _ in range(len(patience) + 2):
        if checked_file.compare(lambda: PLENTY if next(left, True) else RESERVE_S / 3):
            break
    else:
        pytest.fail("it never ends")
    expected, tally = naive(checked_file.run, people)
    assert checked_file.repeated() == expected
    assert total(checked_file.all()) == tally
    # Done again, also from the beginning, it changes nothing.
    before = checked_file.all()
    assert checked_file.compare()
    checked_file.s3.objects.pop(f"runs/default/{checked_file.run.id}/compare/000000", None)
    assert checked_file.compare()
    assert checked_file.all() == before


def test_the_first_row_in_the_file_counts_whatever_is_wrong_with_others(table: Any, pool: ThreadPoolExecutor) -> None:
    data = b"to,name\na@example.com,\nA@EXAMPLE.com,x\nb@example.com,x\n\na@example.com,x\nb@example.com,\n"
    checked_file = CheckedFile(table, pool, data, 2)
    assert checked_file.compare()
    assert checked_file.repeated() == [5]
    tally = total(checked_file.all())
    assert (tally.rows, tally.good, tally.duplicates) == (5, 2, 1)
    assert tally.rejected == {"variable_missing.name": 2}
    assert [shard.repeats for shard in checked_file.all()] == [0, 0, 1]


def test_each_row_is_sent_where_that_is_wished(table: Any, pool: ThreadPoolExecutor) -> None:
    checked_file = CheckedFile(table, pool, file_of(["a@example.com"] * 5), 2, duplicates=Duplicates.EACH)
    assert checked_file.compare()
    assert checked_file.repeated() == []
    assert total(checked_file.all()).messages == 5
    assert [key for key in checked_file.s3.objects if "hashes" in str(key)] == []


def test_one_shard_needs_no_comparing(table: Any, pool: ThreadPoolExecutor) -> None:
    checked_file = CheckedFile(table, pool, file_of(["a@example.com", "b@example.com"]), 10)
    reads = checked_file.s3.reads
    assert checked_file.compare()
    assert checked_file.s3.reads == reads
    assert [key for key in checked_file.s3.objects if "runs/" in str(key)] == []
    checked_file = CheckedFile(table, pool, file_of(["a@example.com", "a@example.com", "b@example.com"]), 10)
    assert checked_file.compare()
    assert checked_file.repeated() == [2]


def test_of_two_who_compare_at_once_each_counts_once(table: Any, pool: ThreadPoolExecutor) -> None:
    checked_file = CheckedFile(table, pool, file_of(["a@example.com"] * 6), 1)
    stale = checked_file.all()
    assert checked_file.comparer.compare(checked_file.run, stale, lambda: PLENTY)
    # The other one has read the shards before.
    assert checked_file.comparer.compare(checked_file.run, stale, lambda: PLENTY)
    assert total(checked_file.all()).model_dump(include={"good", "duplicates"}) == {"good": 1, "duplicates": 5}
    assert [shard.repeats for shard in checked_file.all()] == [0, 1, 1, 1, 1, 1]


def test_one_request_for_each_shard_and_bucket(table: Any, pool: ThreadPoolExecutor) -> None:
    checked_file = CheckedFile(table, pool, file_of([f"u{i}@example.com" for i in range(60)]), 10, per_bucket=30)
    before = checked_file.s3.reads
    assert checked_file.compare()
    # The head of each of six shards, two buckets of each, and what was found earlier.
    assert checked_file.s3.reads - before == 6 + 12 + 1


@given(
    st.lists(st.text(ALPHABET, min_size=TAG_LENGTH, max_size=TAG_LENGTH), unique=True, max_size=50), st.integers(1, 9)
)
def test_what_is_packed_is_read_again(tags: list[str], buckets: int) -> None:
    entries = [(hashes.address_hash(tag), row, row % 3) for row, tag in enumerate(tags)]
    rows = len(tags)
    bits = hashes.bits_for(rows)
    for row in range(0, rows, 7):
        hashes.set_bit(bits, row)
    data = hashes.pack(entries, bytes(bits), buckets)
    start, end = hashes.head_bytes(rows, buckets)
    head = hashes.read_head(data[:end], buckets)
    assert head.repeated == data[start:end] == bytes(bits)
    assert [row for row in range(rows) if hashes.has_bit(head.repeated, row)] == list(range(0, rows, 7))
    found = []
    for bucket in range(buckets):
        block = data[slice(*head.span(bucket))]
        here = hashes.read_hashes(block)
        assert all(hash * buckets >> 64 == bucket for hash in here)
        found += [(hash, *hashes.rows_of(block, {hash})[0]) for hash in here]
    assert sorted(found) == sorted(entries)
    assert head.offsets[-1] == len(data)


def test_hashes_use_all_of_their_64_bits() -> None:
    tagger = Tagger(b"salt", "email")
    found = [hashes.address_hash(tagger(f"u{i}@example.com")) for i in range(2000)]
    assert len(set(found)) == 2000
    for bit in range(64):
        assert 800 < sum(hash >> bit & 1 for hash in found) < 1200
