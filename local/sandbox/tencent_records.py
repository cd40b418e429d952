"""What the Tencent Cloud sandbox remembers of each number, and what it tells of it afterwards.

Shapes and limits: Tencent Cloud docs, api/382/137245 (DescribeSendRecordList) and api/382/55976
(PullSmsSendStatusByPhoneNumber).
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.model.clock import Clock

Params = dict[str, Any]
Json = dict[str, Any]

RECORDS_SECONDS = 72 * 3600
PULL_SECONDS = 7 * 24 * 3600
_MOST_RECORDS = 1000


class BadQueryError(Exception):
    """A query that the vendor refuses; `code` is its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Record:
    """One number of one call. code: `Ok`, or why it was not taken (then there is no serial)."""

    ms: int
    serial: str
    code: str
    context: str
    content: str


class Records:
    """Records by number, for ever; about 350 bytes for a number with one record.

    undeliverable: numbers for which the carrier reports a failure. carrier_seconds: how long the carrier takes to
    report. tells_context: whether reports name the SessionContext, which the vendor's support must switch on.
    """

    def __init__(self, clock: Clock) -> None:
        self.undeliverable: set[str] = set()
        self.carrier_seconds = 0
        self.tells_context = False
        self._clock = clock
        self._lock = threading.Lock()
        # A line of JSON costs a fraction of what an object does.
        self._lines: dict[str, bytearray] = {}

    def add(self, number: str, record: Record) -> None:
        """Remember."""
        line = json.dumps([record.ms, record.serial, record.code, record.context, record.content], ensure_ascii=False)
        with self._lock:
            self._lines.setdefault(number, bytearray()).extend(line.encode() + b"\n")

    def of(self, number: str) -> list[Record]:
        """All of a number, oldest first."""
        with self._lock:
            lines = bytes(self._lines.get(number, b""))
        return [Record(*json.loads(line)) for line in lines.splitlines()]

    def described(self, params: Params) -> Json:
        """The answer of DescribeSendRecordList: newest first, whatever became of it. Raises: BadQueryError."""
        limit, offset = whole(params, "Limit", 20, 1, 50), whole(params, "Offset", 0, 0, _MOST_RECORDS)
        found = [self._row(number, r) for number, r in self._within(params, RECORDS_SECONDS)][::-1][:_MOST_RECORDS]
        return {"SendRecordSet": found[offset : offset + limit], "TotalCount": len(found)}

    def pulled(self, params: Params) -> Json:
        """The answer of PullSmsSendStatusByPhoneNumber: what the carrier has reported. Raises: BadQueryError."""
        limit = whole(params, "Limit", None, 1, 100)
        whole(params, "Offset", None, 0, 0)
        found = self._within(params, PULL_SECONDS)
        rows = [self._report(number, r) for number, r in found if r.code == "Ok" and self._reported(r)]
        return {"PullSmsSendStatusSet": rows[:limit]}

    def _within(self, params: Params, seconds_back: int) -> Iterator[tuple[str, Record]]:
        now = self._clock.now_ms() // 1000
        begin = _time(params, "BeginTime", None)
        end = _time(params, "EndTime", now)
        if begin < now - seconds_back:
            raise BadQueryError("InvalidParameterValue.BeginTimeVerifyFail")
        if end < begin:
            raise BadQueryError("InvalidParameterValue.EndTimeVerifyFail")
        number = params.get("PhoneNumber")
        if not isinstance(number, str) or not number.startswith("+"):
            raise BadQueryError("InvalidParameterValue.IncorrectPhoneNumber")
        return ((number, record) for record in self.of(number) if begin <= record.ms // 1000 <= end)

    def _reported(self, record: Record) -> bool:
        return self._clock.now_ms() >= record.ms + self.carrier_seconds * 1000

    def _row(self, number: str, record: Record) -> Json:
        taken, reported = record.code == "Ok", self._reported(record)
        delivered = number not in self.undeliverable
        status = 1 if not taken else 3 if not reported else 2 if delivered else 4
        return {
            "PhoneNumber": number,
            "SerialNo": record.serial,
            "SendStatus": status,
            "RequestCode": record.code,
            "StatusCode": {2: "DELIVRD", 4: "UNDELIV"}.get(status, ""),
            "SendTime": record.ms // 1000,
            "UserReceiveTime": record.ms // 1000 + self.carrier_seconds if status == 2 else 0,
            "Content": record.content,
            "IsoCode": "CN" if number.startswith("+86") else "DEF",
        }

    def _report(self, number: str, record: Record) -> Json:
        delivered = number not in self.undeliverable
        mainland = number.startswith("+86")
        return {
            "UserReceiveTime": record.ms // 1000 + self.carrier_seconds,
            "CountryCode": "86" if mainland else "",
            "SubscriberNumber": number.removeprefix("+86" if mainland else "+"),
            "PhoneNumber": number,
            "SerialNo": record.serial,
            "ReportStatus": "SUCCESS" if delivered else "FAIL",
            "Description": "DELIVRD" if delivered else "UNDELIV",
            "SessionContext": record.context if self.tells_context else "",
        }


def masked(values: Sequence[Any]) -> list[str]:
    """Parameters as the vendor shows them afterwards: the first and the last sign, and stars between."""
    texts = [str(value) for value in values]
    return [f"{text[:1]}****{text[-1:]}" if len(text) > 2 else "*" * len(text) for text in texts]


def whole(params: Params, name: str, default: int | None, least: int, most: int) -> int:
    """A whole number of a query. Raises: BadQueryError."""
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadQueryError(f"InvalidParameterValue.{name}VerifyFail")
    return value


def _time(params: Params, name: str, default: int | None) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 10**9 <= value < 10**10:
        raise BadQueryError(f"InvalidParameterValue.{name}VerifyFail")
    return value
