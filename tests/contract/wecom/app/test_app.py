"""The app provider against the sandbox: contents, recipients, grouping, and what a verification says."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault, Response
from local.sandbox.wecom import CORP_ID, WecomSandbox
from shared.model.content import RenderedSms, RenderedWecom
from shared.model.outcome import AccountDown, Rejected, Retry, Sent, Unknown, Withdrawn
from shared.model.reasons import Reason
from shared.net.network import Network
from shared.providers.base import Outgoing, Tools
from shared.providers.registry import build_provider
from shared.providers.wecom.app import provider as app
from shared.store.tokens import MemoryTokenCache
from tests.contract.wecom.conftest import AppMaker
from tests.contract.wecom.kit import PNG, TEXT, URL, Scripted, messages, wecom
from tests.fakes import FakeClock


@pytest.fixture
def provider(new_app: AppMaker) -> app.AppProvider:
    return new_app()


CARD = {"card_type": "text_notice", "card_action": {"type": 1, "url": URL}, "main_title": {"title": "t"}}
ARTICLE = {"title": "t", "url": URL}


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (wecom("text", content="你好"), {"content": "你好"}),
        (wecom("markdown", content="**b**"), {"content": "**b**"}),
        (
            wecom("textcard", title="t", description="d", url=URL, btntxt="b"),
            {"title": "t", "description": "d", "url": URL, "btntxt": "b"},
        ),
        (wecom("textcard", title="t", description="d", url=URL), {"title": "t", "description": "d", "url": URL}),
        (wecom("news", articles=[{**ARTICLE, "description": None}]), {"articles": [ARTICLE]}),
        (wecom("template_card", card=CARD), CARD),
        (wecom("image", data=PNG, filename="图.png"), {"filename": "图.png", "bytes": len(PNG)}),
        (wecom("image", data=PNG), {"filename": "file.png", "bytes": len(PNG)}),
        (wecom("image", data=b"\xff\xd8\xff123", filename="a.b"), {"filename": "a.b.jpg", "bytes": 6}),
        (wecom("file", data=b"a,b\r\n1,2\r\n", filename="r.csv"), {"filename": "r.csv", "bytes": 10}),
    ],
)
def test_each_type_arrives(
    provider: app.AppProvider, sandbox: WecomSandbox, content: RenderedWecom, body: dict[str, Any]
) -> None:
    [outcome] = provider.send(messages("zhangsan", content=content))
    [delivery] = sandbox.outbox.all()
    assert outcome == Sent(delivery.id)
    assert (delivery.provider, delivery.to, delivery.data["type"]) == ("app", "zhangsan", content.type)
    assert {k: v for k, v in delivery.data["body"].items() if k != "media_id"} == body


def test_the_request_carries_the_accounts_settings(new_app: AppMaker) -> None:
    answer = {"errcode": 0, "access_token": "t", "expires_in": 7200, "msgid": "1"}
    with Scripted(Response.of(answer)) as server:
        provider = new_app(server.url, safe=1, enable_id_trans=True, duplicate_check_interval=60)
        provider.send(messages("b", "party:2", "a", "tag:3", "party:1", "a"))
        provider.send(messages("@all", content=wecom("markdown", content="x")))
    first, second = (json.loads(request.body) for request in server.requests if request.path.endswith("message/send"))
    assert first == {
        "touser": "a|b",
        "toparty": "1|2",
        "totag": "3",
        "msgtype": "text",
        "agentid": 1000002,
        "text": {"content": "你好"},
        "enable_duplicate_check": 1,
        "duplicate_check_interval": 60,
        "safe": 1,
        "enable_id_trans": 1,
    }
    assert second["touser"] == "@all"
    # WeCom knows neither for Markdown.
    assert not second.keys() & {"safe", "enable_id_trans", "toparty", "totag"}


def test_one_call_serves_a_group(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    recipients = [f"user{n}" for n in range(50)] + ["party:7", "tag:8"]
    [group] = provider.group(messages(*recipients))
    outcomes = provider.send(group)
    assert len(set(outcomes)) == 1 and isinstance(outcomes[0], Sent)
    assert sandbox.calls["message/send"] == 1
    assert {delivery.to for delivery in sandbox.outbox.all()} == set(recipients)


def test_groups_hold_what_a_call_may_hold(provider: app.AppProvider) -> None:
    recipients = [f"u{n}" for n in range(2001)] + [f"party:{n}" for n in range(101)] + [f"tag:{n}" for n in range(100)]
    groups = provider.group(messages(*recipients))
    assert sorted(message.to for group in groups for message in group) == sorted(recipients)
    for group in groups:
        kinds = [message.to.partition(":")[0] if ":" in message.to else "user" for message in group]
        assert kinds.count("user") <= 1000 and kinds.count("party") <= 100 and kinds.count("tag") <= 100
    assert len(groups) <= 5


def test_groups_keep_contents_and_everyone_apart(provider: app.AppProvider) -> None:
    other = wecom("text", content="other")
    mixed = [
        *messages("a", "@all", "b", "@group", "@all"),
        Outgoing("x0", "a", other),
        Outgoing("x1", "c", TEXT),
    ]
    groups = [[message.message_id for message in group] for group in provider.group(mixed)]
    assert groups == [["m0", "m2", "x1"], ["m1"], ["m3"], ["m4"], ["x0"]]


def test_members_are_limited_and_no_others(provider: app.AppProvider) -> None:
    addresses = ("zhangsan", "party:7", "tag:9", "@all", "@group")
    assert [provider.limits(to) for to in addresses] == [True, False, False, False, False]
    assert provider.recipient_lane == app.MEMBER


def test_everyone_in_scope(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    assert isinstance(provider.send(messages("@all"))[0], Sent)
    assert [delivery.to for delivery in sandbox.outbox.all()] == ["@all"]


def test_recipients_that_wecom_leaves_out(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.unknown_users = {"ghost"}
    sandbox.unlicensed_users = {"guest"}
    sandbox.unknown_parties, sandbox.unknown_tags = {"9"}, {"9"}
    group = messages("Ghost", "zhangsan", "guest", "party:9", "party:1", "tag:9", "9")
    outcomes = provider.send(group)
    sent = Sent(sandbox.outbox.all()[0].id)
    assert outcomes == [
        Rejected(Reason.ADDRESS_UNKNOWN, "invaliduser"),
        sent,
        Rejected(Reason.RECIPIENT_BLOCKED, "unlicenseduser"),
        Rejected(Reason.ADDRESS_UNKNOWN, "invalidparty"),
        sent,
        Rejected(Reason.ADDRESS_UNKNOWN, "invalidtag"),
        sent,
    ]


def test_all_recipients_unknown(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.unknown_users = {"a", "b"}
    assert provider.send(messages("a", "b")) == [Rejected(Reason.ADDRESS_UNKNOWN, "81013")] * 2


@pytest.mark.parametrize("kind", ["invaliduser", "unlicenseduser"])
def test_a_fault_of_one_recipient(provider: app.AppProvider, sandbox: WecomSandbox, kind: str) -> None:
    sandbox.faults.add(Fault("code", code=kind, to="b"))
    first, second = provider.send(messages("a", "b"))
    assert isinstance(first, Sent) and isinstance(second, Rejected)
    assert [delivery.to for delivery in sandbox.outbox.all()] == ["a"]


def test_what_an_app_cannot_address_is_refused_without_a_call(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    bad = ["@group", "a|b", "party:x", "tag:1|2", "", "user:1", "x" * 65]
    codes = ["group_is_for_robots"] + ["not_a_recipient"] * 6
    assert provider.send(messages(*bad)) == [Rejected(Reason.ADDRESS_INVALID, code) for code in codes]
    assert not sandbox.calls
    assert isinstance(provider.send(messages("@group", "a"))[1], Sent)


def test_one_bad_recipient_does_not_take_the_others_along(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("code", code="40031", times=2))
    outcomes = provider.send(messages("a", "b", "c"))
    assert outcomes[0] == Rejected(Reason.ADDRESS_UNKNOWN, "40031")
    assert all(isinstance(outcome, Sent) for outcome in outcomes[1:])
    assert sorted(delivery.to for delivery in sandbox.outbox.all()) == ["b", "c"]


def test_content_of_another_channel_is_a_mistake_of_ours(provider: app.AppProvider) -> None:
    with pytest.raises(TypeError):
        provider.group([Outgoing("m", "a", RenderedSms("x", None, ()))])


def test_half_a_surrogate_pair_does_not_stop_a_message(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    assert isinstance(provider.send(messages("a", content=wecom("text", content="x\ud83d")))[0], Sent)
    assert sandbox.outbox.all()[0].data["text"] == "x?"


# media


def test_an_image_is_uploaded_once(provider: app.AppProvider, sandbox: WecomSandbox, clock: FakeClock) -> None:
    image = wecom("image", data=PNG)
    for n in range(3):
        provider.send(messages(f"u{n}", content=image))
    assert sandbox.calls["media/upload"] == 1
    clock.advance(3 * 24 * 3600 - 3600)
    assert isinstance(provider.send(messages("late", content=image))[0], Sent)
    assert sandbox.calls["media/upload"] == 2


def test_a_forgotten_image_is_uploaded_again(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    image = wecom("image", data=PNG)
    provider.send(messages("a", content=image))
    sandbox.forget_media()
    assert isinstance(provider.send(messages("b", content=image))[0], Sent)
    assert (sandbox.calls["media/upload"], sandbox.calls["message/send"]) == (2, 3)


def test_an_image_that_wecom_keeps_forgetting_is_refused(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("code", code="40007", times=-1))
    assert provider.send(messages("a", content=wecom("image", data=PNG))) == [Rejected(Reason.CONTENT_INVALID, "40007")]
    assert (sandbox.calls["media/upload"], sandbox.calls["message/send"]) == (2, 2)


def test_a_media_id_of_the_template_is_used_as_it_is(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    provider.send(messages("a", content=wecom("file", data=b"123456")))
    known = sandbox.outbox.all()[0].data["body"]["media_id"]
    assert isinstance(provider.send(messages("b", content=wecom("file", media_id=known)))[0], Sent)
    assert provider.send(messages("b", content=wecom("file", media_id="gone"))) == [
        Rejected(Reason.CONTENT_INVALID, "40007")
    ]
    assert sandbox.calls["media/upload"] == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("status", status=502, at="media/upload"), Retry(Reason.PROVIDER_ERROR, "http_502")),
        (Fault("code", code="40009", at="media/upload"), Rejected(Reason.CONTENT_INVALID, "40009")),
        (Fault("throttle", at="media/upload"), Retry(Reason.THROTTLED, "45009", 60.0)),
        (Fault("reset_after", at="media/upload"), Retry(Reason.CONNECTION_FAILED, "RemoteProtocolError")),
    ],
)
def test_a_failed_upload_sends_nothing(
    provider: app.AppProvider, sandbox: WecomSandbox, fault: Fault, outcome: Retry | Rejected
) -> None:
    sandbox.faults.add(fault)
    assert provider.send(messages("a", "b", content=wecom("image", data=PNG))) == [outcome] * 2
    assert sandbox.calls["message/send"] == 0


def test_an_upload_refreshes_the_token_too(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    provider.send(messages("a"))
    sandbox.revoke_tokens()
    assert isinstance(provider.send(messages("a", content=wecom("image", data=PNG)))[0], Sent)
    assert sandbox.calls["gettoken"] == 2


def test_data_that_is_not_base64_is_refused(provider: app.AppProvider) -> None:
    assert provider.send(messages("a", content=wecom("file", data="*"))) == [
        Rejected(Reason.CONTENT_INVALID, "data_is_not_base64")
    ]


# verification and settings


def test_verifying_a_good_account_sends_nothing(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    found = provider.verify()
    assert found.ok and "Sandbox app 1000002" in found.summary
    assert sandbox.outbox.count() == 0


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"secret": "wrong"}, "40001", "Secret of this app"),
        ({"corp_id": "other"}, "40013", "企业ID"),
        ({"agent_id": 7}, "301002", "AgentId and Secret from the same app"),
    ],
)
def test_verifying_says_what_to_correct(new_app: AppMaker, changes: dict[str, Any], code: str, words: str) -> None:
    found = new_app(**changes).verify()
    assert (found.ok, found.raw_code) == (False, code)
    assert words in found.action


def test_verifying_from_an_untrusted_address(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.trusted = False
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, "60020")
    assert "add the platform's outgoing IP address to the app's trusted IPs" in found.action


def test_verifying_a_disabled_app(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    sandbox.disabled_agents.add(1000002)
    assert not provider.verify().ok


@pytest.mark.parametrize("path", ["gettoken", "agent/get"])
def test_verifying_while_wecom_is_down(provider: app.AppProvider, sandbox: WecomSandbox, path: str) -> None:
    sandbox.faults.add(Fault("status", status=503, at=path))
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, "http_503") and found.action


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "https://evil.example"},
        {"endpoint": "http://qyapi.weixin.qq.com"},
        {"duplicate_check_interval": 14401},
        {"duplicate_check_interval": 0},
        {"safe": 2},
        {"agent_id": 0},
        {"corp_id": ""},
        {"colour": "red"},
    ],
)
def test_settings_that_do_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        app.Settings.model_validate({"provider": "app", "corp_id": CORP_ID, "agent_id": 1} | change)


def test_the_registry_builds_it_without_any_call(clock: FakeClock, sandbox: WecomSandbox) -> None:
    tools = Tools(clock, MemoryTokenCache(clock), "acme/app-1", Network(loopback=True))
    settings = {"provider": "app", "corp_id": CORP_ID, "agent_id": 1000002, "endpoint": f"{sandbox.url}/"}
    provider = build_provider(settings, {"corp_secret": "s"}, tools)
    assert isinstance(provider, app.AppProvider) and not sandbox.calls
    assert provider.verify().raw_code == "40001"
    provider.close()


def test_a_closed_provider_opens_again(provider: app.AppProvider) -> None:
    provider.send(messages("a"))
    provider.close()
    assert isinstance(provider.send(messages("b"))[0], Sent)


def test_a_message_is_taken_back_from_all_who_got_it(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    outcomes = provider.send(messages("zhangsan", "lisi"))
    [id] = {outcome.provider_message_id for outcome in outcomes if isinstance(outcome, Sent)}
    assert provider.recalls
    assert provider.recall(id) == Withdrawn()
    assert sandbox.recalled == {id}
    # Asking again does no harm.
    assert provider.recall(id) == Withdrawn()


def test_after_a_day_nothing_is_taken_back(provider: app.AppProvider, sandbox: WecomSandbox, clock: FakeClock) -> None:
    [outcome] = provider.send(messages("zhangsan"))
    assert isinstance(outcome, Sent)
    clock.advance(86_401)
    assert provider.recall(outcome.provider_message_id) == Rejected(Reason.RECALL_REFUSED, "40058")
    assert sandbox.recalled == set()


def test_what_wecom_gave_no_id_cannot_be_named_to_it(provider: app.AppProvider, sandbox: WecomSandbox) -> None:
    assert provider.recall("app:x") == Rejected(Reason.RECALL_REFUSED, "no_msgid")
    assert not sandbox.calls["message/recall"]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (Fault("code", code="45009", at="message/recall"), Retry(Reason.THROTTLED, "45009", 60.0)),
        (Fault("code", code="60020", at="message/recall"), AccountDown(Reason.ADDRESS_NOT_TRUSTED, "60020")),
        (Fault("reset_after", at="message/recall"), Unknown(Reason.CONNECTION_LOST, "RemoteProtocolError")),
    ],
)
def test_a_recall_that_goes_wrong_is_an_outcome(
    provider: app.AppProvider, sandbox: WecomSandbox, fault: Fault, found: object
) -> None:
    [outcome] = provider.send(messages("zhangsan"))
    assert isinstance(outcome, Sent)
    sandbox.faults.add(fault)
    assert provider.recall(outcome.provider_message_id) == found
