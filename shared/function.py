"""What a function says of itself: `functions/<folder>/function.py` holds `FUNCTIONS`, one `FunctionSpec` for each.

Data alone: the stack, the packages and the tests are computed from it. Nothing here makes a client or knows the CDK.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from shared.base.rights import Right
from shared.base.settings import Settings
from shared.model.words import Channel, MessageClass

CORE_PACKAGES = ("aws-lambda-powertools", "boto3", "msgspec", "pydantic")
ADDRESS_PACKAGES = ("email-validator", "phonenumbers")
RENDERING_PACKAGES = ("jinja2",)
SEALING_PACKAGES = ("cryptography",)
"""Of functions that keep addresses or show them."""
DNS_PACKAGES = ("dnspython",)
"""Of functions that look domains up."""
ZONE_PACKAGES = ("tzdata",)
"""Of functions that look at recipients' clocks, or read settings, which may name a time zone: the runtime has none of
its own."""

API_TIMEOUT_S = 29
"""One second less than the most that an HTTP API waits for an integration."""


class QueueTrigger(Struct, frozen=True):
    """A queue hands its messages over, each of which is answered for by itself."""

    queue: str
    """Its name as in `shared.base.rights.Right`."""
    batch_size: int
    concurrency: int | MessageClass
    """The most invocations, or the class whose cap the stage sets."""
    window_s: int | None = None
    """How long a batch is gathered."""
    label: str = ""
    """Begins the logical id, where a function has several."""


class StreamTrigger(Struct, frozen=True):
    """The stream hands its records over, shard by shard, from the oldest on."""

    batch_size: int
    retries: int
    """How often a batch is tried again; -1 for no bound but its age."""
    record_age_s: int
    """When a record is given up, however few tries it had."""
    dead: str
    """The queue that is told what was given up, see `shared.base.rights.Right`."""
    window_s: int = 1
    """How long a batch is gathered."""


class Every(Struct, frozen=True):
    """A schedule of its own."""

    minutes: int


class BusTrigger(Struct, frozen=True):
    """Events that ask for messages. Lambda itself tells the bus's dead-letter queue, in the function's name."""


class ApiTrigger(Struct, frozen=True):
    """The operations in `shared/api` that name this function."""


class OpenRoutes(Struct, frozen=True):
    """Routes of the API that anybody may call without a key."""

    routes: tuple[str, ...]
    """API Gateway's keys, such as `GET /pages/{id}`."""
    reason: str
    """Why no key is asked for."""
    many: bool = False
    """Whether as many calls come as the API takes for sending; else the throttle of open pages counts. Each route has a
    throttle to itself."""


class AuthorizerTrigger(Struct, frozen=True):
    """Asked before every operation that needs a key."""


Trigger = QueueTrigger | StreamTrigger | Every | BusTrigger | ApiTrigger | OpenRoutes | AuthorizerTrigger


class Alarm(Struct, frozen=True):
    """An alarm on a metric that only this function has; failures and throttles are watched for all."""

    name: str
    """In AWS it stands behind the stage's prefix."""
    description: str
    metric: str
    runbook: str
    """The page of `docs/runbooks` that says what to do, without `.md`."""
    of: Literal["function", "lambda"] = "function"
    """Who counts: the function itself, or Lambda."""
    statistic: Literal["Sum", "Maximum"] = "Sum"
    minutes: int = 1
    """Of a period."""
    above: float = 0
    below: float | None = None
    """Instead of `above`, for what has to happen all the time: without data it does not."""
    periods: int = 1
    """In a row."""


class FunctionSpec(Struct, frozen=True):
    """A function. It sees the addresses of those queues that its rights name."""

    name: str
    """Its logical name; in AWS it stands behind the stage's prefix."""
    handler: str
    description: str
    settings: type[Settings] | None = None
    """Its whole environment, if it reads any."""
    memory_mb: int = 1024
    timeout_s: int = API_TIMEOUT_S
    channels: tuple[Channel, ...] = ()
    """Whose providers it carries."""
    receipts: bool = False
    """Whether it carries what reads receipts and answers callbacks, of all vendors."""
    packages: tuple[str, ...] = CORE_PACKAGES
    """The distributions that it needs, without what those need, and without those of its providers."""
    rights: tuple[Right, ...] = ()
    """Without the right to write its own log, which all have."""
    triggers: tuple[Trigger, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    recursive: bool = False
    """Whether envelopes or tasks come back to it by design."""
    snapshot: bool = False
    """Whether somebody waits for it to start: in stages that keep snapshots its processes go on from one (ADR 30)."""
    pages: bool = False
    """Whether the API's description goes into its package."""
    archive: bool = False
    """Whether it is there only in stages that keep an archive."""
    outward: bool = False
    """Whether it connects to servers of others without carrying a channel's providers."""

    @property
    def connects(self) -> bool:
        """Whether it connects to servers of others: in stages with a network it does so from there."""
        return self.outward or bool(self.channels)

    @property
    def folder(self) -> str:
        """Such as `trace` for the handler `functions.trace.api.lambda_handler`."""
        return self.handler.split(".")[1]

    @property
    def module(self) -> str:
        """The module that holds the handler."""
        return self.handler.rpartition(".")[0]

    @property
    def construct_id(self) -> str:
        """Such as `DispatchEmail`; what the function's logical ids begin with."""
        return self.name.title().replace("_", "")

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields of its environment, in lower case."""
        return tuple(self.settings.model_fields) if self.settings else ()

    @property
    def distributions(self) -> tuple[str, ...]:
        """All that its package is made from, its providers' among them."""
        # A function reads its settings from here as it starts, and has no use for what vendors declare.
        from shared.providers.table import providers_of

        theirs = (package for provider in providers_of(*self.channels) for package in provider.packages)
        return tuple(dict.fromkeys((*self.packages, *theirs)))


Functions = Mapping[str, FunctionSpec]
"""By logical name."""
