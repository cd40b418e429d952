"""A way that takes its time: a TCP proxy on loopback that passes every byte on after a delay.

`python -m bench.proxy --to PORT --delay-ms 10` prints its port and ends when its standard input does.
"""

import argparse
import asyncio
import contextlib
import sys


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass bytes on in order, each after the delay; many may be under way."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(65_536):
        loop.call_later(delay, writer.write, data)
    loop.call_later(delay, writer.close)


async def _serve(to: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pass_on(reader, back, delay), _pass_on(there, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Run the proxy."""
    parser = argparse.ArgumentParser(description="A TCP proxy that delays, for benchmarks.")
    parser.add_argument("--to", type=int, required=True, help="the port on this machine that it leads to")
    parser.add_argument("--delay-ms", type=float, required=True, help="each way")
    given = parser.parse_args()
    asyncio.run(_serve(given.to, given.delay_ms / 1000))


if __name__ == "__main__":
    main()
