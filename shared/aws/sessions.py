"""Imports botocore's sessions without what writes the documentation of clients, a tenth of what botocore imports."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_DOCS = "botocore.docs"
_WRITERS = f"{_DOCS}.docstring"
"""Where botocore's clients, waiters and paginators have their docstrings from, which are written when they are read."""


def new_session() -> Any:
    """A session of botocore; its clients' methods have no docstrings if nothing has imported botocore's clients before.

    Who imports `botocore.docs` later gets all of it.
    """
    with _without_docs():
        from botocore.session import Session
    return Session()


class _NoWriters(ModuleType):
    """Has a writer of every name: a version of botocore may ask for others than today's."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _no_docstring


def _no_docstring(*_: object, **__: object) -> None:
    """The docstring that is not written."""


@contextmanager
def _without_docs() -> Iterator[None]:
    """Nothing below `botocore.docs` is imported but what is asked for by its name, and that is forgotten afterwards."""
    spec = None if _DOCS in sys.modules else find_spec(_DOCS)
    if spec is None:
        yield
        return
    # The package is found, but not run: it would import all that is in it.
    sys.modules[_DOCS] = module_from_spec(spec)
    sys.modules[_WRITERS] = _NoWriters(_WRITERS)
    try:
        yield
    finally:
        for name in [each for each in sys.modules if each == _DOCS or each.startswith(f"{_DOCS}.")]:
            del sys.modules[name]
