"""A turn of an SMTP session: what is said in one go, the replies to it, and which message each of them settles."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from math import inf

from shared.net.tasks import Task
from shared.providers.email.smtp.client import Connection
from shared.providers.email.smtp.letters import Answered, Broken, Doubted, Failed, Fate, Letter
from shared.providers.email.smtp.stream import Reply, Step, reply_of

_CLOSING = 421
_GO_AHEAD = 354
_OK = 250
_BEFORE_DATA = frozenset({Step.MAIL, Step.RCPT, Step.RESET})
_NO_BDAT = range(500, 505)
"""What a server answers to a command that it does not know, or not in this place (RFC 5321 section 4.2.3)."""


Ask = tuple[Step, Letter | None, bytes]
"""Something said that is answered: the step, whose message it is of, and the words."""


class Turn:
    """Things to say on a connection. timeout_s: how long the server may take for a reply.

    When it was played every letter in it is settled (which `hand_in` tells) or in `put_back`, or it is `ahead`.
    A connection that fails, or is out of step, is closed.
    """

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._stream = connection.stream
        self._timeout_s = timeout_s
        self._end = inf
        """When the first letter's time is over, on the monotonic clock."""
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
        self.bdat_fails = False
        """Whether the server offers BDAT and does not know it, or never answers the first on a connection."""

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self._todo)

    def take_on(self, letter: Letter) -> None:
        """Answer for a letter from now on."""
        self._open[letter] = None
        self._end = min(self._end, letter.end)

    def say(self, *asks: Ask) -> None:
        """Add things to say, of letters that were taken on."""
        self._todo.extend(asks)

    def play(self) -> Task[None]:
        """Say everything, hear everything. Raises nothing that a server or a network may do."""
        stream, todo, replies = self._stream, self._todo, self._stream.replies
        try:
            while todo:
                data = self._next_write()
                self._be_patient()
                if not stream.wrote(data):
                    yield from stream.write_on(data)
                for step, letter, _ in self._written:
                    while not replies:
                        yield from stream.listen()
                    code, text = replies.popleft()
                    todo.popleft()
                    if code == _OK and step in _BEFORE_DATA and (letter is None or letter.refusal is None):
                        continue
                    self._hear(step, letter, code, text)
                    if self._connection.is_closed:
                        break
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

    def _next_write(self) -> bytes:
        """All that is left, or the next command where the server wants to be waited for."""
        self._written = list(self._todo) if self._connection.pipelines else [self._todo[0]]
        return b"".join([data for _, _, data in self._written])

    def _be_patient(self) -> None:
        """Give the server its time once more: while it is at one message it may do nothing for the next."""
        self._stream.deadline = min(time.monotonic() + self._timeout_s, self._end)

    def _hear(self, step: Step, letter: Letter | None, code: int, text: bytes) -> None:
        """Take a reply as the one to a step."""
        if code == _CLOSING or letter is None or not _fits(step, code):
            # RSET is never refused (RFC 5321 section 4.3.2): some servers take a refused BDAT's message for commands.
            self._end_session(step, letter, reply_of(_plain(step), code, text))
        elif step is Step.DOT or step is Step.BDAT:
            self._hear_end(step, letter, reply_of(Step.DOT, code, text))
        elif letter.refusal is not None or code >= 400:
            reply = reply_of(step, code, text)
            letter.refusal = letter.refusal or reply
            self._after_refusal(letter, reply)
        elif step is Step.DATA:
            del self._open[letter]
            self.ahead = letter

    def _hear_end(self, step: Step, letter: Letter, reply: Reply) -> None:
        """Take the reply to a whole message."""
        by_bdat = step is Step.BDAT
        if letter.refusal is not None:
            # BDAT followed a refused address, so there is nothing that it could have ended.
            self._settle(letter, Answered(letter.refusal) if reply.code >= 400 else Doubted())
        elif by_bdat and reply.code in _NO_BDAT and not self._connection.took_bdat:
            self.bdat_fails = True
            self._put_back(letter)
        else:
            self._connection.took_bdat |= by_bdat
            self._settle(letter, Answered(reply))
        self._be_patient()

    def _after_refusal(self, letter: Letter, reply: Reply) -> None:
        """Hear the replies to what was said of a refused letter already; say no more of it."""
        if not self._connection.pipelines:
            while self._todo and self._todo[0][1] is letter:
                self._todo.popleft()
        elif self._todo and self._todo[0][1] is letter:
            return
        elif reply.code == _GO_AHEAD:
            # RFC 2920 section 3.1 lets a server take DATA without a recipient. Leave rather than end the message.
            self._connection.close()
        self._settle(letter, Answered(letter.refusal or reply))
        self._connection.needs_reset = True

    def _end_session(self, step: Step, letter: Letter | None, reply: Reply) -> None:
        """The server closes, or its replies are in step with what was said no longer."""
        closing = reply.code == _CLOSING
        if not closing:
            self._doubt()
        if letter is not None:
            if closing and step is Step.MAIL and self._may_go_again(letter):
                self._put_back(letter)
            elif not closing and reply.step is not Step.DOT and self._left(letter):
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
        more = self._stream.replies[0][0] if self._stream.replies else 0
        self._connection.close()
        if self.ahead is not None:
            # Its DATA was answered in its place, so what went before is in order; this one has not left.
            self._charge(ConnectionError("out of step"))
        elif more >= 400 and more != _CLOSING:
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
        while self._todo and self._stream.replies and not self._connection.is_closed:
            step, letter, _ = self._todo[0]
            code, text = self._stream.replies.popleft()
            # What it has not got it cannot have taken, but it may refuse it.
            if code < 400 and self._heard_to() > self._stream.left:
                break
            self._todo.popleft()
            self._hear(step, letter, code, text)
        self._connection.close()
        self._charge(error)

    def _charge(self, error: OSError) -> None:
        """Settle those who were under way when a connection failed; behind the first, who has not left is put back."""
        under_way = [*self._open, *([self.ahead] if self.ahead else [])]
        self.ahead = None
        asked = self._todo[0][0] if self._todo else None
        self.bdat_fails |= asked is Step.BDAT and isinstance(error, TimeoutError) and not self._connection.took_bdat
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
        end = 0
        for step, whose, data in self._written:
            end += len(data)
            if whose is letter and step in (Step.DOT, Step.BDAT):
                return end <= self._stream.left
        return False

    def _heard_to(self) -> int:
        """Where the end of that is which is answered next, in the last write."""
        said = len(self._written) - len(self._todo) + 1 if self._connection.pipelines else 1
        return sum(len(data) for _, _, data in self._written[:said])

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


def _plain(step: Step) -> Step:
    """The step as replies name it."""
    return Step.DOT if step is Step.BDAT else step


def _fits(step: Step, code: int) -> bool:
    """Whether a reply may answer a step."""
    if code >= 400:
        return True
    if step is Step.DATA:
        return code == _GO_AHEAD
    return 200 <= code < 300 if step in (Step.DOT, Step.BDAT) else 250 <= code <= 252
