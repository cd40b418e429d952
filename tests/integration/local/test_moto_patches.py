"""What is changed in moto: results stay what they were, and cost no longer grows with what is stored."""

import gc
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.clock import LocalClock
from local.moto_patches import FIRST_SEQUENCE_NUMBER, patched
from shared.aws import clients

REGION = "us-east-1"
Observed = dict[str, Any]


def aws(service: str) -> Any:
    """A client in this process's moto."""
    return clients.client(service)


def plain(item: Any) -> Any:
    """An answer without what differs from run to run."""
    if isinstance(item, dict):
        left_out = ("ResponseMetadata", "MessageId", "ReceiptHandle", "CreatedTimestamp", "LastModifiedTimestamp")
        return {k: plain(v) for k, v in item.items() if k not in left_out}
    return [plain(each) for each in item] if isinstance(item, list) else item


def observe_queue() -> Observed:
    """What a queue shows over the life of some messages."""
    sqs = aws("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "1"}}'
    url = sqs.create_queue(QueueName="q", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "30"})["QueueUrl"]
    sent = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "0", "MessageBody": "zero", "MessageGroupId": "g"},
            {"Id": "1", "MessageBody": "one", "DelaySeconds": 60},
            {"Id": "2", "MessageBody": "two", "MessageAttributes": {"a": {"DataType": "String", "StringValue": "x"}}},
            {"Id": "3", "MessageBody": "three"},
        ],
    )
    found: Observed = {
        "sent": plain(sent),
        "all": plain(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])),
    }
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, MessageAttributeNames=["All"])["Messages"]
    found["received"] = plain(received)
    found["some"] = plain(
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible", "QueueArn"])
    )
    first, second = (message["ReceiptHandle"] for message in received)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second, VisibilityTimeout=0)
    found["second"] = plain(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))
    found["dead"] = plain(sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10))
    with pytest.raises(ClientError) as error:
        sqs.delete_message(QueueUrl=url, ReceiptHandle="never")
    found["error"] = error.value.response["Error"]["Code"]
    found["after"] = plain(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
    return found


def observe_stream() -> Observed:
    """What a shard shows, its sequence numbers as distances from the first."""
    kinesis = aws("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=2)
    put = [kinesis.put_record(StreamName="s", Data=f"{i}".encode(), PartitionKey=f"k{i}") for i in range(20)]
    found: Observed = {}
    for shard in ("shardId-000000000000", "shardId-000000000001"):
        numbers = [int(each["SequenceNumber"]) for each in put if each["ShardId"] == shard]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for kind in (
            {"ShardIteratorType": "TRIM_HORIZON"},
            {"ShardIteratorType": "LATEST"},
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(numbers[2])},
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(numbers[2])},
        ):
            iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, **kind)["ShardIterator"]
            pages = []
            for _ in range(6):
                page = kinesis.get_records(ShardIterator=iterator, Limit=3)
                iterator = page["NextShardIterator"]
                records = [
                    (r["Data"], r["PartitionKey"], int(r["SequenceNumber"]) - numbers[0]) for r in page["Records"]
                ]
                pages.append(records)
            found[f"{shard} {kind['ShardIteratorType']}"] = pages
    return found


def table() -> Any:
    """A client with a table of some partitions."""
    dynamodb = aws("dynamodb")
    dynamodb.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
    )
    for pk in "abc":
        for n in range(12):
            dynamodb.put_item(TableName="t", Item={"pk": {"S": pk}, "sk": {"S": f"{n:02}"}, "n": {"N": str(n)}})
    return dynamodb


def observe_queries() -> Observed:
    """Queries of all kinds, page by page."""
    dynamodb = table()
    found: Observed = {}
    for name, condition, values, more in (
        ("all", "pk = :p", {}, {}),
        ("backwards", "pk = :p", {}, {"ScanIndexForward": False}),
        ("from", "pk = :p AND sk >= :s", {":s": {"S": "05"}}, {"Limit": 3}),
        ("between", "pk = :p AND sk BETWEEN :s AND :u", {":s": {"S": "02"}, ":u": {"S": "07"}}, {}),
        ("begins", "pk = :p AND begins_with(sk, :s)", {":s": {"S": "1"}}, {"ProjectionExpression": "sk"}),
        ("filter", "pk = :p", {":m": {"N": "6"}}, {"FilterExpression": "n > :m", "Limit": 4}),
    ):
        for pk in ("b", "missing"):
            request: dict[str, Any] = {
                "TableName": "t",
                "KeyConditionExpression": condition,
                "ExpressionAttributeValues": {":p": {"S": pk}, **values},
                **more,
            }
            pages = []
            for _ in range(6):
                page = dynamodb.query(**request)
                pages.append(plain(page))
                if "LastEvaluatedKey" not in page:
                    break
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            found[f"{name} {pk}"] = pages
    return found


def key(pk: str, sk: str) -> dict[str, Any]:
    """An item's key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def put(pk: str, sk: str, n: int, **more: Any) -> dict[str, Any]:
    """A transaction's action."""
    return {"Put": {"TableName": "t", "Item": {**key(pk, sk), "n": {"N": str(n)}}, **more}}


def add(pk: str, sk: str, update: str = "ADD n :n") -> dict[str, Any]:
    """A transaction's action."""
    values = {":n": {"N": "5"}}
    named = {"TableName": "t", "Key": key(pk, sk), "UpdateExpression": update, "ExpressionAttributeValues": values}
    return {"Update": named}


def delete(pk: str, sk: str) -> dict[str, Any]:
    """A transaction's action."""
    return {"Delete": {"TableName": "t", "Key": key(pk, sk)}}


def transactions() -> dict[str, list[dict[str, Any]]]:
    """Transactions that succeed, and that fail in all ways."""
    absent = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    nine = {"ConditionExpression": "n = :z", "ExpressionAttributeValues": {":z": {"N": "9"}}}
    check = {"ConditionCheck": {"TableName": "t", "Key": key("c", "00"), **nine}}
    nowhere = {"Put": {"TableName": "nowhere", "Item": key("a", "0")}}
    return {
        "good": [put("a", "00", 100), add("b", "00"), delete("c", "01"), put("new", "00", 1), add("newer", "00")],
        "condition": [
            put("a", "01", 9),
            add("b", "01"),
            delete("c", "02"),
            put("x", "0", 1),
            put("a", "02", 0, **absent),
        ],
        "check": [add("b", "02"), put("y", "0", 1), check],
        "twice": [put("a", "03", 100), add("a", "03")],
        "no table": [put("a", "04", 100), nowhere],
        "bad update": [put("z", "0", 1), add("a", "05", "SET n = pk + :n")],
        "many": [put("many", f"{n:03}", n) for n in range(20)],
    }


def observe_transactions() -> Observed:
    """What each transaction answers, and the table after it."""
    dynamodb = table()
    found: Observed = {}
    for name, actions in transactions().items():
        try:
            dynamodb.transact_write_items(TransactItems=actions)
            found[name] = "done"
        except ClientError as error:
            found[name] = (error.response["Error"]["Code"], error.response.get("CancellationReasons"))
        found[f"{name}: table"] = plain(dynamodb.scan(TableName="t")["Items"])
    return found


@pytest.mark.parametrize("observe", [observe_queue, observe_stream, observe_queries, observe_transactions])
def test_results_are_what_moto_gives(_moto: Any, observe: Callable[[], Observed]) -> None:
    def run(change: AbstractContextManager[None]) -> Observed:
        with _moto(), change:
            return observe()

    original, changed = run(nullcontext()), run(patched(LocalClock()))
    assert original.keys() == changed.keys()
    for name in original:
        assert changed[name] == original[name], name


def test_moto_is_itself_again_afterwards(_moto: Any) -> None:
    import moto.sqs.models as models
    from moto.core.common_models import BaseModel

    before = (models.Queue.messages, vars(models)["unix_time"], BaseModel.__new__)
    with _moto(), patched(LocalClock()):
        assert vars(models)["unix_time"] is not before[1]
    assert (models.Queue.messages, vars(models)["unix_time"], BaseModel.__new__) == before


def test_sequence_numbers_are_as_long_as_real_ones_and_differ_between_shards(moto: None) -> None:
    kinesis = aws("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=4)
    put = [kinesis.put_record(StreamName="s", Data=b"x", PartitionKey=str(i)) for i in range(40)]
    numbers = {each["SequenceNumber"] for each in put}
    assert {each["ShardId"] for each in put} == {f"shardId-{n:012}" for n in range(4)}
    assert len(numbers) == 40
    assert {len(number) for number in numbers} == {len(str(FIRST_SEQUENCE_NUMBER))} == {56}


def test_queues_keep_the_stacks_time(moto: None, local_clock: LocalClock) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    local_clock.advance(899)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    local_clock.advance(2)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "later"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    local_clock.advance(301)
    message = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"][0]
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_what_is_past_its_retention_is_gone_and_holds_up_nothing(moto: None, local_clock: LocalClock) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"MessageRetentionPeriod": "3600"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    local_clock.advance(3601)
    sqs.send_message(QueueUrl=url, MessageBody="new")
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["new"]


def test_waiting_for_messages_does_not_hold_up_who_sends(moto: None) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    waiter = threading.Thread(target=lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20), daemon=True)
    waiter.start()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    waiter.join(5)
    assert not waiter.is_alive()


def test_threads_do_not_trip_over_each_other(moto: None) -> None:
    dynamodb, sqs = table(), aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    errors: list[BaseException] = []

    def work(me: int) -> None:
        try:
            for n in range(5):
                dynamodb.put_item(TableName="t", Item={"pk": {"S": "a"}, "sk": {"S": f"{me}-{n}"}})
                dynamodb.query(
                    TableName="t", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "a"}}
                )
                add = {"TableName": "t", "Key": {"pk": {"S": "sum"}, "sk": {"S": "0"}}, "UpdateExpression": "ADD n :n"}
                dynamodb.transact_write_items(
                    TransactItems=[{"Update": {**add, "ExpressionAttributeValues": {":n": {"N": "1"}}}}]
                )
                sqs.send_message(QueueUrl=url, MessageBody="x")
                for message in sqs.receive_message(QueueUrl=url).get("Messages", []):
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        except BaseException as error:  # whatever it is, the test is to see it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    total = dynamodb.get_item(TableName="t", Key={"pk": {"S": "sum"}, "sk": {"S": "0"}})["Item"]
    assert total["n"] == {"N": "20"}


def test_what_was_stored_and_deleted_is_not_kept(moto: None) -> None:
    from moto.sqs.models import sqs_backends

    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    stored = weakref.ref(sqs_backends["123456789012"][REGION].queues["q"]._messages[0])
    assert stored() is not None
    message = sqs.receive_message(QueueUrl=url)["Messages"][0]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    gc.collect()
    assert stored() is None
