"""The platform as a stack: its parts, and each function with the rights and triggers that it says it needs."""

from collections.abc import Mapping

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import Alarms
from infra.api import HttpApi, Opened
from infra.budget import budget
from infra.data import Kept
from infra.environment import environment
from infra.functions import Service
from infra.parts import Parts
from infra.rights import grant
from infra.specs import FUNCTIONS, FunctionError, consumer
from infra.stage import Stage
from infra.triggers import connect
from shared.api.operations import OPERATIONS
from shared.base.channels import queue_names
from shared.function import ApiTrigger, AuthorizerTrigger, Functions, OpenRoutes

DEAD_DAYS = 7
"""Half of the time for which a dead-letter queue keeps them."""
RECEIPTS_OLD_S = 3600


class PlatformStack(Stack):
    """What one stage of the platform works with.

    code: the package of each function, by logical name. functions: all that there are, by default.
    kept: what is kept, in a stack of its own; made in this one by default.
    Raises: FunctionError if what a function says does not fit.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        stage: Stage,
        code: Mapping[str, lambda_.Code],
        functions: Functions = FUNCTIONS,
        kept: Kept | None = None,
    ) -> None:
        super().__init__(
            scope,
            stage.prefix,
            description="mePush: a message push platform",
            analytics_reporting=False,
            termination_protection=stage.keep_data,
            # The rule that checks the bootstrap version adds a parameter that only AWS itself can resolve.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        # The CDK writes out that a function depends on its role, which the reference says already (W3005), and people
        # find in the outputs what another stack exports (W6001). Anybody's cfn-lint reads this.
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": ["W3005", "W6001"]}}}
        functions = {name: spec for name, spec in functions.items() if stage.archive or not spec.archive}
        kept = kept or Kept(self, stage)
        self._parts = Parts(self, stage, functions, kept)
        self._services = {
            name: Service(self, spec, stage=stage, code=code[name], kept=kept) for name, spec in functions.items()
        }
        # Triggers first: some functions are told what hands messages to others.
        for service in self._services.values():
            for trigger in service.spec.triggers:
                connect(service, trigger, self._parts)
        api = self._make_api(stage)
        self._parts.public_url = api.url
        for service in self._services.values():
            for name, value in environment(service.spec, self._parts).items():
                service.function.add_environment(name, value)
            for right in service.spec.rights:
                grant(service.role, right, self._parts)
        self._watch(stage, functions)
        self._outputs(api, stage)
        if stage.budget is not None and stage.alarm_email is not None:
            budget(self, stage.prefix, stage.budget, stage.alarm_email)

    def _make_api(self, stage: Stage) -> HttpApi:
        functions, authorizers = self._called_by(ApiTrigger), self._called_by(AuthorizerTrigger)
        if odd := set(functions) ^ {operation.function for operation in OPERATIONS}:
            raise FunctionError(f"{', '.join(sorted(odd))}: operations name it, or it has an ApiTrigger, but not both")
        if len(authorizers) != 1:
            raise FunctionError(f"one function has an AuthorizerTrigger, not {len(authorizers)}")
        (authorizer,) = authorizers.values()
        if both := set(functions) & set(self._opened()):
            raise FunctionError(f"{', '.join(sorted(both))}: a function has operations or open routes, but not both")
        return HttpApi(self, "Api", stage=stage, functions=functions, opened=self._opened(), authorizer=authorizer)

    def _opened(self) -> Opened:
        found = {
            name: (service.called, [each for each in service.spec.triggers if isinstance(each, OpenRoutes)])
            for name, service in self._services.items()
        }
        return {name: (called, routes) for name, (called, routes) in found.items() if routes}

    def _called_by(self, kind: type[ApiTrigger | AuthorizerTrigger]) -> dict[str, lambda_.IFunction]:
        return {
            name: service.called
            for name, service in self._services.items()
            if any(isinstance(trigger, kind) for trigger in service.spec.triggers)
        }

    def _watch(self, stage: Stage, functions: Functions) -> None:
        parts = self._parts
        alarms = Alarms(self, "Alarms", stage=stage)
        alarms.watch_dead_letters(
            {
                "trace": parts.trace_dead,
                "schedules": parts.schedules.dead_letters,
                "campaigns": parts.tasks.dead,
                "events": parts.bus.dead,
                "receipts": parts.receipts.dead,
                "webhooks": parts.webhooks.dead,
                "erasures": parts.erasures.dead,
                **({} if parts.archive is None else {"archive": parts.archive.dead}),
            }
        )
        if parts.archive is not None:
            alarms.watch_archive(parts.archive.stream_name)
        self._watch_ages(alarms)
        for name in queue_names():
            spec, _ = consumer(f"dead.{name}", functions)
            alarms.watch_kept_letters(name, parts.queue(f"dead.{name}"), spec.name)
        for name, service in self._services.items():
            alarms.watch_function(name, service.function)
            for alarm in service.spec.alarms:
                alarms.watch(alarm, service.function, name, parts.schedules.group_name)
        CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn)

    def _watch_ages(self, alarms: Alarms) -> None:
        parts = self._parts
        lost = "Mend the cause and redrive them: in seven days the first of them is lost."
        for name, dead in (("receipts", parts.receipts.dead), ("webhooks", parts.webhooks.dead)):
            alarms.watch_age(
                f"dead-letters-{name}",
                dead,
                DEAD_DAYS * 86_400,
                f"Dead letters lie in {name}. {lost}",
                "work-given-up",
            )
        alarms.watch_age(
            "receipts",
            parts.receipts.queue,
            RECEIPTS_OLD_S,
            "Receipts are not taken for an hour: read the log of receipts.",
            "behind",
        )

    def _outputs(self, api: HttpApi, stage: Stage) -> None:
        """What people and the command need to find."""
        parts, names = self._parts, queue_names()
        values = {
            "ApiUrl": api.url,
            "CatalogTable": parts.tables.catalog.table_name,
            "GuardTable": parts.tables.guard.table_name,
            "TimelineTable": parts.tables.timeline.table_name,
            "CountersTable": parts.tables.counters.table_name,
            "AssetsBucket": parts.bucket.bucket_name,
            "StreamName": parts.stream.stream_name,
            "EventBus": parts.bus.name,
            "EventsDeadLetterUrl": parts.bus.dead.queue_url,
            "ScheduleGroup": parts.schedules.group_name,
            "CampaignsGroup": parts.schedules.campaigns_group,
            "CampaignsUrl": parts.tasks.queue.queue_url,
            "ReceiptsUrl": parts.receipts.queue.queue_url,
            "WebhooksUrl": parts.webhooks.queue.queue_url,
            "ErasuresUrl": parts.erasures.queue.queue_url,
            "SecretPrefix": stage.prefix,
            "QueueUrls": self.to_json_string({name: parts.queue(f"queue.{name}").queue_url for name in names}),
            "DeadLetterUrls": self.to_json_string({name: parts.queue(f"dead.{name}").queue_url for name in names}),
            **({} if parts.archive is None else parts.archive.outputs),
            **{f"{s.spec.construct_id}Function": s.function.function_name for s in self._services.values()},
        }
        for id, value in values.items():
            CfnOutput(self, id, value=value)
