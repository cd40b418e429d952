"""The platform as one stack: composes its parts and gives each function its rights."""

from collections.abc import Mapping

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import rights
from infra.alarms import Alarms
from infra.api import HttpApi
from infra.data import Tables, assets_bucket, event_stream
from infra.environment import Environments
from infra.events import Bus
from infra.functions import Service, run_regularly
from infra.messaging import Queues, Schedules, TaskQueue, dead_letter_queue, window_s
from infra.nag import acknowledge
from infra.specs import (
    AUTHORIZE,
    CAMPAIGN,
    CAMPAIGN_API,
    DEAD_LETTERS,
    DEAD_LETTERS_API,
    DESCRIBE,
    DISPATCHERS,
    INGEST,
    INGEST_EVENTS,
    MANAGE,
    RECALL,
    TRACE,
    TRACE_API,
    WATCH,
    WATCH_API,
    FunctionSpec,
)
from infra.stages import Stage
from shared.channels import CHANNELS, queue_name
from shared.model.words import Channel, MessageClass
from shared.policy.attachments import PREFIX
from shared.policy.files import AUDIENCES, RUNS

SWEEP_MINUTES = 5
TRACE_BATCH = 100
TRACE_RETRIES = 50
TRACE_RECORD_AGE_S = 24 * 3600
DEAD_LETTER_BATCH = 10
DEAD_LETTER_CONCURRENCY = 5
"""Per queue: a campaign that failed as a whole must not take the functions' concurrency from those that send."""
CAMPAIGN_CONCURRENCY = 50
"""Of the campaign function: three runs of sixteen chains each at full speed, and their drivers."""


class PlatformStack(Stack):
    """Everything that one stage of the platform is made of. code: the package of each function, by logical name."""

    def __init__(self, scope: Construct, *, stage: Stage, code: Mapping[str, lambda_.Code]) -> None:
        super().__init__(
            scope,
            stage.prefix,
            description="mePush: a message push platform",
            analytics_reporting=False,
            termination_protection=stage.keep_data,
            # The rule that checks the bootstrap version adds a parameter that only AWS itself can resolve.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        # The CDK writes out that a function depends on its role, which the reference says already. Anybody's cfn-lint
        # reads this.
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": ["W3005"]}}}
        self._stage = stage
        self._code = code
        self._tables = Tables(self, "Tables", stage=stage)
        self._stream = event_stream(self, stage)
        self._bucket = assets_bucket(self, stage)
        self._queues = Queues(self, "Queues", stage=stage)
        self._tasks = TaskQueue(self, "Campaigns", stage=stage)
        self._schedules = Schedules(self, "Schedules", stage=stage, queues=self._queues, tasks=self._tasks)
        self._trace_dead = dead_letter_queue(self, "TraceDead", f"{stage.prefix}-trace-dlq")
        acknowledge(self._trace_dead, "SQS3", "the dead-letter queue of an event source mapping")
        self._bus = Bus(self, "Bus", stage=stage)
        self._environments = Environments(
            self,
            stage,
            self._tables,
            self._stream,
            self._queues,
            self._schedules,
            self._tasks,
            self._trace_dead,
            self._bus.dead,
            self._bucket,
        )
        self._services: dict[str, Service] = {}
        self._mappings: dict[str, lambda_.EventSourceMapping] = {}
        self._ingest()
        self._ingest_events()
        for channel in CHANNELS:
            self._dispatch(channel)
        self._trace()
        self._trace_api()
        self._recall()
        self._dead_letters()
        self._dead_letters_api()
        self._sweeps()
        self._watch_api()
        self._manage()
        self._campaign()
        self._campaign_api()
        self._service(DESCRIBE)  # with no rights: anybody may call it
        self._authorize()
        self._api = HttpApi(
            self,
            "Api",
            stage=stage,
            functions={
                spec.name: self._services[spec.name].function
                for spec in (INGEST, MANAGE, TRACE_API, RECALL, DEAD_LETTERS_API, WATCH_API, CAMPAIGN_API, DESCRIBE)
            },
            authorizer=self._services[AUTHORIZE.name].function,
        )
        self._watch()
        self._outputs()

    def _service(self, spec: FunctionSpec, *, recursive: bool = False) -> Service:
        service = Service(
            self,
            spec,
            stage=self._stage,
            code=self._code[spec.name],
            environment=self._environments.of(spec),
            recursive=recursive,
        )
        self._services[spec.name] = service
        return service

    def _allow_sending(self, service: Service, *queues: str) -> None:
        """Let a function put envelopes on queues now or, by a schedule, later; and say so in the stream."""
        service.allow(rights.SEND, *(self._queues.queues[name].queue_arn for name in queues))
        service.allow(rights.SCHEDULE, rights.schedules(self, self._schedules.schedule_arns))
        self._allow_making_schedules(service)
        service.allow(rights.PUBLISH, self._stream.stream_arn)

    def _allow_making_schedules(self, service: Service) -> None:
        service.allow(
            rights.PASS_ROLE,
            self._schedules.role.role_arn,
            conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        )

    def _ingest(self) -> None:
        service = self._service(INGEST)
        service.allow(rights.ITEM_READ, self._tables.catalog.table_arn)
        service.allow(rights.ITEM_WRITE, self._tables.guard.table_arn)
        service.allow(rights.FILE_UPLOAD, rights.files(self._bucket, PREFIX))
        service.allow(rights.FILE_LIST, self._bucket.bucket_arn)
        self._allow_sending(service, *self._queues.names())

    def _ingest_events(self) -> None:
        service = self._service(INGEST_EVENTS)
        service.allow(rights.ITEM_READ, self._tables.catalog.table_arn)
        service.allow(rights.ITEM_WRITE, self._tables.guard.table_arn)
        service.allow(rights.FILE_FIND, rights.files(self._bucket, PREFIX))
        service.allow(rights.FILE_LIST, self._bucket.bucket_arn)
        service.allow(rights.SEND, self._bus.dead.queue_arn)
        self._allow_sending(service, *self._queues.names())
        self._bus.feed(service)

    def _dispatch(self, channel: Channel) -> None:
        service = self._service(DISPATCHERS[channel], recursive=True)
        names = self._queues.names(channel)
        service.allow(rights.READ, self._tables.catalog.table_arn)
        service.allow(rights.DISPATCH, self._tables.guard.table_arn)
        service.allow(rights.QUERY, self._tables.counters.table_arn, conditions=rights.HEALTH)
        service.allow(rights.PUT, self._tables.catalog.table_arn, conditions=rights.SHIFTS)
        # A message may fall back to another channel.
        self._allow_sending(service, *self._queues.names())
        service.allow(rights.SEND, *(self._queues.dead_letters[name].queue_arn for name in names))
        service.allow(rights.CONSUME, *(self._queues.queues[name].queue_arn for name in names))
        self._allow_secrets(service, channel)
        self._allow_providers(service, channel)
        if channel is Channel.EMAIL:
            service.allow(rights.FILE_READ, rights.files(self._bucket, PREFIX))
            service.allow(rights.FILE_LIST_VERSIONS, self._bucket.bucket_arn)
        for message_class in MessageClass:
            self._feed(service, channel, message_class)

    def _allow_secrets(self, service: Service, channel: Channel) -> None:
        service.allow(rights.SECRET_READ, rights.secrets(self, self._stage), conditions=rights.secrets_of(channel))

    def _allow_providers(self, service: Service, channel: Channel) -> None:
        """The providers that are reached with the function's own role."""
        if channel is Channel.EMAIL:
            service.allow(rights.EMAIL_SEND, *rights.email_senders(self))
        elif channel is Channel.SMS:
            service.allow(rights.SMS_SEND, *rights.sms_senders(self))

    def _feed(self, service: Service, channel: Channel, message_class: MessageClass) -> None:
        """A mapping per queue, so that each class has its own window and its own cap."""
        name = queue_name(channel, message_class)
        self._mappings[name] = lambda_.EventSourceMapping(
            service,
            f"{message_class.value.title()}Source",
            target=service.function,
            event_source_arn=self._queues.queues[name].queue_arn,
            batch_size=CHANNELS[channel].batch_size,
            max_batching_window=Duration.seconds(window_s(message_class)),
            max_concurrency=self._stage.concurrency[message_class],
            report_batch_item_failures=True,
        )

    def _trace(self) -> None:
        service = self._service(TRACE)
        service.allow(rights.TIMELINE_WRITE, self._tables.timeline.table_arn)
        service.allow(rights.COUNTERS_WRITE, self._tables.counters.table_arn)
        service.allow(rights.SET_ASIDE, self._tables.counters.table_arn, conditions=rights.ASIDE)
        service.allow(rights.FOLLOW, self._stream.stream_arn)
        service.allow(rights.SEND, self._trace_dead.queue_arn)
        # Without a bound, one poisonous record would hold up its shard until the stream forgets it.
        lambda_.CfnEventSourceMapping(
            service,
            "Source",
            function_name=service.function.function_name,
            event_source_arn=self._stream.stream_arn,
            batch_size=TRACE_BATCH,
            maximum_batching_window_in_seconds=1,
            starting_position="TRIM_HORIZON",
            parallelization_factor=1,
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            maximum_retry_attempts=TRACE_RETRIES,
            maximum_record_age_in_seconds=TRACE_RECORD_AGE_S,
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=self._trace_dead.queue_arn)
            ),
        )

    def _trace_api(self) -> None:
        service = self._service(TRACE_API)
        service.allow(rights.ITEM_READ, self._tables.catalog.table_arn)
        service.allow(rights.QUERY, self._tables.timeline.table_arn, self._tables.counters.table_arn)

    def _recall(self) -> None:
        service = self._service(RECALL)
        service.allow(rights.ITEM_READ, self._tables.catalog.table_arn)
        service.allow(rights.BATCH_READ, self._tables.timeline.table_arn)
        service.allow(rights.RECALL, self._tables.guard.table_arn)
        service.allow(rights.PUBLISH, self._stream.stream_arn)
        # For the one provider that takes messages back; an account's token may have to be fetched.
        self._allow_secrets(service, Channel.WECOM)

    def _dead_letters(self) -> None:
        service = self._service(DEAD_LETTERS)
        service.allow(rights.PUT, self._tables.catalog.table_arn, conditions=rights.LETTERS)
        service.allow(rights.ITEM_READ, self._tables.catalog.table_arn)
        service.allow(rights.SETTLE, self._tables.guard.table_arn)
        self._allow_sending(service, *self._queues.names())
        service.allow(rights.CONSUME, *(queue.queue_arn for queue in self._queues.dead_letters.values()))
        for name, queue in self._queues.dead_letters.items():
            lambda_.EventSourceMapping(
                service,
                f"{name.title().replace('.', '')}Source",
                target=service.function,
                event_source_arn=queue.queue_arn,
                batch_size=DEAD_LETTER_BATCH,
                max_concurrency=DEAD_LETTER_CONCURRENCY,
                report_batch_item_failures=True,
            )

    def _dead_letters_api(self) -> None:
        service = self._service(DEAD_LETTERS_API)
        service.allow(rights.READ, self._tables.catalog.table_arn)
        service.allow(rights.LETTER_WRITE, self._tables.catalog.table_arn, conditions=rights.LETTERS)
        service.allow(rights.PUT, self._tables.catalog.table_arn, conditions=rights.AUDIT)
        # A redrive is due at once: it needs no schedule.
        service.allow(rights.SEND, *(queue.queue_arn for queue in self._queues.queues.values()))
        service.allow(rights.PUBLISH, self._stream.stream_arn)

    def _sweeps(self) -> None:
        service = self._service(WATCH)
        service.allow(rights.READ, self._tables.catalog.table_arn)
        service.allow(rights.BATCH_READ, self._tables.timeline.table_arn)
        service.allow(rights.LOOK_UP, self._tables.counters.table_arn)
        service.allow(rights.LETTER_WRITE, self._tables.catalog.table_arn, conditions=rights.LETTERS)
        service.allow(rights.CLOSE, self._tables.guard.table_arn)
        service.allow(rights.MARK, self._tables.counters.table_arn, conditions=rights.MARKS)
        service.allow(rights.SEND, *(queue.queue_arn for queue in self._queues.queues.values()))
        service.allow(rights.SEND, self._tasks.queue.queue_arn)
        service.allow(rights.EMPTY, self._schedules.dead_letters.queue_arn, self._trace_dead.queue_arn)
        service.allow((*rights.PUBLISH, *rights.LOOK), self._stream.stream_arn)
        service.allow(rights.OVERDUE, rights.schedules(self, self._schedules.schedule_arns))
        service.allow(rights.LIST_SCHEDULES, rights.anything("scheduler:ListSchedules knows no resources"))
        run_regularly(service, self._stage, minutes=SWEEP_MINUTES)

    def _watch_api(self) -> None:
        service = self._service(WATCH_API)
        service.allow(rights.READ, self._tables.catalog.table_arn)
        service.allow(rights.LOOK_UP, self._tables.counters.table_arn)
        queues = (*self._queues.queues.values(), *self._queues.dead_letters.values())
        others = (self._schedules.dead_letters, self._trace_dead)
        service.allow(rights.DEPTH, *(queue.queue_arn for queue in (*queues, *others)))
        service.allow(rights.LOOK, self._stream.stream_arn)
        service.allow(rights.READ_SCHEDULE, rights.schedules(self, self._schedules.schedule_arns))
        service.allow(rights.LIST_SCHEDULES, rights.anything("scheduler:ListSchedules knows no resources"))

    def _manage(self) -> None:
        ids = {name: mapping.event_source_mapping_id for name, mapping in self._mappings.items()}
        self._environments.add("queue_mappings", ids)
        service = self._service(MANAGE)
        service.allow(rights.LIMIT, *(mapping.event_source_mapping_arn for mapping in self._mappings.values()))
        service.allow(rights.CATALOG_READ, self._tables.catalog.table_arn)
        service.allow(rights.PUT, self._tables.catalog.table_arn, conditions=rights.CONFIGURED)
        service.allow(rights.DELETE, self._tables.catalog.table_arn, conditions=rights.TENANTS)
        service.allow(rights.SECRET_WRITE, rights.secrets(self, self._stage))
        # For trying an account: AWS lets nobody name a resource for the first.
        service.allow(rights.EMAIL_ACCOUNT, rights.anything("ses:GetAccount knows no resources"))
        service.allow(rights.EMAIL_IDENTITY, rights.email_identities(self))
        service.allow(rights.SMS_SEND, *rights.sms_senders(self))

    def _campaign(self) -> None:
        # A driver puts its next look on its own queue, and a chain what it has not come to.
        service = self._service(CAMPAIGN, recursive=True)
        self._allow_runs(service)
        service.allow(rights.READ, self._tables.catalog.table_arn)
        service.allow(rights.RUN_STATE, self._tables.guard.table_arn)
        service.allow(rights.RUN_FILES, rights.files(self._bucket, RUNS))
        self._allow_sending(service, *self._queues.names())
        service.allow(rights.CONSUME, self._tasks.queue.queue_arn)
        lambda_.EventSourceMapping(
            service,
            "Source",
            target=service.function,
            event_source_arn=self._tasks.queue.queue_arn,
            batch_size=1,
            max_concurrency=CAMPAIGN_CONCURRENCY,
            report_batch_item_failures=True,
        )

    def _campaign_api(self) -> None:
        service = self._service(CAMPAIGN_API)
        self._allow_runs(service)
        service.allow(rights.LOOK_UP, self._tables.catalog.table_arn)
        service.allow(rights.QUERY, self._tables.guard.table_arn)
        # A form that tags what is uploaded, and a link, take the rights of who signed them.
        service.allow(rights.FILE_FORM, rights.files(self._bucket, AUDIENCES))
        service.allow(rights.FILE_FIND, rights.files(self._bucket, RUNS))
        # Messages that try a campaign out are sent at once, by no schedule.
        service.allow(rights.SEND, *(queue.queue_arn for queue in self._queues.queues.values()))
        service.allow(rights.PUBLISH, self._stream.stream_arn)
        self._allow_making_schedules(service)
        service.allow(rights.CAMPAIGN_SCHEDULE, rights.schedules(self, self._schedules.campaign_arns))

    def _allow_runs(self, service: Service) -> None:
        """Let a function read files of recipients, change campaigns and runs, and see what became of their
        messages."""
        service.allow(rights.PUT, self._tables.catalog.table_arn, conditions=rights.CAMPAIGNS)
        service.allow(rights.DELETE, self._tables.catalog.table_arn, conditions=rights.RUNS)
        service.allow(rights.QUERY, self._tables.counters.table_arn)
        service.allow(rights.AUDIENCE_READ, rights.files(self._bucket, AUDIENCES))
        service.allow(rights.FILE_LIST_VERSIONS, self._bucket.bucket_arn)
        service.allow(rights.SEND, self._tasks.queue.queue_arn)

    def _authorize(self) -> None:
        self._service(AUTHORIZE).allow(rights.ITEM_READ, self._tables.catalog.table_arn)

    def _watch(self) -> None:
        alarms = Alarms(self, "Alarms", stage=self._stage)
        alarms.watch_dead_letters(
            {
                "trace": self._trace_dead,
                "schedules": self._schedules.dead_letters,
                "campaigns": self._tasks.dead,
                "events": self._bus.dead,
            }
        )
        alarms.watch_kept_letters(self._queues.dead_letters, DEAD_LETTERS.name)
        alarms.watch_functions({name: service.function for name, service in self._services.items()})
        alarms.watch_lag(self._services[TRACE.name].function)
        alarms.watch_sweeps(self._schedules.group_name, WATCH.name)
        alarms.watch_key_limits(self._schedules.group_name, (INGEST.name, INGEST_EVENTS.name))
        CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn)

    def _outputs(self) -> None:
        """What people and the command need to find."""
        queues, names = self._queues, self._queues.names()
        values = {
            "ApiUrl": self._api.url,
            "CatalogTable": self._tables.catalog.table_name,
            "GuardTable": self._tables.guard.table_name,
            "TimelineTable": self._tables.timeline.table_name,
            "CountersTable": self._tables.counters.table_name,
            "AssetsBucket": self._bucket.bucket_name,
            "StreamName": self._stream.stream_name,
            "EventBus": self._bus.name,
            "EventsDeadLetterUrl": self._bus.dead.queue_url,
            "ScheduleGroup": self._schedules.group_name,
            "CampaignsGroup": self._schedules.campaigns_group,
            "CampaignsUrl": self._tasks.queue.queue_url,
            "SecretPrefix": self._stage.prefix,
            "QueueUrls": self.to_json_string({name: queues.queues[name].queue_url for name in names}),
            "DeadLetterUrls": self.to_json_string({name: queues.dead_letters[name].queue_url for name in names}),
            **{f"{s.spec.construct_id}Function": s.function.function_name for s in self._services.values()},
        }
        for id, value in values.items():
            CfnOutput(self, id, value=value)
