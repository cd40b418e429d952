"""The command as a whole: what it loads, how it says what is wrong with a command line, completions."""

import json
import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

from mepush import main
from mepush.main import Root, app

HEAVY = ("boto3", "botocore", "httpx", "rich", "shared", "mepush.client.api", "mepush.output")
"""What `mepush --help` has no use for."""


def test_help_and_completions_load_no_command() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from mepush.main import app\n"
        "ran = CliRunner().invoke(app, ['--help']); assert ran.exit_code == 0, ran.output\n"
        "env = {'_MEPUSH_COMPLETE': 'complete_bash', 'COMP_WORDS': 'mepush c', 'COMP_CWORD': '1'}\n"
        "ran = CliRunner().invoke(app, env=env, prog_name='mepush')\n"
        "assert ran.output.split() == ['campaign'], ran.output\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


@pytest.mark.parametrize("name", Root.entries)
def test_every_command_is_there_and_fits_a_terminal(name: str) -> None:
    module, _, attribute = Root.entries[name].where.partition(":")
    assert hasattr(import_module(module), attribute)
    assert len(f"  {max(Root.entries, key=len)}  {Root.entries[name].help}") <= 80
    ran = CliRunner().invoke(app, [name, "--help"])
    assert ran.exit_code == 0
    assert "--install-completion" not in ran.output


def test_groups_show_whole_sentences() -> None:
    assert "..." not in CliRunner().invoke(app, ["campaign", "--help"]).output.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("line", "said", "field"),
    [
        (["send"], "Missing option", "--template"),
        (["trace"], "Missing argument", "ID|ADDRESS"),
        (["send", "-t", "x", "--send-at", "noon"], "no time with a zone", "--send-at"),
        (["nothing"], "No such command", None),
        (["balance", "--wrong"], "No such option", None),
        (["campain"], "Did you mean 'campaign'", None),
    ],
)
def test_a_wrong_command_line_is_json_too(line: list[str], said: str, field: str | None) -> None:
    ran = CliRunner().invoke(app, [*line, "--json"])
    assert (ran.exit_code, ran.stderr) == (2, "")
    found = json.loads(ran.stdout)
    assert said in found["error"]
    assert [e["field"] for e in found["errors"]] == ([] if field is None else [field])


@pytest.mark.parametrize("as_json", [True, False])
def test_an_unforeseen_error_is_one_sentence(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(prog_name: str) -> None:
        raise RuntimeError("the key is mp_live_x")

    monkeypatch.setattr(main, "app", broken)
    monkeypatch.setattr(sys, "argv", ["mepush", "send", *(["--json"] if as_json else [])])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    said = json.loads(out)["error"] if as_json else err
    assert "RuntimeError" in said
    assert "mp_live_x" not in out + err
    monkeypatch.setenv("MEPUSH_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main.main()
