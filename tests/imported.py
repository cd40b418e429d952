"""Run by `python tests/imported.py FUNCTION`: starts a function, and prints as JSON what it imports and for whom.

The handler is imported and its parts are made, with clients that are none: what botocore imports for itself is its own
business. Each module goes with the one whose line had it imported first.
"""

import json
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import FrameType
from typing import Any, NoReturn

BY: dict[str, str] = {}


class Seen(MetaPathFinder):
    """Finds nothing, and notes who asks."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Note the nearest frame that is not the machinery of imports."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib"):
            frame = frame.f_back
        BY.setdefault(fullname, "" if frame is None else frame.f_globals.get("__name__", ""))


class Anything:
    """Has whatever is asked of it: stands for settings and clients."""

    def __getattr__(self, name: str) -> "Anything":
        return Anything()

    def __call__(self, *arguments: Any, **options: Any) -> "Anything":
        return Anything()


def main(function: str) -> NoReturn:
    """Start the function."""
    package, _, module = function.partition(".")
    sys.meta_path.insert(0, Seen())
    import_module(f"functions.{package}.{module or 'handler'}")
    from shared.aws import clients
    from shared.base.settings import Settings

    clients._make = lambda *_: Anything()
    Settings.load = lambda: Anything()  # type: ignore[assignment,method-assign,misc] # whatever the class
    deps = import_module(f"functions.{package}.deps")
    getattr(deps, f"{module}_deps" if module else "deps")()
    sys.stdout.write(json.dumps({name: by for name, by in BY.items() if name in sys.modules}))
    raise SystemExit


if __name__ == "__main__":
    main(sys.argv[1])
