"""Each check of the platform can fail: one thing is broken, and the violation is seen."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.model.events import Facts
from shared.model.reasons import Reason
from shared.model.wire import write
from tests.guarantees.platform import Platform, ViolationError, platform
from tests.guarantees.test_crash_matrix import refused, scripted, taken

pytestmark = pytest.mark.xdist_group("crash-checks")


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


@pytest.fixture(params=["notification", "marketing"])
def ids(one: Platform, request: pytest.FixtureRequest) -> Iterator[tuple[list[str], str]]:
    """Three messages of a class that came to an end, the last one as a dead letter, with nothing wrong."""
    one.reset()
    found, one.script = scripted(taken, taken, refused(99))
    found += one.send(f"smtp-{request.param}", one.addresses("smtp", 3))
    one.work()
    assert one.check(found) == {"sent": 2, "dead_lettered": 1}
    yield found, request.param


def tell(one: Platform, message_id: str, stage: str, n: int = 0, **more: Any) -> None:
    """Put an event into the timeline that nobody made, and count it."""
    event = {"pk": f"default#{message_id[26:]}", "sk": f"{message_id}#{stage}#{n}"}
    said = Facts(stage=stage, nth=n, at=one.stack.clock.now_ms(), **more)
    item = {**{name: {"S": value} for name, value in event.items()}, "d": {"S": write(said).decode()}}
    one.stack.client("dynamodb").put_item(TableName=one.table("timeline"), Item=item)
    count(one, stage, 1)


def count(one: Platform, stage: str, n: int) -> None:
    """Count what nobody counted."""
    one.stack.client("dynamodb").update_item(
        TableName=one.table("counters"),
        Key={"pk": {"S": "default#tenant"}, "sk": {"S": "00498000#x"}},
        UpdateExpression="ADD #stage :n",
        ExpressionAttributeNames={"#stage": stage},
        ExpressionAttributeValues={":n": {"N": str(n)}},
    )


def forget(one: Platform, message_id: str, *stages: str) -> None:
    """Take events of a message out of the timeline and the counters."""
    for stage in stages:
        key = {"pk": {"S": f"default#{message_id[26:]}"}, "sk": {"S": f"{message_id}#{stage}#0"}}
        gone = one.stack.client("dynamodb").delete_item(
            TableName=one.table("timeline"), Key=key, ReturnValues="ALL_OLD"
        )
        assert gone["Attributes"]
        count(one, stage, -1)


def open_ledger(one: Platform, ids: list[str]) -> None:
    item = {"pk": {"S": "envelope#x"}, "sk": {"S": "ledger"}, "owner": {"S": "o"}, "rows": {"B": zlib.compress(b"[]")}}
    one.stack.client("dynamodb").put_item(TableName=one.table("guard"), Item=item)


def forget_letters(one: Platform, ids: list[str]) -> None:
    dynamodb, table = one.stack.client("dynamodb"), one.table("catalog")
    for item in dynamodb.scan(TableName=table)["Items"]:
        if item["pk"]["S"].startswith("letter#"):
            dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def leave(name: str, **more: Any) -> Callable[[Platform, list[str]], None]:
    """Leave a message in a queue whose name ends so."""

    def broken(one: Platform, ids: list[str]) -> None:
        (url,) = (url for url in one.stack.deployment.queues.values() if url.endswith(name))
        one.stack.client("sqs").send_message(QueueUrl=url, MessageBody="x", **more)

    return broken


def leave_schedule(one: Platform, ids: list[str]) -> None:
    one.stack.client("scheduler").create_schedule(
        Name="left",
        GroupName=one.stack.outputs["ScheduleGroup"],
        ScheduleExpression="at(2099-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:sqs:us-east-1:123456789012:x", "RoleArn": "arn:aws:iam::123456789012:role/x"},
    )


def in_hand(one: Platform, ids: list[str]) -> None:
    leave("mepush-sms-verification")(one, ids)
    (url,) = (url for url in one.stack.deployment.queues.values() if url.endswith("mepush-sms-verification"))
    one.stack.client("sqs").receive_message(QueueUrl=url)


def doubled(one: Platform, ids: list[str]) -> None:
    """Sent twice, for all to see: allowed, but not to marketing."""
    tell(one, ids[0], "retrying", 1, reason=Reason.TIMED_OUT, maybe_sent=True)
    one.book.taken[ids[0]] = 2


def end_twice(one: Platform, ids: list[str]) -> None:
    tell(one, ids[0], "failed")
    count(one, "accepted", 1)
    tell(one, ids[1], "accepted", 1)


def refuse_what_was_taken(one: Platform, ids: list[str]) -> None:
    forget(one, ids[0], "sent")
    tell(one, ids[0], "failed")


BROKEN: dict[str, tuple[Callable[[Platform, list[str]], Any], str]] = {
    "lost without a trace": (lambda one, ids: forget(one, ids[0], "accepted", "sent"), "3 accepted, 2 traced"),
    "traced but never accepted": (lambda one, ids: tell(one, "0" * 26 + "x" * 16, "accepted"), "3 accepted, 4 traced"),
    "no end": (lambda one, ids: forget(one, ids[0], "sent"), "still accepted"),
    "two ends": (end_twice, "2 outcomes"),
    "sent is a guess": (lambda one, ids: one.book.taken.pop(ids[0]), "called sent, and was not"),
    "sent twice": (lambda one, ids: one.book.taken.update({ids[0]: 1}), "sent 2 times in silence"),
    "sent and called failed": (refuse_what_was_taken, "sent, and called failed"),
    "given up and not kept": (forget_letters, "1 given up, 0 kept"),
    "counted too often": (lambda one, ids: count(one, "sent", 1), "counted .* in the timeline"),
    "counted not at all": (lambda one, ids: count(one, "accepted", -1), "counted .* in the timeline"),
    "no balance": (lambda one, ids: tell(one, ids[0], "accepted", 1), "no balance"),
    "a ledger is open": (open_ledger, "is open"),
    "a message waits": (leave("mepush-sms-verification"), "left in .*mepush-sms-verification"),
    "a message is delayed": (leave("mepush-sms-marketing", DelaySeconds=60), "left in .*mepush-sms-marketing"),
    "a message is in hand": (in_hand, "left in .*mepush-sms-verification"),
    "a dead letter waits": (leave("mepush-sms-marketing-dlq"), "left in .*mepush-sms-marketing-dlq"),
    "a schedule is left": (leave_schedule, "1 schedules are left"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_seen(one: Platform, ids: tuple[list[str], str], name: str) -> None:
    break_it, said = BROKEN[name]
    break_it(one, ids[0])
    with pytest.raises(ViolationError, match=said):
        one.check(ids[0])


def test_marketing_is_not_sent_twice_even_for_all_to_see(one: Platform, ids: tuple[list[str], str]) -> None:
    doubled(one, ids[0])
    if ids[1] == "marketing":
        with pytest.raises(ViolationError, match="marketing sent 2 times"):
            one.check(ids[0])
    else:
        assert one.check(ids[0]) == {"sent": 2, "dead_lettered": 1}


def test_a_request_that_is_never_carried_out_is_seen(one: Platform) -> None:
    one.reset()
    with pytest.raises(ViolationError, match="refused with 422"):
        one.send("nothing", one.addresses("smtp", 1))
