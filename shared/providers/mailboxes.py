"""Mailboxes from which receipts are read: what a vendor's module `mailbox` does for an account."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from msgspec import Struct, field

from shared.model.accounts import Account
from shared.model.inboxes import InboxProblem, Place, UnreadMail
from shared.model.receipts import Arrived
from shared.net.network import Network
from shared.providers.table import PROVIDERS


class Found(Struct):
    """What a look into a mailbox found."""

    place: Place
    """How far it has been read now."""
    receipts: list[Arrived] = field(default_factory=list)
    """What goes on the queue, before the place is stored."""
    counts: Counter[str] = field(default_factory=Counter)
    unread: list[UnreadMail] = field(default_factory=list)
    """In the order that they came in."""
    problem: InboxProblem | None = None
    """Why it broke off."""


class MailboxModule(Protocol):
    """The names that a vendor's module `mailbox` must define."""

    def where(self, settings: Mapping[str, Any]) -> str | None:
        """Stands for the mailbox that an account's settings name; None if they name none."""
        ...

    def look(
        self, account: Account, secret: Mapping[str, Any], place: Place, network: Network, now: int, seconds: float
    ) -> Found:
        """Read what is new. now: in milliseconds since the epoch. seconds: how long it may take.

        Never raises for what a server or a mail may do.
        """
        ...


def mailbox_of(account: Account) -> tuple[MailboxModule, str] | None:
    """What reads the mailbox of an account, and what stands for that; None if it has none."""
    spec = PROVIDERS.get(account.provider)
    if spec is None or not spec.mailbox:
        return None
    module = _module(f"shared.providers.{spec.channel}.{spec.name}.mailbox")
    where = module.where(account.settings)
    return None if where is None else (module, where)


@cache
def _module(name: str) -> MailboxModule:
    return cast(MailboxModule, import_module(name))
