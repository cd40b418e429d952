"""`mepush template`: templates from files, and a look at what is there."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, MepushError
from mepush.files.pushing import Pushed, push_template
from mepush.files.templates import find_files, in_order, read_template
from mepush.output import JsonOption, KeyOption, Output, UrlOption, fail_if, parse_pairs, plain, row, session, table
from mepush.views.messages import moment

app = typer.Typer(no_args_is_help=True, help="Templates: push them from files, look at them, review them.")

TemplateArgument = Annotated[str, typer.Argument(metavar="TEMPLATE", help="The template's id.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Else the published one, or the latest.")]


@app.command("push")
def push(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Template files, or folders of them.")],
    publish: Annotated[bool, typer.Option("--publish", help="Make the pushed version the one that is sent.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the templates in these files, or save a new version where the content changed.

    Pushing the same files again changes nothing.
    """
    with session(url, key, as_json) as (api, out):
        # All files are read first: a typing error in one must not leave half a folder pushed.
        files = in_order([read_template(path) for path in find_files(paths)])
        pushed: list[Pushed] = []
        failed: list[tuple[Path, MepushError]] = []
        for file in files:
            try:
                pushed.append(push_template(api, file, publish))
            except ApiError as error:
                failed.append((file.path, error))
        data = {
            "templates": [p.as_json() for p in pushed],
            "failed": [{"file": str(path), **error.as_json()} for path, error in failed],
        }
        out.result(data, lambda console: _show_pushed(console, pushed))
        _report(out, failed)
        fail_if(bool(failed))


def _show_pushed(console: Console, pushed: list[Pushed]) -> None:
    made = table("template", "latest", "published", "what was done")
    for entry in pushed:
        row(made, entry.template, entry.version, entry.published, ", ".join(entry.done) or "nothing: it is the same")
    if pushed:
        console.print(made)


def _report(out: Output, failed: list[tuple[Path, MepushError]]) -> None:
    if not out.as_json:
        for path, error in failed:
            out.say(f"{path}:")
            out.error(error)


@app.command("list")
def list_templates(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the templates."""
    with session(url, key, as_json) as (api, out):
        templates = list(api.pages("/v1/templates", "templates"))
        out.result({"templates": templates}, lambda console: _show_list(console, templates))


def _show_list(console: Console, templates: list[dict[str, Any]]) -> None:
    made = table("template", "name", "channel", "class", "accounts", "latest", "published", "changed (UTC)")
    for t in templates:
        published = "archived" if t["archived"] else t["published"]
        accounts = ", ".join(t["accounts"])
        row(
            made,
            t["id"],
            t["name"],
            t["channel"],
            t["class"],
            accounts,
            t["latest"],
            published,
            moment(t["updated_at"]),
        )
    console.print(made if templates else "There are no templates.")


@app.command("show")
def show(
    template: TemplateArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a template, its placeholders and its content."""
    with session(url, key, as_json) as (api, out):
        data = api.get(f"/v1/templates/{segment(template)}")
        if version is not None:
            data["current"] = api.get(f"/v1/templates/{segment(template)}/versions/{version}")
        out.result(data, lambda console: _show_template(console, data))


def _when(fallback: dict[str, Any]) -> str:
    """In which case a message falls back, where that is more than a message that cannot be sent."""
    minutes, until = fallback["after_minutes"], fallback.get("until", "sent")
    after = f" where it was not sent within {minutes} minutes" if minutes else ""
    if until == "sent":
        return after
    return f"{after}, or not {until} within as many more" if minutes else ", also where it comes back"


def _show_template(console: Console, data: dict[str, Any]) -> None:
    current = data["current"]
    state = "archived" if data["archived"] else f"published version {data['published'] or '-'}"
    console.print(plain(f"{data['id']}  {data['name']}"), style="bold")
    console.print(plain(f"{data['channel']}, {data['class']}, through {', '.join(data['accounts'])}; {state}"))
    console.print(plain(f"version {current['version']} of {data['latest']}, saved {moment(current['created_at'])} UTC"))
    show_review(console, current)
    if fallback := data.get("fallback"):
        console.print(plain(f"falls back to {fallback['template']}{_when(fallback)}"))
    if topic := data.get("topic"):
        console.print(plain(f"about the topic {topic}"))
    if tracking := data.get("tracking"):
        whose = "counted, and of nobody" if tracking == "anonymous" else "told, of each message"
        console.print(f"tracked: openings and clicks are {whose}")
    console.print(plain(f"required: {', '.join(current['required']) or '-'}"))
    console.print(plain(f"optional: {', '.join(current['optional']) or '-'}"))
    console.print()
    _show_content(console, current["content"])


def show_review(console: Console, version: dict[str, Any]) -> None:
    """How a version's review stands."""
    review = version["review"]
    who = review["decided_by"] or review["submitted_by"]
    words = f"review: {review['state']}" + (f" by key {who}" if who else "")
    console.print(plain(f"{words}: {review['comment']}" if review["comment"] else words))


def _show_content(console: Console, content: dict[str, Any]) -> None:
    for name, value in content.items():
        if value is None or value == []:
            continue
        if name == "attachments":
            text = ", ".join(map(_file, value))
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        if "\n" in text.strip():
            console.print(plain(f"{name}:"), style="bold")
            console.print(plain(text.rstrip()))
        else:
            console.print(plain(f"{name}: {text.strip()}"))


def _file(file: dict[str, Any]) -> str:
    """An attachment, without its bytes."""
    size = file["size"] if "size" in file else len(b64decode(file["data"]))
    shown = f", shown as cid:{file['cid']}" if file.get("cid") else ""
    return f"{file['name']} ({size:,} bytes{shown})"


@app.command("link")
def link(
    template: TemplateArgument,
    target: Annotated[str, typer.Argument(metavar="URL", help="Where the link is to lead.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a link for a text, the same for everybody, that counts for the template who follows it."""
    with session(url, key, as_json) as (api, out):
        found = api.get(f"/v1/templates/{segment(template)}/link", target=target)
        out.result(found, lambda console: console.print(plain(found["url"]), soft_wrap=True))


@app.command("preview")
def preview(
    template: TemplateArgument,
    var: Annotated[list[str] | None, typer.Option("--var", help="A variable as name=value; repeatable.")] = None,
    version: VersionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render a template with its sample variables, or these, and say what a provider would refuse."""
    pairs = parse_pairs(var or [], "--var")
    with session(url, key, as_json) as (api, out):
        found = _version(api, template, version)
        path = f"/v1/templates/{segment(template)}/versions/{found['version']}/preview"
        body = {"variables": {**found["sample"], **pairs}} if pairs else {}
        data = api.post(path, body, repeat=True)
        out.result(data, lambda console: _show_preview(console, data))
        fail_if(any(data["problems"].values()))


def _version(api: Client, template: str, version: int | None) -> dict[str, Any]:
    path = f"/v1/templates/{segment(template)}"
    found: dict[str, Any] = api.get(path)["current"] if version is None else api.get(f"{path}/versions/{version}")
    return found


def _show_preview(console: Console, data: dict[str, Any]) -> None:
    _show_content(console, data["rendered"])
    for account, problems in data["problems"].items():
        for problem in problems:
            console.print(plain(f"{account}: {problem}"), style="red")
