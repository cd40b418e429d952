"""What the platform keeps: four tables, the stream of events, and buckets; apart from what works with them."""

from aws_cdk import DefaultStackSynthesizer, Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.mail import MailDomain
from infra.nag import acknowledge
from infra.network import Vpc
from infra.stage import COLD_AFTER_DAYS, Stage
from shared.model.tenants import DEFAULT_TENANT
from shared.policy import attachments, files

TTL_ATTRIBUTE = "ttl"


class Kept:
    """What is kept, made in a stack."""

    def __init__(self, stack: Stack, stage: Stage) -> None:
        self.key = _key(stack, stage) if stage.customer_key else None
        self.tables = Tables(stack, "Tables", stage=stage, key=self.key)
        self.stream = event_stream(stack, stage, self.key)
        self.bucket = assets_bucket(stack, stage, self.key)
        self.archive = archive_bucket(stack, stage, self.key) if stage.archive else None
        self.network = None if stage.network is None else Vpc(stack, "Network", network=stage.network)
        if stage.mail is not None:
            MailDomain(stack, "Mail", stage=stage, mail=stage.mail)


class DataStack(Stack):
    """What is kept, in a stack of its own: an update, or the end, of what works with it does not touch it.

    It exports the names and ARNs of all that it keeps, used or not: what functions come to need, or no longer need,
    changes nothing here. As long as functions are deployed, CloudFormation lets nobody remove or replace what they use.
    """

    def __init__(self, scope: Construct, *, stage: Stage) -> None:
        super().__init__(
            scope,
            f"{stage.prefix}-data",
            description="mePush: what it keeps",
            analytics_reporting=False,
            termination_protection=stage.keep_data,
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        self.kept = Kept(self, stage)
        for value in self._referred():
            self.export_value(value)

    def _referred(self) -> list[str]:
        tables, stream = self.kept.tables, self.kept.stream
        buckets = [each for each in (self.kept.bucket, self.kept.archive) if each is not None]
        return [
            *(each for table in tables.all for each in (table.table_name, table.table_arn)),
            *(stream.stream_name, stream.stream_arn),
            *(each for bucket in buckets for each in (bucket.bucket_name, bucket.bucket_arn)),
            *([] if self.kept.key is None else [self.kept.key.key_arn]),
            *self._made_network(),
        ]

    def _made_network(self) -> list[str]:
        network = self.kept.network
        ids = [] if network is None else [*network.subnets, *network.security_groups]
        return [each for each in ids if Token.is_unresolved(each)]


class Tables(Construct):
    """The tables. They have no fixed names: what outlives its stack must not stand in the way of the next one."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, key: kms.Key | None) -> None:
        super().__init__(scope, id)
        self._key = key
        self.catalog = self._table("Catalog", stage, precious=True)
        self.counters = self._table("Counters", stage, precious=True)
        self.guard = self._table("Guard", stage, precious=False)
        self.timeline = self._table("Timeline", stage, precious=False)
        acknowledge(self.guard, "DDB3", "ledgers and marks live for hours; old ones restored would send messages again")
        acknowledge(self.timeline, "DDB3", "append-only events with a time to live; the counters are what is kept")

    @property
    def all(self) -> tuple[dynamodb.Table, ...]:
        """The tables."""
        return (self.catalog, self.counters, self.guard, self.timeline)

    def _table(self, id: str, stage: Stage, *, precious: bool) -> dynamodb.Table:
        """A table, some of whose items have a time to live; those without one stay for good."""
        # The L2 Table and not TableV2, which makes a global table. Encryption is with the key that AWS owns, without
        # a charge per request, unless the stage has one of its own.
        keep = precious and stage.keep_data
        return dynamodb.Table(
            self,
            id,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=None if self._key is None else dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self._key,
            time_to_live_attribute=TTL_ATTRIBUTE,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=precious
            ),
            deletion_protection=keep,
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
        )


def _key(scope: Construct, stage: Stage) -> kms.Key:
    """The stage's own key. Whoever deletes it deletes all that it encrypts, so it is kept with that."""
    return kms.Key(
        scope,
        "Key",
        description=f"What {stage.prefix} keeps",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
    )


def event_stream(scope: Construct, stage: Stage, key: kms.Key | None) -> kinesis.Stream:
    """The stream of events: on-demand, so that a campaign needs no resharding."""
    stream = kinesis.Stream(
        scope,
        "Events",
        stream_name=f"{stage.prefix}-events",
        stream_mode=kinesis.StreamMode.ON_DEMAND,
        encryption=kinesis.StreamEncryption.MANAGED if key is None else kinesis.StreamEncryption.KMS,
        encryption_key=key,
        # A dead-lettered batch names a range of the stream, from which the watch reads its records again: they must
        # outlive the day of retries, and an outage of days.
        retention_period=Duration.days(7),
        removal_policy=RemovalPolicy.DESTROY,
    )
    if key is not None:
        acknowledge(stream, "KDS3", "under the key of the stage's owner, which is what they asked for")
    return stream


def assets_bucket(scope: Construct, stage: Stage, key: kms.Key | None) -> s3.Bucket:
    """The bucket for files that people hand in: what is attached to emails, and recipients of campaigns."""
    bucket = s3.Bucket(
        scope,
        "Assets",
        encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=None if key is None else True,
        enforce_ssl=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="forget-old-versions",
                abort_incomplete_multipart_upload_after=Duration.days(7),
                noncurrent_version_expiration=Duration.days(30),
                expired_object_delete_marker=True,
            ),
            # A version that was accepted with a message outlives this by the time above.
            s3.LifecycleRule(
                id="forget-attachments",
                prefix=attachments.PREFIX,
                expiration=Duration.days(attachments.KEEP_DAYS),
            ),
            # By their tag, since no rule can name what is below every tenant's prefix. Files that people put beside the
            # uploads, for runs to come, stay.
            s3.LifecycleRule(
                id="forget-uploads",
                prefix=files.AUDIENCES,
                tag_filters=dict([files.UPLOAD_TAG]),
                expiration=Duration.days(files.KEEP_DAYS),
            ),
            # Uploads of the one tenant of a single team, from before they had tags.
            s3.LifecycleRule(
                id="forget-untagged-uploads",
                prefix=f"{files.AUDIENCES}{DEFAULT_TENANT}/{files.UPLOADS}",
                expiration=Duration.days(files.KEEP_DAYS),
            ),
            s3.LifecycleRule(id="forget-runs", prefix=files.RUNS, expiration=Duration.days(files.KEEP_DAYS)),
        ],
        removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
    )
    acknowledge(bucket, "S1", "reached by the platform's own roles only; CloudTrail data events show who, if wanted")
    return bucket


def archive_bucket(scope: Construct, stage: Stage, key: kms.Key | None) -> s3.Bucket:
    """The bucket for the archive's files."""
    cold = s3.Transition(
        storage_class=s3.StorageClass.INFREQUENT_ACCESS, transition_after=Duration.days(COLD_AFTER_DAYS)
    )
    rule = s3.LifecycleRule(
        id="cool-then-forget",
        transitions=[cold],
        expiration=Duration.days(stage.archive_days),
        abort_incomplete_multipart_upload_after=Duration.days(7),
    )
    return archive_files(scope, "ArchiveFiles", rule, keep=stage.keep_data, key=key)


def archive_files(
    scope: Construct, id: str, rule: s3.LifecycleRule, *, keep: bool, key: kms.Key | None = None
) -> s3.Bucket:
    """A closed bucket of the archive's. keep: whether it outlives the stack."""
    bucket = s3.Bucket(
        scope,
        id,
        encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=None if key is None else True,
        enforce_ssl=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        lifecycle_rules=[rule],
        removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
    )
    acknowledge(bucket, "S1", "written by Firehose and Athena only; CloudTrail data events show who reads, if wanted")
    return bucket
