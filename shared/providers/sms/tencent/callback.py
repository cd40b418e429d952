"""Answers Tencent Cloud's callbacks: reports of delivery, and answers of recipients (product/382/59178, 382/5809).

It signs nothing, so the URL alone tells who calls. A report that is not answered as it wants to hear is sent twice
more, and is lost then.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.model.wire import Reader, UnreadableError
from shared.providers.callbacks import Answered, Asked, CallbackRefusedError
from shared.providers.sms.tencent.receipts import is_report, stop_of, wants_no_more

TAKEN = '{"result":0,"errmsg":"OK"}'
ENTRIES = 100
"""Reports that go on the queue together, as many as the vendor sends at a time."""

_read = Reader[Any](Any)
_write = msgspec.json.Encoder().encode


def answer(asked: Asked, secret: Mapping[str, str], settings: Mapping[str, Any]) -> Answered:
    """What a callback says. Raises: CallbackRefusedError."""
    if asked.method != "POST":
        raise CallbackRefusedError("callbacks are posted")
    try:
        said = _read(asked.body)
    except UnreadableError:
        raise CallbackRefusedError("no JSON") from None
    if isinstance(said, list):
        return Answered(TAKEN, arrived=tuple(_pieces(said)))
    if isinstance(said, dict) and "mobile" in said:
        # What people write is theirs: only that they want no more of it goes on.
        return Answered(TAKEN, arrived=(stop_of(said),) if wants_no_more(said.get("text")) else ())
    raise CallbackRefusedError("neither reports nor an answer")


def _pieces(entries: list[Any]) -> Iterator[str]:
    """The reports by some at a time, and what cannot be read by itself, so that it keeps none of them back."""
    good = [entry for entry in entries if is_report(entry)]
    for start in range(0, len(good), ENTRIES):
        yield _write(good[start : start + ENTRIES]).decode()
    if len(good) < len(entries):
        yield _write([entry for entry in entries if not is_report(entry)]).decode()
