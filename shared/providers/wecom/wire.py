"""One call to WeCom's HTTP interface: sent at most once, bounded in time, its secrets kept to itself.

Access tokens, app secrets and robot keys travel in the query string, so nothing that this module returns or logs holds
an address, and none of httpx's exceptions leaves it.
"""

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from shared.model.outcome import AccountDown, Rejected, Retry, Unknown
from shared.model.reasons import Reason
from shared.net import http
from shared.net.hosts import Vendor, check_endpoint
from shared.net.network import ForbiddenAddressError, Network
from shared.net.problems import WORDS, code_of
from shared.providers.base import retry_after
from shared.providers.reaching import outcome_of_code
from shared.providers.wecom.codes import outcome_of

HOME = "https://qyapi.weixin.qq.com"
HOSTS = Vendor(re.compile(r"qyapi\.weixin\.qq\.com"), HOME)


def checked_endpoint(url: str | None) -> str | None:
    """Return an account's endpoint if it is WeCom's or loopback. Raises: ValueError with what to do."""
    return None if url is None else check_endpoint(url, HOSTS)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds, of one call's steps and of all calls that one message needs."""

    connect: float = 2.0
    write: float = 3.0
    read: float = 6.0
    total: float = 9.0

    @property
    def worst_case(self) -> float:
        """The last call may begin just before the total is reached."""
        return self.total + self.connect + self.write + self.read


class Deadline:
    """The time left for all calls of one message."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, negative once it has passed."""
        return self._end - time.monotonic()


@dataclass(frozen=True, slots=True)
class Answer:
    """What WeCom answered: its `errcode` and the whole object."""

    code: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer that WeCom would give."""

    reason: Reason
    raw_code: str
    left: bool
    """The request had left, so it may have been carried out."""
    after: float | None = None
    """The least wait in seconds that was asked for, if it was."""

    @property
    def outcome(self) -> Retry | Unknown | AccountDown:
        """What that means for the messages of the call."""
        if self.raw_code in WORDS:
            return outcome_of_code(self.raw_code)
        return Unknown(self.reason, self.raw_code) if self.left else Retry(self.reason, self.raw_code, self.after)


class NotReadyError(Exception):
    """A call that must come before the message (token, upload) failed: the message was certainly not sent."""

    def __init__(self, outcome: Rejected | Retry | AccountDown) -> None:
        super().__init__(f"{type(outcome).__name__}: {outcome.reason} ({outcome.raw_code})")
        self.outcome = outcome


def not_ready(answer: Answer | Failure) -> NotReadyError:
    """Make the error for a preparatory call: whatever became of that call, the message has not left."""
    if isinstance(answer, Failure):
        if isinstance(answer.outcome, AccountDown):
            return NotReadyError(answer.outcome)
        # Where the connection broke, no message was on it.
        reason = Reason.CONNECTION_FAILED if answer.reason is Reason.CONNECTION_LOST else answer.reason
        return NotReadyError(Retry(reason, answer.raw_code, answer.after))
    return NotReadyError(outcome_of(answer.code))


class Wire:
    """WeCom's interface at one endpoint, over kept connections; for use by many threads."""

    def __init__(self, endpoint: str | None, timeouts: Timeouts, network: Network) -> None:
        self._base = endpoint or HOME
        self._network = network
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._open: httpx.Client | None = None

    def deadline(self) -> Deadline:
        """Start the time of one message."""
        return Deadline(self._timeouts.total)

    def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        deadline: Deadline,
        *,
        body: Mapping[str, Any] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> Answer | Failure:
        """Make one call, once. body: sent as JSON, the same bytes for the same object. file: a name and its bytes."""
        left = deadline.left
        if left <= 0:
            return Failure(Reason.TIMED_OUT, "out_of_time", left=False)
        limit = self._timeouts
        timeout = httpx.Timeout(
            connect=min(limit.connect, left),
            write=min(limit.write, left),
            read=min(limit.read, left),
            pool=min(limit.connect, left),
        )
        content = None if body is None else _encode(body)
        try:
            response = self._client().request(
                method,
                f"{self._base}/cgi-bin/{path}",
                params=dict(params),
                content=content,
                headers=None if content is None else {"Content-Type": "application/json; charset=utf-8"},
                files=None if file is None else {"media": (*file, "application/octet-stream")},
                timeout=timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL, ForbiddenAddressError) as error:
            return _transport_failure(error)
        return _read(response)

    def close(self) -> None:
        """Give back the connections; the next call opens others."""
        with self._lock:
            client, self._open = self._open, None
        if client is not None:
            client.close()

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._open is None:
                self._open = http.client(self._network)
            return self._open


def _encode(body: Mapping[str, Any]) -> bytes:
    # Half of a surrogate pair has no UTF-8 and must not stop a message: it becomes a question mark.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _transport_failure(error: Exception) -> Failure:
    code = code_of(error)
    if code is not None:
        return Failure(Reason.CONNECTION_FAILED, code, left=False)
    raw = type(error).__name__
    before = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError
    if isinstance(error, before | httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return Failure(Reason.CONNECTION_FAILED, raw, left=False)
    reason = Reason.TIMED_OUT if isinstance(error, httpx.TimeoutException) else Reason.CONNECTION_LOST
    return Failure(reason, raw, left=True)


def _read(response: httpx.Response) -> Answer | Failure:
    status = response.status_code
    if status >= 500:
        return Failure(Reason.PROVIDER_ERROR, f"http_{status}", left=True)
    if status != 200:
        reason = Reason.THROTTLED if status == 429 else Reason.UNRECOGNISED_ANSWER
        return Failure(reason, f"http_{status}", False, retry_after(response.headers))
    try:
        data = json.loads(response.content)
    except (ValueError, RecursionError):
        return Failure(Reason.UNRECOGNISED_ANSWER, "not_json", left=True)
    code = data.get("errcode") if isinstance(data, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        return Failure(Reason.UNRECOGNISED_ANSWER, "no_errcode", left=True)
    return Answer(code, data)
