"""Which variables a template takes, checked for each recipient before anything is accepted."""

from collections.abc import Mapping
from typing import Any


class VariableRules:
    """The check for one request: the template's placeholders less what the request shares.

    required, optional: the template's placeholders. shared: the request's common variables.
    """

    def __init__(self, required: list[str], optional: list[str], shared: Mapping[str, Any]) -> None:
        self._allowed = {*required, *optional}
        self._needed = {name for name in required if shared.get(name) is None}

    def fits(self, own: Mapping[str, Any]) -> bool:
        """Whether a recipient's own variables are complete and none is superfluous. The common case, quickly."""
        keys = own.keys()
        return self._needed <= keys <= self._allowed and None not in own.values()

    def problems(self, own: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(variable, what is wrong) for a recipient that does not fit."""
        found = [(name, "is missing") for name in sorted(self._needed - own.keys())]
        found += [(name, "is empty (null)") for name in sorted(own) if own[name] is None]
        found += [(name, "is not used by the template") for name in sorted(own.keys() - self._allowed)]
        return found

    def superfluous(self, shared: Mapping[str, Any]) -> list[str]:
        """Shared variables that the template does not use."""
        return sorted(shared.keys() - self._allowed)
