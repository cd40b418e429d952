"""A bare SMTP sink for benchmarks: without encryption, login and outbox.

`python -m local.sandbox.smtp_sink` prints its port, counts messages without reading them, prints the count and ends
when its standard input does.
"""

import argparse
import asyncio
from typing import ClassVar

from local.sandbox.programs import serve


class Sink(asyncio.Protocol):
    """Takes everything and counts messages, with as little work as it can."""

    counted = 0
    extensions: ClassVar[tuple[bytes, ...]] = (b"PIPELINING",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        self._buffer = bytearray()
        self._in_message = self._quit = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies = []
        while (reply := self._next()) is not None:
            replies.append(reply)
        if replies:
            self._transport.write(b"".join(replies))
        if self._quit:
            self._transport.close()

    def _next(self) -> bytes | None:
        """Take the next command or message from the buffer and return its reply; None if it is not whole yet."""
        ending = b"\r\n.\r\n" if self._in_message else b"\r\n"
        end = self._buffer.find(ending)
        if end < 0:
            return None
        verb = bytes(self._buffer[:4]).upper()
        if verb == b"BDAT" and not self._in_message:
            return self._chunk(end + len(ending))
        del self._buffer[: end + len(ending)]
        if self._in_message:
            self._in_message = False
            Sink.counted += 1
            return b"250 2.0.0 Ok\r\n"
        if verb == b"DATA":
            self._in_message = True
            self._buffer[:0] = b"\r\n"
            return b"354 go on\r\n"
        if verb == b"QUIT":
            self._quit = True
            return b"221 bye\r\n"
        if verb == b"EHLO":
            return b"".join([b"250-sink\r\n", *[b"250-%b\r\n" % word for word in self.extensions], b"250 8BITMIME\r\n"])
        return b"250 2.0.0 Ok\r\n"

    def _chunk(self, start: int) -> bytes | None:
        """Take a message that is one chunk, if it is whole. start: where it begins in the buffer."""
        end = start + int(self._buffer[:start].split()[1])
        if len(self._buffer) < end:
            return None
        del self._buffer[:end]
        Sink.counted += 1
        return b"250 2.0.0 Ok\r\n"


async def _run(port: int) -> None:
    await serve(Sink, port)
    print(Sink.counted, flush=True)


def main() -> None:
    """Run the sink."""
    parser = argparse.ArgumentParser(description="A bare SMTP sink on loopback for benchmarks.")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--chunking", action="store_true", help="take messages by BDAT as well")
    given = parser.parse_args()
    if given.chunking:
        Sink.extensions = (*Sink.extensions, b"CHUNKING")
    asyncio.run(_run(given.port))


if __name__ == "__main__":
    main()
