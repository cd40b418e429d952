"""The SMTP provider against its sandbox: what goes out, over which connections, and what each mishap means."""

import logging
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault
from local.sandbox.smtp import SmtpSandbox
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing
from shared.providers.email.smtp import provider as smtp
from shared.providers.email.smtp.provider import SmtpProvider
from tests.contract.email.smtp.hostile import HostileServer
from tests.contract.email.support import HTML, SUBJECT, TEXT, closed_port, scripted, send_one, silent
from tests.fakes import FakeClock

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]
TO = "zhang.san@example.com"


@pytest.fixture(params=[(True, True), (True, False), (False, False)], ids=["chunking", "pipelining", "in steps"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[SmtpSandbox]:
    pipelining, chunking = request.param
    with SmtpSandbox(pipelining=pipelining, chunking=chunking) as found:
        yield found


@pytest.fixture
def plain() -> Iterator[SmtpSandbox]:
    with SmtpSandbox() as found:
        yield found


def test_what_arrives_is_what_was_sent(sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(sandbox, from_name="通知中心 🎉", reply_to="help@example.com")
    message = outgoing()
    outcome = send_one(provider, message)
    (delivery,) = sandbox.outbox.all("smtp", TO)
    assert outcome == Sent(delivery.id)
    assert delivery.data["subject"] == SUBJECT
    assert delivery.data["text"] == TEXT
    assert delivery.data["html"] == HTML
    assert delivery.data["from_name"] == "通知中心 🎉"
    assert delivery.data["from_address"] == delivery.data["sender"] == "notice@example.com"
    assert delivery.data["reply_to"] == "help@example.com"
    assert delivery.data["to"] == TO
    assert delivery.data["message_id"] == message.message_id
    assert delivery.data["message_id_header"] == f"<{message.message_id}@example.com>"


def test_plain_bodies_keep_their_dots(sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(sandbox)
    text = ".\n..\n.a\nb.\n\n.\n"
    for message in (outgoing(subject="dots", text=text, html=None), outgoing(subject="two", text=text, html=text)):
        assert isinstance(send_one(provider, message), Sent)
    assert [d.data["text"] for d in sandbox.outbox.all()] == [text, text]


def test_dots_are_kept_of_many_messages_too(sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    texts = [f"{at}\n.\n..\n.a\n\n.\n" for at in range(20)]
    provider = smtp_provider(sandbox, max_connections=1)
    outcomes = provider.send([outgoing(subject="dots", text=text, html=None) for text in texts])
    assert [type(outcome) for outcome in outcomes] == [Sent] * 20
    assert [delivery.data["text"] for delivery in sandbox.outbox.all()] == texts


def test_an_account_may_do_without_chunking(smtp_provider: Make, outgoing: Message) -> None:
    with HostileServer(1, ("CHUNKING", "PIPELINING"), ("close",)).serving() as server:
        for chunking in (True, False):
            provider = smtp_provider(server.port, chunking=chunking, max_connections=1)
            provider.send([outgoing(f"{chunking}{at}@example.com") for at in range(20)])
            provider.close()
            assert (b"BDAT" in server.verbs) is chunking
            server.verbs.clear()


def test_a_server_that_hangs_with_bdat_holds_up_one_message(smtp_provider: Make, outgoing: Message) -> None:
    with HostileServer(1, ("CHUNKING", "PIPELINING"), ("",), bdat="hangs").serving() as server:
        provider = smtp_provider(server.port, timeout_s=1, max_connections=4)
        for _ in range(2):
            outcomes = provider.send([outgoing(f"u{at}@example.com") for at in range(34)])
            unknown = [outcome for outcome in outcomes if isinstance(outcome, Unknown)]
            assert [outcome for outcome in outcomes if not isinstance(outcome, Sent | Unknown)] == []
            assert len(unknown) == (1 if b"BDAT" in server.verbs else 0)
            server.verbs.clear()
        assert not unknown


def test_no_servers_mistake_makes_a_text_a_message(smtp_provider: Make, outgoing: Message) -> None:
    """Lines of a message that the server refused, and left where it was, are commands to it."""
    said = "mail FROM:<shop@example.com>\nRCPT TO:<victim@example.com>\nDATA\nSubject: x\n\nhello\n.\n"
    with HostileServer(1, ("CHUNKING", "PIPELINING"), ("",), bdat="leaves").serving() as server:
        provider = smtp_provider(server.port, timeout_s=1, max_connections=1)
        names = [name for at in range(10) for name in (f"u{at}", f"gone{at}")]
        outcomes = provider.send([outgoing(f"{name}@example.com", text=said, html=None) for name in names])
        provider.close()
    assert set(server.taken) == {f"u{at}@example.com" for at in range(10)}
    assert [type(outcome) for outcome in outcomes] == [Sent, Rejected] * 10


@pytest.mark.parametrize(
    ("flavour", "sent"),
    [("plain", "000000000001"), ("ses", "0102" + "0" * 27 + "1-000000"), ("qq", None)],
)
def test_the_providers_id_or_else_ours(flavour: Any, sent: str | None, smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(flavour=flavour) as sandbox:
        message = outgoing()
        expected = sent or f"<{message.message_id}@example.com>"
        assert send_one(smtp_provider(sandbox), message) == Sent(expected)
        assert [d.id for d in sandbox.outbox.all()] == [expected]


def fault(kind: Any, **changes: Any) -> Fault:
    return Fault(kind, **changes)


@pytest.mark.parametrize(
    ("played", "expected", "accepted"),
    [
        (fault("throttle"), Retry(Reason.THROTTLED, "450 4.7.1"), 0),
        (fault("throttle", to=TO), Retry(Reason.THROTTLED, "450 4.7.1"), 0),
        (fault("status", status=421), Retry(Reason.PROVIDER_BUSY, "421 4.3.2"), 0),
        (fault("outage", seconds=60), Retry(Reason.PROVIDER_BUSY, "421 4.3.2"), 0),
        (fault("status", status=450, to=TO), Retry(Reason.RECIPIENT_BUSY, "450 4.2.1"), 0),
        (fault("status", status=451, to=TO), Retry(Reason.PROVIDER_BUSY, "451 4.3.0"), 0),
        (fault("status", status=454, to=TO), Retry(Reason.PROVIDER_BUSY, "454"), 0),
        (fault("status", status=421, to=TO), Retry(Reason.PROVIDER_BUSY, "421 4.3.2"), 0),
        (fault("status", status=550, to=TO), Rejected(Reason.ADDRESS_UNKNOWN, "550 5.1.1"), 0),
        (fault("code", status=552, code="5.2.2 full", to=TO), Retry(Reason.MAILBOX_FULL, "552 5.2.2"), 0),
        (fault("bad_json", to=TO), Retry(Reason.UNRECOGNISED_ANSWER, "-1"), 0),
        (fault("reset_before", to=TO), Retry(Reason.CONNECTION_FAILED, "connection_lost"), 0),
        (fault("status", status=451), Retry(Reason.PROVIDER_BUSY, "451 4.3.0"), 0),
        (fault("status", status=554), Rejected(Reason.CONTENT_REFUSED, "554 5.7.1"), 0),
        (fault("status", status=552), Rejected(Reason.CONTENT_TOO_LONG, "552"), 0),
        (fault("bad_json"), Unknown(Reason.UNRECOGNISED_ANSWER, "-1"), 0),
        (fault("reset_before"), Retry(Reason.CONNECTION_FAILED, "connection_lost"), 0),
        (fault("reset_before", at="dot"), Unknown(Reason.CONNECTION_LOST, "connection_lost"), 0),
        (fault("reset_after"), Unknown(Reason.CONNECTION_LOST, "connection_lost"), 1),
    ],
    ids=lambda value: f"{value.kind}-{value.status}-{'rcpt' if value.to else ''}" if isinstance(value, Fault) else "",
)
def test_mishaps(
    played: Fault, expected: Outcome, accepted: int, sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    provider = smtp_provider(sandbox)
    sandbox.faults.add(played)
    assert send_one(provider, outgoing()) == expected
    assert sandbox.outbox.count() == accepted
    sandbox.faults.clear()
    assert isinstance(send_one(provider, outgoing()), Sent)


def test_slow_before_the_message_left(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    plain.faults.add(Fault("delay", seconds=30, to=TO))
    assert send_one(smtp_provider(plain, timeout_s=0.1), outgoing()) == Retry(Reason.TIMED_OUT, "timed_out")


def test_slow_after_the_message_left(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    plain.faults.add(Fault("delay", seconds=30))
    assert send_one(smtp_provider(plain, timeout_s=0.1), outgoing()) == Unknown(Reason.TIMED_OUT, "timed_out")


def test_a_delay_within_the_time_is_fine(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    plain.faults.add(Fault("delay", seconds=0.05))
    assert isinstance(send_one(smtp_provider(plain), outgoing()), Sent)


def test_a_server_that_never_greets(smtp_provider: Make, outgoing: Message) -> None:
    with silent() as port:
        provider = smtp_provider(port, connect_timeout_s=0.1)
        assert send_one(provider, outgoing()) == Retry(Reason.CONNECTION_FAILED, "timed_out")
        assert "did not answer in time" in provider.verify().summary


@pytest.mark.parametrize("greeting", [b"554 no service for you\r\n", b"what?\r\n"])
def test_a_server_that_greets_badly(greeting: bytes, smtp_provider: Make, outgoing: Message) -> None:
    with scripted(greeting) as (port, _):
        outcome = send_one(smtp_provider(port), outgoing())
    expected = Retry(Reason.CONNECTION_FAILED, "554"), Retry(Reason.UNRECOGNISED_ANSWER, "-1")
    assert outcome == expected[greeting[:1] == b"w"]


EHLO = b"250-server\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


def test_data_taken_without_a_recipient_is_not_ended(smtp_provider: Make, outgoing: Message) -> None:
    """A server may answer DATA with 354 though it refused the recipient; a final dot would then send a message."""
    with scripted(b"220 hi\r\n", EHLO, b"250 ok\r\n550 5.1.1 no\r\n354 go on\r\n", b"250 sent!\r\n") as (port, heard):
        assert send_one(smtp_provider(port), outgoing()) == Rejected(Reason.ADDRESS_UNKNOWN, "550 5.1.1")
    assert heard[-1].endswith(b"DATA\r\n")


@pytest.mark.parametrize("reply", [b"250-x\r\n" * 200, b"2" * 10_000])
def test_a_reply_without_end(reply: bytes, smtp_provider: Make, outgoing: Message) -> None:
    with scripted(b"220 hi\r\n", EHLO, reply, b"") as (port, _):
        assert send_one(smtp_provider(port), outgoing()) == Retry(Reason.CONNECTION_FAILED, "connection_lost")


def test_replies_in_pieces(smtp_provider: Make, outgoing: Message) -> None:
    script = [
        b"220-a\r\n220 b\r\n",
        b"250 server\r\n",
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"354 go on\r\n",
        b"250 Ok abc-0123\r\n",
    ]
    with scripted(*script) as (port, heard):
        assert send_one(smtp_provider(port, helo="mail.example.org"), outgoing()) == Sent("abc-0123")
    assert heard[0].lower() == b"ehlo mail.example.org\r\n"
    assert heard[1:4] == [b"MAIL FROM:<notice@example.com>\r\n", b"RCPT TO:<zhang.san@example.com>\r\n", b"DATA\r\n"]


def test_one_write_for_the_envelope(smtp_provider: Make, outgoing: Message) -> None:
    with scripted(b"220 hi\r\n", EHLO, b"250 ok\r\n250 ok\r\n354 go on\r\n", b"250 ok\r\n") as (port, heard):
        assert isinstance(send_one(smtp_provider(port), outgoing()), Sent)
    assert heard[1] == b"MAIL FROM:<notice@example.com>\r\nRCPT TO:<zhang.san@example.com>\r\nDATA\r\n"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("张三@example.com", "non_ascii_local_part"),
        ("a@b.com>\r\nRCPT TO:<evil@example.com", "not_well_formed"),
        ("nobody", "not_well_formed"),
    ],
)
def test_addresses_that_never_leave(
    to: str, code: str, plain: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    assert send_one(smtp_provider(plain), outgoing(to)) == Rejected(Reason.ADDRESS_INVALID, code)
    assert plain.connections == 0


# Connections


def test_a_connection_is_kept(sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(sandbox)
    outcomes = [send_one(provider, outgoing()) for _ in range(5)]
    sandbox.faults.add(Fault("status", status=550, to=TO))
    sandbox.faults.add(Fault("status", status=554))
    outcomes += [send_one(provider, outgoing()) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [*[Sent] * 5, Rejected, Rejected, Sent]
    assert sandbox.connections == 1


def test_a_group_is_answered_in_order(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(plain)
    messages = [outgoing("a@example.com"), outgoing("b@example.com"), outgoing("c@example.com")]
    plain.faults.add(Fault("status", status=550, to="b@example.com"))
    assert provider.group(messages) == [messages]
    assert [type(outcome) for outcome in provider.send(messages)] == [Sent, Rejected, Sent]


def test_a_connection_is_given_up_after_some_messages(
    plain: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    provider = smtp_provider(plain, max_messages_per_connection=3)
    for _ in range(7):
        assert isinstance(send_one(provider, outgoing()), Sent)
    assert plain.connections == 3


@pytest.mark.parametrize(("seconds", "connections"), [(59, 1), (60, 2), (-1, 2)])
def test_a_connection_is_given_up_with_age(
    seconds: int, connections: int, plain: SmtpSandbox, smtp_provider: Make, outgoing: Message, clock: FakeClock
) -> None:
    provider = smtp_provider(plain)
    send_one(provider, outgoing())
    clock.advance(seconds)
    assert isinstance(send_one(provider, outgoing()), Sent)
    assert plain.connections == connections


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle for too long\r\n"])
@pytest.mark.parametrize("security", ["none", "tls"])
def test_a_connection_closed_while_idle_is_replaced(
    security: Any, farewell: bytes, smtp_provider: Make, outgoing: Message
) -> None:
    with SmtpSandbox(security=security) as sandbox:
        provider = smtp_provider(sandbox)
        send_one(provider, outgoing())
        sandbox.drop_connections(farewell)
        assert isinstance(send_one(provider, outgoing()), Sent)
        assert (sandbox.connections, sandbox.outbox.count()) == (2, 2)


def test_a_connection_closed_as_the_envelope_leaves_is_replaced(
    sandbox: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    provider = smtp_provider(sandbox)
    send_one(provider, outgoing())
    sandbox.faults.add(Fault("reset_before"))
    assert isinstance(send_one(provider, outgoing()), Sent)
    assert (sandbox.connections, sandbox.outbox.count()) == (2, 2)


def test_it_is_replaced_once_only(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(plain)
    send_one(provider, outgoing())
    plain.faults.add(Fault("reset_before", times=-1))
    assert send_one(provider, outgoing()) == Retry(Reason.CONNECTION_FAILED, "connection_lost")
    assert (plain.connections, plain.outbox.count()) == (2, 1)


def test_a_message_that_left_is_never_sent_again(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(plain)
    send_one(provider, outgoing())
    plain.faults.add(Fault("reset_after"))
    assert isinstance(send_one(provider, outgoing()), Unknown)
    assert (plain.connections, plain.outbox.count()) == (1, 2)


def test_eight_threads(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(parse=False) as sandbox:
        provider = smtp_provider(sandbox, max_messages_per_connection=20)
        messages = [outgoing(f"u{number}@example.com") for number in range(200)]
        together = threading.Barrier(8)

        def share(thread: int) -> list[Outcome]:
            together.wait(5)
            return [send_one(provider, message) for message in messages[thread::8]]

        with ThreadPoolExecutor(8) as threads:
            outcomes = [outcome for part in threads.map(share, range(8)) for outcome in part]
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert {delivery.to for delivery in sandbox.outbox.all()} == {message.to for message in messages}
        assert sandbox.outbox.count() == 200
        assert 200 / 20 <= sandbox.connections <= 200 / 20 + 8


def test_a_slow_message_does_not_hold_up_those_behind_it(
    plain: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    plain.faults.add(Fault("delay", seconds=2, to="slow@example.com"))
    messages = [outgoing("slow@example.com"), outgoing("a@example.com"), outgoing("b@example.com")]
    assert [type(outcome) for outcome in smtp_provider(plain).send(messages)] == [Sent] * 3
    assert [delivery.to for delivery in plain.outbox.all()][-1] == "slow@example.com"
    assert plain.connections == 2


def test_closed_and_used_again(plain: SmtpSandbox, smtp_provider: Make, outgoing: Message) -> None:
    provider = smtp_provider(plain)
    send_one(provider, outgoing())
    provider.close()
    assert isinstance(send_one(provider, outgoing()), Sent)
    assert plain.connections == 2


def test_a_connection_that_opens_after_the_close_is_not_kept(
    plain: SmtpSandbox, smtp_provider: Make, outgoing: Message
) -> None:
    provider = smtp_provider(plain)
    assert isinstance(send_one(provider, outgoing()), Sent)
    # The next one is greeted late, when the first has carried everything.
    plain.faults.add(Fault("delay", seconds=0.5, at="connect"))
    assert [type(outcome) for outcome in provider.send([outgoing() for _ in range(20)])] == [Sent] * 20
    provider.close()
    for thread in threading.enumerate():
        if thread.name == "smtp":
            thread.join(10)
    assert plain.connections > 1
    assert provider._pool.take() is None


# Settings and secrets


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "mail.example.com", "security": "none"}, "unencrypted SMTP is for this machine only"),
        ({"ca_pem": "no certificate"}, "give certificates in PEM form"),
        ({"ca_pem": "证书"}, "give certificates in PEM form"),
        ({"from_address": "a@b.com\r\nBcc: evil@example.com"}, "give an email address in ASCII"),
        ({"from_address": "张三@example.com"}, "give an email address in ASCII"),
        ({"reply_to": "a@b.com, c@d.com"}, "give an email address in ASCII"),
        ({"host": "mail.example.com\r\nx"}, "give a server's name"),
        ({"helo": "a\r\nMAIL FROM:<>"}, "String should match pattern"),
        ({"port": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], words: str) -> None:
    settings = {"provider": "smtp", "host": "127.0.0.1", "port": 25, "security": "none", "from_address": "a@b.com"}
    with pytest.raises(ValidationError, match=words):
        smtp.Settings.model_validate(settings | changes)


def test_secrets_addresses_and_bodies_stay_out_of_logs(
    smtp_provider: Make, outgoing: Message, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    password = "wrong-p4ssword"
    shown = []
    for right in (password, "another"):
        with SmtpSandbox(username="notice@example.com", password=right) as sandbox:
            provider = smtp_provider(sandbox, password, username="notice@example.com")
            sandbox.faults.add(Fault("bad_json"))
            sandbox.faults.add(Fault("code", status=299, code=f"<{TO}> is odd"))
            shown += [repr(send_one(provider, outgoing())) for _ in range(3)]
            shown += [repr(provider), repr(vars(provider)), repr(provider.verify())]
    assert len(caplog.records) >= 1
    coded = b64encode(b"\0notice@example.com\0" + password.encode()).decode()
    for text in (caplog.text, *(str(vars(record)) for record in caplog.records), *shown):
        assert not any(secret in text for secret in (password, coded, TO, "张三", SUBJECT))


def test_nothing_is_opened_before_it_is_needed(smtp_provider: Make) -> None:
    provider = smtp_provider(closed_port())
    provider.close()
