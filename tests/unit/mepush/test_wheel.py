"""What `pip install` of the wheel brings: nothing of the platform, and all that the command and the client need."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mepush import __all__ as exported
from tests.unit.mepush.fake_api import KEY, FakeApi

ROOT = Path(__file__).parents[3]
_RUN = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv[0] = "mepush"
runpy.run_module("mepush", run_name="__main__")
"""
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from mepush import ApiError, Client
with Client(sys.argv[2], sys.argv[3]) as api:
    answer = api.send({"template": "welcome", "to": "ann@example.com", "variables": {"name": "Ann"}})
    print(answer["accepted"], [each["id"] for each in api.pages("/v1/templates", "templates")])
    try:
        api.get("/v1/templates/absent")
    except ApiError as error:
        print(error.status)
print(sorted(name for name in ("typer", "rich", "pydantic") if name in sys.modules))
"""
_SHEETS = """
import sys
sys.path.insert(0, sys.argv[1])
from mepush.sheets.encodings import as_utf8, form_of
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import read_header
from mepush.sheets.reading import read_cells
data = "手机号,名字\\n13800138000,李雷\\n".encode("gb18030")
text = b"".join(as_utf8([data], form_of(data, True)))
header = read_header(text, FileFormat.CSV, True)
print(list(read_cells(text[header.end:], header.delimiter)) == [(0, ["13800138000", "李雷"])])
print([name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names | {"mepush", "__main__"}])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by what the project builds it with, which the lock file holds."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages and no other."""
    folder = tmp_path_factory.mktemp("alone")
    with ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `pip install` of it leaves an empty environment: the wheel, and what it needs, as it is installed here."""
    folder = tmp_path_factory.mktemp("site")
    with ZipFile(wheel) as packed:
        packed.extractall(folder)
    for needed in closure(needs(folder)):
        for name in {file.parts[0] for file in needed.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (folder / name).symlink_to(str(needed.locate_file(name)))
    return folder


def needs(folder: Path) -> list[str]:
    """What the wheel says that it needs."""
    [metadata] = folder.glob("mepush-*.dist-info/METADATA")
    return re.findall(r"^Requires-Dist: (.+)$", metadata.read_text(), re.MULTILINE)


def closure(lines: list[str]) -> Iterator[Distribution]:
    """The distributions that these need, and those that they need, each once."""
    seen: set[str] = set()
    while lines:
        requirement = Requirement(lines.pop())
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = canonicalize_name(requirement.name)
        if wanted and name not in seen:
            seen.add(name)
            found = distribution(requirement.name)
            lines += found.requires or []
            yield found


def run(code: str, *args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code with no other packages than those that it adds itself."""
    command = [sys.executable, "-I", "-S", "-c", code, *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_the_wheel_holds_the_command_alone(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    assert names == {"mepush", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    files = {name for name in ZipFile(wheel).namelist() if name.startswith("mepush/")}
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "mepush").rglob("*") if path.suffix in (".py", ".typed")}
    assert files == there


def test_it_needs_what_the_command_needs(alone: Path) -> None:
    assert sorted(Requirement(line).name for line in needs(alone)) == ["httpx", "rich", "typer"]
    brought = {found.name.lower() for found in closure(needs(alone))}
    assert brought.isdisjoint({"boto3", "botocore", "aws-lambda-powertools", "jinja2", "tencentcloud-sdk-python-sms"})
    assert len(brought) < 25


def test_the_command_starts_with_nothing_else(site: Path, tmp_path: Path) -> None:
    ran = run(_RUN, site, "--help", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "campaign" in ran.stdout
    assert run(_RUN, site, "--version", cwd=tmp_path).stdout == f"{distribution('mepush').version}\n"


def test_every_command_loads_with_nothing_else(site: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from importlib import import_module\n"
        "from mepush.main import Root\n"
        "print(len([import_module(entry.where.partition(':')[0]) for entry in Root.entries.values()]))"
    )
    ran = run(code, site)
    assert (ran.stderr, int(ran.stdout) > 10) == ("", True)


def test_a_spreadsheet_is_read_and_sent_with_nothing_else(api: FakeApi, site: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("to,name\nann@example.com,李雷\n".encode("gb18030"))
    args = ("send", "-t", "welcome", "--csv", "people.csv", "--url", api.url, "--key", KEY, "--json")
    ran = run(_RUN, site, *args, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert api.requests[-1][2]["recipients"] == [{"to": "ann@example.com", "variables": {"name": "李雷"}}]


def test_a_program_is_a_client_with_nothing_else(api: FakeApi, site: Path) -> None:
    ran = run(_PROGRAM, site, api.url, KEY)
    assert ran.stderr == ""
    # The client is there without what the command alone needs; httpx may load rich, for its own command.
    assert ran.stdout.splitlines()[:2] == ["1 ['welcome']", "404"]
    assert "typer" not in ran.stdout.splitlines()[2]


def test_sheets_are_read_by_python_alone(alone: Path) -> None:
    ran = run(_SHEETS, alone)
    assert (ran.stdout, ran.stderr) == ("True\n[]\n", "")


def test_what_is_exported_is_there_and_nothing_else() -> None:
    import mepush

    assert all(isinstance(getattr(mepush, name), type) for name in exported)
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        mepush.Klient  # noqa: B018 - looking it up is what fails
