"""The WeCom sandbox keeps the vendor's rules, so that a provider which breaks one is found out."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.sandbox.wecom import AGENT_ID, CORP_ID, CORP_SECRET, ROBOT_KEY, WecomSandbox
from tests.fakes import FakeClock

TEXT = {"msgtype": "text", "agentid": AGENT_ID, "touser": "a", "text": {"content": "x"}}
CARD = {"card_type": "text_notice", "card_action": {"type": 1, "url": "https://example.com"}}


class Caller:
    """Speaks to the sandbox as anyone could."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def token(self, secret: str = CORP_SECRET) -> str:
        return str(self.get("gettoken", corpid=CORP_ID, corpsecret=secret)["access_token"])

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return self._answer(self.client.get(f"/cgi-bin/{path}", params=params))

    def post(self, path: str, body: Any, **params: str) -> dict[str, Any]:
        return self._answer(self.client.post(f"/cgi-bin/{path}", params=params, json=body))

    def send(self, **changes: Any) -> dict[str, Any]:
        return self.post("message/send", TEXT | changes, access_token=self.token())

    def upload(self, path: str, data: bytes, field: str = "media", **params: str) -> dict[str, Any]:
        answer = self.client.post(f"/cgi-bin/{path}", params=params, files={field: ("f.bin", data)})
        return self._answer(answer)

    @staticmethod
    def _answer(response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def caller(sandbox: WecomSandbox) -> Iterator[Caller]:
    with httpx.Client(base_url=sandbox.url, trust_env=False) as client:
        yield Caller(client)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"corpsecret": CORP_SECRET}, 41002),
        ({"corpid": CORP_ID}, 41004),
        ({"corpid": "x", "corpsecret": CORP_SECRET}, 40013),
        ({"corpid": CORP_ID, "corpsecret": "x"}, 40001),
    ],
)
def test_gettoken_refuses(caller: Caller, params: dict[str, str], code: int) -> None:
    assert caller.get("gettoken", **params)["errcode"] == code


def test_a_token_is_the_same_while_it_lasts(caller: Caller, clock: FakeClock) -> None:
    first = caller.token()
    clock.advance(7199)
    assert caller.token() == first
    clock.advance(1)
    assert caller.token() != first


def test_tokens_are_checked(caller: Caller, sandbox: WecomSandbox, clock: FakeClock) -> None:
    assert caller.post("message/send", TEXT)["errcode"] == 41001
    assert caller.post("message/send", TEXT, access_token="made-up")["errcode"] == 40014
    token = caller.token()
    clock.advance(7200)
    assert caller.post("message/send", TEXT, access_token=token)["errcode"] == 42001
    sandbox.trusted = False
    assert caller.send()["errcode"] == 60020


def test_an_agent_must_belong_to_the_token(caller: Caller, sandbox: WecomSandbox) -> None:
    sandbox.apps[7] = "other-secret"
    token = caller.token("other-secret")
    assert caller.post("message/send", TEXT, access_token=token)["errcode"] == 301002
    assert caller.get("agent/get", agentid=str(AGENT_ID), access_token=token)["errcode"] == 301002
    assert caller.get("agent/get", agentid="7", access_token=token)["name"] == "Sandbox app 7"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"agentid": str(AGENT_ID)}, 40056),
        ({"msgtype": "pigeon"}, 40008),
        ({"msgtype": None}, 40008),
        ({"text": "x"}, 40063),
        ({"text": {"content": ""}}, 44004),
        ({"touser": ""}, 40063),
        ({"touser": ["a"]}, 40035),
        ({"touser": "|".join(f"u{n}" for n in range(1001))}, 40032),
        ({"toparty": "|".join(map(str, range(101)))}, 82002),
        ({"totag": "|".join(map(str, range(101)))}, 82003),
        ({"msgtype": "textcard", "textcard": {"description": "d", "url": "https://x"}}, 41016),
        ({"msgtype": "textcard", "textcard": {"title": "t", "url": "https://x"}}, 41033),
        ({"msgtype": "textcard", "textcard": {"title": "t", "description": "d", "url": "x"}}, 45034),
        ({"msgtype": "news", "news": {"articles": []}}, 40063),
        ({"msgtype": "news", "news": {"articles": [{"title": "t", "url": "https://x"}] * 9}}, 45008),
        ({"msgtype": "image", "image": {}}, 41006),
        ({"msgtype": "image", "image": {"media_id": "x"}}, 40007),
        ({"msgtype": "template_card", "template_card": CARD | {"card_action": None}}, 40058),
        ({"msgtype": "template_card", "template_card": CARD | {"jump_list": [{}] * 4}}, 40058),
        ({"msgtype": "template_card", "template_card": CARD | {"action_menu": {"desc": "d"}}}, 40058),
    ],
)
def test_message_send_refuses(caller: Caller, sandbox: WecomSandbox, changes: dict[str, Any], code: int) -> None:
    assert caller.send(**changes)["errcode"] == code
    assert sandbox.outbox.count() == 0


def test_long_text_is_cut_without_an_error(caller: Caller, sandbox: WecomSandbox) -> None:
    assert caller.send(text={"content": "码" * 700})["errcode"] == 0
    assert sandbox.outbox.all()[0].data["text"] == "码" * 682


def test_an_identical_message_shows_once_within_the_interval(
    caller: Caller, sandbox: WecomSandbox, clock: FakeClock
) -> None:
    checked = {"enable_duplicate_check": 1, "duplicate_check_interval": 60}
    first = caller.send(**checked)
    assert caller.send(**checked)["msgid"] == first["msgid"]
    assert sandbox.outbox.count() == 1
    caller.send(**checked, touser="b")
    assert sandbox.outbox.count() == 2
    clock.advance(60)
    assert caller.send(**checked)["msgid"] != first["msgid"]
    assert sandbox.outbox.count() == 3


def test_without_the_check_repeats_show(caller: Caller, sandbox: WecomSandbox) -> None:
    caller.send()
    caller.send()
    assert sandbox.outbox.count() == 2


def test_recall(caller: Caller, sandbox: WecomSandbox, clock: FakeClock) -> None:
    msgid = caller.send()["msgid"]
    assert caller.post("message/recall", {"msgid": "other"}, access_token=caller.token())["errcode"] == 40058
    assert caller.post("message/recall", {"msgid": msgid}, access_token=caller.token())["errcode"] == 0
    assert sandbox.recalled == {msgid}
    clock.advance(24 * 3600 + 1)
    assert caller.post("message/recall", {"msgid": msgid}, access_token=caller.token())["errcode"] == 40058


def test_uploads(caller: Caller, clock: FakeClock) -> None:
    token = caller.token()

    def upload(data: bytes, kind: str, field: str = "media") -> int:
        return int(caller.upload("media/upload", data, field, access_token=token, type=kind)["errcode"])

    assert upload(b"123456", "file") == 0
    assert upload(b"12345", "file") == 44001
    assert upload(b"123456", "file", "attachment") == 44001
    assert upload(b"123456", "image") == 40004
    assert upload(b"123456", "sculpture") == 40005
    assert upload(b"0" * (2 * 2**20 + 1), "voice") == 45001
    image = caller.upload("media/upload", b"\xff\xd8\xff---", access_token=token, type="image")
    assert isinstance(image["created_at"], str)
    changes = {"msgtype": "image", "image": {"media_id": image["media_id"]}}
    assert caller.send(**changes)["errcode"] == 0
    assert caller.send(msgtype="file", file={"media_id": image["media_id"]})["errcode"] == 40007
    clock.advance(3 * 24 * 3600)
    assert caller.send(**changes)["errcode"] == 40007


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"msgtype": "textcard", "textcard": {"title": "t"}}, 40008),
        ({"msgtype": "text", "text": {"content": "x" * 2049}}, 40058),
        ({"msgtype": "markdown", "markdown": {"content": "x" * 4097}}, 40058),
        ({"msgtype": "news", "news": {"articles": [{"title": "t"}]}}, 45034),
        ({"msgtype": "image", "image": {"base64": "iVBORw0KGgo=", "md5": "0" * 32}}, 301019),
        ({"msgtype": "image", "image": {"base64": "?", "md5": ""}}, 40058),
        ({"msgtype": "image", "image": {"base64": "R0lGODlh", "md5": ""}}, 40004),
        ({"msgtype": "template_card", "template_card": CARD | {"card_type": "vote_interaction"}}, 40058),
        (["no object"], 40035),
    ],
)
def test_a_robot_refuses(caller: Caller, sandbox: WecomSandbox, body: Any, code: int) -> None:
    assert caller.post("webhook/send", body, key=ROBOT_KEY)["errcode"] == code
    assert sandbox.outbox.count() == 0


def test_a_robots_file_is_looked_at_before_its_key(caller: Caller) -> None:
    assert caller.upload("webhook/upload_media", b"123", key="wrong", type="file")["errcode"] == 44001
    assert caller.upload("webhook/upload_media", b"123456", key="wrong", type="file")["errcode"] == 93000


def test_files_belong_to_one_robot(caller: Caller, sandbox: WecomSandbox) -> None:
    sandbox.robot_keys.add("another-robot")
    mine = caller.upload("webhook/upload_media", b"123456", key=ROBOT_KEY, type="file")["media_id"]
    body = {"msgtype": "file", "file": {"media_id": mine}}
    assert caller.post("webhook/send", body, key="another-robot")["errcode"] == 40007
    assert caller.post("webhook/send", body, key=ROBOT_KEY)["errcode"] == 0
    assert caller.send(msgtype="file", file={"media_id": mine})["errcode"] == 40007


def test_an_unknown_path(caller: Caller) -> None:
    assert caller.client.get("/cgi-bin/user/get").status_code == 404
