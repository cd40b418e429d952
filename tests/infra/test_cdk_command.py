"""The CDK's command: installed as it is locked, once, and run in the stage's Region."""

import json
from pathlib import Path

import pytest

from infra import cdk_command
from infra.cdk_command import LOCKED, CdkError, cdk, install

_NPM = "const fs = require('fs'); fs.mkdirSync('node_modules/aws-cdk/bin', {recursive: true});"
_PROGRAM = (
    "require('fs').writeFileSync(process.env.SAID, JSON.stringify([process.argv.slice(2), process.env.AWS_REGION]))"
)


def _play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> Path:
    """Have another npm installed; returns where the command is then built."""
    npm = tmp_path / "npm.js"
    npm.write_text(script)
    monkeypatch.setattr(cdk_command, "_NPM", (str(npm),))
    return tmp_path / "build"


def test_the_lock_names_one_package_with_its_hash_and_no_place() -> None:
    lock = json.loads((LOCKED / "package-lock.json").read_text())
    wanted = json.loads((LOCKED / "package.json").read_text())["dependencies"]
    found = {name.removeprefix("node_modules/"): each for name, each in lock["packages"].items() if name}
    assert {name: each["version"] for name, each in found.items()} == wanted
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in found.values())


def test_the_command_is_installed_once_and_told_the_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = f"fs.writeFileSync('node_modules/aws-cdk/bin/cdk', {json.dumps(_PROGRAM)})"
    build = _play(monkeypatch, tmp_path, f"{_NPM} {program}")
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    assert cdk(("diff", "--app", "x"), "eu-west-1", build) == 0
    assert json.loads((tmp_path / "said").read_text()) == [["diff", "--app", "x", "--no-notices"], "eu-west-1"]
    (tmp_path / "npm.js").write_text("process.exit(1)")
    assert install(build).is_file()


def test_what_npm_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = _play(monkeypatch, tmp_path, "console.error('no space left'); process.exit(1)")
    with pytest.raises(CdkError, match="npm cannot install the CDK's command: no space left"):
        install(build)
