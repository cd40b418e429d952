"""Files that go along: fetched once per process, encoded once for all recipients, and few at a time on their way."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from shared.dispatch.plan import Call
from shared.model.attachments import Attachment, AttachmentRef, encode
from shared.model.content import RenderedEmail

CACHE_BYTES = 64_000_000
ROOM_BYTES = 24_000_000
"""Of files on their way at once, encoded. A provider's client holds each up to six times until it has left, and all of
it has to fit into the function's memory."""


class Files:
    """Files ready to leave, the least recently used first out; thread-safe.

    read: the bytes of a tenant's file; raises AttachmentGoneError, and what the storage raises.
    """

    def __init__(self, read: Callable[[str, AttachmentRef], bytes], most_bytes: int = CACHE_BYTES) -> None:
        self._read = read
        self._most = most_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, ...], Attachment] = OrderedDict()
        # Held while a file is read: the envelopes of a campaign come at once, and all want the same one.
        self._lock = threading.Lock()

    def of(self, tenant: str, refs: Sequence[AttachmentRef]) -> tuple[Attachment, ...]:
        """The files, in order. Raises: AttachmentGoneError; what the storage raises."""
        with self._lock:
            return tuple(self._one(tenant, ref) for ref in refs)

    def _one(self, tenant: str, ref: AttachmentRef) -> Attachment:
        key = (tenant, ref.id, ref.version, ref.cid or "")
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = encode(ref.name, ref.type, self._read(tenant, ref), ref.cid)
        self._kept[key] = found
        self._size += len(found.encoded)
        while self._size > self._most and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1].encoded)
        return found


class Room:
    """Bounds how much of files is on its way at once; thread-safe."""

    def __init__(self, most_bytes: int = ROOM_BYTES) -> None:
        self._most = most_bytes
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def for_call(self, call: Call, patience_s: float) -> Iterator[bool]:
        """Wait until there is room for what a call carries, and keep it while the block lasts.

        Yields whether there was room within `patience_s`. What is larger than all the room goes alone.
        """
        size = _weight(call)
        if not size:
            yield True
            return
        with self._changed:
            found = self._changed.wait_for(
                lambda: not self._taken or self._taken + size <= self._most, max(patience_s, 0.0)
            )
            self._taken += size if found else 0
        try:
            yield found
        finally:
            with self._changed:
                self._taken -= size if found else 0
                self._changed.notify_all()


def _weight(call: Call) -> int:
    """The bytes of files that a call carries."""
    return sum(
        len(file.encoded)
        for message in call.messages
        if isinstance(message.content, RenderedEmail)
        for file in message.content.attachments
    )
