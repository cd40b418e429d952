"""What is kept, for how long, and how it is protected."""

import pytest

from infra.stage import stage_named
from tests.infra.template import Template

PRECIOUS = {"TablesCatalog", "TablesCounters"}
DISPOSABLE = {"TablesGuard", "TablesTimeline"}


def test_there_are_four_tables_with_the_same_keys_paid_by_request(prod: Template) -> None:
    tables = prod.of("DynamoDB::Table")
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


def test_precious_tables_can_be_restored_and_outlive_the_stack(prod: Template) -> None:
    for id in PRECIOUS:
        table = prod.of("DynamoDB::Table")[id]
        assert table.properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table.properties["DeletionProtectionEnabled"] is True
        assert (table.raw["DeletionPolicy"], table.raw["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_disposable_tables_go_with_the_stack(prod: Template) -> None:
    for id in DISPOSABLE:
        assert prod.of("DynamoDB::Table")[id].raw["DeletionPolicy"] == "Delete"


def test_tables_forget_what_has_a_time_to_live(prod: Template) -> None:
    """In the catalog those are dead letters that were decided on, among the counters the health of accounts."""
    for table in prod.of("DynamoDB::Table").values():
        assert table.properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_a_stage_to_try_things_on_leaves_nothing_behind(dev: Template) -> None:
    for table in dev.of("DynamoDB::Table").values():
        assert table.raw["DeletionPolicy"] == "Delete"
        assert table.properties["DeletionProtectionEnabled"] is False
    (bucket,) = dev.of("S3::Bucket").values()
    assert bucket.raw["DeletionPolicy"] == "Delete"


def test_the_stream_grows_by_itself_is_encrypted_and_outlives_the_retries(prod: Template) -> None:
    (stream,) = prod.of("Kinesis::Stream").values()
    assert stream.properties["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert stream.properties["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    for name in ("TraceSource", "ArchiveSource"):
        source = prod.of("Lambda::EventSourceMapping")[name].properties
        assert stream.properties["RetentionPeriodHours"] * 3600 > source["MaximumRecordAgeInSeconds"]


def test_the_bucket_is_closed_encrypted_and_tidied(prod: Template) -> None:
    bucket = prod.of("S3::Bucket")["Assets"]
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
