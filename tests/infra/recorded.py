"""The templates as they were recorded, and how others differ from them.

`python -m tests.infra.recorded TEMPLATE...` records them anew.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("fixtures") / "templates.json"
_ASSET = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"(?<=CurrentVersion)([0-9A-F]{8})[0-9a-f]{32}")
_DEPTH = 5
"""So deep are values on lines of their own: a property of a resource is a line."""


def normalised(template: Any) -> Any:
    """A template without the hashes of packages and of versions, which change with every line of code; with its keys in
    order."""
    if isinstance(template, Mapping):
        return {_without(key): normalised(template[key]) for key in sorted(template)}
    if isinstance(template, list):
        return [normalised(each) for each in template]
    return _without(template) if isinstance(template, str) else template


def _without(text: str) -> str:
    return _VERSION.sub(r"\1<hash>", _ASSET.sub("<hash>", text))


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: the path such as `Resources.Api.Type`, and both values; None is for what is not there.

    Lists of different lengths differ as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{path}.{place}")
    elif before != after:
        yield path, before, after


def written(value: Any, depth: int = _DEPTH, indent: str = "") -> str:
    """JSON with a line per property of a resource."""
    if not isinstance(value, dict) or not value or not depth:
        return json.dumps(value, ensure_ascii=False)
    inside = indent + " "
    lines = (f"{inside}{json.dumps(key)}: {written(each, depth - 1, inside)}" for key, each in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


if __name__ == "__main__":
    found = {Path(each).name.removesuffix(".template.json"): Path(each).read_text() for each in sys.argv[1:]}
    recorded = {name: normalised(json.loads(found[name])) for name in sorted(found)}
    RECORDED.write_text(written(recorded) + "\n")
