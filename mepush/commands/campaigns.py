"""`mepush campaign`: what goes to many recipients of a file, when, and how it is going."""

from collections import Counter
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import UsageError
from mepush.commands.recall import DONE
from mepush.commands.watching import watch as watch_run
from mepush.files.campaigns import Given, creation, edition, settle_audience, with_given
from mepush.files.rejects import save_rejects
from mepush.output import JsonOption, KeyOption, Output, UrlOption, fail_if, parse_pairs, plain, row, session, table
from mepush.views import campaigns as views

app = typer.Typer(no_args_is_help=True, help="Campaigns: check a file, send to it, watch, pause and report.")

CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id; or a campaign's, for the run that is not over.")
]
LastArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; or a campaign's, for its latest run.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Look at it until it is over; Ctrl-C leaves it be.")]
_RUN = "."
"""What stands in a run's id between its campaign and the rest, and in no campaign's."""


class Clearable(StrEnum):
    """What can be taken away from a campaign."""

    SCHEDULE = "schedule"
    THROTTLE = "throttle"
    STOP_RULE = "stop_rule"
    HOLDOUT = "holdout_percent"
    APPROVAL = "approve_above"
    TTL = "ttl"
    VARIABLES = "variables"


@app.command("create", short_help="Save a campaign, from a file or from options.")
@with_given
def create(
    campaign: CampaignArgument,
    given: Given,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a campaign, from a file (--file), from options, or from both: options count more.

    A file of recipients on this machine is uploaded. Nothing is sent before a run starts.
    """
    with session(url, key, as_json) as (api, out):
        body = creation(campaign, given)
        settle_audience(api, out, body)
        data = api.post("/v1/campaigns", body, repeat=True)
        out.result(data, lambda console: views.show_campaign(console, data))
        out.say(f"\nRead the whole file without sending anything: `mepush campaign check {campaign}`")


@app.command("edit", short_help="Change a campaign; what is not given stays.")
@with_given
def edit(
    campaign: CampaignArgument,
    given: Given,
    clear: Annotated[
        list[Clearable] | None, typer.Option("--clear", metavar="WHAT", help="Take it away; repeatable.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a campaign; what is not given stays. Runs that have started keep what they started with."""
    with session(url, key, as_json) as (api, out):
        current = api.get(_campaign(campaign))
        body = edition(current, given, [each.value for each in clear or []])
        settle_audience(api, out, body)
        data = api.patch(_campaign(campaign), body)
        out.result(data, lambda console: views.show_campaign(console, data))


@app.command("list")
def list_campaigns(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the campaigns, and when their next runs start."""
    with session(url, key, as_json) as (api, out):
        found = list(api.pages("/v1/campaigns", "campaigns"))
        out.result({"campaigns": found}, lambda console: views.show_campaigns(console, found))


@app.command("show")
def show(campaign: CampaignArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show a campaign, and when its next five runs start."""
    with session(url, key, as_json) as (api, out):
        data = api.get(_campaign(campaign))
        out.result(data, lambda console: views.show_campaign(console, data))


@app.command("check", short_help="Read the whole file and report, without sending.")
def check(
    campaign: CampaignArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Read the whole file of recipients and say what would be sent, without sending anything.

    Exit code 1 if the file cannot be used as a whole; not for rows that were rejected.
    """
    with session(url, key, as_json) as (api, out):
        run = api.post(f"{_campaign(campaign)}/check")
        found = watch_run(api, out, run, "The check goes on, and sends nothing.")
        out.result(found, lambda console: views.show_check(console, found))
        fail_if(found["state"] not in views.GOOD_ENDS)


@app.command("test", short_help="Send its message to some addresses first.")
def test(
    campaign: CampaignArgument,
    to: Annotated[list[str], typer.Option("--to", help="An address; repeatable.")],
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Instead of the file's; repeatable.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send each template's message to some addresses first, with the variables of the file's first good row."""
    variables = parse_pairs(var or [], "--var")
    with session(url, key, as_json) as (api, out):
        # Not repeated by itself: each time sends anew.
        data = api.post(f"{_campaign(campaign)}/test", {"to": to, "variables": variables})
        out.result(data, lambda console: _show_test(console, data["messages"]))
        fail_if(any(each["message_id"] is None for each in data["messages"]))


@app.command("run", short_help="Start a run now.")
def run(
    campaign: CampaignArgument,
    watch: WatchOption = False,
    throttle: Annotated[
        int | None, typer.Option("--throttle", min=1, help="Messages a minute for this run, at most.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run now. With --watch: exit code 0 only if it finishes."""
    with session(url, key, as_json) as (api, out):
        # Another run is not started meanwhile, so a lost answer does no harm: the next try says what goes on.
        data = api.post(f"{_campaign(campaign)}/runs", {} if throttle is None else {"throttle": throttle})
        if watch:
            _watch(api, out, data)
        else:
            out.result(data, lambda console: views.show_status(console, data))
            out.say(f"\nLook at it: `mepush campaign watch {data['id']}`")


@app.command("runs")
def runs(
    campaign: CampaignArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a campaign's runs, the newest first."""
    with session(url, key, as_json) as (api, out):
        found = list(islice(api.pages(f"{_campaign(campaign)}/runs", "runs", min(limit + 1, 100)), limit + 1))
        shown, more = found[:limit], len(found) > limit
        out.result({"runs": shown, "more": more}, lambda console: views.show_runs(console, shown, more))


@app.command("watch", short_help="Look at a run until it is over.")
def watch(what: LastArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Look at a run until it is over, then show its report; Ctrl-C leaves it going.

    Away from a terminal it also ends, with exit code 1, when the run waits for a person: paused, or to be approved.
    """
    with session(url, key, as_json) as (api, out):
        _watch(api, out, api.get(_latest(api, what)))


@app.command("status")
def status(what: LastArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show how far a run is, in a few lines."""
    with session(url, key, as_json) as (api, out):
        data = api.get(_latest(api, what))
        out.result(data, lambda console: views.show_status(console, data))


@app.command("report", short_help="Show all that is known of a run.")
def report(what: LastArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of a run: its file, its messages, variants, fees, and why some were not sent."""
    with session(url, key, as_json) as (api, out):
        data = api.get(_latest(api, what))
        out.result(data, lambda console: views.show_report(console, data))


@app.command("pause", short_help="Hold a run within 5 seconds.")
def pause(what: RunArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Hold a run within 5 seconds, with all that it has queued."""
    _act(url, key, as_json, what, "pause")


@app.command("resume")
def resume(what: RunArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Go on with a run that is paused, where it was."""
    _act(url, key, as_json, what, "resume")


@app.command("cancel", short_help="End a run for good within 5 seconds.")
def cancel(what: RunArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """End a run for good within 5 seconds; what it has queued is recalled."""
    _act(url, key, as_json, what, "cancel")


@app.command("recall", short_help="Have WeCom take back what a run has sent.")
def recall(what: LastArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Have WeCom take back what a run has sent, once it is over: cancel it first, which recalls what is not sent.

    Exit code 1 if not all was taken back. It can be run again, and should be while messages are in progress.
    """
    with session(url, key, as_json) as (api, out):
        path, counts, cursor = _latest(api, what), Counter[str](), ""
        while True:
            found = api.post(f"{path}/recall{cursor}", repeat=True)
            counts.update(found["counts"])
            if found["cursor"] is None:
                break
            cursor = f"?cursor={segment(found['cursor'])}"
        data = {"run": found["run"], "counts": dict(counts)}
        words = ", ".join(f"{count:,} {result}" for result, count in sorted(counts.items())) or "nothing was sent"
        out.result(data, lambda console: console.print(plain(f"{found['run']}: {words}")))
        fail_if(any(result not in DONE for result in counts))


@app.command("approve")
def approve(what: RunArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Let a large run begin; not with the key that started it."""
    _act(url, key, as_json, what, "approve")


@app.command("throttle")
def throttle(
    what: RunArgument,
    rate: Annotated[str, typer.Argument(metavar="N|none", help="Messages a minute, at most; or none.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change how fast a run goes, at once."""
    if rate != "none" and not (rate.isascii() and rate.isdecimal()):
        raise typer.BadParameter("give a number of messages a minute, or none", param_hint="N|none")
    with session(url, key, as_json) as (api, out):
        data = api.patch(_active(api, what), {"throttle": None if rate == "none" else int(rate)})
        out.result(data, lambda console: views.show_status(console, data))


@app.command("rejects", short_help="Write the rejected rows into a CSV file.")
def rejects(
    what: LastArgument,
    to: Annotated[Path, typer.Option("--out", dir_okay=False, help="The CSV file to write.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the rows that were rejected into a CSV file: row, reason, what is wrong, and the row's own cells."""
    with session(url, key, as_json) as (api, out):
        path = _latest(api, what)
        id = path.rpartition("/")[2]
        rows, _ = save_rejects(api, id, to, lambda rows: out.say(f"{rows:,} rows so far") if rows > 10_000 else None)
        text = f"{rows:,} rejected rows in {to}" if rows else f"No row was rejected; {to} is empty."
        out.result({"run": id, "file": str(to), "rows": rows}, lambda console: console.print(plain(text)))


@app.command("unschedule", short_help="Take a campaign's schedule away.")
def unschedule(
    campaign: CampaignArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Take a campaign's schedule away; a run that goes on, goes on."""
    with session(url, key, as_json) as (api, out):
        data = api.patch(_campaign(campaign), {"schedule": None})
        out.result(data, lambda console: views.show_campaign(console, data))


@app.command("archive", short_help="Have a campaign start no more runs, for good.")
def archive(
    campaign: CampaignArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Have a campaign start no more runs, for good; a run that goes on, goes on."""
    with session(url, key, as_json) as (api, out):
        data = api.post(f"{_campaign(campaign)}/archive", repeat=True)
        out.result(data, lambda console: console.print(plain(f"{campaign} is archived")))


def _act(url: str | None, key: str | None, as_json: bool, what: str, action: str) -> None:
    with session(url, key, as_json) as (api, out):
        data = api.post(f"{_active(api, what)}/{action}", repeat=True)
        out.result(data, lambda console: views.show_status(console, data))


def _watch(api: Client, out: Output, run: dict[str, Any]) -> None:
    """Look at a run until it is over; the command then ends with 1 unless all went well."""
    found = watch_run(api, out, run)
    out.result(found, lambda console: views.show_report(console, found))
    fail_if(found["state"] not in views.GOOD_ENDS)


def _campaign(id: str) -> str:
    return f"/v1/campaigns/{segment(id)}"


def _run(id: str) -> str:
    return f"/v1/runs/{segment(id)}"


def _active(api: Client, what: str) -> str:
    """The path of a run, or of a campaign's that is not over. Raises: ApiError, UsageError."""
    if _RUN in what:
        return _run(what)
    found = api.get(_campaign(what))["active_run"]
    if found is None:
        raise UsageError(f"No run of {what} is going on.", f"`mepush campaign runs {what}` lists those that were.")
    return _run(found)


def _latest(api: Client, what: str) -> str:
    """The path of a run, or of a campaign's that is not over, or else of its latest. Raises: as `_active`."""
    if _RUN in what:
        return _run(what)
    found = api.get(_campaign(what))["active_run"]
    if found is None:
        latest = api.get(f"{_campaign(what)}/runs", limit=1)["runs"]
        if not latest:
            raise UsageError(f"There was no run of {what}.", f"Start one: `mepush campaign run {what}`")
        found = latest[0]["id"]
    return _run(found)


def _show_test(console: Console, messages: list[dict[str, Any]]) -> None:
    made = table("to", "variant", "message", "what is wrong")
    for each in messages:
        row(made, each["to"], each["variant"], each["message_id"], each["problem"])
    console.print(made)
    if sent := next((each for each in messages if each["message_id"]), None):
        console.print(plain(f"See what became of it: `mepush trace {sent['message_id']}`"), soft_wrap=True)
