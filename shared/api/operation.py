"""What an operation of the API is: its route, who serves it, who may call it, what it reads and answers."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from shared.model.words import Scope
from shared.policy.access import ACCESS, Access

if TYPE_CHECKING:
    from pydantic import BaseModel

ApiFunction = Literal[
    "ingest",
    "manage",
    "trace_api",
    "verify",
    "recall",
    "dead_letters_api",
    "watch_api",
    "campaign_api",
    "webhooks_api",
    "erasures_api",
    "describe",
]


class Operation(Struct, frozen=True):
    """One operation.

    Models are told by module and name, such as `messages.SendRequest`, and loaded by who uses them: a function starts
    with those of its own operations alone.
    """

    id: str
    """In snake case, unique; handlers are found by it, and its row in `shared.policy.access`."""
    method: str
    path: str
    """API Gateway's syntax, `{name}` for a parameter."""
    function: ApiFunction
    """Which Lambda function serves it."""
    scope: Scope | None
    """What the key must hold; None for an open page."""
    summary: str
    answers: str | None
    """What a good answer is made of; None without a body of JSON."""
    reads: str | None = None
    """What the body is read as."""
    asks: str | None = None
    """What the query is read as."""
    success: int = 200
    """The status of a good answer."""
    errors: tuple[int, ...] = ()
    """The error statuses it may answer besides 401, 403, 500 and 503."""

    def __post_init__(self) -> None:
        """Raises: KeyError for an operation of which nobody has said which keys may do what by it."""
        if self.id not in ACCESS:
            raise KeyError(f"give the operation {self.id} a row in shared/policy/access.py")

    @property
    def response(self) -> "type[BaseModel] | None":
        """The model of a good answer."""
        return _model(self.answers)

    @property
    def request(self) -> "type[BaseModel] | None":
        """The model of the body."""
        return _model(self.reads)

    @property
    def query(self) -> "type[BaseModel] | None":
        """The model of the query."""
        return _model(self.asks)

    def load(self) -> None:
        """Load its models now, and not with the first call."""
        for name in (self.answers, self.reads, self.asks):
            _model(name)

    @property
    def access(self) -> Access:
        """Which objects keys of each kind reach by it."""
        return ACCESS[self.id]

    @property
    def route_key(self) -> str:
        """API Gateway's name of the route, such as `POST /v1/messages`."""
        return f"{self.method} {self.path}"

    @property
    def route_keys(self) -> tuple[str, ...]:
        """All its routes: an open page answers HEAD, too."""
        return (self.route_key, f"HEAD {self.path}") if self.scope is None else (self.route_key,)


@cache
def _model(name: str | None) -> "type[BaseModel] | None":
    """A model of this package by module and name. Raises: ImportError or AttributeError if there is none."""
    if name is None:
        return None
    module, _, own = name.partition(".")
    found: type[BaseModel] = getattr(import_module(f"shared.api.{module}"), own)
    return found


MAX_BODY_BYTES = 5_000_000
BODY_ERRORS = (400, 413, 415, 422)
"""The error statuses that a body may cause."""
