"""`mepush key`, and what all commands have in common."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mepush.client.connection import Connection, write_local
from mepush.main import app
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import KEY, FakeApi


def test_a_new_key_is_printed_alone_on_stdout(api: FakeApi, mepush: Mepush) -> None:
    args = ("key", "create", "--name", "shop", "--scope", "send", "--scope", "read", "--kind", "team")
    ran = mepush(*args, "--recipient", "email:ada@example.com", "--expires-at", "2030-01-01T00:00:00Z")
    assert ran.code == 0
    assert ran.out == "mp_live_abc123abc123_newkey\n"
    assert "it is not shown again" in ran.err
    assert api.requests[-1][2] == {
        "name": "shop",
        "kind": "team",
        "scopes": ["send", "read"],
        "recipients": ["email:ada@example.com"],
        "expires_at": "2030-01-01T00:00:00+00:00",
    }
    assert mepush("key", "create", "--name", "x", "--scope", "all").code == 2


def test_list_and_revoke(api: FakeApi, mepush: Mepush) -> None:
    assert "There are no keys." in mepush("key", "list").out
    mepush("key", "create", "--name", "shop", "--scope", "send")
    assert mepush("key", "list").out.splitlines()[1].split()[:4] == ["abc123abc123", "shop", "live", "send"]
    assert "newkey" not in mepush("key", "list", "--json").out
    assert mepush("key", "revoke", "abc123abc123", "--json").json == {"revoked": "abc123abc123"}
    assert api.keys == {}
    assert mepush("key", "revoke", "abc123abc123").code == 1
    mepush("key", "create", "--name", "shop", "--scope", "send")
    assert mepush("key", "delete", "abc123abc123").out == "abc123abc123 is deleted\n"


def test_the_list_says_who_made_a_key_and_with_whom_it_ended(api: FakeApi, mepush: Mepush) -> None:
    mepush("key", "create", "--name", "shop", "--scope", "send")
    api.keys["abc123abc123"] |= {"created_by": "first", "ended_by": "root"}
    assert {"first", "with", "root"} <= set(mepush("key", "list").out.splitlines()[1].split())


def test_a_key_gets_so_many_texts_a_day_which_the_list_shows(api: FakeApi, mepush: Mepush) -> None:
    assert mepush("key", "create", "--name", "shop", "--scope", "send").code == 0
    assert "texts_per_day" not in api.requests[-1][2]
    before = mepush("key", "list").out
    # None at all is something else than none of its own.
    for wanted in (0, 250):
        assert mepush("key", "create", "--name", "shop", "--scope", "send", "--texts-per-day", str(wanted)).code == 0
        assert api.requests[-1][2]["texts_per_day"] == wanted
        header, line = mepush("key", "list").out.splitlines()
        begin = header.index("texts a day")
        assert line[begin:].split()[0] == str(wanted) and before.splitlines()[1][begin:].split()[0] == "-"
        assert mepush("key", "list", "--json").json["keys"][0]["texts_per_day"] == wanted
    for wrong in ("-1", "many", "1.5"):
        assert mepush("key", "create", "--name", "x", "--scope", "send", "--texts-per-day", wrong).code == 2


def test_the_local_stack_is_used_when_nothing_else_is_given(api: FakeApi, clean: None, tmp_path: Path) -> None:
    write_local(Connection(api.url, KEY), tmp_path)
    result = CliRunner().invoke(app, ["template", "list", "--json"])
    assert result.exit_code == 0
    assert api.paths() == ["GET /v1/templates?limit=100"]


def test_without_address_and_key_the_command_was_not_right(clean: None) -> None:
    result = CliRunner().invoke(app, ["balance"])
    assert result.exit_code == 2
    assert "MEPUSH_URL" in result.stderr


def test_a_wrong_key_is_one_sentence_and_is_not_repeated(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("balance", "--key", "mp_live_wrong")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.strip() == "No valid API key: The key is unknown."


def test_a_stack_that_is_down_is_one_sentence(mepush: Mepush) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = mepush("balance", "--url", url)
        assert (ran.code, ran.out) == (1, "")
        assert "nothing listens there" in ran.err
        assert "Traceback" not in ran.err
        assert "nothing listens there" in mepush("balance", "--url", url, "--json").json["error"]


@pytest.mark.parametrize(
    "command",
    [
        *(("send",), ("trace",), ("balance",), ("template", "push"), ("template", "list")),
        *(("template", "preview"), ("template", "show"), ("account", "add"), ("account", "list")),
        *(("template", "submit"), ("template", "approve"), ("template", "reject"), ("audit",)),
        *(("settings", "show"), ("settings", "set"), ("settings", "versions"), ("settings", "restore")),
        *(("account", "verify"), ("account", "delete"), ("key", "create"), ("key", "list"), ("key", "revoke")),
    ],
)
def test_every_command_explains_itself_and_speaks_json(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_the_installed_command_runs_where_the_terminal_knows_ascii_only(api: FakeApi, tmp_path: Path) -> None:
    api.templates["welcome"]["name"] = "欢迎"
    env = {"PYTHONIOENCODING": "ascii", "MEPUSH_URL": api.url, "MEPUSH_KEY": KEY, "NO_COLOR": "1"}
    for flags, words in (([], "??"), (["--json"], "\\u6b22\\u8fce")):
        ran = subprocess.run(
            [sys.executable, "-c", "from mepush.main import main; main()", "template", "list", *flags],
            env=env,
            cwd=Path(__file__).parents[4],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert words in ran.stdout
        assert "\x1b" not in ran.stdout
