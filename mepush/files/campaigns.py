"""Campaigns as people write them: a TOML file, options, or both; made into what the API takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from mepush.client.api import Client
from mepush.client.errors import FileError, UsageError
from mepush.files.audiences import check_file, format_of, upload
from mepush.files.toml import ANY, Fields, check_names, read_toml
from mepush.output import Output, parse_pairs, parse_time
from mepush.sheets.formats import FileFormat
from mepush.words import Duplicates, Overlap, Who

_ONE = "main"
"""The variant's name where there is just one."""
_EXPRESSIONS = ("cron", "at", "every")
_LOCAL = "path"
"""In an audience: a file of this machine, not uploaded yet."""
_EXAMPLE = "See examples/campaigns."

COLUMNS: Fields = {"to": None, "time_zone": None, "reference": None, "variables": ANY}
FOLLOWS: Fields = dict.fromkeys(("run", "campaign", "who", "after_hours"))
AUDIENCE: Fields = {"file": None, "format": None, "follows": FOLLOWS, "columns": COLUMNS}
SCHEDULE: Fields = dict.fromkeys(
    ("expression", "time_zone", "local", "starts_at", "ends_at", "window_minutes", "overlap")
)
VARIANT: Fields = dict.fromkeys(("name", "template", "version", "weight"))
STOP_RULE: Fields = dict.fromkeys(("after", "failures_percent", "complaints_percent", "undelivered_percent"))
FIELDS: Fields = {
    **dict.fromkeys(("id", "name", "throttle", "holdout_percent", "duplicates", "approve_above", "ttl")),
    "variants": [VARIANT],
    "audience": AUDIENCE,
    "variables": ANY,
    "schedule": SCHEDULE,
    "stop_rule": STOP_RULE,
}
"""What the API takes; a file may say some of it shorter."""
_SHORTER: Fields = {
    **FIELDS,
    **dict.fromkeys(("template", "version")),
    "audience": {**AUDIENCE, "object": None},
    "schedule": {**SCHEDULE, **dict.fromkeys(_EXPRESSIONS)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What options say of a campaign; None for what they leave open."""

    file: Annotated[
        Path | None, typer.Option("--file", exists=True, dir_okay=False, help="The campaign as a TOML file.")
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="What people call it; else its id.")] = None
    template: Annotated[str | None, typer.Option("--template", "-t", help="The template's id.")] = None
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Of --template; else the one published at each run.")
    ] = None
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar="NAME=TEMPLATE:WEIGHT", help="Split among templates; repeatable."),
    ] = None
    audience: Annotated[
        Path | None, typer.Option("--audience", metavar="FILE", help="A file of recipients, uploaded now.")
    ] = None
    object: Annotated[
        str | None, typer.Option("--object", metavar="NAME", help="Or one that is in the bucket; read at each run.")
    ] = None
    follows: Annotated[
        str | None,
        typer.Option("--follows", metavar="RUN", help="Or some of those of a run; or of a campaign's latest one."),
    ] = None
    who: Annotated[Who | None, typer.Option("--who", help="Of --follows: those whose message is so.")] = None
    after_hours: Annotated[
        int | None,
        typer.Option("--after-hours", min=0, help="Of --follows: once so much time has passed; else 24."),
    ] = None
    format: Annotated[FileFormat | None, typer.Option("--format", help="Where the file's name does not tell.")] = None
    to_column: Annotated[str | None, typer.Option("--to-column", metavar="NAME", help="Of addresses; else to.")] = None
    time_zone_column: Annotated[
        str | None, typer.Option("--time-zone-column", metavar="NAME", help="Of time zones as Asia/Shanghai.")
    ] = None
    reference_column: Annotated[
        str | None, typer.Option("--reference-column", metavar="NAME", help="Of your own word per row.")
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="VARIABLE=NAME", help="Where they are not called alike; repeatable."),
    ] = None
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A variable for all; repeatable.")
    ] = None
    cron: Annotated[str | None, typer.Option("--cron", metavar="FIELDS", help='As "0 9 ? * MON-FRI *".')] = None
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Once, as 2026-12-01T09:00.")] = None
    every: Annotated[str | None, typer.Option("--every", metavar="SPAN", help='As "1 day" or "6 hours".')] = None
    zone: Annotated[str | None, typer.Option("--zone", help="Of --cron and --at; else the settings'.")] = None
    local: Annotated[
        bool | None, typer.Option("--local/--no-local", help="The time is that of each recipient's own clock.")
    ] = None
    starts_at: Annotated[
        datetime | None, typer.Option("--starts-at", metavar="TIME", parser=parse_time, help="No run before.")
    ] = None
    ends_at: Annotated[
        datetime | None, typer.Option("--ends-at", metavar="TIME", parser=parse_time, help="No run after.")
    ] = None
    window: Annotated[int | None, typer.Option("--window", min=0, help="A run may start so many minutes late.")] = None
    overlap: Annotated[
        Overlap | None, typer.Option("--overlap", help="While the run before is not over: skip, or queue.")
    ] = None
    throttle: Annotated[int | None, typer.Option("--throttle", min=1, help="Messages a minute, at most.")] = None
    stop_failures: Annotated[
        float | None, typer.Option("--stop-failures", metavar="PERCENT", help="Pause when more failed.")
    ] = None
    stop_complaints: Annotated[
        float | None, typer.Option("--stop-complaints", metavar="PERCENT", help="Pause when more complained; else 0.3.")
    ] = None
    stop_undelivered: Annotated[
        float | None, typer.Option("--stop-undelivered", metavar="PERCENT", help="Pause when more came back; else 5.")
    ] = None
    stop_after: Annotated[
        int | None,
        typer.Option("--stop-after", min=1, metavar="MESSAGES", help="Once so many have an outcome; else 1000."),
    ] = None
    holdout: Annotated[
        float | None,
        typer.Option("--holdout", min=0, max=50, metavar="PERCENT", help="So many get nothing, to compare with."),
    ] = None
    duplicates: Annotated[
        Duplicates | None, typer.Option("--duplicates", help="An address twice: the first row counts, or each.")
    ] = None
    approve_above: Annotated[
        int | None,
        typer.Option("--approve-above", min=0, metavar="MESSAGES", help="Larger runs wait for another person."),
    ] = None
    ttl: Annotated[int | None, typer.Option("--ttl", min=10, help="Seconds to be sent in, once due.")] = None


def with_given(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a campaign, which it takes as one parameter, `given`."""
    options = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(Given)
    ]
    own = [
        each.replace(kind=Parameter.KEYWORD_ONLY)
        for each in signature(function).parameters.values()
        if each.name != "given"
    ]

    @wraps(function)
    def command(**values: Any) -> None:
        given = Given(**{each.name: values.pop(each.name) for each in options})
        function(**values, given=given)

    # Its parameters are not those of the command.
    del command.__wrapped__
    shown = [*own[:1], *options, *own[1:]]
    command.__signature__ = Signature(shown)  # type: ignore[attr-defined] # functions take it; typeshed does not say so
    command.__annotations__ = {each.name: each.annotation for each in shown}
    return command


def creation(id: str, given: Given) -> dict[str, Any]:
    """The request that saves a new campaign; its audience may be a file of this machine. Raises: FileError,
    UsageError, typer.BadParameter."""
    told = {} if given.file is None else read_campaign(given.file)
    if told.pop("id", id) != id:
        raise UsageError(f"{given.file} is of another campaign than {id}.", "Give its own id, or leave `id` out of it.")
    body = {"id": id, "name": id, **told}
    body |= _changes(given, body)
    if "variants" not in body:
        raise UsageError("The campaign has no template.", f"Give --template, --variant or --file. {_EXAMPLE}")
    if "audience" not in body:
        raise UsageError(
            "The campaign has no recipients.", f"Give --audience, --object, --follows or --file. {_EXAMPLE}"
        )
    _check_audience(body)
    return body


def edition(current: Mapping[str, Any], given: Given, clear: list[str]) -> dict[str, Any]:
    """The request that changes a campaign. current: as the API shows it. Raises: as `creation`."""
    told = {} if given.file is None else read_campaign(given.file)
    if told.pop("id", current["id"]) != current["id"]:
        raise UsageError(f"{given.file} is of another campaign than {current['id']}.", "Give that one's id.")
    changes = {**told, **_changes(given, {**current, **told})}
    if both := sorted(changes.keys() & set(clear)):
        raise UsageError(f"{both[0]} cannot be set and cleared at once.", "Leave one of them out.")
    changes |= dict.fromkeys(clear)
    if not changes:
        raise UsageError("There is nothing to change.", "Give --file, what is to be otherwise, or --clear.")
    _check_audience(changes)
    return changes


def settle_audience(api: Client, out: Output, body: dict[str, Any]) -> None:
    """Upload the audience if it is a file of this machine, and name it in the request. Raises: MepushError."""
    audience = body.get("audience")
    if audience is not None and _LOCAL in audience:
        path = audience[_LOCAL]
        kept = {name: value for name, value in audience.items() if name != _LOCAL}
        body["audience"] = {**kept, "file": upload(api, out, path, FileFormat(audience["format"]))}


def read_campaign(path: Path) -> dict[str, Any]:
    """A campaign's file, as the API has it, but that it says some things shorter.

    `audience.file` is a file of this machine, named from the campaign's file on; `audience.object` names one in the
    bucket. `template` and `version` stand for a single variant; `cron`, `at` or `every` for a schedule's expression.
    Raises: FileError, also naming each field that there is not; what its values must be the API says.
    """
    told = read_toml(path)
    check_names(path, "a campaign", told, _SHORTER)
    if "template" in told:
        if "variants" in told:
            raise FileError(f"{path} has both `template` and `variants`.", "Keep one of them.")
        told["variants"] = [_single(told.pop("template"), told.pop("version", None))]
    if "version" in told:
        raise FileError(f"{path} has a `version` and no `template`.", "Say it beside the variant's template.")
    if "audience" in told:
        told["audience"] = _audience(path, told["audience"])
    if "schedule" in told:
        told["schedule"] = _schedule(path, told["schedule"])
    return told


def _audience(path: Path, audience: dict[str, Any]) -> dict[str, Any]:
    if len(audience.keys() & {"file", "object", "follows"}) != 1:
        raise FileError(
            f"{path}: [audience] needs one of `file`, which is uploaded, `object`, which is in the bucket, and "
            "`follows`, which names a run."
        )
    if audience.get("format") not in (None, *FileFormat):
        raise FileError(f"{path}: audience.format must be {' or '.join(FileFormat)}.")
    if "follows" in audience:
        return audience
    if "object" in audience:
        file = audience.pop("object")
        return {**_formatted(str(file), audience), "file": file}
    local = path.parent / str(audience.pop("file"))
    return {**_formatted(local.name, audience), _LOCAL: local}


def _schedule(path: Path, schedule: dict[str, Any]) -> dict[str, Any]:
    named = [name for name in (*_EXPRESSIONS, "expression") if name in schedule]
    if len(named) != 1:
        raise FileError(f"{path}: [schedule] needs one of `cron`, `at` and `every`.", _EXAMPLE)
    value = str(schedule.pop(named[0]))
    return {"expression": value if named[0] == "expression" else _expression(named[0], value), **schedule}


def _expression(name: str, value: str) -> str:
    """The schedule expression that `--cron`, `--at` or `--every` stands for. Raises: typer.BadParameter."""
    value = value.strip()
    if name == "cron":
        return value if value.startswith("cron(") else f"cron({value})"
    if name == "every":
        return value if value.startswith("rate(") else f"rate({value})"
    try:
        at = datetime.fromisoformat(value.removeprefix("at(").removesuffix(")"))
    except ValueError:
        raise typer.BadParameter("give a time as 2026-12-01T09:00", param_hint="--at") from None
    if at.tzinfo is not None:
        raise typer.BadParameter(
            "give the time as a clock shows it, without an offset, and whose clock with --zone", param_hint="--at"
        )
    return f"at({at.replace(microsecond=0).isoformat()})"


def _changes(given: Given, before: Mapping[str, Any]) -> dict[str, Any]:
    """What options change of a campaign. before: what it is otherwise."""
    same = ("name", "throttle", "approve_above", "ttl")
    changes = {name: value for name in same if (value := getattr(given, name)) is not None}
    changes |= {} if given.holdout is None else {"holdout_percent": given.holdout}
    changes |= {} if given.duplicates is None else {"duplicates": given.duplicates.value}
    if given.var:
        changes["variables"] = {**(before.get("variables") or {}), **parse_pairs(given.var, "--var")}
    if variants := _variants(given, before):
        changes["variants"] = variants
    for name, made in (("audience", _given_audience), ("schedule", _given_schedule), ("stop_rule", _given_rule)):
        if value := made(given, before.get(name)):
            changes[name] = value
    return changes


def _variants(given: Given, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    if given.variant:
        if given.template is not None or given.version is not None:
            raise typer.BadParameter("belongs to --template; give either", param_hint="--variant")
        return [_variant(text) for text in given.variant]
    if given.template is not None:
        return [_single(given.template, given.version)]
    if given.version is not None:
        there = before.get("variants") or []
        if len(there) != 1:
            raise typer.BadParameter("belongs to --template", param_hint="--version")
        return [{**there[0], "version": given.version}]
    return []


def _single(template: Any, version: Any) -> dict[str, Any]:
    return {"name": _ONE, "template": template, **({} if version is None else {"version": version})}


def _variant(text: str) -> dict[str, Any]:
    """`name=template:weight`, where the template may be followed by `@version`. Raises: typer.BadParameter."""
    name, equals, rest = text.partition("=")
    named, _, weight = rest.partition(":")
    template, _, version = named.partition("@")
    if not equals or not template or not (weight or "1").isdecimal() or not (version or "1").isdecimal():
        raise typer.BadParameter("give it as name=template:weight, as a=spring-sale:50", param_hint="--variant")
    numbers = {"version": version, "weight": weight}
    return {"name": name, "template": template, **{key: int(value) for key, value in numbers.items() if value}}


def _given_audience(given: Given, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    sources = {"--audience": given.audience, "--object": given.object, "--follows": given.follows}
    named_sources = [name for name, value in sources.items() if value is not None]
    if len(named_sources) > 1:
        raise typer.BadParameter("give one of --audience, --object and --follows", param_hint=named_sources[1])
    named = {"to": given.to_column, "time_zone": given.time_zone_column, "reference": given.reference_column}
    columns: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    there = {} if before is None else dict(before)
    if given.column:
        variables = (there.get("columns") or {}).get("variables") or {}
        columns["variables"] = {**variables, **parse_pairs(given.column, "--column")}
    follows = _given_follows(given, there.get("follows"))
    if not columns and not named_sources and given.format is None and follows is None:
        return None
    if columns:
        there["columns"] = {**(there.get("columns") or {}), **columns}
    if named_sources:
        there = {name: value for name, value in there.items() if name not in (_LOCAL, "file", "format", "follows")}
    if follows is not None:
        return {**there, "follows": follows}
    if given.format is not None:
        there["format"] = given.format.value
    if given.audience is not None:
        return {**_formatted(given.audience.name, there), _LOCAL: given.audience}
    if given.object is not None:
        return {**_formatted(given.object, there), "file": given.object}
    return there


def _given_follows(given: Given, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The run that is followed. before: the one that was. Raises: typer.BadParameter, UsageError."""
    changes: dict[str, Any] = {} if given.who is None else {"who": given.who.value}
    changes |= {} if given.after_hours is None else {"after_hours": given.after_hours}
    if given.follows is None:
        if changes and not before:
            raise UsageError("The campaign follows no run.", "Name one with --follows, or leave --who out.")
        return {**before, **changes} if changes and before else None
    told = {name: value for name, value in (before or {}).items() if name in ("who", "after_hours")}
    who = {**told, **changes}
    if "who" not in who:
        raise typer.BadParameter("say which of its people: --who not_opened, say", param_hint="--follows")
    # A run's id has a dot in it, and no campaign's has.
    return {"run" if "." in given.follows else "campaign": given.follows, **who}


def _formatted(name: str, audience: dict[str, Any]) -> dict[str, Any]:
    """An audience with its format, by the file's name if nothing else says it. Raises: UsageError."""
    if audience.get("format") is not None:
        return audience
    found = format_of(name)
    if found is None:
        raise UsageError(
            f"The name {name} does not say how the file is written.", "Give --format csv or --format ndjson."
        )
    return {**audience, "format": found.value}


def _given_schedule(given: Given, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    texts = [(name, value) for name in _EXPRESSIONS if (value := getattr(given, name)) is not None]
    if len(texts) > 1:
        raise typer.BadParameter("give one of --cron, --at and --every", param_hint=f"--{texts[1][0]}")
    others: dict[str, Any] = {"time_zone": given.zone, "local": given.local, "window_minutes": given.window}
    others |= {"overlap": None if given.overlap is None else given.overlap.value}
    others |= {name: at and at.isoformat() for name, at in (("starts_at", given.starts_at), ("ends_at", given.ends_at))}
    changes = {name: value for name, value in others.items() if value is not None}
    if not texts and not changes:
        return None
    if not texts and before is None:
        raise UsageError("The campaign has no schedule to change.", "Give --cron, --at or --every with it.")
    there = {name: value for name, value in (before or {}).items() if name != "next" and value is not None}
    if texts:
        # Another time begins and ends anew.
        there = {name: value for name, value in there.items() if name not in ("starts_at", "ends_at")}
        there["expression"] = _expression(*texts[0])
    return {**there, **changes}


def _given_rule(given: Given, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    named = {"failures_percent": given.stop_failures, "complaints_percent": given.stop_complaints}
    named |= {"undelivered_percent": given.stop_undelivered, "after": given.stop_after}
    changes = {name: value for name, value in named.items() if value is not None}
    return {**(before or {}), **changes} if changes else None


def _check_audience(body: Mapping[str, Any]) -> None:
    """See whether a file of this machine can be uploaded as the audience. Raises: FileError."""
    audience = body.get("audience")
    if audience is not None and _LOCAL in audience:
        check_file(audience[_LOCAL], FileFormat(audience["format"]), audience.get("columns") or {})
