"""A turn against a peer that says what a test tells it to: whose reply it was, and what had left."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shared.net.tasks import Loop
from shared.providers.email.smtp.client import Connection
from shared.providers.email.smtp.letters import Answered, Broken, Doubted, Failed, Fate, Letter, letters_of
from shared.providers.email.smtp.stream import Step, Stream
from shared.providers.email.smtp.turn import Turn

Peer = Callable[[socket.socket], None]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def letters(count: int, patience_s: float = 20) -> list[Letter]:
    now = time.monotonic()
    return letters_of([(f"u{at}@example.com", bytes) for at in range(count)], now + patience_s, now + patience_s)


def by_bdat(turn: Turn, letter: Letter, body: bytes = b"Subject: x\r\n\r\n") -> None:
    turn.take_on(letter)
    turn.say(
        (Step.MAIL, letter, b"MAIL FROM:<a@b.cn>\r\n"),
        (Step.RCPT, letter, b"RCPT TO:<x>\r\n"),
        (Step.BDAT, letter, b"BDAT %d LAST\r\n%b" % (len(body), body)),
        (Step.RESET, None, b"RSET\r\n"),
    )


def by_data(turn: Turn, letter: Letter) -> None:
    turn.take_on(letter)
    turn.say(
        (Step.MAIL, letter, b"MAIL FROM:<a@b.cn>\r\n"),
        (Step.RCPT, letter, b"RCPT TO:<x>\r\n"),
        (Step.DATA, letter, b"DATA\r\n"),
    )


def connection(sock: socket.socket) -> Connection:
    made = Connection(Stream(sock, time.monotonic() + 20), 0)
    made.extensions = {"PIPELINING": "", "CHUNKING": ""}
    return made


def play(turn: Turn, theirs: socket.socket, peer: Peer) -> None:
    """Play a turn while a peer of its own thread listens and speaks."""
    thread = threading.Thread(target=peer, args=(theirs,))
    thread.start()
    with Loop() as loop:
        loop.run(turn.play())
    turn.hand_in()
    thread.join(5)


def saying(words: bytes, then_close: bool = False) -> Peer:
    """A peer that hears something, and says this."""

    def peer(sock: socket.socket) -> None:
        sock.recv(1_000_000)
        sock.sendall(words)
        if then_close:
            sock.close()

    return peer


OK = b"250 ok\r\n"


def test_each_reply_is_of_the_message_that_asked(pair: tuple[socket.socket, socket.socket]) -> None:
    first, second, third = letters(3)
    turn = Turn(connection(pair[0]), 5)
    by_bdat(turn, first)
    by_bdat(turn, second)
    by_data(turn, third)
    replies = OK * 2 + b"250 first\r\n" + OK * 2 + b"550-no\r\n550 such user\r\n503 what?\r\n" + OK * 3 + b"354 go\r\n"
    play(turn, pair[1], saying(replies))
    assert isinstance(first.fate, Answered) and first.fate.reply.text == "first"
    assert isinstance(second.fate, Answered) and second.fate.reply == (Step.RCPT, 550, "no\nsuch user")
    assert (third.fate, turn.ahead, turn.put_back) == (None, third, [])


@pytest.mark.parametrize("stray", range(7))
def test_a_reply_too_many_leaves_nothing_sent_that_may_not_be(
    stray: int, pair: tuple[socket.socket, socket.socket]
) -> None:
    """DATA is answered by what is no answer to it, so of what seemed to be taken before nobody knows."""
    first, second = letters(2)
    turn = Turn(connection(pair[0]), 5)
    by_bdat(turn, first)
    by_data(turn, second)
    replies = [OK] * 6 + [b"354 go\r\n"]
    replies.insert(stray, OK)
    play(turn, pair[1], saying(b"".join(replies)))
    assert first.fate == Doubted()
    assert turn.ahead is None
    assert not isinstance(second.fate, Answered) or second.fate.reply.code == 250
    assert second.fate is None or not isinstance(second.fate, Doubted)


def test_after_421_nothing_behind_it_was_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    first, second, third = letters(3)
    turn = Turn(connection(pair[0]), 5)
    for letter in (first, second, third):
        by_bdat(turn, letter)
    play(turn, pair[1], saying(OK * 4 + OK * 2 + b"421 too many\r\n", then_close=True))
    assert isinstance(first.fate, Answered) and first.fate.reply.code == 250
    assert isinstance(second.fate, Answered) and second.fate.reply.code == 421
    assert (third.fate, turn.put_back) == (None, [third])


def test_a_421_at_the_first_word_of_a_message_gives_it_one_more_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    (letter,) = letters(1)
    served = connection(pair[0])
    served.served = True
    turn = Turn(served, 5)
    by_data(turn, letter)
    play(turn, pair[1], saying(b"421 enough for one connection\r\n", then_close=True))
    assert (letter.fate, letter.spared, turn.put_back) == (None, True, [letter])


def test_exactly_those_are_unknown_whose_last_byte_had_left(pair: tuple[socket.socket, socket.socket]) -> None:
    """The peer takes the beginning and closes; a write of megabytes can then not have left whole."""
    first, second, third = letters(3)
    made = connection(pair[0])
    made.served = True
    turn = Turn(made, 5)
    by_bdat(turn, first)
    by_bdat(turn, second, b"x" * 20_000_000)
    by_bdat(turn, third)

    def peer(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.close()

    play(turn, pair[1], peer)
    assert isinstance(first.fate, Broken) and first.fate.left
    assert (second.fate, third.fate, turn.put_back) == (None, None, [second, third])
    assert made.is_closed


def test_a_refusal_before_the_message_has_left_counts(pair: tuple[socket.socket, socket.socket]) -> None:
    """A server that refuses a message for its size while it comes, and closes."""
    (letter,) = letters(1)
    turn = Turn(connection(pair[0]), 5)
    turn.take_on(letter)
    turn.say((Step.DOT, letter, b"x" * 20_000_000 + b"\r\n.\r\n"))

    def peer(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"552 5.3.4 too large\r\n")
        sock.close()

    play(turn, pair[1], peer)
    assert isinstance(letter.fate, Answered) and letter.fate.reply == (Step.DOT, 552, "5.3.4 too large")


def test_a_yes_before_the_message_has_left_is_none(pair: tuple[socket.socket, socket.socket]) -> None:
    (letter,) = letters(1)
    turn = Turn(connection(pair[0]), 5)
    turn.take_on(letter)
    turn.say((Step.DOT, letter, b"x" * 20_000_000 + b"\r\n.\r\n"))

    def peer(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(OK)
        sock.close()

    play(turn, pair[1], peer)
    assert isinstance(letter.fate, Broken) and not letter.fate.left


def test_a_slow_reader_that_speaks_meanwhile_is_heard(pair: tuple[socket.socket, socket.socket]) -> None:
    """It reads on only after its replies were read: neither side may wait for the other."""
    several = letters(40)
    turn = Turn(connection(pair[0]), 10)
    for letter in several:
        by_bdat(turn, letter, b"y" * 200_000)
    total = sum(len(data) for _, _, data in turn._todo)

    def peer(sock: socket.socket) -> None:
        for _ in several:
            sock.sendall(b"250-" + b"w" * 4000 + b"\r\n250 mail\r\n" + OK + b"250 taken\r\n" + OK)
        read = 0
        while read < total:
            read += len(sock.recv(100_000))

    play(turn, pair[1], peer)
    assert [type(letter.fate) for letter in several] == [Answered] * 40


@pytest.mark.parametrize("reply", [b"354 go on\r\n250 early\r\n", b"354 go on\r\nwhat?\r\n"])
def test_a_server_that_says_more_than_it_was_asked_gets_no_message(
    reply: bytes, pair: tuple[socket.socket, socket.socket]
) -> None:
    (letter,) = letters(1)
    made = connection(pair[0])
    turn = Turn(made, 5)
    by_data(turn, letter)
    play(turn, pair[1], saying(OK * 2 + reply))
    assert isinstance(letter.fate, Broken) and not letter.fate.left
    assert made.is_closed and turn.ahead is None


@pytest.mark.parametrize("took_before", [False, True])
def test_time_that_is_over_is_told_apart_from_a_connection_that_failed(
    pair: tuple[socket.socket, socket.socket], took_before: bool
) -> None:
    first, second = letters(2, patience_s=0.2)
    made = connection(pair[0])
    made.took_bdat = took_before
    turn = Turn(made, 5)
    by_bdat(turn, first)
    by_data(turn, second)
    play(turn, pair[1], saying(OK * 2))
    assert isinstance(first.fate, Broken) and first.fate.left and isinstance(first.fate.error, TimeoutError)
    assert turn.put_back == [second]
    assert turn.bdat_fails is not took_before


def test_a_server_without_bdat_is_told_from_one_that_refuses(pair: tuple[socket.socket, socket.socket]) -> None:
    (letter,) = letters(1)
    turn = Turn(connection(pair[0]), 5)
    by_bdat(turn, letter)
    play(turn, pair[1], saying(OK * 2 + b"502 no such command\r\n" + OK))
    assert (letter.fate, turn.put_back, turn.bdat_fails) == (None, [letter], True)


def test_a_server_that_takes_a_refused_message_for_commands_is_out_of_step(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """It offers CHUNKING and leaves the message of a refused BDAT where it is: each of its lines gets an answer."""
    refused, behind = letters(2)
    made = connection(pair[0])
    turn = Turn(made, 5)
    by_bdat(turn, refused)
    by_bdat(turn, behind)
    replies = OK + b"550 no\r\n503 what?\r\n" + b"500 what?\r\n" * 2 + OK * 5
    play(turn, pair[1], saying(replies))
    assert isinstance(refused.fate, Answered) and refused.fate.reply.code == 550
    assert behind.fate == Doubted()
    assert made.is_closed


def test_a_mistake_of_ours_leaves_nobody_waiting(pair: tuple[socket.socket, socket.socket]) -> None:
    several = letters(2)
    turn = Turn(connection(pair[0]), 5)
    for letter in several:
        by_data(turn, letter)
    mistake = ValueError()
    turn.fail(mistake)
    expected: list[Fate] = [Failed(mistake)] * 2
    assert [letter.fate for letter in several] == expected
    assert several[0].order.done.is_set()
