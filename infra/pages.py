"""Renders the API's description into files: what anybody may ask for costs next to nothing to serve."""

import gzip
import os
from functools import cache
from pathlib import Path

from pydantic_core import to_json

from shared.api.docs_page import page
from shared.api.openapi import document

FOLDER = Path("build/pages")
"""Where the files are, relative to the root of a package or of the repository."""


@cache
def render() -> dict[str, bytes]:
    """The files by name, packed by gzip; the same for the same description, to the byte."""
    described = document()
    texts = {"docs.html": page(described).encode(), "openapi.json": to_json(described)}
    return {f"{name}.gz": gzip.compress(text, mtime=0) for name, text in texts.items()}


def write(root: Path) -> None:
    """Render the files below a root; who reads at the same time finds them whole."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, packed in render().items():
        unfinished = folder / f".{name}.{os.getpid()}"
        unfinished.write_bytes(packed)
        unfinished.replace(folder / name)
