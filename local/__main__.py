"""The local stack as a program: `python -m local run | demo | campaign | serve [--port N] [--faults FILE]`.

run: start it, send the examples, then serve until Ctrl-C. demo: the same without serving. campaign: send to 20,000
rows instead, with a pause and a crash in the middle. serve: no examples are sent. Exits with 0 only if every message
reached its expected end.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from rich.console import Console

from local import keeping
from local.demo import run_demo
from local.demo_campaign import DemoError, run_campaign
from local.faults import FaultFileError, FaultInput, read_faults
from local.seed import PERSONS, Persons, first_key, seed
from local.server import LAST_PORT, PortError
from local.stack import LocalStack
from local.synth import SynthesisError
from local.template import TemplateError
from mepush.client.api import Client
from mepush.client.connection import LOCAL_FILE, Connection, forget_local, read_local, write_local
from mepush.client.errors import MepushError
from mepush.output import make_console, plain

# No line is longer than the 80 columns of a terminal, so that nothing breaks when it is copied.
_CURL = """\
KEY={key}
curl -sS {url}/v1/messages \\
  -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"template": "login-code-cn", "to": "13800138000",
       "variables": {{"code": "123456"}}}}'"""
_DEMOS = ("demo", "campaign")
_MEPUSH = ".venv/bin/mepush"
PORT = 8780
"""Where `run` and `serve` listen unless told otherwise, so that the address stays the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    options = _options(arguments)
    console = make_console()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        faults = read_faults(options.faults) if options.faults else []
        return _run(options.command, options.port, console, faults, keep=options.keep)
    except KeyboardInterrupt:
        return 130
    except (PortError, SynthesisError, TemplateError) as error:
        console.print(plain(f"The local stack cannot start: {error}"), style="red")
    except FaultFileError as error:
        console.print(plain(f"{error}"), style="red")
        for wrong in error.details:
            console.print(plain(f"  {wrong.field}: {wrong.message}"))
    except MepushError as error:
        console.print(plain(f"{error} {error.hint}"), style="red")
        for field, message in error.details:
            console.print(plain(f"  {field}: {message}"))
    except DemoError as error:
        console.print(plain(f"The demonstration stopped: {error}."), style="red")
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["run", "demo", "campaign", "serve"])
    parser.add_argument("--port", type=_port, help=f"port of the API; {PORT} by default, any free one for demos")
    parser.add_argument("--keep", action="store_true", help=f"go on from {keeping.FILE.name}, and keep what there is")
    parser.add_argument("--faults", type=Path, help="a JSON list of faults for the sandbox providers to play")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    """A port as the command line gives it. Raises: ArgumentTypeError."""
    if not text.isascii() or not text.isdecimal() or not 0 <= int(text[:9]) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {LAST_PORT}, or 0 for any free port")
    return int(text)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(
    command: str, port: int | None, console: Console, faults: Sequence[FaultInput] = (), *, keep: bool = False
) -> int:
    console.print("Starting the local stack: the real template, deployed into this process.")
    ok = True
    if port is None:
        port = 0 if command in _DEMOS else PORT
    kept = _kept(console) if keep else None
    with _stack(command, port, faults, kept) as stack, ExitStack() as until_ended:
        key = kept["key"] if kept else first_key(stack)
        _say_port(console, port, stack.url)
        seed(stack.url, key, stack.sandboxes, again=kept is not None)
        stack.pages[PERSONS] = Persons(stack)
        if keep:
            stack.pages[keeping.PATH] = until_ended.enter_context(keeping.Keeper(stack, key))
        if command != "serve" and not kept:
            report = run_campaign(stack, key, console) if command == "campaign" else run_demo(stack, key)
            report.show(console)
            ok = report.ok
        if command not in _DEMOS:
            with _connection(Connection(stack.url, key)) as other:
                _explain(console, stack.url, key, other)
                _until_interrupted()
            console.print("Ended.")
    return 0 if ok else 1


def _kept(console: Console) -> keeping.State | None:
    """What was kept, and a word about it."""
    try:
        kept = keeping.load()
    except keeping.KeepError as error:
        text = f"{error}: it is put aside as {keeping.put_aside()}, and this run starts afresh."
        console.print(plain(text), style="yellow", soft_wrap=True)
        return None
    if kept:
        at = datetime.fromtimestamp(kept["at"] / 1000).astimezone()
        console.print(f"Going on from what was kept at {at:%Y-%m-%d %H:%M:%S}.")
    return kept


def _stack(command: str, port: int, faults: Sequence[FaultInput], kept: keeping.State | None) -> LocalStack:
    # The short demonstration goes by moto, another reading of AWS than ours; for whoever works with the stack, and for
    # a large campaign, moto is too slow by far.
    return LocalStack(port, faults=faults, memory=command != "demo", kept=kept)


def _say_port(console: Console, wanted: int, url: str) -> None:
    if wanted and not url.endswith(f":{wanted}"):
        console.print(f"Port {wanted} is taken; this run listens at {url}.", style="yellow")


@contextmanager
def _connection(connection: Connection) -> Iterator[Connection | None]:
    """Let the `mepush` command find the stack while it serves; yields another one that it goes on finding instead."""
    other = read_local()
    if other is not None and _answers(other):
        yield other
        return
    write_local(connection)
    try:
        yield None
    finally:
        # Another run may have taken this one for gone.
        forget_local(connection)


def _answers(connection: Connection) -> bool:
    """Whether the stack that made a connection's key still serves there."""
    try:
        with Client(connection.url, connection.key, timeout_s=2) as api:
            api.get("/v1/settings")
    except MepushError:
        return False
    return True


def _explain(console: Console, url: str, key: str, other: Connection | None = None) -> None:
    """What a person needs to try it by hand; the lines work as printed. other: the stack that `mepush` finds by itself
    instead of this one."""
    console.rule("Serving until Ctrl-C", align="left")
    for name, value in (
        ("API", url),
        ("Key", key),
        ("OpenAPI", f"{url}/docs and {url}/openapi.json"),
        ("Outbox", f"{url}/_local/outbox"),
        ("Faults", f"{url}/_local/faults (docs/local-stack.md)"),
        ("Command", f"{_MEPUSH} balance" + ("" if other else f"  # finds address and key in {LOCAL_FILE}")),
    ):
        console.print(f"{name:8} {value}", soft_wrap=True)
    if other is not None:
        console.print(
            f"\nAnother local stack serves at {other.url}: {_MEPUSH} talks to that one, unless you set", style="yellow"
        )
        console.print(f"export MEPUSH_URL={url}\nexport MEPUSH_KEY={key}", soft_wrap=True)
    console.print("\nSend a message:")
    console.print(_CURL.format(url=url, key=key), soft_wrap=True, markup=False, highlight=False)


def _until_interrupted() -> None:
    forever = threading.Event()
    try:
        # In slices, since on Windows an endless wait does not notice Ctrl-C.
        while not forever.wait(1.0):
            pass
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
