"""Finds the API's address and key: flags, a profile, the environment, the local stack's file, the default profile."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mepush.client.errors import FileError, UsageError
from mepush.client.profiles import PROFILE_VARIABLE, Profile, chosen_profile, profiles_path, read_profiles

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

    In this order: `--profile`; `--url` and `--key`, or MEPUSH_URL and MEPUSH_KEY for what is not given; MEPUSH_PROFILE;
    the local stack of this folder; the default profile. A key goes to the address that it was given with and to no
    other: the local stack's and a profile's are never mixed with flags. Raises: UsageError, FileError.
    """
    env = os.environ if env is None else env
    flag = chosen_profile()
    if flag is not None:
        if url is not None or key is not None:
            raise UsageError("--profile names an address and a key.", "Leave out --url and --key, or --profile.")
        return _profile(read_profiles(profiles_path(env)).named(flag))
    url = url or env.get("MEPUSH_URL") or None
    key = key or env.get("MEPUSH_KEY") or None
    folder = Path.cwd() if folder is None else folder
    if url is None and key is None:
        return _kept(env, folder)
    if url is None:
        raise UsageError("There is a key but no address.", f"Give --url or set MEPUSH_URL{_where(folder)}.")
    if key is None:
        raise UsageError("There is an address but no key.", "Set MEPUSH_KEY or give --key.")
    return _connection(url, key)


def _kept(env: Mapping[str, str], folder: Path) -> Connection:
    """What stands in files: a profile that the environment names, the local stack's, the default profile."""
    named = env.get(PROFILE_VARIABLE)
    if named:
        return _profile(read_profiles(profiles_path(env)).named(named))
    path = _local_file(folder)
    if path is not None:
        return _local(path)
    found = read_profiles(profiles_path(env))
    if found.default is not None:
        return _profile(found.named(found.default))
    raise UsageError(
        "No API address and no key.",
        "Add the deployment with `mepush profile add`, set MEPUSH_URL and MEPUSH_KEY, give --url and --key, or start "
        "the local stack with `make run`.",
    )


def _local_file(folder: Path) -> Path | None:
    """The file of the local stack that was started in this folder or in one above it."""
    return next((p for f in (folder, *folder.parents) if (p := f / LOCAL_FILE).is_file()), None)


def _where(folder: Path) -> str:
    """Where the local stack is, to be said; empty if there is none."""
    path = _local_file(folder)
    found = None if path is None else read_local(path.parents[2])
    return "" if found is None else f"; the local stack of this folder is at {found.url}"


def _profile(profile: Profile) -> Connection:
    return _connection(profile.url, profile.key)


def _connection(url: str, key: str) -> Connection:
    return Connection(url, (key_from_file(Path(key[1:])) if key.startswith("@") else key).strip())


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


def _local(path: Path) -> Connection:
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError):
        raise FileError(f"{path} cannot be read.", "Start the local stack again with `make run`.") from None


def _read(path: Path) -> Connection:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Connection(str(data["url"]), str(data["key"]))


def key_from_file(path: Path) -> str:
    """The key that a file holds. Raises: FileError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise FileError(f"The key cannot be read from {path}.") from None
