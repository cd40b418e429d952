"""Answers the callbacks of a WeCom app: the question whether the URL is ours, and events.

After WeCom docs, path 90238 (receiving messages and events) and 90240 (events). WeCom asks up to three times more if it
has no answer 200 within five seconds. Those tries come within seconds, and what comes an hour late is somebody else's.
"""

from collections.abc import Mapping
from typing import Any

from shared.model.clock import SystemClock
from shared.providers.callbacks import Answered, Asked, CallbackForgedError, CallbackRefusedError
from shared.providers.wecom.app.crypto import check_signature, decrypt
from shared.providers.wecom.app.events import EVENTS, Event, as_json
from shared.providers.wecom.app.xml import read_xml

FRESH_MS = 3_600_000
"""How far the time that is signed may be from now, either way."""
PLAIN = "text/plain"


def answer(asked: Asked, secret: Mapping[str, str], settings: Mapping[str, Any]) -> Answered:
    """What an event says, and what to answer: the decrypted text to a question. Raises: CallbackRefusedError."""
    if asked.method == "GET":
        # Where a plus sign was not encoded it has become a blank on the way, of which base64 has none.
        encrypted = asked.query.get("echostr", "").replace(" ", "+")
        return Answered(_text(_opened(asked, encrypted, secret, settings)), content_type=PLAIN)
    message = read_xml(_opened(asked, read_xml(asked.body).get("Encrypt", ""), secret, settings))
    event = _event(message, settings)
    return Answered("", content_type=PLAIN, arrived=() if event is None else (as_json(event),))


def _opened(asked: Asked, encrypted: str, secret: Mapping[str, str], settings: Mapping[str, Any]) -> bytes:
    """What is encrypted, if it is WeCom that calls, for this app's corporation, and now."""
    token, aes_key = secret.get("callback_token"), secret.get("callback_aes_key")
    if not token or not aes_key:
        raise CallbackRefusedError("the account has no callback_token and callback_aes_key")
    query = asked.query
    timestamp, nonce, signature = (query.get(name, "") for name in ("timestamp", "nonce", "msg_signature"))
    check_signature(token, timestamp, nonce, encrypted, signature)
    # It is signed, so this is what WeCom wrote.
    if abs(SystemClock().now_ms() - (_ms(timestamp) or 0)) > FRESH_MS:
        raise CallbackForgedError("it was signed more than an hour ago, or is yet to be")
    return decrypt(aes_key, encrypted, str(settings.get("corp_id", "")))


def _ms(seconds: str) -> int | None:
    """Seconds since the epoch in milliseconds; None for what is no number of them."""
    return int(seconds) * 1000 if seconds.isascii() and seconds.isdecimal() and len(seconds) <= 12 else None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CallbackRefusedError("what is encrypted is no text") from None


def _event(message: Mapping[str, str], settings: Mapping[str, Any]) -> Event | None:
    """The event, with what we use of it; None for what members write, and for what says nothing to us."""
    if message.get("MsgType") != "event" or message.get("Event", "").lower() not in EVENTS:
        return None
    # Apps of one corporation may share a token and a URL.
    if message.get("AgentID", str(settings.get("agent_id"))) != str(settings.get("agent_id")):
        return None
    at = _ms(message.get("CreateTime", ""))
    if at is None:
        raise CallbackRefusedError("the event has no time")
    return Event(
        event=message["Event"].lower(),
        at=at,
        member=message.get("FromUserName", ""),
        task_id=message.get("TaskId", ""),
        key=message.get("EventKey", ""),
        response_code=message.get("ResponseCode", ""),
    )
