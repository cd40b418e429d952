"""Synthesises each stage once for all workers of a test run."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.packaging import ROOT
from tests.infra.template import Template


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests together where the run distributes by group: starting the CDK takes seconds."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("infra"))


def _shared(factory: pytest.TempPathFactory, name: str) -> Path:
    base = factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return root / name


def _once(factory: pytest.TempPathFactory, stage: str) -> Template:
    """Synthesise a stage by the command, as people do, unless another worker has."""
    outdir = _shared(factory, f"cdk-{stage}")
    with Path(f"{outdir}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (outdir / "stderr").exists():
            outdir.mkdir()
            # Neither a Node, nor credentials, nor a region can be found.
            environment = {"PATH": str(outdir), "HOME": os.environ.get("HOME", str(outdir))}
            command = [sys.executable, "-m", "infra.cdk_app", "--stage", stage, "--outdir", str(outdir)]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=240
            )
            (outdir / "stderr").write_text(done.stderr)
    (path,) = outdir.glob("*.template.json")
    return Template(path)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage that people try things on."""
    return _once(tmp_path_factory, "dev")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage whose data is precious."""
    return _once(tmp_path_factory, "prod")
