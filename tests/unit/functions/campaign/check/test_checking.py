"""Checking a shard: every row comes to something, is told with its number, and rejected ones can be mended."""

import csv
import io
import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.campaign.check import hashes
from functions.campaign.check.checking import Checker
from functions.campaign.check.comparing import Comparer
from mepush.sheets.formats import FileFormat
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.model.campaigns import Duplicates
from shared.model.ids import Tagger
from shared.model.runs import Run, Shard, Tally
from shared.model.suppression import SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import Channel
from tests.samples import NOW, TENANT
from tests.unit.functions.campaign.audience import KEY, NDJSON, MemoryS3, cut_into, judge_of, run_of


class Listed:
    """A suppression list. asked: with how many recipients at once."""

    def __init__(self, entries: dict[str, tuple[SuppressionReason, SuppressionScope]] | None = None) -> None:
        tagger = Tagger(TENANT.salt, "email")
        self.entries = {
            tagger(address): [SuppressionEntry(scope=scope, reason=reason, at=NOW, by="k1")]
            for address, (reason, scope) in (entries or {}).items()
        }
        self.asked: list[int] = []

    def find(self, tenant: str, channel: Channel, tags: Collection[str]) -> dict[str, list[SuppressionEntry]]:
        assert (tenant, channel) == ("default", Channel.EMAIL)
        assert len(set(tags)) == len(tags)
        self.asked.append(len(tags))
        return {tag: self.entries[tag] for tag in tags if tag in self.entries}


class CutFile:
    """A file in a bucket in memory, cut into shards of so many rows."""

    def __init__(self, data: bytes, rows: int = 10_000, listed: Listed | None = None, **changes: Any) -> None:
        self.s3 = MemoryS3()
        self.s3.objects[KEY, "v1"] = data
        self.listed = listed or Listed()
        self.files = RunFiles("assets", lambda: self.s3)  # type: ignore[arg-type, return-value]  # plays S3
        self.run, self.shards = cut_into(run_of(data, **changes), data, rows)
        self.checker = Checker(self.files, self.listed, judge_of)

    def check(self, number: int = 0) -> Tally:
        shard = self.checker.check(self.run, self.shards[number])
        self.shards[number] = shard
        assert shard.checked is not None
        found = shard.checked
        assert found.rows == found.good + sum(found.rejected.values()) + found.duplicates + found.held_out
        return found

    def object(self, kind: str, number: int = 0) -> bytes | None:
        return self.s3.objects.get(f"runs/default/{self.run.id}/{kind}/{number:06d}")

    def refused(self, number: int = 0) -> list[int]:
        """The rows that sending leaves out."""
        bits = self.checker.refused_rows(self.run, self.shards[number])
        return [] if bits is None else [row for row in range(self.shards[number].rows) if hashes.has_bit(bits, row)]

    def rejects(self, number: int = 0) -> list[list[str]]:
        body = self.object("rejects", number)
        assert body is not None
        return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), delimiter=self.delimiter))

    @property
    def delimiter(self) -> str:
        assert self.run.file is not None
        return self.run.file.delimiter


MIXED = (
    "to,name,city\n"
    "ann@example.com,Ann,=1+1\n"
    ",Nobody,\n"
    "ann@@example.com,Ann,\n"
    "\n"
    "bob@example.com,,Köln\n"
    'bob@example.com,"Bob, ""the"" first",\n'
    "only-two@example.com,x\n"
    "ANN@example.com,Ann again,\n"
    "li@例子.中国,=cmd(),广州\n"
).encode()


def test_each_row_comes_to_something() -> None:
    cut_file = CutFile(MIXED)
    found = cut_file.check()
    assert (found.rows, found.good, found.duplicates, found.held_out) == (8, 3, 1, 0)
    assert found.rejected == {"address_invalid": 2, "variable_missing.name": 1, "columns_wrong": 1}
    assert found.samples["variable_missing.name"] == ((5, "the variable `name` is missing"),)
    assert [row for row, _ in found.samples["address_invalid"]][:2] == [2, 3]
    assert found.samples["columns_wrong"][0][0] == 7
    words = str(found.samples)
    assert all(value not in words for value in ("ann", "Nobody", "Köln", "only-two"))


def test_rejected_rows_are_written_as_they_are_with_why() -> None:
    cut_file = CutFile(MIXED)
    cut_file.check()
    head, *rows = cut_file.rejects()
    assert head == ["row", "reason", "detail", "to", "name", "city"]
    assert [row[:2] for row in rows][:3] == [
        ["3", "address_invalid"],
        ["4", "address_invalid"],
        ["6", "variable_missing"],
    ]
    assert rows[1][3:] == ["ann@@example.com", "Ann", ""]
    assert rows[2] == ["6", "variable_missing", "the variable `name` is missing", "bob@example.com", "", "Köln"]


def test_sending_learns_which_rows_the_check_rejected() -> None:
    cut_file = CutFile(MIXED)
    found = cut_file.check()
    first = FileFormat.CSV.shown(cut_file.shards[0].first_row)
    rows = [int(row) - first for row, *_ in cut_file.rejects()[1:]]
    assert cut_file.refused() == rows and len(rows) == sum(found.rejected.values()) > 1
    clean = CutFile(b"to,name\na@example.com,A\n")
    clean.check()
    assert clean.refused() == [] and clean.object("refused") is None
    # A run that was checked before this was kept goes on.
    del cut_file.s3.objects[f"runs/default/{cut_file.run.id}/refused/000000"]
    assert cut_file.refused() == []


def test_the_rejects_file_can_be_mended_and_used_again() -> None:
    cut_file = CutFile(b"to;name\nann@example.com;\nbob@example.com;Bob\n")
    cut_file.check()
    body = cut_file.object("rejects")
    assert body is not None
    mended = CutFile(body.replace(b"ann@example.com;", b"ann@example.com;=A1+B1"))
    found = mended.check()
    assert (found.rows, found.good) == (1, 1)
    assert mended.checker.sample(mended.run, mended.shards)[0].variables == {"name": "=A1+B1"}


def test_rejected_lines_of_json_are_one_cell() -> None:
    lines = [{"to": "a@example.com", "name": "A"}, {"to": "b@example.com", "variables": {"nam": "B"}}]
    data = "\n".join(map(json.dumps, lines)).encode() + b'\n{"to": \n\n'
    cut_file = CutFile(data, audience={"format": NDJSON})
    found = cut_file.check()
    assert found.good == 1
    assert found.rejected == {"variable_missing.name": 1, "not_json": 1}
    head, second, third = cut_file.rejects()
    assert head == ["row", "reason", "detail", "line"]
    assert (second[0], json.loads(second[3])) == ("2", lines[1])
    assert (third[0], third[1], third[3]) == ("3", "not_json", '{"to":')


def test_bytes_that_are_no_text_are_rejected_and_shown_as_far_as_they_are() -> None:
    cut_file = CutFile(b"to,name\na@example.com,A\nb@example.com,\xff\xfe\nc@example.com,C\n")
    found = cut_file.check()
    assert (found.good, found.rejected) == (2, {"not_utf8": 1})
    assert cut_file.rejects()[1][0] == "3"
    assert "b@example.com" in cut_file.rejects()[1][3]


def test_no_file_is_written_where_nothing_is_rejected() -> None:
    cut_file = CutFile(b"to,name\na@example.com,A\n")
    cut_file.check()
    assert [key for key in cut_file.s3.objects if key != (KEY, "v1")] == []


def test_numbers_of_rows_are_those_that_a_spreadsheet_shows() -> None:
    data = b"to,name\n" + b"".join(b"u%d@example.com,%s\n" % (i, b"x" if i % 3 else b"") for i in range(1, 21))
    cut_file = CutFile(data, rows=6)
    numbers = []
    for number in range(len(cut_file.shards)):
        if cut_file.check(number).rejected:
            numbers += [int(row[0]) for row in cut_file.rejects(number)[1:]]
    assert numbers == [4, 7, 10, 13, 16, 19]


def test_rows_of_json_have_the_numbers_of_their_lines() -> None:
    lines = [json.dumps({"to": f"u{i}@example.com"} | ({"name": "x"} if i % 3 else {})) for i in range(1, 21)]
    cut_file = CutFile("\n".join(lines).encode(), rows=6, audience={"format": NDJSON})
    numbers = []
    for number in range(len(cut_file.shards)):
        if cut_file.check(number).rejected:
            numbers += [int(row[0]) for row in cut_file.rejects(number)[1:]]
    assert numbers == [3, 6, 9, 12, 15, 18]


def test_five_samples_of_each_reason_are_kept() -> None:
    cut_file = CutFile(b"to,name\n" + b"nobody,x\n" * 8 + b"a@example.com,\n" * 8)
    found = cut_file.check()
    assert {name: [row for row, _ in rows] for name, rows in found.samples.items()} == {
        "address_invalid": [1, 2, 3, 4, 5],
        "variable_missing.name": [9, 10, 11, 12, 13],
    }


def entries(**people: tuple[SuppressionReason, SuppressionScope]) -> Listed:
    return Listed({f"{name}@example.com": entry for name, entry in people.items()})


def test_who_is_on_the_suppression_list_is_counted_by_the_class_of_the_run() -> None:
    listed = entries(
        a=(SuppressionReason.BOUNCE, SuppressionScope.ALL),
        b=(SuppressionReason.UNSUBSCRIBE, SuppressionScope.MARKETING),
        c=(SuppressionReason.MANUAL, SuppressionScope.NOTIFICATION),
    )
    people = [f"{name}@example.com,x\n" for name in "abcda"]
    cut_file = CutFile(("to,name\n" + "".join(people)).encode(), listed=listed)
    found = cut_file.check()
    # They are messages all the same, which end as suppressed.
    assert (found.messages, found.suppressed, found.duplicates) == (4, 2, 1)


def test_the_list_is_asked_once_about_each_recipient() -> None:
    people = [f"u{i % 230}@example.com,x\n" for i in range(500)]
    cut_file = CutFile(("to,name\n" + "".join(people) + "nobody,x\n").encode())
    cut_file.check()
    assert cut_file.listed.asked == [230]


def test_where_each_row_counts_each_that_is_stopped_does_and_the_list_is_asked_once() -> None:
    listed = entries(a=(SuppressionReason.BOUNCE, SuppressionScope.ALL))
    data = b"to,name\na@example.com,x\na@example.com,y\nb@example.com,z\n"
    cut_file = CutFile(data, listed=listed, duplicates=Duplicates.EACH)
    found = cut_file.check()
    assert (found.messages, found.suppressed, found.duplicates) == (3, 2, 0)
    assert listed.asked == [2]


def test_of_the_holdout_group_nobody_is_a_message() -> None:
    people = [f"u{i % 300}@example.com,x\n" for i in range(400)]
    cut_file = CutFile(("to,name\n" + "".join(people)).encode(), holdout_percent=25)
    found = cut_file.check()
    assert 40 < found.held_out < 110
    assert (found.distinct, found.good + found.held_out, found.duplicates) == (300, 300, 100)
    assert sum(cut_file.listed.asked) == found.good


def test_suppressed_rows_that_repeat_others_are_not_counted_twice() -> None:
    listed = entries(a=(SuppressionReason.BOUNCE, SuppressionScope.ALL))
    cut_file = CutFile(b"to,name\na@example.com,x\nb@example.com,x\na@example.com,y\n", rows=1, listed=listed)
    assert [cut_file.check(number).suppressed for number in range(3)] == [1, 0, 1]
    saved = Saved(cut_file.run, cut_file.shards)
    with ThreadPoolExecutor(2) as pool:
        assert Comparer(cut_file.files, saved, pool).compare(cut_file.run, cut_file.shards, lambda: 900)  # type: ignore[arg-type]  # plays the store
    checked = [shard.checked for shard in saved.found.values() if shard.checked]
    assert [(each.good, each.duplicates, each.suppressed) for each in checked] == [(1, 0, 1), (1, 0, 0), (0, 1, 0)]


class Saved:
    """Shards that nobody else changes."""

    def __init__(self, run: Run, shards: list[Shard]) -> None:
        self.found = {shard.number: shard for shard in shards}

    def load(self, tenant: str, run: str, number: int) -> Any:
        class One:
            value, rev = self.found[number], 1

        return One

    def save(self, tenant: str, run: str, shard: Shard, rev: int) -> Any:
        self.found[shard.number] = shard
        return shard


def test_checked_again_it_writes_the_same() -> None:
    cut_file = CutFile(MIXED * 2, rows=4)
    first = [cut_file.check(number) for number in range(len(cut_file.shards))]
    before = dict(cut_file.s3.objects)
    assert [cut_file.check(number) for number in range(len(cut_file.shards))] == first
    assert cut_file.s3.objects == before


def test_a_sample_has_the_first_rows_of_each_variant() -> None:
    people = [f"u{i}@example.com,n{i}\n" for i in range(300)]
    cut_file = CutFile(("to,name\nnobody,x\n" + "".join(people)).encode(), weights={"a": 3, "b": 1})
    assert cut_file.checker.sample(cut_file.run, cut_file.shards) == []
    cut_file.check()
    sample = cut_file.checker.sample(cut_file.run, cut_file.shards, 20)
    variants = [good.variant for good in sample]
    assert (variants.count("a"), variants.count("b")) == (20, 20)
    assert [good.index for good in sample] == sorted(good.index for good in sample)


def test_a_file_that_is_gone_is_named() -> None:
    cut_file = CutFile(MIXED)
    del cut_file.s3.objects[KEY, "v1"]
    with pytest.raises(FileGoneError) as caught:
        cut_file.check()
    assert caught.value.key == KEY


def test_repeated_rows_within_the_only_shard_are_marked() -> None:
    cut_file = CutFile(b"to,name\na@example.com,x\n\nA@example.com,y\nb@example.com,z\n")
    cut_file.check()
    with ThreadPoolExecutor(1) as pool:
        comparer = Comparer(cut_file.files, Saved(cut_file.run, cut_file.shards), pool)  # type: ignore[arg-type]  # plays the store
        bits = comparer.repeated_rows(cut_file.run, cut_file.shards[0])
    assert bits is not None
    assert [row for row in range(4) if hashes.has_bit(bits, row)] == [2]
