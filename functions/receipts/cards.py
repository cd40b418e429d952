"""Has cards of WeCom apps show who pressed them, where their template wants it.

That is asked for on the queue of receipts, by a message of its own for each press: it is tried anew without the press.
Whatever becomes of it changes no message.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from functions.receipts.matching import Matched
from shared.base.logs import log_error
from shared.model.accounts import Account
from shared.model.content import TAKEN_MEMBER, TAKEN_TIME, WecomTemplateCard
from shared.model.outcome import AccountDown, Changed, Rejected, Unknown
from shared.model.reasons import Reason
from shared.model.receipts import CardChange
from shared.model.templates import TemplateVersion
from shared.model.tenants import Tenant

logger = Logger(child=True)

WAITS_S = (5, 60, 300, 900)
"""The waits between two tries. People look at a card for some minutes; WeCom takes the code for 72 hours."""


class Configured(Protocol):
    """Where it is read what people have configured."""

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None: ...


class Accounts(Protocol):
    """The accounts, and what connects by them."""

    def find(self, tenant: str, account_id: str) -> Account | None: ...

    def provider(self, account: Account) -> Any: ...


class Queue(Protocol):
    """Where changes are asked for."""

    def change(self, change: CardChange, delay_s: int = 0) -> None: ...


class Cards(Struct, frozen=True):
    """Changes cards."""

    configured: Configured
    accounts: Accounts
    queue: Queue

    def ask(self, matches: Sequence[Matched]) -> None:
        """Ask for the changes of cards that were pressed. Raises: NotQueuedError."""
        for match in matches:
            receipt, event = match.receipt, match.event
            if receipt.response_code is not None and event.account is not None:
                change = CardChange(
                    card=receipt.response_code,
                    tenant=match.tenant,
                    account=event.account,
                    template=event.template,
                    version=event.version,
                    member=receipt.by or "",
                    at=receipt.at,
                )
                self.queue.change(change)

    def change(self, change: CardChange) -> bool:
        """Try to change a card; False once it is given up. Raises: NotQueuedError; what the tables raise."""
        text = self._text(change)
        if text is None:
            return True
        outcome = self._ask(change, text)
        if isinstance(outcome, Changed):
            return True
        logger.warning("card not changed", account=change.account, reason=outcome.reason, code=outcome.raw_code)
        if isinstance(outcome, Rejected) or change.tries >= len(WAITS_S):
            return False
        self.queue.change(replace(change, tries=change.tries + 1), WAITS_S[change.tries])
        return True

    def _text(self, change: CardChange) -> str | None:
        """What the card is to show; None if its template does not say so, or is gone."""
        version = self.configured.version(change.tenant, change.template, change.version)
        tenant = self.configured.tenant(change.tenant)
        if version is None or tenant is None or not isinstance(version.content, WecomTemplateCard):
            return None
        time = datetime.fromtimestamp(change.at / 1000, ZoneInfo(tenant.time_zone)).strftime("%H:%M")
        taken = version.content.taken
        return None if taken is None else taken.replace(TAKEN_MEMBER, change.member).replace(TAKEN_TIME, time)

    def _ask(self, change: CardChange, text: str) -> Any:
        account = self.accounts.find(change.tenant, change.account)
        if account is None:
            return AccountDown(Reason.NO_ACCOUNT, "")
        try:
            return self.accounts.provider(account).change_card(change.card, text)
        except Exception as error:  # of any kind: a broken account must not hold up receipts
            log_error(logger, "account cannot be asked", error, account=change.account)
            return Unknown(Reason.PROVIDER_ERROR, type(error).__name__)
