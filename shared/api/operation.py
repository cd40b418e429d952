"""What an operation of the API is: its route, who serves it, who may call it, what it reads and answers."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from shared.model.words import Scope
from shared.policy.access import ACCESS, Access

ApiFunction = Literal[
    "ingest", "manage", "trace_api", "recall", "dead_letters_api", "watch_api", "campaign_api", "describe"
]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

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
    response: type[BaseModel] | None
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    success: int = 200
    """The status of a good answer."""
    errors: tuple[int, ...] = ()
    """The error statuses it may answer besides 401, 403, 500 and 503."""

    def __post_init__(self) -> None:
        """Raises: KeyError for an operation of which nobody has said which keys may do what by it."""
        if self.id not in ACCESS:
            raise KeyError(f"give the operation {self.id} a row in shared/policy/access.py")

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


BODY_ERRORS = (400, 413, 415, 422)
"""The error statuses that a body may cause."""
