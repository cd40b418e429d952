"""The page on adding a function, carried out: a copy of the platform with its folder, and no other file changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.packaging import ROOT
from shared.model.words import MessageClass
from tests.infra.template import Template

PAGE = ROOT / "docs" / "adding-a-function.md"
QUEUES = [f"sms.{message_class}" for message_class in MessageClass]
PLAYED = """
import json
from shared.aws import clients

class Client:
    def __init__(self, service):
        self.service = service

    def get_queue_attributes(self, **asked):
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(asked["QueueUrl"]))}}

    def put_item(self, **asked):
        print(json.dumps(asked))

clients.client = Client
from functions.backlog.handler import lambda_handler
print(json.dumps(lambda_handler({}, None)))
"""


def _python(folder: Path, *arguments: str, **variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder), **variables}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the platform with the page's files."""
    root = tmp_path_factory.mktemp("platform")
    for part in ("functions", "infra", "shared"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [path for path, _ in blocks] == [f"functions/backlog/{name}.py" for name in ("function", "deps", "handler")]
    (root / "functions" / "backlog").mkdir()
    (root / "functions" / "backlog" / "__init__.py").touch()
    for path, text in blocks:
        (root / path).write_text(text)
    return root


@pytest.fixture(scope="module")
def template(platform: Path) -> Template:
    path = _python(platform, "-m", "infra.cdk_app", "--stage", "prod", "--outdir", str(platform / "out"))
    return Template(Path(path.strip()))


def test_its_size_and_role_are_what_it_says(template: Template) -> None:
    function = template.functions()["backlog"].properties
    assert (function["FunctionName"], function["Handler"]) == (
        "mepush-backlog",
        "functions.backlog.handler.lambda_handler",
    )
    assert (function["MemorySize"], function["Timeout"], function["Role"]) == (256, 30, "${BacklogRole.Arn}")
    assert "BacklogFunction" in template.json["Outputs"]


def test_its_environment_names_the_queues_that_it_has_rights_on(template: Template) -> None:
    variables = template.functions()["backlog"].properties["Environment"]["Variables"]
    assert variables["COUNTERS_TABLE"] == "${TablesCounters}"
    assert json.loads(variables["QUEUE_URLS"]) == {
        name: f"${{Queues{name.title().replace('.', '')}}}" for name in QUEUES
    }
    assert "CATALOG_TABLE" not in variables


def test_its_rights_are_what_it_says(template: Template) -> None:
    logs, depths, keeps = template.statements("BacklogRole")
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert (depths["Action"], len(depths["Resource"])) == (["sqs:GetQueueAttributes"], len(QUEUES))
    assert keeps == {
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem"],
        "Resource": ["${TablesCounters.Arn}"],
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["backlog#*"]}},
    }


def test_it_is_called_and_watched(template: Template) -> None:
    schedule = template.of("Scheduler::Schedule")["BacklogSchedule"].properties
    assert schedule["ScheduleExpression"] == "rate(10 minutes)"
    assert schedule["Target"]["Arn"] == "${BacklogFunction.Arn}"
    found = [each.properties for each in template.of("CloudWatch::Alarm").values()]
    assert {"mepush-errors-backlog", "mepush-throttles-backlog"} <= {each["AlarmName"] for each in found}
    (alarm,) = [each for each in found if each["AlarmName"] == "mepush-long-backlog"]
    assert (alarm["Threshold"], alarm["Period"]) == (10_000, 600)


def test_nothing_else_is_deployed_otherwise(template: Template, prod: Template) -> None:
    others = {each.id: each.raw for each in template.resources if not each.id.startswith("Backlog")}
    added = set(others) - {each.id for each in prod.resources}
    assert added == {"AlarmsErrorsBacklog", "AlarmsThrottlesBacklog", "AlarmsLongBacklog"}
    # The stub of the functions' code is the same, so all the rest is equal to the letter.
    assert {id: others[id] for id in set(others) - added} == {each.id: each.raw for each in prod.resources}


def test_it_is_packaged_alone(platform: Path) -> None:
    script = "from infra import packaging as p; print(*p.sources(p.FUNCTIONS['backlog']), sep='\\n')"
    packed = {path for path in _python(platform, "-c", script).splitlines() if path.startswith("functions/")}
    names = ("__init__", "deps", "function", "handler")
    assert packed == {"functions/__init__.py", *(f"functions/backlog/{name}.py" for name in names)}


def test_it_runs_in_its_environment(platform: Path, template: Template) -> None:
    variables = template.functions()["backlog"].properties["Environment"]["Variables"]
    kept, metric, answer = map(json.loads, _python(platform, "-c", PLAYED, **variables).splitlines())
    assert set(answer) == set(QUEUES)
    assert kept["TableName"] == variables["COUNTERS_TABLE"]
    assert kept["Item"]["pk"] == {"S": "backlog#sms"}
    # It is the metric that the alarm looks at.
    alarm = template.of("CloudWatch::Alarm")["AlarmsLongBacklog"].properties
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert {name: metric[name] for name in dimensions} == dimensions
    assert metric["_aws"]["CloudWatchMetrics"][0]["Namespace"] == alarm["Namespace"]
    assert metric[alarm["MetricName"]] == [sum(answer.values())]
