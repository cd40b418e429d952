"""`mepush webhook`, against the API's real functions on the local stack."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from local.seed import first_key
from local.stack import LocalStack
from mepush.main import app
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.xdist_group("local-stack")

Run = Callable[..., Any]


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True) as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def run(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MEPUSH_URL", stack.url)
    monkeypatch.setenv("MEPUSH_KEY", first_key(stack))

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["webhook", *words])
        assert result.exit_code == code, result.output
        return result.stdout

    return run


def test_an_endpoint_from_its_first_to_its_last_day(stack: LocalStack, run: Run, receiver: Receiver) -> None:
    assert run("list") == "There are no webhooks.\n"
    secret = run("add", "orders", receiver.url, "--type", "message.sent", "--description", "The shop's.").strip()
    assert secret.startswith("whsec_")
    assert receiver.url in run("list") and secret not in run("list", "--json")
    assert "message.sent" in run("show", "orders") and secret not in run("show", "orders", "--json")

    sent = json.loads(run("test", "orders", "--json"))["delivery"]
    stack.drain(until_due=True, horizon_s=60)
    assert receiver.ids() == [sent]
    [kept] = json.loads(run("deliveries", "orders", "--json"))["deliveries"]
    assert (kept["id"], kept["state"], kept["attempts"][0]["status"]) == (sent, "delivered", 204)
    assert "endpoint.test" in run("deliveries", "orders", "--state", "delivered")
    assert run("deliveries", "orders", "--state", "failed") == "There are none.\n"

    assert json.loads(run("replay", "orders", "--json")) == {"queued": 0}
    assert run("replay", "orders", "--all") == "1 events are on their way again\n"
    stack.drain(until_due=True, horizon_s=60)
    assert receiver.ids() == [sent, sent]

    assert run("pause", "orders") == "orders is paused\n"
    run("test", "orders", code=1)
    assert "paused" in run("list")
    run("resume", "orders")
    assert run("rotate", "orders", "--overlap", "60").startswith("whsec_")
    assert "old secret until" in run("show", "orders")
    run("change", "orders", "--kind", "test", "--to", f"{receiver.url}/new")
    assert f"{receiver.url}/new" in run("list")
    run("change", "orders", code=2)
    assert run("remove", "orders") == "orders is removed\n"
    run("show", "orders", code=1)


def test_what_cannot_be_is_refused_in_words(run: Run) -> None:
    run("add", "x", code=2)
    run("add", "x", "https://example.com", "--bus", code=2)
    for url in ("https://10.0.0.1/", "http://example.com/", "https://169.254.169.254/latest", "nonsense"):
        run("add", "x", url, code=1)
    run("add", "x", "--bus", "--type", "message.eaten", code=1)
    assert "not signed" in run("add", "x", "--bus")
    run("add", "x", "--bus", code=1)
    run("rotate", "x", code=1)
