"""Processor time and requests per email through Amazon SES: the dispatcher against a loop over boto3's `send_email`.

Both send to a bare SES in another process, whose time does not count.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

import boto3
from botocore.config import Config

from bench.email import MESSAGES, dispatch, parts_for, prebuilt, program, queued
from bench.figures import Figure, cpu_medians
from bench.sample import FROM, Memory, NoLedger, dispatcher, dynamodb_in_air
from shared.model.words import Channel
from shared.providers.base import MAX_CALLS

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def counted(url: str) -> dict[str, int]:
    """How many requests and messages the sink has had."""
    with urlopen(f"{url}/count") as answer:
        found: dict[str, int] = json.loads(answer.read())
    return found


def run() -> list[Figure]:
    """ses_cpu_vs_boto3 and ses_requests_per_1000; ses_alone_cpu, what a message costs that goes by its own call."""
    with (
        patch.dict(os.environ, KEYS),
        program("local.sandbox.ses_sink") as port,
        ThreadPoolExecutor(MAX_CALLS) as calls,
        ThreadPoolExecutor(10) as side,
    ):
        url = f"http://127.0.0.1:{port}"
        settings = {"region": REGION, "from_address": FROM, "endpoint": url}

        def sender(**more: Any) -> Any:
            memory = Memory(provider="ses", settings={**settings, **more})
            parts = parts_for(memory, calls, side)
            made = dispatcher(Channel.EMAIL, memory, dynamodb_in_air(), **parts, ledger=NoLedger())
            return lambda: dispatch(made, memory, batches)

        batches = queued(100)
        together, alone, mails = sender(), sender(bulk=False), prebuilt()
        client = boto3.session.Session().client(
            "sesv2", region_name=REGION, endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
        )

        def loop() -> int:
            for to, data in mails:
                client.send_email(Destination={"ToAddresses": [to]}, Content={"Raw": {"Data": data}})
            return MESSAGES

        before = counted(url)
        together()
        after = counted(url)
        if after["messages"] - before["messages"] != MESSAGES:
            raise RuntimeError("SES did not get every message once")
        ours, single, naive = cpu_medians([together, alone, loop])
    requests = (after["requests"] - before["requests"]) * 1000 / MESSAGES
    unit = "µs CPU per email"
    return [
        Figure("ses_cpu_vs_boto3", ours, unit, "boto3 send_email of prebuilt mails", naive, 1 / 8),
        Figure("ses_alone_cpu", single, unit, "boto3 send_email of prebuilt mails", naive),
        Figure("ses_requests_per_1000", requests, "requests to SES, the trial of the template with them", most=30),
    ]
