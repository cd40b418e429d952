"""`make deploy`, `diff`, `destroy`, `bootstrap` and `first-key`: what they refuse, and what they have the CDK do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from infra import deploy
from infra.stage import Stage
from infra.stage import read as read_stage

ACCOUNT = "123456789012"
Answers = dict[str, Any]


def _refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


class FakeClient:
    """A client of AWS that answers as it is told: an exception is raised, a list is the pages of a paginator."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            answer = self._answers[name]
            answer = answer(**arguments) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        pages = self._answers[name]
        return type("Pages", (), {"paginate": lambda _self, **arguments: [pages(**arguments)]})()


class World:
    """An AWS account, and a CDK that notes what it is asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.answers: Answers = {
            "get_caller_identity": {"Account": ACCOUNT},
            "get_parameter": {},
            "describe_stacks": _refusal("ValidationError", "Stack with id mepush-x does not exist"),
        }
        self.region: str | None = "eu-central-1"
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self.stage = "prefix = 'mepush-x'"
        self._folder = folder
        monkeypatch.delenv("AWS_REGION", raising=False)
        monkeypatch.setattr(boto3, "Session", self._session)
        monkeypatch.setattr(deploy, "cdk", self._cdk)
        monkeypatch.setattr(deploy, "stage_named", self._stage)
        monkeypatch.setattr(deploy, "synth", lambda folder, **_: folder)

    def _session(self, region_name: str | None = None) -> Any:
        session = type("Session", (), {})()
        session.region_name = region_name or self.region
        session.client = lambda _service: FakeClient(self.answers)
        return session

    def _cdk(self, arguments: tuple[str, ...], region: str) -> int:
        self.asked.append((arguments, region))
        return 0

    def _stage(self, name: str) -> Stage:
        path = self._folder / f"{name}.toml"
        path.write_text(self.stage)
        return read_stage(path)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """An account with credentials, prepared for the CDK, in which nothing is deployed."""
    return World(monkeypatch, tmp_path)


def _run(verb: str) -> int:
    return deploy.main([verb, "--stage", "x"])


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("bootstrap", ["bootstrap", f"aws://{ACCOUNT}/eu-central-1"]),
        ("deploy", ["deploy", "--all", "--require-approval", "broadening"]),
        ("diff", ["diff"]),
        ("destroy", ["destroy", "--all"]),
    ],
)
def test_the_cdk_is_asked_in_the_stages_region(world: World, verb: str, asked: list[str]) -> None:
    assert _run(verb) == 0
    [(arguments, region)] = world.asked
    assert [each for each in arguments if each in asked] == asked
    assert region == "eu-central-1"


def test_what_stands_in_front_is_prepared_for_where_it_is(world: World) -> None:
    world.stage += "\n[domain]\nname = 'push.example.com'\nzone_id = 'Z0123456789'\nedge = true"
    assert _run("bootstrap") == 0
    places = (f"aws://{ACCOUNT}/eu-central-1", f"aws://{ACCOUNT}/us-east-1")
    assert world.asked == [(("bootstrap", *places), "eu-central-1")]


def test_the_region_of_the_stage_counts_before_that_of_the_configuration(world: World) -> None:
    world.stage += "\nregion = 'ap-southeast-1'"
    assert _run("deploy") == 0
    assert world.asked[0][1] == "ap-southeast-1"


@pytest.mark.parametrize("verb", sorted(deploy.VERBS))
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "stage",
            "prefix = 'x'\naccount = '210987654321'",
            "belongs in the account 210987654321; these credentials are",
        ),
        ("stage", "prefix = 'x'\nallow_loopback = true", "is for `make run`"),
        ("stage", "prefix = 'X'", "x.toml: prefix: 1 to 20"),
        ("region", None, "write `region` into infra/stages/x.toml"),
        ("identity", NoCredentialsError(), "There are no AWS credentials. Log in"),
        ("identity", _refusal("ExpiredToken"), "AWS refused: ExpiredToken. Log in"),
        ("identity", EndpointConnectionError(endpoint_url="https://sts"), "AWS cannot be reached: "),
    ],
)
def test_who_cannot_be_let_in_is_told_why_before_anything_happens(
    world: World, capsys: pytest.CaptureFixture[str], verb: str, name: str, value: Any, said: str
) -> None:
    if name == "identity":
        world.answers["get_caller_identity"] = value
    else:
        setattr(world, name, value)
    assert _run(verb) == 1
    assert said in capsys.readouterr().err
    assert world.asked == []


def test_an_account_that_the_cdk_was_not_prepared_for_is_not_deployed_to(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.answers["get_parameter"] = _refusal("ParameterNotFound")
    assert _run("deploy") == 1
    assert "run `make bootstrap STAGE=x` once" in capsys.readouterr().err
    assert world.asked == []


def _deployed(world: World, *, protected: bool, versions: bool) -> None:
    """Two stacks, a table and a bucket of which are in the one that keeps."""
    kept = [
        {"ResourceType": "AWS::DynamoDB::Table", "PhysicalResourceId": "t1"},
        {"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "b1"},
        {"ResourceType": "AWS::Kinesis::Stream", "PhysicalResourceId": "s1"},
    ]
    stack = {"EnableTerminationProtection": protected, "Outputs": []}
    world.answers |= {
        "describe_stacks": {"Stacks": [stack]},
        "list_stack_resources": lambda StackName: {
            "StackResourceSummaries": kept if StackName.endswith("-data") else []
        },
        "describe_table": {"Table": {"DeletionProtectionEnabled": protected}},
        "list_object_versions": {"DeleteMarkers": [{}]} if versions else {},
    }


def test_protected_data_is_named_and_nothing_is_destroyed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _deployed(world, protected=True, versions=True)
    assert _run("destroy") == 1
    assert world.asked == []
    assert capsys.readouterr().err.splitlines() == [
        "Nothing was deleted: the stage x holds data that is protected.",
        "- the stack mepush-x-data is protected from termination",
        "- the table t1 is protected from deletion",
        "- the bucket b1 holds files",
        "- the stack mepush-x is protected from termination",
        "To give it up for good: write `keep_data = false` into infra/stages/x.toml, run `make deploy STAGE=x`, "
        "empty the buckets, and run this again.",
    ]


@pytest.mark.parametrize(("versions", "code"), [(True, 1), (False, 0)])
def test_a_bucket_that_holds_anything_is_protected(world: World, versions: bool, code: int) -> None:
    _deployed(world, protected=False, versions=versions)
    assert _run("destroy") == code
    assert len(world.asked) == 1 - code


def test_what_cannot_be_looked_at_is_not_destroyed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answers["describe_stacks"] = _refusal("AccessDenied")
    assert _run("destroy") == 1
    assert "AWS refused: AccessDenied. These AWS credentials may not do this" in capsys.readouterr().err
    assert world.asked == []


def test_the_first_key_is_made_in_the_table_of_the_stack(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [{"OutputKey": "ApiUrl", "OutputValue": "u"}, {"OutputKey": "CatalogTable", "OutputValue": "t1"}]
    world.answers["describe_stacks"] = {"Stacks": [{"Outputs": outputs}]}
    monkeypatch.setattr(deploy, "first_key", lambda *arguments: f"key of {arguments[0]} in {arguments[3]}")
    assert _run("first-key") == 0
    assert capsys.readouterr() == ("key of t1 in eu-central-1\n", "Keep this key now; it is not shown again.\n")


def test_without_a_deployment_there_is_no_key(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("first-key") == 1
    assert "Run `make deploy STAGE=x` first." in capsys.readouterr().err
