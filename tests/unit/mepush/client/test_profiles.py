"""Deployments by name: the file, and which of all addresses and keys counts."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mepush.client.connection import Connection, find_connection, write_local
from mepush.client.errors import FileError, UsageError
from mepush.client.profiles import (
    Profile,
    Profiles,
    choose_profile,
    chosen_profile,
    profiles_path,
    read_profiles,
    write_profiles,
)
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import KEY, FakeApi

PROD = Connection("https://prod.example.com", "prod-key")
TEST = Connection("https://test.example.com", "test-key")


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with the profiles `prod`, the default, and `test`."""
    found = {"XDG_CONFIG_HOME": str(tmp_path)}
    profiles = {"prod": Profile(PROD.url, PROD.key), "test": Profile(TEST.url, TEST.key)}
    write_profiles(profiles_path(found), Profiles(profiles, "prod"))
    yield found
    choose_profile(None)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "profiles.toml"
    kept = Profiles({"a-b": Profile('https://x/"\\', "@/home/李/钥匙")}, "a-b")
    write_profiles(path, kept)
    assert read_profiles(path) == kept
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_may_read_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    profiles_path(env).chmod(0o640)
    with pytest.raises(FileError, match="Other users may read") as refused:
        find_connection(None, None, env, tmp_path)
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize("text", ["[", "profiles = 3", '[profiles.a]\nurl = "x"', "profiles.a = 1"])
def test_a_file_that_holds_something_else_is_named(env: dict[str, str], tmp_path: Path, text: str) -> None:
    profiles_path(env).write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match="cannot be read as profiles"):
        find_connection(None, None, env, tmp_path)


def test_the_order_in_which_connections_count(env: dict[str, str], tmp_path: Path) -> None:
    assert find_connection(None, None, env, tmp_path) == PROD
    local = Connection("http://127.0.0.1:1", "local-key")
    write_local(local, tmp_path)
    assert find_connection(None, None, env, tmp_path) == local
    env["MEPUSH_PROFILE"] = "test"
    assert find_connection(None, None, env, tmp_path) == TEST
    env |= {"MEPUSH_URL": "https://env.example.com", "MEPUSH_KEY": "env-key"}
    assert find_connection(None, None, env, tmp_path) == Connection("https://env.example.com", "env-key")
    choose_profile("prod")
    assert find_connection(None, None, env, tmp_path) == PROD


def test_a_profile_is_not_mixed_with_flags(env: dict[str, str]) -> None:
    choose_profile("prod")
    with pytest.raises(UsageError, match="names an address and a key"):
        find_connection("https://other.example.com", None, env)


def test_a_name_that_is_not_there_is_told_with_those_that_are(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"no profile 'pord' \(prod, test\)"):
        find_connection(None, None, {**env, "MEPUSH_PROFILE": "pord"})


@pytest.fixture
def alone(mepush: Mepush, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mepush:
    """The command without an address or a key in the environment."""
    monkeypatch.delenv("MEPUSH_URL")
    monkeypatch.delenv("MEPUSH_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return mepush


def test_a_profile_is_added_used_and_removed(alone: Mepush, api: FakeApi, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    assert "it is the default" in alone("profile", "add", "prod", "--url", api.url, "--key", f"@{key}").out
    assert "default" not in alone("profile", "add", "old", "--url", "https://127.0.0.1:1", "--key", "k").out
    assert alone("template", "list").code == 0
    assert alone("profile", "use", "old").code == 0
    for where in (("--profile", "prod", "template", "list"), ("template", "list", "--profile", "prod")):
        assert "welcome" in alone(*where).out
        assert chosen_profile() is None, "what comes later in the same process has said nothing"
    assert alone("profile", "list", "--json").json == {
        "default": "old",
        "profiles": [{"name": "prod", "url": api.url}, {"name": "old", "url": "https://127.0.0.1:1"}],
    }
    assert alone("profile", "remove", "old").code == 0
    ran = alone("template", "list")
    assert ran.code == 2
    assert "mepush profile add" in ran.err


def test_a_key_that_is_not_given_is_asked_for(alone: Mepush, api: FakeApi) -> None:
    assert alone("profile", "add", "prod", "--url", api.url, stdin=f"{KEY}\n").code == 0
    assert alone("template", "list").code == 0


@pytest.mark.parametrize(
    ("name", "url", "said"),
    [("a b", "https://x.example.com", "no name"), ("a", "http://x.example.com", "in the clear"), ("a", "x", "no web")],
)
def test_what_cannot_be_a_profile_is_refused(alone: Mepush, name: str, url: str, said: str) -> None:
    ran = alone("profile", "add", name, "--url", url, "--key", "k")
    assert ran.code == 2
    assert said in ran.err.replace("is not a web address", "no web")
    assert alone("profile", "list", "--json").json["profiles"] == []
