"""Checks the rows of a shard before anything is sent: what can be sent, what cannot and why."""

import csv
import io
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic_core import to_json

from functions.campaign.check import hashes
from functions.campaign.check.estimating import SAMPLE_ROWS
from functions.campaign.check.rows import Bad, Good, HeldOut, Judged
from functions.campaign.file.reading import read_rows
from mepush.sheets.formats import FileFormat
from mepush.sheets.formulas import defused
from mepush.sheets.reading import Content, Unreadable
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.model.campaigns import Duplicates
from shared.model.runs import MAX_SAMPLES, AudienceFile, Run, Shard, Tally
from shared.model.suppression import SuppressionEntry
from shared.model.words import Channel
from shared.policy.suppression import stopped_by

OWN_COLUMNS = ("row", "reason", "detail")
_LINE = ("line",)
_NOTHING = Tally()

Judging = Callable[[int, Content], Judged]
"""Judges the rows of one run."""


class Listed(Protocol):
    """The suppression list."""

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str]
    ) -> Mapping[str, Sequence[SuppressionEntry]]: ...


class Rejects:
    """The rejected rows of a shard as a CSV: the row's number as people find it, the reason, the detail, its own cells.

    It can be corrected in a spreadsheet and uploaded again: the three columns before them are ignored then, and the
    apostrophe is taken away that stands before whatever the spreadsheet would calculate. A row of line-delimited JSON
    is one cell.
    """

    def __init__(self, format: FileFormat, file: AudienceFile) -> None:
        self._shown = format.shown
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, delimiter=file.delimiter)
        self._writer.writerow(map(defused, (*OWN_COLUMNS, *(file.header if format is FileFormat.CSV else _LINE))))
        self.count = 0

    def add(self, row: int, bad: Bad, content: Content) -> None:
        """Add a row. row: its number in the file, from 1 and without a header."""
        self._writer.writerow((self._shown(row), bad.reason, *map(defused, (bad.detail, *_cells(content)))))
        self.count += 1

    def to_bytes(self) -> bytes:
        """The file, with the mark by which spreadsheets know UTF-8."""
        return self._text.getvalue().encode("utf-8-sig", errors="replace")


def _cells(content: Content) -> Sequence[str]:
    if isinstance(content, Unreadable):
        return (content.text,)
    return content if isinstance(content, list) else (to_json(content).decode(),)


@dataclass(slots=True)
class _Found:
    """What was found in a shard."""

    shard: Shard
    first: bool
    """Whether of the rows of an address only the first counts."""
    rejects: Rejects
    repeated: bytearray
    """Rows of an address further up in the shard."""
    refused: bytearray
    """Rows that cannot be sent."""
    rows: int = 0
    duplicates: int = 0
    tags: dict[int, str] = field(default_factory=dict)
    """Of all who are good, by row."""
    held_out: dict[int, str] = field(default_factory=dict)
    """The same of the holdout group."""
    rejected: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def take(self, judged: Judged, content: Content) -> None:
        """Count a row."""
        self.rows += 1
        if isinstance(judged, Bad):
            self._reject(judged, content)
        elif self.first and judged.tag in self._seen:
            self.duplicates += 1
            hashes.set_bit(self.repeated, judged.index)
        else:
            self._seen.add(judged.tag)
            of = self.held_out if isinstance(judged, HeldOut) else self.tags
            of[judged.index] = judged.tag

    def _reject(self, bad: Bad, content: Content) -> None:
        name = tally_name(bad)
        row = self.shard.first_row + bad.index
        hashes.set_bit(self.refused, bad.index)
        self.rejected[name] += 1
        samples = self.samples.setdefault(name, [])
        if len(samples) < MAX_SAMPLES:
            samples.append((row, bad.detail))
        self.rejects.add(row, bad, content)

    def tally(self, stopped: Collection[str]) -> Tally:
        """The counts. stopped: tags of those whom the suppression list stops."""
        return Tally(
            rows=self.rows,
            good=len(self.tags),
            rejected=dict(self.rejected),
            duplicates=self.duplicates,
            held_out=len(self.held_out),
            suppressed=sum(1 for tag in self.tags.values() if tag in stopped),
            samples={name: tuple(found) for name, found in self.samples.items()},
        )

    def entries(self, stopped: Collection[str]) -> Iterator[hashes.Entry]:
        """Who is there, for comparing."""
        for row, tag in self.tags.items():
            yield hashes.address_hash(tag), row, hashes.SUPPRESSED if tag in stopped else 0
        for row, tag in self.held_out.items():
            yield hashes.address_hash(tag), row, hashes.HELD_OUT


def tally_name(bad: Bad) -> str:
    """What tallies count a rejected row as: the reason, or `variable_missing.<name>`."""
    return bad.reason if bad.variable is None else f"{bad.reason}.{bad.variable}"


class Checker:
    """Checks shards; thread-safe.

    judging: makes the judge of a run. per_bucket: hashes of a bucket, as the comparer has it.
    """

    def __init__(
        self,
        files: RunFiles,
        suppressions: Listed,
        judging: Callable[[Run], Judging],
        per_bucket: int = hashes.PER_BUCKET,
    ) -> None:
        self._files = files
        self._suppressions = suppressions
        self._judging = judging
        self._per_bucket = per_bucket

    def check(self, run: Run, shard: Shard) -> Shard:
        """Judge all rows of a shard; returns it with what was found, which the caller saves.

        Writes the rejected rows, which rows they are, and the hashes of the addresses if shards are to be compared.
        Done again it writes the same. Raises: FileGoneError; what S3, the suppression list and making the judge raise.
        """
        file = _file(run)
        first = run.campaign.duplicates is Duplicates.FIRST
        rejects = Rejects(run.campaign.audience.format, file)
        found = _Found(shard, first, rejects, hashes.bits_for(shard.rows), hashes.bits_for(shard.rows))
        for judged, content in self._judged(run, shard):
            found.take(judged, content)
        stopped = self._stopped(run, found.tags.values())
        if rejects.count:
            self._files.put(run.tenant, run.id, "rejects", shard.number, rejects.to_bytes(), "text/csv")
            self._files.put(run.tenant, run.id, "refused", shard.number, zlib.compress(found.refused))
        if first and (found.tags or found.held_out) and (run.planned != 1 or found.duplicates):
            buckets = hashes.buckets_for(run.rows, self._per_bucket)
            packed = hashes.pack(list(found.entries(stopped)), bytes(found.repeated), buckets)
            self._files.put(run.tenant, run.id, "hashes", shard.number, packed)
        return shard.model_copy(update={"checked": found.tally(stopped)})

    def refused_rows(self, run: Run, shard: Shard) -> bytes | None:
        """A bit for each row of a shard, set if the check rejected it; None if it rejected none.

        Read it with `hashes.has_bit`. None too for a shard that was checked before this was kept: its rows are judged
        once more then, but for their rendering. Raises: what S3 raises.
        """
        if shard.checked is None or not shard.checked.rejected:
            return None
        try:
            return zlib.decompress(self._files.get(run.tenant, run.id, "refused", shard.number))
        except FileGoneError:
            return None

    def sample(self, run: Run, shards: Sequence[Shard], most: int = SAMPLE_ROWS) -> list[Good]:
        """Some rows that can be sent, of each variant up to `most`: those that come first in the file.

        shards: checked; one is read. Raises: as `check`.
        """
        shard = next((each for each in shards if (each.checked or _NOTHING).good), None)
        if shard is None:
            return []
        left = Counter({variant.name: most for variant in run.variants})
        sample = []
        for judged, _ in self._judged(run, shard):
            if isinstance(judged, Good) and left[judged.variant] > 0:
                sample.append(judged)
                left[judged.variant] -= 1
                if not left.total():
                    break
        return sample

    def _judged(self, run: Run, shard: Shard) -> Iterator[tuple[Judged, Content]]:
        judge = self._judging(run)
        data = self._files.read(shard.key, shard.version, shard.start, shard.end)
        for index, content in read_rows(data, run.campaign.audience.format, _file(run)):
            yield judge(index, content), content

    def _stopped(self, run: Run, tags: Collection[str]) -> set[str]:
        """The tags of those whom the suppression list stops."""
        found = self._suppressions.find(run.tenant, run.channel, set(tags))
        return {tag for tag, entries in found.items() if stopped_by(entries, run.message_class) is not None}


def _file(run: Run) -> AudienceFile:
    if run.file is None:
        raise ValueError("the run has no file")
    return run.file
