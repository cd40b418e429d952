"""Finds the API's address and key: flags, then the environment, then the local stack's file."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import FileError, UsageError

LOCAL_FILE = Path("build/local/connection.json")
"""Written by the local stack, readable by its user only; relative to the folder that the stack was started in."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API is and the key to use. The key is kept out of `repr`."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"


def find_connection(
    url: str | None, key: str | None, env: Mapping[str, str] | None = None, folder: Path | None = None
) -> Connection:
    """Return the connection to use. key: the key, or `@` and the path of a file that holds it.

    The local stack's file counts only when neither flags nor environment say anything, so that its key never goes
    to another address. Raises: UsageError, FileError.
    """
    env = os.environ if env is None else env
    url = url or env.get("MEPUSH_URL") or None
    key = key or env.get("MEPUSH_KEY") or None
    if url is None and key is None:
        return _local(Path.cwd() if folder is None else folder)
    if url is None:
        raise UsageError("There is a key but no address.", "Give --url or set MEPUSH_URL.")
    if key is None:
        raise UsageError("There is an address but no key.", "Set MEPUSH_KEY or give --key.")
    if key.startswith("@"):
        key = _from_file(Path(key[1:]))
    return Connection(url, key.strip())


def write_local(connection: Connection, folder: Path | None = None) -> Path:
    """Write the local stack's file, for this user only, and return its path."""
    path = (Path.cwd() if folder is None else folder) / LOCAL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Made with its mode, so that there is no moment at which others can read it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": connection.url, "key": connection.key}, file)
    return path


def read_local(folder: Path | None = None) -> Connection | None:
    """What the local stack's file says; None if there is none that can be read."""
    try:
        return _read((Path.cwd() if folder is None else folder) / LOCAL_FILE)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_local(connection: Connection, folder: Path | None = None) -> None:
    """Delete the local stack's file if it is this connection's."""
    if read_local(folder) == connection:
        ((Path.cwd() if folder is None else folder) / LOCAL_FILE).unlink(missing_ok=True)


def _local(folder: Path) -> Connection:
    path = next((p for f in (folder, *folder.parents) if (p := f / LOCAL_FILE).is_file()), None)
    if path is None:
        raise UsageError(
            "No API address and no key.",
            "Set MEPUSH_URL and MEPUSH_KEY, give --url and --key, or start the local stack with `make run`.",
        )
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError):
        raise FileError(f"{path} cannot be read.", "Start the local stack again with `make run`.") from None


def _read(path: Path) -> Connection:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Connection(str(data["url"]), str(data["key"]))


def _from_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise FileError(f"The key cannot be read from {path}.") from None
