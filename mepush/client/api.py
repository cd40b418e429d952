"""Speaks to the HTTP API: one call, one answer, or an error that says what happened in plain words."""

import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx

from mepush.client.errors import ApiError, ConnectionProblemError, UsageError
from mepush.client.verifications import Verifications

TRIES = 4
"""Of a call that may be repeated without harm."""

_CONNECT_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 5.0
_BUSY = frozenset({429, 502, 503, 504})


class Client:
    """The API at one address with one key: `with Client(url, key) as api: api.send({...})`.

    Bodies and answers are those of the API's description, as dicts. Threads may share a client. What may be repeated
    without harm is tried again while the API is busy. Whatever goes wrong is a MepushError whose text holds no key.

    transport, pause: seams for tests; `pause` waits between tries. timeout_s: for an answer.
    Raises: UsageError for an address that is not one, or that would send the key in the clear.
    """

    def __init__(
        self,
        url: str,
        key: str,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        loopback = check_url(self.url)
        check_key(key)
        self._pause = pause or _pause
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}", "User-Agent": "mepush-cli"},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
            transport=transport,
            # A company's proxy cannot reach this machine's loopback.
            trust_env=not loopback,
        )

    @property
    def verifications(self) -> Verifications:
        """Codes that are sent to people and checked."""
        return Verifications(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def get(self, path: str, **params: str | int | None) -> Any:
        """Read something; tried again while the API is busy. Raises: ApiError, ConnectionProblemError."""
        return self._call("GET", path, repeat=True, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: Any = None, repeat: bool = False, headers: dict[str, str] | None = None) -> Any:
        """Create or do something. repeat: it changes nothing to do it twice. Raises: as `get`."""
        return self._call("POST", path, repeat=repeat, body={} if body is None else body, headers=headers)

    def patch(self, path: str, body: Any) -> Any:
        """Change something. Raises: as `get`."""
        return self._call("PATCH", path, repeat=True, body=body)

    def put(self, path: str, body: Any) -> Any:
        """Put something in its place. Raises: as `get`."""
        return self._call("PUT", path, repeat=True, body=body)

    def delete(self, path: str) -> Any:
        """Delete something. Raises: as `get`."""
        return self._call("DELETE", path, repeat=False)

    def send(self, body: dict[str, Any], idempotency_key: str | None = None) -> dict[str, Any]:
        """Send messages; repeated under one Idempotency-Key (a new one if none is given) until all are queued.

        Raises: as `get`.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        for left in range(TRIES - 1, -1, -1):
            try:
                answer: dict[str, Any] = self._call("POST", "/v1/messages", repeat=True, body=body, headers=headers)
            except ApiError as error:
                # 409: an earlier try of this very request is still being carried out.
                if error.status != 409 or not left:
                    raise
            else:
                if not answer.get("not_queued") or not left:
                    return answer
            self._pause(1.0)
        raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises

    def pages(self, path: str, name: str, limit: int = 100, **params: str | None) -> Iterator[Any]:
        """Yield the entries of every page of a listing. Raises: as `get`."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit=limit, cursor=cursor, **params)
            yield from page[name]
            cursor = page.get("cursor")
            if cursor is None:
                return

    def _call(
        self,
        method: str,
        path: str,
        *,
        repeat: bool,
        body: Any = None,
        params: dict[str, str | int] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        tries = TRIES if repeat else 1
        for tried in range(1, tries + 1):
            try:
                response = self._http.request(method, path, json=body, params=params, headers=headers)
            except httpx.HTTPError as error:
                # A refused connection does not get better within seconds; a lost answer may.
                if tried == tries or isinstance(error, httpx.ConnectError):
                    raise _unreachable(self.url, error) from None
            else:
                if response.status_code not in _BUSY or tried == tries or _much_later(response):
                    return _read(response)
            self._pause(min(0.5 * 2**tried, _LONGEST_PAUSE_S))
        raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def _retry_after(response: httpx.Response) -> int | None:
    """When to ask again, in seconds, as the API says."""
    text = response.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _much_later(response: httpx.Response) -> bool:
    """Whether the API says that asking again within seconds is of no use."""
    return (_retry_after(response) or 0) > _LONGEST_PAUSE_S


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def segment(value: str | int) -> str:
    """A value as one segment of a path."""
    return quote(str(value), safe="")


def is_loopback(host: str) -> bool:
    """Whether a host name or literal address is this machine."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> bool:
    """Whether the address is loopback. Raises: UsageError for one that is none, or would send a key in the clear."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"}:
        raise UsageError(
            f"{url!r} is not a web address.", "Give one such as https://abc.execute-api.eu-west-1.aws.com."
        )
    loopback = is_loopback(host)
    if parts.scheme == "http" and not loopback:
        raise UsageError("The address begins with http://, which would send the key in the clear.", "Give https://.")
    return loopback


def check_key(key: str) -> None:
    """Raises: UsageError for what cannot be a key, such as two lines."""
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise UsageError("The API key has characters that no key has.", "Copy it again: mp_live_...")


def _unreachable(url: str, error: httpx.HTTPError) -> ConnectionProblemError:
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectionProblemError(f"{url} did not answer in time.", "Check the address and your network.")
    if isinstance(error, httpx.ConnectError):
        return ConnectionProblemError(
            f"{url} cannot be reached: {_cause(error)}.",
            "Check the address; for the local stack, run `make run` first.",
        )
    if isinstance(error, httpx.TimeoutException):
        return ConnectionProblemError(f"{url} took the request but did not answer in time.", _AGAIN)
    return ConnectionProblemError(f"The connection to {url} broke before an answer came.", _AGAIN)


_AGAIN = "Run the same command again; a send under the same Idempotency-Key is never sent twice."


def _cause(error: httpx.HTTPError) -> str:
    text = str(error).lower()
    if "refused" in text or "10061" in text:
        return "nothing listens there"
    if "name" in text or "getaddrinfo" in text:
        return "no such host"
    if "certificate" in text or "ssl" in text:
        return "its certificate is not trusted"
    return "no connection"


def _read(response: httpx.Response) -> Any:
    if response.is_success:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise ConnectionProblemError(
                f"The answer of {response.url.host} is not JSON.", "Is this the address of a mePush API?"
            ) from None
    raise _api_error(response)


def _api_error(response: httpx.Response) -> ApiError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    title = body.get("title") or f"The API answered {response.status_code}"
    # API Gateway's own errors have a `message` and nothing else.
    detail = body.get("detail") or body.get("message") or ""
    errors = [(str(e.get("field", "")), str(e.get("message", ""))) for e in body.get("errors") or []]
    return ApiError(
        response.status_code, str(body.get("type") or ""), str(title), str(detail), errors, _retry_after(response)
    )
