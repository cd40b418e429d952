"""What is kept, for how long, and how it is protected."""

import re
from pathlib import Path

import pytest

from infra.node import use_project_node
from infra.stage import stage_named
from tests.infra.template import Template

PRECIOUS = {"TablesCatalog", "TablesCounters"}
DISPOSABLE = {"TablesGuard", "TablesTimeline"}


def test_there_are_four_tables_with_the_same_keys_paid_by_request(prod_data: Template) -> None:
    tables = prod_data.of("DynamoDB::Table")
    assert set(tables) == PRECIOUS | DISPOSABLE
    for table in tables.values():
        assert table.properties["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        assert {each["AttributeType"] for each in table.properties["AttributeDefinitions"]} == {"S"}
        assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
        # Under AWS's own key: always encrypted, and no charge per request.
        assert "SSESpecification" not in table.properties
        assert "TableName" not in table.properties


def test_precious_tables_can_be_restored_and_outlive_the_stack(prod_data: Template) -> None:
    for id in PRECIOUS:
        table = prod_data.of("DynamoDB::Table")[id]
        assert table.properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table.properties["DeletionProtectionEnabled"] is True
        assert (table.raw["DeletionPolicy"], table.raw["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_disposable_tables_go_with_the_stack(prod_data: Template) -> None:
    for id in DISPOSABLE:
        assert prod_data.of("DynamoDB::Table")[id].raw["DeletionPolicy"] == "Delete"


def test_tables_forget_what_has_a_time_to_live(prod_data: Template) -> None:
    """In the catalog those are dead letters that were decided on, among the counters the health of accounts."""
    for table in prod_data.of("DynamoDB::Table").values():
        assert table.properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_a_stage_to_try_things_on_leaves_nothing_behind(dev_data: Template) -> None:
    for table in dev_data.of("DynamoDB::Table").values():
        assert table.raw["DeletionPolicy"] == "Delete"
        assert table.properties["DeletionProtectionEnabled"] is False
    (bucket,) = dev_data.of("S3::Bucket").values()
    assert bucket.raw["DeletionPolicy"] == "Delete"


def test_the_stream_grows_by_itself_is_encrypted_and_outlives_the_retries(prod: Template, prod_data: Template) -> None:
    (stream,) = prod_data.of("Kinesis::Stream").values()
    assert stream.properties["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert stream.properties["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    for name in ("TraceSource", "ArchiveSource"):
        source = prod.of("Lambda::EventSourceMapping")[name].properties
        assert stream.properties["RetentionPeriodHours"] * 3600 > source["MaximumRecordAgeInSeconds"]


def test_the_bucket_is_closed_encrypted_and_tidied(prod_data: Template) -> None:
    bucket = prod_data.of("S3::Bucket")["Assets"]
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket.properties["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    rule, *files = bucket.properties["LifecycleConfiguration"]["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert [(each["Prefix"], each.get("TagFilters"), each["ExpirationInDays"], each["Status"]) for each in files] == [
        ("attachments/", None, 30, "Enabled"),
        ("audiences/", [{"Key": "mepush:keep", "Value": "upload"}], 60, "Enabled"),
        ("audiences/default/uploads/", None, 60, "Enabled"),
        ("runs/", None, 60, "Enabled"),
    ]
    assert bucket.raw["DeletionPolicy"] == "Retain"


def test_what_is_kept_is_apart_from_what_works_with_it(prod: Template, prod_data: Template) -> None:
    kept = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Kinesis::Stream"}
    assert {each.type for each in prod_data.resources} == kept
    # What Athena answers with is forgotten after a month.
    assert [each.id for each in prod.resources if each.type == "AWS::S3::Bucket"] == ["ArchiveStoreResults"]
    assert not [each for each in prod.resources if each.raw.get("DeletionPolicy") == "Retain" and each.type in kept]


def test_all_that_is_kept_is_exported_whether_it_is_used_or_not(prod: Template, tmp_path: Path) -> None:
    use_project_node()
    from aws_cdk import App

    from infra.data import DataStack

    app = App(outdir=str(tmp_path), analytics_reporting=False, builtin_cloud_formation_validation=False)
    DataStack(app, stage=stage_named("prod"))
    app.synth()
    alone = Template(tmp_path / "mepush-data.template.json")
    exported = {each["Export"]["Name"]: each["Value"] for each in alone.json["Outputs"].values()}
    kept = [id for id, raw in alone.json["Resources"].items() if raw["Type"] != "AWS::S3::BucketPolicy"]
    assert sorted(map(str, exported.values())) == sorted(
        str(each) for id in kept for each in ({"Ref": id}, {"Fn::GetAtt": [id, "Arn"]})
    )
    assert set(re.findall(r'"Fn::ImportValue": "(.+?)"', prod.text)) <= set(exported)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_log_group_forgets(request: pytest.FixtureRequest, stage: str) -> None:
    template: Template = request.getfixturevalue(stage)
    groups = template.of("Logs::LogGroup")
    archive = stage_named(stage).archive
    assert len(groups) == len(template.functions()) + 1 + archive
    assert {group.properties["RetentionInDays"] for group in groups.values()} == {stage_named(stage).log_days}
    names = {group.properties["LogGroupName"] for group in groups.values()}
    prefix = stage_named(stage).prefix
    assert names == {f"/aws/lambda/{prefix}-{name}" for name in template.functions()} | {
        f"/aws/vendedlogs/{prefix}/access",
        *([f"/aws/kinesisfirehose/{prefix}-archive"] if archive else []),
    }
