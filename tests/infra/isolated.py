"""Run by `python -I -S`: calls a handler with nothing but what its package holds, and imports all it may import later.

Arguments: the handler, distributions' modules that may be missing (separated by commas), an event as JSON, then the
folders of its package, our code's first. Prints how many modules of ours there are, and how the call ended. Imports
inside functions are followed too, since a linter and a plain import see none of them; those under TYPE_CHECKING are
not, since they never run.
"""

import ast
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HANDLER, MISSING, EVENT, *FOLDERS = sys.argv[1:]
OURS = Path(FOLDERS[0]).resolve()
sys.path[:0] = FOLDERS


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module if not child.level else f"{package}.{child.module}"
        else:
            yield from _imports(child, package)


def _ours(name: str) -> Path | None:
    origin = getattr(sys.modules[name], "__file__", None)
    path = Path(origin).resolve() if origin else None
    return path if path and OURS in path.parents else None


def _providers() -> list[Any]:
    """All that there are, if the package carries any: who carries none may lack what their table needs."""
    if not (OURS / "shared" / "providers" / "base.py").exists():
        return []
    from shared.providers.table import PROVIDERS

    return list(PROVIDERS.values())


class _Context:
    """What a handler knows of its call."""

    function_name = "isolated"
    function_version = "$LATEST"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:isolated"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def _call() -> str:
    """Call the handler; says what it returned or raised. AWS is out of reach, which some calls end by."""
    module, _, name = HANDLER.rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    try:
        returned = handler(json.loads(EVENT), _Context())
    except (ImportError, NameError, AttributeError, TypeError):
        raise
    except Exception as error:  # how the call ends is what is asked
        return type(error).__name__
    return str(returned.get("statusCode", "returned")) if isinstance(returned, dict) else "returned"


def main() -> None:
    ended = _call()
    for spec in _providers():
        if (OURS / Path(*spec.module.split(".")).with_suffix(".py")).exists():
            importlib.import_module(spec.module)
    seen: set[str] = set()
    while left := {name for name in sys.modules if name not in seen and _ours(name)}:
        for name in left:
            seen.add(name)
            path = _ours(name)
            if path:
                for found in _imports(ast.parse(path.read_text()), name.rpartition(".")[0]):
                    if found not in sys.modules and found not in MISSING.split(","):
                        importlib.import_module(found)
    sys.stdout.write(f"\n{len(seen)} {ended}")


main()
