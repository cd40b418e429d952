"""Which requests are machines'; the names are those that people have reported."""

import pytest

from functions.engagement.machines import sign_of
from shared.model.ids import new_base

SENT = 1_700_000_000_000
MESSAGE = new_base(SENT) + "A" * 16
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "  ",
        "Mozilla/5.0",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/42.0.2311.135 Safari/537.36 Edge/12.246",
        "Barracuda Sentinel (EE)",
        "Microsoft Office Existence Discovery",
        "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; BingPreview/1.0b)",
        "python-requests/2.32",
        "curl/8.5.0",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    ],
)
def test_scanners_and_programs_that_fetch_ahead_are_machines(agent: str) -> None:
    assert sign_of(agent, MESSAGE, SENT + 3_600_000)


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Mozilla/5.0 (Linux; Android 14; Cubot P80) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36 MQQBrowser/9",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0.43",
    ],
)
def test_people_and_the_proxies_that_hide_them_are_not(agent: str) -> None:
    assert not sign_of(agent, MESSAGE, SENT + 60_000)


def test_nobody_reads_a_message_within_two_seconds() -> None:
    assert sign_of(CHROME, MESSAGE, SENT + 1_999)
    assert not sign_of(CHROME, MESSAGE, SENT + 2_000)
