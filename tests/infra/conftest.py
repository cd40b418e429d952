"""Synthesises each stage once for all workers of a test run."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cdk_app import build, synth
from infra.packaging import ROOT
from infra.specs import FUNCTIONS
from infra.stage import read, stage_named
from tests.infra.template import Template

DATA = "-data.template.json"
EDGE = "-edge.template.json"
FULL = Path(__file__).with_name("fixtures") / "full.toml"


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


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Template:
    """Make a template in a folder that all workers share, unless another worker has."""
    outdir = _shared(factory, f"cdk-{name}")
    done = outdir / "done"
    with Path(f"{outdir}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            outdir.mkdir()
            make(outdir)
            done.touch()
    (path,) = (each for each in outdir.glob("*.template.json") if not each.name.endswith((DATA, EDGE)))
    return Template(path)


def _by_command(outdir: Path) -> None:
    # Neither a Node, nor credentials, nor a region can be found.
    environment = {"PATH": str(outdir), "HOME": os.environ.get("HOME", str(outdir))}
    command = [sys.executable, "-m", "infra.cdk_app", "--stage", "dev", "--outdir", str(outdir)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=240)
    (outdir / "stderr").write_text(done.stderr)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage that people try things on, synthesised as they do."""
    return _once(tmp_path_factory, "dev", _by_command)


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage whose data is precious."""
    return _once(tmp_path_factory, "prod", lambda outdir: _made(outdir, "prod"))


@pytest.fixture(scope="session")
def prod_data(prod: Template) -> Template:
    """What that stage keeps, which is in a stack of its own."""
    return _data(prod)


@pytest.fixture(scope="session")
def dev_data(dev: Template) -> Template:
    """What the stage that people try things on keeps."""
    return _data(dev)


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A stage that has all that a stage can have, looked through by cdk-nag."""
    return _once(tmp_path_factory, "full", _checked)


@pytest.fixture(scope="session")
def full_data(full: Template) -> Template:
    """What that stage keeps, with its key, network and mail domain."""
    return _data(full)


@pytest.fixture(scope="session")
def full_edge(full: Template) -> Template:
    """What stands in front of that stage's API."""
    return _data(full, EDGE)


def _data(template: Template, end: str = DATA) -> Template:
    return Template(template.path.with_name(template.path.name.replace(".template.json", end)))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage that the local stack deploys."""
    return _once(tmp_path_factory, "local", lambda outdir: _made(outdir, "local"))


def _made(outdir: Path, stage: str) -> None:
    synth(outdir, stub_assets=True, stage=stage_named(stage))


def _checked(outdir: Path) -> None:
    stub = outdir / "stub"
    stub.mkdir()
    app = build(read(FULL), dict.fromkeys(FUNCTIONS, stub), outdir=outdir, validate=False)
    from aws_cdk import Validations
    from cdk_nag import AwsSolutionsChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True))
    # Raises when a rule is broken; warnings are in the report only.
    app.synth()
