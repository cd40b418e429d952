"""What a deployment consists of, as the local stack plays it: the template with everything worked out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REGION = "us-east-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed function. name: its logical name, such as `trace_api`; environment: worked out."""

    name: str
    physical_name: str
    arn: str
    handler: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A REQUEST authorizer with payload 2.0 and simple responses. ttl_s: how long its answer is kept."""

    function: str
    identity_sources: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Route:
    """A route. key: such as `GET /v1/messages/{id}`."""

    key: str
    function: str
    timeout_ms: int
    authorizer: Authorizer | None


@dataclass(frozen=True, slots=True)
class QueueMapping:
    """From a queue to a function. id: its UUID. max_concurrency: None for no cap of its own."""

    id: str
    function: str
    queue_arn: str
    queue_url: str
    batch_size: int
    window_s: int
    partial: bool
    max_concurrency: int | None
    visibility_s: int


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """From a stream to a function. max_retries, max_age_s: -1 for no bound. failure_queue_url: empty for none."""

    function: str
    stream_name: str
    stream_arn: str
    batch_size: int
    window_s: int
    partial: bool
    bisect: bool
    max_retries: int
    max_age_s: int
    failure_queue_url: str


@dataclass(frozen=True, slots=True)
class Invocations:
    """How Lambda deals with asynchronous invocations of a function that fail, where that was set.

    failure_queue_url: empty for none.
    """

    max_retries: int
    max_age_s: int
    failure_queue_url: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Events of a bus that fit a pattern go to functions and queues. functions: their ARNs. queue_urls: of the queues.
    dead_letter_urls: of the queues for what cannot be handed to them."""

    name: str
    bus: str
    pattern: Mapping[str, Any]
    functions: tuple[str, ...]
    queue_urls: tuple[str, ...]
    dead_letter_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a role's policy allows. resources: ARNs, with wildcards; conditions: operator -> key -> value or values."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed.

    queues, tables, streams, buckets: logical id -> URL or name. schedules: as the scheduler's API takes them, still to
    be made. buses: their names. invocations: by the function's ARN. permissions: what the roles of functions allow, by
    the functions' logical names; a function whose role has no policy here is not among them. delivery_streams: names of
    those of Firehose. alarms: the properties of CloudWatch's. outputs: the stack's.
    """

    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    queue_mappings: tuple[QueueMapping, ...]
    stream_mappings: tuple[StreamMapping, ...]
    queues: Mapping[str, str]
    tables: Mapping[str, str]
    streams: Mapping[str, str]
    buckets: Mapping[str, str]
    schedule_groups: tuple[str, ...]
    schedules: tuple[Mapping[str, Any], ...] = ()
    buses: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    invocations: Mapping[str, Invocations] = field(default_factory=dict)
    permissions: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    delivery_streams: tuple[str, ...] = ()
    alarms: tuple[Mapping[str, Any], ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
