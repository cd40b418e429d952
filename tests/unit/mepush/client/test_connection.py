"""Where the address and the key come from."""

import os
import stat
from pathlib import Path

import pytest

from mepush.client.connection import LOCAL_FILE, Connection, find_connection, forget_local, read_local, write_local
from mepush.client.errors import FileError, UsageError

ENV = {"MEPUSH_URL": "https://env.example.com", "MEPUSH_KEY": "env-key"}


def test_flags_come_before_the_environment() -> None:
    assert find_connection("https://flag.example.com", "flag-key", ENV) == Connection(
        "https://flag.example.com", "flag-key"
    )
    assert find_connection(None, None, ENV) == Connection("https://env.example.com", "env-key")


def test_the_local_stack_is_found_from_folders_below_it(tmp_path: Path) -> None:
    path = write_local(Connection("http://127.0.0.1:1", "local-key"), tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_connection(None, None, {}, below) == Connection("http://127.0.0.1:1", "local-key")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_local_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = write_local(Connection("http://127.0.0.1:1", "one"), tmp_path)
    path.chmod(0o644)
    write_local(Connection("http://127.0.0.1:2", "two"), tmp_path)
    assert find_connection(None, None, {}, tmp_path) == Connection("http://127.0.0.1:2", "two")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_local_key_never_goes_to_another_address(tmp_path: Path) -> None:
    write_local(Connection("http://127.0.0.1:1", "local-key"), tmp_path)
    with pytest.raises(UsageError, match="no key"):
        find_connection("https://other.example.com", None, {}, tmp_path)
    (tmp_path / "below").mkdir()
    with pytest.raises(UsageError, match="no address") as caught:
        find_connection(None, "k", {}, tmp_path / "below")
    assert "http://127.0.0.1:1" in caught.value.hint and "local-key" not in caught.value.hint


def test_without_anything_the_ways_to_give_it_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_connection(None, None, {}, tmp_path)
    assert "MEPUSH_URL" in caught.value.hint
    assert "make run" in caught.value.hint


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("file-key\n")
    assert find_connection("https://x.example.com", f"@{tmp_path / 'key'}", {}).key == "file-key"
    with pytest.raises(FileError, match="cannot be read"):
        find_connection("https://x.example.com", "@/nowhere/key", {})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "x"}'])
def test_a_damaged_local_file_is_named(tmp_path: Path, content: str) -> None:
    write_local(Connection("u", "k"), tmp_path).write_text(content)
    with pytest.raises(FileError, match="cannot be read"):
        find_connection(None, None, {}, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "x"}'])
def test_a_damaged_local_file_tells_of_no_stack(tmp_path: Path, content: str) -> None:
    assert read_local(tmp_path) is None
    write_local(Connection("u", "k"), tmp_path).write_text(content)
    assert read_local(tmp_path) is None


def test_only_ones_own_local_file_is_deleted(tmp_path: Path) -> None:
    write_local(Connection("u", "mine"), tmp_path)
    forget_local(Connection("u", "another"), tmp_path)
    assert read_local(tmp_path) == Connection("u", "mine")
    forget_local(Connection("u", "mine"), tmp_path)
    assert not (tmp_path / LOCAL_FILE).exists()


def test_the_key_is_not_in_the_representation() -> None:
    assert "hidden" not in repr(Connection("https://x.example.com", "hidden"))
