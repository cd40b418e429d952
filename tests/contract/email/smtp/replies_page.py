"""Writes the tables of docs/replies.md from the code: `python -m tests.contract.email.smtp.replies_page`."""

from collections.abc import Iterator
from pathlib import Path

from shared.model.reasons import EXPLANATIONS, Reason, blame_of
from shared.model.reasons_zh import EXPLANATIONS_ZH
from shared.providers.email.smtp.replies import REPLIES, Entry

PAGE = Path(__file__).parents[4] / "docs" / "replies.md"
MARK = "<!-- What follows is written by `python -m tests.contract.email.smtp.replies_page`. -->\n"
TITLES = {
    "qq": "QQ Mail and Tencent Exmail",
    "netease": "NetEase (163.com, 126.com, yeah.net)",
    "gmail": "Gmail and Google Workspace",
    "microsoft": "Microsoft (Exchange Online, Outlook.com)",
    "yahoo": "Yahoo",
    "ses": "Amazon SES over SMTP",
    "dovecot": "Logins at other servers",
    "rfc": "Codes by themselves",
    "server": "Words of servers of all kinds",
}
"""Sections, by what names begin with."""
_SERVERS = {"postfix", "exim", "exchange"}
_KINDS = {"Rejected": "failed", "Retry": "tried again", "Unknown": "unknown", "AccountDown": "account down"}


def tables() -> str:
    """What stands below the mark."""
    return "\n".join([*_replies(), *_reasons()]) + "\n"


def _replies() -> Iterator[str]:
    for vendor, title in TITLES.items():
        yield f"## {title}\n"
        yield "| name | reply | becomes | blame | means; what to do | 含义；处理 | source |"
        yield "|---|---|---|---|---|---|---|"
        for entry in REPLIES:
            first = entry.name.partition(".")[0]
            if ("server" if first in _SERVERS else first) == vendor:
                yield _row(entry)
        yield ""


def _row(entry: Entry) -> str:
    step, _, said = entry.said.partition(" ")
    reply = f"{step}: `{said.replace('`', chr(39)).replace(chr(10), ' / ')}`"
    becomes = f"{_KINDS[entry.kind.__name__]}, `{entry.reason}`"
    blame = blame_of(entry.reason)
    words, chinese = " ".join(entry.words()), "".join(entry.words(chinese=True))
    cells = (f"`{entry.name}`", reply, becomes, str(blame), words, chinese, f"[source]({entry.source})")
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _reasons() -> Iterator[str]:
    yield "## All reasons\n"
    yield "| reason | blame | means; what to do | 含义；处理 |"
    yield "|---|---|---|---|"
    for reason in Reason:
        words, chinese = " ".join(EXPLANATIONS[reason]), "".join(EXPLANATIONS_ZH[reason])
        yield f"| `{reason}` | {blame_of(reason)} | {words} | {chinese} |"


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n{tables()}", encoding="utf-8")
