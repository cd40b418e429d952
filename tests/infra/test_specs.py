"""A function is one folder: what it says of itself is all that infrastructure needs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from infra.node import use_project_node
from infra.packaging import ROOT
from infra.specs import FUNCTIONS, FunctionError, by_name, consumer
from infra.stages import STAGES
from local.synth import SOURCES
from shared.function import ApiTrigger, AuthorizerTrigger, FunctionSpec, QueueTrigger
from shared.model.words import MessageClass
from shared.rights import SEND, allow
from shared.settings import Settings
from tests.infra.template import Template

TOY = FunctionSpec("toy", "functions.toy.handler.lambda_handler", "Plays")
TOYS_FUNCTION = '''
    """A function that nothing else knows of."""

    from shared.function import Alarm, Every, FunctionSpec
    from shared.rights import SEND, Outside, allow, table
    from shared.settings import CatalogSettings, QueueSettings


    class ToySettings(CatalogSettings, QueueSettings):
        """The environment of the function."""


    FUNCTIONS = (
        FunctionSpec(
            "toy",
            "functions.toy.handler.lambda_handler",
            "Plays",
            ToySettings,
            memory_mb=256,
            timeout_s=7,
            rights=(
                table("catalog", "GetItem", "PutItem", keys=("toy#*",)),
                allow(SEND, "queue.sms.*"),
                allow(("polly:SynthesizeSpeech",), Outside("polly", "lexicon", "people make lexicons when they like")),
            ),
            triggers=(Every(10),),
            alarms=(Alarm("toy-bored", "Nobody plays.", "Games", minutes=60, below=1),),
        ),
    )
'''
TOYS_HANDLER = '''
    def lambda_handler(event: object, context: object) -> None:
        """Play."""
'''


def _python(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the platform with one more folder, and no other file changed."""
    root = tmp_path_factory.mktemp("platform")
    for part in ("functions", "infra", "shared"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    toy = root / "functions" / "toy"
    toy.mkdir()
    for name, text in (("__init__", ""), ("function", TOYS_FUNCTION), ("handler", TOYS_HANDLER)):
        (toy / f"{name}.py").write_text(dedent(text))
    return root


def test_a_new_folder_is_deployed_with_its_environment_rights_triggers_and_alarms(with_toy: Path) -> None:
    path = _python(with_toy, "-m", "infra.cdk_app", "--stage", "prod", "--outdir", str(with_toy / "out"))
    template = Template(Path(path.strip()))
    function = template.functions()["toy"].properties
    size = {name: function[name] for name in ("Handler", "MemorySize", "Timeout", "Role")}
    assert size == {"Handler": TOY.handler, "MemorySize": 256, "Timeout": 7, "Role": "${ToyRole.Arn}"}
    variables = function["Environment"]["Variables"]
    assert variables["CATALOG_TABLE"] == "${TablesCatalog}"
    sms = [f"sms.{message_class}" for message_class in MessageClass]
    assert json.loads(variables["QUEUE_URLS"]) == {name: f"${{Queues{name.title().replace('.', '')}}}" for name in sms}
    rights = {each["Action"][0]: each for each in template.statements("ToyRole")}
    assert rights["dynamodb:GetItem"] == {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
        "Resource": ["${TablesCatalog.Arn}"],
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["toy#*"]}},
    }
    assert len(rights["sqs:SendMessage"]["Resource"]) == len(sms)
    assert rights["polly:SynthesizeSpeech"]["Resource"] == ["arn:${AWS::Partition}:polly:*:${AWS::AccountId}:lexicon/*"]
    assert set(rights) == {"logs:CreateLogStream", "dynamodb:GetItem", "sqs:SendMessage", "polly:SynthesizeSpeech"}
    schedule = template.of("Scheduler::Schedule")["ToySchedule"].properties
    assert (schedule["ScheduleExpression"], schedule["Target"]["Arn"]) == ("rate(10 minutes)", "${ToyFunction.Arn}")
    alarms = {each.properties["AlarmName"] for each in template.of("CloudWatch::Alarm").values()}
    assert {"mepush-errors-toy", "mepush-throttles-toy", "mepush-toy-bored"} <= alarms
    assert "ToyFunction" in template.json["Outputs"]


def test_a_new_folder_is_packaged_alone(with_toy: Path) -> None:
    script = "from infra import packaging as p; print(*p.sources(p.FUNCTIONS['toy']), sep='\\n')"
    packed = {path for path in _python(with_toy, "-c", script).splitlines() if path.startswith("functions/")}
    assert packed == {"functions/__init__.py", *(f"functions/toy/{n}.py" for n in ("__init__", "function", "handler"))}


def test_the_local_stack_sees_changes_of_all_that_the_template_is_made_from() -> None:
    script = (
        "import sys, infra.stack\n"
        "for module in list(sys.modules.values()):\n"
        "    print(getattr(module, '__file__', None) or '')"
    )
    read = {Path(line) for line in _python(ROOT, "-c", script).splitlines() if line}
    ours = {path for path in read if ROOT in path.parents and ".venv" not in path.parts}
    assert {ROOT / "shared" / "rights.py", ROOT / "functions" / "ingest" / "function.py"} <= ours
    assert sorted(ours - {path for pattern in SOURCES for path in ROOT.glob(pattern)}) == []


def test_a_handler_of_another_folder_is_refused() -> None:
    with pytest.raises(FunctionError, match=r"toy: its handler is not in functions/game"):
        by_name([("game", TOY)])


def test_a_name_is_taken_once() -> None:
    with pytest.raises(FunctionError, match="toy: two functions have this name"):
        by_name([("toy", TOY), ("toy", TOY)])


def test_a_queue_has_one_function() -> None:
    takes = replace(TOY, triggers=(QueueTrigger("campaigns.queue", 1, 2),))
    assert consumer("campaigns.queue", {"toy": takes})[0] is takes
    for functions, count in (({}, 0), ({**FUNCTIONS, "toy": takes}, 2)):
        with pytest.raises(FunctionError, match=f"campaigns.queue: one function takes its messages, not {count}"):
            consumer("campaigns.queue", functions)


class OddSettings(Settings):
    """Settings with a variable that nobody gives a value."""

    moon_phase: str


@pytest.mark.parametrize(
    ("toy", "said"),
    [
        (replace(TOY, settings=OddSettings), "toy: no value for moon_phase"),
        (replace(TOY, rights=(allow(SEND, "queue.fax.*"),)), r"no such part: queue\.fax\.\*; there are table.catalog"),
        (replace(TOY, triggers=(QueueTrigger("queue.fax", 1, 2),)), r"no such queue: queue\.fax; there are"),
        (replace(TOY, triggers=(QueueTrigger("dead.sms.marketing", 1, 2),)), "one function takes its messages, not 2"),
        (replace(TOY, triggers=(ApiTrigger(),)), "toy: operations name it, or it has an ApiTrigger, but not both"),
        (replace(TOY, triggers=(AuthorizerTrigger(),)), "one function has an AuthorizerTrigger, not 2"),
    ],
)
def test_what_does_not_fit_is_named(toy: FunctionSpec, said: str, synthesise: Callable[[FunctionSpec], None]) -> None:
    with pytest.raises(FunctionError, match=said):
        synthesise(toy)


@pytest.fixture
def synthesise(tmp_path: Path) -> Callable[[FunctionSpec], None]:
    """Makes the stack of a stage with one more function."""

    def make(toy: FunctionSpec) -> None:
        use_project_node()
        from aws_cdk import App
        from aws_cdk import aws_lambda as lambda_

        from infra.stack import PlatformStack

        functions = {**FUNCTIONS, toy.name: toy}
        (tmp_path / "__init__.py").touch()
        code = lambda_.Code.from_asset(str(tmp_path))
        PlatformStack(App(), stage=STAGES["prod"], code=dict.fromkeys(functions, code), functions=functions)

    return make
