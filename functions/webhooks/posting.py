"""Posts an event to an endpoint: to addresses that were judged, without redirects, and without reading what it says."""

import email.utils
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC
from enum import StrEnum

import httpx

from functions.webhooks.retrying import LONGEST_MS, Answer
from shared.model.webhooks import Attempt
from shared.net.hosts import is_loopback, read_url
from shared.net.http import Deadline, client
from shared.net.network import ForbiddenAddressError, Network

TIMEOUT_S = 15.0
"""For the whole of it (the specification asks for 15 to 30 seconds)."""
MAX_CONNECTIONS = 32
REST_S, MAX_REST_BYTES = 1.0, 16_384
"""How long, and how much, of an answer's body is passed over before the connection is closed instead."""
HTTPS, FIRST_FREE_PORT = 443, 1024
AGENT = "mePush-Webhooks/1.0"


class Failure(StrEnum):
    """Why there was no answer."""

    TIMED_OUT = "timed_out"
    NOT_CONNECTED = "not_connected"
    BROKEN_OFF = "broken_off"
    CERTIFICATE = "certificate"
    """The server's certificate cannot be trusted."""
    FORBIDDEN_ADDRESS = "forbidden_address"
    """The host leads to where nothing may be sent."""
    NO_SECRET = "no_secret"  # noqa: S105 - the name of a failure
    NOT_PUT = "not_put"
    """The bus did not take it."""


def check_url(url: str, network: Network) -> str:
    """A URL as it is kept: by https on the internet, or on this machine where that is allowed.

    Raises: ValueError with what to do.
    """
    endpoint, path = read_url(url)
    local = is_loopback(endpoint.host) and network.loopback
    if endpoint.scheme != "https" and not local:
        raise ValueError("give an address that begins with https://")
    if not local and endpoint.port != HTTPS and endpoint.port < FIRST_FREE_PORT:
        raise ValueError("leave the port out, or give one from 1024 on: the others are doors to other services")
    if network.problem(endpoint.host, endpoint.port) is not None:
        raise ValueError("this host leads into a private network; webhooks go to servers on the internet only")
    return endpoint.url + path


class Poster:
    """Posts; thread-safe. network: what may be reached."""

    def __init__(self, network: Network, timeout_s: float = TIMEOUT_S) -> None:
        self._deadline = Deadline()
        self._timeout_s = timeout_s
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=20.0)
        self._client = client(network, self._deadline, limits=limits, timeout=timeout_s)

    def post(self, url: str, headers: dict[str, str], body: bytes, now_ms: int) -> Answer:
        """Post an event; whatever goes wrong is the answer. now_ms: when the try begins."""
        began = time.monotonic()
        retry_after = None
        status, error = None, None
        try:
            status, retry_after = self._ask(url, headers, body, now_ms)
        except ForbiddenAddressError:
            error = Failure.FORBIDDEN_ADDRESS
        except (TimeoutError, httpx.TimeoutException):
            error = Failure.TIMED_OUT
        except httpx.ConnectError as refused:
            untrusted = any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(refused))
            error = Failure.CERTIFICATE if untrusted else Failure.NOT_CONNECTED
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            error = Failure.BROKEN_OFF
        ms = int((time.monotonic() - began) * 1000)
        return Answer(Attempt(at=now_ms, ms=ms, status=status, error=error), retry_after)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _ask(self, url: str, headers: dict[str, str], body: bytes, now_ms: int) -> tuple[int, int | None]:
        sent = {**headers, "content-type": "application/json", "user-agent": AGENT, "accept": "*/*"}
        with self._deadline.within(self._timeout_s), self._client.stream("POST", url, headers=sent, content=body) as it:
            said = it.status_code, retry_after_ms(it.headers.get("retry-after"), now_ms)
            self._pass_over(it)
            return said

    def _pass_over(self, answer: httpx.Response) -> None:
        """Take a short body off the connection, so that this can be used again; nobody looks at what it says."""
        size = 0
        with self._deadline.within(REST_S), suppress(httpx.HTTPError, OSError):
            for piece in answer.iter_raw():
                size += len(piece)
                if size > MAX_REST_BYTES:
                    return


def retry_after_ms(text: str | None, now_ms: int) -> int | None:
    """What `Retry-After` asks for, in milliseconds from now: seconds or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, LONGEST_MS)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    at = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
    return min(max(0, int(at * 1000) - now_ms), LONGEST_MS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
