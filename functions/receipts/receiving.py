"""Takes receipts off their queue: reads them, finds their messages, lists who must not be written to, decides on the
fallback of messages that wait for it, tells the stream.

Every step may be repeated, and whatever breaks off before the last one is: a recipient is listed once, an event counts
once. A receipt whose message is not known yet waits on the queue, for up to an hour.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from functions.receipts.cards import Cards
from functions.receipts.converting import Converting
from functions.receipts.falling import Falling
from functions.receipts.listing import Listing
from functions.receipts.matching import Matched, Matcher
from functions.receipts.telling import records_of
from shared.aws.receipts import ReceiptQueue
from shared.base.logs import log_error
from shared.model.clock import Clock
from shared.model.events import StreamRecord
from shared.model.receipts import Alert, Arrived, CardChange, Converted, Look, Notice, Receipt, Waiting
from shared.model.wire import UnreadableError
from shared.providers.reading import read_queued, read_receipts

logger = Logger(child=True)

KEPT_MS = 3_600_000
"""How long a receipt waits for its message to be known."""
WAITS_S = (1, 3, 10, 60, 300, 900)
"""The waits between two looks; the last one from then on. Most of those that wait came before dispatch had told."""


HASTY = 2
"""So many looks are at whether a message was sent alone: before the trace has told of it, nothing else is there."""


class Stream(Protocol):
    """Where events are told."""

    def put(self, records: Sequence[StreamRecord]) -> None: ...


@dataclass(slots=True)
class Received:
    """What became of a batch."""

    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(provider, stage) -> receipts whose message was found."""
    unmatched: Counter[str] = field(default_factory=Counter)
    """Provider -> receipts that waited for an hour, and are about no message of ours."""
    unchanged: Counter[str] = field(default_factory=Counter)
    """`<tenant>/<account>` -> cards that do not show who pressed them."""
    unreported: Counter[str] = field(default_factory=Counter)
    """`<tenant>/<account>` -> codes that were given back, of which the provider does not want to know."""
    alerts: list[Alert] = field(default_factory=list)
    """What providers said of accounts."""
    notices: Counter[str] = field(default_factory=Counter)
    """Source -> what is no receipt, such as the messages by which topics are tried."""
    failed: list[str] = field(default_factory=list)
    """The ids of messages that come back."""


@dataclass(slots=True)
class _Look:
    """Receipts that have been looked for as often, since the same time."""

    since: int
    tries: int
    receipts: list[Receipt] = field(default_factory=list)


class Receiver:
    """Works on batches of the queue `receipts`."""

    def __init__(
        self,
        matcher: Matcher,
        listing: Listing,
        falling: Falling,
        cards: Cards,
        converting: Converting,
        queue: ReceiptQueue,
        stream: Stream,
        clock: Clock,
    ) -> None:
        self._matcher = matcher
        self._listing = listing
        self._falling = falling
        self._cards = cards
        self._converting = converting
        self._queue = queue
        self._stream = stream
        self._clock = clock

    def run(self, event: dict[str, Any]) -> Received:
        """Work on one SQS batch. Raises: what a table, the stream or the queue raises; then all of it comes back."""
        now = self._clock.now_ms()
        result = Received()
        fresh = _Look(now, 0)
        looks = [fresh]
        overdue: list[tuple[str, Look]] = []
        changes: list[tuple[str, CardChange]] = []
        converted: list[tuple[str, Converted]] = []
        for record in event["Records"]:
            try:
                queued = read_queued(record["body"], now)
                if isinstance(queued, Waiting):
                    looks.append(_Look(queued.since, queued.tries, queued.waiting))
                elif isinstance(queued, Look):
                    overdue.append((record["messageId"], queued))
                elif isinstance(queued, CardChange):
                    changes.append((record["messageId"], queued))
                elif isinstance(queued, Converted):
                    converted.append((record["messageId"], queued))
                elif isinstance(queued, Notice):
                    result.notices[queued.source] += 1
                else:
                    self._sort(self._read(queued), fresh, result)
            except UnreadableError as error:
                logger.error("receipt cannot be read", message_id=record["messageId"], field=error.field)
                result.failed.append(record["messageId"])
        self._take(looks, now, result)
        # What arrived in the same moment counts.
        result.failed += [id for id, look in overdue if not self._look(look)]
        result.failed += [id for id, change in changes if not self._change(change, result)]
        if converted:
            told = self._converting.tell(converted)
            result.failed += told.failed
            result.unreported.update(told.refused)
        return result

    def _change(self, change: CardChange, result: Received) -> bool:
        try:
            if not self._cards.change(change):
                result.unchanged[f"{change.tenant}/{change.account}"] += 1
        except Exception as error:  # of any kind: the change comes back, and the receipts beside it do not
            log_error(logger, "card not changed yet", error, account=change.account)
            return False
        return True

    def _look(self, look: Look) -> bool:
        try:
            self._falling.look(look)
        except Exception as error:  # of any kind: the look comes back, and the receipts beside it do not
            log_error(logger, "fallback not decided yet", error, envelope=look.look)
            return False
        return True

    @staticmethod
    def _sort(said: Sequence[Receipt | Alert], fresh: _Look, result: Received) -> None:
        for each in said:
            if isinstance(each, Alert):
                result.alerts.append(each)
            else:
                fresh.receipts.append(each)

    @staticmethod
    def _read(arrived: Arrived) -> Sequence[Receipt | Alert]:
        try:
            return read_receipts(arrived)
        except UnreadableError:
            raise
        except Exception as error:  # vendors send what they like: one such message must not stop the others
            log_error(logger, "receipt cannot be read", error, provider=arrived.provider)
            raise UnreadableError("body") from None

    def _take(self, looks: Sequence[_Look], now: int, result: Received) -> None:
        matches: list[Matched] = []
        left: list[Receipt] = []
        for thorough in (False, True):
            some = [receipt for look in looks if (look.tries >= HASTY) is thorough for receipt in look.receipts]
            if some:
                found, others = self._matcher.match(some, thorough=thorough)
                matches += found
                left += others
        beside, again = self._falling.everybody(matches)
        matches += beside
        left += again
        self._listing.add(matches, now)
        left += self._falling.take(matches)
        self._cards.ask(matches)
        # Before it is told: who is told of already has been asked for.
        self._converting.ask(matches)
        self._tell(matches, now, result)
        unknown = set(map(id, left))
        for look in looks:
            waiting = [receipt for receipt in look.receipts if id(receipt) in unknown]
            if now - look.since < KEPT_MS:
                self._queue.wait(Waiting(since=look.since, tries=look.tries + 1, waiting=waiting), _wait_s(look.tries))
            else:
                result.unmatched.update(receipt.provider for receipt in waiting)

    def _tell(self, matches: Sequence[Matched], now: int, result: Received) -> None:
        if matches:
            self._stream.put(records_of(matches, now))
            result.told.update((match.receipt.provider, match.receipt.stage.value) for match in matches)


def _wait_s(tries: int) -> int:
    return WAITS_S[min(tries, len(WAITS_S) - 1)]
