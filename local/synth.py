"""Synthesises the real infrastructure's template, once for each state of what it is made from."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from infra import pages

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "local" / "synth"
WITH_ARCHIVE = CACHE.with_name("synth-archive")
STACK = "mepush"
# What the infrastructure is computed from: its own code, what functions say of themselves, the tables it loops over,
# and the version of the CDK.
SOURCES = (
    "infra/*.py",
    "infra/stages/*.toml",
    "functions/__init__.py",
    "functions/*/__init__.py",
    "functions/*/function.py",
    "mepush/__init__.py",
    "mepush/sheets/*.py",
    *(f"shared/{name}.py" for name in ("__init__", "errors", "function")),
    *(f"shared/base/{name}.py" for name in ("__init__", "channels", "garbage", "quiet", "rights", "settings")),
    *(f"shared/{name}/*.py" for name in ("api", "api/operations", "model", "net", "policy")),
    *(f"shared/dispatch/{name}.py" for name in ("__init__", "function")),
    *(f"shared/providers/{name}.py" for name in ("__init__", "spec", "table", "*/__init__", "*/limits")),
    *(f"shared/providers/*/*/{name}.py" for name in ("__init__", "limits", "rights")),
    "uv.lock",
)
_PAGES_SOURCES = ("infra/pages.py", "mepush/__init__.py", "mepush/sheets/*.py", "shared/**/*.py", "uv.lock")
_TIMEOUT_S = 180


class SynthesisError(Exception):
    """The infrastructure could not be synthesised; holds what it said."""


def synthesised(cache: Path | None = None, *, archive: bool = False) -> Path:
    """Return the path of the local stage's template, from the cache where nothing has changed.

    archive: with an archive. Raises: SynthesisError.
    """
    cache = cache or (WITH_ARCHIVE if archive else CACHE)
    template = cache / fingerprint() / f"{STACK}.template.json"
    if not template.is_file():
        _synthesise(template.parent, archive)
    return template


def fingerprint() -> str:
    """Names the state of everything that the template is computed from."""
    return _digest(SOURCES)


def _digest(patterns: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def render_pages(root: Path = ROOT) -> None:
    """Render the API's description where the function that serves it looks, unless what is there is up to date."""
    stamp = root / pages.FOLDER / "fingerprint"
    found = _digest(_PAGES_SOURCES)
    if not stamp.is_file() or stamp.read_text() != found:
        pages.write(root)
        stamp.write_text(found)


def _synthesise(folder: Path, archive: bool) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own, then renamed: two stacks that start together must not read half a template.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        out = Path(temporary) / "out"
        # In a process of its own: the CDK brings Node along, which the stack has no use for afterwards.
        command = [sys.executable, "-m", "infra.cdk_app", "--stage", "local", "--outdir", str(out)]
        command += ["--archive"] if archive else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(  # noqa: S603 - our own module, no input from outside
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode or not (out / f"{STACK}.template.json").is_file():
            raise SynthesisError(f"python -m infra.cdk_app ended with {done.returncode}:\n{done.stderr.strip()}")
        for old in folder.parent.iterdir():
            if old.is_dir() and not old.name.startswith("tmp") and old != folder:
                shutil.rmtree(old, ignore_errors=True)
        try:
            out.replace(folder)
        except OSError:
            # Another process was first, with the same result.
            if not folder.is_dir():
                raise
