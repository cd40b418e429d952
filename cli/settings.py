"""`mepush settings`: what holds for everything, in versions."""

from typing import Annotated, Any

import typer
from rich.console import Console

from cli.output import JsonOption, KeyOption, UrlOption, plain, row, session, table
from cli.views import moment

app = typer.Typer(no_args_is_help=True, help="Settings: show, change and restore them.")

_ABOUT = ("version", "changed_by", "changed_at", "restored")


@app.command("show")
def show(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show the settings that count."""
    with session(url, key, as_json) as (api, out):
        data = api.get("/v1/settings")
        out.result(data, lambda console: _show_one(console, data))


@app.command("set")
def change(
    review_required: Annotated[
        bool | None,
        typer.Option(
            "--review-required/--no-review-required", help="Whether only approved versions of templates are published."
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings; what is not given stays."""
    if review_required is None:
        raise typer.BadParameter("say what to change, such as --review-required")
    with session(url, key, as_json) as (api, out):
        data = api.patch("/v1/settings", {"review_required": review_required})
        out.result(data, lambda console: _show_one(console, data))


@app.command("versions")
def versions(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List all versions of the settings, with who made them."""
    with session(url, key, as_json) as (api, out):
        found = list(api.pages("/v1/settings/versions", "settings"))
        out.result({"settings": found}, lambda console: _show_all(console, found))


@app.command("restore")
def restore(
    version: Annotated[int, typer.Argument(min=1, help="The version whose values shall count again.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take up a version of the settings again, as a new version."""
    with session(url, key, as_json) as (api, out):
        data = api.post("/v1/settings/restore", {"version": version})
        out.result(data, lambda console: _show_one(console, data))


def _values(settings: dict[str, Any]) -> dict[str, Any]:
    words = {True: "yes", False: "no", None: "-"}
    return {name: words.get(value, value) for name, value in settings.items() if name not in _ABOUT}


def _show_one(console: Console, settings: dict[str, Any]) -> None:
    for name, value in _values(settings).items():
        console.print(plain(f"{name}: {value}"))
    if not settings["version"]:
        console.print("Nobody has changed them yet.")
        return
    words = f"version {settings['version']} by key {settings['changed_by']}, {moment(settings['changed_at'])} UTC"
    console.print(plain(f"{words}, as version {settings['restored']} was" if settings["restored"] else words))


def _show_all(console: Console, found: list[dict[str, Any]]) -> None:
    if not found:
        console.print("Nobody has changed the settings yet.")
        return
    made = table("version", *_values(found[-1]), "changed (UTC)", "by key", "restored from")
    for each in found:
        row(
            made,
            each["version"],
            *_values(each).values(),
            moment(each["changed_at"]),
            each["changed_by"],
            each["restored"],
        )
    console.print(made)
