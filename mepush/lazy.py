"""Loads a command's module when the command is called, so that `mepush --help` and a wrong word cost no imports."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from mepush.client.profiles import add_profile_option


class Entry(NamedTuple):
    """One command, or one group of commands."""

    where: str
    """`module:name` of a function, or of a `typer.Typer`."""
    help: str
    """Short enough to stand beside the name on a terminal of 80 columns."""


class Completion(NamedTuple):
    """What typer reads of a completion; its own class is private."""

    value: str
    help: str
    type: str = "plain"


class Commands(Mapping[str, Any]):
    """The commands by name; each is loaded when it is asked for."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self.entries[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def _load(name: str, entry: Entry) -> Any:
    module, _, attribute = entry.where.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        found.info.cls = Group
        command: Any = get_group(found)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(found)
        command = get_command(single)
    command.name = name
    add_profile_option(command)
    return command


class Group(TyperGroup):
    """A group whose help has whole sentences; typer cuts them to one line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first paragraph of each command's help, wrapped."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, (c.help or "").partition("\n\n")[0]) for name, c in self.commands.items()])


class LazyGroup(TyperGroup):
    """A group whose help and completions come from a table; subclass it with the table in `entries`."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": Commands(self.entries)})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names that begin so, without loading any; then typer's own answer, for options."""
        found = [Completion(name, entry.help) for name, entry in self.entries.items() if name.startswith(incomplete)]
        return [*found, *super(TyperGroup, self).shell_complete(ctx, incomplete)]

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run; with `--json`, what is wrong with the command line itself is one JSON document, too."""
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(args, *rest, **extra)
        try:
            code = super().main(args, *rest, **{**extra, "standalone_mode": False})
        except typer.Abort:
            sys.exit(_as_json("Aborted.", "", 1))
        except _CommandLineError as error:
            names = getattr(error, "param_hint", None) or [p for p in [getattr(error, "param", None)] if p]
            sys.exit(_as_json(error.format_message(), _field(names), error.exit_code))
        sys.exit(code if isinstance(code, int) else 0)


# typer shows the base of its errors under no public name.
_CommandLineError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _field(names: Any) -> str:
    """The option or argument that an error is about, as the help writes it; empty if about none."""
    if isinstance(names, str):
        return names.strip("'")
    return ", ".join(_written(name) for name in names)


def _written(name: Any) -> str:
    if getattr(name, "param_type_name", "") == "argument":
        return str(name.metavar or name.name)
    return str(max(getattr(name, "opts", [name]), key=len))


def _as_json(message: str, field: str, code: int) -> int:
    errors = [{"field": field, "message": message}] if field else []
    print(json.dumps({"error": message, "hint": "", "errors": errors}, indent=2))
    return code
