"""Rows are packed by their places alone, so that the same ones always make the same envelopes."""

from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.check.rows import Good
from functions.campaign.send.packing import SCHEDULE, Packer
from shared.acceptance.telling import accepted_by_run
from shared.aws.queue import Dispatch
from shared.model.campaigns import Schedule
from shared.model.envelope import MAX_BYTES, EnvelopeRecipient, read_envelope
from shared.model.ids import Numbering, Tagger
from shared.model.runs import Run
from tests.samples import NOW, TENANT
from tests.unit.functions.campaign.audience import run_of

TAG = Tagger(TENANT.salt, "email")
ZONES = ["", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu"]


def run(**changes: Any) -> Run:
    """A run of two variants that sends."""
    found = run_of(b"to,name\n", weights={"a": 1, "b": 1}, variables={"shop": "店"}, **changes)
    return found.moved(sending_at=NOW + 60_000, block=10, envelope=4)


def good(index: int, variant: str = "a", zone: str = "", ref: str = "", **variables: Any) -> Good:
    to = f"u{index}@example.com"
    return Good(index, to, TAG(to), variables, ref, zone, variant)


def pack(run: Run, rows: list[Good], shard: int = 3) -> list[Dispatch]:
    return Packer(run, {"a": 600, "b": 1200}, "Asia/Shanghai").pack(shard, rows)


_ROWS = st.lists(
    st.tuples(st.integers(0, 79), st.sampled_from("ab"), st.sampled_from(ZONES), st.sampled_from(["", "r"])),
    unique_by=lambda row: row[0],
    max_size=60,
)
LOCAL = Schedule(expression="cron(0 9 * * ? *)", local=True)


@given(_ROWS, st.lists(st.integers(0, 8), max_size=4), st.booleans())
def test_slices_of_whole_blocks_make_the_same_envelopes_as_all_at_once(
    rows: list[tuple[int, str, str, str]], cuts: list[int], local: bool
) -> None:
    sending = run(schedule=LOCAL if local else None).moved(started_by=SCHEDULE)
    goods = [good(i, variant, zone, ref, name="李") for i, variant, zone, ref in sorted(rows)]
    whole = pack(sending, goods)

    edges = [0, *sorted(cuts), 8]
    packer, parts = Packer(sending, {"a": 600, "b": 1200}, "Asia/Shanghai"), []
    for start, end in pairwise(edges):
        parts += packer.pack(3, [row for row in goods if start * 10 <= row.index < end * 10])

    assert parts == whole
    number = Numbering(sending.shard_base(3))
    ids = {number(row.index) + row.tag for row in goods}
    got = [Numbering(d.envelope.id)(r.index) + r.tag for d in whole for r in d.envelope.recipients]
    assert sorted(got) == sorted(ids)
    assert all(1 <= len(d.envelope.recipients) <= 4 for d in whole)
    assert all(read_envelope(d.body) == d.envelope for d in whole)


def test_an_envelope_says_of_which_run_and_variant_it_is() -> None:
    sending = run()
    rows = [good(11, "b", "Asia/Tokyo", "R-1", name="A"), good(12, "b")]

    (dispatch,) = pack(sending, rows)

    envelope, number = dispatch.envelope, Numbering(sending.shard_base(3))
    assert (envelope.id, envelope.request, envelope.accepted_at) == (number(11), number(0), NOW)
    assert (envelope.run, envelope.variant, envelope.template, envelope.version) == (sending.id, "b", "welcome", 1)
    assert (envelope.variables, envelope.expires_at) == ({"shop": "店"}, NOW + 60_000 + 1_200_000)
    assert envelope.recipients == [
        EnvelopeRecipient(0, "u11@example.com", TAG("u11@example.com"), {"name": "A"}, "R-1", "Asia/Tokyo"),
        EnvelopeRecipient(1, "u12@example.com", TAG("u12@example.com")),
    ]
    assert dispatch.due_at is None
    only = run_of(b"to\n").moved(sending_at=NOW)
    assert pack(only, [good(0)])[0].envelope.variant is None


def test_what_is_too_large_for_one_envelope_is_halved() -> None:
    sending = run().moved(block=100, envelope=100)
    rows = [good(i, name="李" * 1000) for i in range(100)]

    found = pack(sending, rows)

    assert [len(d.envelope.recipients) for d in found] == [25] * 4
    assert all(len(d.body.encode()) <= MAX_BYTES for d in found)
    assert [len(d.envelope.recipients) for d in pack(sending, [good(0, name="x" * 100_000)])] == [1]


def test_everybody_gets_it_at_the_same_hour_of_their_own_clock() -> None:
    nine = datetime(2026, 3, 10, 9, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    sending = run(schedule=LOCAL).moved(
        fired_at=int(nine.timestamp() * 1000), sending_at=int(nine.timestamp() * 1000) + 5000, started_by=SCHEDULE
    )
    zones = ["Asia/Shanghai", "America/New_York", "", "Pacific/Kiritimati", "Asia/Singapore", "Asia/Kathmandu"]

    found = pack(sending, [good(i, zone=zone) for i, zone in enumerate(zones)])

    due = {r.index + Numbering(d.envelope.id)._low: d.due_at for d in found for r in d.envelope.recipients}
    wall = {
        index: at and datetime.fromtimestamp(at / 1000, ZoneInfo(zones[index] or "Asia/Shanghai")).isoformat()[:19]
        for index, at in due.items()
    }
    assert wall == dict.fromkeys((0, 1, 2, 4, 5), "2026-03-10T09:00:00") | {3: None}
    # The same moment is one envelope, whatever it is called.
    assert sorted(len(d.envelope.recipients) for d in found) == [1, 1, 1, 3]
    assert {d.envelope.expires_at for d in found} == {(d.due_at or sending.sending_at or 0) + 600_000 for d in found}


def test_who_starts_a_run_by_hand_means_now() -> None:
    sending = run(schedule=LOCAL).moved(started_by="key-1")
    assert [d.due_at for d in pack(sending, [good(0, zone="America/New_York"), good(1)])] == [None]


@pytest.mark.parametrize("due_at", [None, NOW + 9_000_000])
def test_the_stream_is_told_of_accepted_messages_without_addresses(due_at: int | None) -> None:
    (dispatch,) = pack(run(), [good(11, ref="R-1"), good(13)])

    record = accepted_by_run(Dispatch(dispatch.envelope, dispatch.body, due_at))

    assert [(row.index, row.tag, row.stage, row.at, row.reference) for row in record.events[:2]] == [
        (0, TAG("u11@example.com"), "accepted", NOW, "R-1"),
        (2, TAG("u13@example.com"), "accepted", NOW, None),
    ]
    assert all(due_at in (None, row.due_at) for row in record.events)
    assert (record.run, record.variant, record.envelope) == (dispatch.envelope.run, "a", dispatch.envelope.id)
    assert b"example.com" not in record.to_json()
