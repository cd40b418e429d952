"""Images and files given by their bytes: uploaded once per account, then named by their media id."""

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from shared.model.clock import Clock
from shared.model.content import RenderedWecom
from shared.model.outcome import Rejected, Retry
from shared.model.reasons import Reason
from shared.providers.base import Token, TokenCache
from shared.providers.wecom.codes import OK
from shared.providers.wecom.limits import media_bytes
from shared.providers.wecom.wire import Answer, Failure, NotReadyError, not_ready

# Three days (WeCom docs, path 90253), less a margin for messages that wait between upload and delivery.
LIFETIME_MS = (3 * 24 - 1) * 3_600_000

Upload = Callable[[str, str, bytes], Answer | Failure]
"""Upload a kind (`image`, `file`), a file name and its bytes."""


class MediaIds:
    """The media ids of one account, kept with the shared tokens: they too are fetched once and end by themselves."""

    def __init__(self, tokens: TokenCache, clock: Clock, account: str) -> None:
        self._tokens = tokens
        self._clock = clock
        self._account = account

    def of(self, content: RenderedWecom, upload: Upload, rejected: str | None = None) -> str:
        """Return the id under which WeCom holds the content's bytes. rejected: an id it no longer knows.

        Raises: NotReadyError when they cannot be uploaded.
        """
        data = _data(content)
        name = _file_name(content, data)
        digest = hashlib.sha256(name.encode("utf-8", "replace") + b"\0" + data).hexdigest()
        key = f"{self._account}:media:{content.type}:{digest}"
        return self._tokens.get(key, lambda: self._fetch(upload, content.type, name, data), rejected)

    def _fetch(self, upload: Upload, kind: str, name: str, data: bytes) -> Token:
        started = self._clock.now_ms()
        answer = upload(kind, name, data)
        if isinstance(answer, Failure) or answer.code != OK:
            raise not_ready(answer)
        media_id = answer.data.get("media_id")
        if not isinstance(media_id, str) or not media_id:
            raise NotReadyError(Retry(Reason.UNRECOGNISED_ANSWER, "no_media_id"))
        return Token(media_id, started + LIFETIME_MS)


def has_own_media(content: RenderedWecom) -> bool:
    """Whether the content brings its bytes along."""
    return content.type in {"image", "file"} and content.body.get("data") is not None


def _data(content: RenderedWecom) -> bytes:
    try:
        return media_bytes(content.body) or b""
    except ValueError:
        problem = Rejected(Reason.CONTENT_INVALID, "data_is_not_base64")
    raise NotReadyError(problem)


def _file_name(content: RenderedWecom, data: bytes) -> str:
    name: Any = content.body.get("filename") or "file"
    if content.type == "image" and PurePosixPath(name).suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        return f"{name}.png" if data.startswith(b"\x89PNG") else f"{name}.jpg"
    return str(name)
