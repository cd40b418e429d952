"""`mepush account stats`: an account's messages in numbers. It joins the group of `accounts`."""

from mepush.client.api import segment
from mepush.commands.accounts import AccountArgument, app
from mepush.commands.spans import AfterOption, BeforeOption, ByDayOption, CsvOption, query_of, write_rows
from mepush.output import JsonOption, KeyOption, UrlOption, session
from mepush.views.statistics import as_rows, show_account


@app.command("stats")
def stats(
    account: AccountArgument,
    after: AfterOption = None,
    before: BeforeOption = None,
    by_day: ByDayOption = False,
    csv_file: CsvOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many of an account's messages arrived, why not, how fast; of the last 24 hours if not said."""
    query = query_of(after, before, by_day)
    with session(url, key, as_json) as (api, out):
        found = api.get(f"/v1/stats/accounts/{segment(account)}", **query)
        if csv_file is not None:
            write_rows(csv_file, as_rows(found))
            out.say(f"{len(found['spans']):,} rows are in {csv_file}.")
        out.result(found, lambda console: show_account(console, found))
