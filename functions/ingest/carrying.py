"""What a request's message carries beside what its caller gave: a verification, whose code is in no envelope."""

from abc import ABC, abstractmethod

from pydantic import BaseModel

from shared.model.verifications import Proof


class Carrying(ABC):
    """Something that is kept before the message that carries it is queued."""

    supplied: frozenset[str]
    """The variables that the platform fills in, so that callers give none of them."""
    needed: frozenset[str]
    """Those of them that every template of the request must show."""
    meaning: BaseModel
    """What the caller asked for: a repeat asks for the same."""

    @abstractmethod
    def keep(self, base: str, version: int) -> Proof:
        """Keep what the message of a base carries, once: who comes again with the same base gets the same.

        version: of the template. Raises: PlatformError.
        """
