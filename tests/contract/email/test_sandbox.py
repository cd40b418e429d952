"""The SMTP sandbox by itself: pipelined input, faults that wait their turn, and the sink as a program."""

import re
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.sandbox.base import Fault
from local.sandbox.mail import read_mail
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tls import make_identity
from shared.model.outcome import Retry, Sent, Unknown
from shared.providers.base import Outgoing
from shared.providers.email.smtp.provider import SmtpProvider

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]


def talk(port: int, *writes: bytes, replies: int) -> list[bytes]:
    """Send each piece in one write and return as many reply lines as asked for."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection, connection.makefile("rb") as lines:
        for write in writes:
            connection.sendall(write)
        return [lines.readline().strip() for _ in range(replies)]


EHLO_LINES = 7  # the greeting and the five lines of EHLO's answer
ENVELOPE = b"MAIL FROM:<a@b.com>\r\nRCPT TO:<c@d.com>\r\nDATA\r\n"


def test_pipelined_groups_are_answered_one_for_one() -> None:
    with SmtpSandbox() as sandbox:
        lines = talk(
            sandbox.port,
            b"EHLO me\r\n",
            ENVELOPE,
            b"Subject: 1\r\n\r\none\r\n.\r\n" + ENVELOPE,
            b".\r\nRSET\r\nMAIL FROM:<a@b.com>\r\nRCPT TO:<>\r\nDATA\r\n",
            replies=EHLO_LINES + 3 + 4 + 5,
        )
        codes = [line[:3] for line in lines]
        assert b"250-PIPELINING" in lines
        expected = "250 250 354 250 250 250 354 250 250 250 553 503"
        assert b" ".join(codes[EHLO_LINES:]).decode() == expected
        assert [delivery.data["text"] for delivery in sandbox.outbox.all()] == ["one\n", ""]


def test_dots_are_taken_off_everywhere() -> None:
    with SmtpSandbox() as sandbox, smtplib.SMTP("127.0.0.1", sandbox.port, local_hostname="me") as client:
        client.sendmail("a@b.com", ["c@d.com", "e@f.com"], b"Subject: s\r\n\r\n.\r\n..\r\na.\r\n.b\r\n")
        deliveries = sandbox.outbox.all()
    assert [delivery.to for delivery in deliveries] == ["c@d.com", "e@f.com"]
    assert {delivery.data["text"] for delivery in deliveries} == {".\n..\na.\n.b\n"}
    assert len({delivery.id for delivery in deliveries}) == 1


def test_a_fault_waits_for_a_message_that_reaches_it() -> None:
    with SmtpSandbox() as sandbox, smtplib.SMTP("127.0.0.1", sandbox.port, local_hostname="me") as client:
        sandbox.faults.add(Fault("status", status=554))
        sandbox.faults.add(Fault("status", status=550, to="c@d.com"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@b.com", ["c@d.com"], b"Subject: s\r\n\r\n")
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@b.com", ["c@d.com"], b"Subject: s\r\n\r\n")
        client.sendmail("a@b.com", ["c@d.com"], b"Subject: s\r\n\r\n")
        assert sandbox.outbox.count() == 1


def test_started_and_stopped_again() -> None:
    sandbox = SmtpSandbox(security="tls")
    with pytest.raises(RuntimeError, match="start the sandbox first"):
        assert sandbox.port
    for _ in range(2):
        with sandbox, socket.create_connection(("127.0.0.1", sandbox.port), 5) as connection:
            connection.settimeout(5)
        sandbox.stop()


def test_certificates_are_made_anew() -> None:
    one, other = make_identity(), make_identity()
    assert one.ca_pem != other.ca_pem
    assert one.key_pem not in (one.ca_pem, one.chain_pem)


def test_reading_ids_only() -> None:
    raw = b"From: a@b.com\r\nMessage-ID: <1@b.com>\r\nX-MePush-Message-Id: 1\r\n\r\nMessage-ID: no\r\n"
    ids = {"message_id_header": "<1@b.com>", "message_id": "1"}
    assert read_mail(raw, whole=False) == ids
    assert ids.items() <= read_mail(raw).items()
    assert read_mail(b"", whole=False) == {"message_id_header": "", "message_id": ""}


def test_the_sink_counts_and_ends_with_its_input() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "local.sandbox.smtp_sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as sink:
        assert sink.stdout is not None
        port = int(sink.stdout.readline())
        with smtplib.SMTP("127.0.0.1", port, local_hostname="me") as client:
            assert client.has_extn("pipelining") or client.ehlo()[0] == 250
            for _ in range(3):
                client.sendmail("a@b.com", ["c@d.com"], b"Subject: s\r\n\r\n.\r\nx\r\n")
        group = b"Subject: s\r\n\r\n.\r\n" + ENVELOPE + b".\r\nQUIT\r\n"
        lines = talk(port, b"EHLO me\r\n" + ENVELOPE + group, replies=4 + 3 + 1 + 3 + 2)
        assert [line[:3] for line in lines[-4:]] == [b"250", b"354", b"250", b"221"]
        rest, _ = sink.communicate("", timeout=10)
    assert re.fullmatch(r"5\s*", rest)
    assert sink.returncode == 0


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_faults_play_under_encryption_too(security: Any, smtp_provider: Make, outgoing: Message) -> None:
    expected: list[tuple[Fault, type, int]] = [
        (Fault("status", status=421, at="connect"), Retry, 0),
        (Fault("trickle", seconds=0.1), Sent, 1),
        (Fault("reset_before", at="data"), Retry, 0),
        (Fault("reset_after"), Unknown, 1),
        (Fault("outage_refused", seconds=60), Retry, 0),
        (Fault("outage_dropped", seconds=60), Retry, 0),
    ]
    with SmtpSandbox(security=security) as sandbox:
        provider = smtp_provider(sandbox)
        for fault, outcome, accepted in expected:
            provider.close()
            sandbox.outbox.clear()
            sandbox.faults.add(fault)
            assert isinstance(provider.send([outgoing()])[0], outcome)
            assert sandbox.outbox.count() == accepted
            sandbox.faults.clear()
        assert isinstance(provider.send([outgoing()])[0], Sent)
