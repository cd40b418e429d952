"""The dispatcher and its parts."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from shared.acceptance.addresses import Seals
from shared.dispatch.accounts import Accounts
from shared.dispatch.attachments import Files
from shared.dispatch.decide.planning import Planner
from shared.dispatch.decide.step import Sources
from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.outlet import Outlet
from shared.dispatch.rates import Rates as Pace
from shared.dispatch.routing import Routing
from shared.dispatch.runs import Runs
from shared.dispatch.sending import Sender
from shared.dispatch.waves import Waves
from shared.model.words import Channel
from shared.providers.base import MAX_CALLS
from shared.wiring.accounts import AccountParts
from shared.wiring.parts import Parts

if TYPE_CHECKING:
    from shared.store.campaigns import Control

ENVELOPE_THREADS = 10
"""As many as a batch has envelopes, so that no code waits for another's provider."""


class _Controls(Struct, frozen=True):
    """Runs' states from the store of campaigns, which is made with the first envelope of a run: many a process has
    none, and all that there is to say of campaigns takes a twentieth of a second to import."""

    parts: Parts

    def control(self, tenant: str, run: str, fresh: bool = False) -> "Control | None":
        return self.parts.campaigns.control(tenant, run, fresh)


class DispatchParts(AccountParts):
    """The parts of a function that sends; the three differ by channel alone."""

    @cached_property
    def files(self) -> Files:
        return Files(self.attachments.read)

    @cached_property
    def runs(self) -> Runs:
        return Runs(_Controls(self), self.parking, self.clock)

    @cached_property
    def pace(self) -> Pace:
        return Pace(self.rates, self.clock)

    @cached_property
    def sender(self) -> Sender:
        return Sender(self.clock, ThreadPoolExecutor(MAX_CALLS, "call"))

    @cached_property
    def sleep(self) -> Callable[[float], None]:
        return time.sleep

    @cached_property
    def envelopes(self) -> Executor:
        return ThreadPoolExecutor(ENVELOPE_THREADS, "envelope")

    @cached_property
    def accounts(self) -> Accounts:
        network, deployment = self.settings.network, self.settings.schedule_group
        return Accounts(self.catalog, self.secrets, self.tokens, self.clock, network, deployment)

    @cached_property
    def public_url(self) -> str:
        return self.settings.public_url

    @cached_property
    def outlet(self) -> Outlet:
        return Outlet(self.queues, self.ledger, self.releases, self.clock)

    def dispatcher(self, channel: Channel) -> Dispatcher:
        """What sends a channel's envelopes; makes no connection."""
        files = self.files if channel is Channel.EMAIL else None  # no other channel's messages carry any
        routing = Routing(self.accounts, self.health, self.clock)
        sources = Sources(
            self.catalog,
            self.runs,
            self.accounts,
            self.suppressions,
            self.duplicates,
            self.caps,
            routing,
            self.clock,
            files,
            self.public_url,
        )
        waves = Waves(Planner(sources, self.releases), self.pace, self.sender, self.ledger, self.clock, self.sleep)
        outward, seals = (self.outlet, self.dead_letters, self.stream), Seals(self.catalog)
        return Dispatcher(channel, waves, self.runs, *outward, self.envelopes, seals, self.keeping, self.veils)
