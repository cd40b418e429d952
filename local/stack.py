"""The whole platform in this process: the real template in moto, the real functions, sandbox providers, an HTTP API."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from unittest.mock import patch

import botocore.session
from moto import mock_aws

from local import events, keeping, mappings, permissions, uploads
from local.alarms import Alarms, alarm_of
from local.callbacks import LocalCallbacks
from local.clock import LocalClock, RealClock
from local.counting import RequestCounter
from local.deploy import deploy
from local.deployment import Deployment
from local.faults import FaultControl, FaultInput
from local.gateway import Gateway
from local.gauges import Gauges
from local.logs import FunctionLogs
from local.memory.engine import Memory
from local.metrics import Metric, Metrics
from local.moto_patches import patched
from local.permissions import followed
from local.pollers import Poller, QueuePoller
from local.process import aws_environment, closing_connections, closing_providers, loader
from local.runtime import FunctionRunner, ThrottledError
from local.sandbox.base import Outbox, Sandbox
from local.sandbox.dns import DnsSandbox
from local.sandbox.pages import accepted_json, outbox_json, outbox_page
from local.scheduler import LocalScheduler
from local.server import HOST, LOCAL_PAGES, LocalPath, Server, page
from local.sources import MOTO, Sources
from local.stream_pollers import ShardPoller
from local.synth import ROOT, render_pages, synthesised
from shared.aws import clients
from shared.model.clock import SystemClock

if TYPE_CHECKING:
    from local.sandbox.imap import ImapSandbox

TENCENT_KEYS = {"AKIDsandboxsandboxsandboxsandbox0000": "sandboxsandboxsandboxsandbox0000"}
"""SecretId -> SecretKey that the Tencent sandbox checks signatures with."""
SES_IDENTITIES = frozenset({"example.com"})
"""What the SES sandbox sends from: any address of this domain."""
AWS_SMS_IDENTITIES = frozenset({"BLUEWHALE"})
"""The origination identities that the AWS SMS sandbox knows."""
UNKNOWN_MEMBERS = ("nobody",)
"""Whom the WeCom sandbox does not know."""
LOG_FILE = ROOT / "build" / "local" / "functions.log"
OVERRIDES = {"ALLOW_LOOPBACK_ENDPOINTS": "true"}
"""Variables whose value differs from what is deployed, where a function has them; and where uploads go."""

_QUIET_POLL_S = 0.02
_WAKING = {
    "SendMessage",
    "SendMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "PutRecord",
    "PutRecords",
}


class NotQuietError(Exception):
    """There was still something to do after as many rounds as were allowed."""


class LocalStack:
    """A running platform; use as a context manager, one at a time in a process.

    port: of the HTTP API; 0 for any, and the next free one if it is taken. threads: False to have nothing happen by
    itself: call `drain`. template: a template, or the path of one, instead of the platform's own. log_file: where
    the functions' log goes. faults: what the sandbox providers play from the start. memory: have DynamoDB, SQS and
    Kinesis played by `local.memory` instead of moto: much faster, and stricter. kept: what to go on from (needs
    memory), see `local.keeping`. receipts: False to have providers say nothing of messages after they took them.
    archive: have events put into an archive (needs memory), whose records `memory.firehose` has.

    fails: what invocations of a function raise instead of running it, by its logical name, for as long as it is there.

    Once started: url, outbox, sandboxes (`smtp`, `ses`, `tencent`, `aws`, `wecom`), mailbox (to which mails come back
    that the first of these took), names (the name server), faults, clock, deployment, runner, pages (under
    `/_local/`), buses, callbacks, counting, permissions, alarms, memory (None without it). Raises on start:
    synth.SynthesisError, template.TemplateError, server.PortError; InvalidError for a fault.
    """

    url: str
    deployment: Deployment
    runner: FunctionRunner
    sandboxes: dict[str, Sandbox]
    mailbox: "ImapSandbox"
    buses: events.LocalBuses
    callbacks: LocalCallbacks
    alarms: Alarms
    names: DnsSandbox

    _one: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        port: int = 0,
        threads: bool = True,
        outbox: Outbox | None = None,
        template: Mapping[str, Any] | Path | None = None,
        log_file: Path = LOG_FILE,
        faults: Iterable[FaultInput] = (),
        memory: bool = False,
        kept: keeping.State | None = None,
        receipts: bool = True,
        archive: bool = False,
    ) -> None:
        self.outbox = outbox if outbox is not None else Outbox()
        self.clock = LocalClock()
        self.counting = RequestCounter()
        self.fails: dict[str, Exception] = {}
        self._metrics = Metrics(self.clock)
        self.memory = Memory(self.clock) if memory else None
        self.sandboxes = {}
        self.faults = FaultControl(self.sandboxes)
        self._first_faults = list(faults)
        self._port = port
        self._kept = kept
        self.receipts = receipts
        self._archive = archive
        self.pages: dict[str, LocalPath] = {}
        self._threads = threads
        self._template = template
        self._log_file = log_file
        self._exit = ExitStack()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._pollers: list[Poller] = []
        self._by_source: dict[str, list[Poller]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Start everything. Raises: RuntimeError if another stack runs in this process; see the class."""
        template = self._read_template()
        if not self._one.acquire(blocking=False):
            raise RuntimeError("another local stack runs in this process")
        try:
            self._exit.callback(self._one.release)
            self._start(template)
        except BaseException:  # whatever ends the start, what has been started is stopped
            self.close()
            raise

    def close(self) -> None:
        """Stop everything and forget what was there."""
        self._exit.close()

    @property
    def requests(self) -> Counter[str]:
        """The requests to AWS so far, as a bill would count them, by `service.Operation`."""
        return self.counting.counts

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs, such as `CatalogTable`."""
        return self.deployment.outputs

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's AWS, kept; its requests are not counted."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service)
        return self._clients[service]

    def environment(self, function: str) -> dict[str, str]:
        """The environment variables of a function, such as `ingest`."""
        return self.runner.environment(function)

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function by its logical name and return its answer. Raises: what it raises."""
        self.counting.add("lambda.Invoke")
        try:
            if function in self.fails:
                raise self.fails[function]
            return self.runner.invoke(function, event)
        except Exception as error:  # of any kind: it is told on
            self._measure("Throttles" if isinstance(error, ThrottledError) else "Errors", function)
            raise

    def _measure(self, name: str, function: str) -> None:
        dimensions = frozenset({("FunctionName", self.deployment.functions[function].physical_name)})
        self._metrics.add(Metric("AWS/Lambda", name, dimensions), [1])

    def drain(self, max_rounds: int = 1000, *, until_due: bool = False, horizon_s: float = 14 * 86_400) -> int:
        """Without threads: work in this thread until nothing is due, and return the number of rounds that took.

        until_due: go on to what is delayed, hidden or scheduled, moving the clock, up to `horizon_s` from now.
        Raises: NotQuietError after `max_rounds`; RuntimeError for a stack with threads.
        """
        if self._threads:
            raise RuntimeError("this stack works by itself; use wait_quiet")
        end_ms = self.clock.now_ms() + horizon_s * 1000
        for rounds in range(max_rounds):
            if self._step():
                continue
            due_ms = min((due for poller in self._pollers if (due := poller.due_ms()) is not None), default=None)
            if due_ms is None or not until_due or due_ms > end_ms:
                return rounds
            self.clock.advance(max(due_ms - self.clock.now_ms(), 0) / 1000 + 0.001)
        raise NotQuietError(f"something was still due after {max_rounds} rounds")

    def _step(self) -> bool:
        """One round. What reads the stream comes when the queues are done: its mapping's window gathers as long."""
        queues = [poller for poller in self._pollers if not isinstance(poller, ShardPoller)]
        streams = [poller for poller in self._pollers if isinstance(poller, ShardPoller)]
        return any([poller.step() for poller in queues]) or any([poller.step() for poller in streams])

    def skip(self, seconds: float) -> None:
        """Set the clock forward between two invocations: no function lives through minutes in a moment, and one that
        did would hold a lease that is over."""
        with self.runner.still():
            self.clock.advance(seconds)

    def wait_quiet(self, timeout: float = 30.0, *, delayed: bool = False) -> bool:
        """Wait until nothing is being worked on and nothing is due; False if that took longer than `timeout` seconds.

        delayed: wait for what is due later, too (retries, deferred messages, schedules).
        """
        until = time.monotonic() + timeout
        while not self._quiet(delayed):
            if time.monotonic() >= until:
                return False
            time.sleep(_QUIET_POLL_S)
        return True

    def _quiet(self, delayed: bool) -> bool:
        begun = sum(poller.begun for poller in self._pollers)
        # Twice: what one poller finished while another was looked at shows in the second look.
        return (
            self._nothing_due(delayed)
            and self._nothing_due(delayed)
            and begun == sum(poller.begun for poller in self._pollers)
        )

    def _nothing_due(self, delayed: bool) -> bool:
        for poller in self._pollers:
            due = poller.due_ms()
            if poller.busy or (due is not None and (delayed or due <= self.clock.now_ms())):
                return False
        return True

    def _read_template(self) -> Mapping[str, Any]:
        if isinstance(self._template, Mapping):
            return self._template
        if self._template is None:
            render_pages()
        found: dict[str, Any] = json.loads(
            (self._template or synthesised(archive=self._archive)).read_text(encoding="utf-8")
        )
        return found

    def _start(self, template: Mapping[str, Any]) -> None:
        enter, later = self._exit.enter_context, self._exit.callback
        enter(aws_environment())
        clients.reset()
        later(clients.reset)
        # Each session makes its own otherwise, and so does each provider that is made with a function's environment.
        enter(patch.object(botocore.session, "create_loader", lambda *_: loader()))
        self.counting.install()
        later(self.counting.uninstall)
        enter(mock_aws())
        enter(patched(self.clock))
        # Functions make their own clocks; all of them are to show the stack's time.
        enter(patch.object(SystemClock, "now_ms", lambda _: self.clock.now_ms()))
        enter(FunctionLogs(self._log_file, self._metrics.take))
        enter(closing_providers())
        enter(closing_connections())
        self._session = self.counting.session()
        later(self._close_clients)
        self.pages.update(
            {
                "outbox": page(partial(outbox_page, self.outbox)),
                "outbox.json": page(partial(outbox_json, self.outbox)),
                "alarms": page(lambda: self.alarms.page()),
                "accepted": partial(accepted_json, self.outbox),
                "faults": self.faults,
                uploads.PATH: uploads.Uploads(self.client),
                events.PATH: lambda request: self.buses(request),
            }
        )
        server = Server(self._port, self.pages, forms=(uploads.PATH,))
        later(server.stop)
        self.url = server.url
        self.names = DnsSandbox()
        later(self.names.stop)
        overrides = OVERRIDES | {
            "DNS_SERVER": "{}:{}".format(*self.names.address),
            "UPLOAD_ENDPOINT": f"{self.url}{LOCAL_PAGES}{uploads.PATH}",
        }
        self.deployment = deploy(template, client=self.client, api_url=self.url, overrides=overrides)
        self.permissions = permissions.Permissions(self.deployment.permissions, self._tags)
        self.counting.guard = self.permissions.check
        enter(followed())
        if self.memory is not None:
            self.memory.adopt(self.client)
            for name in self.deployment.delivery_streams:
                self.memory.firehose.adopt(name)
            enter(self.memory.attached())
        self.runner = FunctionRunner(self.deployment.functions)
        self.runner.reset()
        later(self.runner.reset)
        self._start_sandboxes()
        self._start_pollers()
        gauges = Gauges(self.deployment, self.client("sqs"), self._pollers, self.memory or MOTO, self.clock)
        self.alarms = Alarms([alarm_of(each) for each in self.deployment.alarms], self._metrics, gauges, self.clock)
        domain = server.url.removeprefix("http://").replace(HOST, "localhost")
        gateway = Gateway(self.deployment.routes, self.invoke, self.clock, lambda: domain)
        later(gateway.close)
        server.start(gateway)

    def _tags(self, arn: str) -> dict[str, str]:
        """A secret's tags; none if there is no such secret."""
        secrets = self.client("secretsmanager")
        with suppress(secrets.exceptions.ResourceNotFoundException):
            found = secrets.describe_secret(SecretId=arn.partition(":secret:")[2])
            return {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
        return {}

    def _start_sandboxes(self) -> None:
        from local.sandbox.aws_sms import AwsSmsSandbox
        from local.sandbox.imap import ImapSandbox
        from local.sandbox.ses import SesSandbox
        from local.sandbox.smtp import SmtpSandbox
        from local.sandbox.tencent import TencentSandbox
        from local.sandbox.wecom import WecomSandbox

        self.mailbox = ImapSandbox(self.clock)
        self._exit.callback(self.mailbox.stop)
        smtp = SmtpSandbox(self.outbox)
        smtp.returns_to = self.mailbox.folder
        made: dict[str, Sandbox] = {
            "smtp": smtp,
            "ses": SesSandbox(self.outbox, verified=SES_IDENTITIES),
            "tencent": TencentSandbox(self.outbox, keys=TENCENT_KEYS, signature_clock=RealClock()),
            "aws": AwsSmsSandbox(self.outbox, identities=AWS_SMS_IDENTITIES),
            "wecom": WecomSandbox(self.outbox, unknown_users=UNKNOWN_MEMBERS),
        }
        for name, sandbox in made.items():
            self.sandboxes[name] = self._exit.enter_context(sandbox)
        for fault in self._first_faults:
            self.faults.add(fault)

    def _start_pollers(self) -> None:
        sqs, kinesis = self.client("sqs"), self.client("kinesis")
        sources: Sources = self.memory or MOTO
        made = self.deployment
        scheduler = LocalScheduler(self.clock, sqs, self._invoke_arn, self.counting, made.invocations)
        self._exit.enter_context(scheduler.patched())
        for schedule in self.deployment.schedules:
            self.client("scheduler").create_schedule(**schedule)
        self._pollers.append(scheduler)
        by_mapping: dict[str, QueuePoller] = {}
        for queue in self.deployment.queue_mappings:
            follower = QueuePoller(queue, self.invoke, sqs, self.counting, self.clock, sources)
            by_mapping[queue.id] = follower
            self._follow(queue.queue_url, follower)
        self._exit.enter_context(mappings.played(by_mapping))
        self.buses = events.LocalBuses(made.buses, made.rules, scheduler.invoke_later, sqs, self.clock, self.counting)
        self._exit.enter_context(self.buses.played())
        self.callbacks = LocalCallbacks(self.clock)
        self._pollers.append(self.callbacks)
        for sandbox in self.sandboxes.values() if self.receipts else ():
            sandbox.publish = self.buses.publish
            sandbox.call_back = self.callbacks.call
        for stream in self.deployment.stream_mappings:
            for shard in kinesis.list_shards(StreamName=stream.stream_name)["Shards"]:
                self._follow(
                    stream.stream_name,
                    ShardPoller(
                        stream, shard["ShardId"], self.invoke, (kinesis, sqs), self.counting, self.clock, sources
                    ),
                )
        self.counting.observe(self._wake)
        self.clock.on_advance(self._wake_all)
        self._exit.callback(self._stop_pollers)
        if self._kept is not None:
            keeping.restore(self, self._kept)
        if self._threads:
            for poller in self._pollers:
                poller.start()

    def _follow(self, source: str, poller: Poller) -> None:
        self._pollers.append(poller)
        self._by_source.setdefault(source, []).append(poller)

    def _wake(self, service: str, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation in _WAKING:
            source = parameters.get("QueueUrl") or parameters.get("StreamName")
            source = source or str(parameters.get("StreamARN", "")).rpartition("/")[2]
            for poller in self._by_source.get(source, ()):
                poller.wake()

    def _wake_all(self) -> None:
        for poller in self._pollers:
            poller.wake()

    def _stop_pollers(self) -> None:
        for poller in self._pollers:
            poller.request_stop()
        for poller in self._pollers:
            poller.stop()
        self._pollers.clear()
        self._by_source.clear()

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _invoke_arn(self, arn: str, event: Any) -> Any:
        name = self.runner.named(arn)
        if name is None:
            raise LookupError(f"no function of this stack has the ARN {arn}")
        return self.invoke(name, event)
