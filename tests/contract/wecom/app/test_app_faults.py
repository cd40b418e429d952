"""The app provider when WeCom, the network or the token fails: what may have left is never called unsent."""

import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.sandbox.base import Fault, Response
from local.sandbox.wecom import CORP_SECRET, WecomSandbox
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.wecom.app import provider as app
from shared.providers.wecom.wire import NotReadyError, Timeouts
from shared.store.tokens import MemoryTokenCache
from tests.contract.wecom.conftest import AppMaker
from tests.contract.wecom.kit import HASTY, PNG, Scripted, everything_logged, messages, wecom
from tests.fakes import FakeClock


@pytest.fixture
def provider(new_app: AppMaker) -> app.AppProvider:
    return new_app()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("-1", Retry(Reason.PROVIDER_BUSY, "-1")),
        ("45009", Retry(Reason.THROTTLED, "45009", 60.0)),
        ("45033", Retry(Reason.THROTTLED, "45033", 1.0)),
        ("60020", AccountDown(Reason.ADDRESS_NOT_TRUSTED, "60020")),
        ("40001", AccountDown(Reason.CREDENTIALS_REFUSED, "40001")),
        ("301002", AccountDown(Reason.ACCOUNT_MISCONFIGURED, "301002")),
        ("50003", AccountDown(Reason.ACCOUNT_SUSPENDED, "50003")),
        ("82001", Rejected(Reason.ADDRESS_UNKNOWN, "82001")),
        ("85002", Rejected(Reason.CONTENT_REFUSED, "85002")),
        ("45002", Rejected(Reason.CONTENT_TOO_LONG, "45002")),
        ("44004", Rejected(Reason.CONTENT_INVALID, "44004")),
        ("987654", Retry(Reason.UNRECOGNISED_ANSWER, "987654")),
    ],
)
def test_an_error_within_http_200(
    provider: app.AppProvider, sandbox: WecomSandbox, code: str, outcome: Outcome
) -> None:
    sandbox.faults.add(Fault("code", code=code))
    assert provider.send(messages("a", "b")) == [outcome] * 2
    assert sandbox.calls["message/send"] == 1, "a provider never tries again by itself"
    assert sandbox.outbox.count() == 0


def test_an_unmapped_code_is_logged(
    provider: app.AppProvider, sandbox: WecomSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault("code", code="987654"))
    provider.send(messages("a"))
    assert [vars(record)["errcode"] for record in caplog.records] == [987654]


def test_throttled(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("throttle"))
    assert provider.send(messages("a")) == [Retry(Reason.THROTTLED, "45009", 60.0)]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("status", status=500), Unknown(Reason.PROVIDER_ERROR, "http_500")),
        (Fault("status", status=504), Unknown(Reason.PROVIDER_ERROR, "http_504")),
        (Fault("status", status=429), Retry(Reason.THROTTLED, "http_429")),
        (Fault("status", status=404), Retry(Reason.UNRECOGNISED_ANSWER, "http_404")),
        (Fault("bad_json"), Unknown(Reason.UNRECOGNISED_ANSWER, "not_json")),
        (Fault("reset_before"), Unknown(Reason.CONNECTION_LOST, "RemoteProtocolError")),
    ],
)
def test_no_answer_of_wecoms(provider: app.AppProvider, sandbox: WecomSandbox, fault: Fault, outcome: Outcome) -> None:
    sandbox.faults.add(fault)
    assert provider.send(messages("a", "b")) == [outcome] * 2
    assert sandbox.calls["message/send"] == 1
    assert isinstance(provider.send(messages("a"))[0], Sent), "the next message is not harmed"


@pytest.mark.parametrize(
    "answer", ['{"errmsg": "ok"}', '{"errcode": "0"}', '{"errcode": true}', "[]", "[" * 100_000, ""]
)
def test_http_200_without_an_errcode_is_no_success(
    new_app: AppMaker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    tokens = MemoryTokenCache(clock)
    monkeypatch.setattr(tokens, "get", lambda *_: "a token of before")
    with Scripted(Response(200, answer.encode())) as server:
        [outcome] = new_app(server.url, tokens=tokens).send(messages("a"))
        assert len(server.requests) == 1
    assert isinstance(outcome, Unknown) and outcome.reason is Reason.UNRECOGNISED_ANSWER


def test_no_answer_in_time(new_app: AppMaker, sandbox: WecomSandbox) -> None:
    provider = new_app(timeouts=HASTY)
    assert isinstance(provider.send(messages("first"))[0], Sent)
    sandbox.faults.add(Fault("delay", seconds=0.6))
    assert provider.send(messages("a", "b")) == [Unknown(Reason.TIMED_OUT, "ReadTimeout")] * 2


def test_sent_but_never_confirmed_shows_once(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("reset_after"))
    group = messages("a", "b")
    assert provider.send(group) == [Unknown(Reason.CONNECTION_LOST, "RemoteProtocolError")] * 2
    # Sent again in another order: WeCom's check for duplicates sees the identical request.
    assert all(isinstance(outcome, Sent) for outcome in provider.send(group[::-1]))
    assert sorted(delivery.to for delivery in sandbox.outbox.all()) == ["a", "b"]


def test_a_resend_is_the_same_request_to_the_byte(new_app: AppMaker, clock: FakeClock) -> None:
    """By another function with another token, later: or WeCom would not know it again, and show it twice."""
    group = [*messages("b", "party:2", "a", "tag:3", "party:1"), *messages("c")]
    requests = []
    for token in ("one", "two"):
        answer = {"errcode": 0, "access_token": token, "expires_in": 7200, "msgid": token}
        with Scripted(Response.of(answer)) as server:
            new_app(server.url).send(group)
            requests += [request for request in server.requests if request.path.endswith("message/send")]
        clock.advance(1234)
        group.reverse()
    first, again = requests
    assert first.body == again.body and json.loads(first.body)["enable_duplicate_check"] == 1
    assert [request.query for request in requests] == [{"access_token": "one"}, {"access_token": "two"}]


def test_nobody_listens(new_app: AppMaker, clock: FakeClock, provider: app.AppProvider) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcomes = new_app(closed).send(messages("a"))
    assert outcomes == [Retry(Reason.CONNECTION_FAILED, "ConnectError")]


def test_out_of_time_before_the_call_is_certainly_not_sent(new_app: AppMaker, sandbox: WecomSandbox) -> None:
    assert new_app(timeouts=Timeouts(total=0)).send(messages("a")) == [Retry(Reason.TIMED_OUT, "out_of_time")]
    assert not sandbox.calls


def test_an_outage(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("outage", seconds=60))
    assert provider.send(messages("a")) == [Retry(Reason.PROVIDER_ERROR, "http_503")]
    sandbox.faults.clear()
    assert isinstance(provider.send(messages("a"))[0], Sent)


# the token


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("status", status=502, at="gettoken"), Retry(Reason.PROVIDER_ERROR, "http_502")),
        (Fault("bad_json", at="gettoken"), Retry(Reason.UNRECOGNISED_ANSWER, "not_json")),
        (Fault("reset_after", at="gettoken"), Retry(Reason.CONNECTION_FAILED, "RemoteProtocolError")),
        (Fault("throttle", at="gettoken"), Retry(Reason.THROTTLED, "45009", 60.0)),
        (Fault("code", code="40001", at="gettoken"), AccountDown(Reason.CREDENTIALS_REFUSED, "40001")),
        (Fault("code", code="40013", at="gettoken"), AccountDown(Reason.CREDENTIALS_REFUSED, "40013")),
    ],
)
def test_without_a_token_nothing_is_sent(
    provider: app.AppProvider, sandbox: WecomSandbox, fault: Fault, outcome: Outcome
) -> None:
    sandbox.faults.add(fault)
    assert provider.send(messages("a", "b")) == [outcome] * 2
    assert sandbox.calls["message/send"] == 0
    assert isinstance(provider.send(messages("a"))[0], Sent), "a failed fetch is not remembered"


def test_a_token_that_is_none(new_app: AppMaker) -> None:
    with Scripted(Response.of({"errcode": 0, "access_token": "", "expires_in": 7200})) as server:
        assert new_app(server.url).send(messages("a")) == [Retry(Reason.UNRECOGNISED_ANSWER, "no_access_token")]


def test_the_token_is_fetched_once(provider: app.AppProvider, sandbox: WecomSandbox, clock: FakeClock) -> None:
    for n in range(3):
        provider.send(messages(f"u{n}"))
    assert sandbox.calls["gettoken"] == 1
    clock.advance(7200 - 300)
    provider.send(messages("later"))
    assert sandbox.calls["gettoken"] == 2


@pytest.mark.parametrize("end", ["expire_tokens", "revoke_tokens"])
def test_eight_threads_refresh_an_ended_token_once(provider: app.AppProvider, sandbox: WecomSandbox, end: str) -> None:
    provider.send(messages("first"))
    getattr(sandbox, end)()
    barrier = threading.Barrier(8)

    def send(n: int) -> Outcome:
        barrier.wait(10)
        return provider.send(messages(f"u{n}"))[0]

    with ThreadPoolExecutor(8) as pool:
        outcomes = [future.result(20) for future in [pool.submit(send, n) for n in range(8)]]
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sandbox.calls["gettoken"] == 2
    assert sandbox.outbox.count() == 9


def test_a_fresh_token_that_is_refused_too_is_not_tried_for_ever(
    provider: app.AppProvider, sandbox: WecomSandbox
) -> None:
    sandbox.faults.add(Fault("code", code="42001", times=-1))
    assert provider.send(messages("a")) == [Retry(Reason.CREDENTIALS_REFUSED, "42001", 5.0)]
    assert sandbox.calls["message/send"] == 2


def test_accounts_of_one_app_with_different_secrets_do_not_share_a_token(
    new_app: AppMaker, clock: FakeClock, sandbox: WecomSandbox
) -> None:
    tokens = MemoryTokenCache(clock)
    assert isinstance(new_app(tokens=tokens).send(messages("a"))[0], Sent)
    assert new_app(tokens=tokens, secret="guessed").send(messages("a")) == [
        AccountDown(Reason.CREDENTIALS_REFUSED, "40001")
    ]


# secrets


def test_secrets_stay_out_of_logs_and_outcomes(
    new_app: AppMaker, sandbox: WecomSandbox, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    provider = new_app(timeouts=HASTY)
    seen: list[object] = [provider.verify(), provider.send(messages("a"))]
    token = next(iter(sandbox._tokens))
    faults = (
        Fault("delay", seconds=0.4),
        Fault("reset_before"),
        Fault("bad_json"),
        Fault("status", status=500),
        Fault("code", code="987654"),
        Fault("status", status=500, at="gettoken"),
        Fault("reset_after", at="media/upload"),
    )
    for fault in faults:
        sandbox.faults.clear()
        sandbox.faults.add(fault)
        if fault.at == "gettoken":
            sandbox.revoke_tokens()
        seen.append(
            provider.send(messages("a", content=wecom("image", data=PNG) if fault.at else wecom("text", content="b")))
        )
    with pytest.raises(NotReadyError) as caught:
        sandbox.faults.add(Fault("reset_before", at="gettoken"))
        provider._fetch_token(provider._wire.deadline())
    error: BaseException | None = caught.value
    while error is not None:
        seen.append((repr(error), vars(error)))
        error = error.__context__
    text = everything_logged(caplog.records) + repr(seen) + repr((provider._settings, provider._secret))
    assert len(caplog.records) >= 1 and "987654" in text
    for secret in (CORP_SECRET, token, "access_token=", sandbox.url):
        assert secret not in text.replace(f"endpoint='{sandbox.url}'", "")


def test_a_secret_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(ValueError) as caught:
        app.Secret.model_validate({"corp_secret": "do-not-show" * 60})
    assert "do-not-show" not in str(caught.value)
