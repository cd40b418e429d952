"""Runs a function's handler once, as Lambda does in a fresh process: `python -P bench/invoked.py HANDLER EVENT ANSWER`.

EVENT and ANSWER are files of JSON. Nothing of the project is imported but what the handler imports.
"""

import json
import os
import sys
import time
from importlib import import_module

SECONDS = 60


class Context:
    """What Lambda tells a handler about its invocation."""

    function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    function_version = "1"
    invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
    memory_limit_in_mb = 1024
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    log_group_name = log_stream_name = "bench"

    def __init__(self) -> None:
        self._end = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds that are left."""
        return int((self._end - time.monotonic()) * 1000)


def main() -> None:
    handler, event, answer = sys.argv[1:]
    module, _, name = handler.rpartition(".")
    function = getattr(import_module(module), name)
    with open(event, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes time to import, which is measured here
        asked = json.load(file)
    found = function(asked, Context())
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
        json.dump(found, file)


main()
# Lambda does not end processes after an answer: what an orderly end takes is no part of a start.
sys.stdout.flush()
os._exit(0)
