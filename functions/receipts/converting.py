"""Tells providers of codes that were given back: they route by that.

Each is asked for on the queue of receipts, by a message of its own, before the timeline says that the code was given
back: nothing that ends between the two loses it, and who is told twice knows no more than before. Whatever becomes of
it changes no message. That nobody entered a code is reported to nobody: AWS concludes it by itself after an hour.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from msgspec.structs import replace

from functions.receipts.matching import Matched
from shared.base.logs import log_error
from shared.errors import NotQueuedError
from shared.model.accounts import Account, AccountState
from shared.model.outcome import AccountDown, Rejected, Report, Reported
from shared.model.reasons import Reason
from shared.model.receipts import Converted
from shared.model.words import KeyKind, Stage
from shared.providers.table import PROVIDERS

logger = Logger(child=True)

WAITS_S = (5, 60, 300, 900, 900)
"""The waits between two tries; after the last one it goes the way of what fails: back to the queue, and to its
dead-letter queue."""
SPEND_S = 20.0
"""For so long one batch makes calls; a call that is under way takes at most 15 s more, and the function has 60."""


class Configured(Protocol):
    """Where accounts are read; seconds old at most."""

    def account(self, tenant: str, account_id: str) -> Account | None: ...


class Accounts(Protocol):
    """What connects by accounts."""

    def provider(self, account: Account) -> Any: ...


class Queue(Protocol):
    """Where reports wait."""

    def convert(self, converted: Sequence[Converted], delay_s: int = 0) -> None: ...


@dataclass(slots=True)
class Told:
    """What became of a batch of reports."""

    failed: list[str] = field(default_factory=list)
    """The ids of messages that come back."""
    refused: Counter[str] = field(default_factory=Counter)
    """`<tenant>/<account>` -> reports that its provider does not want."""


class Converting:
    """Reports codes that were given back. pool: for several accounts at once; of one account it is one at a time.

    spent: a time in seconds that goes by.
    """

    def __init__(
        self,
        configured: Configured,
        accounts: Accounts,
        queue: Queue,
        pool: Executor | None = None,
        spent: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configured = configured
        self._accounts = accounts
        self._queue = queue
        self._map: Callable[..., Iterable[Any]] = map if pool is None else pool.map
        self._spent = spent

    def ask(self, matches: Sequence[Matched]) -> None:
        """Ask for the reports of codes that were given back, where the account wants it. Raises: NotQueuedError."""
        found = [
            Converted(converted=event.provider_id, tenant=match.tenant, account=event.account, at=match.receipt.at)
            for match in matches
            if match.receipt.stage is Stage.VERIFIED and not match.told
            for event in (match.event,)
            if event.provider_id and event.account and event.kind != KeyKind.TEST
            if self._wanting(match.tenant, event.account) is not None
        ]
        if found:
            self._queue.convert(found)

    def tell(self, converted: Sequence[tuple[str, Converted]]) -> Told:
        """Report to providers. converted: with the ids of their messages."""
        until = self._spent() + SPEND_S
        by_account: dict[tuple[str, str], list[tuple[str, Converted]]] = defaultdict(list)
        for id, each in converted:
            by_account[each.tenant, each.account].append((id, each))
        told = Told()
        for some in self._map(lambda each: self._tell_account(each[0], each[1], until), by_account.items()):
            told.failed += some.failed
            told.refused.update(some.refused)
        return told

    def _wanting(self, tenant: str, account_id: str) -> Account | None:
        """The account, if it is told of codes that were given back."""
        account = self._configured.account(tenant, account_id)
        if account is None or account.state is not AccountState.ACTIVE:
            return None
        spec = PROVIDERS.get(account.provider)
        return account if spec is not None and spec.reports_conversion(account.settings) else None

    def _tell_account(self, of: tuple[str, str], converted: Sequence[tuple[str, Converted]], until: float) -> Told:
        told, account = Told(), self._wanting(*of)
        if account is None:
            return told
        for i, (_, each) in enumerate(converted):
            if self._spent() >= until:
                self._again(converted[i:], told, tried=False)
                break
            outcome = self._report(account, each)
            if isinstance(outcome, Reported):
                continue
            logger.warning("conversion not reported", account=of[1], reason=outcome.reason, code=outcome.raw_code)
            if isinstance(outcome, Rejected):
                told.refused["/".join(of)] += 1
                continue
            # What keeps one from being reported keeps the others of the account, too.
            self._again(converted[i:], told, tried=True)
            break
        return told

    def _report(self, account: Account, each: Converted) -> Report:
        try:
            found: Report = self._accounts.provider(account).report_conversion(each.converted, each.at)
        except Exception as error:  # of any kind: a broken account must not hold up receipts
            log_error(logger, "account cannot be told", error, account=account.id)
            return AccountDown(Reason.ACCOUNT_MISCONFIGURED, type(error).__name__)
        return found

    def _again(self, converted: Sequence[tuple[str, Converted]], told: Told, *, tried: bool) -> None:
        """Have reports wait. tried: it counts as a try."""
        for id, each in converted:
            if tried and each.tries >= len(WAITS_S):
                told.failed.append(id)
                continue
            later = replace(each, tries=each.tries + tried)
            try:
                self._queue.convert([later], WAITS_S[each.tries] if tried else 1)
            except NotQueuedError:
                told.failed.append(id)
