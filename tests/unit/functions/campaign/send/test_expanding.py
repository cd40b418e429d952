"""Shards become envelopes, the same ones in whatever slices."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.check import hashes
from functions.campaign.send.expanding import Expander
from functions.campaign.send.packing import Packer
from functions.campaign.send.sending import Slice
from shared.aws.runfiles import RunFiles
from shared.model.ids import Numbering, ulid_value
from shared.model.runs import Run, Shard, Tally
from tests.samples import NOW
from tests.unit.functions.campaign.audience import KEY, MemoryS3, cut_into, judge_of, run_of

LINES = [
    "u{}@example.com,名{}\n",
    '"U{}@example.com","two\nlines, {}"\n',
    "\n",
    "nobody,{}{}\n",
    "u{}@example.com,\n",
    'u{}@example.com,"x"{}\n',
]
DATA = ("\ufeffto,name\n" + "".join(LINES[(i * i + i // 3) % 6].format(i, i) for i in range(95))).encode()


def sending(**changes: int) -> tuple[Run, list[Shard]]:
    run, shards = cut_into(run_of(DATA), DATA, 60)
    return run.moved(sending_at=NOW, block=10, envelope=4, **changes), shards


def expander(repeated: bytes | None = None, refused: bytes | None = None) -> Expander:
    s3 = MemoryS3()
    s3.objects[KEY, "v1"] = DATA
    files = RunFiles("assets", lambda: s3)  # type: ignore[arg-type,return-value]  # plays S3
    return Expander(
        files,
        judge_of,
        lambda run: Packer(run, {"a": 600}, "UTC"),
        lambda run, shard: repeated,
        lambda run, shard: refused,
    )


def slices(run: Run, shard: Shard, sizes: Sequence[int], again: bool, repeated: bytes | None = None) -> list[Slice]:
    """The slices of a shard. again: it is opened anew for each, as after a crash."""
    found: list[Slice] = []
    opened = expander(repeated)
    rest = opened.open(run, shard)
    for size in [*sizes, *[1000] * 2]:
        part = rest.take(size)
        if part is None:
            break
        found.append(part)
        if again:
            rest = opened.open(run, shard.model_copy(update={"next_row": part.next_row, "next_byte": part.next_byte}))
    assert rest.take(1) is None
    return found


@given(st.lists(st.integers(1, 40), max_size=8), st.booleans(), st.integers(0, 1))
def test_slices_make_what_the_whole_shard_makes(sizes: list[int], again: bool, number: int) -> None:
    run, shards = sending()
    (whole,) = slices(run, shards[number], [], again=False)

    parts = slices(run, shards[number], sizes, again)

    assert [d for part in parts for d in part.dispatches] == list(whole.dispatches)
    total = Tally()
    for part, size in zip(parts, sizes, strict=False):
        assert part.next_row % 10 == 0 or part.next_row == shards[number].rows
        assert part.tally.rows <= max(10, size)
    for part in parts:
        total = total.plus(part.tally)
    assert total == whole.tally
    assert (parts[-1].next_row, parts[-1].next_byte) == (shards[number].rows, shards[number].end)


def test_every_row_is_counted_once() -> None:
    run, shards = sending()
    tally = Tally()
    for shard in shards:
        (part,) = slices(run, shard, [], again=False)
        tally = tally.plus(part.tally)
        assert part.tally.accepted == sum(len(d.envelope.recipients) for d in part.dispatches)
    lines = [(i * i + i // 3) % 6 for i in range(95)]
    good = lines.count(0) + lines.count(1)
    assert min(lines.count(i) for i in range(6)) > 3
    assert tally.rejected == {
        "address_invalid": lines.count(3),
        "variable_missing.name": lines.count(4),
        "not_csv": lines.count(5),
    }
    assert (tally.rows, tally.good, tally.accepted, tally.variants) == (
        95 - lines.count(2), good, good, {"a": good},
    )  # fmt: skip


@pytest.mark.parametrize("sizes", [[], [10, 20, 10]])
def test_rows_that_repeat_an_address_are_left_out(sizes: list[int]) -> None:
    run, (shard, _) = sending()
    (whole,) = slices(run, shard, [], again=False)
    repeated = hashes.bits_for(shard.rows)
    good = [Numbering(d.envelope.id)(r.index) for d in whole.dispatches for r in d.envelope.recipients]
    rows = [ulid_value(id) - ulid_value(run.shard_base(shard.number)) for id in good]
    for row in (rows[0], rows[5], rows[-1]):
        hashes.set_bit(repeated, row)

    parts = slices(run, shard, sizes, again=False, repeated=bytes(repeated))

    assert sum(part.tally.duplicates for part in parts) == 3
    assert sum(part.tally.accepted for part in parts) == whole.tally.accepted - 3


def test_rows_that_the_check_rejected_are_left_out_whatever_they_look_like_now() -> None:
    run, (shard, _) = sending()
    (whole,) = slices(run, shard, [], again=False)
    first = Numbering(whole.dispatches[0].envelope.id)(whole.dispatches[0].envelope.recipients[0].index)
    refused = hashes.bits_for(shard.rows)
    hashes.set_bit(refused, ulid_value(first) - ulid_value(run.shard_base(shard.number)))

    part = expander(refused=bytes(refused)).open(run, shard).take(1000)

    assert part is not None and part.tally.rejected["checked"] == 1
    assert (part.tally.accepted, part.tally.rows) == (whole.tally.accepted - 1, whole.tally.rows)
