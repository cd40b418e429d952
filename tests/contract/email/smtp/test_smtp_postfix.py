"""A real Postfix, with and without each extension: what it delivered is what was sent, and nothing twice."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing
from shared.providers.email.smtp.bounce_mail import Look, first_look, read_mail
from shared.providers.email.smtp.bounce_mail.kinds import Bounce, Bounces
from shared.providers.email.smtp.provider import SmtpProvider
from tests.contract.email.smtp.postfix import OFFERS, Postfix, missing, postfix
from tests.contract.email.support import HTML, SUBJECT, TEXT

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]

pytestmark = pytest.mark.xdist_group("postfix")


@pytest.fixture(scope="module")
def running() -> Iterator[Postfix]:
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with postfix() as server:
        yield server


@pytest.fixture
def server(running: Postfix) -> Postfix:
    running.forget()
    return running


@pytest.fixture(params=OFFERS)
def make(request: pytest.FixtureRequest, server: Postfix, smtp_provider: Make) -> Callable[..., SmtpProvider]:
    """Make a provider for a port with one set of extensions."""
    return lambda **changes: smtp_provider(server.ports[request.param], **changes)


def test_what_it_returns_is_read_as_a_bounce_of_the_message(make: Make, server: Postfix, outgoing: Message) -> None:
    id = "01KBA5M0000000000000000000A1B2C3D4E5F6G7H8"
    sent = structs.replace(outgoing("bob@returned.example"), message_id=id)
    assert isinstance(make().send([sent])[0], Sent)
    [report] = server.delivered(1)
    assert first_look(report.as_bytes()) is Look.READ
    found = read_mail(report.as_bytes(), {"notice@example.com"})
    said = "smtp; 550 5.1.1 <<address>>: Recipient address rejected: No such user here"
    bounce = Bounce(
        action="failed", message_id=sent.message_id, address="bob@returned.example", status="5.1.1", diagnostic=said
    )
    assert found == Bounces((bounce,))


def by_recipient(provider: SmtpProvider, messages: list[Outgoing]) -> dict[str, Outcome | None]:
    return {m.to: outcome for m, outcome in zip(messages, provider.send(messages), strict=True)}


@pytest.mark.parametrize("encrypted", [False, True])
def test_many_arrive_as_they_were_sent(encrypted: bool, make: Make, server: Postfix, outgoing: Message) -> None:
    tls: dict[str, Any] = {"security": "starttls", "host": "localhost", "ca_pem": server.authority.pem}
    provider = make(**(tls if encrypted else {}), max_messages_per_connection=9)
    messages = [outgoing(f"u{at}@example.com", text=TEXT + f"{at}\n.\n" * (at % 5)) for at in range(40)]
    outcomes = provider.send(messages)
    assert [type(outcome) for outcome in outcomes] == [Sent] * 40
    found = {str(mail["X-MePush-Message-Id"]): mail for mail in server.delivered(40)}
    assert len(found) == 40
    for at, message in enumerate(messages):
        mail = found[message.message_id]
        assert mail["Subject"] == SUBJECT
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None and html is not None
        assert text.get_content().replace("\r\n", "\n") == TEXT + f"{at}\n.\n" * (at % 5)
        assert html.get_content().replace("\r\n", "\n") == HTML
        # Postfix says under which id it has queued it, and writes that into the mail.
        outcome = outcomes[at]
        assert isinstance(outcome, Sent) and outcome.provider_message_id in str(mail["Received"])


def test_each_refusal_is_of_its_own_message(make: Make, server: Postfix, outgoing: Message) -> None:
    """Six refusals in a row would end the session; accepted ones in between forgive those before."""
    changes: dict[str, dict[str, Any]] = {
        "gone": {},
        "later": {},
        "forbidden": {"subject": "a forbidden thing"},
        "large": {"text": "x" * 500_000},
    }
    messages = []
    for at in range(6):
        for name, change in changes.items():
            messages.append(outgoing(f"{name}{at}@example.com", **change))
            messages += [outgoing(f"ok{at}{name}{n}@example.com") for n in range(3)]
    outcomes = by_recipient(make(), messages)
    expected: dict[str, Rejected | Retry] = {
        "gone": Rejected(Reason.ADDRESS_UNKNOWN, "550 5.1.1"),
        "later": Retry(Reason.RECIPIENT_BUSY, "450 4.2.0"),
        "forbidden": Rejected(Reason.CONTENT_REFUSED, "550 5.7.1"),
        "large": Rejected(Reason.CONTENT_TOO_LONG, "552 5.3.4"),
    }
    for to, outcome in outcomes.items():
        name = to.partition("@")[0].rstrip("0123456789")
        if name in expected:
            assert outcome == expected[name], to
        else:
            assert isinstance(outcome, Sent), (to, outcome)
    taken = server.delivered_ids(72)
    assert taken == {m.message_id: 1 for m in messages if m.to.startswith("ok")}


def test_a_server_that_closes_after_errors_keeps_nobody_from_arriving(
    make: Make, server: Postfix, outgoing: Message
) -> None:
    messages = [outgoing(f"gone{at}@example.com") for at in range(10)]
    messages += [outgoing(f"ok{at}@example.com") for at in range(30)]
    outcomes = by_recipient(make(max_connections=1), messages)
    for to, outcome in outcomes.items():
        assert isinstance(outcome, Sent if to.startswith("ok") else Rejected | Retry), (to, outcome)
    assert server.delivered_ids(30) == {m.message_id: 1 for m in messages if m.to.startswith("ok")}


def test_what_is_under_way_when_servers_are_killed_arrives_once_or_not_at_all(
    make: Make, server: Postfix, outgoing: Message
) -> None:
    provider = make()
    messages = [outgoing(f"u{at}@example.com") for at in range(200)]
    killed: list[bool] = []

    def kill() -> None:
        server.wait_for(10)
        killed.append(server.kill_servers())

    killing = threading.Thread(target=kill)
    killing.start()
    outcomes = by_recipient(provider, messages)
    killing.join(30)
    assert killed == [True]
    # Those that are unknown may be among them.
    sent = {message.message_id for message in messages if isinstance(outcomes[message.to], Sent)}
    arrived = next(found for count in range(len(sent), 201) if sent <= (found := server.delivered_ids(count)).keys())
    assert set(arrived.values()) <= {1}
    for message in messages:
        outcome = outcomes[message.to]
        if isinstance(outcome, Sent):
            assert arrived[message.message_id] == 1
        elif not isinstance(outcome, Unknown):
            assert arrived[message.message_id] == 0, (message.to, outcome)
