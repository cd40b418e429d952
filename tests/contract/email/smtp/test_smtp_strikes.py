"""Many messages at once to a server that strikes: what it took is sent or unknown, and it took nothing twice."""

from collections.abc import Callable

import pytest

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.providers.base import Outgoing
from shared.providers.email.smtp.provider import SmtpProvider
from tests.contract.email.smtp.hostile import STRIKES, HostileServer

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]
OFFERS = {"in_steps": (), "pipelining": ("PIPELINING",), "chunking": ("CHUNKING", "PIPELINING")}


def played(
    server: HostileServer, make: Make, outgoing: Message, seed: int, count: int = 40
) -> dict[str, Outcome | None]:
    """What became of messages that were handed over together, by recipient."""
    provider = make(server.port, timeout_s=0.7, connect_timeout_s=2, max_connections=1 + seed % 3)
    messages = [outgoing(f"u{at}@example.com", text="x" * (seed % 7) * 5_000) for at in range(count)]
    outcomes = provider.send(messages)
    provider.close()
    return {message.to: outcome for message, outcome in zip(messages, outcomes, strict=True)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("strike", STRIKES)
def test_what_was_taken_is_sent_or_unknown_and_nothing_is_taken_twice(
    strike: str, offer: str, seed: int, smtp_provider: Make, outgoing: Message
) -> None:
    with HostileServer(seed, OFFERS[offer], [strike]).serving() as server:
        outcomes = played(server, smtp_provider, outgoing, seed)
    assert server.struck
    assert [to for to, times in server.taken.items() if times > 1] == []
    for to, outcome in outcomes.items():
        if isinstance(outcome, Sent):
            assert server.taken[to] == 1, to
        elif not isinstance(outcome, Unknown):
            assert server.taken[to] == 0, (to, outcome)
    kinds = [type(outcome) for outcome in outcomes.values()]
    assert kinds.count(Sent) > len(kinds) // 4
    assert kinds.count(Unknown) <= 3 * 8
    if strike in ("refuse", "refuse_for_now"):
        assert {Sent, Rejected if strike == "refuse" else Retry, AccountDown} >= set(kinds)
