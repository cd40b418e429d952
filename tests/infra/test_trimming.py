"""What is taken out of installations: symbols that no run reads, and never of a file that somebody else uses."""

import struct
from pathlib import Path

import pytest

from infra import packaging, trimming
from infra.archives import archive, size, table
from infra.packaging import BUILD, LAMBDA, PackagingError
from infra.specs import FUNCTIONS

CODE = b"machine code"


def _library(path: Path) -> Path:
    """A library of one section that is loaded, then symbols, whose table of sections stands at the end."""
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    symbols = b"symbols" * 100
    table_at = 64 + 64 + len(CODE) + len(symbols)
    struct.pack_into("<QQ", head, 0x20, 64, table_at)
    struct.pack_into("<HHHHH", head, 0x36, 56, 1, 64, 1, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 128 + len(CODE), 128 + len(CODE), 4096)
    path.write_bytes(bytes(head) + segment.ljust(64, b"\0") + CODE + symbols + bytes(64))
    return path


def test_a_library_keeps_what_is_loaded_and_nothing_behind_it(tmp_path: Path) -> None:
    library = _library(tmp_path / "a.so")
    trimming.trim_library(library)
    data = library.read_bytes()
    assert data.endswith(CODE) and len(data) == 128 + len(CODE)
    assert struct.unpack_from("<Q", data, 0x28) == (0,) and struct.unpack_from("<HH", data, 0x3C) == (0, 0)


def test_a_file_that_an_installer_linked_stays_as_it_is_elsewhere(tmp_path: Path) -> None:
    cached = _library(tmp_path / "cached.so")
    before = cached.read_bytes()
    linked = tmp_path / "linked.so"
    linked.hardlink_to(cached)
    trimming.trim_library(linked)
    assert cached.read_bytes() == before != linked.read_bytes()


def test_what_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    script = tmp_path / "a.so"
    script.write_text("INPUT(b.so)")
    trimming.trim_library(script)
    assert script.read_text() == "INPUT(b.so)"


def test_archives_of_the_same_files_are_the_same_to_the_byte(tmp_path: Path) -> None:
    archives = []
    for name, names in (("a", ("x", "y")), ("b", ("y", "x"))):
        folder = tmp_path / name
        (folder / "boto3").mkdir(parents=True)
        for each in names:
            (folder / each).write_text(each * 1000)
        (folder / "boto3" / "z").write_text("z" * 50)
        (folder / names[0]).chmod(0o755)
        archives.append(archive(folder, tmp_path / f"{name}.zip"))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    found = size(archives[0])
    assert (found.unpacked, found.own) == (2050, 2000)
    assert found.packed == archives[0].stat().st_size
    assert table({"a": found}).splitlines()[2] == "| `a` | 0.0 | 0.0 | 0.0 |"


def test_an_archive_that_lambda_does_not_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_text("x")
    monkeypatch.setattr("infra.archives._LIMIT_BYTES", 10)
    with pytest.raises(PackagingError, match=r"a\.zip: [0-9]+ bytes are more than Lambda takes"):
        archive(tmp_path / "in", tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("function", "megabytes"),
    [("ingest", 25), ("dispatch_email", 25), ("dispatch_sms", 30), ("dispatch_wecom", 28), ("trace", 20)],
)
def test_packages_for_lambda_stay_small(function: str, megabytes: int) -> None:
    """Unpacked and without boto3, since a code waits for the first start of these."""
    files = [path for path in packaging.install(FUNCTIONS[function].distributions, LAMBDA, BUILD).rglob("*")]
    ours = [packaging.ROOT / path for path in packaging.sources(FUNCTIONS[function])]
    counted = [path for path in files if not any(part.startswith(("boto", "s3transfer")) for part in path.parts)]
    assert sum(path.stat().st_size for path in [*counted, *ours] if path.is_file()) < megabytes * 1_000_000
