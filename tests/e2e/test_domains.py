"""Senders' domains are looked at through the API and the command, with a name server on this machine."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.sandbox.ses import SesSandbox
from local.seed import account_body
from local.stack import LocalStack
from mepush.main import app
from tests.e2e.verifying import Site

pytestmark = pytest.mark.xdist_group("local-stack")

SMTP = {"id": "mail", "name": "Mail", "settings": {"provider": "smtp", "from_address": "shop@example.com"}}
SES = {"id": "ses", "name": "SES", "settings": {"provider": "ses", "from_address": "news@example.com"}}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with LocalStack(threads=False, memory=True) as stack, closing(Site(stack)) as it:
        for body in (SMTP, SES):
            it.call("/v1/accounts", account_body(body, stack.sandboxes))
        yield it


def run(site: Site, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app,
        ["domain", "check", *arguments],
        env={"MEPUSH_URL": site.stack.url, "MEPUSH_KEY": site.key, "LANG": "C"},
    )
    return done.exit_code, done.output if "--json" in arguments else " ".join(done.output.split())


def test_a_domain_whose_mail_lands(site: Site) -> None:
    code, printed = run(site, "Example.COM")
    assert code == 0
    assert "Mail from example.com will land, by its records." in printed
    assert "There is a DKIM key at default._domainkey.example.com." in printed


def test_a_domain_whose_mail_does_not_in_chinese(site: Site) -> None:
    code, printed = run(site, "broken.example", "--lang", "zh")
    assert code == 1
    assert "broken.example 的邮件会被拒收或判为垃圾邮件。" in printed
    assert "broken.example 有 2 条 SPF 记录，因此全部无效。" in printed
    assert "+ _dmarc.broken.example TXT v=DMARC1; p=none; rua=mailto:dmarc@broken.example" in printed


def test_what_no_server_answers_for_is_not_said_to_be_missing(site: Site) -> None:
    code, printed = run(site, "elsewhere.example")
    assert code == 1
    assert "The DNS did not answer for all of elsewhere.example." in printed
    assert "missing" not in printed


def test_the_provider_says_where_its_keys_lie(site: Site) -> None:
    ses = site.stack.sandboxes["ses"]
    assert isinstance(ses, SesSandbox)
    ses.tokens, ses.mail_from = ("x3vmpnbyjt4oaqvvpejmgkzcwgbeuwmb", "gone"), "bounce.example.com"
    code, printed = run(site, "example.com", "--account", "ses", "--json")
    assert code == 1
    found = {(each["code"], each["found"]): each for each in json.loads(printed)["findings"]}
    states = {each["code"]: each["state"] for each in found.values()}
    assert (states["dkim_ok"], states["dkim_missing"], states["mail_from_mx"]) == ("ok", "failed", "failed")
    records = [each["record"] for each in found.values() if each["record"] is not None]
    assert {(each["name"], each["type"], each["value"]) for each in records} == {
        ("gone._domainkey.example.com", "CNAME", "gone.dkim.amazonses.com"),
        ("bounce.example.com", "MX", "10 feedback-smtp.us-east-1.amazonses.com"),
        ("bounce.example.com", "TXT", "v=spf1 include:amazonses.com ~all"),
    }


def test_a_provider_that_cannot_be_asked_is_no_good_sign(site: Site) -> None:
    fault = FaultInput(provider="ses", kind="code", code="AccessDeniedException", at="GetEmailIdentity")
    site.stack.sandboxes["ses"].faults.add(fault.fault())
    code, printed = run(site, "example.com", "--account", "ses")
    assert code == 1
    assert "The account's provider could not be asked which records it needs for example.com." in printed


def test_selectors_may_be_named(site: Site) -> None:
    assert run(site, "example.com", "--selector", "default")[0] == 0
    code, printed = run(site, "example.com", "--selector", "default", "--selector", "s9")
    assert code == 1
    assert "There is no DKIM key at s9._domainkey.example.com." in printed


@pytest.mark.parametrize(
    "domain", ["shop@example.com", "example", "a..test", "10.0.0.1", "a-.test", "a_b.test", "x" * 64 + ".test"]
)
def test_what_is_no_domain_is_refused(site: Site, domain: str) -> None:
    code, printed = run(site, domain)
    assert code == 1
    assert "domain: give a domain such as `example.com`" in printed


def test_an_account_of_another_domain_is_refused(site: Site) -> None:
    code, printed = run(site, "broken.example", "--account", "mail")
    assert code == 1
    assert "account: `mail` sends for example.com: ask for that domain, or name another account" in printed
    assert run(site, "example.com", "--account", "none")[0] == 1


def test_an_internationalised_domain_is_looked_up_in_ascii(site: Site) -> None:
    assert "xn--bcher-kva.example" in run(site, "bücher.example")[1]
