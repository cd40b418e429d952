"""How campaigns, checks and runs look to a person."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from mepush.output import plain, row, table
from mepush.views.messages import moment
from mepush.views.timelines import style_of
from mepush.words import FIRST_ZONE

GOOD_ENDS = frozenset({"checked", "finished"})
_SENT = frozenset({"sent"})
_FAILED = frozenset({"failed", "unknown", "dead_lettered"})
_STYLES = {
    **dict.fromkeys(GOOD_ENDS, "green"),
    **dict.fromkeys(("failed", "cancelled", "skipped"), "red"),
    **dict.fromkeys(("paused", "awaiting_approval", "waiting"), "yellow"),
}
_OVERLAPS = {"skip": "is left out while the run before is not over", "queue": "waits for the run before"}


def span(seconds: float) -> str:
    """So many seconds, in words: the two largest units."""
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])


def money(fees: Iterable[Mapping[str, Any]]) -> str:
    """What providers charge, by currency; which of the accounts nothing is known of."""
    sums: dict[str, float] = {}
    unknown = []
    for fee in fees:
        if fee["amount"] is None:
            unknown.append(fee["account"])
        elif fee["amount"]:
            sums[fee["currency"] or ""] = sums.get(fee["currency"] or "", 0.0) + fee["amount"]
    words = [f"{_amount(amount)} {currency}".strip() for currency, amount in sorted(sums.items())]
    if unknown:
        named = ", ".join(sorted(set(unknown)))
        words.append(f"not known for {named} (set it with `mepush account fee`)")
    return " + ".join(words) or "none"


def _amount(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"


def counted(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Outcomes as sent, failed and other."""
    sent = sum(n for stage, n in outcomes.items() if stage in _SENT)
    failed = sum(n for stage, n in outcomes.items() if stage in _FAILED)
    return {"sent": sent, "failed": failed, "other": sum(outcomes.values()) - sent - failed}


def show_campaign(console: Console, data: Mapping[str, Any]) -> None:
    """A campaign, line by line, with its next firings."""
    archived = ", archived" if data["archived"] else ""
    console.print(plain(f"{data['id']}: {data['name']} ({data['channel']}, {data['class']}{archived})"), style="bold")
    for name, words in _facts(data):
        console.print(plain(f"{name + ':':12} {words}"), soft_wrap=True)
    for at in _firings(data["schedule"]):
        console.print(f"{'':12} {at}")


def _facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    audience = data["audience"]
    facts = [("template", _variant(each, data["variants"])) for each in data["variants"]]
    if follows := audience.get("follows"):
        facts.append(("audience", _followed(follows)))
    else:
        facts.append(("audience", f"{audience['file']} ({audience['format']}); {_columns(audience['columns'])}"))
    if data["variables"]:
        facts.append(("variables", ", ".join(f"{name}={value}" for name, value in data["variables"].items())))
    facts.append(("throttle", _rate(data["throttle"])))
    if rule := data["stop_rule"]:
        facts.append(("stop rule", _rule(rule)))
    if data["holdout_percent"]:
        facts.append(("held out", f"{data['holdout_percent']:g}% of the recipients"))
    first = data["duplicates"] == "first"
    facts.append(("duplicates", "the first row of an address counts" if first else "each row is sent"))
    if data["approve_above"] is not None:
        facts.append(("approval", f"for runs of more than {data['approve_above']:,} messages, by another person"))
    if data["ttl"] is not None:
        facts.append(("ttl", f"{span(data['ttl'])} to be sent in"))
    if data["active_run"]:
        facts.append(("run", f"{data['active_run']} is not over"))
    facts.append(("schedule", _schedule(data["schedule"])))
    return facts


_WHO = {
    "failed": "those to whom it failed",
    "undelivered": "those from whom it came back",
    "no_receipt": "those of whom no receipt came",
    "not_opened": "those who have not opened it",
    "not_clicked": "those who have not clicked in it",
}


def _followed(follows: Mapping[str, Any]) -> str:
    """Whom a run is for that follows another, in words."""
    which = follows.get("run") or f"the latest of {follows['campaign']}"
    after = follows.get("after_hours")
    words = "" if after is None else f", {after:,} hours after it was sent" if after else ", however late it was sent"
    return f"of the run {which}, {_WHO.get(follows['who'], follows['who'])}{words}"


def _variant(variant: Mapping[str, Any], all_: list[Any]) -> str:
    version = "as published at each run" if variant["version"] is None else f"v{variant['version']}"
    if len(all_) == 1:
        return f"{variant['template']}, {version}"
    share = 100 * variant["weight"] / sum(each["weight"] for each in all_)
    return f"{variant['name']} = {variant['template']}, {version}, {share:.3g}% of the recipients"


def _columns(columns: Mapping[str, Any]) -> str:
    words = [f"addresses in `{columns['to']}`"]
    words += [
        f"{what} in `{columns[name]}`"
        for name, what in (("time_zone", "time zones"), ("reference", "references"))
        if columns.get(name)
    ]
    words += [f"{variable} in `{column}`" for variable, column in (columns.get("variables") or {}).items()]
    return ", ".join(words)


def _rate(throttle: int | None) -> str:
    return "none" if throttle is None else f"{throttle:,} messages a minute"


def _rule(rule: Mapping[str, Any]) -> str:
    named = (
        ("failures_percent", "failed"),
        ("complaints_percent", "were complained about"),
        ("undelivered_percent", "came back"),
    )
    limits = [f"more than {rule[name]:g}% {what}" for name, what in named if rule.get(name) is not None]
    return f"pauses once {rule['after']:,} messages have an outcome and {' or '.join(limits)}"


def _schedule(schedule: Mapping[str, Any] | None) -> str:
    if schedule is None:
        return "none; runs are started by hand"
    clock = "by each recipient's own clock, else " if schedule["local"] else ""
    words = [f"{schedule['expression']}, {clock}in {schedule['time_zone']}"]
    for name, what in (("starts_at", "from"), ("ends_at", "until")):
        if schedule[name]:
            words.append(f"{what} {in_zone(schedule[name], schedule['time_zone'])}")
    if schedule["window_minutes"]:
        words.append(f"up to {schedule['window_minutes']} min late")
    words.append(f"a run {_OVERLAPS[schedule['overlap']]}")
    first = f" (as clocks show it in {FIRST_ZONE}, where it is that time first)" if schedule["local"] else ""
    words.append(f"next{first}:" if schedule["next"] else "no more runs")
    return "; ".join(words)


def _firings(schedule: Mapping[str, Any] | None) -> list[str]:
    if schedule is None:
        return []
    zone = FIRST_ZONE if schedule["local"] else schedule["time_zone"]
    return [in_zone(at, zone) for at in schedule["next"]]


def in_zone(text: str, zone: str) -> str:
    """A time of the API as the clocks of a zone show it."""
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z")
    except (KeyError, ValueError, OSError):
        # This machine may not know the zone.
        return at.strftime("%a %Y-%m-%d %H:%M UTC")


def show_campaigns(console: Console, campaigns: list[dict[str, Any]]) -> None:
    """Campaigns, one a line."""
    if not campaigns:
        console.print("There are no campaigns; make one with `mepush campaign create`.")
        return
    made = table("campaign", "name", "channel", "template", "next run (UTC)", "now")
    for each in campaigns:
        schedule = each["schedule"]
        at = moment(schedule["next"][0])[:16] if schedule and schedule["next"] else None
        now = "archived" if each["archived"] else "a run is going on" if each["active_run"] else None
        templates = ", ".join(variant["template"] for variant in each["variants"])
        row(made, each["id"], each["name"], each["channel"], templates, at, now)
    console.print(made)


def show_runs(console: Console, runs: list[dict[str, Any]], more: bool) -> None:
    """A campaign's runs, the newest first."""
    if not runs:
        console.print("There were no runs.")
        return
    made = table("run", "for", "state", "fired (UTC)", "over (UTC)", "messages")
    for each in runs:
        over = moment(each["over_at"])[:19] if each["over_at"] else None
        messages = None if each["messages"] is None else f"{each['messages']:,}"
        row(made, each["id"], each["purpose"], each["state"], moment(each["fired_at"])[:19], over, messages)
    console.print(made)
    if more:
        console.print("There are more; raise --limit.")


def show_check(console: Console, run: Mapping[str, Any]) -> None:
    """What reading the whole file found."""
    _show_head(console, run)
    _show_follows(console, run)
    if run["check"] is not None:
        _show_file(console, run["check"], run["id"], run["check"]["estimate"])


def _show_follows(console: Console, run: Mapping[str, Any]) -> None:
    """Who of the run that is followed is written to again, and why the others are not."""
    follows = run["follows"]
    if follows is None:
        return
    console.rule("The run before", align="left")
    console.print(plain(_followed({**follows, "campaign": None})), soft_wrap=True)
    if follows["warning"]:
        console.print(plain(follows["warning"]), style="yellow", soft_wrap=True)
    if follows["rows"] is None:
        return
    made = table("of its rows", "", "")
    made.columns[1].justify = "right"
    row(made, "all", f"{follows['rows']:,}", "")
    row(made, "picked", f"{follows['picked']:,}", "They are written to again, if they can be sent to.")
    for each in follows["others"]:
        row(made, each["why"].replace("_", " "), f"{each['rows']:,}", each["explanation"])
    console.print(made)


def _show_file(console: Console, check: Mapping[str, Any], run: str, estimate: Mapping[str, Any] | None = None) -> None:
    rejected = sum(each["rows"] for each in check["rejected"])
    made = table("", "", "")
    made.show_header = False
    made.columns[1].justify = "right"
    row(made, "rows", f"{check['rows']:,}", "")
    row(made, "rejected", f"{rejected:,}", "cannot be sent; see below" if rejected else "")
    row(made, "duplicates", f"{check['duplicates']:,}", "of an address that stands further up")
    if check["held_out"]:
        row(made, "held out", f"{check['held_out']:,}", "get nothing, to compare with")
    row(made, "messages", f"{check['messages']:,}", "")
    if check["suppressed"]:
        row(made, "suppressed", f"{check['suppressed']:,}", "of the messages: they will not be sent")
    if estimate is not None:
        row(made, "fees", "", money(estimate["fees"]))
        row(made, "time", "", _time(estimate))
    console.print(made)
    if check["rejected"]:
        console.print()
        _show_rejected(console, check["rejected"], run)


def _time(estimate: Mapping[str, Any]) -> str:
    if estimate["seconds"] is None:
        return "not known: neither a throttle nor a rate of the accounts bounds it"
    rate = estimate["per_second"]
    at = f", at {rate * 60:,.0f} messages a minute" if rate else ""
    return f"{span(estimate['seconds'])}{at}; quiet hours and tries that fail come on top"


def _show_rejected(console: Console, rejected: list[dict[str, Any]], run: str) -> None:
    made = table("rejected because", "rows", "for example, row", "what is wrong")
    made.columns[1].justify = "right"
    for each in rejected:
        reason = f"{each['reason']} ({each['variable']})" if each["variable"] else each["reason"]
        samples = each["samples"] or [{"row": None, "problem": each["explanation"]}]
        row(made, reason, f"{each['rows']:,}", samples[0]["row"], samples[0]["problem"])
        for sample in samples[1:]:
            row(made, "", "", sample["row"], sample["problem"])
    console.print(made)
    console.print()
    for reason, words in {each["reason"]: each["explanation"] for each in rejected}.items():
        console.print(plain(f"{reason}: {words}"), soft_wrap=True)
    console.print(
        plain(
            "Rows are numbered as a spreadsheet shows them, where the header is row 1 (line-delimited JSON: by line). "
            "All rejected rows: "
            f"`mepush campaign rejects {run} --out rejects.csv`"
        ),
        soft_wrap=True,
    )


def _show_head(console: Console, run: Mapping[str, Any]) -> None:
    state = run["state"]
    console.print(plain(f"{run['id']}  {state.replace('_', ' ')}"), style=f"bold {_STYLES.get(state, '')}".strip())
    if run["problem"]:
        console.print(plain(run["problem"]), soft_wrap=True)
    if advice := advice_of(run):
        console.print(plain(advice), soft_wrap=True)


def advice_of(run: Mapping[str, Any]) -> str:
    """What to do about a run that waits for a person; empty for none."""
    if run["state"] == "paused":
        return f"Go on with `mepush campaign resume {run['id']}`, or end it with `mepush campaign cancel {run['id']}`."
    if run["state"] == "awaiting_approval":
        return (
            "It waits for another person than the one who started it, who approves it with a key of their own: "
            f"`mepush campaign approve {run['id']}`; or end it with `mepush campaign cancel {run['id']}`."
        )
    return ""


def facts_of(run: Mapping[str, Any]) -> str:
    """How far a run is, in one line."""
    progress = run["progress"]
    if run["state"] in ("planning", "checking") or progress["planned"] is None:
        return f"{progress['rows_read']:,} rows read"
    if run["purpose"] == "check":
        return f"{progress['rows_read']:,} rows read, {progress['planned']:,} messages"
    words = [f"{progress['planned']:,} planned", f"{progress['accepted']:,} accepted"]
    words += [f"{n:,} {name}" for name, n in counted(progress["outcomes"]).items() if n or name != "other"]
    return ", ".join(words)


def pace_of(run: Mapping[str, Any]) -> str:
    """How fast a run goes and how long it will take, as far as is known."""
    progress = run["progress"]
    if run["state"] != "sending":
        return ""
    words = [] if not progress["per_minute"] else [f"{progress['per_minute']:,.0f} a minute"]
    words += [] if progress["seconds_left"] is None else [f"{span(progress['seconds_left'])} left"]
    return ", ".join(words)


def show_status(console: Console, run: Mapping[str, Any]) -> None:
    """Where a run stands, in a few lines."""
    _show_head(console, run)
    console.print(plain(", ".join(word for word in (facts_of(run), pace_of(run)) if word)), soft_wrap=True)
    if run["purpose"] == "send" and run["state"] not in GOOD_ENDS:
        console.print(f"throttle: {_rate(run['throttle'])}")


def show_report(console: Console, run: Mapping[str, Any]) -> None:
    """All that is known of a run."""
    if run["purpose"] == "check":
        show_check(console, run)
        return
    _show_head(console, run)
    _show_course(console, run)
    _show_follows(console, run)
    if run["check"] is not None:
        console.rule("The file", align="left")
        # Once it sends, what it really takes counts.
        _show_file(console, run["check"], run["id"], None if run["started_at"] else run["check"]["estimate"])
    if run["started_at"]:
        console.rule("Messages", align="left")
        _show_messages(console, run)


def _show_course(console: Console, run: Mapping[str, Any]) -> None:
    words = [f"campaign {run['campaign']}", f"fired {moment(run['fired_at'])[:19]} UTC by {run['started_by']}"]
    words += [f"approved by {run['approved_by']}"] if run["approved_by"] else []
    words += ["test key: nobody gets anything"] if run["kind"] == "test" else []
    words += [f"over {moment(run['over_at'])[:19]} UTC"] if run["over_at"] else []
    console.print(plain(" · ".join(words)), style="dim", soft_wrap=True)


def _show_messages(console: Console, run: Mapping[str, Any]) -> None:
    progress = run["progress"]
    accepted = progress["accepted"]
    made = table("", "messages", "share")
    for column in made.columns[1:]:
        column.justify = "right"
    for name, n in (("accepted", accepted), *sorted(progress["outcomes"].items(), key=lambda pair: -pair[1])):
        made.add_row(plain(name), f"{n:,}", _share(n, accepted), style=style_of(name) if name != "accepted" else None)
    row(made, "in flight", f"{progress['in_flight']:,}", _share(progress["in_flight"], accepted))
    console.print(made)
    console.print(plain(f"time {_duration(run)}, fees {money(run['fees'])}"))
    if run["receipts"]:
        console.rule("What was said of those that were sent", align="left")
        _show_receipts(console, run["receipts"], counted(progress["outcomes"])["sent"])
    if len(run["variants"]) > 1:
        console.rule("Variants", align="left")
        _show_variants(console, run["variants"])
    if run["reasons"]:
        console.rule("Why some were not sent, or came back", align="left")
        _show_reasons(console, run["reasons"])


def _duration(run: Mapping[str, Any]) -> str:
    if run["seconds"] is None:
        return pace_of(run) or "not over"
    sent = counted(run["progress"]["outcomes"])["sent"]
    rate = f" ({sent * 60 / run['seconds']:,.0f} sent a minute)" if run["seconds"] and sent else ""
    return f"{span(run['seconds'])}{rate}"


_RECEIPTS = {
    "delivered": "",
    "undelivered": "came back for good",
    "undelivered.transient": "came back for now, as from a full mailbox; each time counts",
    "delayed": "the provider goes on trying; each time counts",
    "opened": "",
    "clicked": "",
    "acknowledged": "said that they have it",
    "complained": "reported it as spam",
    "unsubscribed": "",
}


def _show_receipts(console: Console, receipts: Mapping[str, int], sent: int) -> None:
    """What providers and people said of messages after they were sent, with its share of those."""
    made = table("", "messages", "share", "")
    for column in made.columns[1:3]:
        column.justify = "right"
    for name, words in _RECEIPTS.items():
        if n := receipts.get(name, 0):
            row(made, name.replace(".transient", " for now"), f"{n:,}", _share(n, sent), words)
    console.print(made)


def _show_variants(console: Console, variants: list[dict[str, Any]]) -> None:
    order = (
        *("sent", "delivered", "opened", "clicked", "acknowledged"),
        *("undelivered", "complained", "unsubscribed", "failed"),
    )
    there = {stage for each in variants for stage in each["stages"]}
    stages = [stage for stage in order if stage in there]
    made = table("variant", "template", "weight", "accepted", *stages)
    for column in made.columns[2:]:
        column.justify = "right"
    for each in variants:
        cells = [_counted(each["stages"].get(stage, 0), each["accepted"]) for stage in stages]
        template = f"{each['template']} v{each['version']}"
        row(made, each["name"], template, each["weight"], f"{each['accepted']:,}", *cells)
    console.print(made)


def _show_reasons(console: Console, reasons: list[dict[str, Any]]) -> None:
    made = table("end", "reason", "messages", "what it means, and what to do")
    made.columns[2].justify = "right"
    for each in reasons:
        words = f"{each['explanation']} {each['action']}".strip()
        row(made, each["stage"], each["reason"], f"{each['messages']:,}", words)
    console.print(made)


def _counted(n: int, accepted: int) -> str:
    return f"{n:,} ({_share(n, accepted)})"


def _share(n: int, whole: int) -> str:
    return f"{100 * n / whole:.1f}%" if whole else "-"
