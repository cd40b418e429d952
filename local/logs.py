"""Where the functions' log lines and metrics go: a file, so that the terminal stays readable."""

import io
import logging
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from shared.model.clock import iso

MAX_LOG_BYTES = 20_000_000


class LogSink(io.TextIOBase):
    """A stream that writes to a file while one is open, and to standard output otherwise.

    Loggers keep the stream they are made with for the life of the process: this one may outlive its file.
    """

    def __init__(self) -> None:
        self._file: TextIO | None = None

    def open(self, path: Path) -> None:
        """Append to `path` from now on; begin anew if it has grown large."""
        path.parent.mkdir(parents=True, exist_ok=True)
        large = path.exists() and path.stat().st_size > MAX_LOG_BYTES
        self._file = path.open("w" if large else "a", encoding="utf-8", buffering=1)

    def close_file(self) -> None:
        """Write to standard output again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return (self._file or sys.stdout).write(text)

    def failure(self, where: str) -> None:
        """Write that something failed, when, and with which exception; call it while that is handled."""
        self.write(f"{iso(time.time_ns() // 1_000_000)} {where}: {traceback.format_exc()}")

    def flush(self) -> None:
        (self._file or sys.stdout).flush()


def _not_by_powertools(record: logging.LogRecord) -> bool:
    """Whether no handler of Powertools writes a record: those of its loggers have one and hand on all the same."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if getattr(logger, "powertools_handler", None) is not None:
            return False
        logger = logger.parent
    return True


SINK = LogSink()
"""The one stream of all functions in this process."""


class FunctionLogs:
    """Leads what functions log to a file. Use as a context manager around the life of the functions.

    measured: is told of each line of metrics.
    """

    def __init__(self, path: Path, measured: Callable[[str], None] = lambda _: None) -> None:
        self._path = path
        self._measured = measured
        self._metrics: Any = None
        self._plain = logging.StreamHandler(SINK)
        self._plain.setFormatter(LambdaPowertoolsFormatter())
        self._plain.addFilter(_not_by_powertools)

    def __enter__(self) -> "FunctionLogs":
        SINK.open(self._path)
        # Metrics in the embedded format are printed: there is no stream to set.
        import aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch as emf

        self._metrics = patch.object(emf, "print", self._print, create=True)
        self._metrics.start()
        # Lambda has a handler at the root, too: without one, what loggers of the standard library say is on the screen.
        logging.getLogger().addHandler(self._plain)
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self._plain)
        self._metrics.stop()
        SINK.close_file()

    def _print(self, text: str) -> None:
        SINK.write(f"{text}\n")
        self._measured(text)

    @staticmethod
    def adopt() -> None:
        """Point the handlers of all Powertools loggers made so far at the sink."""
        for logger in list(logging.Logger.manager.loggerDict.values()):
            handler = getattr(logger, "powertools_handler", None)
            if isinstance(handler, logging.StreamHandler) and handler.stream is not SINK:
                handler.setStream(SINK)
