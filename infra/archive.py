"""The archive: events as files in S3, a table over them, and what people ask it with."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.archive_queries import QUERIES, TABLE
from infra.data import archive_files
from infra.functions import log_group
from infra.messaging import dead_letter_queue
from infra.nag import acknowledge
from infra.roles import Role
from infra.stage import Stage
from infra.wildcards import files
from shared.policy.archive import COLUMNS

EVENTS, ERRORS = "events/", "errors/"
HOUR = "yyyy-MM-dd-HH"
FIRST_HOUR = "2026-11-01-00"
"""Before there was any archive."""
BUFFER_MB, BUFFER_S = 128, 900
"""The most that Firehose gathers (Firehose API reference, BufferingHints): few and large files are read faster."""
RESULT_DAYS = 30
_HIVE = "org.apache.hadoop.hive.ql.io.parquet"


class Archive(Construct):
    """The archive of a stage. bucket: where its files go. key: that these are encrypted with, if the stage has one."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, bucket: s3.Bucket, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self._stack, self._stage = Stack.of(self), stage
        self.stream_name = f"{stage.prefix}-archive"
        self.stream_arn = self._stack.format_arn(
            service="firehose", resource="deliverystream", resource_name=self.stream_name
        )
        self.dead: sqs.Queue = dead_letter_queue(self, "Dead", f"{stage.prefix}-archive-dlq")
        acknowledge(self.dead, "SQS3", "the dead-letter queue of an event source mapping")
        self._bucket, self._key = bucket, key
        self._results = archive_files(self, "Results", _forgotten(), keep=False)
        self._database = f"{stage.prefix.replace('-', '_')}_archive"
        table = self._table()
        self._deliver(table)
        self._ask(table)

    @property
    def outputs(self) -> dict[str, str]:
        """What people need to find, by the names of the stack's outputs."""
        return {
            "ArchiveBucket": self._bucket.bucket_name,
            "ArchiveResultsBucket": self._results.bucket_name,
            "ArchiveStream": self.stream_name,
            "ArchiveTable": f"{self._database}.{TABLE}",
            "ArchiveWorkgroup": self.stream_name,
        }

    def _table(self) -> glue.CfnTable:
        """The table, whose partitions follow from the hour: nothing has to find or add them."""
        account, location = self._stack.account, f"s3://{self._bucket.bucket_name}/{EVENTS}"
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self._database, description="All events of mePush's messages"
            ),
        )
        table = glue.CfnTable(
            self,
            "Table",
            catalog_id=account,
            database_name=self._database,
            table_input=glue.CfnTable.TableInputProperty(
                name=TABLE,
                description="Events of messages. Rows with the same event_id are copies; times are in UTC",
                table_type="EXTERNAL_TABLE",
                parameters=_projection(location),
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name="hour", type="string", comment=f"Of arrival, UTC, as {HOUR}")
                ],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=location,
                    input_format=f"{_HIVE}.MapredParquetInputFormat",
                    output_format=f"{_HIVE}.MapredParquetOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=f"{_HIVE}.serde.ParquetHiveSerDe"),
                    columns=[
                        glue.CfnTable.ColumnProperty(name=each.name, type=each.type, comment=each.about or None)
                        for each in COLUMNS
                    ],
                ),
            ),
        )
        table.node.add_dependency(database)
        return table

    def _deliver(self, table: glue.CfnTable) -> None:
        """Have Firehose write what it gets as Parquet, by the hour in which it came."""
        log = log_group(self, "Logs", f"/aws/kinesisfirehose/{self.stream_name}", self._stage)
        log_stream = logs.CfnLogStream(self, "LogStream", log_group_name=log.log_group_name, log_stream_name="delivery")
        role = self._role(log)
        hour = f"hour=!{{timestamp:{HOUR}}}/"
        stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_name=self.stream_name,
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
                key_type="AWS_OWNED_CMK"
            ),
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=self._bucket.bucket_arn,
                role_arn=role.arn,
                prefix=f"{EVENTS}{hour}",
                error_output_prefix=f"{ERRORS}!{{firehose:error-output-type}}/{hour}",
                buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                    size_in_m_bs=BUFFER_MB, interval_in_seconds=BUFFER_S
                ),
                # Parquet is compressed within.
                compression_format="UNCOMPRESSED",
                data_format_conversion_configuration=self._conversion(role),
                cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                    enabled=True, log_group_name=log.log_group_name, log_stream_name=log_stream.log_stream_name
                ),
            ),
        )
        for needed in (role.role, table, log_stream):
            stream.node.add_dependency(needed)

    def _conversion(self, role: Role) -> firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty:
        """From JSON to Parquet, by the table's columns."""
        return firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty(
            enabled=True,
            input_format_configuration=firehose.CfnDeliveryStream.InputFormatConfigurationProperty(
                deserializer=firehose.CfnDeliveryStream.DeserializerProperty(
                    open_x_json_ser_de=firehose.CfnDeliveryStream.OpenXJsonSerDeProperty()
                )
            ),
            output_format_configuration=firehose.CfnDeliveryStream.OutputFormatConfigurationProperty(
                serializer=firehose.CfnDeliveryStream.SerializerProperty(
                    parquet_ser_de=firehose.CfnDeliveryStream.ParquetSerDeProperty(compression="SNAPPY")
                )
            ),
            schema_configuration=firehose.CfnDeliveryStream.SchemaConfigurationProperty(
                catalog_id=self._stack.account,
                database_name=self._database,
                table_name=TABLE,
                region=self._stack.region,
                role_arn=role.arn,
                version_id="LATEST",
            ),
        )

    def _role(self, log: logs.LogGroup) -> Role:
        """What Firehose writes as (Firehose developer guide, "Controlling access")."""
        role = Role(
            self,
            "Role",
            description="Firehose writes the archive's files",
            assumed_by=iam.ServicePrincipal(
                "firehose.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": self._stack.account}}
            ),
        )
        bucket, stack = self._bucket, self._stack
        catalog = [
            stack.format_arn(service="glue", resource=kind, resource_name=name)
            for kind, name in (("catalog", None), ("database", self._database), ("table", f"{self._database}/{TABLE}"))
        ]
        written = [
            files(stack, bucket, prefix, "Firehose names the files that it writes") for prefix in (ERRORS, EVENTS)
        ]
        for each in written:
            acknowledge(role.role, f"IAM5[Resource::{each.finding}]", each.reason)
        write = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")
        self._allow(role, write, *(each.arn for each in written))
        self._allow(role, ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"), bucket.bucket_arn)
        self._allow(role, ("glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"), *catalog)
        self._allow(role, ("logs:PutLogEvents",), log.log_group_arn)
        if self._key is not None:
            self._allow(role, ("kms:Decrypt", "kms:GenerateDataKey"), self._key.key_arn)
        return role

    def _allow(self, role: Role, actions: tuple[str, ...], *resources: str) -> None:
        role.allow(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def _ask(self, table: glue.CfnTable) -> None:
        """Where people ask: a workgroup with its limit, and queries that are there already."""
        group = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=self.stream_name,
            description="Asks the archive of mePush's events",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=self._stage.archive_scan_gb * 10**9,
                enforce_work_group_configuration=True,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self._results.bucket_name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
        for query in QUERIES:
            named = athena.CfnNamedQuery(
                self,
                query.name.title().replace("_", ""),
                database=self._database,
                name=f"{self._stage.prefix}: {query.name}",
                description=query.about,
                query_string=query.text(self._database),
                work_group=self.stream_name,
            )
            named.node.add_dependency(group, table)


def _forgotten() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="forget-results",
        expiration=Duration.days(RESULT_DAYS),
        abort_incomplete_multipart_upload_after=Duration.days(7),
    )


def _projection(location: str) -> dict[str, str]:
    """Partitions by hour (Athena user guide, "Use partition projection")."""
    return {
        "EXTERNAL": "TRUE",
        "classification": "parquet",
        "projection.enabled": "true",
        "projection.hour.type": "date",
        "projection.hour.format": HOUR,
        "projection.hour.range": f"{FIRST_HOUR},NOW",
        "projection.hour.interval": "1",
        "projection.hour.interval.unit": "HOURS",
        "storage.location.template": f"{location}hour=${{hour}}/",
    }
