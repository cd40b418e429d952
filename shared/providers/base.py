"""The contract between the dispatcher and a provider.

A provider module defines `Settings` (a `ProviderSettings` with `provider: Literal["<name>"]`), `Secret` (a
`ProviderSecret`, or `NoSecret`), and `build(settings, secret, tools)`, which returns a `Provider` without any I/O:
connections are made on first use. Its raw codes are mapped to outcomes in one table.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from msgspec import Struct

from shared.model.accounts import Rate
from shared.model.clock import Clock
from shared.model.content import Rendered
from shared.model.outcome import Change, Outcome, Rejected, Report, Unknown, Withdrawal
from shared.model.reasons import Reason
from shared.net.network import PUBLIC, Network
from shared.policy.rates import Lane

if TYPE_CHECKING:
    from shared.policy.landing.findings import Sender

MAX_CALLS = 32
"""Calls of providers that one function makes side by side, for all its envelopes: as many connections are kept."""


class Outgoing(Struct, frozen=True):
    """One message ready to leave: its id, its normalised address and its rendered content."""

    message_id: str
    to: str
    content: Rendered
    origin: str = ""
    """For providers that give it back in their receipts (`shared/model/origin.py`)."""
    checked: bool = False
    """It carries a verification, so it will be known whether its recipient got it."""


class Verification(Struct, frozen=True):
    """What trying an account showed."""

    ok: bool
    """Whether the account can send."""
    summary: str
    """One sentence in plain words."""
    action: str = ""
    """What to do when it cannot."""
    raw_code: str = ""
    """The provider's own code, if it gave one."""
    rate: Rate | None = None
    """How fast the provider says that the account may send."""


class PullError(Exception):
    """A provider told nothing when it was asked for receipts; `code` is its own, or what became of the call."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ListError(Exception):
    """A provider's own suppression list cannot be read or changed now; `code` is the provider's, or what became of the
    call."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ListedAddress(Struct, frozen=True):
    """An address on a provider's own suppression list."""

    address: str
    """In the letter case in which the provider has it."""
    reason: str
    """The provider's word, such as `bounce`."""
    at: int
    """Since when, in milliseconds since the epoch."""


class ListedPage(Struct, frozen=True):
    """Some of a provider's own suppression list, and where it goes on; None at its end."""

    addresses: tuple[ListedAddress, ...]
    cursor: str | None


class Token(Struct, frozen=True):
    """An access token and the time it stops working, in milliseconds since the epoch."""

    value: str
    expires_at: int


class TokenCache(Protocol):
    """Access tokens shared by all functions; one refresher at a time per key."""

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        """Return the token under `key`, fetching it when there is none, it is about to expire, or it is `rejected`.

        A token newer than `rejected` is returned without a fetch, so two refreshers never evict each other.
        Raises: what `fetch` raises.
        """
        ...


class Tools(Struct, frozen=True):
    """What a provider may need from its surroundings."""

    clock: Clock
    tokens: TokenCache
    account_key: str
    """Names the account across tenants, for token caches: `<tenant>/<account>`."""
    network: Network = PUBLIC
    """What may be connected to; a provider connects by `shared.net` alone."""
    deployment: str = ""
    """Whose receipts are to come back, where several deployments share an account of AWS."""

    @property
    def tenant(self) -> str:
        """Whose account it is: receipts that name a message by our id name the tenant, too."""
        return self.account_key.partition("/")[0]

    @property
    def account(self) -> str:
        """The account's id."""
        return self.account_key.partition("/")[2]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The least wait in seconds that an HTTP answer asks for, at most a day; None if it names none (or a date).

    headers: with lower-case names.
    """
    text = headers.get("retry-after", "")
    return float(min(int(text), 86_400)) if re.fullmatch(r"[0-9]{1,9}", text) else None


class Provider(ABC):
    """A reachable provider account. Instances are shared by threads and live across invocations."""

    threads: ClassVar[int] = 8
    """How many `send` calls may run at the same time on one instance."""
    worst_case_seconds: ClassVar[float] = 15.0
    """The longest one `send` or `look_up` may take before it gives up by its own time-outs."""
    looks_up: ClassVar[bool] = False
    """Whether `look_up` can tell what became of a message whose outcome is unknown."""
    indexed: ClassVar[bool] = False
    """Whether its receipts name a message by the provider's id alone, so that the trace keeps these ids."""
    recalls: ClassVar[bool] = False
    """Whether `recall` can take back a message that was sent."""
    counts_calls: ClassVar[bool] = False
    """Whether the vendor counts calls against the account's rate, not messages."""
    recipient_lane: ClassVar[Lane | None] = None
    """How fast it lets messages through to the same recipient, of those that `limits` names."""

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Split messages into groups that one call can carry; here: one message per call."""
        return [[message] for message in messages]

    @abstractmethod
    def send(self, group: Sequence[Outgoing]) -> Sequence[Outcome | None]:
        """Try each message of a group at most once and return one outcome per message, in order.

        None: it was not begun, for want of time, and is as if it had never been handed over. Never raises for what a
        provider or a network may do: that is an outcome. Never retries by itself.
        """

    def look_up(self, messages: Sequence[Outgoing], began: int, ended: int) -> list[Outcome]:
        """Ask what became of messages that may have been sent; one outcome per message, in order.

        began, ended: the time within which they were tried, in milliseconds since the epoch.

        Sent: it was. Rejected: it was refused. Retry: it certainly was not sent. Unknown: nothing is known of it (yet).
        """
        return [Unknown(Reason.UNRESOLVED, "") for _ in messages]

    def recall(self, provider_message_id: str) -> Withdrawal:
        """Take back what was sent under an id of the provider's, from all who got it.

        Withdrawn: it did, now or before. Rejected: it does not. Retry, AccountDown: not now. Unknown: no answer came.
        Never raises for what a provider or a network may do; doing it again does no harm.
        """
        return Rejected(Reason.RECALL_REFUSED, "")

    def change_card(self, response_code: str, text: str) -> Change:
        """Have a card show a text instead of what could be pressed on it, for all who have it.

        response_code: as the provider gave it when somebody pressed. Answers and errors as of `recall`, but that doing
        it again may be refused.
        """
        return Rejected(Reason.CONTENT_INVALID, "no_cards")

    def report_conversion(self, provider_message_id: str, at: int) -> Report:
        """Tell the provider that the code of a message was given back. at: when, in milliseconds since the epoch.

        Reported: it knows, now or before. Rejected: it does not want to know. Retry, AccountDown: not now. Unknown: no
        answer came. Never raises for what a provider or a network may do; doing it again does no harm.
        """
        return Rejected(Reason.UNRESOLVED, "no_reports")

    def pulled(self) -> Iterator[Sequence[str]]:
        """What it tells of messages when it is asked, call by call, each text for the module `receipts` to read.

        It may tell each thing once, so what a call told is to be kept before the next one is made, by going on.
        Raises: PullError, after all else has been asked for.
        """
        return iter(())

    def listed(self, cursor: str | None) -> ListedPage:
        """A page of the provider's own suppression list, where it has one. Raises: ListError."""
        return ListedPage((), None)

    def release(self, address: str) -> bool:
        """Take an address, as the provider writes it, off its own list; whether it was there. Raises: ListError."""
        return False

    def sender(self) -> "Sender":
        """Who sends mail for the account's domain, as far as the provider tells.

        Raises: whatever asking the provider raises.
        """
        from shared.policy.landing.findings import Sender

        return Sender()

    def limits(self, to: str) -> bool:
        """Whether messages to an address are limited by `recipient_lane`."""
        return True

    @abstractmethod
    def verify(self) -> Verification:
        """Try the account without sending a message to anyone, where the provider lets us."""

    def close(self) -> None:  # noqa: B027 - most providers have nothing to give back
        """Give back connections. The instance may be used again afterwards."""


class ProviderModule(Protocol):
    """The names a provider's module must define."""

    Settings: type[Any]
    Secret: type[Any]

    def build(self, settings: Any, secret: Any, tools: Tools) -> Provider: ...
