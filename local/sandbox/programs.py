"""Runs a sink of the benchmarks as a program of its own."""

import asyncio
import sys
import threading

from local.sandbox.base import HOST


async def serve(protocol: type[asyncio.Protocol], port: int) -> None:
    """Serve a protocol on loopback: print the port (0 asks for a free one), and end when standard input does."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, HOST, port)
    ended = asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()
