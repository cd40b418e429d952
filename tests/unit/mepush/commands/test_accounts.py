"""`mepush account`."""

from pathlib import Path
from typing import Any

import pytest

from mepush.client.errors import FileError, UsageError
from mepush.files.accounts import find_secret, read_accounts
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import CALLBACKS, FakeApi

SECRET = "hunter2-very-secret"
FILE = """
[[account]]
id = "mail"
name = "Mail"
weight = 0
[account.settings]
provider = "smtp"
host = "smtp.example.com"
port = 465
from_address = "shop@example.com"
[account.secret_env]
password = "TEST_MAIL_PASSWORD"

[[account]]
id = "ses"
name = "SES"
[account.settings]
provider = "ses"
from_address = "shop@example.com"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TEST_MAIL_PASSWORD", raising=False)
    path = tmp_path / "accounts.toml"
    path.write_text(FILE)
    return path


def created(api: FakeApi) -> list[dict[str, Any]]:
    return [body for method, path, body, _ in api.requests if (method, path) == ("POST", "/v1/accounts")]


def test_secrets_come_from_the_environment_and_are_not_printed(
    api: FakeApi, mepush: Mepush, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MAIL_PASSWORD", SECRET)
    ran = mepush("account", "add", "--file", str(file))
    assert ran.code == 0
    assert [body["id"] for body in created(api)] == ["mail", "ses"]
    assert created(api)[0]["secret"] == {"password": SECRET}
    assert created(api)[1]["secret"] == {}
    assert "secret_env" not in created(api)[0]
    assert SECRET not in ran.out + ran.err
    assert "password" in ran.out


def test_secrets_come_from_a_file_first(
    api: FakeApi, mepush: Mepush, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MAIL_PASSWORD", "other")
    (tmp_path / "secrets.toml").write_text(f'[mail]\npassword = "{SECRET}"\n')
    args = ("account", "add", "--file", str(file), "--only", "mail", "--secret-file", "secrets.toml", "--json")
    ran = mepush(*args)
    assert ran.code == 0
    assert [body["secret"] for body in created(api)] == [{"password": SECRET}]
    assert SECRET not in ran.out + ran.err


def test_without_a_terminal_a_missing_secret_is_named_and_nothing_is_created(
    api: FakeApi, mepush: Mepush, file: Path
) -> None:
    ran = mepush("account", "add", "--file", str(file))
    assert ran.code == 2
    assert "The account mail needs the secret password." in ran.err
    assert "TEST_MAIL_PASSWORD" in ran.err
    assert api.requests == []


def test_at_a_terminal_a_missing_secret_is_asked_for_without_echo(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(text: str, hide_input: bool, err: bool) -> str:
        asked.append((text, hide_input and err))
        return SECRET

    monkeypatch.setattr("mepush.files.accounts.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("mepush.files.accounts.typer.prompt", prompt)
    entry = read_accounts(file, "mail")[0]
    assert find_secret(entry, {}, {}) == {"password": SECRET}
    assert asked == [("password of mail", True)]


def test_required_secrets_are_asked_for_even_if_the_file_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"id": "t", "settings": {"provider": "tencent"}}
    with pytest.raises(UsageError, match="needs the secret secret_key"):
        find_secret(entry, {"t": {"secret_id": "x"}}, {})


def test_an_account_that_exists_is_changed_only_when_asked(
    api: FakeApi, mepush: Mepush, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MAIL_PASSWORD", SECRET)
    mepush("account", "add", "--file", str(file))
    ran = mepush("account", "add", "--file", str(file))
    assert ran.code == 1
    assert "There is an account `mail` already." in ran.err
    assert "--update" in ran.err
    assert mepush("account", "add", "--file", str(file), "--update").code == 0
    patches = [(path, body) for method, path, body, _ in api.requests if method == "PATCH"]
    assert [path for path, _ in patches] == ["/v1/accounts/mail", "/v1/accounts/ses"]
    assert patches[0][1]["weight"] == 0
    assert patches[0][1]["secret"] == {"password": SECRET}
    assert "id" not in patches[0][1]
    assert "secret" not in patches[1][1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no [[account]] tables"),
        ('[account]\nid = "x"', "has no [[account]] tables"),
        ('[[account]]\nid = "x"', "needs a table of settings"),
        ('[[account]]\nid = "x"\nsettings = "ses"', "needs a table of settings"),
        ('[[account]]\nid = "x"\nsecret_env = "A"\n[account.settings]', "secret_env must be a table"),
        ('[[account]]\nid = "x"\nsurprise = 1\n[account.settings]\nprovider = "ses"', "has no field 'surprise'"),
        ('[[account]]\nid = "x"\nsecret = {password = "p4ss"}', "secrets do not belong into this file"),
    ],
)
def test_files_that_are_no_accounts_are_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(content)
    with pytest.raises(FileError) as caught:
        read_accounts(path)
    assert words in str(caught.value)
    assert "p4ss" not in str(caught.value)


def test_only_names_one_that_must_exist(file: Path) -> None:
    with pytest.raises(FileError, match="has no account 'absent'"):
        read_accounts(file, "absent")


def test_list_verify_delete(api: FakeApi, mepush: Mepush, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There are no accounts." in mepush("account", "list").out
    monkeypatch.setenv("TEST_MAIL_PASSWORD", SECRET)
    mepush("account", "add", "--file", str(file))
    assert [a["id"] for a in mepush("account", "list", "--json").json["accounts"]] == ["mail", "ses"]
    assert mepush("account", "list").out.splitlines()[1].split()[:2] == ["mail", "Mail"]
    good = mepush("account", "verify", "mail")
    assert (good.code, good.out.strip()) == (0, "The account can send.")
    assert mepush("account", "delete", "mail", "--json").json == {"deleted": "mail"}
    assert "mail" not in api.accounts
    assert mepush("account", "delete", "mail").code == 1


def test_the_rate_of_an_account_is_set_and_shown(api: FakeApi, mepush: Mepush, file: Path) -> None:
    mepush("account", "add", "--file", str(file), "--only", "ses")
    assert mepush("account", "show", "ses").out.splitlines() == [
        "ses: SES (email, ses), active, weight 100",
        "rate: as fast as it can",
        "fee: not known; set it with `mepush account fee`",
    ]
    ran = mepush("account", "rate", "ses", "--per-second", "14", "--burst", "20", "--per-day", "50000")
    assert ran.out.splitlines()[1] == (
        "rate: at most 14 a second in the long run, 20 at once, 50,000 a day, 10% of it kept for codes; "
        "set for the account"
    )
    assert mepush("account", "show", "ses", "--json").json["rate"]["burst"] == 20
    mepush("account", "rate", "ses", "--default")
    assert api.requests[-1][2] == {"rate": None}
    verified = mepush("account", "verify", "ses").out
    assert "Unless the account has a rate of its own it sends at most 14 a second" in verified.replace("\n", " ")


@pytest.mark.parametrize("arguments", [(), ("--burst", "3"), ("--default", "--burst", "3"), ("--per-second", "1")])
def test_a_rate_needs_both_its_parts(api: FakeApi, mepush: Mepush, arguments: tuple[str, ...]) -> None:
    ran = mepush("account", "rate", "ses", *arguments)
    assert ran.code == 2 and "--per-second and --burst" in ran.err
    assert api.requests == []


def test_a_file_may_say_the_rate(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(FILE + "[account.rate]\nper_second = 5\nburst = 10\n")
    mepush("account", "add", "--file", str(path), "--only", "ses")
    assert created(api)[0]["rate"] == {"per_second": 5, "burst": 10}


def test_the_fee_of_an_account_is_set_and_shown(api: FakeApi, mepush: Mepush, file: Path) -> None:
    mepush("account", "add", "--file", str(file), "--only", "ses")
    ran = mepush("account", "fee", "ses", "--amount", "0.00012", "--currency", "usd")
    assert api.requests[-1][2] == {"fee": {"amount": 0.00012, "currency": "USD"}}
    assert ran.out.splitlines()[2] == "fee: 0.00012 USD for a message; set for the account"
    mepush("account", "fee", "ses", "--amount", "0", "--currency", "USD")
    assert mepush("account", "show", "ses").out.splitlines()[2] == "fee: none; set for the account"
    mepush("account", "fee", "ses", "--default")
    assert api.requests[-1][2] == {"fee": None}


def test_the_callback_url_is_shown_whole_and_made_anew(
    api: FakeApi, mepush: Mepush, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "accounts.toml"
    account = '[[account]]\nid = "sms"\nname = "SMS"\n[account.settings]\nprovider = "tencent"\n'
    path.write_text(f'{account}[account.secret_env]\nsecret_id = "TEST_ID"\nsecret_key = "TEST_ID"\n')
    monkeypatch.setenv("TEST_ID", "AKID")
    mepush("account", "add", "--file", str(path))
    url = f"{CALLBACKS}/0"
    assert len(url) > 80  # more than a line
    assert mepush("account", "callback", "sms").out == f"{url}\n"
    assert mepush("account", "show", "sms").out.splitlines()[-1] == f"callback: {url}"
    assert mepush("account", "callback", "sms", "--new").out == f"{CALLBACKS}/1\n"
    assert api.requests[-1][:2] == ("POST", "/v1/accounts/sms/callback")
    assert mepush("account", "callback", "sms", "--json").json["callback_url"] == f"{CALLBACKS}/1"


def test_where_there_are_no_callbacks_that_is_said(api: FakeApi, mepush: Mepush, file: Path) -> None:
    mepush("account", "add", "--file", str(file), "--only", "ses")
    assert "callback" not in mepush("account", "show", "ses").out
    ran = mepush("account", "callback", "ses")
    assert ran.code == 2 and "makes no callbacks" in ran.err
    ran = mepush("account", "callback", "ses", "--new")
    assert ran.code == 1 and "The provider ses makes no callbacks." in ran.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("--amount", "1"), ("--currency", "CNY"), ("--default", "--amount", "1", "--currency", "CNY")],
)
def test_a_fee_needs_both_its_parts(api: FakeApi, mepush: Mepush, arguments: tuple[str, ...]) -> None:
    ran = mepush("account", "fee", "ses", *arguments)
    assert ran.code == 2 and "--amount and --currency" in ran.err
    assert api.requests == []


def test_a_file_may_say_the_fee(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(FILE + '[account.fee]\namount = 0.045\ncurrency = "CNY"\n')
    mepush("account", "add", "--file", str(path), "--only", "ses")
    assert created(api)[0]["fee"] == {"amount": 0.045, "currency": "CNY"}


def test_an_account_that_cannot_send_fails_with_what_to_do(api: FakeApi, mepush: Mepush) -> None:
    api.accounts["broken"] = {}
    ran = mepush("account", "verify", "broken")
    assert ran.code == 1
    assert ran.out.splitlines() == ["The login was refused.", "What to do: Enter the code.", "code 535"]
    assert mepush("account", "verify", "broken", "--json").json["raw_code"] == "535"


COUNTS = {"bounces": 1_200, "complaints": 1, "auto_replies": 3, "unreadable": 1, "others": 7}
MAILBOX: dict[str, Any] = {
    "account": "mail",
    "configured": True,
    "looked_at": "2026-11-30T10:00:00Z",
    "next_look_at": "2026-11-30T10:08:00Z",
    "failures": 0,
    "failing_since": None,
    "problem": None,
    "counts": COUNTS,
    "unreadable": [{"at": "2026-11-30T09:00:00Z", "kind": "notice", "reason": "It says too little."}],
}
PROBLEM = {"at": "2026-11-30T10:00:00Z", "code": "x", "summary": "The server refused the login.", "action": "Mend it."}


def test_how_a_mailbox_is_read_is_shown(
    api: FakeApi, mepush: Mepush, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_MAIL_PASSWORD", SECRET)
    mepush("account", "add", "--file", str(file))
    api.mailboxes["mail"] = MAILBOX
    ran = mepush("account", "mailbox", "mail")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[0].startswith("last read: 2026-11-30 10:00")
    words = "1,200 bounces, 1 complaints, 3 answers of machines, 1 that say too little, 7 others"
    assert words in ran.out.replace("\n", " ")
    assert "It says too little." in ran.out
    assert mepush("account", "mailbox", "mail", "--json").json == MAILBOX

    api.mailboxes["mail"] = MAILBOX | {"problem": PROBLEM}
    ran = mepush("account", "mailbox", "mail")
    assert (ran.code, "The last problem is over" in ran.out) == (0, True)

    trouble = {"problem": PROBLEM, "failures": 3, "failing_since": "2026-11-30T08:00:00Z", "looked_at": None}
    api.mailboxes["mail"] = MAILBOX | trouble
    ran = mepush("account", "mailbox", "mail")
    assert ran.code == 1
    for part in ("last read: never", "refused the login", "What to do: Mend it.", "Tries: 3"):
        assert part in ran.out

    api.mailboxes["mail"] = MAILBOX | {"configured": False}
    assert "names no bounce mailbox" in mepush("account", "mailbox", "mail").out
    assert mepush("account", "mailbox", "absent").code == 1
