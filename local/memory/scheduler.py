"""EventBridge Scheduler without the way through HTTP: moto's own store, which the local scheduler watches."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime
from moto.core.exceptions import JsonRESTError
from moto.core.utils import camelcase_to_underscores
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends

from local.deployment import ACCOUNT, REGION
from local.memory.errors import AwsError
from local.memory.operations import Operations, operation

MAX_INPUT_BYTES = 256 * 1024
"""Of what a schedule gives to its target (EventBridge Scheduler API reference, Target)."""
MAX_RESULTS = 100
"""Schedules per page (EventBridge Scheduler API reference, ListSchedules)."""
_FIELDS = (
    *("Description", "EndDate", "FlexibleTimeWindow", "GroupName", "KmsKeyArn", "Name", "ScheduleExpression"),
    *("ScheduleExpressionTimezone", "StartDate", "State", "Target", "ActionAfterCompletion"),
)
_TIMES = frozenset({"CreationDate", "EndDate", "LastModificationDate", "StartDate"})


class Scheduler(Operations):
    """Schedules; thread-safe. What is not known here moto answers, from the same store."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tokens: dict[str, str] = {}

    def handles(self, operation_name: str) -> bool:
        """See `Operations`; nothing is held here, so all else may go on."""
        return operation_name in self._handlers

    @property
    def _backend(self) -> EventBridgeSchedulerBackend:
        return scheduler_backends[ACCOUNT][REGION]

    @operation(*_FIELDS, "ClientToken")
    def _create_schedule(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {camelcase_to_underscores(name): asked.get(name) for name in _FIELDS}
        for name in ("start_date", "end_date"):
            given[name] = parse_to_aware_datetime(given[name]).timestamp() if given[name] else None
        given["target"] = dict(given["target"])
        if len(given["target"].get("Input", "").encode()) > MAX_INPUT_BYTES:
            message = f"Target.Input must be at most {MAX_INPUT_BYTES} bytes"
            raise AwsError("ValidationException", message, {"Message": message})
        token = asked.get("ClientToken")
        with self._lock:
            group = self._backend.schedule_groups.get(asked.get("GroupName") or "default")
            there = group.schedules.get(asked["Name"]) if group else None
            # A repeated request is answered as the first one was; moto takes it for another.
            if there is None or not token or self._tokens.get(there.arn) != token:
                there = _refused(lambda: self._backend.create_schedule(**given))
                self._tokens[there.arn] = token or ""
            return {"ScheduleArn": there.arn}

    @operation("GroupName", "Name")
    def _get_schedule(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            found = _refused(lambda: self._backend.get_schedule(asked.get("GroupName"), asked["Name"]))
            shown = {name: value for name, value in found.to_dict().items() if value is not None}
        return {name: datetime.fromtimestamp(value, UTC) if name in _TIMES else value for name, value in shown.items()}

    @operation("GroupName", "Name", "ClientToken")
    def _delete_schedule(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            _refused(lambda: self._backend.delete_schedule(asked.get("GroupName"), asked["Name"]))
        return {}

    @operation("GroupName", "NamePrefix", "MaxResults", "NextToken")
    def _list_schedules(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            groups = self._backend.schedule_groups
            wanted = [groups[asked["GroupName"]]] if asked.get("GroupName") in groups else []
            if "GroupName" not in asked:
                wanted = list(groups.values())
            prefix = asked.get("NamePrefix", "")
            found = [s for group in wanted for s in list(group.schedules.values()) if s.name.startswith(prefix)]
        found.sort(key=_place)
        start = bisect_right(found, asked.get("NextToken", ""), key=_place)
        page = found[start : start + asked.get("MaxResults", MAX_RESULTS)]
        answer: dict[str, Any] = {"Schedules": [_summary(schedule) for schedule in page]}
        if start + len(page) < len(found):
            answer["NextToken"] = _place(page[-1])
        return answer


def _place(schedule: Schedule) -> str:
    return f"{schedule.group_name}/{schedule.name}"


def _summary(schedule: Schedule) -> dict[str, Any]:
    shown = schedule.to_dict(short=True)
    names = ("Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate", "Target")
    return {name: shown[name] for name in names}


def _refused(call: Callable[[], Any]) -> Any:
    """What moto answers, its refusals as ours."""
    try:
        return call()
    except JsonRESTError as error:
        raise AwsError(error.error_type, error.message, {"Message": error.message}) from None
