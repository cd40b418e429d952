"""The template as a whole: that it can be deployed, checked and found again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import cdk_app
from infra.node import node_binary
from infra.packaging import BUILD, ROOT
from infra.specs import FUNCTIONS
from infra.stage import stage_named
from tests.infra.template import Template

STAGE_NAMES = ["dev", "prod"]
ARCHIVE_ALARMS = ("AlarmsErrorsArchive", "AlarmsThrottlesArchive", "AlarmsDeadLettersArchive")
CFN_LINT = "from cfnlint.runner import main; raise SystemExit(main())"


def test_the_command_needs_no_node_no_credentials_and_says_nothing_else(dev: Template) -> None:
    assert dev.path.name == "mepush-dev.template.json"
    assert (dev.path.parent / "stderr").read_text() == ""
    assert node_binary().is_file()


def test_the_same_stage_gives_the_same_template(local: Template, tmp_path: Path) -> None:
    assert cdk_app.synth(tmp_path, stub_assets=True).read_bytes() == local.path.read_bytes()


def test_the_local_stage_differs_from_the_deployed_ones_by_arguments_only(
    local: Template, prod: Template, prod_data: Template
) -> None:
    def shape(template: Template) -> list[tuple[str, str]]:
        return sorted((each.id, each.type) for each in template.resources)

    assert local.path.name == "mepush.template.json"
    published = [each for each in shape(prod) if each[1] in ("AWS::Lambda::Version", "AWS::Lambda::Alias")]
    everything = sorted(shape(prod) + shape(prod_data))
    archive = [each for each in everything if each[0].startswith(("Archive", "AlarmsArchive", *ARCHIVE_ALARMS))]
    assert len(archive) > 20
    assert shape(local) == [each for each in everything if each not in (*published, *archive)]
    assert len(published) == 2 * sum(spec.snapshot for spec in FUNCTIONS.values())
    variables = [each.properties["Environment"]["Variables"] for each in local.functions().values()]
    assert {each["ALLOW_LOOPBACK_ENDPOINTS"] for each in variables if "ALLOW_LOOPBACK_ENDPOINTS" in each} == {"true"}


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_nothing_needs_a_helper_function_or_the_bootstrap_parameter(request: pytest.FixtureRequest, stage: str) -> None:
    template: Template = request.getfixturevalue(stage)
    types = {each.type for each in template.resources}
    assert not [each for each in types if each.startswith("Custom::") or each == "AWS::CloudFormation::CustomResource"]
    assert types.isdisjoint({"AWS::CDK::Metadata", "AWS::DynamoDB::GlobalTable"})
    assert set(template.functions()) == {n for n, s in FUNCTIONS.items() if not s.archive or stage_named(stage).archive}
    assert not {"Parameters", "Rules", "Conditions", "Mappings"} & set(template.json)


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_no_account_or_region_is_written_into_the_template(request: pytest.FixtureRequest, stage: str) -> None:
    template: Template = request.getfixturevalue(stage)
    assert not re.search(r"\b\d{12}\b|\b(us|eu|ap|cn)-[a-z]+-\d\b|arn:aws", template.text)


def test_cfn_lint_finds_nothing(full: Template, full_data: Template, full_edge: Template) -> None:
    templates = [str(each.path) for each in (full, full_data, full_edge)]
    # In a process of its own, since it takes seconds to import and only one worker needs it.
    arguments = ["--regions", "us-east-1", "ap-southeast-1", "--", *templates]
    command = [sys.executable, "-X", f"pycache_prefix={BUILD / 'tests' / 'compiled'}", "-c", CFN_LINT, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cdk_nag_finds_nothing_that_was_not_answered(full: Template, full_data: Template, full_edge: Template) -> None:
    report = json.loads((full.path.parent / "validation-report.json").read_text())
    assert report["pluginReports"] == []
    metadata = [
        resource.raw["Metadata"]["cdk_nag"]["rules_to_suppress"]
        for template in (full, full_data, full_edge)
        for resource in template.resources
        if "cdk_nag" in resource.raw.get("Metadata", {})
    ]
    ours = [rule["id"] for rules in metadata for rule in rules if rule["id"].startswith("AwsSolutions-")]
    answered = {id.split("[")[0].removeprefix("AwsSolutions-") for id in ours}
    assert answered == {"APIG4", "CFR1", "CFR3", "DDB3", "IAM5", "KDS3", "S1", "SQS3", "VPC7"}
    assert all(len(rule["reason"]) > 20 for rules in metadata for rule in rules)


def test_there_is_room_for_more(full: Template) -> None:
    """CloudFormation takes 500 resources in a stack."""
    assert len(full.resources) < 490


def test_people_and_the_command_can_find_everything(prod: Template) -> None:
    outputs = prod.json["Outputs"]
    functions = {f"{spec.construct_id}Function" for spec in FUNCTIONS.values()}
    tables = {"CatalogTable", "GuardTable", "TimelineTable", "CountersTable"}
    assert set(outputs) == functions | tables | {
        "AlarmTopic",
        "ApiUrl",
        "ArchiveBucket",
        "ArchiveResultsBucket",
        "ErasuresUrl",
        "ArchiveStream",
        "ArchiveTable",
        "ArchiveWorkgroup",
        "AssetsBucket",
        "CampaignsGroup",
        "CampaignsUrl",
        "DeadLetterUrls",
        "EventBus",
        "EventsDeadLetterUrl",
        "QueueUrls",
        "ReceiptsUrl",
        "ScheduleGroup",
        "SecretPrefix",
        "StreamName",
        "WebhooksUrl",
    }


def test_a_synthesis_without_packages_cannot_be_deployed(dev: Template) -> None:
    metadata = json.loads((dev.path.parent / "mepush-dev.metadata.json").read_text())
    errors = [each for entries in metadata.values() for each in entries if each["type"] == "aws:cdk:error"]
    assert len(errors) == 1
    assert "--package" in errors[0]["data"]


def test_the_cdk_command_asks_for_packages() -> None:
    app = json.loads((ROOT / "cdk.json").read_text())["app"]
    assert app == "python -m infra.cdk_app --package"
