"""What ends a run as a whole."""

from shared.errors import InvalidError


class RunFailedError(InvalidError):
    """A run cannot go on. problem: why, in plain words, and what to do about it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
