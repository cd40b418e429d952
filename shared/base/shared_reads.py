"""Reads that threads share: one of them asks, for all who want to know the same."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeVar, cast

V = TypeVar("V")


class SharedReads:
    """What threads read once for all of them; made when their work begins, such as when a batch comes.

    So every value was read by a call that began after this was made, however late it is asked for. Of those who ask for
    a key at once, the first reads, in its own thread, and the others wait for as long as that takes: the clients of AWS
    have time-outs. An error reaches all who waited, and is not kept: who asks next reads anew.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._reads: dict[str, Future[Any]] = {}

    def get(self, key: str, read: Callable[[], V]) -> V:
        """What is under a key; `read` is called if nobody has read it yet. Raises: what `read` raises."""
        with self._lock:
            found = self._reads.get(key)
            mine = found is None
            if found is None:
                found = self._reads[key] = Future()
        if mine:
            self._read(key, found, read)
        return cast(V, found.result())

    def _read(self, key: str, asked: Future[Any], read: Callable[[], Any]) -> None:
        try:
            value = read()
        except BaseException as error:  # whatever it is, those who wait get it as well
            with self._lock:
                del self._reads[key]
            asked.set_exception(error)
        else:
            asked.set_result(value)
