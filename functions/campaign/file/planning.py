"""Plans a run: reads its file once, as a stream, and cuts it into shards.

A plan that breaks off, or for which the time is too short, goes on after the last shard that it wrote.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.unpacking import MAGIC, limited, unpacked
from mepush.sheets.cutting import Cut, Cutter
from mepush.sheets.encodings import WINDOW, Form, as_utf8, form_of
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import Header, check_columns, read_header
from shared.aws.runfiles import RunFiles
from shared.model.runs import SHARD_BYTES, SHARD_ROWS, AudienceFile, Run, Shard
from shared.policy.files import run_key
from shared.store.shards import Shards

RESERVE_S = 60
"""With less time than this left, planning stops until it is called again."""
MAX_SHARDS = 100_000
WRITE = 100
"""Shards that are written at once."""


@dataclass(slots=True)
class _Plan:
    """What is known of a run's file so far."""

    run: Run
    file: AudienceFile
    at: int
    """Where the next shard begins, in the file as it is unpacked."""
    shards: int = 0
    rows: int = 0
    unwritten: list[Shard] = field(default_factory=list)
    # Of a file that is packed or no UTF-8, from `at` on; it is written anew, shard by shard.
    unpacked: bytearray = field(default_factory=bytearray)

    @property
    def format(self) -> FileFormat:
        return self.run.campaign.audience.format

    def go_on(self, before: Sequence[Shard]) -> None:
        """Go on after shards that were written before."""
        for shard in before:
            self.at = self.at + shard.end - shard.start if self.file.rewritten else shard.end
            self.rows += shard.rows
        self.shards = len(before)


class Planner:
    """Plans runs; thread-safe. rows, size: of a shard, see `Cutter`."""

    def __init__(self, files: RunFiles, shards: Shards, rows: int = SHARD_ROWS, size: int = SHARD_BYTES) -> None:
        self._files = files
        self._shards = shards
        self._rows = rows
        self._size = size

    def plan(self, run: Run, remaining_s: Callable[[], float]) -> Run:
        """Write the shards of a run, and return it with `planned`, `rows` and what its file begins with.

        If the time is too short it is returned as it was: plan it again. Doing it twice yields the same shards.
        Raises: RunFailedError, SheetError if the file cannot be read; FileGoneError; what S3 and the table raise.
        """
        if run.file is None:
            raise ValueError("the run has no file")
        pieces = self._files.stream(run.file.key, run.file.version, run.file.size)
        first = next(pieces, b"")
        pieces = chain((first,), pieces)
        packed = first.startswith(MAGIC)
        form, pieces = _form(limited(unpacked(pieces), run.file.size) if packed else pieces)
        header, rest, pieces = _opened(pieces if form.plain else as_utf8(pieces, form), run.campaign.audience.format)
        if run.campaign.audience.format is FileFormat.CSV:
            check_columns(header.names, run.campaign.audience.columns)
        found = {"gzip": packed, "recoded": not form.plain, "header": header.names, "delimiter": header.delimiter}
        file = run.file.model_copy(update=found)
        plan = _Plan(run, file, header.end)
        plan.go_on(_contiguous(self._shards.all(run.tenant, run.id)))
        skip = plan.at - header.end
        if skip and not file.rewritten:
            pieces = self._files.stream(file.key, file.version, file.size, plan.at)
        else:
            pieces = _without(chain((rest,), pieces), skip)
        if not self._cut(plan, pieces, remaining_s):
            return run
        if not plan.shards:
            raise RunFailedError("The file names columns and has no rows. Upload it again, with a row per recipient.")
        return run.moved(planned=plan.shards, rows=plan.rows, file=file)

    def _cut(self, plan: _Plan, pieces: Iterator[bytes], remaining_s: Callable[[], float]) -> bool:
        """Cut what follows into shards; False if the time is too short for all of it."""
        cutter = Cutter(
            plan.format,
            plan.file.delimiter,
            rows=self._rows,
            size=self._size,
            start=plan.at,
            first_row=plan.rows + 1,
        )
        for piece in pieces:
            if plan.file.rewritten:
                plan.unpacked += piece
            self._keep(plan, cutter.feed(piece))
            if remaining_s() < RESERVE_S:
                self._write(plan)
                return False
        self._keep(plan, cutter.finish())
        self._write(plan)
        return True

    def _keep(self, plan: _Plan, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if plan.shards == MAX_SHARDS:
                most = MAX_SHARDS * self._rows
                raise RunFailedError(f"The file has more than {most:,} rows, or too large ones. Divide it.")
            plan.unwritten.append(self._shard(plan, cut))
            plan.shards += 1
            plan.rows += cut.rows
            plan.at = cut.end
            if len(plan.unwritten) == WRITE:
                self._write(plan)

    def _shard(self, plan: _Plan, cut: Cut) -> Shard:
        run, file, size = plan.run, plan.file, cut.end - cut.start
        shard = Shard(
            number=plan.shards,
            key=file.key,
            version=file.version,
            start=cut.start,
            end=cut.end,
            first_row=cut.first_row,
            rows=cut.rows,
        )
        if not file.rewritten:
            return shard
        version = self._files.put(run.tenant, run.id, "shards", shard.number, bytes(plan.unpacked[:size]))
        del plan.unpacked[:size]
        key = run_key(run.tenant, run.id, "shards", shard.number)
        return shard.model_copy(update={"key": key, "version": version, "start": 0, "end": size})

    def _write(self, plan: _Plan) -> None:
        self._shards.create(plan.run.tenant, plan.run.id, plan.unwritten)
        plan.unwritten.clear()


def _form(pieces: Iterator[bytes]) -> tuple[Form, Iterator[bytes]]:
    """How a file is written, and all of it. The same bytes are looked at each time. Raises: SheetError."""
    seen: list[bytes] = []
    size = 0
    for piece in pieces:
        seen.append(piece)
        size += len(piece)
        if size >= WINDOW:
            break
    return form_of(b"".join(seen), over=size < WINDOW), chain(seen, pieces)


def _opened(pieces: Iterator[bytes], format: FileFormat) -> tuple[Header, bytes, Iterator[bytes]]:
    """What a file begins with, and what follows. Raises: RunFailedError, SheetError."""
    head = b""
    for piece in pieces:
        head += piece
        header = read_header(head, format, over=False)
        if header is not None:
            return header, head[header.end :], pieces
    header = read_header(head, format, over=True)
    if header is None:
        raise RunFailedError("The file is empty. Upload it again, with a row for each recipient.")
    return header, head[header.end :], pieces


def _without(pieces: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """What follows the first `skip` bytes."""
    for piece in pieces:
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))


def _contiguous(shards: Sequence[Shard]) -> list[Shard]:
    """Those up to the first gap: a write that broke off may have left any."""
    return [shard for i, shard in enumerate(shards) if shard.number == i]
