"""The CDK's command, in the version that `infra/cdk/` locks: installed once, and run by the project's Node."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from infra.node import node_binary
from infra.packaging import BUILD, ROOT

LOCKED = ROOT / "infra" / "cdk"
_FILES = ("package.json", "package-lock.json")
_NPM = ("lib", "node_modules", "npm", "bin", "npm-cli.js")
_COMMAND = ("node_modules", "aws-cdk", "bin", "cdk")


class CdkError(Exception):
    """The command cannot be installed; says what npm said."""


def cdk(arguments: Sequence[str], region: str, build: Path = BUILD) -> int:
    """Run the command, which talks to the terminal; return its exit code. Raises: CdkError.

    region: where it is sent, for stacks that name none.
    """
    environment = {
        **os.environ,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "NO_UPDATE_NOTIFIER": "1",
    }
    command = [str(node_binary()), str(install(build)), *arguments, "--no-notices"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 - our own arguments


def install(build: Path = BUILD) -> Path:
    """Install the command, or find it installed; return the path of its program. Raises: CdkError."""
    digest = hashlib.sha256(b"".join((LOCKED / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    folder = build / "cdk" / digest
    program = folder.joinpath(*_COMMAND)
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(LOCKED / name, folder / name)
        _npm(folder)
    return program


def _npm(folder: Path) -> None:
    """Install what the folder's lock names, compared with its hashes; no script of it is run."""
    node = node_binary()
    npm = node.parents[1].joinpath(*_NPM)
    command = [str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    if done.returncode:
        raise CdkError(f"npm cannot install the CDK's command: {done.stderr.strip()[-2000:]}")
