"""Takes out of an installation what no function reads: it would be fetched and unpacked at each cold start."""

import shutil
import struct
from pathlib import Path

_UNUSED = (
    # Commands that no function calls.
    "bin",
    # Names of places, carriers and time zones of numbers: most of the library's 23 MB, and nothing here asks for them.
    "phonenumbers/geodata",
    "phonenumbers/carrierdata",
    "phonenumbers/tzdata",
    # Routers, pages and models of Powertools: of it the functions use the log and the metrics.
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/data_classes",
    "aws_lambda_powertools/utilities/parser",
    # Compile bindings; what is compiled already needs only their backend.
    "cffi",
    "pycparser",
)
# What an installer leaves that differs from run to run.
_INSTALLERS_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"}

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_SECTIONS_AT, _SECTIONS_COUNTED_AT = 0x28, 0x3C


def trim(folder: Path, services: tuple[str, ...]) -> None:
    """Remove from an installation what differs between two of them, and what no function uses.

    services: the AWS services whose models stay.
    """
    for path in list(folder.rglob("*")):
        if path.name in _INSTALLERS_FILES or path.suffix == ".pyi":
            path.unlink()
        elif path.suffix == ".so" or ".so." in path.name:
            trim_library(path)
    for path in [*folder.rglob("__pycache__"), *folder.glob("*.dist-info/sboms"), *map(folder.joinpath, _UNUSED)]:
        shutil.rmtree(path, ignore_errors=True)
    for path in (folder / "botocore" / "data").glob("*/"):
        if path.is_dir() and path.name not in services:
            shutil.rmtree(path)


def trim_library(path: Path) -> None:
    """Cut off a shared library what is never loaded: the symbols that debuggers read. Others stay as they are.

    Whoever loads it reads its segments alone, so the table of sections, which names what was cut off, goes too.
    """
    data = bytearray(path.read_bytes())
    if not data.startswith(_ELF64_LITTLE):
        return
    (segments_at,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    end = segments_at + size * count
    for number in range(count):
        at = segments_at + number * size
        offset, in_file = struct.unpack_from("<Q", data, at + 8)[0], struct.unpack_from("<Q", data, at + 32)[0]
        end = max(end, offset + in_file)
    struct.pack_into("<Q", data, _SECTIONS_AT, 0)
    struct.pack_into("<HH", data, _SECTIONS_COUNTED_AT, 0, 0)
    # As a new file: an installer may have linked this one to its cache and to environments that run it.
    trimmed = path.with_name(f".{path.name}")
    trimmed.write_bytes(data[:end])
    trimmed.chmod(path.stat().st_mode)
    trimmed.replace(path)
