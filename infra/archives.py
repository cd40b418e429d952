"""The functions' packages as archives, the same to the byte for the same content; `make packages` shows their sizes."""

import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from infra.packaging import BUILD, LAMBDA, PackagingError, Target, package_all

_LIMIT_BYTES = 50 * 1024 * 1024
"""The most that a packed package may be where it is uploaded by hand (Lambda quotas)."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows: when a file was unpacked says nothing of it."""
_FROM_AWS = ("boto3", "botocore", "s3transfer")


@dataclass(frozen=True, slots=True)
class Size:
    """The bytes of a package. own: unpacked, without what AWS publishes to call it by; packed: as it is uploaded."""

    unpacked: int
    own: int
    packed: int


def archive(folder: Path, path: Path) -> Path:
    """Pack a folder into `path`, unless it is there, and return that. Raises: PackagingError if it is too large."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _DATE)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, file.read_bytes())
        unfinished.replace(path)
    if path.stat().st_size > _LIMIT_BYTES:
        raise PackagingError(f"{path.name}: {path.stat().st_size:,} bytes are more than Lambda takes")
    return path


def archive_all(target: Target = LAMBDA, build: Path = BUILD) -> dict[str, Path]:
    """Build the archives of all functions; returns their paths by logical name. Raises: PackagingError.

    Earlier archives for the same target are forgotten.
    """
    place = build / "archives" / target.name
    made = {name: archive(folder, place / f"{folder.name}.zip") for name, folder in package_all(target, build).items()}
    for path in set(place.iterdir()) - set(made.values()):
        path.unlink()
    return made


def size(path: Path) -> Size:
    """The sizes of an archive."""
    with zipfile.ZipFile(path) as packed:
        files = packed.infolist()
    own = sum(each.file_size for each in files if not each.filename.startswith(_FROM_AWS))
    return Size(sum(each.file_size for each in files), own, path.stat().st_size)


def table(sizes: dict[str, Size]) -> str:
    """Sizes in megabytes, as a table of Markdown, by functions' names."""
    rows = [
        f"| `{name}` | {each.packed / 1e6:.1f} | {each.unpacked / 1e6:.1f} | {each.own / 1e6:.1f} |"
        for name, each in sizes.items()
    ]
    return "\n".join(("| function | packed | unpacked | without boto3 |", "|---|---|---|---|", *rows))


def main() -> int:
    """Build all archives for Lambda and print their sizes; returns the exit code."""
    try:
        sizes = {name: size(path) for name, path in archive_all().items()}
    except PackagingError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
