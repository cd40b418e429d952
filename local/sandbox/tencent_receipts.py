"""What becomes of the texts that the Tencent Cloud sandbox took, by their numbers, as the vendor calls back to say it.

Shapes: Tencent Cloud docs, product/382/59178 (reports) and product/382/5809 (answers). Numbers that begin with
`+86199000` play what is hard to come by otherwise; every other text is delivered.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.sandbox.tencent_records import whole
from shared.model.clock import Clock

PLAYERS = "+86199000"
"""What the numbers begin with that play a part; the last four digits say which."""
AT_ONCE = 100
"""Reports in one callback, at the most."""
SHANGHAI = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Report:
    """A report. after_s: how long after the text was taken it comes. times: how often, a second apart.

    forged: that it comes from somebody who does not know the callback URL.
    """

    status: str = "SUCCESS"
    code: str = "DELIVRD"
    after_s: int = 2
    times: int = 1
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the recipient's."""

    text: str
    after_s: int = 60


Told = Report | Reply


def _failed(code: str, **more: Any) -> tuple[Told, ...]:
    return (Report("FAIL", code, **more),)


SCRIPTS: Mapping[str, Sequence[Told]] = {
    "0001": _failed("MK:0001"),  # no such number
    "0005": _failed("MK:0005"),  # stopped
    "0010": _failed("UNDELIV"),  # off
    "0076": _failed("KEYWORD"),  # the content
    "0144": _failed("DB:0144"),  # on the carrier's black list
    "0145": _failed("MBBLACK"),  # unsubscribed at the carrier
    "1041": _failed("BEYONDD"),  # too many on a day
    "9999": _failed("QQ:9999"),  # a code that nobody knows
    "1002": (Report(times=2),),
    "1003": _failed("UNDELIV", times=3),
    "1004": (Report(after_s=0),),  # before the answer of SendSms is recorded
    "1005": (Report("FAIL", "MK:0010"), Report(after_s=3)),  # a part of it came, and another did not
    "1006": (Report("FAIL", "DB:0144", forged=True),),
    "1007": (Report("WAITING", "QUEUED"), Report(after_s=5)),  # a status that is documented nowhere
    "1008": (Report(), Report("WAITING", "QUEUED", after_s=5)),  # what was said earlier, later
    "2001": (Report(), Reply("R")),
    "2002": (Report(), Reply(" ｔｄ ")),
    "2003": (Report(), Reply("谢谢，收到")),
    "0000": (),
}
"""What is told of a text, by the last four digits of a number that begins with `PLAYERS`."""


def told_of(number: str) -> Sequence[Told]:
    """What becomes of a text to a number."""
    return SCRIPTS.get(number[-4:], (Report(),)) if number.startswith(PLAYERS) else (Report(),)


def report_entry(report: Report, number: str, serial: str, context: str | None, at_ms: int) -> dict[str, Any]:
    """A report as it is called back. context: None where support has not switched on that it is told."""
    country, mobile = ("86", number[3:]) if number.startswith("+86") else ("", number.lstrip("+"))
    when = datetime.fromtimestamp(at_ms / 1000, UTC) + SHANGHAI
    return {
        "user_receive_time": f"{when:%Y-%m-%d %H:%M:%S}",
        "nationcode": country,
        "mobile": mobile if country else f"+{mobile}",
        "report_status": report.status,
        "errmsg": report.code,
        "description": "用户短信送达成功" if report.status == "SUCCESS" else "用户短信接收失败",
        "sid": serial,
        **({} if context is None else {"ext": context}),
    }


def reply_body(reply: Reply, number: str, sign: str, at_ms: int) -> dict[str, Any]:
    """An answer as it is called back: one object, that names no text."""
    return {
        "extend": "",
        "mobile": number.removeprefix("+86"),
        "nationcode": "86",
        "sign": sign,
        "text": reply.text,
        "time": at_ms // 1000,
    }


class Untold:
    """Reports and answers for whoever asks: each is told once, when it is due (api/382/55977, api/382/52077)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reports: list[tuple[int, dict[str, Any]]] = []
        self._replies: list[tuple[int, dict[str, Any]]] = []

    def add(self, taken: Sequence[tuple[str, str]], sign: str, context: str) -> None:
        """Have it told what becomes of texts. taken: their numbers and serials."""
        now = self._clock.now_ms()
        with self._lock:
            for number, serial in taken:
                for told in told_of(number):
                    at_ms = now + told.after_s * 1000
                    if isinstance(told, Reply):
                        self._replies.append((at_ms, _reply_row(told, number, sign, at_ms)))
                    elif not told.forged:
                        self._reports.append((at_ms, _report_row(told, number, serial, context, at_ms)))

    def reports(self, params: dict[str, Any]) -> dict[str, Any]:
        """The answer of PullSmsSendStatus. Raises: BadQueryError."""
        return {"PullSmsSendStatusSet": self._due(self._reports, whole(params, "Limit", None, 1, AT_ONCE))}

    def replies(self, params: dict[str, Any]) -> dict[str, Any]:
        """The answer of PullSmsReplyStatus. Raises: BadQueryError."""
        return {"PullSmsReplyStatusSet": self._due(self._replies, whole(params, "Limit", None, 1, AT_ONCE))}

    def _due(self, rows: list[tuple[int, dict[str, Any]]], limit: int) -> list[dict[str, Any]]:
        now = self._clock.now_ms()
        with self._lock:
            due = [each for each in rows if each[0] <= now][:limit]
            for each in due:
                rows.remove(each)
        return [row for _, row in due]


def _report_row(report: Report, number: str, serial: str, context: str, at_ms: int) -> dict[str, Any]:
    return {
        "UserReceiveTime": at_ms // 1000,
        "CountryCode": "86",
        "SubscriberNumber": number.removeprefix("+86"),
        "PhoneNumber": number,
        "SerialNo": serial,
        "ReportStatus": report.status,
        "Description": report.code,
        "SessionContext": context,
    }


def _reply_row(reply: Reply, number: str, sign: str, at_ms: int) -> dict[str, Any]:
    return {
        "ExtendCode": "",
        "CountryCode": "86",
        "SubscriberNumber": number.removeprefix("+86"),
        "PhoneNumber": number,
        "SignName": sign,
        "ReplyContent": reply.text,
        "ReplyTime": at_ms // 1000,
    }
