"""Functions in one process: their environments, their state, and what they are told."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

import local.runtime as runtime
from local.deployment import Function
from local.logs import SINK, FunctionLogs
from local.runtime import FunctionRunner, FunctionTimeoutError, ResponseSizeError

Script = dict[str, Any]


def function(name: str, timeout_s: int = 30, handler: str = "", **environment: str) -> Function:
    """A deployed fake function."""
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:small-{name}"
    handler = handler or f"functions.{name}.handler.lambda_handler"
    return Function(name, f"small-{name}", arn, handler, timeout_s, 256, environment)


@pytest.fixture
def runner(script: Script) -> Iterator[FunctionRunner]:
    """Two functions whose variables differ."""
    door = function("door", SHARED="of door", DOOR_ONLY="1")
    made = FunctionRunner({"door": door, "worker": function("worker", SHARED="of worker")})
    made.reset()
    yield made
    made.reset()


def test_each_function_sees_its_own_environment_only(
    runner: FunctionRunner, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED", "of the developer")
    monkeypatch.setenv("DEVELOPERS_SECRET", "x")
    monkeypatch.setenv("AWS_PROFILE", "production")
    script["door"] = script["worker"] = lambda event, context, env: env
    before = dict(os.environ)
    door, worker = runner.invoke("door", {}), runner.invoke("worker", {})
    assert (door["SHARED"], worker["SHARED"]) == ("of door", "of worker")
    assert "DOOR_ONLY" in door
    assert not {"DOOR_ONLY", "DEVELOPERS_SECRET", "AWS_PROFILE"} & worker.keys()
    assert worker["AWS_LAMBDA_FUNCTION_NAME"] == "small-worker"
    assert worker["PATH"] == before["PATH"]
    assert dict(os.environ) == before


def test_an_environment_is_built_once_until_it_is_reset(runner: FunctionRunner, script: Script) -> None:
    seen: list[Any] = []
    script["door"] = lambda event, context, env: seen.append(env)
    runner.invoke("door", {})
    runner.invoke("door", {})
    assert seen[0] is seen[1]
    runner.reset()
    runner.invoke("door", {})
    assert seen[2] is not seen[0]


def test_another_stack_gives_the_same_function_another_environment(runner: FunctionRunner, script: Script) -> None:
    script["door"] = lambda event, context, env: env["SHARED"]
    assert runner.invoke("door", {}) == "of door"
    runner.reset()
    other = FunctionRunner({"door": function("door", SHARED="changed")})
    assert other.invoke("door", {}) == "changed"
    other.reset()


def test_invocations_at_the_same_time_share_nothing_of_the_function(runner: FunctionRunner, script: Script) -> None:
    both = threading.Barrier(2, timeout=10)
    seen: list[Any] = []

    def work(event: Any, context: Any, env: Any) -> None:
        both.wait()
        seen.append(env)
        both.wait()

    script["door"] = work
    threads = [threading.Thread(target=runner.invoke, args=("door", {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    first, second = seen
    assert first is not second
    assert first["SHARED"] == second["SHARED"] == "of door"
    # One after the other they take turns on what is there.
    script["door"] = lambda event, context, env: seen.append(env)
    runner.invoke("door", {})
    assert any(seen[2] is each for each in (first, second))


def test_there_are_only_so_many_environments(
    runner: FunctionRunner, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MAX_ENVIRONMENTS", 1)
    inside, release = threading.Event(), threading.Event()
    order: list[str] = []

    def work(event: Any, context: Any, env: Any) -> None:
        order.append(f"{event} begins")
        inside.set()
        release.wait(10)
        order.append(f"{event} ends")

    script["door"] = work
    first = threading.Thread(target=runner.invoke, args=("door", "first"))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=runner.invoke, args=("door", "second"))
    second.start()
    release.set()
    first.join(10)
    second.join(10)
    assert order == ["first begins", "first ends", "second begins", "second ends"]


def test_while_it_is_still_no_function_runs_and_none_begins(runner: FunctionRunner, script: Script) -> None:
    inside, release, held, go_on = (threading.Event() for _ in range(4))
    order: list[str] = []

    def work(event: Any, context: Any, env: Any) -> None:
        order.append(f"{event} begins")
        inside.set()
        release.wait(10)
        order.append(f"{event} ends")

    def hold() -> None:
        with runner.still():
            order.append("still")
            held.set()
            go_on.wait(10)
            order.append("over")

    script["door"] = work
    threads = [threading.Thread(target=runner.invoke, args=("door", "first")), threading.Thread(target=hold)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    release.set()
    assert held.wait(10)
    threads.append(threading.Thread(target=runner.invoke, args=("door", "second")))
    threads[2].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first begins", "first ends", "still", "over", "second begins", "second ends"]


def test_what_a_function_is_told_about_its_invocation(runner: FunctionRunner, script: Script) -> None:
    told: list[Any] = []
    script["door"] = lambda event, context, env: told.append(context)
    runner.invoke("door", {})
    runner.invoke("door", {})
    first, second = told
    assert first.function_name == "small-door"
    assert first.memory_limit_in_mb == 256
    assert first.invoked_function_arn.endswith(":function:small-door")
    assert first.aws_request_id != second.aws_request_id
    assert 25_000 < first.get_remaining_time_in_millis() <= 30_000


def test_a_function_that_ran_too_long_failed(script: Script) -> None:
    runner = FunctionRunner({"door": function("door", timeout_s=0)})
    runner.reset()
    script["door"] = lambda event, context, env: time.sleep(0.001)
    with pytest.raises(FunctionTimeoutError):
        runner.invoke("door", {})
    assert runner.invocations == {"door": 1}
    assert runner.billed_ms["door"] >= 1
    runner.reset()


def test_answers_travel_as_json(runner: FunctionRunner, script: Script) -> None:
    script["door"] = lambda event, context, env: {"a": (1, 2), 3: None}
    assert runner.invoke("door", {}) == {"a": [1, 2], "3": None}
    script["door"] = lambda event, context, env: object()
    with pytest.raises(TypeError):
        runner.invoke("door", {})
    script["door"] = lambda event, context, env: "x" * (6 * 1024 * 1024)
    with pytest.raises(ResponseSizeError):
        runner.invoke("door", {})


def test_a_start_that_failed_is_tried_again(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import functions

    package = tmp_path / "shaky"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "handler.py").write_text("def lambda_handler(event, context):\n    return 'up'\n")
    (package / "deps.py").write_text("import os\ndef deps():\n    return os.environ['NEEDED']\n")
    monkeypatch.setattr(functions, "__path__", [*functions.__path__, str(tmp_path)])
    runner = FunctionRunner({"shaky": function("shaky")})
    for _ in range(2):
        with pytest.raises(KeyError):
            runner.invoke("shaky", {})
    repaired = FunctionRunner({"shaky": function("shaky", NEEDED="x")})
    assert repaired.invoke("shaky", {}) == "up"


def test_a_second_handler_of_a_folder_has_its_own_deps(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import functions

    package = tmp_path / "pair"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "deps.py").write_text(
        "import os\nfrom functools import cache\n"
        "@cache\ndef deps():\n    return 'deps ' + os.environ['V']\n"
        "@cache\ndef api_deps():\n    return 'api_deps ' + os.environ['V']\n"
    )
    for module, name in (("handler", "deps"), ("api", "api_deps")):
        (package / f"{module}.py").write_text(
            f"from functions.pair.deps import {name}\ndef lambda_handler(event, context):\n    return {name}()\n"
        )
    monkeypatch.setattr(functions, "__path__", [*functions.__path__, str(tmp_path)])
    main = function("pair", V="1")
    api = function("pair_api", handler="functions.pair.api.lambda_handler", V="2")
    runner = FunctionRunner({"pair": main, "pair_api": api})
    assert (runner.invoke("pair_api", {}), runner.invoke("pair", {})) == ("api_deps 2", "deps 1")


def test_functions_are_found_by_their_arn(runner: FunctionRunner) -> None:
    assert runner.named("arn:aws:lambda:us-east-1:123456789012:function:small-worker") == "worker"
    assert runner.named("arn:aws:lambda:us-east-1:123456789012:function:other") is None
    assert runner.environment("worker") == {"SHARED": "of worker"}


def test_logs_and_metrics_go_to_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deep" / "functions.log"
    logger = Logger(service="local-logs-test")
    with FunctionLogs(path):
        FunctionLogs.adopt()
        logger.warning("a line")
        # Without a handler, and a child whose parent is not there: the root's handler on Lambda writes what they say.
        logging.getLogger("shared.providers.test").warning("odd answer", extra={"raw_code": "E42"})
        Logger(service="nobody", child=True).warning("of an orphan")
        metrics = Metrics(namespace="test", service="local-logs-test")
        metrics.add_metric(name="Things", unit="Count", value=1)
        metrics.flush_metrics()
        SINK.write("plain\n")
    written = path.read_text()
    assert written.count("a line") == 1
    assert '"Things"' in written
    assert "odd answer" in written and "E42" in written
    assert "of an orphan" in written
    assert "plain" in written
    assert capsys.readouterr().out == ""
    # The handler outlives the file.
    logger.info("after")
    assert "after" in capsys.readouterr().out
    assert "after" not in path.read_text()
    logging.getLogger("local-logs-test").handlers.clear()
