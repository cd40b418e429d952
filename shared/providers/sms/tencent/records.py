"""What Tencent Cloud's records say of a message whose outcome is unknown.

A record names number, time and result, but neither our id nor the template, and shows the text with stars in it
(Tencent Cloud docs: api/382/137245). So it is known by its number and the seconds of the try, if it is the only one in
them. Reports of delivery name our id, for accounts for which the vendor's support has switched that on (api/382/55976).
"""

from typing import Any

from shared.model.outcome import AccountDown, Outcome, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing
from shared.providers.sms.tencent.codes import outcome_of

OLDEST_MS = 72 * 3_600_000
"""How far back the vendor shows records."""
CLOCKS_MS = 1_000
"""How far the vendor's clock, which shows whole seconds, may be from ours."""
SURE_MS = 30_000
"""A try that is known to a longer time than this is not told from others by its time."""
LISTED_MS = 30 * 60_000
"""The vendor promises no time after which a record shows; by then its absence means that there is none."""
MOST_RECORDS = 50
MOST_REPORTS = 100

Json = dict[str, Any]


def records_query(app: str, to: str, began: int) -> Json:
    """The parameters of DescribeSendRecordList for a number since a try began; its end is the vendor's now."""
    begin = (began - CLOCKS_MS) // 1000
    return {"SmsSdkAppId": app, "PhoneNumber": to, "BeginTime": begin, "Limit": MOST_RECORDS, "Offset": 0}


def reports_query(app: str, to: str, began: int) -> Json:
    """The parameters of PullSmsSendStatusByPhoneNumber for a number since a try began."""
    return {**records_query(app, to, began), "Limit": MOST_REPORTS}


def by_records(answer: Json, began: int, ended: int, now: int) -> Outcome:
    """What the records of a number mean for the one try that was made from `began` to `ended`."""
    rows, total = answer.get("SendRecordSet"), answer.get("TotalCount")
    if not isinstance(rows, list) or not isinstance(total, int) or not all(_readable(row) for row in rows):
        return Unknown(Reason.UNRECOGNISED_ANSWER, "no_records")
    if total == 0 and not rows:
        return Unknown(Reason.UNRESOLVED, "not_listed") if now - ended < LISTED_MS else Retry(Reason.NOT_TAKEN, "")
    first, last = (began - CLOCKS_MS) // 1000, (ended + CLOCKS_MS) // 1000
    ours = [row for row in rows if first <= row["SendTime"] <= last]
    # Newest first: where some are cut off, the oldest are, which may be of the try.
    if len(ours) != 1 or total > len(rows) or ended - began > SURE_MS:
        return Unknown(Reason.UNRESOLVED, "ambiguous")
    return _result(ours[0])


def by_reports(answer: Json, message: Outgoing) -> Sent | None:
    """The report that names our id, if there is one: of whichever try, it went out."""
    rows = answer.get("PullSmsSendStatusSet")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("SessionContext") == message.message_id:
            return Sent(str(row.get("SerialNo") or ""))
    return None


def _readable(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("SendTime"), int)
        and isinstance(row.get("RequestCode"), str)
        and row["RequestCode"] != ""
    )


def _result(row: Json) -> Outcome:
    code = row["RequestCode"]
    if code.lower() == "ok":
        return Sent(str(row.get("SerialNo") or ""))
    outcome = outcome_of(code)
    # What was wrong with the account then need not be wrong now; this message was not sent.
    return Retry(outcome.reason, code) if isinstance(outcome, AccountDown) else outcome
