"""Processor time and memory per row of a campaign's file, on its way to envelopes, against reading it with csv.

`BENCH_LONG=1` adds ten million rows. As in the function, what was there before is left out of garbage collections.
"""

import csv
import gc
import io
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, cpu_medians
from bench.sample import TENANT
from functions.campaign.check.rows import Facts, Judge
from functions.campaign.file.reading import read_rows
from functions.campaign.send.expanding import ShardRest
from functions.campaign.send.packing import Packer
from mepush.sheets.cutting import Cutter
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import read_header
from shared.acceptance.sendable import Sendable
from shared.acceptance.telling import accepted_by_run
from shared.model.campaigns import Audience, Campaign, Variant
from shared.model.content import EmailContent
from shared.model.runs import SHARD_BYTES, SHARD_ROWS, AudienceFile, PinnedVariant, Run, RunState, Shard
from shared.model.templates import TemplateVersion
from shared.model.words import Channel, MessageClass
from shared.rendering.render import compile_content

ROWS = 100_000
SIZES = (10_000, 100_000, 1_000_000)
LONG = 10_000_000
PIECE = 1024 * 1024
HEADER = ("to", "name", "city", "category", "coupon", "points")
_NAMES = ("李雷", "韩梅梅", "诸葛亮亮", "王芳", "张伟", "Zoë Müller", 'Robert "Bob" Tables', "Smith, John", "欧阳娜娜")
_CITIES = ("北京", "上海", "成都", "西安", "San Francisco")
_CATEGORIES = ("图书", "户外装备", "boots, new", "tents", "咖啡\n周边")
_AT = 1_780_000_000_000


def pieces(rows: int) -> Iterator[bytes]:
    """An audience file of so many rows, as a download brings it: the same ones each time."""
    chance = random.Random(7)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for i in range(rows):
        to = f"user{i}.{chance.randrange(1000)}@mail{i % 50}.example.com"
        name, city, category = chance.choice(_NAMES), chance.choice(_CITIES), chance.choice(_CATEGORIES)
        writer.writerow((to, name, city, category, f"C-{i:08d}", chance.randrange(5000) if i % 3 else ""))
        if text.tell() > PIECE // 2:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def run_of(header: tuple[str, ...]) -> Run:
    """A run that sends."""
    return Run(
        id="spring.01KAV2M3X80000000000000000",
        tenant="default",
        fired_at=_AT,
        state=RunState.SENDING,
        state_at=_AT,
        state_by="schedule",
        started_by="schedule",
        campaign=Campaign(
            id="spring",
            tenant="default",
            name="Spring",
            variants=(Variant(name="a", template="spring"),),
            audience=Audience(file="spring.csv"),
        ),
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        variants=(PinnedVariant(name="a", template="spring", version=1, weight=1),),
        file=AudienceFile(key="audiences/default/spring.csv", version="1", size=1, header=header),
        created_at=_AT,
        sending_at=_AT,
    )


SHOWN = "{{ category | default('-') }} {{ coupon | default('-') }} {{ points | default('0') }}"
"""A text that only shows variables, so that short rows need not be filled in to be judged."""
WORKED_OUT = "{{ category | upper }} {{ coupon }} {% if points is defined %}{{ points | int + 1 }}{% endif %}"
"""One that may fail, so that each row is filled in."""


class Expansion:
    """Takes a file in pieces, cuts it, and expands each shard. messages: so many were packed.

    judge: as rows are sent. check: as they are checked, their messages filled in where these may fail.
    """

    def __init__(self, text: str = SHOWN) -> None:
        content = EmailContent(subject="{{ name }}, {{ city }}", text=text)
        compiled = compile_content(content)
        version = TemplateVersion(
            template="spring",
            version=1,
            content=content,
            required=compiled.analysis.required,
            optional=compiled.analysis.optional,
            created_at=0,
        )
        self.run = run_of(HEADER)
        sendable = Sendable(compiled, {}, ("smtp", "ses"), self.run.message_class)
        self.judge = Judge(self.run, Facts(TENANT, {"a": version})).judge
        self.check = Judge(self.run, Facts(TENANT, {"a": version}, sendable={"a": sendable})).judge
        self.packer = Packer(self.run, {"a": 86_400}, "Asia/Shanghai")
        self.messages = 0
        self._buffer = bytearray()
        self._cutter: Cutter | None = None
        self._shards = 0

    def feed(self, piece: bytes) -> None:
        """Go on with the file."""
        for shard, data in self.cut(piece):
            self.expand(shard, data)

    def cut(self, piece: bytes, over: bool = False) -> Iterator[tuple[Shard, bytes]]:
        """The shards that are complete. over: the file ends with the piece."""
        if self._cutter is None:
            header = read_header(piece, FileFormat.CSV, over=False)
            if header is None:
                raise RuntimeError("no header")
            piece = piece[header.end :]
            self._cutter = Cutter(FileFormat.CSV, header.delimiter, rows=SHARD_ROWS, size=SHARD_BYTES)
        cuts = self._cutter.feed(piece)
        self._buffer += piece
        for cut in [*cuts, *self._cutter.finish()] if over else cuts:
            size = cut.end - cut.start
            data = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._shards += 1
            yield Shard(number=self._shards, key="", version="", start=0, end=size, first_row=1, rows=cut.rows), data

    def expand(self, shard: Shard, data: bytes) -> None:
        """Make the envelopes of a shard, their bodies, and what the stream is told."""
        found = ShardRest(self.run, shard, data, self.judge, self.packer).take(shard.rows)
        if found is None:
            raise RuntimeError("an empty shard")
        for dispatch in found.dispatches:
            self.messages += len(dispatch.envelope.recipients)
            accepted_by_run(dispatch).to_json()


def measure(rows: int) -> dict[str, float]:
    """Processor microseconds per row of so many, and the megabytes that they took at most beyond what there was."""
    expansion, before, spent = Expansion(), _peak_mb(), 0.0
    for piece in pieces(rows):
        started = time.process_time()
        expansion.feed(piece)
        spent += time.process_time() - started
    started = time.process_time()
    for shard, data in expansion.cut(b"", over=True):
        expansion.expand(shard, data)
    spent += time.process_time() - started
    if expansion.messages != rows:
        raise RuntimeError(f"{expansion.messages} of {rows} rows became messages")
    return {"us": spent / rows * 1e6, "mb": _peak_mb() - before}


def _peak_mb() -> float:
    """The most memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells begins with the peak of the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


class _Steps:
    """The same file again and again: each method returns the rows that it did."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._shards = list(Expansion().cut(data, over=True))
        self._ours = Expansion()
        self._filled = Expansion(WORKED_OUT)
        self._file = AudienceFile(key="", version="", size=len(data), header=HEADER)

    def dict_reader(self) -> int:
        """What it is compared with."""
        return sum(1 for _ in csv.DictReader(io.TextIOWrapper(io.BytesIO(self._data), "utf-8", newline="")))

    def whole(self) -> int:
        """All of it."""
        expansion, data = Expansion(), self._data
        for start in range(0, len(data), PIECE):
            for shard, part in expansion.cut(data[start : start + PIECE], over=start + PIECE >= len(data)):
                expansion.expand(shard, part)
        return expansion.messages

    def cut(self) -> int:
        """Cut into shards."""
        return sum(shard.rows for shard, _ in Expansion().cut(self._data, over=True))

    def read(self) -> int:
        """Read the rows."""
        return sum(1 for _, part in self._shards for _ in read_rows(part, FileFormat.CSV, self._file))

    def judge(self) -> int:
        """Read and judge them."""
        judge, rows = self._ours.judge, 0
        for _, part in self._shards:
            for index, cells in read_rows(part, FileFormat.CSV, self._file):
                judge(index, cells)
                rows += 1
        return rows

    def check(self) -> int:
        """Read and check them for a text that only shows variables."""
        return self._check(self._ours)

    def fill(self) -> int:
        """Read and check them for a text that may fail."""
        return self._check(self._filled)

    def _check(self, expansion: Expansion) -> int:
        judge, rows = expansion.check, 0
        for _, part in self._shards:
            for index, cells in read_rows(part, FileFormat.CSV, self._file):
                judge(index, cells)
                rows += 1
        return rows

    def pack(self) -> int:
        """Read, judge and pack them."""
        ours, rows = self._ours, 0
        for shard, part in self._shards:
            found = ShardRest(ours.run, shard, part, ours.judge, ours.packer).take(shard.rows)
            rows += 0 if found is None else found.tally.good
        return rows


def run() -> list[Figure]:
    """expand_cpu_vs_dictreader; then what its steps take; then cost and memory per row as the file grows."""
    gc.freeze()
    steps = _Steps(b"".join(pieces(ROWS)))
    runs = [steps.whole, steps.dict_reader, steps.cut, steps.read, steps.judge, steps.pack, steps.check, steps.fill]
    whole, baseline, cut, read, judge, pack, check, fill = cpu_medians(runs)
    figures = [Figure("expand_cpu_vs_dictreader", whole, "µs CPU per row", "csv.DictReader", baseline, 5.0)]
    parts = {"cut": cut, "read": read, "judge": judge - read, "pack": pack - judge, "record": whole - cut - pack}
    parts |= {"check": check - read, "check_filled_in": fill - read}
    figures += [Figure(f"expand_{name}", cost, "µs CPU per row") for name, cost in parts.items()]
    for rows in (*SIZES, LONG) if os.environ.get("BENCH_LONG") else SIZES:
        # In a process of its own, so that its memory is its own.
        done = subprocess.run([sys.executable, "-m", "bench.expand", str(rows)], stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        figures.append(Figure(f"expand_row_cost_{rows}", found["us"], "µs CPU per row"))
        figures.append(Figure(f"expand_peak_mb_{rows}", found["mb"], "MB"))
    gc.unfreeze()
    return figures


if __name__ == "__main__":
    gc.freeze()
    print(json.dumps(measure(int(sys.argv[1]))))
