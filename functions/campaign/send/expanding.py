"""Makes envelopes of the rows of a shard, slice by slice.

Which rows are sent the check has settled, once: it filled their messages in, measured them and compared their
addresses. Were that done again here, a row about which the answer differs (a rendering that takes too long on one
machine and not on the other, a rule that a new version of the platform adds) would move all rows behind it into other
envelopes, and a slice that is done again would send them twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from functions.campaign.check import hashes
from functions.campaign.check.checking import Judging, tally_name
from functions.campaign.check.rows import Bad, Good
from functions.campaign.file.reading import read_rows
from functions.campaign.send.packing import Packer
from functions.campaign.send.sending import Slice
from mepush.sheets.cutting import cut
from mepush.sheets.reading import Content
from shared.aws.queue import Dispatch
from shared.aws.runfiles import RunFiles
from shared.model.runs import AudienceFile, Run, Shard, Tally

CHECKED = "checked"
"""What tallies count a row as that the check rejected; its own tally says why."""


class ShardRest:
    """The rest of a shard. data: its rows from `next_row` on. repeated, refused: see `Expander`."""

    def __init__(
        self,
        run: Run,
        shard: Shard,
        data: bytes,
        judge: Judging,
        packer: Packer,
        repeated: bytes | None = None,
        refused: bytes | None = None,
    ) -> None:
        if run.file is None:
            raise ValueError("the run has no file")
        self._run = run
        self._file: AudienceFile = run.file
        self._format = run.campaign.audience.format
        self._shard = shard
        self._data = data
        self._judge = judge
        self._packer = packer
        self._repeated = repeated
        self._refused = refused
        self._row = shard.next_row
        self._byte = 0
        self._ends: list[int] = []

    def take(self, rows: int) -> Slice | None:
        """The envelopes of the next blocks: with at most so many rows, but at least one block. None if none is left."""
        if self._row >= self._shard.rows:
            return None
        row, end = self._end(rows)
        counting = _Counting(self._judge, self._repeated, self._refused, self._run.variants[0].name)
        good = counting.good(read_rows(self._data[self._byte : end], self._format, self._file, self._row))
        dispatches = self._packer.pack(self._shard.number, good)
        self._row, self._byte = row, end
        next_byte = self._shard.end - len(self._data) + end
        return Slice(dispatches, counting.counted(dispatches), row, next_byte)

    def _end(self, rows: int) -> tuple[int, int]:
        """The row and the byte with which the next slice ends."""
        left, block = self._shard.rows - self._row, self._run.block
        if rows >= left:
            return self._shard.rows, len(self._data)
        if not self._ends:
            pieces = cut(self._data[self._byte :], self._format, self._file.delimiter, block)
            self._ends = [self._byte + piece.end for piece in pieces]
        blocks = min(max(1, rows // block), len(self._ends))
        end = self._ends[blocks - 1]
        del self._ends[:blocks]
        return min(self._row + blocks * block, self._shard.rows), end


class Expander:
    """Makes envelopes; thread-safe.

    judging, packing: make the judge and the packer of a run. repeats: a bit for each row of a shard, set where its
    address stands further up in the file; None if there are no such rows. refused: the same of rows that the check
    rejected.
    """

    def __init__(
        self,
        files: RunFiles,
        judging: Callable[[Run], Judging],
        packing: Callable[[Run], Packer],
        repeats: Callable[[Run, Shard], bytes | None],
        refused: Callable[[Run, Shard], bytes | None],
    ) -> None:
        self._files = files
        self._judging = judging
        self._packing = packing
        self._repeats = repeats
        self._refused = refused

    def open(self, run: Run, shard: Shard) -> ShardRest:
        """Read a shard from where it stands. Raises: FileGoneError; what S3 and the stores raise."""
        start = shard.next_byte if shard.next_row else shard.start
        data = self._files.read(shard.key, shard.version, start, shard.end)
        repeated, refused = self._repeats(run, shard), self._refused(run, shard)
        return ShardRest(run, shard, data, self._judging(run), self._packing(run), repeated, refused)


class _Counting:
    """Reads rows and counts them. only: the variant, if there is one only."""

    def __init__(self, judge: Judging, repeated: bytes | None, refused: bytes | None, only: str) -> None:
        self._only = only
        self._judge = judge
        self._repeated = repeated
        self._refused = refused
        self._duplicates = self._held_out = 0
        self._rejected: Counter[str] = Counter()

    def good(self, rows: Iterable[tuple[int, Content]]) -> Iterator[Good]:
        """Those that are sent."""
        judge, repeated, refused = self._judge, self._repeated, self._refused
        for index, content in rows:
            if refused is not None and hashes.has_bit(refused, index):
                self._rejected[CHECKED] += 1
                continue
            if repeated is not None and hashes.has_bit(repeated, index):
                self._duplicates += 1
                continue
            row = judge(index, content)
            if type(row) is Good:
                yield row
            elif isinstance(row, Bad):
                self._rejected[tally_name(row)] += 1
            else:
                self._held_out += 1

    def counted(self, dispatches: Iterable[Dispatch]) -> Tally:
        """What came of the rows. dispatches: the good ones, packed."""
        variants: Counter[str] = Counter()
        for dispatch in dispatches:
            variants[dispatch.envelope.variant or self._only] += len(dispatch.envelope.recipients)
        good = variants.total()
        return Tally(
            rows=good + self._duplicates + self._held_out + self._rejected.total(),
            good=good,
            rejected=dict(self._rejected),
            duplicates=self._duplicates,
            held_out=self._held_out,
            accepted=good,
            variants=dict(variants),
        )
