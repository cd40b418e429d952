"""The first `make` on a machine whose certificate authorities only its own store knows, with nothing set but the least.

The tools are stand-ins that trust what the real ones do: pip (before 24.2) the authorities that it is told of, uv the
machine's where it is told to look there.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra import packaging
from infra.packaging import ROOT

# Plays `python -m venv`, `python -m pip` and `python -c`; what pip installs is the stand-in for uv below.
_PYTHON = f"""#!/bin/sh
case "$2" in
  venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  pip) echo "pip ${{PIP_CERT:-nothing}}" >> calls
    test -n "$PIP_CERT" || {{ echo "certificate verify failed" >&2; exit 1; }}
    cp uv .venv/bin/uv ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
_UV = """#!/bin/sh
echo "uv ${UV_SYSTEM_CERTS:-nothing}" >> calls
test "$UV_SYSTEM_CERTS" = 1
"""


def _make(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("pyproject.toml", "uv.lock"):
        (folder / name).touch()
    for name, script in (("python", _PYTHON), ("uv", _UV)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **variables}
    command = ["make", f"PYTHON={folder / 'python'}", ".venv/.installed"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_machines_own_authorities_count(tmp_path: Path) -> None:
    done = _make(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, uv = (tmp_path / "calls").read_text().splitlines()
    assert (first, uv) == ("pip nothing", "uv 1")
    assert Path(second.removeprefix("pip ")).exists()


def test_what_a_person_has_set_is_left_as_it_is(tmp_path: Path) -> None:
    done = _make(tmp_path, PIP_CERT="/a/bundle.pem")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == ["pip /a/bundle.pem", "uv 1"]


def test_packages_are_fetched_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$UV_SYSTEM_CERTS"\n')
    uv.chmod(0o755)
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(uv))
    assert packaging._uv("pip") == "1\n"
