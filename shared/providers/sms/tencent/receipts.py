"""Reads what Tencent Cloud says of texts: reports of delivery, and answers of recipients; called back or asked for.

Reports: Tencent Cloud docs, product/382/59178 (callback, a JSON array) and api/382/55977 (`PullSmsSendStatus`).
Answers: product/382/5809 (callback, one JSON object) and api/382/52077 (`PullSmsReplyStatus`). An answer names no text,
so the last one to the number is meant.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from shared.model.ids import is_message_id
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import Reader, UnreadableError
from shared.model.words import Stage
from shared.providers.sms.tencent.receipt_codes import failed

PROVIDER = "tencent"
REPORTS, REPLIES = "PullSmsSendStatusSet", "PullSmsReplyStatusSet"
"""What holds the rows that were asked for."""

SHANGHAI: Final = timezone(timedelta(hours=8))
"""The times of called back reports name no zone. They are taken for those of China, which has one, and no summer time;
the documents do not say so."""
STOP: Final = frozenset({"R", "TD", "T", "N", "退订", "拒收", "STOP"})
"""What recipients answer who want no more. Texts of marketing must end with 拒收请回复R (product/382/100568); older
ones say TD, T or N."""
_AROUND = " \t\r\n.,;:!?\"'。，；：！？、【】[]()“”‘’"
CODE_SIGNS = 40
EARLIEST_S, LATEST_S = 1_000_000_000, 9_999_999_999
"""Seconds since the epoch that are no mistake."""

Json = Mapping[str, Any]

_read = Reader[Any](Any)
_write = msgspec.json.Encoder().encode


def read(arrived: Arrived) -> list[Receipt]:
    """What reports and answers say of texts; nothing of answers that do not ask for an end. Raises: UnreadableError."""
    found = _read(arrived.body)
    if isinstance(found, list):
        return [_report(each, arrived) for each in found]
    if not isinstance(found, dict):
        raise UnreadableError("")
    if REPORTS in found:
        return [_report(_as_called_back(each), arrived) for each in _listed(found, REPORTS)]
    rows = [_answer_as_called_back(each) for each in _listed(found, REPLIES)] if REPLIES in found else [found]
    return [_stop(each, arrived) for each in rows if wants_no_more(each.get("text"))]


def is_report(entry: object) -> bool:
    """Whether an entry says of which text it is."""
    if not isinstance(entry, dict):
        return False
    return bool(_text(entry, "report_status") and _text(entry, "mobile") and (_text(entry, "sid") or _ours(entry)))


def wants_no_more(text: object) -> bool:
    """Whether a recipient answered that they want no more texts: one of the words in `STOP`, however it is written."""
    if not isinstance(text, str):
        return False
    # Full-width letters are written by the same keyboards as Chinese.
    return unicodedata.normalize("NFKC", text).strip(_AROUND).upper() in STOP


def stop_of(answer: Json) -> str:
    """What is kept of an answer that asks for an end: who gave it, when, and the word."""
    kept = {name: answer[name] for name in ("mobile", "nationcode", "sign", "time") if name in answer}
    return _write({**kept, "text": "R"}).decode()


def reports_of(rows: list[Any]) -> list[str]:
    """Rows of `PullSmsSendStatus` for the queue; those that cannot be read by themselves, as in callbacks."""
    good = [row for row in rows if isinstance(row, dict) and is_report(_as_called_back(row))]
    bad = [row for row in rows if not (isinstance(row, dict) and is_report(_as_called_back(row)))]
    return [_write({REPORTS: some}).decode() for some in (good, bad) if some]


def stops_of(rows: list[Any]) -> list[str]:
    """Of rows of `PullSmsReplyStatus`, for the queue, those who want no more."""
    called_back = [_answer_as_called_back(row) for row in rows if isinstance(row, dict)]
    return [stop_of(each) for each in called_back if wants_no_more(each["text"])]


def _report(entry: Any, arrived: Arrived) -> Receipt:
    if not is_report(entry):
        raise UnreadableError("report_status")
    address, code = _address(entry), _text(entry, "errmsg")
    facts: dict[str, Any] = {
        "provider": PROVIDER,
        "tenant": arrived.tenant,
        "account": arrived.account,
        "message_id": _ours(entry),
        "provider_id": _text(entry, "sid") or None,
        "address": address,
        "at": _ms(entry.get("user_receive_time"), arrived.at),
    }
    status = _text(entry, "report_status").upper()
    if status == "SUCCESS":
        return Receipt(stage=Stage.DELIVERED, **facts)
    code = _kept(code, _text(entry, "mobile"))
    if status != "FAIL":
        # Not documented, so whatever it is, it is no end.
        return Receipt(stage=Stage.DELAYED, code=f"{_kept(status, '')} {code}".strip(), **facts)
    why = failed(code)
    return Receipt(
        stage=Stage.UNDELIVERED,
        reason=why.reason,
        transient=why.transient,
        suppresses=why.suppresses,
        code=code or None,
        **facts,
    )


def _stop(answer: Json, arrived: Arrived) -> Receipt:
    address = _address(answer)
    if not address:
        raise UnreadableError("mobile")
    return Receipt(
        provider=PROVIDER,
        stage=Stage.UNSUBSCRIBED,
        tenant=arrived.tenant,
        # One URL takes the answers to all applications of a customer of theirs, so any account may have sent the text.
        account=None,
        address=address,
        latest=True,
        at=_ms(answer.get("time"), arrived.at),
        suppresses=SuppressionReason.UNSUBSCRIBE,
    )


def _as_called_back(row: Any) -> Json:
    """A report that was asked for, by the names of the callback."""
    if not isinstance(row, dict):
        raise UnreadableError(REPORTS)
    return {
        "user_receive_time": row.get("UserReceiveTime"),
        "nationcode": row.get("CountryCode"),
        "mobile": row.get("PhoneNumber") or row.get("SubscriberNumber"),
        "report_status": row.get("ReportStatus"),
        "errmsg": row.get("Description"),
        "sid": row.get("SerialNo"),
        "ext": row.get("SessionContext"),
    }


def _answer_as_called_back(row: Any) -> Json:
    """An answer that was asked for, by the names of the callback."""
    if not isinstance(row, dict):
        raise UnreadableError(REPLIES)
    return {
        "nationcode": row.get("NationCode") or row.get("CountryCode"),
        "mobile": row.get("PhoneNumber") or row.get("SubscriberNumber"),
        "sign": row.get("Sign") or row.get("SignName"),
        "text": row.get("ReplyContent"),
        "time": row.get("ReplyUnixTime") or row.get("ReplyTime"),
    }


def _listed(found: Json, name: str) -> list[Any]:
    rows = found[name]
    if not isinstance(rows, list):
        raise UnreadableError(name)
    return rows


def _address(entry: Json) -> str:
    """The number, with the sign and the code of its country if they are known."""
    number, country = _text(entry, "mobile"), _text(entry, "nationcode").lstrip("+")
    return number if number.startswith("+") or not country else f"+{country}{number}"


def _ours(entry: Json) -> str | None:
    """Our id of the text, where support has switched on that reports tell it."""
    told = _text(entry, "ext")
    return told if is_message_id(told) else None


def _kept(code: str, number: str) -> str:
    """A code as it came; should it quote the number, without it."""
    return (code.replace(number, "") if number else code)[:CODE_SIGNS]


def _text(entry: Json, name: str) -> str:
    value = entry.get(name)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _moment(text: str) -> datetime:
    """Raises: ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)


def _ms(value: object, otherwise: int) -> int:
    """A time in milliseconds since the epoch: of seconds since then, or of a text such as `2025-01-15 18:00:00`.

    otherwise: where there is none, or it makes no sense.
    """
    text = str(value).strip()
    try:
        seconds = int(text) if text.isdecimal() else int(_moment(text).timestamp())
    except (ValueError, OverflowError):
        return otherwise
    # The end of that second: nothing is delivered before it is sent.
    return seconds * 1000 + 999 if EARLIEST_S <= seconds <= LATEST_S else otherwise
