"""`mepush settings`: what holds for everything, in versions."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.files.toml import read_toml
from mepush.output import JsonOption, KeyOption, UrlOption, plain, row, session, table
from mepush.views.messages import moment

app = typer.Typer(no_args_is_help=True, help="Settings: show, change and restore them.")

_ABOUT = ("version", "changed_by", "changed_at", "restored", "review_off_asked_by", "review_off_asked_at")


@app.command("show")
def show(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show the settings that count."""
    with session(url, key, as_json) as (api, out):
        data = api.get("/v1/settings")
        out.result(data, lambda console: _show_one(console, data))


@app.command("concurrency")
def concurrency(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show how many functions work on the queues, which all tenants share; as far as it was changed."""
    with session(url, key, as_json) as (api, out):
        data = api.get("/v1/deployment")
        words = [f"{queue}: {count}" for queue, count in data["concurrency"].items()] or ["As it was deployed."]
        out.result(data, lambda console: console.print(plain("\n".join(words))))


@app.command("set")
def change(
    review_required: Annotated[
        bool | None,
        typer.Option(
            "--review-required/--no-review-required", help="Whether only approved versions of templates are published."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A TOML file of settings, named as in `show --json`."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Of recipients of whom none is known, such as Asia/Shanghai.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings; what is not given stays."""
    options = {"review_required": review_required, "time_zone": time_zone}
    with session(url, key, as_json) as (api, out):
        changes = read_toml(file) if file is not None else {}
        changes |= {name: value for name, value in options.items() if value is not None}
        if not changes:
            raise typer.BadParameter("say what to change, such as --review-required or --file settings.toml")
        # It belongs to the deployment with all its tenants, and needs an operator's key.
        if (of_queues := changes.pop("concurrency", None)) is not None:
            api.patch("/v1/deployment", {"concurrency": of_queues})
        data = api.patch("/v1/settings", changes)
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
    return {name: _in_words(value) for name, value in settings.items() if name not in _ABOUT}


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    found = _set(value)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) and found else str(found or "-")


def _set(value: Any) -> Any:
    """A value without what nobody has set in it."""
    if not isinstance(value, dict):
        return value
    kept = {name: _set(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each is not None and each != {}}


def _show_one(console: Console, settings: dict[str, Any]) -> None:
    for name, value in _values(settings).items():
        console.print(plain(f"{name}: {value}"))
    if settings["review_off_asked_by"]:
        console.print(
            plain(
                f"The key {settings['review_off_asked_by']} wants the review switched off. It stays on until another "
                "person says the same: mepush settings set --no-review-required"
            )
        )
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
