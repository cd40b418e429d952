"""Deployments that the command knows by name: their file, and the option `--profile`.

The file is the user's alone, since it holds keys: `~/.config/mepush/profiles.toml`. Every command loads this module, so
it imports little.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from mepush.client.errors import FileError, UsageError

PROFILE_VARIABLE = "MEPUSH_PROFILE"
"""The environment variable that names a profile."""
_chosen: ContextVar[str | None] = ContextVar("profile", default=None)
PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}\Z")

ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="A deployment of `mepush profile list`. Else MEPUSH_PROFILE.")
]


@dataclass(frozen=True, slots=True)
class Profile:
    """One deployment."""

    url: str
    key: str
    """The key, or `@` and the path of a file that holds it."""

    def __repr__(self) -> str:
        return f"Profile({self.url!r})"


@dataclass(slots=True)
class Profiles:
    """What the file holds."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    default: str | None = None
    """The name that counts where nothing else is said."""

    def named(self, name: str) -> Profile:
        """Raises: UsageError for a name that is not there."""
        try:
            return self.profiles[name]
        except KeyError:
            known = ", ".join(self.profiles) or "there is none yet"
            raise UsageError(f"There is no profile {name!r} ({known}).", "Add it with `mepush profile add`.") from None


def profiles_path(env: Mapping[str, str] | None = None) -> Path:
    """Where the file is: below XDG_CONFIG_HOME, on Windows APPDATA, else ~/.config."""
    env = os.environ if env is None else env
    home = env.get("XDG_CONFIG_HOME") or (env.get("APPDATA") if os.name == "nt" else None)
    return (Path(home) if home else Path.home() / ".config") / "mepush" / "profiles.toml"


def read_profiles(path: Path) -> Profiles:
    """Read the file; none at all holds nothing. Raises: FileError."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise FileError(f"Other users may read {path}, which holds keys.", f"Run: chmod 600 {path}")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        found = {name: Profile(str(p["url"]), str(p["key"])) for name, p in data.get("profiles", {}).items()}
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        hint = 'Each profile is a table [profiles.NAME] with url = "..." and key = "...".'
        raise FileError(f"{path} cannot be read as profiles.", hint) from None
    default = data.get("default")
    return Profiles(found, default if default in found else None)


def write_profiles(path: Path, profiles: Profiles) -> None:
    """Write the file whole, readable by its user alone. Raises: FileError."""
    text = "" if profiles.default is None else f"default = {_quoted(profiles.default)}\n"
    for name, profile in profiles.profiles.items():
        text += f"\n[profiles.{name}]\nurl = {_quoted(profile.url)}\nkey = {_quoted(profile.key)}\n"
    beside = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        # Made with its mode, so that there is no moment at which others can read it; then put in place in one step.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from None


def _quoted(text: str) -> str:
    # What JSON writes between quotes TOML reads the same way.
    return json.dumps(text, ensure_ascii=False)


def choose_profile(name: str | None, context: Any = None) -> None:
    """Remember what `--profile` said, for the command that runs now. context: the command's; it is forgotten then."""
    _chosen.set(name)
    if context is not None:
        # Another command of the same process, or whoever looks for a connection there, has said nothing.
        context.call_on_close(lambda: _chosen.set(None))


def add_profile_option(command: Any) -> None:
    """Let every command that speaks to the API take `--profile` beside `--url` and `--key`."""
    for below in getattr(command, "commands", {}).values():
        add_profile_option(below)
    names = [parameter.name for parameter in command.params]
    if "url" in names:
        command.params.insert(names.index("url"), _option())


def _option() -> Any:
    """A fresh option; taken from a command, since typer makes options from annotations alone."""

    def takes(profile: ProfileOption = None) -> None: ...

    single = typer.Typer(add_completion=False)
    single.command()(takes)
    option = typer.main.get_command(single).params[0]
    option.callback = _take
    option.expose_value = False
    return option


def _take(context: Any, parameter: Any, value: str | None) -> str | None:
    # Where the command itself names none, what stood before it counts.
    if value is not None:
        choose_profile(value, context)
    return value


def chosen_profile() -> str | None:
    """What `--profile` said; None if it was not given."""
    return _chosen.get()
