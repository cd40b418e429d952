"""Builds the functions' packages without Docker: our code by an allow-list, what it needs from the lock file.

Everything is kept under `build/` by a hash of what went in, so that a second run does nothing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra import pages, trimming
from infra.specs import AWS_SERVICES, FUNCTIONS, PYTHON_VERSION
from shared.function import FunctionSpec
from shared.model.words import Channel

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

_GROUP = "platform"
"""The group of dependencies in pyproject.toml of which functions are given what they need."""
_RECIPE = hashlib.sha256(Path(trimming.__file__).read_bytes()).hexdigest()
"""Part of every hash: what is taken out of the same inputs makes another package."""

_DECLARATIONS = re.compile(r"shared/providers/((\w+/){0,2}(__init__|limits|rights)|spec|table|declared)\.py")
"""They load no provider, and whoever judges or prices messages needs those of all vendors."""
_LIMIT_BYTES = 250 * 1024 * 1024
"""The most that a function's package may unpack to (Lambda quotas)."""


class PackagingError(Exception):
    """A package cannot be built; says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What packages are built for. arguments: how uv is told."""

    name: str
    arguments: tuple[str, ...]


LAMBDA = Target(
    f"lambda-{PYTHON_VERSION}-arm64",
    # Lambda's Python runs on Amazon Linux 2023, whose glibc (2.34) is newer than what these wheels ask for.
    ("--python-platform", "aarch64-manylinux_2_28", "--python-version", PYTHON_VERSION),
)
HOST = Target(f"host-{sys.version_info.major}.{sys.version_info.minor}", ())
"""This machine, for trying packages out."""


def package_all(target: Target = LAMBDA, build: Path = BUILD) -> dict[str, Path]:
    """Build the packages of all functions; returns their folders by logical name. Raises: PackagingError.

    Earlier packages for the same target are forgotten.
    """
    packages = {name: package(spec, target, build) for name, spec in FUNCTIONS.items()}
    kept = {*packages.values(), *(install(spec.distributions, target, build) for spec in FUNCTIONS.values())}
    made = [*(build / "functions" / target.name).iterdir(), *(build / "dependencies").glob(f"{target.name}-*")]
    for folder in set(made) - kept:
        shutil.rmtree(folder)
    return packages


def package(spec: FunctionSpec, target: Target, build: Path = BUILD) -> Path:
    """Build one function's package, or find it built; returns its folder. Raises: PackagingError."""
    if not (ROOT / "functions" / spec.folder / f"{spec.module.rpartition('.')[2]}.py").is_file():
        raise PackagingError(f"{spec.name}: there is no module {spec.module}")
    dependencies = install(spec.distributions, target, build)
    files = list(sources(spec))
    digest = hashlib.sha256(f"{_RECIPE} {dependencies.name}".encode())
    for path in files:
        digest.update(f"\0{path}\0".encode() + (ROOT / path).read_bytes())
    for name, packed in pages.render().items() if spec.pages else ():
        digest.update(f"\0{name}\0".encode() + packed)

    def fill(folder: Path) -> None:
        shutil.copytree(dependencies, folder, dirs_exist_ok=True)
        copy_sources(spec, folder)
        if spec.pages:
            pages.write(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size > _LIMIT_BYTES:
            raise PackagingError(f"{spec.name}: {size:,} bytes are more than Lambda unpacks")

    return _made_once(build / "functions" / target.name, f"{spec.name}-{digest.hexdigest()[:16]}", fill)


def install(packages: Sequence[str], target: Target, build: Path = BUILD) -> Path:
    """Install distributions and what they need, at the locked versions, or find them installed; returns the folder.

    Functions that need the same share one folder. Raises: PackagingError.
    """
    requirements = locked_requirements(tuple(sorted(packages)))
    key = "\0".join((_RECIPE, target.name, *target.arguments, *AWS_SERVICES, requirements))

    def fill(folder: Path) -> None:
        listed = folder / "requirements.txt"
        listed.write_text(requirements)
        # What is trimmed here must not be the installer's cache, of which other installations are links.
        arguments = (
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--no-deps",
            "--no-compile-bytecode",
            "--link-mode",
            "copy",
        )
        where = ("--no-config", "--python", sys.executable, "--target", str(folder), "-r", str(listed))
        _uv("pip", "install", *target.arguments, *arguments, *where)
        listed.unlink()
        trimming.trim(folder, AWS_SERVICES)

    return _made_once(build / "dependencies", f"{target.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}", fill)


@cache
def locked_requirements(packages: tuple[str, ...]) -> str:
    """The lines, with hashes, of some of the platform's packages and all that those need, from the lock file.

    Raises: PackagingError for a package that the platform does not depend on.
    """
    direct = _direct_dependencies()
    unknown = sorted(set(packages) - set(direct))
    if unknown:
        raise PackagingError(f"not among the platform's dependencies: {', '.join(unknown)}")
    unwanted = [part for name in direct if name not in packages for part in ("--prune", name)]
    shape = ("--format", "requirements.txt", "--no-header", "--no-annotate")
    return _uv("export", "--frozen", "--only-group", _GROUP, *shape, *unwanted)


def sources(spec: FunctionSpec) -> Iterator[Path]:
    """The files of ours that a function carries, relative to the repository, in order.

    Its own folder, `shared/`, and of the command what reads sheets, which `shared/` asks; of the providers only those
    of its channels, and of the others what they declare; or of all of them what reads receipts.
    """
    yield from (Path("functions/__init__.py"), Path("mepush/__init__.py"))
    for top in (f"functions/{spec.folder}", "mepush/sheets", "shared"):
        for path in sorted((ROOT / top).rglob("*")):
            inside = path.relative_to(ROOT)
            hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
            if path.is_file() and not hidden and path.suffix != ".pyc" and not _left_out(inside, spec):
                yield inside


def copy_sources(spec: FunctionSpec, folder: Path) -> None:
    """Copy the files of `sources` into a folder."""
    for path in sources(spec):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)


def _left_out(path: Path, spec: FunctionSpec) -> bool:
    if path.parts[:2] != ("shared", "providers") or _DECLARATIONS.fullmatch(path.as_posix()):
        return False
    if spec.receipts:
        # What sends, and needs the vendor's packages for it; but for channels that it does something on.
        return path.name == "provider.py" and path.parts[2] not in spec.channels
    if not spec.channels:
        return True
    return path.parts[2] in set(Channel) - set(spec.channels)


def _direct_dependencies() -> list[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return [re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0].lower() for line in groups[_GROUP]]


def _made_once(parent: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder `name`, filling it first if it is not there; two processes may ask at the same time."""
    folder = parent / name
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        fill(made)
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _uv(*arguments: str) -> str:
    """Run uv and return what it prints. Raises: PackagingError."""
    from uv import find_uv_bin

    # The machine's own certificate authorities count, a company's among them, and not only those that come with uv.
    environment = {"UV_SYSTEM_CERTS": "1", **os.environ}
    environment.pop("VIRTUAL_ENV", None)
    command = [find_uv_bin(), *arguments, "--quiet"]
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackagingError(f"uv {arguments[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
