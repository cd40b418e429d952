"""Cold starts on the road of a code: the functions as fresh processes, from imports to the first answer, against
as many fresh processes that import boto3 and make one client.

AWS and the provider are played by this process, so their time does not count.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber

from bench.figures import Figure
from local.deployment import REGION, Function
from local.seed import EXAMPLES, first_key, seed
from local.stack import LocalStack
from local.synth import ROOT

ROUNDS = 9
ROAD = ("authorize", "ingest", "dispatch_sms")
"""The functions that a code goes through before it is sent."""
_BASELINE = "import boto3, os; boto3.client('dynamodb'); os._exit(0)"
_PROGRAM = str(Path(__file__).with_name("invoked.py"))


class _Aws(BaseHTTPRequestHandler):
    """Hands requests to the AWS that is played in this process."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer one request, by the service that it is signed for."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        service = self.headers["authorization"].split("/")[3]
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        url = f"https://{service}.{REGION}.amazonaws.com{self.path}"
        found = BotocoreStubber().process_request(AWSPreparedRequest(self.command, url, headers, body, False))
        if found is None:
            raise LookupError(f"nobody plays {url}")
        status, answered, text = found
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in answered.items():
            if name.lower() not in ("content-length", "date", "server", "connection"):
                self.send_header(name, str(value))
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def _aws() -> Iterator[str]:
    """The address of an AWS for other processes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Starts:
    """Invokes functions as fresh processes, and notes the processor time of each."""

    def __init__(self, functions: Mapping[str, Function], aws: str, folder: Path) -> None:
        self._functions, self._aws, self._folder = functions, aws, folder
        self.ms: dict[str, list[float]] = {name: [] for name in (*ROAD, "boto3")}

    def invoke(self, name: str, event: Any) -> Any:
        """Invoke a function. Raises: RuntimeError with what it wrote if it fails."""
        asked, answer = self._folder / "event.json", self._folder / "answer.json"
        asked.write_text(json.dumps(event))
        function = self._functions[name]
        command = [sys.executable, "-P", _PROGRAM, function.handler, str(asked), str(answer)]
        self._run(name, command, {**function.environment, "AWS_LAMBDA_FUNCTION_NAME": function.physical_name})
        return json.loads(answer.read_text())

    def baseline(self) -> None:
        """What importing boto3 and making one client takes."""
        self._run("boto3", [sys.executable, "-c", _BASELINE], {})

    def _run(self, name: str, command: list[str], more: Mapping[str, str]) -> None:
        environment = {
            **more,
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": self._aws,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        }
        with (self._folder / "out").open("w+") as out:
            child = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=out, stderr=out)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if status:
                out.seek(0)
                raise RuntimeError(f"{name} failed: {out.read()}")
        self.ms[name].append((usage.ru_utime + usage.ru_stime) * 1e3)


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Processor milliseconds of each function's cold start, and of the baseline as `boto3`, by round.

    Raises: RuntimeError if a code does not arrive.
    """
    with LocalStack(threads=False) as stack, _aws() as aws, tempfile.TemporaryDirectory() as folder:
        key = first_key(stack)
        seed(stack.url, key, stack.sandboxes, EXAMPLES)
        starts = _Starts(stack.deployment.functions, aws, Path(folder))
        warm = stack.runner.invoke

        def invoke(name: str, event: Any) -> Any:
            return (starts.invoke if name in ROAD else warm)(name, event)

        with patch.object(stack.runner, "invoke", invoke):
            for number in range(rounds + 1):
                starts.baseline()
                _send_code(stack, key, number)
        # The first round may compile what it imports.
        return {name: found[1:] for name, found in starts.ms.items()}


def _send_code(stack: LocalStack, key: str, number: int) -> None:
    body = {"template": "login-code-cn", "to": f"139{number:08}", "variables": {"code": "123456"}}
    answer = httpx.post(f"{stack.url}/v1/messages", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    answer.raise_for_status()
    before = len(stack.outbox.all())
    stack.drain()
    if len(stack.outbox.all()) != before + 1:
        raise RuntimeError("the code did not arrive")


def run() -> list[Figure]:
    """cold_code_vs_boto3: the sum of the least times, against as many times the baseline's.

    What else runs on the machine makes a start take more, never less, so the least of the rounds says most.
    """
    found = {name: min(each) for name, each in measure().items()}
    ours = [Figure(f"cold_{name}", found[name], "CPU ms", "boto3 and a client", found["boto3"]) for name in ROAD]
    total = sum(found[name] for name in ROAD)
    baseline = len(ROAD) * found["boto3"]
    return [*ours, Figure("cold_code_vs_boto3", total, "CPU ms", f"{len(ROAD)} x boto3 and a client", baseline, 1.3)]
