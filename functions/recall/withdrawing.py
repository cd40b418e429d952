"""Has providers take back messages that were sent, where they can."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from functions.recall.stopping import End
from shared.base.logs import log_error
from shared.dispatch.accounts import Accounts
from shared.model.clock import Clock
from shared.model.events import EventRow, Facts
from shared.model.outcome import AccountDown, Unknown, Withdrawal
from shared.model.reasons import Reason
from shared.model.words import Channel, Stage
from shared.policy.simulation import PROVIDER as SIMULATED

logger = Logger(child=True)

RECALLING_CHANNELS = frozenset({Channel.WECOM})
"""Those of whose providers one takes messages back: the function carries no others."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Nobody was asked: one id of the provider's stands for `others` more messages that are not being recalled."""

    others: int


@dataclass(frozen=True, slots=True)
class Unasked:
    """Nobody was asked: the time was over."""


Found = Withdrawal | Shared | Unasked


def can_be_withdrawn(channel: str, event: Facts) -> bool:
    """Whether there may be a provider that takes back what an event or row of the stage `sent` tells of."""
    return event.stage == Stage.SENT and channel in RECALLING_CHANNELS and event.provider != SIMULATED


class Withdrawer:
    """Asks providers to take messages back. pool: for their calls."""

    def __init__(self, accounts: Accounts, clock: Clock, pool: Executor) -> None:
        self._accounts = accounts
        self._clock = clock
        self._pool = pool

    def withdraw(self, ends: Mapping[str, End], recalled: Collection[str], until: int) -> dict[str, Found]:
        """What came of it for those of some messages that were sent, if their provider takes messages back, by id.

        recalled: all messages that are being recalled; one that went out in one piece with others is taken back with
        them or not at all. until: when to stop asking, in milliseconds since the epoch.
        """
        together: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for message_id, end in ends.items():
            if can_be_withdrawn(end.leg.root.known.channel, end.row):
                together[end.leg.root.tenant, (end.row.account or ""), (end.row.provider_id or "")].append(message_id)

        def one(key: tuple[str, str, str]) -> Found | None:
            others = {id for message_id in together[key] for id in _beside(ends[message_id])}.difference(recalled)
            if others:
                return Shared(len(others))
            return self._ask(*key) if self._clock.now_ms() < until else Unasked()

        results = zip(together, self._pool.map(one, together), strict=True)
        return {id: found for key, found in results if found is not None for id in together[key]}

    def _ask(self, tenant: str, account_id: str, provider_message_id: str) -> Withdrawal | None:
        account = self._accounts.find(tenant, account_id)
        if account is None:
            return AccountDown(Reason.NO_ACCOUNT, "")
        try:
            provider = self._accounts.provider(account)
            return provider.recall(provider_message_id) if provider.recalls else None
        except Exception as error:  # a broken account must not keep the answer about the others back
            log_error(logger, "account cannot be asked", error, account=account_id)
            return Unknown(Reason.PROVIDER_ERROR, type(error).__name__)


def withdrawn_row(end: End, at: int, by: str) -> EventRow:
    """The event of a message that was taken back. by: the id of the key that asked for it."""
    sent = end.row
    row = EventRow(index=sent.index, tag=sent.tag, stage=Stage.WITHDRAWN.value, nth=sent.nth, at=at, note=by)
    row.account, row.provider, row.provider_id = sent.account, sent.provider, sent.provider_id
    return row


def _beside(end: End) -> Sequence[str]:
    """The messages that went out in one piece with one, and it itself."""
    id, account = end.row.provider_id, end.row.account
    return [end.leg.root.message_id(r.index) for r in end.beside if r.provider_id == id and r.account == account]
