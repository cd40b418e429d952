"""Messages and all that may happen to them, as facts, as what dispatch tells the stream, and as what providers say."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.model.events import EventRow, StreamRecord
from shared.model.ids import Numbering, derived_base
from shared.model.origin import origin_of, whole_origin
from shared.model.receipts import Receipt
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, KeyKind, MessageClass, Stage
from tests.guarantees.plain_model import Fact, Story
from tests.samples import envelope

TOGETHER = 50
"""Messages of an envelope."""
FIRST_MS = 1_736_935_200_000
RUN = "spring.01KAV2M3X80000000000000000"
LISTED = {
    "undelivered": SuppressionReason.BOUNCE,
    "complained": SuppressionReason.COMPLAINT,
    "unsubscribed": SuppressionReason.UNSUBSCRIBE,
}
"""Who comes onto the suppression list for a receipt that says so, and for what."""

Rows = list[tuple[int, dict[str, Any]]]


@dataclass(slots=True)
class Sent:
    """An envelope: the records that are told of it in order, and what providers and recipients say of it later."""

    stories: list[Story]
    records: list[StreamRecord]
    receipts: list[Receipt]
    listed: dict[str, set[str]] = field(default_factory=dict)
    """Tag -> reasons for which the recipient must be on the suppression list."""


def envelopes(chance: random.Random, count: int) -> Iterator[Sent]:
    """That many envelopes, of several templates, versions, accounts, hours, and of a run with variants."""
    for k in range(count):
        yield _Maker(chance, k).make()


class _Maker:
    """Makes one envelope. Its recipients are others than those of any other: their tags are made from its number."""

    def __init__(self, chance: random.Random, k: int) -> None:
        self._chance = chance
        self._accepted = FIRST_MS + chance.randrange(3 * 3_600_000)
        self._account = chance.choice(("mail-a", "mail-b"))
        run = chance.random() < 0.4
        base = derived_base(self._accepted, "exactness", str(k))
        self._envelope = envelope(
            id=base,
            request=base,
            template=chance.choice(("letter", "offer", "news")),
            version=chance.choice((1, 1, 2)),
            run=RUN if run else None,
            variant=chance.choice(("a", "b")) if run else None,
            kind=chance.choices((KeyKind.LIVE, KeyKind.TEST), (9, 1))[0],
            accepted_at=self._accepted,
        )
        # Turned round, so that they begin differently.
        self._tags = [f"{k * TOGETHER + i:016d}"[::-1] for i in range(TOGETHER)]
        self._origin = whole_origin("default", self._account, origin_of(self._envelope))
        self._rows: Rows = []
        self._sent = Sent([], [], [])

    def make(self) -> Sent:
        number = Numbering(self._envelope.id)
        for i, tag in enumerate(self._tags):
            one = self._envelope
            self._sent.stories.append(
                Story(number(i) + tag, self._accepted, one.template, one.version, one.run, one.variant)
            )
            self._happen(i)
        self._tell()
        return self._sent

    def _happen(self, i: int) -> None:
        """What happens to a message until dispatch is done with it, and later."""
        self._fact(i, "accepted", at=self._accepted, masked_address=f"u{i}***@example.com")
        via: dict[str, Any] = {"account": self._account, "provider": "ses", "provider_id": f"p-{self._tags[i]}"}
        kind = self._chance.random()
        at = self._accepted + int(2 ** self._chance.uniform(2, 20))
        if kind < 0.03:
            reason = self._chance.choice(("suppressed_bounce", "blocked_word"))
            self._fact(i, self._chance.choice(("suppressed", "failed")), at=at, reason=reason)
            return
        if kind < 0.10:
            self._fact(i, "retrying", nth=1, at=at, reason="throttled", due_at=at + 1000, **via)
            at += 1500
        if kind > 0.97:
            # Some stay in flight, and of some nobody knows whether they were sent.
            if kind > 0.98:
                self._fact(i, "unknown", at=at, reason="timed_out", **via)
            return
        self._fact(i, "sent", at=at, took=at - self._accepted, **via)
        self._say(i, at)

    def _fact(self, i: int, stage: str, *, nth: int = 0, took: int | None = None, **row: Any) -> None:
        self._sent.stories[i].facts.append(
            Fact(stage, nth, account=row.get("account"), reason=row.get("reason"), took_ms=took)
        )
        self._rows.append((i, {"stage": stage, "nth": nth, **row}))

    def _say(self, i: int, sent_ms: int) -> None:
        """What becomes of a message that was sent. Each thing that happens has a second of its own."""
        chance, second = self._chance, (sent_ms - self._accepted) // 1000 + 1
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
            second += 1
            self._receipt(i, "delayed", second, reason="server_busy")
        end = chance.random()
        if end < 0.1:
            second += 1
            transient = chance.random() < 0.5
            reason = "mailbox_full" if transient else "address_unknown"
            self._receipt(i, "undelivered", second, reason=reason, transient=transient, lists=not transient)
        elif end < 0.9:
            second += 1
            self._deliver(i, sent_ms, second)
        for _ in range(chance.choice((0, 1, 1, 2, 3)) if 0.1 <= end < 0.8 else 0):
            second += 1 + chance.randrange(90)
            self._engage(i, second)
        if end > 0.97:
            self._receipt(i, chance.choice(("complained", "unsubscribed")), second + 1, lists=True)

    def _deliver(self, i: int, sent_ms: int, second: int) -> None:
        """Some providers say how long it took; of others that follows from when the message was sent.

        Some deliveries are said twice, by the carrier and by the recipient's device: the first that comes counts.
        """
        kind = self._chance.random()
        if kind < 0.3:
            at = self._accepted + second * 1000
            self._sent.stories[i].facts.append(Fact("delivered", 0, self._account, took_ms=at - sent_ms))
            self._add_receipt(i, Stage.DELIVERED, at, rode_along=False)
            return
        took = self._chance.randrange(1, 90_000)
        self._receipt(i, "delivered", second, took=took)
        if kind > 0.95:
            self._sent.stories[i].facts[-1].took_too = took * 3
            self._add_receipt(i, Stage.DELIVERED, self._accepted + (second + 1) * 1000, took_ms=took * 3)

    def _engage(self, i: int, second: int) -> None:
        stage = self._chance.choice(("opened", "opened", "clicked"))
        machine = self._chance.random() < 0.3
        self._receipt(i, stage, second, machine=machine)
        facts = self._sent.stories[i].facts
        if not machine and not any(f.stage == stage and not f.nth for f in facts):
            # That it happened at all counts once for the message, beside each time.
            facts.append(Fact(stage, 0, account=self._account))

    def _receipt(
        self,
        i: int,
        stage: str,
        second: int,
        *,
        took: int | None = None,
        reason: str | None = None,
        transient: bool = False,
        machine: bool = False,
        lists: bool = False,
    ) -> None:
        once = stage in ("delivered", "complained", "unsubscribed") or (stage == "undelivered" and not transient)
        fact = Fact(stage, 0 if once else second, self._account, reason, took, None, transient, machine)
        self._sent.stories[i].facts.append(fact)
        listed = LISTED[stage] if lists else None
        if listed is not None and self._envelope.kind is not KeyKind.TEST:
            self._sent.listed.setdefault(self._tags[i], set()).add(listed.value)
        at = self._accepted + second * 1000 + self._chance.randrange(1000)
        more: dict[str, Any] = {"reason": reason, "transient": transient, "machine": machine, "suppresses": listed}
        self._add_receipt(i, Stage(stage), at, took_ms=took, **more)

    def _add_receipt(self, i: int, stage: Stage, at: int, *, rode_along: bool | None = None, **more: Any) -> None:
        """By what rode along with the message, or by its id, which is looked up; None for either."""
        if rode_along is None:
            rode_along = self._chance.random() < 0.5
        by: dict[str, Any] = {"origin": self._origin} if rode_along else {"tenant": "default"}
        said = Receipt(
            provider="ses",
            account=self._account,
            stage=stage,
            at=at,
            message_id=self._sent.stories[i].id,
            address=f"u{self._tags[i]}@example.com",
            **by,
            **more,
        )
        self._sent.receipts.append(said)

    def _tell(self) -> None:
        """Acceptance tells first; dispatch says it again, and what became of the messages, in waves."""
        accepted = [row for row in self._rows if row[1]["stage"] == "accepted"]
        others = [row for row in self._rows if row[1]["stage"] != "accepted"]
        self._sent.records.append(self._record(accepted))
        cut = len(others) // 2
        self._sent.records += [self._record(accepted + others[:cut]), self._record(others[cut:])]

    def _record(self, rows: Rows) -> StreamRecord:
        one = self._envelope
        return StreamRecord(
            tenant="default",
            envelope=one.id,
            channel=Channel.EMAIL,
            message_class=MessageClass.NOTIFICATION,
            template=one.template,
            version=one.version,
            request=one.request,
            run=one.run,
            variant=one.variant,
            kind=one.kind,
            events=[EventRow(index=i, tag=self._tags[i], **row) for i, row in rows],
        )
