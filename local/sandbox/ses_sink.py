"""A bare Amazon SES for benchmarks: takes everything and counts it, with as little work as it can.

`python -m local.sandbox.ses_sink` prints its port and ends when its standard input does. `GET /count` answers how many
requests of SES it has had, and how many messages were in them.
"""

import argparse
import asyncio
import json
from typing import Any

from local.sandbox.programs import serve
from local.sandbox.ses_templates import mime, render

_END = b"\r\n\r\n"
_RESULT = b'{"Status": "SUCCESS", "MessageId": "010001990000000-%08d-000000"}'


class Sink(asyncio.Protocol):
    """Answers requests one after the other; no entry of a call is looked at."""

    requests = 0
    messages = 0
    templates: dict[str, dict[str, str]] = {}  # noqa: RUF012 - of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (found := self._next()) is not None:
            status, body = _answer(*found)
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            kind = "x-amzn-ErrorType: NotFoundException\r\n" if status.startswith("404") else ""
            self._transport.write(f"{head}{kind}\r\n".encode() + body)

    def _next(self) -> tuple[str, bytes] | None:
        """Take the next request from the buffer: its method and path, and its body; None if it is not whole yet."""
        end = self._buffer.find(_END)
        if end < 0:
            return None
        first, *headers = bytes(self._buffer[:end]).split(b"\r\n")
        lengths = [int(line.partition(b":")[2]) for line in headers if line[:15].lower() == b"content-length:"]
        length, start = sum(lengths), end + len(_END)
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return first.rpartition(b" ")[0].decode(), body


def _answer(asked: str, body: bytes) -> tuple[str, bytes]:
    """The status and the body of an answer."""
    if asked == "GET /count":
        return "200 OK", json.dumps({"requests": Sink.requests, "messages": Sink.messages}).encode()
    Sink.requests += 1
    if asked.endswith("/outbound-bulk-emails"):
        first, count = Sink.messages, body.count(b'"Destination"')
        Sink.messages += count
        results = b", ".join(_RESULT % (first + i) for i in range(count))
        return "200 OK", b'{"BulkEmailEntryResults": [' + results + b"]}"
    if asked.endswith("/outbound-emails"):
        Sink.messages += 1
        return "200 OK", b'{"MessageId": "010001990000000-%08d-000000"}' % Sink.messages
    return _template(asked, json.loads(body))


def _template(asked: str, body: dict[str, Any]) -> tuple[str, bytes]:
    if "TemplateContent" in body:
        Sink.templates[body["TemplateName"]] = body["TemplateContent"]
        return "200 OK", b"{}"
    content = Sink.templates.get(asked.split("/")[-2])
    if content is None:
        return "404 Not Found", b'{"message": "Template does not exist."}'
    rendered = mime(render(content, body["TemplateData"]), {}).decode()
    return "200 OK", json.dumps({"RenderedTemplate": rendered}).encode()


def main() -> None:
    """Run the sink."""
    parser = argparse.ArgumentParser(description="A bare Amazon SES on loopback for benchmarks.")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    asyncio.run(serve(Sink, parser.parse_args().port))


if __name__ == "__main__":
    main()
