"""The archive: how Firehose writes it, what lies over it, who may what, and how long it is kept."""

import json
from typing import Any

import pytest

from infra.archive_queries import QUERIES
from shared.policy.archive import COLUMNS
from tests.infra.template import Template

FILES, RESULTS = "ArchiveFiles", "ArchiveStoreResults"


def _destination(prod: Template) -> dict[str, Any]:
    (stream,) = prod.of("KinesisFirehose::DeliveryStream").values()
    found: dict[str, Any] = stream.properties["ExtendedS3DestinationConfiguration"]
    return found


def _table(prod: Template) -> dict[str, Any]:
    (table,) = prod.of("Glue::Table").values()
    found: dict[str, Any] = table.properties["TableInput"]
    return found


def test_a_stage_without_an_archive_has_nothing_of_it(dev: Template) -> None:
    kinds = {each.type.split("::")[1] for each in dev.resources}
    assert kinds.isdisjoint({"KinesisFirehose", "Glue", "Athena"})
    names = {each.id for each in dev.resources} | set(dev.json["Outputs"])
    assert "archive" not in dev.functions() and not [name for name in names if name.startswith("Archive")]


def test_firehose_converts_within_its_limits_and_encrypts(prod: Template) -> None:
    (stream,) = prod.of("KinesisFirehose::DeliveryStream").values()
    assert stream.properties["DeliveryStreamType"] == "DirectPut"
    assert stream.properties["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}
    found = _destination(prod)
    # Firehose API reference, DataFormatConversionConfiguration and BufferingHints.
    assert found["BufferingHints"]["SizeInMBs"] >= 64 and found["BufferingHints"]["IntervalInSeconds"] <= 900
    assert found["CompressionFormat"] == "UNCOMPRESSED"
    conversion = found["DataFormatConversionConfiguration"]
    assert conversion["InputFormatConfiguration"] == {"Deserializer": {"OpenXJsonSerDe": {}}}
    schema = conversion["SchemaConfiguration"]
    assert (schema["DatabaseName"], schema["TableName"]) == ("mepush_archive", "events")


def test_files_lie_by_the_hour_where_the_table_looks_for_them(prod: Template) -> None:
    found, table = _destination(prod), _table(prod)
    assert found["Prefix"] == "events/hour=!{timestamp:yyyy-MM-dd-HH}/"
    assert found["ErrorOutputPrefix"].startswith("errors/!{firehose:error-output-type}/")
    location = f"s3://${{{FILES}}}/events/"
    assert table["StorageDescriptor"]["Location"] == location
    assert (
        table["Parameters"]
        | {
            "projection.enabled": "true",
            "projection.hour.type": "date",
            "projection.hour.format": "yyyy-MM-dd-HH",
            "projection.hour.range": "2026-11-01-00,NOW",
            "projection.hour.interval": "1",
            "projection.hour.interval.unit": "HOURS",
            "storage.location.template": f"{location}hour=${{hour}}/",
        }
        == table["Parameters"]
    )
    assert [each["Name"] for each in table["PartitionKeys"]] == ["hour"]


def test_the_table_has_the_columns_that_rows_have(prod: Template) -> None:
    columns = _table(prod)["StorageDescriptor"]["Columns"]
    assert [(each["Name"], each["Type"]) for each in columns] == [(each.name, each.type) for each in COLUMNS]


def test_firehose_is_made_after_what_it_needs(prod: Template) -> None:
    (stream,) = prod.of("KinesisFirehose::DeliveryStream").values()
    needed = " ".join(stream.raw["DependsOn"])
    assert all(each in needed for each in ("ArchiveStoreRole", "ArchiveStoreTable", "ArchiveStoreLogStream"))


def test_firehose_may_write_its_files_read_the_schema_and_log(prod: Template) -> None:
    (role,) = [each for each in prod.of("IAM::Role").values() if each.id == "ArchiveStoreRole"]
    (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "firehose.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
    glue = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}"
    write = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    assert [(each["Action"], each["Resource"]) for each in prod.statements("ArchiveStoreRole")] == [
        (write, [f"${{{FILES}.Arn}}/errors/*", f"${{{FILES}.Arn}}/events/*"]),
        (["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [f"${{{FILES}.Arn}}"]),
        (
            ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            [f"{glue}:catalog", f"{glue}:database/mepush_archive", f"{glue}:table/mepush_archive/events"],
        ),
        (["logs:PutLogEvents"], ["${ArchiveStoreLogs.Arn}"]),
    ]


@pytest.mark.parametrize("id", [FILES, RESULTS])
def test_both_buckets_are_closed_and_encrypted(prod: Template, prod_data: Template, id: str) -> None:
    template = prod_data if id == FILES else prod
    bucket = template.of("S3::Bucket")[id]
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    policy = next(e for e in template.of("S3::BucketPolicy").values() if e.properties["Bucket"] == f"${{{id}}}")
    (denied,) = policy.properties["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_files_cool_after_a_quarter_and_are_forgotten_after_five_years(prod_data: Template) -> None:
    bucket = prod_data.of("S3::Bucket")[FILES]
    (rule,) = bucket.properties["LifecycleConfiguration"]["Rules"]
    assert rule["Transitions"] == [{"StorageClass": "STANDARD_IA", "TransitionInDays": 90}]
    assert (rule["ExpirationInDays"], bucket.raw["DeletionPolicy"]) == (1825, "Retain")
    assert "Prefix" not in rule


def test_answers_are_forgotten_after_a_month(prod: Template) -> None:
    bucket = prod.of("S3::Bucket")[RESULTS]
    (rule,) = bucket.properties["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], bucket.raw["DeletionPolicy"]) == (30, "Delete")


def test_a_question_reads_no_more_than_it_may(prod: Template) -> None:
    (group,) = prod.of("Athena::WorkGroup").values()
    settings = group.properties["WorkGroupConfiguration"]
    assert settings["BytesScannedCutoffPerQuery"] == 10 * 10**9
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["ResultConfiguration"] == {
        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
        "OutputLocation": f"s3://${{{RESULTS}}}/",
    }


def test_the_queries_are_there_in_the_workgroup(prod: Template) -> None:
    found = [each.properties for each in prod.of("Athena::NamedQuery").values()]
    assert {each["Name"]: each["QueryString"] for each in found} == {
        f"mepush: {each.name}": each.text("mepush_archive") for each in QUERIES
    }
    assert {(each["WorkGroup"], each["Database"]) for each in found} == {("mepush-archive", "mepush_archive")}
    assert len(found) == 5


def test_what_firehose_cannot_convert_or_store_is_an_alarm(prod: Template) -> None:
    alarms = [each.properties for each in prod.of("CloudWatch::Alarm").values()]
    found = {each["MetricName"]: each for each in alarms if each.get("Namespace") == "AWS/Firehose"}
    converted, stored = found["FailedConversion.Records"], found["DeliveryToS3.DataFreshness"]
    assert (converted["Statistic"], converted["Threshold"]) == ("Sum", 0)
    # Longer than files are gathered for, and much less than the day that Firehose keeps what it could not store.
    assert _destination(prod)["BufferingHints"]["IntervalInSeconds"] < stored["Threshold"] < 86_400 / 4
    assert {json.dumps(each["Dimensions"]) for each in found.values()} == {
        json.dumps([{"Name": "DeliveryStreamName", "Value": "mepush-archive"}])
    }
