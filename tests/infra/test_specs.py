"""What functions say of themselves is found, and what does not fit is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from infra.node import use_project_node
from infra.packaging import ROOT
from infra.specs import FUNCTIONS, FunctionError, by_name, consumer
from infra.stage import stage_named
from local.synth import SOURCES
from shared.base.rights import SEND, allow
from shared.base.settings import Settings
from shared.function import ApiTrigger, AuthorizerTrigger, Every, FunctionSpec, QueueTrigger

TOY = FunctionSpec("toy", "functions.toy.handler.lambda_handler", "Plays")


def test_the_local_stack_sees_changes_of_all_that_the_template_is_made_from() -> None:
    script = (
        "import sys, infra.stack\n"
        "for module in list(sys.modules.values()):\n"
        "    print(getattr(module, '__file__', None) or '')"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=240)
    read = {Path(line) for line in done.stdout.splitlines() if line}
    ours = {path for path in read if ROOT in path.parents and ".venv" not in path.parts}
    assert {ROOT / "shared" / "base" / "rights.py", ROOT / "functions" / "ingest" / "function.py"} <= ours
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
        (replace(TOY, snapshot=True, triggers=(Every(5),)), "toy: nothing but queues and the API calls published"),
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
        PlatformStack(App(), stage=stage_named("prod"), code=dict.fromkeys(functions, code), functions=functions)

    return make
