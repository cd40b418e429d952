"""What a vendor's folder says of itself: enough to configure, allow and price it, and to judge content for it.

It loads no provider: every function carries it, those that send nothing too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from shared.base.rights import Outside, Right
from shared.model.accounts import Account, Rate, UnitFee
from shared.model.words import Channel, MessageClass
from shared.policy.fees import parts_of
from shared.policy.limits import Issue

DEPLOYMENT = "<deployment>"
"""Stands in patterns of events for the name of the deployment whose messages they are about."""
NO_FEE = UnitFee(amount=0, currency="USD")


def _anything(_content: Any) -> str | None:
    return None


def _no_reports(_settings: Mapping[str, Any]) -> bool:
    return False


def plain_parts(text: str, _account: Account, _to: str) -> int:
    """The parts of a text where a vendor counts as all do."""
    return parts_of(text)


class ProviderSpec(Struct, frozen=True):
    """A provider. Its folder is `shared/providers/<channel>/<name>/`."""

    name: str
    channel: Channel
    check: Callable[[Any, MessageClass], list[Issue]]
    """Names every limit that a rendered content of the channel breaks; empty when it may be sent."""
    usable: Callable[[Any], str | None] = _anything
    """Says why a content of the channel can never be sent this way, or None when it can."""
    packages: tuple[str, ...] = ()
    """The distributions that a function must carry which sends through it, besides what all carry."""
    rate: Rate | None = None
    """Of accounts that set none."""
    fee: UnitFee | None = None
    """Of accounts that set none; None where the price depends on the contract or the country."""
    parts: Callable[[str, Account, str], int] = plain_parts
    """Into how many parts, each of which is charged, a text is divided that an account sends to an address."""
    receipts: bool = False
    """Whether it says later what became of a message; the folder then has a module `receipts` which reads that."""
    events: Mapping[str, Any] | None = None
    """The pattern of the events by which AWS itself says so on EventBridge; `DEPLOYMENT` stands for the deployment."""
    callback: bool = False
    """Whether it says so by requests of its own, to the account's callback URL; the folder then has a module `callback`
    which answers them."""
    callback_needs_secret: bool = False
    """Whether the account's secret is needed for the answer."""
    callback_packages: tuple[str, ...] = ()
    """The distributions that are needed for it, besides what all functions carry."""
    pull_setting: str | None = None
    """The setting of an account by which it is asked regularly for receipts that no callback brought, by
    `Provider.pulled`; None for vendors that cannot be asked."""
    pulls: tuple[Right, ...] = ()
    """Of the function that asks it."""
    reports_conversion: Callable[[Mapping[str, Any]], bool] = _no_reports
    """Whether an account with such settings is told of codes that were given back (`Provider.report_conversion`)."""
    reports: tuple[Right, ...] = ()
    """Of the function that tells it."""
    topic_fields: frozenset[str] = frozenset()
    """Of what it says by a topic of SNS: one of these fields is in all of it, and in nothing that others say."""
    topic_from: Outside | None = None
    """What of AWS publishes to the topic that the stack makes for it, where the stage wants one."""
    code_digits: int | None = None
    """The most digits of a code in its templates of codes; None where any number will do."""
    sent_is_final: bool = False
    """Whether nothing ever tells that a message arrived: that it was sent is the last that is known of it."""
    failures_alone: bool = False
    """Whether only those messages are reported that do not arrive."""
    lists: bool = False
    """Whether it keeps a suppression list of its own that can be read and changed."""
    mailbox: bool = False
    """Whether its accounts may name a mailbox that receipts come to; the folder then has a module `mailbox`."""
    rights: tuple[Right, ...] = ()
    """Of the function that sends, at a vendor that is reached with the function's own role."""
    checks: tuple[Right, ...] = ()
    """Of the function that tries an account, and looks at the provider's own suppression list."""

    @property
    def module(self) -> str:
        """The module that sends."""
        return f"shared.providers.{self.channel}.{self.name}.provider"
