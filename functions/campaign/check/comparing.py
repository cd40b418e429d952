"""Finds the rows of a run whose address stands in an earlier shard, exactly, in flat memory."""

import json
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from functions.campaign.check import hashes
from functions.campaign.check.hashes import Head
from shared.aws.runfiles import FileGoneError, RunFiles
from shared.model.campaigns import Duplicates
from shared.model.runs import Run, Shard
from shared.store.catalog_items import CatalogConflictError
from shared.store.shards import Shards

RESERVE_S = 60
"""So much time is left to keep what was found: a bucket takes a second or two for every thousand shards."""
ATTEMPTS = 5


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    bucket: int = 0
    """The next one to compare."""
    rows: dict[int, bytearray] = field(default_factory=dict)
    """The repeated rows of shards."""
    kinds: dict[int, Counter[str]] = field(default_factory=dict)
    """How many they are, as a tally counts them."""

    def add(self, shard: Shard, found: list[tuple[int, int]]) -> None:
        """Mark rows of a shard. found: (row, flags)."""
        bits = self.rows.setdefault(shard.number, hashes.bits_for(shard.rows))
        for row, _ in found:
            hashes.set_bit(bits, row)
        self.kinds.setdefault(shard.number, Counter()).update(hashes.kinds([flags for _, flags in found]))

    def to_bytes(self) -> bytes:
        """Such that `from_bytes` reads it."""
        rows = {number: b64encode(zlib.compress(bits)).decode() for number, bits in self.rows.items()}
        return json.dumps({"bucket": self.bucket, "rows": rows, "kinds": self.kinds}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Found":
        """What `to_bytes` wrote."""
        read: dict[str, Any] = json.loads(data)
        rows = {int(number): bytearray(zlib.decompress(b64decode(bits))) for number, bits in read["rows"].items()}
        return cls(read["bucket"], rows, {int(number): Counter(kinds) for number, kinds in read["kinds"].items()})


class Comparer:
    """Compares the shards of a run; thread-safe.

    An address is known by 64 bits of its tag. Among ten million addresses the chance that any two of them are taken
    for one is about 1 in 370,000 (n * n / 2 ** 65); one of the two would get no message of this run.
    pool: for requests, of which there is one per shard and bucket. per_bucket: as the checker has it.
    """

    def __init__(self, files: RunFiles, shards: Shards, pool: Executor, per_bucket: int = hashes.PER_BUCKET) -> None:
        self._files = files
        self._shards = shards
        self._pool = pool
        self._per_bucket = per_bucket

    def compare(self, run: Run, shards: Sequence[Shard], remaining_s: Callable[[], float]) -> bool:
        """Mark repeated rows in the shards (all of the run, checked); False if time ran out: call it again.

        Of rows with the same address the first in the file counts. Done again it changes nothing.
        Raises: FileGoneError; CatalogConflictError; what S3 and the table raise.
        """
        if run.campaign.duplicates is not Duplicates.FIRST or len(shards) < 2:
            return True
        there = [shard for shard in sorted(shards, key=lambda each: each.number) if _has_hashes(shard)]
        heads = dict(zip((s.number for s in there), self._pool.map(lambda s: self._head(run, s), there), strict=True))
        found, buckets = self._load(run), hashes.buckets_for(run.rows, self._per_bucket)
        begun = found.bucket
        while found.bucket < buckets:
            if found.bucket > begun and remaining_s() < RESERVE_S:
                self._keep(run, found)
                return False
            self._bucket(run, there, heads, found)
            found.bucket += 1
        self._keep(run, found)
        return self._apply(run, there, heads, found, remaining_s)

    def repeated_rows(self, run: Run, shard: Shard) -> bytes | None:
        """A bit for each row of a shard, set if its address stands further up in the file; None if none is.

        Read it with `hashes.has_bit`. Raises: FileGoneError; what S3 raises.
        """
        if shard.repeats:
            return zlib.decompress(self._files.get(run.tenant, run.id, "repeats", shard.number))
        if shard.checked is None or not shard.checked.duplicates:
            return None
        start, end = hashes.head_bytes(shard.rows, hashes.buckets_for(run.rows, self._per_bucket))
        return self._files.get(run.tenant, run.id, "hashes", shard.number, start, end)

    def _head(self, run: Run, shard: Shard) -> Head:
        buckets = hashes.buckets_for(run.rows, self._per_bucket)
        _, end = hashes.head_bytes(shard.rows, buckets)
        return hashes.read_head(self._files.get(run.tenant, run.id, "hashes", shard.number, 0, end), buckets)

    def _load(self, run: Run) -> _Found:
        try:
            return _Found.from_bytes(self._files.get(run.tenant, run.id, "compare", 0))
        except FileGoneError:
            return _Found()

    def _keep(self, run: Run, found: _Found) -> None:
        self._files.put(run.tenant, run.id, "compare", 0, found.to_bytes())

    def _bucket(self, run: Run, shards: Sequence[Shard], heads: dict[int, Head], found: _Found) -> None:
        """Compare a bucket of all shards."""
        seen: set[int] = set()
        for shard, data in self._blocks(run, shards, heads, found.bucket):
            here = hashes.read_hashes(data)
            # Within a shard all are distinct, so what was seen is of a shard before.
            if again := seen.intersection(here):
                found.add(shard, hashes.rows_of(data, again))
            seen.update(here)

    def _blocks(
        self, run: Run, shards: Sequence[Shard], heads: dict[int, Head], bucket: int
    ) -> Iterator[tuple[Shard, bytes]]:
        """A bucket of each shard, in the file's order."""

        def read(shard: Shard) -> bytes:
            return self._files.get(run.tenant, run.id, "hashes", shard.number, *heads[shard.number].span(bucket))

        yield from zip(shards, self._pool.map(read, shards), strict=True)

    def _apply(
        self, run: Run, shards: Sequence[Shard], heads: dict[int, Head], found: _Found, remaining_s: Callable[[], float]
    ) -> bool:
        """Tell the shards what was found; False if time ran out."""

        def tell(shard: Shard) -> bool:
            if remaining_s() < RESERVE_S / 2:
                return False
            bits = found.rows[shard.number]
            for i, within in enumerate(heads[shard.number].repeated):
                bits[i] |= within
            self._files.put(run.tenant, run.id, "repeats", shard.number, zlib.compress(bits))
            self._save(run, shard.number, found.kinds[shard.number])
            return True

        left = [shard for shard in shards if shard.number in found.rows and not shard.repeats]
        return all(list(self._pool.map(tell, left)))

    def _save(self, run: Run, number: int, kinds: Counter[str]) -> None:
        """Move the repeated rows of a shard to its duplicates, unless that is done."""
        for _ in range(ATTEMPTS):
            stored = self._shards.load(run.tenant, run.id, number)
            if stored is None or stored.value.checked is None or stored.value.repeats:
                return
            repeats = kinds["good"] + kinds["held_out"]
            checked = stored.value.checked.model_copy(
                update={
                    "good": stored.value.checked.good - kinds["good"],
                    "held_out": stored.value.checked.held_out - kinds["held_out"],
                    "suppressed": stored.value.checked.suppressed - kinds["suppressed"],
                    "duplicates": stored.value.checked.duplicates + repeats,
                }
            )
            shard = stored.value.model_copy(update={"checked": checked, "repeats": repeats})
            if self._shards.save(run.tenant, run.id, shard, stored.rev) is not None:
                return
        raise CatalogConflictError("others keep changing this shard")


def _has_hashes(shard: Shard) -> bool:
    """Whether the check wrote hashes of a shard. What is good or held out loses that only to duplicates."""
    return shard.checked is not None and shard.checked.distinct + shard.checked.duplicates > 0
