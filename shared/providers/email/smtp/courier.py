"""Carries an account's messages over few connections, all on one thread.

Where the server takes commands without being waited for (PIPELINING, RFC 2920), the end of a message, the next one's
addresses and its DATA leave in one write: a round trip for a message instead of four. The answer to DATA, which no
other command gets, shows with each message that replies and messages are in step. Where the server takes messages by
BDAT (CHUNKING, RFC 3030) as well, whole messages go along in that write: few at first, more while the server is fast.
Some servers offer BDAT and hang with it, or take the message of one that they refuse for commands. So the first goes
alone, and if it is never answered no more follow; and what holds a command in a line of its own never goes by BDAT.

A reply belongs to the message that asked for it. When a connection fails, those whose last byte had left are told so
and nobody else: the rest goes by another connection.
"""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from shared.net.tasks import Loop, Task
from shared.providers.email.smtp.client import Connection, MisfitError, Pool, RefusedError
from shared.providers.email.smtp.letters import Failed, Fate, Letter, Unbegun, Unreached
from shared.providers.email.smtp.stream import Step
from shared.providers.email.smtp.turn import Turn, settle

logger = logging.getLogger(__name__)

LETTERS_PER_CONNECTION = 4
"""Another connection is opened when more wait for each of those that there are."""
PATIENCE_S = 0.3
"""Another is opened as well when one has waited so long since the last: the others may be held up by a slow message."""
MOST_DEPTH = 8
"""Messages in one write: as many may be in doubt when a connection fails."""
MOST_BYTES = 262_144
"""Of a write with several messages; no further one is added beyond."""
FAST_S = 0.5
"""A server that takes longer for a write gets its messages one by one again, so that none waits long for its turn."""
_RESET = b"RSET\r\n"
_COMMAND = re.compile(rb"\n[Mm][Aa][Ii][Ll][ \t]")
"""Without this one a server begins no other message."""


class Courier:
    """One account's connections and what waits for them; thread-safe.

    A thread of its own carries while there is something to carry. dial: opens a session, ready for messages; raises
    RefusedError, MisfitError, OSError. sender: an ASCII address without blanks or angle brackets. timeout_s: how long
    the server may take for a reply. most_messages: on one connection. most_connections: at the same time.
    takes_bdat: whether to send by BDAT where that is offered.
    """

    def __init__(
        self,
        dial: Callable[[], Task[Connection]],
        pool: Pool,
        sender: str,
        timeout_s: float,
        most_messages: int,
        most_connections: int,
        takes_bdat: bool = True,
    ) -> None:
        self._dial = dial
        self._pool = pool
        self._mail = f"MAIL FROM:<{sender}>\r\n".encode("ascii")
        self._timeout_s = timeout_s
        self._most_messages = most_messages
        self._most_connections = most_connections
        self._takes_bdat = takes_bdat
        self._lock = threading.Lock()
        self._waiting: deque[Letter] = deque()
        self._loop: Loop | None = None
        """Of the thread that carries, if there is one."""
        # Of that thread alone:
        self._connected = self._dialling = 0
        self._enough = most_connections
        self._opened = 0.0
        """When a connection was opened last, on the monotonic clock."""
        self._took_bdat = False
        """Whether the server has ever taken a message by BDAT."""
        self._tries_bdat: Connection | None = None
        """The connection by which it gets the first."""

    def carry(self, letters: Sequence[Letter]) -> list[Fate]:
        """Carry letters of one order; returns what became of each, in order. Raises: RuntimeError without a thread."""
        with self._lock:
            if self._loop is None:
                loop = Loop(wakes=True)
                threading.Thread(target=self._run, args=(loop,), name="smtp", daemon=True).start()
                self._loop = loop
            self._waiting.extend(letters)
            self._loop.wake()
        letters[0].order.done.wait()
        return [letter.fate or Unbegun() for letter in letters]

    def _run(self, loop: Loop) -> None:
        """Carry until nothing waits any more."""
        self._connected = self._dialling = 0
        self._enough = self._most_connections
        try:
            with loop:
                while self._staff(loop):
                    loop.step(self._look_again())
        except BaseException as error:  # a mistake of ours must not keep anyone waiting
            logger.error("smtp thread ended by a mistake", extra={"error": type(error).__name__})
            with self._lock:
                left, self._waiting, self._loop = self._waiting, deque(), None
            settle((letter, Failed(error)) for letter in left)

    def _staff(self, loop: Loop) -> bool:
        """Put connections to work for those who wait; False when there is nothing left to do."""
        self._give_up_late_ones()
        with self._lock:
            if not self._waiting and not loop:
                self._loop = None
                return False
        while self._waiting and (kept := self._pool.take()) is not None:
            loop.start(self._serve(kept, self._pool.round))
        while self._wants_another():
            loop.start(self._open())
        return True

    def _give_up_late_ones(self) -> None:
        now = time.monotonic()
        with self._lock:
            # They stand in the order in which they came.
            if not self._waiting or self._waiting[0].begin_by >= now:
                return
            late = [letter for letter in self._waiting if letter.begin_by < now]
            self._waiting = deque(letter for letter in self._waiting if letter.begin_by >= now)
        settle((letter, Unbegun()) for letter in late)

    def _wants_another(self) -> bool:
        """Whether to open a connection: the first alone, for it shows whether there is a way in."""
        there = self._connected + self._dialling
        if not self._waiting or not self._may_open():
            return False
        many = len(self._waiting) > LETTERS_PER_CONNECTION * there
        return there == 0 or many or (not self._dialling and self._look_again() <= time.monotonic())

    def _may_open(self) -> bool:
        return self._connected + self._dialling < self._enough and self._dialling <= self._connected

    def _look_again(self) -> float:
        """When to look again whether a connection is to be opened."""
        if not self._waiting or self._dialling or not self._may_open():
            return inf
        return max(self._waiting[0].came, self._opened) + PATIENCE_S

    def _open(self) -> Task[None]:
        """Open a connection and serve those who wait."""
        self._dialling += 1
        round = self._pool.round
        try:
            connection = yield from self._dial()
        except (RefusedError, MisfitError, OSError) as error:
            self._unreached(Unreached(error))
            return
        except Exception as error:  # a mistake of ours must not keep anyone waiting
            self._unreached(Failed(error))
            return
        finally:
            self._dialling -= 1
            self._opened = time.monotonic()
        yield from self._serve(connection, round)

    def _unreached(self, fate: Fate) -> None:
        """No connection could be opened: enough are open, or nobody can be served."""
        if self._connected or self._dialling > 1:
            self._enough = max(self._connected, 1)
            return
        with self._lock:
            left, self._waiting = self._waiting, deque()
        settle((letter, fate) for letter in left)

    def _serve(self, connection: Connection, round: int) -> Task[None]:
        """Carry by a connection until nothing waits, or it is used up or fails.

        round: of the pool, when it was taken from there or began to be opened.
        """
        self._connected += 1
        connection.depth = 1
        last = turn = Turn(connection, self._timeout_s)
        try:
            while not connection.is_closed:
                last, turn = turn, Turn(connection, self._timeout_s)
                self._fill(turn, connection, last)
                if not turn:
                    # Before anybody hears that it is done, who may want to close what is kept.
                    self._pool.give_back(connection, round)
                    break
                last.hand_in()
                began = time.monotonic()
                yield from turn.play()
                connection.depth = min(2 * connection.depth, MOST_DEPTH) if time.monotonic() - began < FAST_S else 1
                self._learn(turn, connection)
                if turn.put_back:
                    with self._lock:
                        self._waiting.extendleft(reversed(turn.put_back))
                    turn.put_back = []
            last.hand_in()
            turn.hand_in()
        except BaseException as error:  # a mistake of ours, or the thread's end, must not keep anyone waiting
            connection.close()
            last.fail(error)
            turn.fail(error)
            if not isinstance(error, Exception):
                raise
            logger.error("smtp session ended by a mistake", extra={"error": type(error).__name__})
        finally:
            self._connected -= 1

    def _fill(self, turn: Turn, connection: Connection, last: Turn) -> None:
        """Say what comes next, if there is anything. last: holds the letter that the server waits for."""
        if last.ahead is not None:
            letter, last.ahead = last.ahead, None
            turn.take_on(letter)
            turn.say((Step.DOT, letter, _stuffed(letter.wire)))
        elif connection.needs_reset:
            connection.needs_reset = False
            turn.say((Step.RESET, None, _RESET))
        if connection.pipelines:
            self._add(turn, connection)
        elif not turn:
            self._say_by_data(turn, self._take(turn, connection))

    def _learn(self, turn: Turn, connection: Connection) -> None:
        """Take note of how the server takes BDAT."""
        self._takes_bdat &= not turn.bdat_fails
        self._took_bdat |= connection.took_bdat
        if self._tries_bdat is connection:
            self._tries_bdat = None

    def _add(self, turn: Turn, connection: Connection) -> None:
        """Add messages: whole ones, if the server takes these, and the beginning of the last.

        The last one's DATA shows that replies are in step. A connection begins with it alone: one that was closed while
        it was idle takes no message with it.
        """
        size, whole, letter = 0, self._may_be_whole(connection), self._take(turn, connection)
        while letter is not None and whole and size < MOST_BYTES and not _COMMAND.search(letter.wire):
            after = self._take(turn, connection)
            if after is None:
                break
            size += self._say_whole(turn, letter)
            whole -= 1
            letter = after
            if not self._took_bdat:
                self._tries_bdat = connection
        self._say_by_data(turn, letter)

    def _may_be_whole(self, connection: Connection) -> int:
        """How many messages may go by BDAT."""
        if not self._takes_bdat or "CHUNKING" not in connection.extensions:
            return 0
        if self._took_bdat:
            return connection.depth - 1
        return min(connection.depth - 1, 1) if self._tries_bdat is None else 0

    def _say_whole(self, turn: Turn, letter: Letter) -> int:
        turn.say(
            (Step.MAIL, letter, self._mail),
            (Step.RCPT, letter, _rcpt(letter)),
            (Step.BDAT, letter, b"BDAT %d LAST\r\n%b" % (len(letter.wire), letter.wire)),
            # It may have been refused, and has to be forgotten then.
            (Step.RESET, None, _RESET),
        )
        return len(letter.wire)

    def _say_by_data(self, turn: Turn, letter: Letter | None) -> None:
        if letter is not None:
            turn.say(
                (Step.MAIL, letter, self._mail), (Step.RCPT, letter, _rcpt(letter)), (Step.DATA, letter, b"DATA\r\n")
            )

    def _take(self, turn: Turn, connection: Connection) -> Letter | None:
        """The next letter, ready to leave; None if nobody waits or the connection is used up."""
        while connection.tried < self._most_messages:
            with self._lock:
                if not self._waiting:
                    return None
                letter = self._waiting.popleft()
            if letter.begin_by < time.monotonic():
                settle([(letter, Unbegun())])
                continue
            try:
                letter.wire = letter.write()
            except Exception as error:  # one that cannot be put together must not sink the others
                settle([(letter, Failed(error))])
                continue
            connection.tried += 1
            turn.take_on(letter)
            return letter
        return None


def _rcpt(letter: Letter) -> bytes:
    return f"RCPT TO:<{letter.to}>\r\n".encode("ascii")


def _stuffed(wire: bytes) -> bytes:
    """A message with its dots doubled at the beginning of lines, and its end."""
    if b"\r\n." in wire:
        wire = wire.replace(b"\r\n.", b"\r\n..")
    return wire + b".\r\n"
