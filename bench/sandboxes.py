"""A vendor's sandbox in a process of its own, for benchmarks.

`python -m bench.sandboxes tencent` (or `aws`, `wecom`) prints its port and ends when its standard input does.
"""

import argparse
import sys
from collections.abc import Callable

from local.sandbox.aws_sms import AwsSmsSandbox
from local.sandbox.base import HttpSandbox
from local.sandbox.tencent import TencentSandbox
from local.sandbox.wecom import WecomSandbox

KEYS = {"AKIDbench": "bench-secret-key"}
MADE: dict[str, Callable[[], HttpSandbox]] = {
    "tencent": lambda: TencentSandbox(keys=KEYS),
    "aws": AwsSmsSandbox,
    "wecom": WecomSandbox,
}


def main() -> None:
    """Run one."""
    parser = argparse.ArgumentParser(description="A vendor's sandbox on loopback, for benchmarks.")
    parser.add_argument("vendor", choices=MADE)
    with MADE[parser.parse_args().vendor]() as sandbox:
        print(sandbox.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
