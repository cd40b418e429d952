"""`python -m infra.first_key`."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoRegionError

from infra.first_key import main
from tests.conftest import Aws

ROOT = Path(__file__).parents[2]


def test_the_first_key_is_made_in_the_table(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda service, region_name: aws.client(service))
    assert main(["--catalog-table", aws.catalog, "--name", "ops"]) == 0
    made, said = capsys.readouterr()
    assert re.fullmatch(r"mp_live_[0-9a-z]{12}_[0-9a-z]{40}\n", made)
    assert "it is not shown again" in said
    items = aws.dynamodb.scan(TableName=aws.catalog)["Items"]
    assert {"tenant#default", f"key#{made.split('_')[2]}"} <= {item["pk"]["S"] for item in items}
    assert made.strip() not in str(items)


@pytest.mark.parametrize(
    ("options", "operates"),
    [([], True), (["--no-operator"], False), (["--tenant", "b"], False), (["--tenant", "b", "--operator"], True)],
)
def test_only_who_should_operates(
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    operates: bool,
) -> None:
    monkeypatch.setattr(boto3, "client", lambda service, region_name: aws.client(service))
    assert main(["--catalog-table", aws.catalog, "--json", *options]) == 0
    key = json.loads(capsys.readouterr().out)["key"].split("_")[2]
    [item] = [i for i in aws.dynamodb.scan(TableName=aws.catalog)["Items"] if i["pk"]["S"] == f"key#{key}"]
    assert ("operate" in str(item)) == operates


def test_what_aws_says_is_a_sentence(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda service, region_name: aws.client(service))
    assert main(["--catalog-table", "absent"]) == 1
    made, said = capsys.readouterr()
    assert (made, "There is no such table in this region" in said) == ("", True)

    def no_credentials(*_args: Any, **_options: Any) -> None:
        raise NoRegionError

    monkeypatch.setattr(boto3, "client", no_credentials)
    assert main(["--catalog-table", "absent", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "AWS cannot be reached: You must specify a region."


def test_the_pages_and_make_name_options_that_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    places = [*(ROOT / "docs").glob("*.md"), ROOT / "Makefile"]
    lines = [line for place in places for line in place.read_text().splitlines() if "infra.first_key -" in line]
    named = {option for line in lines for option in re.findall(r"--[a-z-]+", line.partition("infra.first_key")[2])}
    assert {"--catalog-table", "--region", "--tenant"} <= named <= known
