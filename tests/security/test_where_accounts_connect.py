"""No account leads to where accounts may not connect: not as it is saved, not when it is tried, not when it sends."""

import gc
import sys
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider

from local.sandbox.base import Response
from shared.dispatch.accounts import Accounts
from shared.model.accounts import Account, ProviderSettings
from shared.model.outcome import AccountDown, Outcome, Retry, Sent
from shared.model.reasons import Reason
from shared.net.hosts import check_endpoint
from shared.net.network import PUBLIC, Network
from shared.net.problems import NOT_ALLOWED
from shared.providers.base import Outgoing, Provider, Tools
from shared.providers.email.ses import provider as ses
from shared.providers.registry import build_provider, settings_model
from shared.providers.sms.aws import provider as aws_sms
from shared.providers.table import PROVIDERS
from shared.store.catalog_items import Stored
from shared.store.tokens import MemoryTokenCache
from tests.conftest import Aws
from tests.contract.faulty import TO
from tests.contract.wecom.kit import Scripted
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import ManageApi
from tests.security.attempts import Attempts
from tests.security.spellings import INSIDE, NAMES, NEIGHBOURS, OTHER_PARSERS
from tests.security.test_logs import content
from tests.unit.shared.net.listeners import listening, port_of
from tests.unit.shared.net.resolver import Resolver

CREATE, PATCH, VERIFY = "POST /v1/accounts", "PATCH /v1/accounts/{id}", "POST /v1/accounts/{id}/verify"
SETTINGS: dict[str, dict[str, Any]] = {
    "smtp": {"provider": "smtp", "host": "smtp.vendor.test", "port": 465, "security": "tls", "from_address": "a@b.cn"},
    "ses": {"provider": "ses", "region": "eu-west-1", "from_address": "a@b.cn"},
    "tencent": {"provider": "tencent", "sdk_app_id": "1400006666", "sign_name": "示例"},
    "aws": {"provider": "aws", "region": "eu-west-1", "origination_identity": "SHOP"},
    "app": {"provider": "app", "corp_id": "ww1", "agent_id": 7},
    "robot": {"provider": "robot"},
}
SECRETS: dict[str, dict[str, str]] = {
    "tencent": {"secret_id": "AKID", "secret_key": "key"},
    "app": {"corp_secret": "secret"},
    "robot": {"key": "0123456789abcdef"},
}
HOMES = {
    "smtp": "smtp.vendor.test",
    "ses": "email.eu-west-1.amazonaws.com",
    "tencent": "sms.tencentcloudapi.com",
    "aws": "sms-voice.eu-west-1.amazonaws.com",
    "app": "qyapi.weixin.qq.com",
    "robot": "qyapi.weixin.qq.com",
}
"""By provider: the name that an account of it looks up."""
REFUSED = AccountDown(Reason.ACCOUNT_MISCONFIGURED, NOT_ALLOWED)
_connected: list[tuple[Any, ...]] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _connected.append(arguments[1])


# The interpreter itself tells of every attempt, whichever library makes it.
sys.addaudithook(_listen)


@pytest.fixture
def connected() -> Iterator[list[tuple[Any, ...]]]:
    """The addresses that anything in this process tried to connect to."""
    _connected.clear()
    yield _connected
    _connected.clear()


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    return ManageApi(aws, clock)


def make(provider: str, network: Network = PUBLIC, **settings: Any) -> Provider:
    tools = Tools(FakeClock(), MemoryTokenCache(FakeClock()), "default/x", network)
    return build_provider({**SETTINGS[provider], **settings}, SECRETS.get(provider, {}), tools)


def send(provider: Provider, name: str) -> Outcome:
    [outcome] = provider.send([Outgoing("01K00000000000000000000001abcdefghijklmnop", TO[name], content(name))])
    provider.close()
    assert outcome is not None
    return outcome


def account(provider: str, settings: dict[str, Any]) -> Account:
    now, channel = 1736935200000, PROVIDERS[provider].channel
    return Account(
        id="x",
        tenant="default",
        name="x",
        channel=channel,
        provider=provider,
        settings={**SETTINGS[provider], **settings},
        created_at=now,
        updated_at=now,
    )


def test_every_provider_has_its_samples() -> None:
    assert set(SETTINGS) == set(HOMES) == set(PROVIDERS)
    assert {"smtp", *NEIGHBOURS} == set(PROVIDERS)
    for name in PROVIDERS:
        assert settings_model(name).server is not ProviderSettings.server


def test_no_spelling_of_a_place_inside_can_be_saved_or_reached(
    manage_api: ManageApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, connected: list[Any], attempts: Attempts
) -> None:
    Resolver(monkeypatch, NAMES)
    assert manage_api.call(CREATE, {"id": "good", "name": "x", "settings": SETTINGS["smtp"]}).status == 201
    for host in INSIDE:
        settings = {**SETTINGS["smtp"], "host": host}
        saved = manage_api.call(CREATE, {"id": "x", "name": "x", "settings": settings})
        attempts.check(f"save {host!r}", held=(saved.status, saved.fields) == (422, ["settings.host"]))
        changed = manage_api.call(PATCH, {"settings": settings}, id="good")
        attempts.check(f"change to {host!r}", held=(changed.status, changed.fields) == (422, ["settings.host"]))
    # What was saved before, or by another way, is stopped all the same.
    for host in INSIDE:
        kept = account("smtp", {"host": host})
        attempts.check(f"try {host!r}", held=tried(manage_api, kept, monkeypatch)["ok"] is False)
        attempts.check(f"send by {host!r}", held=sent(kept, clock) in (None, REFUSED))
    attempts.check(f"connected to {connected}", held=connected == [])


@pytest.mark.parametrize("provider", NEIGHBOURS)
def test_no_endpoint_that_only_looks_like_the_vendors_can_be_saved_or_reached(
    provider: str,
    manage_api: ManageApi,
    clock: FakeClock,
    whole: bool,
    monkeypatch: pytest.MonkeyPatch,
    connected: list[Any],
    attempts: Attempts,
) -> None:
    Resolver(monkeypatch, NAMES)
    looks = [shape.replace("{v}", HOMES[provider]) for shape in OTHER_PARSERS] + [*NEIGHBOURS[provider]]
    looks += [f"https://{_bracketed(host)}" for host in INSIDE] + [f"http://{_bracketed(host)}:9" for host in INSIDE]
    for endpoint in looks:
        settings = {**SETTINGS[provider], "endpoint": endpoint}
        saved = manage_api.call(
            CREATE, {"id": "x", "name": "x", "settings": settings, "secret": SECRETS.get(provider, {})}
        )
        named = saved.status == 422 and saved.fields == ["settings.endpoint"]
        attempts.check(f"save {endpoint!r}", held=named)
    for endpoint in looks if whole else looks[::7]:
        kept = account(provider, {"endpoint": endpoint})
        attempts.check(f"try {endpoint!r}", held=tried(manage_api, kept, monkeypatch)["ok"] is False)
        attempts.check(f"send by {endpoint!r}", held=sent(kept, clock, SECRETS.get(provider)) in (None, REFUSED))
    attempts.check(f"connected to {connected}", held=connected == [])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.0.0.5"], ["1.1.1.1", "10.0.0.5"], ["2606:4700::1", "::1"]],
)
def test_a_vendors_name_that_leads_inside_is_not_followed(
    provider: str, answer: list[str], monkeypatch: pytest.MonkeyPatch, connected: list[Any], attempts: Attempts
) -> None:
    resolver = Resolver(monkeypatch, {HOMES[provider]: [answer]})
    made = make(provider)
    found = made.verify()
    attempts.check("try", held=(found.ok, found.raw_code) == (False, NOT_ALLOWED))
    attempts.check("send", held=send(made, provider) == REFUSED)
    attempts.check(f"connected to {connected}", held=connected == [])
    assert set(resolver.asked) == {HOMES[provider]}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_address_that_was_judged_is_the_one_that_is_reached(
    provider: str, monkeypatch: pytest.MonkeyPatch, connected: list[Any], attempts: Attempts
) -> None:
    """A name that answers otherwise the second time: at the first address nobody listens."""
    with listening() as server:
        where, port = HOMES[provider], port_of(server)
        Resolver(monkeypatch, {"localhost": [["127.0.0.2"], ["127.0.0.1"]], where: [["127.0.0.2"], ["127.0.0.1"]]})
        local = {"host": where, "port": port} if provider == "smtp" else {"endpoint": f"http://localhost:{port}"}
        outcome = send(make(provider, Network(loopback=True), **local), provider)
        held = isinstance(outcome, Retry) and outcome.reason is Reason.CONNECTION_FAILED
        attempts.check(f"{outcome}", held=held)
        attempts.check(f"connected to {connected}", held={to[0] for to in connected} == {"127.0.0.2"})


def test_trying_an_account_tells_nothing_of_the_ports_inside(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch, connected: list[Any], attempts: Attempts
) -> None:
    Resolver(monkeypatch, NAMES)
    with listening() as server:
        for host in ("127.0.0.1", "vm", "relay.inside.test", "metadata.inside.test", "::1"):
            answers = [
                tried(manage_api, account("smtp", {"host": host, "port": port}), monkeypatch)
                for port in (port_of(server), 1, 25, 443)
            ]
            attempts.check(host, held=all(answer == answers[0] for answer in answers))
    attempts.check(f"connected to {connected}", held=connected == [])


@pytest.mark.parametrize("provider", sorted(PROVIDERS.keys() - {"smtp"}))
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
# botocore and requests leave the connection of an answer that they did not expect to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_redirect_is_followed(provider: str, status: int, connected: list[Any], attempts: Attempts) -> None:
    with listening("127.0.0.2") as other:
        away = f"http://127.0.0.2:{port_of(other)}/"
        with Scripted(Response(status, b"", {"Location": away})) as server:
            made = make(provider, Network(loopback=True), endpoint=server.url)
            attempts.check(f"{provider} {status}: try", held=not made.verify().ok)
            attempts.check(f"{provider} {status}: send", held=not isinstance(send(made, provider), Sent))
            del made
            gc.collect()
    attempts.check(f"connected to {connected}", held={to[0] for to in connected} == {"127.0.0.1"})


def test_the_vendors_own_names_are_taken(manage_api: ManageApi) -> None:
    good = {
        "ses": [
            "https://email.eu-west-1.amazonaws.com",
            " https://EMAIL.eu-west-1.amazonaws.com:443/ ",
            "https://email-fips.us-gov-west-1.amazonaws.com",
            "https://email.cn-north-1.amazonaws.com.cn",
            "https://email.eu-west-1.api.aws",
            "https://vpce-0a1b-2c3d-eu-west-1a.email.eu-west-1.vpce.amazonaws.com",
        ],
        "aws": ["https://sms-voice.ap-southeast-1.amazonaws.com", "https://sms-voice-fips.us-east-1.api.aws"],
        "tencent": [
            "https://sms.tencentcloudapi.com/",
            "https://sms.intl.tencentcloudapi.com",
            "https://sms.ap-guangzhou.tencentcloudapi.com",
            "https://sms.ap-shanghai-fsi.tencentcloudapi.com",
        ],
        "app": ["https://qyapi.weixin.qq.com"],
        "robot": ["https://qyapi.weixin.qq.com/"],
    }
    for provider, endpoints in good.items():
        for number, endpoint in enumerate(endpoints):
            settings = {**SETTINGS[provider], "endpoint": endpoint}
            body = {"id": f"{provider}-{number}", "name": "x", "settings": settings}
            answer = manage_api.call(CREATE, {**body, "secret": SECRETS.get(provider, {})})
            assert answer.status == 201, answer.text
            # Kept in one form, whatever the spelling.
            assert answer.json["settings"]["endpoint"] == endpoint.strip().lower().rstrip("/").removesuffix(":443")


def test_every_endpoint_that_aws_itself_would_choose_is_taken() -> None:
    """By the rules that boto3 carries, for each region and for FIPS and dual stack."""
    rules = botocore.session.get_session().get_component("data_loader")
    for service, vendor in (("sesv2", ses.HOSTS), ("pinpoint-sms-voice-v2", aws_sms.HOSTS)):
        provider = EndpointProvider(
            rules.load_service_model(service, "endpoint-rule-set-1"), rules.load_data("partitions")
        )
        for region in ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "ap-southeast-2"):
            for fips in (False, True):
                for dual in (False, True):
                    found = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual)
                    assert check_endpoint(found.url, vendor) == found.url


def tried(manage_api: ManageApi, kept: Account, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What trying an account answers that is stored as it is."""
    with monkeypatch.context() as patch:
        patch.setattr(manage_api.catalog, "load_account", lambda *_: Stored(kept, 1))
        patch.setattr(manage_api.secrets, "get", lambda *_: SECRETS.get(kept.provider, {}))
        answer = manage_api.call(VERIFY, id=kept.id)
    assert answer.status == 200
    return answer.json


def sent(kept: Account, clock: FakeClock, secret: dict[str, str] | None = None) -> Outcome | None:
    """What becomes of a message by an account that is stored as it is; None if it cannot be used."""
    source: Any = _Secret(secret or {})
    used = Accounts(source, source, MemoryTokenCache(clock), clock).usable(kept)
    return None if used is None else send(used, kept.provider)


class _Secret:
    def __init__(self, secret: dict[str, str]) -> None:
        self._secret = secret

    def get(self, *_: object) -> dict[str, str]:
        return self._secret


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and "[" not in host else host
