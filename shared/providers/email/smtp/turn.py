"""A turn of an SMTP session: what is said in one go, the replies to it, and which message each of them settles."""

import time
from collections import deque
from collections.abc import Iterable, Sequence

from shared.net.tasks import Task
from shared.providers.email.smtp.client import Connection
from shared.providers.email.smtp.letters import Answered, Ask, Broken, Doubted, Failed, Fate, Letter
from shared.providers.email.smtp.stream import ClosedError, Reply, Step

_CLOSING = 421
_GO_AHEAD = 354
_NO_BDAT = range(500, 505)
"""What a server answers to a command that it does not know, or not in this place (RFC 5321 section 4.2.3)."""


class Turn:
    """Things to say on a connection. timeout_s: how long the server may take for a reply.

    When it was played every letter in it is settled (which `hand_in` tells) or in `put_back`, or it is `ahead`.
    A connection that fails, or is out of step, is closed.
    """

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._stream = connection.stream
        self._timeout_s = timeout_s
        self._todo: deque[Ask] = deque()
        self._written: Sequence[Ask] = ()
        """What the last write held."""
        self._open: dict[Letter, None] = {}
        """Letters whose fate is not known yet, in the order in which they leave."""
        self._settled: list[tuple[Letter, Fate]] = []
        self.ahead: Letter | None = None
        """The letter that the server waits for."""
        self.put_back: list[Letter] = []
        """Letters that certainly were not sent, and are to go by another connection."""
        self.bdat_refused = False
        """Whether the server offers BDAT and does not know it."""

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self._todo)

    def take_on(self, letter: Letter) -> None:
        """Answer for a letter from now on."""
        self._open[letter] = None

    def say(self, step: Step, data: bytes, letter: Letter | None = None, *, is_bdat: bool = False) -> None:
        """Add something to say. letter: whose it is, which was taken on. is_bdat: whether it is a whole message."""
        self._todo.append(Ask(step, data, letter, is_bdat))

    def play(self) -> Task[None]:
        """Say everything, hear everything. Raises nothing that a server or a network may do."""
        try:
            while self._todo:
                yield from self._write()
                for ask in self._written:
                    if self._connection.is_closed:
                        break
                    self._hear((yield from self._stream.reply(ask.step)))
            self._look_for_more()
        except OSError as error:
            self._lose(error)

    def fail(self, error: BaseException) -> None:
        """A mistake of ours ended it: nobody knows what became of those in it."""
        for letter in (*self._open, *self.put_back, *([self.ahead] if self.ahead else [])):
            self._settled.append((letter, Failed(error)))
        self._open.clear()
        self.put_back, self.ahead = [], None
        self.hand_in()

    def hand_in(self) -> None:
        """Tell what became of those that are settled."""
        settle(self._settled)
        self._settled = []

    def _write(self) -> Task[None]:
        """Write all that is left, or the next command where the server wants to be waited for."""
        self._written = list(self._todo) if self._connection.pipelines else [self._todo[0]]
        end = 0
        for ask in self._written:
            end += len(ask.data)
            ask.end = end
        self._stream.left = 0
        self._be_patient()
        yield from self._stream.write(b"".join([ask.data for ask in self._written]))

    def _be_patient(self) -> None:
        """Give the server its time once more: while it is at one message it may do nothing for the next."""
        ends = [letter.end for letter in self._open]
        self._stream.deadline = min([time.monotonic() + self._timeout_s, *ends])

    def _hear(self, reply: Reply) -> None:
        """Take a reply as the one to the next ask."""
        ask = self._todo.popleft()
        letter, step, code = ask.letter, ask.step, reply.code
        if code == _CLOSING or not _fits(step, code):
            self._end_session(ask, reply)
        elif letter is None:
            # A server that does not forget a message is given no more after this turn.
            self._connection.is_spent |= code >= 400
        elif step is Step.DOT:
            self._hear_end(ask, letter, reply)
        elif letter.refusal is not None or code >= 400:
            letter.refusal = letter.refusal or reply
            self._after_refusal(letter, reply)
        elif step is Step.DATA:
            self._open.pop(letter)
            self.ahead = letter

    def _hear_end(self, ask: Ask, letter: Letter, reply: Reply) -> None:
        """Take the reply to a whole message."""
        if letter.refusal is not None:
            # BDAT followed a refused address, so there is nothing that it could have ended.
            self._settle(letter, Answered(letter.refusal) if reply.code >= 400 else Doubted())
        elif ask.is_bdat and reply.code in _NO_BDAT and not self._connection.took_bdat:
            self.bdat_refused = True
            self._put_back(letter)
        else:
            self._connection.took_bdat |= ask.is_bdat
            self._settle(letter, Answered(reply))
        self._be_patient()

    def _after_refusal(self, letter: Letter, reply: Reply) -> None:
        """Hear the replies to what was said of a refused letter already; say no more of it."""
        if not self._connection.pipelines:
            while self._todo and self._todo[0].letter is letter:
                self._todo.popleft()
        elif self._todo and self._todo[0].letter is letter:
            return
        elif reply.code == _GO_AHEAD:
            # RFC 2920 section 3.1 lets a server take DATA without a recipient. Leave rather than end the message.
            self._connection.close()
        self._settle(letter, Answered(letter.refusal or reply))
        self._connection.needs_reset = True

    def _end_session(self, ask: Ask, reply: Reply) -> None:
        """The server closes, or its replies are in step with what was said no longer."""
        letter, closing = ask.letter, reply.code == _CLOSING
        if not closing:
            self._doubt()
        if letter is not None:
            if closing and ask.step is Step.MAIL and self._may_go_again(letter):
                self._put_back(letter)
            elif not closing and ask.step is not Step.DOT and self._left(letter):
                # It went along in the same write.
                self._settle(letter, Doubted())
            else:
                # What was refused before stays refused.
                self._settle(letter, Answered(letter.refusal or reply))
        for other in list(self._open):
            if not closing and self._left(other):
                self._settle(other, Doubted())
            else:
                # After 421 a server closes and does nothing more (RFC 5321 section 3.8).
                self._put_back(other)
        self._todo.clear()
        self._connection.close()

    def _look_for_more(self) -> None:
        """A server that says more than it was asked for is out of step, and there is no telling since when."""
        if self._connection.is_closed or self._stream.is_clean:
            return
        more = self._stream.heard(Step.DOT)
        self._connection.close()
        if self.ahead is not None:
            # Its DATA was answered in its place, so what went before is in order; this one has not left.
            self._charge(ClosedError("out of step"))
        elif more is not None and more.code >= 400 and more.code != _CLOSING:
            self._doubt()

    def _doubt(self) -> None:
        """What was taken for a message's success may be the answer to something else."""
        self._settled = [
            (letter, Doubted() if isinstance(fate, Answered) and 200 <= fate.reply.code < 300 else fate)
            for letter, fate in self._settled
        ]

    def _lose(self, error: OSError) -> None:
        """The connection failed: what was heard counts, then what had left."""
        self._stream.drain()
        while self._todo and not self._connection.is_closed:
            ask = self._todo[0]
            reply = self._stream.heard(ask.step)
            # What it has not got it cannot have taken, but it may refuse it.
            if reply is None or (reply.code < 400 and ask.end > self._stream.left):
                break
            self._hear(reply)
        self._connection.close()
        self._charge(error)

    def _charge(self, error: OSError) -> None:
        """Settle those who were under way when a connection failed; behind the first, who has not left is put back."""
        under_way = [*self._open, *([self.ahead] if self.ahead else [])]
        self.ahead = None
        for behind, letter in enumerate(under_way):
            if letter.refusal is not None:
                self._settle(letter, Answered(letter.refusal))
            elif self._left(letter):
                self._settle(letter, Broken(error, left=True))
            elif behind or (not isinstance(error, TimeoutError) and self._may_go_again(letter)):
                self._put_back(letter)
            else:
                self._settle(letter, Broken(error, left=False))
        self._todo.clear()

    def _may_go_again(self, letter: Letter) -> bool:
        """Whether the one at which a connection failed gets another: once, and if this one has served others."""
        if letter.spared or not self._connection.served:
            return False
        letter.spared = True
        return True

    def _left(self, letter: Letter) -> bool:
        """Whether a letter's last byte had left."""
        return any(
            ask.letter is letter and ask.step is Step.DOT and ask.end <= self._stream.left for ask in self._written
        )

    def _settle(self, letter: Letter, fate: Fate) -> None:
        self._open.pop(letter, None)
        self._settled.append((letter, fate))
        self._connection.served |= isinstance(fate, Answered)

    def _put_back(self, letter: Letter) -> None:
        self._open.pop(letter, None)
        letter.wire = b""
        self.put_back.append(letter)


def settle(fates: Iterable[tuple[Letter, Fate]]) -> None:
    """Tell what became of letters."""
    for letter, fate in fates:
        letter.fate = fate
        letter.wire = b""
        letter.order.finish()


def _fits(step: Step, code: int) -> bool:
    """Whether a reply may answer a step."""
    if code >= 400:
        return True
    if step is Step.DATA:
        return code == _GO_AHEAD
    return 200 <= code < 300 if step is Step.DOT else 250 <= code <= 252
