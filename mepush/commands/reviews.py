"""`mepush template submit`, `approve` and `reject`: the review of a version. They join the group of `templates`."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import segment
from mepush.commands.templates import TemplateArgument, app, show_review
from mepush.output import JsonOption, KeyOption, UrlOption, plain, session

__all__ = ["app"]

VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Else the latest.")]


@app.command("submit")
def submit(
    template: TemplateArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a review of a version; after a rejection, too."""
    _review("submit", template, version, None, (url, key, as_json))


@app.command("approve")
def approve(
    template: TemplateArgument,
    version: VersionOption = None,
    comment: Annotated[str, typer.Option("--comment", help="What there is to say.")] = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a version; needs the key of another person than its author and its submitter."""
    _review("approve", template, version, {"comment": comment}, (url, key, as_json))


@app.command("reject")
def reject(
    template: TemplateArgument,
    comment: Annotated[str, typer.Option("--comment", help="What is wrong.")],
    version: VersionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a version that is not published yet, and say why."""
    _review("reject", template, version, {"comment": comment}, (url, key, as_json))


def _review(
    what: str,
    template: str,
    version: int | None,
    body: dict[str, Any] | None,
    options: tuple[str | None, str | None, bool],
) -> None:
    with session(*options) as (api, out):
        path = f"/v1/templates/{segment(template)}"
        number = api.get(path)["latest"] if version is None else version
        data = api.post(f"{path}/versions/{number}/{what}", body)

        def show(console: Console) -> None:
            console.print(plain(f"{template} version {number}"))
            show_review(console, data)

        out.result(data, show)
