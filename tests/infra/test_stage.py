"""Stages: what their files may hold, and what is said of what they may not."""

from pathlib import Path
from typing import Any

import pytest

from infra.stage import FOLDER, Stage, StageError, read, stage_named, stage_names
from shared.model.words import MessageClass


def _file(folder: Path, text: str, name: str = "trial") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_each_file_is_a_stage_of_its_name() -> None:
    assert {"local", "dev", "prod"} <= set(stage_names())
    for name in stage_names():
        assert stage_named(name).name == name


def test_two_stages_of_one_account_do_not_meet() -> None:
    deployed = [stage_named(name) for name in stage_names() if name != "local"]
    assert len({stage.prefix for stage in deployed}) == len(deployed)
    assert [stage.name for stage in map(stage_named, stage_names()) if stage.allow_loopback] == ["local"]


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    assert read(_file(tmp_path, 'prefix = "trial"')) == Stage("trial", "trial")


def test_an_unknown_stage_is_named_with_those_that_exist() -> None:
    with pytest.raises(StageError, match=r"no such stage: test; there are dev, local, prod"):
        stage_named("test")
    with pytest.raises(StageError, match="no such stage"):
        stage_named(f"../{FOLDER.name}/dev")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prefix = ", "not TOML: "),
        ("", "prefix: is missing"),
        ('prefix = "a"\nname = "b"', "name: leave it out"),
        ('prefix = "a"\nburts = 1', r"burts: there is no such field; there are prefix, .*burst"),
        ('prefix = "a"\nburst = "many"', "burst: Expected int, got str"),
        ('prefix = "a"\nprivate_networks = "10.0.0.0/8"', "private_networks: Expected array, got str"),
        ('prefix = "a"\n[concurrency]\nnews = 5', "concurrency: Invalid enum value 'news'"),
        ('prefix = "A"\nlog_days = 31', "prefix: 1 to 20 .*; log_days: logs are kept for"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_each_field(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(StageError, match=said) as caught:
        read(_file(tmp_path, text))
    assert str(caught.value).startswith(f"{Path(*tmp_path.parts[-2:])}/trial.toml: ")


@pytest.mark.parametrize("prefix", ["", "Me", "me_push", "m" * 21, "a b", "-a", "a-", "a--b"])
def test_a_prefix_that_names_cannot_begin_with_is_refused(prefix: str) -> None:
    with pytest.raises(StageError, match="prefix: 1 to 20"):
        Stage("test", prefix)


@pytest.mark.parametrize("cap", [1, 1001])
def test_a_cap_that_lambda_does_not_take_is_refused(cap: int) -> None:
    with pytest.raises(StageError, match="concurrency: give each class 2 to 1,000"):
        Stage("test", "test", concurrency=dict.fromkeys(MessageClass, cap))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("account", "12345678901", "account: 12 digits"),
        ("region", "Frankfurt", "region: a Region of AWS"),
        ("alarm_email", "oncall", "alarm_email: one address"),
        ("log_days", 31, "log_days: logs are kept for 1, 7, 14, 30, 90, 365 days"),
        ("archive_days", 90, "archive_days: an archive is kept for more than 90 days"),
        ("archive_scan_gb", 0, "archive_scan_gb: 1 or more"),
        ("timeline_days", 0, "timeline_days: 1 or more"),
        ("burst", -1, "burst: 1 or more"),
    ],
)
def test_a_value_that_aws_does_not_take_is_refused(field: str, value: Any, said: str) -> None:
    with pytest.raises(StageError, match=said):
        Stage("test", "test", **{field: value})


@pytest.mark.parametrize("network", ["0.0.0.0/0", "127.0.0.0/8", "169.254.0.0/16", "8.8.8.0/24", "10.0.0.1/8", "vpc"])
def test_only_networks_of_the_companys_own_can_be_opened_to_accounts(network: str) -> None:
    with pytest.raises(StageError, match="private_networks: "):
        Stage("x", "mepush", private_networks=("10.20.0.0/16", network))
