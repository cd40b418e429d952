"""`mepush domain`: whether mail from a domain will land."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import segment
from mepush.output import JsonOption, KeyOption, UrlOption, plain, session
from mepush.views.timelines import Language, reader

app = typer.Typer(no_args_is_help=True, help="Senders' domains: whether mail from them will land.")

_MARKS = {"ok": "ok", "note": "note", "warning": "warning", "failed": "FAILED", "unknown": "unknown"}
_VERDICTS = {
    "ready": ("Mail from {domain} will land, by its records.", "按其记录，{domain} 的邮件可以送达。"),
    "careful": ("Mail from {domain} lands; see the warnings.", "{domain} 的邮件可以送达，请留意警告。"),
    "not_ready": ("Mail from {domain} will be refused or taken for spam.", "{domain} 的邮件会被拒收或判为垃圾邮件。"),
    "unknown": ("The DNS did not answer for all of {domain}.", "{domain} 的部分查询未得到 DNS 答复。"),
}
_GOOD = ("ready", "careful")


@app.command("check")
def check(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="What stands behind the @ of the sender.")],
    account: Annotated[
        str | None, typer.Option("--account", help="The account that sends for it: its provider's records, too.")
    ] = None,
    selector: Annotated[
        list[str] | None, typer.Option("--selector", help="Where a DKIM key lies; several times for several.")
    ] = None,
    lang: Annotated[Language | None, typer.Option("--lang", help="The language; else what LANG says.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a domain's SPF, DKIM, DMARC, MX and what else its records say, and show the records to copy.

    Ends with 1 if mail from it will not land, or if the DNS did not answer.
    """
    with session(url, key, as_json) as (api, out):
        data = api.get(
            f"/v1/domains/{segment(domain)}", account=account, selectors=",".join(selector) if selector else None
        )
        out.result(data, lambda console: _show(console, data, reader(lang, raw=False, utc=False).chinese))
        if data["verdict"] not in _GOOD:
            raise typer.Exit(1)


def _show(console: Console, data: dict[str, Any], chinese: bool) -> None:
    end = "_zh" if chinese else ""
    console.print(_VERDICTS[data["verdict"]][chinese].format(domain=plain(data["domain"])))
    for found in data["findings"]:
        console.print()
        console.print(f"{_MARKS[found['state']]:8} {found['check']:10} {plain(found[f'summary{end}'])}", soft_wrap=True)
        if found["found"]:
            console.print(f"{'':19} {plain(found['found'])}", soft_wrap=True)
        if found[f"action{end}"]:
            console.print(f"{'':19} → {plain(found[f'action{end}'])}", soft_wrap=True)
        if found["record"] is not None:
            record = found["record"]
            line = f"{plain(record['name'])}  {record['type']}  {plain(record['value'])}"
            console.print(f"{'':19} + {line}", soft_wrap=True)
