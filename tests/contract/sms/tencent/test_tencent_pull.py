"""What Tencent Cloud tells when it is asked for reports and answers, each once."""

import json
from typing import Any

import pytest

from local.sandbox.base import Fault
from local.sandbox.tencent_receipts import PLAYERS, Untold
from shared.model.receipts import Receipt
from shared.model.words import Stage
from shared.providers.base import Provider, PullError
from shared.providers.sms.tencent.receipts import reports_of, stops_of
from shared.providers.table import PROVIDERS
from tests.contract.sms.support import message
from tests.contract.sms.tencent.support import APP, ONE, Sandbox
from tests.contract.sms.tencent.test_tencent_receipts import ROW, read
from tests.fakes import FakeClock


@pytest.fixture
def asked(sandbox: Sandbox, clock: FakeClock) -> FakeClock:
    """The clock by which what was sent is told; support has allowed it."""
    sandbox.clock = clock
    sandbox.untold[APP] = Untold(clock)
    return clock


def receipts(provider: Provider) -> list[Receipt]:
    bodies = [body for bodies in provider.pulled() for body in bodies]
    return [each for body in bodies for each in read(body)]


def number(end: str) -> str:
    return PLAYERS[:-1] + f"{end:>06}"


def test_it_can_be_asked_by_a_setting() -> None:
    assert PROVIDERS["tencent"].pull_setting == "pull_receipts"
    assert [name for name, spec in PROVIDERS.items() if spec.pull_setting] == ["ses", "tencent"]


def test_each_report_and_answer_is_told_once_when_it_is_due(provider: Provider, asked: FakeClock) -> None:
    provider.send([message(number("2001"))])
    provider.send([message(number("2003"))])
    provider.send([message(number("0144"))])
    assert receipts(provider) == []
    asked.advance(61)
    told = receipts(provider)
    assert [(each.address, each.stage, each.latest) for each in told] == [
        (number("2001"), Stage.DELIVERED, False),
        (number("2003"), Stage.DELIVERED, False),
        (number("0144"), Stage.UNDELIVERED, False),
        (number("2001"), Stage.UNSUBSCRIBED, True),
    ]
    assert receipts(provider) == []


def test_what_people_write_is_not_told_on(provider: Provider, asked: FakeClock) -> None:
    provider.send([message(number("2003"))])
    asked.advance(61)
    assert "谢谢" not in json.dumps([*provider.pulled()], ensure_ascii=False)


def test_no_more_is_asked_for_than_is_taken(provider: Provider, sandbox: Sandbox, asked: FakeClock) -> None:
    for start in (0, 200):
        provider.send([message(f"+86138{i:08d}") for i in range(start, start + 150)])
    asked.advance(10)
    taken = next(provider.pulled())
    assert len(json.loads(taken[0])["PullSmsSendStatusSet"]) == 100
    assert len(receipts(provider)) == 200
    actions = [each.headers["x-tc-action"] for each in sandbox.requests][2:]
    # Two full ones, and one that is not, of those that were left.
    assert actions == ["PullSmsSendStatus"] * 4 + ["PullSmsReplyStatus"]


def test_where_it_is_not_allowed_the_code_is_told(provider: Provider) -> None:
    with pytest.raises(PullError) as caught:
        receipts(provider)
    assert caught.value.code == "UnauthorizedOperation.RequestPermissionDeny"


def test_answers_are_asked_for_even_if_reports_are_refused(
    provider: Provider, sandbox: Sandbox, asked: FakeClock
) -> None:
    provider.send([message(number("2001"))])
    asked.advance(61)
    sandbox.faults.add(Fault("code", at="PullSmsSendStatus", code="InternalError.Timeout"))
    found: list[str] = []
    with pytest.raises(PullError) as caught:
        for bodies in provider.pulled():
            found += bodies
    assert caught.value.code == "InternalError.Timeout"
    assert len(found) == 1 and '"text":"R"' in found[0]


@pytest.mark.parametrize("kind", ["reset_before", "bad_json", "status"])
def test_a_broken_answer_is_no_answer(provider: Provider, sandbox: Sandbox, asked: FakeClock, kind: Any) -> None:
    provider.send([message(ONE)])
    asked.advance(10)
    sandbox.faults.add(Fault(kind, at="PullSmsSendStatus", status=502))
    with pytest.raises(PullError):
        receipts(provider)


def test_rows_that_cannot_be_read_go_by_themselves() -> None:
    good, bad = reports_of([ROW, 7, {**ROW, "SerialNo": ""}])
    assert json.loads(good) == {"PullSmsSendStatusSet": [ROW]}
    assert json.loads(bad) == {"PullSmsSendStatusSet": [7, {**ROW, "SerialNo": ""}]}
    assert reports_of([]) == stops_of([]) == stops_of([7, {"ReplyContent": 1}]) == []
