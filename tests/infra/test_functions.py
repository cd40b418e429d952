"""The functions: their environments, sizes and runtimes."""

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest

from infra.environment import LIBRARY_VARIABLES
from infra.packaging import ROOT
from infra.specs import FUNCTIONS
from infra.stage import stage_named
from shared.api.operations import OPERATIONS
from shared.base.channels import CHANNELS, queue_name
from shared.model.words import Channel, MessageClass
from tests.infra.template import Template


def _environment(template: Template, name: str) -> dict[str, str]:
    variables: dict[str, str] = template.functions()[name].properties["Environment"]["Variables"]
    return variables


def test_the_table_of_functions_is_what_is_deployed(prod: Template) -> None:
    deployed = {name: function.properties for name, function in prod.functions().items()}
    assert set(deployed) == set(FUNCTIONS)
    for name, spec in FUNCTIONS.items():
        assert deployed[name]["FunctionName"] == f"mepush-{name}"
        assert deployed[name]["Handler"] == spec.handler
        assert deployed[name]["MemorySize"] == spec.memory_mb
        assert deployed[name]["Timeout"] == spec.timeout_s
        assert deployed[name]["Runtime"] == "python3.14"
        assert deployed[name]["Architectures"] == ["arm64"]
        assert deployed[name]["LoggingConfig"] == {"LogGroup": f"${{{spec.construct_id}Logs}}"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_exists(name: str) -> None:
    handler = FUNCTIONS[name].handler
    module, _, function = handler.rpartition(".")
    assert list(inspect.signature(getattr(import_module(module), function)).parameters) == ["event", "context"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_ends_its_start(name: str) -> None:
    """Parts are made then, and garbage is collected from then on."""
    path = ROOT / Path(*FUNCTIONS[name].module.split(".")).with_suffix(".py")
    last = ast.parse(path.read_text()).body[-1]
    assert isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
    assert ast.unparse(last.value.func) == ("resume" if name == "describe" else "start")


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (stage, name)
        for stage in ("dev", "prod")
        for name in FUNCTIONS
        if stage_named(stage).archive or name != "archive"
    ],
)
def test_the_environment_is_what_the_settings_declare(request: pytest.FixtureRequest, stage: str, name: str) -> None:
    environment = _environment(request.getfixturevalue(stage), name)
    spec = FUNCTIONS[name]
    assert set(environment) == {variable.upper() for variable in spec.variables} | set(LIBRARY_VARIABLES)
    if spec.settings:
        assert spec.settings.load(environment).model_fields_set == set(spec.settings.model_fields)


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py")))
def test_every_folder_says_what_its_functions_need(folder: str) -> None:
    assert folder in {spec.folder for spec in FUNCTIONS.values()}


@pytest.mark.parametrize("channel", Channel)
def test_a_dispatch_function_gives_up_messages_of_its_own_channel_only(prod: Template, channel: Channel) -> None:
    environment = _environment(prod, CHANNELS[channel].function)
    id = f"Queues{channel.title()}"
    assert json.loads(environment["DLQ_URLS"]) == {
        queue_name(channel, each): f"${{{id}{each.title()}Dead}}" for each in MessageClass
    }


SENDERS = ("ingest", *(spec.function for spec in CHANNELS.values()), "dead_letters", "dead_letters_api", "watch")


@pytest.mark.parametrize("name", [*SENDERS, "watch_api"])
def test_what_sends_to_any_queue_sees_all(prod: Template, name: str) -> None:
    urls = json.loads(_environment(prod, name)["QUEUE_URLS"])
    assert urls == {
        queue_name(channel, each): f"${{Queues{channel.title()}{each.title()}}}"
        for channel in Channel
        for each in MessageClass
    }


def test_nobody_in_aws_may_point_an_account_at_the_function_itself(dev: Template, prod: Template) -> None:
    values = {
        _environment(template, name).get("ALLOW_LOOPBACK_ENDPOINTS")
        for template in (dev, prod)
        for name in template.functions()
    }
    assert values == {None, "false"}


def test_whoever_reads_accounts_secrets_knows_where_they_may_lead(dev: Template, prod: Template) -> None:
    """Nothing private is open unless a stage says so."""
    for template in (dev, prod):
        connecting = {name for name in template.functions() if "SECRET_PREFIX" in _environment(template, name)}
        # Who calls back is told by the secret; it connects to nobody.
        connecting.remove("callbacks")
        # Webhooks lead to the internet alone, whatever a stage says.
        for name in ("webhooks_send", "webhooks_api"):
            connecting.remove(name)
            environment = _environment(template, name)
            assert (environment["ALLOW_LOOPBACK_ENDPOINTS"], environment.get("PRIVATE_NETWORKS")) == ("false", None)
        assert connecting == {
            "manage",
            "pulling",
            "recall",
            "receipts",
            "mailboxes",
            *(s.function for s in CHANNELS.values()),
        }
        for name in connecting:
            environment = _environment(template, name)
            assert (environment["ALLOW_LOOPBACK_ENDPOINTS"], environment["PRIVATE_NETWORKS"]) == ("false", "[]")


def test_lambda_does_not_take_retries_for_a_runaway_loop(prod: Template) -> None:
    loops = {name for name, each in prod.functions().items() if each.properties.get("RecursiveLoop") == "Allow"}
    assert loops == {
        *(spec.function for spec in CHANNELS.values()),
        "campaign",
        "receipts",
        "webhooks_send",
        "erasures",
    }


def test_what_the_api_waits_for_ends_before_the_api_gives_up(prod: Template) -> None:
    timeouts = {name: each.properties["Timeout"] for name, each in prod.functions().items()}
    answering = {operation.function for operation in OPERATIONS} | {"callbacks", "preferences"}
    assert "campaign_api" in answering
    assert max(timeouts[name] for name in answering) < 30
    assert timeouts["authorize"] < 10


SNAPSHOTS = {"authorize", "ingest", "verify", *(spec.function for spec in CHANNELS.values())}


def test_what_a_person_waits_for_starts_from_a_snapshot_of_its_published_version(prod: Template) -> None:
    starting = {name: each for name, each in prod.functions().items() if "SnapStart" in each.properties}
    assert set(starting) == SNAPSHOTS == {name for name, spec in FUNCTIONS.items() if spec.snapshot}
    aliases, versions = prod.of("Lambda::Alias"), prod.of("Lambda::Version")
    for function in starting.values():
        assert function.properties["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        version = f"{function.id}CurrentVersion"
        assert aliases[function.id.replace("Function", "Live")].properties == {
            "FunctionName": f"${{{function.id}}}",
            "FunctionVersion": f"${{{version}.Version}}",
            "Name": "live",
        }
        # Its snapshot is paid for until it is deleted.
        assert versions[version].raw["DeletionPolicy"] == "Delete"
    assert len(aliases) == len(versions) == len(SNAPSHOTS)


def test_nothing_else_calls_what_is_not_published(prod: Template) -> None:
    """By hand it can be done, and starts without a snapshot."""
    texts = [json.dumps(each.properties) for each in prod.resources if each.type != "AWS::Lambda::Alias"]
    for name in SNAPSHOTS:
        assert not [text for text in texts if f"{FUNCTIONS[name].construct_id}Function.Arn" in text]


def test_other_stages_pay_for_no_snapshots(dev: Template, local: Template) -> None:
    for template in (dev, local):
        assert not template.of("Lambda::Alias") | template.of("Lambda::Version")
        assert not [name for name, each in template.functions().items() if "SnapStart" in each.properties]
