"""The robot provider against the sandbox."""

import base64
import hashlib
import json
import logging
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault, Response
from local.sandbox.wecom import ROBOT_KEY, WecomSandbox
from shared.model.content import RenderedEmail, RenderedWecom
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.net.network import Network
from shared.providers.base import Outgoing, Tools
from shared.providers.registry import build_provider
from shared.providers.wecom.robot import provider as robot
from shared.store.tokens import MemoryTokenCache
from tests.contract.wecom.conftest import RobotMaker
from tests.contract.wecom.kit import HASTY, PNG, TEXT, URL, Scripted, everything_logged, messages, wecom
from tests.fakes import FakeClock

MARKDOWN = wecom("markdown", content="**hi** <@lisi>")
ARTICLE = {"title": "t", "url": URL}
CARD = {"card_type": "text_notice", "card_action": {"type": 1, "url": URL}, "main_title": {"title": "t"}}


@pytest.fixture
def provider(new_robot: RobotMaker) -> robot.RobotProvider:
    return new_robot()


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (wecom("text", content="你好"), {"content": "你好"}),
        (wecom("markdown", content="**b**"), {"content": "**b**"}),
        (
            wecom("news", articles=[{"title": "t", "url": URL, "picurl": None}]),
            {"articles": [{"title": "t", "url": URL}]},
        ),
        (wecom("template_card", card=CARD), CARD),
        (wecom("image", data=PNG), {"md5": hashlib.md5(PNG).hexdigest(), "bytes": len(PNG)}),
        (wecom("file", data=b"a,b\r\n1,2\r\n", filename="报表.csv"), {"filename": "报表.csv", "bytes": 10}),
    ],
)
def test_each_type_arrives(
    provider: robot.RobotProvider, sandbox: WecomSandbox, content: RenderedWecom, body: dict[str, Any]
) -> None:
    assert provider.send(messages("@group", content=content)) == [Sent("robot:m0")]
    [delivery] = sandbox.outbox.all()
    assert (delivery.provider, delivery.to, delivery.data["type"]) == ("robot", "@group", content.type)
    assert {k: v for k, v in delivery.data["body"].items() if k != "media_id"} == body


def test_an_image_carries_the_md5_of_its_bytes(new_robot: RobotMaker) -> None:
    with Scripted(Response.of({"errcode": 0})) as server:
        new_robot(server.url).send(messages("@group", content=wecom("image", data=base64.b64encode(PNG).decode())))
    sent = json.loads(server.requests[0].body)["image"]
    assert base64.b64decode(sent["base64"]) == PNG
    assert sent["md5"] == hashlib.md5(PNG).hexdigest() != hashlib.md5(sent["base64"].encode()).hexdigest()


def test_one_post_serves_all_recipients(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    [group] = provider.group(messages("@group", "zhangsan", "lisi"))
    assert provider.send(group) == [Sent("robot:m0")] * 3
    assert sandbox.outbox.count() == 1


def test_contents_are_posted_apart(provider: robot.RobotProvider) -> None:
    mixed = [*messages("a", "b"), Outgoing("x", "a", MARKDOWN), Outgoing("y", "c", TEXT)]
    assert [[m.message_id for m in group] for group in provider.group(mixed)] == [["m0", "m1", "y"], ["x"]]


def test_texts_mention_recipients_beside_those_of_the_content(
    provider: robot.RobotProvider, sandbox: WecomSandbox
) -> None:
    content = wecom("text", content="x", mentioned_list=["LiSi"], mentioned_mobile_list=["13800001111"])
    provider.send(messages("zhangsan", "lisi", "@all", "@group", content=content))
    assert sandbox.outbox.all()[0].data["body"] == {
        "content": "x",
        "mentioned_list": ["LiSi", "@all", "zhangsan"],
        "mentioned_mobile_list": ["13800001111"],
    }


def test_markdown_mentions_whom_it_does_not_mention_yet(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    provider.send(messages("zhangsan", "lisi", "@all", "@group", content=MARKDOWN))
    assert sandbox.outbox.all()[0].data["body"] == {"content": "**hi** <@lisi>\n<@zhangsan>"}


def test_mentions_can_be_turned_off(new_robot: RobotMaker, sandbox: WecomSandbox) -> None:
    provider = new_robot(mention=False)
    provider.send(messages("a", "@all"))
    provider.send(messages("a", content=MARKDOWN))
    assert [d.data["body"] for d in sandbox.outbox.all()] == [{"content": "你好"}, {"content": "**hi** <@lisi>"}]


def test_mentions_that_do_not_fit_go_into_another_post(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    content = wecom("markdown", content="x" * 3000)
    recipients = [f"member-number-{n:04}" for n in range(100)]
    groups = provider.group(messages(*recipients, content=content))
    assert len(groups) == 3
    for group in groups:
        assert all(isinstance(outcome, Sent) for outcome in provider.send(group))
    posts = "".join(delivery.data["body"]["content"] for delivery in sandbox.outbox.all())
    assert all(posts.count(f"<@{recipient}>") == 1 for recipient in recipients)


def test_content_without_room_for_a_mention_is_posted_once_without(
    provider: robot.RobotProvider, sandbox: WecomSandbox
) -> None:
    content = wecom("markdown", content="x" * 4090)
    [group] = provider.group(messages("zhangsan", "lisi", "ab", "@group", content=content))
    assert provider.send(group) == [Sent("robot:m0")] * 4
    assert sandbox.outbox.all()[0].data["body"]["content"] == "x" * 4090 + "\n<@ab>"


def test_a_robot_has_no_parties(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    assert provider.send(messages("party:1", "a", "a|b")) == [
        Rejected(Reason.ADDRESS_INVALID, "set_is_for_apps"),
        Sent("robot:m1"),
        Rejected(Reason.ADDRESS_INVALID, "not_a_recipient"),
    ]
    assert provider.send(messages("tag:1")) == [Rejected(Reason.ADDRESS_INVALID, "set_is_for_apps")]
    assert sandbox.calls["webhook/send"] == 1


def test_what_a_robot_cannot_post(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    textcard = wecom("textcard", title="t", description="d", url=URL)
    by_id = wecom("image", media_id="m")
    assert provider.send(messages("a", content=textcard)) == [
        Rejected(Reason.CONTENT_INVALID, "robots_have_no_textcard")
    ]
    assert provider.send(messages("a", content=by_id)) == [Rejected(Reason.CONTENT_INVALID, "image_without_data")]
    assert not sandbox.calls
    with pytest.raises(TypeError):
        provider.send([Outgoing("m", "@group", RenderedEmail("s", None, "t"))])


# files


def test_a_file_is_uploaded_once_and_again_when_forgotten(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    content = wecom("file", data=b"123456", filename="a.txt")
    provider.send(messages("@group", content=content))
    provider.send(messages("@group", content=content))
    assert sandbox.calls["webhook/upload_media"] == 1
    sandbox.forget_media()
    assert provider.send(messages("@group", content=content)) == [Sent("robot:m0")]
    assert (sandbox.calls["webhook/upload_media"], sandbox.calls["webhook/send"]) == (2, 4)


def test_a_file_that_is_too_small_is_refused(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    assert provider.send(messages("a", content=wecom("file", data=b"123"))) == [
        Rejected(Reason.CONTENT_INVALID, "44001")
    ]
    assert sandbox.calls["webhook/send"] == 0


# faults


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("throttle"), Retry(Reason.THROTTLED, "45009", 60.0)),
        (Fault("code", code="93000"), AccountDown(Reason.CREDENTIALS_REFUSED, "93000")),
        (Fault("code", code="40058"), Rejected(Reason.CONTENT_INVALID, "40058")),
        (Fault("code", code="130101"), Retry(Reason.UNRECOGNISED_ANSWER, "130101")),
        (Fault("status", status=500), Unknown(Reason.PROVIDER_ERROR, "http_500")),
        (Fault("bad_json"), Unknown(Reason.UNRECOGNISED_ANSWER, "not_json")),
        (Fault("reset_before"), Unknown(Reason.CONNECTION_LOST, "RemoteProtocolError")),
        (Fault("reset_after"), Unknown(Reason.CONNECTION_LOST, "RemoteProtocolError")),
        (Fault("delay", seconds=0.6), Unknown(Reason.TIMED_OUT, "ReadTimeout")),
    ],
)
def test_faults(new_robot: RobotMaker, sandbox: WecomSandbox, fault: Fault, outcome: Outcome) -> None:
    provider = new_robot(timeouts=HASTY)
    sandbox.faults.add(fault)
    assert provider.send(messages("a", "b")) == [outcome] * 2
    assert sandbox.calls["webhook/send"] == 1


def test_a_wrong_key(new_robot: RobotMaker) -> None:
    provider = new_robot(key="00000000-not-a-key")
    assert provider.send(messages("a")) == [AccountDown(Reason.CREDENTIALS_REFUSED, "93000")]


def test_the_vendors_limit_per_minute(provider: robot.RobotProvider, sandbox: WecomSandbox, clock: FakeClock) -> None:
    sandbox.robot_limit = 20
    outcomes = [provider.send(messages("@group"))[0] for _ in range(21)]
    assert [isinstance(outcome, Sent) for outcome in outcomes] == [True] * 20 + [False]
    assert outcomes[-1] == Retry(Reason.THROTTLED, "45009", 60.0)
    clock.advance(60)
    assert isinstance(provider.send(messages("@group"))[0], Sent)


# verification, settings, secrets


def test_verifying_a_good_key_posts_nothing(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    found = provider.verify()
    assert found.ok and "nothing was posted" in found.summary
    assert sandbox.outbox.count() == 0 and sandbox.calls == {"webhook/upload_media": 1}


def test_verifying_a_wrong_key(new_robot: RobotMaker) -> None:
    found = new_robot(key="00000000-not-a-key").verify()
    assert (found.ok, found.raw_code) == (False, "93000")
    assert "webhook address" in found.action


def test_verifying_while_wecom_is_down(provider: robot.RobotProvider, sandbox: WecomSandbox) -> None:
    sandbox.faults.add(Fault("outage", seconds=60))
    found = provider.verify()
    assert (found.ok, found.raw_code) == (False, "http_503")


@pytest.mark.parametrize(
    "given",
    [
        ROBOT_KEY,
        f" {ROBOT_KEY}\n",
        f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={ROBOT_KEY}",
        f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?debug=1&key={ROBOT_KEY}#x",
    ],
)
def test_the_webhook_address_is_as_good_as_the_key(given: str) -> None:
    assert robot.Secret.model_validate({"key": given}).key.get_secret_value() == ROBOT_KEY


@pytest.mark.parametrize(
    "given", ["", "short", "https://example.com/do-not-show", "do not show", "http://[do-not-show"]
)
def test_what_is_neither_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(ValidationError) as caught:
        robot.Secret.model_validate({"key": given})
    assert "do-not-show" not in str(caught.value) and "do not show" not in str(caught.value)
    assert "whole webhook address" in str(caught.value)


def test_the_registry_builds_it_without_any_call(clock: FakeClock, sandbox: WecomSandbox) -> None:
    tools = Tools(clock, MemoryTokenCache(clock), "acme/robot-1", Network(loopback=True))
    built = build_provider({"provider": "robot", "endpoint": sandbox.url}, {"key": ROBOT_KEY}, tools)
    assert isinstance(built, robot.RobotProvider) and not sandbox.calls
    with pytest.raises(ValidationError):
        build_provider({"provider": "robot", "endpoint": "https://evil.example"}, {"key": ROBOT_KEY}, tools)


def test_the_key_stays_out_of_logs_and_outcomes(
    new_robot: RobotMaker, sandbox: WecomSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    provider = new_robot(timeouts=HASTY)
    seen: list[object] = [provider.verify()]
    faults = (
        Fault("delay", seconds=0.4),
        Fault("reset_before"),
        Fault("bad_json"),
        Fault("status", status=500),
        Fault("code", code="987654"),
        Fault("reset_after", at="webhook/upload_media"),
    )
    for fault in faults:
        sandbox.faults.add(fault)
        content = wecom("file", data=b"123456") if fault.at else TEXT
        seen.append(provider.send(messages("a", content=content)))
    text = everything_logged(caplog.records) + repr(seen) + repr(provider._secret)
    assert "987654" in text
    assert ROBOT_KEY not in text and "key=5" not in text
