"""What a stage costs in 30 days without a message, counted in its templates: `python -m bench.standing STAGE...`."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.bill import Line, price
from infra.cdk_app import synth
from infra.stage import stage_named

HOURS = 30 * 24
SECONDS = HOURS * 3600
POLLERS = 5
"""How many of them Lambda has look into a queue whose most invocations are set (Lambda developer guide, "Scaling")."""
LOOK_S = 20
"""How long one look waits in an empty queue."""
RUN_S = 1.0
"""How long a regular run of a function takes; an assumption, for a watch that finds nothing."""


def lines(resources: list[Mapping[str, Any]]) -> Iterator[Line]:
    """The lines of a bill for resources of CloudFormation, by price; those that cost nothing idle have none."""

    def of(type: str) -> list[Mapping[str, Any]]:
        return [each["Properties"] for each in resources if each["Type"] == f"AWS::{type}"]

    alarms = sum(_metrics(each) for each in of("CloudWatch::Alarm"))
    yield _line("metrics that alarms look at", alarms, "cloudwatch_alarm_month")
    yield _line("hours of the event stream", len(of("Kinesis::Stream")) * HOURS, "kinesis_ondemand_stream_hour")
    queues = [each for each in of("Lambda::EventSourceMapping") if "ScalingConfig" in each]
    looks = len(queues) * POLLERS * SECONDS / LOOK_S
    yield _line(f"looks into {len(queues)} empty queues", looks, "sqs_standard_request")
    versions = [each for each in of("Lambda::Function") if "SnapStart" in each]
    kept = sum(each["MemorySize"] for each in versions) / 1024 * SECONDS
    yield _line(f"GB-s of {len(versions)} snapshots", kept, "lambda_snapstart_cache_gb_second")
    runs = sum(HOURS * 60 / _minutes(each) for each in of("Scheduler::Schedule"))
    yield _line("regular runs: schedules", runs, "scheduler_invocation")
    yield _line("regular runs: GB-s", runs * RUN_S, "lambda_gb_second_arm64")
    yield _line("keys", len(of("KMS::Key")), "kms_key_month")
    yield _line("hours of NAT gateways", len(of("EC2::NatGateway")) * HOURS, "nat_gateway_hour")


def _line(name: str, quantity: float, priced: str) -> Line:
    return Line(name, quantity, priced, quantity * price(priced))


def _metrics(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1


def _minutes(schedule: Mapping[str, Any]) -> int:
    """Of a schedule such as `rate(5 minutes)`."""
    return int(schedule["ScheduleExpression"].removeprefix("rate(").split()[0])


def resources_of(stage: str) -> list[Mapping[str, Any]]:
    """The resources of all stacks of a stage. Raises: infra.stage.StageError for an unknown one."""
    with tempfile.TemporaryDirectory() as folder:
        synth(Path(folder), stub_assets=True, stage=stage_named(stage))
        templates = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.template.json"))]
    return [each for template in templates for each in template["Resources"].values()]


def main() -> None:
    """Print a bill for each stage that is named."""
    for stage in sys.argv[1:]:
        bill = [line for line in lines(resources_of(stage)) if line.quantity]
        print(f"| {stage} | quantity | US dollars |\n|---|---|---|")
        for line in bill:
            print(f"| {line.name} | {line.quantity:,.0f} | {line.usd:.2f} |")
        print(f"| **all** | | **{sum(line.usd for line in bill):.2f}** |\n")


if __name__ == "__main__":
    main()
