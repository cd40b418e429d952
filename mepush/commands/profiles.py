"""`mepush profile`: deployments that the command knows by name."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import check_key, check_url
from mepush.client.connection import key_from_file
from mepush.client.errors import UsageError
from mepush.client.profiles import PROFILE_NAME, Profile, Profiles, profiles_path, read_profiles, write_profiles
from mepush.output import JsonOption, plain, reporting, row, table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]

app = typer.Typer(no_args_is_help=True, help="Deployments that this command knows by name: add, choose, remove.")


@app.command("add")
def add(
    name: NameArgument,
    url: Annotated[str, typer.Option("--url", help="Address of its API.")],
    key: Annotated[
        str | None,
        typer.Option("--key", help="API key, or @file to read it from at each call. Else it is asked for, unseen."),
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Use it where nothing else is said.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a deployment's address and key under a name; an existing one is replaced."""
    with reporting(as_json) as out:
        if not PROFILE_NAME.match(name):
            raise UsageError(f"{name!r} is no name for a profile.", "Use up to 40 letters, digits, - and _.")
        given = key if key is not None else typer.prompt("API key", hide_input=True)
        check_url(url)
        check_key(given if not given.startswith("@") else key_from_file(Path(given[1:])))
        path = profiles_path()
        found = read_profiles(path)
        found.profiles[name] = Profile(url, given if not given.startswith("@") else f"@{Path(given[1:]).absolute()}")
        if default or len(found.profiles) == 1:
            found.default = name
        write_profiles(path, found)
        said = f"{name} is kept in {path}" + ("; it is the default" if found.default == name else "")
        out.result(_as_data(found), lambda console: console.print(plain(said), soft_wrap=True))


@app.command("list")
def list_profiles(as_json: JsonOption = False) -> None:
    """List the profiles, without their keys."""
    with reporting(as_json) as out:
        found = read_profiles(profiles_path())
        out.result(_as_data(found), lambda console: _show(console, found))


@app.command("use")
def use(name: NameArgument, as_json: JsonOption = False) -> None:
    """Make a profile the default: it counts where neither flags nor the environment nor a local stack say anything."""
    with reporting(as_json) as out:
        path = profiles_path()
        found = read_profiles(path)
        found.named(name)
        found.default = name
        write_profiles(path, found)
        out.result(_as_data(found), lambda console: console.print(f"{name} is the default"))


@app.command("remove")
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Forget a profile. Its key goes on working until it is revoked."""
    with reporting(as_json) as out:
        path = profiles_path()
        found = read_profiles(path)
        found.named(name)
        del found.profiles[name]
        found.default = None if found.default == name else found.default
        write_profiles(path, found)
        out.result(_as_data(found), lambda console: console.print(f"{name} is forgotten"))


def _as_data(found: Profiles) -> dict[str, Any]:
    profiles = [{"name": name, "url": profile.url} for name, profile in found.profiles.items()]
    return {"default": found.default, "profiles": profiles}


def _show(console: Console, found: Profiles) -> None:
    made = table("name", "address", "")
    for name, profile in found.profiles.items():
        row(made, name, profile.url, "default" if name == found.default else "")
    console.print(made if found.profiles else "There are no profiles. Add one with `mepush profile add`.")
