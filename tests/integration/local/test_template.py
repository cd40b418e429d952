"""Templates: what is read from them, and what is refused rather than passed over."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.receipts import of_deployment
from infra.specs import FUNCTIONS
from local import synth
from local.deploy import deploy, logical_name
from local.deployment import Deployment, Invocations, Rule
from local.synth import SynthesisError, fingerprint, synthesised
from local.template import Resolver, TemplateError, split
from shared.api.operations import OPERATIONS
from shared.aws import clients
from shared.base.channels import CHANNELS
from shared.function import OpenRoutes, Trigger
from shared.model.words import MessageClass
from shared.providers.table import PROVIDERS
from tests.integration.local.template import route, small_template

URL = "http://127.0.0.1:1"


def deployed(template: dict[str, Any], **overrides: str) -> Deployment:
    """Deploy a template into the moto that is on."""
    return deploy(template, client=clients.client, api_url=URL, overrides=overrides)


def test_resources_are_made_and_references_worked_out(moto: None) -> None:
    found = deployed(small_template(), ALLOW_LOOPBACK_ENDPOINTS="true", UNKNOWN="x")
    door = found.functions["door"]
    queue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/small-work"
    assert door.environment == {
        "OWN": "door",
        "QUEUE_URLS": json.dumps({"work": queue_url}, separators=(",", ":")),
        "TABLE": found.tables["Table"],
        "ALLOW_LOOPBACK_ENDPOINTS": "true",
    }
    assert (door.timeout_s, door.memory_mb, door.physical_name) == (7, 256, "small-door")
    assert found.functions["worker"].environment["DEAD_URL"].endswith("/small-dead")
    assert found.outputs == {"ApiUrl": URL, "TableName": found.tables["Table"]}
    described = clients.client("dynamodb").describe_time_to_live(TableName=found.tables["Table"])
    assert described["TimeToLiveDescription"]["AttributeName"] == "ttl"
    assert len(clients.client("kinesis").list_shards(StreamName=found.streams["Stream"])["Shards"]) == 4
    policy = clients.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    assert json.loads(policy["RedrivePolicy"])["maxReceiveCount"] == 3
    assert policy["VisibilityTimeout"] == "42"
    groups = clients.client("scheduler").list_schedule_groups()["ScheduleGroups"]
    assert [group["Name"] for group in groups] == ["default", "small"]


def test_mappings_and_routes_are_read(moto: None) -> None:
    found = deployed(small_template())
    assert {each.key: each.function for each in found.routes} == {
        "POST /items": "door",
        "GET /items/{id}": "door",
        "GET /open": "door",
    }
    guarded = {each.key for each in found.routes if each.authorizer and each.authorizer.function == "guard"}
    assert guarded == {"POST /items", "GET /items/{id}"}
    (queue,) = found.queue_mappings
    assert (queue.function, queue.batch_size, queue.window_s, queue.partial) == ("worker", 10, 0, True)
    assert (queue.max_concurrency, queue.visibility_s) == (2, 42)
    (stream,) = found.stream_mappings
    assert (stream.function, stream.stream_name, stream.batch_size) == ("tail", "small-events", 100)
    assert (stream.bisect, stream.max_retries, stream.max_age_s) == (True, 2, 3600)
    assert stream.failure_queue_url.endswith("/small-stream-dead")


def test_a_mapping_that_is_off_is_left_out(moto: None) -> None:
    template = small_template()
    template["Resources"]["WorkMapping"]["Properties"]["Enabled"] = False
    assert deployed(template).queue_mappings == ()


def change(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a template at a path."""

    def apply(template: dict[str, Any]) -> None:
        place = template["Resources"]
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (change("New", value={"Type": "AWS::WAFv2::WebACL"}), "New is of the type AWS::WAFv2::WebACL"),
        (change("Queue", "Condition", value="Sometimes"), "Queue has a condition"),
        (change("Door", "Properties", "Environment", "Variables", "X", value={"Ref": "Logs"}), "Logs is left out"),
        (change("Door", "Properties", "Environment", "Variables", "X", value={"Fn::Cidr": []}), "Fn::Cidr"),
        (change("Door", "Properties", "Handler", value="app.handler"), "app.handler"),
        (change("WorkMapping", "Properties", "FilterCriteria", value={}), "WorkMapping sets FilterCriteria"),
        (change("TailMapping", "Properties", "TumblingWindowInSeconds", value=5), "TumblingWindowInSeconds"),
        (change("TailMapping", "Properties", "ParallelizationFactor", value=2), "TailMapping"),
        (change("TailMapping", "Properties", "StartingPosition", value="LATEST"), "TailMapping"),
        (change("WorkMapping", "Properties", "FunctionName", value="other"), "no function of this stack: other"),
        (change("GetItem", "Properties", "AuthorizationType", value="JWT"), "JWT"),
        (change("GetItem", "Properties", "ApiKeyRequired", value=True), "ApiKeyRequired"),
        (change("DoorIntegration", "Properties", "PayloadFormatVersion", value="1.0"), "payload 2.0"),
        (change("Authorizer", "Properties", "EnableSimpleResponses", value=False), "simple responses"),
        (change("New", value=route("GET /x", "Missing")), "Missing"),
    ],
)
def test_what_cannot_be_played_faithfully_is_an_error(
    moto: None, broken: Callable[[dict[str, Any]], None], says: str
) -> None:
    template = small_template()
    broken(template)
    with pytest.raises(TemplateError, match=says):
        deployed(template)


def test_every_type_is_in_one_list_only() -> None:
    template = small_template()
    made, played = split(template)
    assert not made.keys() & played.keys()
    assert template["Resources"].keys() - made.keys() - played.keys() == {"Logs"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Join": ["-", ["a", {"Ref": "X"}, {"Fn::GetAtt": ["X", "Arn"]}]]}, "a-ref(X)-att(X.Arn)"),
        ({"Fn::Sub": "${X}/${X.Arn}/${AWS::Region}/${!Literal}"}, "ref(X)/att(X.Arn)/here/${Literal}"),
        ({"Fn::Sub": ["${v}", {"v": {"Ref": "X"}}]}, "ref(X)"),
        ({"Fn::Select": ["1", {"Fn::Split": ["|", "a|b|c"]}]}, "b"),
        ({"Fn::GetAtt": "X.Arn"}, "att(X.Arn)"),
        ({"a": [{"Ref": "X"}, 1, True]}, {"a": ["ref(X)", 1, True]}),
        ({"Ref": "X", "b": 1}, {"Ref": "X", "b": 1}),
    ],
)
def test_intrinsic_functions(value: Any, expected: Any) -> None:
    resolve = Resolver({"AWS::Region": "here"}, lambda n: f"ref({n})", lambda n, a: f"att({n}.{a})")
    assert resolve(value) == expected


@pytest.mark.parametrize(
    ("handler", "name"),
    [("functions.ingest.handler.lambda_handler", "ingest"), ("functions.trace.api.lambda_handler", "trace_api")],
)
def test_logical_names(handler: str, name: str) -> None:
    assert logical_name(handler) == name


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The platform's own template."""
    template: dict[str, Any] = json.loads(synthesised().read_text())
    return template


def _open_routes(trigger: Trigger) -> tuple[str, ...]:
    return trigger.routes if isinstance(trigger, OpenRoutes) else ()


def test_the_platforms_own_template_deploys(moto: None, platform: dict[str, Any]) -> None:
    found = deployed(platform)
    opened = {key: spec.name for spec in FUNCTIONS.values() for each in spec.triggers for key in _open_routes(each)}
    keys = {key: operation.function for operation in OPERATIONS for key in operation.route_keys}
    assert {each.key: each.function for each in found.routes} == keys | opened
    # Those of the dead-letter queues, of the campaigns' tasks, of receipts, of webhooks' deliveries, and of erasures.
    assert len(found.queue_mappings) == 2 * len(CHANNELS) * len(MessageClass) + 4
    assert sorted(each.function for each in found.stream_mappings) == ["trace", "webhooks_feed"]
    urls = {
        *json.loads(found.functions["ingest"].environment["QUEUE_URLS"]).values(),
        *json.loads(found.outputs["DeadLetterUrls"]).values(),
    }
    assert urls | {found.outputs[name] for name in ("CampaignsUrl", "ReceiptsUrl", "WebhooksUrl", "ErasuresUrl")} == {
        each.queue_url for each in found.queue_mappings
    }
    assert found.outputs["ApiUrl"] == URL
    receipts = found.outputs["ReceiptsUrl"]
    function, dead = found.functions["ingest_events"].arn, found.outputs["EventsDeadLetterUrl"]
    assert found.buses == (found.outputs["EventBus"],)
    assert found.rules == (
        Rule(
            "mepush-send",
            "mepush",
            {"detail-type": ["mePush send"]},
            (function,),
            queue_urls=(),
            dead_letter_urls=(dead,),
        ),
        *(
            Rule(
                f"mepush-receipts-{each.name}",
                "default",
                of_deployment(each.events, "mepush"),
                (),
                (receipts,),
                (f"{receipts}-dlq",),
            )
            for each in PROVIDERS.values()
            if each.events is not None
        ),
    )
    assert found.invocations == {function: Invocations(2, 21_600, dead)}


def test_the_fingerprint_follows_what_the_template_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "infra").mkdir()
    source = tmp_path / "infra" / "stack.py"
    source.write_text("a = 1\n")
    monkeypatch.setattr(synth, "ROOT", tmp_path)
    first = fingerprint()
    assert fingerprint() == first
    source.write_text("a = 2\n")
    second = fingerprint()
    source.rename(source.with_name("other.py"))
    assert len({first, second, fingerprint()}) == 3


def test_a_template_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def run(command: list[str], **_: Any) -> Any:
        folder = Path(command[command.index("--outdir") + 1])
        folder.mkdir()
        (folder / "mepush.template.json").write_text("{}")
        made.append(folder)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    old = tmp_path / "old"
    old.mkdir()
    first = synthesised(tmp_path)
    assert first.read_text() == "{}"
    assert synthesised(tmp_path) == first
    assert len(made) == 1
    assert not old.exists()


def test_a_synthesis_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> Any:
        return subprocess.CompletedProcess(command, 1, "", "no node")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SynthesisError, match="no node"):
        synthesised(tmp_path)
