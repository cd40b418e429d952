"""Plans a run that follows another: the rows that are picked of each of that one's shards are a shard of its own.

Which rows were sent, and under which ids, follows from the file and the check of the run that is followed, as it did
when they were sent. A plan that breaks off goes on with the next shard. Meanwhile others may open their message; what
a shard's item says was picked counts, and its object's version is in it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from functions.campaign.check import hashes
from functions.campaign.check.rows import Good, HeldOut, Judged
from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.planning import RESERVE_S
from functions.campaign.file.reading import read_rows
from functions.campaign.follow.finding import gone, its_file
from functions.campaign.follow.reasons import Why
from mepush.sheets.cutting import cut
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import check_columns
from mepush.sheets.reading import Content
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.model.ids import Numbering
from shared.model.runs import Run, RunState, Shard
from shared.policy.files import run_key
from shared.store.campaigns import Campaigns
from shared.store.shards import Shards

MESSAGES = 1000
"""Whose events are asked for at a time."""

Judging = Callable[[int, Content], Judged]
Sort = Callable[[Sequence[str]], dict[str, Why]]
"""Says what becomes of messages, by their ids."""


class Sorter(Protocol):
    """See `functions.campaign.follow.sorting.Sorter`."""

    def sorting(self, followed: Run, run: Run) -> Sort: ...


@dataclass(frozen=True, slots=True)
class Picker:
    """Plans runs that follow others; thread-safe."""

    campaigns: Campaigns
    shards: Shards
    files: RunFiles
    sorter: Sorter
    judging: Callable[[Run], Judging]
    """Makes the judge of a run's rows."""
    repeats: Callable[[Run, Shard], bytes | None]
    """A bit for each row of a shard, set where its address stands further up in the file; None if there are none."""
    refused: Callable[[Run, Shard], bytes | None]
    """The same of rows that the check rejected."""

    def plan(self, run: Run, remaining_s: Callable[[], float]) -> Run:
        """Write the shards of a run, and return it with `planned`, `rows` and `picked`.

        If the time is too short, or the run does not go on, it is returned as it was. Raises: RunFailedError if the
        rows of the run that is followed are gone; SheetError if they have no such columns; what the stores raise.
        """
        followed, theirs = self._followed(run)
        if followed.campaign.audience.format is FileFormat.CSV:
            check_columns(its_file(followed).header, run.campaign.audience.columns)
        mine = [shard for i, shard in enumerate(self.shards.all(run.tenant, run.id)) if shard.number == i]
        first_row = 1 + sum(shard.rows for shard in mine)
        sort, judge = self.sorter.sorting(followed, run), self.judging(followed)
        for shard in theirs[len(mine) :]:
            if remaining_s() < RESERVE_S or not self._goes_on(run):
                return run
            try:
                made = self._shard(run, followed, shard, first_row, judge, sort)
            except FileGoneError:
                raise RunFailedError(_sentence(gone(followed.id))) from None
            self.shards.create(run.tenant, run.id, [made])
            # Another planner may have been faster, and may have found others.
            stored = self.shards.load(run.tenant, run.id, made.number)
            first_row += made.rows if stored is None else stored.value.rows
        mine = self.shards.all(run.tenant, run.id)
        picked: Counter[str] = sum((Counter(shard.picked) for shard in mine), Counter())
        rows = sum(shard.rows for shard in mine)
        return run.moved(planned=len(mine), rows=rows, picked=dict(picked))

    def _followed(self, run: Run) -> tuple[Run, list[Shard]]:
        """The run that is followed, with all its shards. Raises: RunFailedError."""
        follows = run.campaign.audience.follows
        id = "" if follows is None or follows.run is None else follows.run
        stored = self.campaigns.load_run(run.tenant, id)
        if stored is None:
            raise RunFailedError(f"The run `{id}` that is followed is gone. Start another run.")
        shards = self.shards.all(run.tenant, id)
        if len(shards) != stored.value.planned:
            raise RunFailedError(_sentence(gone(id)))
        return stored.value, shards

    def _goes_on(self, run: Run) -> bool:
        stored = self.campaigns.load_run(run.tenant, run.id)
        return stored is not None and stored.value.state is RunState.PLANNING

    def _shard(self, run: Run, followed: Run, shard: Shard, first_row: int, judge: Judging, sort: Sort) -> Shard:
        """Write what is picked of a shard. Raises: FileGoneError; what S3 and the stores raise."""
        file, format = its_file(followed), followed.campaign.audience.format
        data = self.files.read(shard.key, shard.version, shard.start, shard.end)
        rows = _Rows(judge, self.repeats(followed, shard), self.refused(followed, shard))
        number = Numbering(followed.shard_base(shard.number))
        picked: list[int] = []
        good = rows.good(read_rows(data, format, file))
        while some := list(islice(good, MESSAGES)):
            ids = {number(row.index) + row.tag: row.index for row in some}
            for id, why in sort(list(ids)).items():
                rows.counts[why] += 1
                if why is Why.PICKED:
                    picked.append(ids[id])
        pieces = cut(data, format, file.delimiter, 1) if picked else []
        body = b"".join(_line(data[pieces[i].start : pieces[i].end]) for i in sorted(picked))
        version = self.files.put(run.tenant, run.id, "shards", shard.number, body)
        return Shard(
            number=shard.number,
            key=run_key(run.tenant, run.id, "shards", shard.number),
            version=version,
            start=0,
            end=len(body),
            first_row=first_row,
            rows=len(picked),
            picked=dict(rows.counts),
        )


class _Rows:
    """Reads the rows of a shard that were to be sent, and counts the others."""

    def __init__(self, judge: Judging, repeated: bytes | None, refused: bytes | None) -> None:
        self._judge = judge
        self._repeated = repeated
        self._refused = refused
        self.counts: Counter[str] = Counter()

    def good(self, rows: Iterable[tuple[int, Content]]) -> Iterator[Good]:
        """Those that were to be sent."""
        for index, content in rows:
            if self._refused is not None and hashes.has_bit(self._refused, index):
                self.counts[Why.REJECTED] += 1
            elif self._repeated is not None and hashes.has_bit(self._repeated, index):
                self.counts[Why.DUPLICATE] += 1
            else:
                row = self._judge(index, content)
                if isinstance(row, Good):
                    yield row
                else:
                    self.counts[Why.HELD_OUT if isinstance(row, HeldOut) else Why.REJECTED] += 1


def _line(row: bytes) -> bytes:
    """A row with its end, which the last one of a file may lack."""
    return row if row.endswith(b"\n") else row + b"\n"


def _sentence(words: str) -> str:
    return re.sub("^.", lambda found: found[0].upper(), words) + "."
