"""What is learned from codes that are entered: counted by country, told to the providers, and followed by routing."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.sandbox.aws_sms import AwsSmsSandbox
from local.sandbox.tencent import TencentSandbox
from local.seed import EXAMPLES, account_body
from local.stack import LocalStack
from mepush.files.accounts import read_accounts
from mepush.main import app
from tests.e2e.verifying import TEXT, Site

pytestmark = pytest.mark.xdist_group("local-stack")

HOUR = 3600
numbers = count(1)


class World(Site):
    """A site with two accounts for texts, each of which is told of codes that were entered."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        found = {account["id"]: account for account in read_accounts(EXAMPLES / "accounts.toml")}
        aws = account_body(found["sms-aws"], stack.sandboxes)
        self.call("/v1/accounts", aws)
        self.change(
            "/v1/accounts/sms-tencent", {"settings": self.settings("sms-tencent") | {"report_conversion": True}}
        )
        for id, accounts in (("by-aws", ["sms-aws"]), ("by-both", ["sms-tencent", "sms-aws"])):
            template = {"id": id, "name": id, "class": "verification", "accounts": accounts, "content": TEXT}
            self.call("/v1/templates", template | {"sample": {"code": "1", "minutes": 1}})
            self.call(f"/v1/templates/{id}/versions/1/publish", {})
        self.call(
            "/v1/templates",
            {
                "id": "text",
                "name": "Text",
                "class": "notification",
                "accounts": ["sms-aws"],
                "content": {"type": "sms", "text": "There is news."},
            },
        )
        self.call("/v1/templates/text/versions/1/publish", {})
        self.tencent.reporters.add(self.settings("sms-tencent")["sdk_app_id"])

    @property
    def tencent(self) -> TencentSandbox:
        found = self.stack.sandboxes["tencent"]
        assert isinstance(found, TencentSandbox)
        return found

    @property
    def aws(self) -> AwsSmsSandbox:
        found = self.stack.sandboxes["aws"]
        assert isinstance(found, AwsSmsSandbox)
        return found

    def settings(self, account: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/accounts/{account}")["settings"]
        return found

    def change(self, path: str, body: Any) -> None:
        answer = self.api.patch(path, json=body, headers={"Authorization": f"Bearer {self.key}"})
        assert answer.is_success, answer.text

    def serial(self, phone: str) -> str:
        """The provider's id of the only text to somebody."""
        [text] = [each for each in self.stack.outbox.all() if each.to == phone]
        return text.id

    def wait(self, seconds: float) -> None:
        """Let time pass, with all that becomes due in it."""
        self.stack.drain(20_000, until_due=True, horizon_s=seconds)
        self.stack.clock.advance(seconds)
        self.stack.drain(20_000)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with LocalStack(threads=False, memory=True) as stack, closing(World(stack)) as it:
        yield it


@pytest.fixture
def phone() -> str:
    return f"+86139{next(numbers):08d}"


def enter(world: World, phone: str, template: str = "code") -> dict[str, Any]:
    started = world.start(phone, template=template)
    assert world.check(started["id"], world.codes(phone)[-1])[0] == "approved"
    world.stack.drain()
    return started


def test_tencent_is_told_of_a_code_that_was_entered_and_of_no_other(world: World, phone: str) -> None:
    entered_at = world.stack.clock.now_ms() // 1000
    enter(world, phone)
    other = f"{phone[:-1]}x".replace("x", "9")
    started = world.start(other)
    world.check(started["id"], "0")
    world.wait(HOUR)
    assert entered_at <= world.tencent.conversions[world.serial(phone)] <= entered_at + 60
    assert world.serial(other) not in world.tencent.conversions


def test_aws_is_told_and_takes_what_it_is_not_told_of_for_failed(world: World, phone: str) -> None:
    enter(world, phone, "by-aws")
    other = f"{phone[:-2]}99"
    world.start(other, template="by-aws")
    world.call("/v1/messages", {"template": "text", "to": phone[:-2] + "98"})
    world.stack.drain()
    assert world.aws.feedback(world.serial(phone)) == "RECEIVED"
    assert world.aws.feedback(world.serial(other)) is None
    with pytest.raises(KeyError):
        world.aws.feedback(world.serial(phone[:-2] + "98"))
    world.wait(HOUR + 60)
    assert world.aws.feedback(world.serial(phone)) == "RECEIVED"
    assert world.aws.feedback(world.serial(other)) == "FAILED"


def test_a_report_that_does_not_get_through_is_made_again(world: World, phone: str) -> None:
    fault = FaultInput(provider="tencent", kind="status", status=500, at="ReportConversion", times=3)
    world.tencent.faults.add(fault.fault())
    started = enter(world, phone)
    assert world.get(f"/v1/messages/{started['message_id']}")["status"] == "verified"
    assert world.serial(phone) not in world.tencent.conversions
    world.wait(HOUR)
    assert world.serial(phone) in world.tencent.conversions


def test_a_provider_that_wants_no_reports_changes_nothing(world: World, phone: str) -> None:
    app = world.settings("sms-tencent")["sdk_app_id"]
    world.tencent.reporters.discard(app)
    started = enter(world, phone)
    world.wait(2 * HOUR)
    world.tencent.reporters.add(app)
    assert world.get(f"/v1/messages/{started['message_id']}")["status"] == "verified"
    assert world.serial(phone) not in world.tencent.conversions


def test_reports_can_be_switched_off(world: World, phone: str) -> None:
    settings = world.settings("sms-tencent")
    world.change("/v1/accounts/sms-tencent", {"settings": settings | {"report_conversion": False}})
    world.wait(60)
    enter(world, phone)
    world.wait(HOUR)
    world.change("/v1/accounts/sms-tencent", {"settings": settings})
    world.wait(60)
    assert world.serial(phone) not in world.tencent.conversions


def test_statistics_say_by_country_how_many_codes_were_entered(world: World, tmp_path: Path) -> None:
    before = {each["country"]: each for each in world.get("/v1/stats/templates/login-code")["countries"]}
    assert before == {}
    phones = [f"+86137{n:08d}" for n in range(4)]
    for at, phone in enumerate(phones):
        started = world.start(phone, template="login-code")
        if at:
            world.check(started["id"], world.codes(phone)[-1])
    world.stack.drain()
    found = world.get("/v1/stats/templates/login-code")
    assert found["countries"] == [{"country": "CN", "sent": 4, "verified": 3, "verified_share": 0.75}]
    assert found["verified_share"] == 0.75
    [account] = found["accounts"]
    assert (account["name"], account["verified_share"]) == ("sms-tencent", 0.75)
    file = tmp_path / "codes.csv"
    ran = CliRunner().invoke(
        app, ["template", "stats", "login-code", "--codes-csv", str(file), "--url", world.stack.url, "--key", world.key]
    )
    assert ran.exit_code == 0, ran.output
    assert file.read_text(encoding="utf-8-sig").splitlines() == [
        "by,name,country,sent,verified,verified_share",
        "all,,CN,4,3,0.75",
        "account,sms-tencent,CN,4,3,0.75",
        "provider,tencent,CN,4,3,0.75",
    ]


def test_an_account_whose_codes_are_not_entered_gets_fewer_of_them(world: World) -> None:
    def send(first: int, last: int) -> dict[str, int]:
        went = {"sms-tencent": 0, "sms-aws": 0}
        for n in range(first, last):
            phone = f"+86136{n:08d}"
            started = world.start(phone, template="by-both")
            [event] = [
                e for e in world.get(f"/v1/messages/{started['message_id']}")["timeline"] if e["stage"] == "sent"
            ]
            went[event["account"]] += 1
            # Texts of this account do not arrive, whatever it says.
            if event["account"] == "sms-tencent":
                world.check(started["id"], world.codes(phone)[-1])
        world.stack.drain()
        return went

    before = send(0, 120)
    assert min(before.values()) >= 40
    world.wait(1200)
    send(120, 122)
    world.wait(61)
    after = send(122, 222)
    assert after["sms-aws"] < before["sms-aws"] / 2
    [record, *_] = world.get("/v1/audit?target=account/sms-aws")["records"]
    assert (record["action"], record["who"]) == ("shift_conversion", "routing")
    assert record["after"]["country"] == "CN"
    assert "codes to CN were entered" in record["after"]["reason"]
