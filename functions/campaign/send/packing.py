"""Packs good rows into envelopes. Pure: no I/O.

What is packed together follows from the rows alone: blocks of `Run.block` rows, and within a block those of one
variant and one time. So the same rows yield the same envelopes with the same ids, whoever packs them, and whenever.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from functions.campaign.check.rows import Good
from shared.acceptance.packing import pack
from shared.aws.queue import Dispatch
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.ids import Numbering, ulid_time
from shared.model.runs import Run
from shared.policy.starts import FIRST_ZONE

SCHEDULE = "schedule"
"""Who starts a run if no key does."""
_Kind = tuple[str, int | None]
"""Variant and due time of messages."""


class Packer:
    """Packs the rows of a run that is sending.

    ttl_s: variant's name -> the time to live of its messages, in seconds. zone: of recipients who name none. now: from
    when on what is due lives; by default, since the run began to send. Nothing but the time to live follows from it.
    """

    def __init__(self, run: Run, ttl_s: Mapping[str, int], zone: str, now: int | None = None) -> None:
        self._run = run
        self._now = _began(run) if now is None else now
        self._ttl_s = ttl_s
        self._zone = zone
        schedule = run.campaign.schedule
        # Who starts a run by hand means now.
        self._local = schedule is not None and schedule.local and run.started_by == SCHEDULE
        if schedule is not None and schedule.time_zone is not None:
            self._zone = schedule.time_zone
        # The variant, if all are of one and due at once.
        self._alike = "" if self._local or len(run.variants) > 1 else run.variants[0].name
        self._due: dict[str, int | None] = {}
        self._headers: dict[_Kind, Envelope] = {}

    def pack(self, shard: int, rows: Iterable[Good]) -> list[Dispatch]:
        """Pack rows of a shard, in order and in whole blocks."""
        base, block = self._run.shard_base(shard), self._run.block
        number = Numbering(base)
        packed: list[Dispatch] = []
        members: list[Good] = []
        end = 0
        for row in rows:
            if row.index >= end:
                self._block(base, number, members, packed)
                members, end = [], (row.index // block + 1) * block
            members.append(row)
        self._block(base, number, members, packed)
        return packed

    def _block(self, base: str, number: Numbering, rows: Sequence[Good], packed: list[Dispatch]) -> None:
        most = self._run.envelope
        for kind, alike in self._sorted(rows).items():
            header = self._header(base, kind)
            for start in range(0, len(alike), most):
                recipients = [
                    EnvelopeRecipient(
                        row.index, row.to, row.tag, row.variables, row.reference or None, row.time_zone or None
                    )
                    for row in alike[start : start + most]
                ]
                # One alone is never too large: the judge sees to that.
                packed += pack(header, recipients, number, kind[1])

    def _sorted(self, rows: Sequence[Good]) -> Mapping[_Kind, Sequence[Good]]:
        """Rows by what their envelopes have in common."""
        if self._alike:
            return {(self._alike, None): rows}
        found: dict[_Kind, list[Good]] = defaultdict(list)
        local, due = self._local, self._due_at
        for row in rows:
            found[row.variant, due(row.time_zone) if local else None].append(row)
        return found

    def _due_at(self, zone: str) -> int | None:
        """When it is due in a time zone; None for at once."""
        if zone not in self._due:
            wall = datetime.fromtimestamp(self._run.fired_at / 1000, ZoneInfo(FIRST_ZONE))
            there = round(wall.replace(tzinfo=ZoneInfo(zone or self._zone)).timestamp() * 1000)
            self._due[zone] = there if there > _began(self._run) else None
        return self._due[zone]

    def _header(self, base: str, kind: _Kind) -> Envelope:
        """What the envelopes of a kind have in common."""
        found = self._headers.get(kind)
        if found is None or found.request != base:
            found = self._headers[kind] = self._new_header(base, *kind)
        return found

    def _new_header(self, base: str, variant: str, due_at: int | None) -> Envelope:
        run = self._run
        pinned = next(each for each in run.variants if each.name == variant)
        return Envelope(
            id="",
            tenant=run.tenant,
            channel=run.channel,
            message_class=run.message_class,
            template=pinned.template,
            version=pinned.version,
            request=base,
            run=run.id,
            variant=variant if len(run.variants) > 1 else None,
            kind=run.kind,
            accepted_at=ulid_time(base),
            expires_at=max(due_at or 0, self._now) + 1000 * self._ttl_s[variant],
            variables=run.campaign.variables,
            recipients=[],
        )


def _began(run: Run) -> int:
    """When a run began to send: what is due before that goes at once."""
    return run.sending_at or run.fired_at
