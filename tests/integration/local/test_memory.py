"""The in-memory AWS: the same assertions on moto and on it. Where moto differs from AWS, the test says so."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from local.clock import LocalClock
from local.memory.engine import Memory
from local.memory.errors import UnsupportedError
from local.moto_patches import patched
from shared.aws import clients

Item = dict[str, Any]
WORK, DEAD = "work", "dead"


class Engine:
    """One of the two, with a table `t`, a queue `work` with its dead-letter queue, and a stream `s` of two shards."""

    def __init__(self, name: str, clock: LocalClock) -> None:
        self.name = name
        self.clock = clock
        self.dynamodb: Any = clients.client("dynamodb")
        self.sqs: Any = clients.client("sqs")
        self.kinesis: Any = clients.client("kinesis")
        self.dynamodb.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        )
        self.dead = self.sqs.create_queue(QueueName=DEAD)["QueueUrl"]
        policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:123456789012:{DEAD}", "maxReceiveCount": 2}
        attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "60", "MessageRetentionPeriod": "3600"}
        self.url = self.sqs.create_queue(QueueName=WORK, Attributes=attributes)["QueueUrl"]
        self.kinesis.create_stream(StreamName="s", ShardCount=2)

    def put(self, pk: str, sk: str, **attributes: Any) -> Item:
        """Put an item and return it."""
        item = {**key(pk, sk), **attributes}
        self.dynamodb.put_item(TableName="t", Item=item)
        return item

    def get(self, pk: str, sk: str) -> Item | None:
        """An item, if it is there."""
        found: Item | None = self.dynamodb.get_item(TableName="t", Key=key(pk, sk), ConsistentRead=True).get("Item")
        return found

    def update(self, pk: str, sk: str, expression: str, **given: Any) -> Any:
        """Update an item; keyword arguments beside the client's own are values."""
        values = {f":{name}": given.pop(name) for name in list(given) if name[0].islower()}
        more = {"ExpressionAttributeValues": values} if values else {}
        return self.dynamodb.update_item(TableName="t", Key=key(pk, sk), UpdateExpression=expression, **more, **given)

    def query(self, condition: str, **given: Any) -> Any:
        """One page of a query."""
        values = {f":{name}": given.pop(name) for name in list(given) if name[0].islower()}
        return self.dynamodb.query(
            TableName="t", KeyConditionExpression=condition, ExpressionAttributeValues=values, **given
        )

    def receive(self, url: str | None = None, **given: Any) -> list[Any]:
        """What can be received now."""
        given = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], **given}
        found: list[Any] = self.sqs.receive_message(QueueUrl=url or self.url, **given).get("Messages", [])
        return found

    def counts(self, url: str | None = None) -> tuple[int, int, int]:
        """How many messages are visible, in flight and delayed."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        visible, hidden, delayed = (int(found[name]) for name in names)
        return visible, hidden, delayed


def made(name: str, clock: LocalClock) -> Iterator[Engine]:
    """An engine, empty."""
    engine = Engine(name, clock)
    if name == "moto":
        yield engine
        return
    memory = Memory(clock)
    memory.adopt(clients.client)
    with memory.attached():
        yield engine


@pytest.fixture(params=["moto", "memory"])
def engine(request: pytest.FixtureRequest, _moto: Any, local_clock: LocalClock) -> Iterator[Engine]:
    """Both engines, one after the other."""
    with _moto(), patched(local_clock):
        yield from made(request.param, local_clock)


@pytest.fixture
def memory(_moto: Any, local_clock: LocalClock) -> Iterator[Engine]:
    """The in-memory AWS alone: for what moto does in another way than AWS."""
    with _moto(), patched(local_clock):
        yield from made("memory", local_clock)


def key(pk: str, sk: str) -> Item:
    """An item's key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def code(call: Callable[[], Any], kind: type[Exception] = ClientError) -> str:
    """The code of the error that a call raises."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert isinstance(error, ClientError)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error.response["Error"]["Code"])


# DynamoDB


def test_items_are_kept_as_they_were(engine: Engine) -> None:
    item = engine.put(
        "a",
        "1",
        s={"S": "x"},
        n={"N": "-12.5"},
        b={"B": b"\x00\xff"},
        t={"BOOL": True},
        z={"NULL": True},
        m={"M": {"l": {"L": [{"S": "x"}, {"N": "1"}]}}},
        ss={"SS": ["a", "b"]},
    )
    assert engine.get("a", "1") == item
    assert engine.get("a", "2") is None
    again = engine.dynamodb.put_item(TableName="t", Item=key("a", "1"), ReturnValues="ALL_OLD")
    assert again["Attributes"] == item
    gone = engine.dynamodb.delete_item(TableName="t", Key=key("a", "1"), ReturnValues="ALL_OLD")
    assert gone["Attributes"] == key("a", "1")
    assert "Attributes" not in engine.dynamodb.delete_item(TableName="t", Key=key("a", "1"), ReturnValues="ALL_OLD")
    assert engine.get("a", "1") is None


def test_what_a_caller_changes_later_changes_no_item(engine: Engine) -> None:
    item = engine.put("a", "1", m={"M": {"x": {"S": "y"}}})
    item["m"]["M"]["x"]["S"] = "changed"
    found = engine.get("a", "1")
    assert found is not None
    assert found["m"] == {"M": {"x": {"S": "y"}}}
    found["m"]["M"].clear()
    assert engine.get("a", "1") == {**key("a", "1"), "m": {"M": {"x": {"S": "y"}}}}


def test_a_failed_condition_shows_the_item(engine: Engine) -> None:
    item = engine.put("a", "1", n={"N": "1"})
    failed = engine.dynamodb.exceptions.ConditionalCheckFailedException
    request = {"TableName": "t", "Item": key("a", "1"), "ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(failed) as caught:
        engine.dynamodb.put_item(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Item"] == item
    assert caught.value.response["message"] == "The conditional request failed"
    with pytest.raises(failed) as caught:
        engine.dynamodb.put_item(**request)
    assert "Item" not in caught.value.response
    with pytest.raises(failed):
        engine.dynamodb.delete_item(
            TableName="t",
            Key=key("a", "1"),
            ConditionExpression="n > :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )
    assert engine.get("a", "1") == item


CONDITIONS = [
    ("n = :one", True),
    ("n <> :one", False),
    ("n < :two AND n >= :one", True),
    ("n > :one OR s = :x", False),
    ("n > :one OR begins_with(s, :x)", True),
    ("NOT n = :one", False),
    ("(n = :two OR n = :one) AND attribute_exists(s)", True),
    ("n = :two OR n = :one AND s = :y", False),
    ("n BETWEEN :one AND :two", True),
    ("n IN (:two, :one)", True),
    ("n IN (:two)", False),
    ("begins_with(s, :x)", True),
    ("begins_with(s, :y)", False),
    ("contains(s, :z)", True),
    ("size(s) = :two", True),
    ("n = :x", False),
    ("gone = :one", False),
    ("gone <> :one", True),
    ("gone < :one", False),
    ("attribute_not_exists(gone) OR gone < :one", True),
]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_conditions(engine: Engine, condition: str, holds: bool) -> None:
    engine.put("a", "1", n={"N": "1"}, s={"S": "xz"})
    values = {
        name: value
        for name, value in (
            (":one", {"N": "1"}),
            (":two", {"N": "2"}),
            (":x", {"S": "x"}),
            (":y", {"S": "y"}),
            (":z", {"S": "z"}),
        )
        if name in condition
    }
    given = {"ExpressionAttributeValues": values} if values else {}

    def delete() -> None:
        engine.dynamodb.delete_item(TableName="t", Key=key("a", "1"), ConditionExpression=condition, **given)

    if holds:
        delete()
    else:
        assert code(delete) == "ConditionalCheckFailedException"
    assert (engine.get("a", "1") is None) is holds


UPDATES = [
    ("SET n = :one", {"n": {"N": "1"}}),
    ("SET n = n + :one, s = :one", {"n": {"N": "6"}, "s": {"N": "1"}}),
    ("SET n = n - :one", {"n": {"N": "4"}}),
    ("SET gone = if_not_exists(gone, :one)", {"gone": {"N": "1"}}),
    ("SET gone = if_not_exists(gone, :one) + :one", {"gone": {"N": "2"}}),
    ("SET n = if_not_exists(n, :one)", {}),
    ("SET s = n, n = :one", {"s": {"N": "5"}, "n": {"N": "1"}}),
    ("ADD n :one", {"n": {"N": "6"}}),
    ("ADD gone :one", {"gone": {"N": "1"}}),
    ("SET s = :one REMOVE n ADD gone :one", {"s": {"N": "1"}, "n": None, "gone": {"N": "1"}}),
    ("REMOVE n, gone", {"n": None}),
]


@pytest.mark.parametrize(("expression", "changes"), UPDATES)
def test_updates(engine: Engine, expression: str, changes: Item) -> None:
    item = engine.put("a", "1", n={"N": "5"}, s={"S": "x"})
    values = {"one": {"N": "1"}} if ":one" in expression else {}
    answer = engine.update("a", "1", expression, ReturnValues="ALL_NEW", **values)
    expected = {name: value for name, value in {**item, **changes}.items() if value is not None}
    assert answer["Attributes"] == engine.get("a", "1") == expected


def test_an_update_makes_an_item_and_returns_what_is_asked(engine: Engine) -> None:
    assert "Attributes" not in engine.update("a", "1", "SET n = :n", n={"N": "1"})
    assert engine.get("a", "1") == {**key("a", "1"), "n": {"N": "1"}}
    changed = {"UPDATED_NEW": {"n": {"N": "3"}}, "UPDATED_OLD": {"n": {"N": "3"}}, "ALL_OLD": engine.get("a", "1")}
    changed["ALL_OLD"] = {**key("a", "1"), "n": {"N": "5"}}
    for wanted, attributes in changed.items():
        answer = engine.update("a", "1", "ADD n :n", n={"N": "2"}, ReturnValues=wanted)
        assert answer["Attributes"] == attributes


def test_numbers_are_exact(engine: Engine) -> None:
    engine.put("a", "1", n={"N": "9" * 38}, m={"N": "0.1"}, z={"N": "007"}, e={"N": "1e3"})
    found = engine.update("a", "1", "SET m = m + :m", m={"N": "0.2"}, ReturnValues="ALL_NEW")["Attributes"]
    assert (found["n"], found["m"]) == ({"N": "9" * 38}, {"N": "0.3"})


@pytest.mark.parametrize(
    "request_",
    [
        {"UpdateExpression": "SET owner = :a"},
        {"UpdateExpression": "SET n = gone + :a"},
        {"UpdateExpression": "SET sk = :a"},
        {"UpdateExpression": "SET n = :a, n = :a"},
        {"UpdateExpression": "SET n = :b"},
        {"UpdateExpression": "SET n = :a", "ExpressionAttributeNames": {"#unused": "x"}},
        {"UpdateExpression": "REMOVE n"},
        {"UpdateExpression": "SET n = :a", "ConditionExpression": "ttl = :a"},
        {"UpdateExpression": "SET n := :a"},
    ],
)
def test_expressions_that_are_refused(engine: Engine, request_: dict[str, Any]) -> None:
    refused(engine, request_)


@pytest.mark.parametrize(
    "request_",
    [
        {"UpdateExpression": "SET #n = :a"},
        {"UpdateExpression": "SET n = :a", "ConditionExpression": "n = "},
        {"UpdateExpression": "SET n = :a", "ConditionExpression": ""},
        {"UpdateExpression": "SET n = :a", "ConditionExpression": "attribute_exists(pk"},
        {"UpdateExpression": "SET n = :a SET x = :a"},
    ],
)
def test_expressions_at_which_moto_breaks_or_which_it_takes(memory: Engine, request_: dict[str, Any]) -> None:
    refused(memory, request_)


def test_values_of_different_types_have_no_order(memory: Engine) -> None:
    # moto breaks at the comparison.
    memory.put("a", "1", n={"N": "1"})
    request = {"ConditionExpression": "n < :x OR n >= :x", "ExpressionAttributeValues": {":x": {"S": "1"}}}
    delete = partial(memory.dynamodb.delete_item, TableName="t", Key=key("a", "1"), **request)
    assert code(delete) == "ConditionalCheckFailedException"


def refused(engine: Engine, request_: dict[str, Any]) -> None:
    """An update is refused and changes nothing."""
    engine.put("a", "1")
    given = {"ExpressionAttributeValues": {":a": {"N": "1"}}}
    call = partial(engine.dynamodb.update_item, TableName="t", Key=key("a", "1"), **given | request_)
    assert code(call) == "ValidationException"
    assert engine.get("a", "1") == key("a", "1")


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": ""}, "sk": {"S": "1"}},
        {"pk": {"N": "1"}, "sk": {"S": "1"}},
        {**key("a", "1"), "x": {"S": "x" * 410_000}},
        {"pk": {"S": "x" * 2049}, "sk": {"S": "1"}},
        {"pk": {"S": "a"}, "sk": {"S": "x" * 1025}},
    ],
)
def test_items_that_are_refused(engine: Engine, item: Item) -> None:
    assert code(lambda: engine.dynamodb.put_item(TableName="t", Item=item)) == "ValidationException"


def test_an_item_of_exactly_400_kb_is_taken(memory: Engine) -> None:
    # moto's limit is 405,000 bytes.
    room = 400 * 1024 - len("pk") - 1 - len("sk") - 1 - len("x")
    memory.put("a", "1", x={"S": "x" * room})
    assert code(lambda: memory.put("a", "1", x={"S": "x" * (room + 1)})) == "ValidationException"


def test_tables_that_are_not_there(engine: Engine) -> None:
    missing = engine.dynamodb.exceptions.ResourceNotFoundException
    assert code(lambda: engine.dynamodb.get_item(TableName="no", Key=key("a", "1")), missing)


def filled(engine: Engine) -> None:
    """Twelve items in each of three partitions."""
    for pk in "abc":
        for n in range(12):
            engine.put(pk, f"{n:02}", n={"N": str(n)})


def keys(answer: Any) -> list[str]:
    """The sort keys of an answer's items."""
    return [item["sk"]["S"] for item in answer["Items"]]


def test_queries(engine: Engine) -> None:
    filled(engine)
    b = {"p": {"S": "b"}}
    everything = [f"{n:02}" for n in range(12)]
    assert keys(engine.query("pk = :p", **b)) == everything
    assert keys(engine.query("pk = :p", **b, ScanIndexForward=False)) == everything[::-1]
    assert keys(engine.query("pk = :p AND begins_with(sk, :s)", **b, s={"S": "1"})) == ["10", "11"]
    low, high = {"S": "02"}, {"S": "04"}
    assert keys(engine.query("pk = :p AND sk BETWEEN :x AND :y", **b, x=low, y=high)) == ["02", "03", "04"]
    assert keys(engine.query("pk = :p AND sk > :x", **b, x={"S": "09"})) == ["10", "11"]
    assert keys(engine.query("sk <= :x AND pk = :p", **b, x={"S": "01"})) == ["00", "01"]
    assert keys(engine.query("pk = :p AND sk = :x", **b, x={"S": "01"})) == ["01"]
    assert engine.query("pk = :p", p={"S": "no"})["Items"] == []
    filtered = engine.query("pk = :p", **b, m={"N": "9"}, FilterExpression="n > :m", ProjectionExpression="sk")
    assert filtered["Items"] == [{"sk": {"S": "10"}}, {"sk": {"S": "11"}}]
    assert (filtered["Count"], filtered["ScannedCount"]) == (2, 12)
    assert engine.query("pk = :p", **b, Select="COUNT")["Count"] == 12
    assert code(lambda: engine.query("sk = :p", **b)) == "ValidationException"


@pytest.mark.parametrize("forward", [True, False])
def test_pages_of_a_query(engine: Engine, forward: bool) -> None:
    filled(engine)
    found: list[str] = []
    more: dict[str, Any] = {}
    pages = 0
    while pages < 10:
        page = engine.query("pk = :p", p={"S": "b"}, Limit=5, ScanIndexForward=forward, **more)
        found += keys(page)
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        assert page["LastEvaluatedKey"] == key("b", keys(page)[-1])
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [f"{n:02}" for n in range(12)][:: 1 if forward else -1]
    assert pages == 3


def test_a_page_holds_a_megabyte(engine: Engine) -> None:
    for n in range(6):
        engine.put("a", str(n), x={"S": "x" * 300_000})
    first = engine.query("pk = :p", p={"S": "a"})
    assert 3 <= len(first["Items"]) <= 4
    rest = engine.query("pk = :p", p={"S": "a"}, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert sorted(keys(first) + keys(rest)) == [str(n) for n in range(6)]


def test_a_scan_sees_each_item_once(engine: Engine) -> None:
    filled(engine)
    found: list[tuple[str, str]] = []
    more: dict[str, Any] = {}
    while True:
        page = engine.dynamodb.scan(TableName="t", Limit=5, **more)
        found += [(item["pk"]["S"], item["sk"]["S"]) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(found) == [(pk, f"{n:02}") for pk in "abc" for n in range(12)]
    values = {":n": {"N": "11"}}
    page = engine.dynamodb.scan(TableName="t", FilterExpression="n = :n", ExpressionAttributeValues=values)
    assert (page["Count"], page["ScannedCount"]) == (3, 36)


def test_batches(engine: Engine) -> None:
    writes = [{"PutRequest": {"Item": key("a", f"{n:02}")}} for n in range(25)]
    assert engine.dynamodb.batch_write_item(RequestItems={"t": writes})["UnprocessedItems"] == {}
    engine.dynamodb.batch_write_item(RequestItems={"t": [{"DeleteRequest": {"Key": key("a", "00")}}]})
    wanted = {"Keys": [key("a", "00"), key("a", "01"), key("b", "01")], "ConsistentRead": True}
    got = engine.dynamodb.batch_get_item(RequestItems={"t": {**wanted, "ProjectionExpression": "pk, sk"}})
    assert got["Responses"] == {"t": [key("a", "01")]}
    assert got["UnprocessedKeys"] == {}


def test_batches_that_are_refused(engine: Engine) -> None:
    put = {"PutRequest": {"Item": key("a", "1")}}
    write, get = engine.dynamodb.batch_write_item, engine.dynamodb.batch_get_item
    assert code(lambda: write(RequestItems={"t": [put, put]})) == "ValidationException"
    assert code(lambda: get(RequestItems={"t": {"Keys": [key("a", "1")] * 2}})) == "ValidationException"
    many = [key("a", str(n)) for n in range(101)]
    assert code(lambda: get(RequestItems={"t": {"Keys": many}})) == "ValidationException"
    assert engine.get("a", "1") is None


def test_a_batch_of_26_writes_is_refused(memory: Engine) -> None:
    # Botocore refuses an empty one; moto takes 26.
    writes = [{"PutRequest": {"Item": key("a", str(n))}} for n in range(26)]
    assert code(lambda: memory.dynamodb.batch_write_item(RequestItems={"t": writes})) == "ValidationException"


def put_action(pk: str, **more: Any) -> Any:
    """A Put of a transaction."""
    return {"Put": {"TableName": "t", "Item": key(pk, "1"), **more}}


def test_a_transaction_does_all_of_it(engine: Engine) -> None:
    engine.put("b", "1", n={"N": "1"})
    engine.put("c", "1")
    values = {":n": {"N": "2"}}
    add = {"Key": key("b", "1"), "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": values}
    check = {"Key": key("d", "1"), "ConditionExpression": "attribute_not_exists(pk)"}
    engine.dynamodb.transact_write_items(
        TransactItems=[
            put_action("a", ConditionExpression="attribute_not_exists(pk)"),
            {"Update": {"TableName": "t", **add}},
            {"Delete": {"TableName": "t", "Key": key("c", "1")}},
            {"ConditionCheck": {"TableName": "t", **check}},
        ]
    )
    assert engine.get("a", "1") == key("a", "1")
    assert engine.get("b", "1") == {**key("b", "1"), "n": {"N": "3"}}
    assert engine.get("c", "1") is None
    assert engine.get("d", "1") is None


def test_a_transaction_does_nothing_and_says_why(engine: Engine) -> None:
    item = engine.put("b", "1", n={"N": "1"})
    absent = {"ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(engine.dynamodb.exceptions.TransactionCanceledException) as caught:
        engine.dynamodb.transact_write_items(
            TransactItems=[
                put_action("a"),
                put_action("b", **absent, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
                put_action("c"),
            ]
        )
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed", "None"]
    assert reasons[1]["Item"] == item
    assert reasons[1]["Message"] == "The conditional request failed"
    assert engine.get("a", "1") is None


def test_transactions_that_are_refused(engine: Engine) -> None:
    write = engine.dynamodb.transact_write_items
    assert code(lambda: write(TransactItems=[put_action("a"), put_action("a")])) == "ValidationException"
    assert code(lambda: write(TransactItems=[put_action(str(n)) for n in range(101)])) == "ValidationException"
    write(TransactItems=[put_action(str(n)) for n in range(100)])
    assert engine.get("a", "1") is None
    assert engine.get("99", "1") is not None


def test_a_transaction_with_the_same_token_is_done_once(memory: Engine) -> None:
    # moto ignores the token.
    values = {":n": {"N": "1"}}
    update = {"Key": key("a", "1"), "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": values}
    request = {"TransactItems": [{"Update": {"TableName": "t", **update}}], "ClientRequestToken": "x"}
    for _ in range(3):
        memory.dynamodb.transact_write_items(**request)
    other = {"TransactItems": [put_action("b")], "ClientRequestToken": "x"}
    mismatch = memory.dynamodb.exceptions.IdempotentParameterMismatchException
    assert code(lambda: memory.dynamodb.transact_write_items(**other), mismatch)
    assert memory.get("a", "1") == {**key("a", "1"), "n": {"N": "1"}}
    memory.clock.advance(601)
    memory.dynamodb.transact_write_items(**request)
    assert memory.get("a", "1") == {**key("a", "1"), "n": {"N": "2"}}


def test_threads_lose_no_update(memory: Engine) -> None:
    def work() -> None:
        for _ in range(200):
            memory.update("a", "1", "ADD n :n", n={"N": "1"})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert memory.get("a", "1") == {**key("a", "1"), "n": {"N": "800"}}


# SQS


def test_a_message_is_seen_again_when_its_visibility_ends(engine: Engine) -> None:
    sent = engine.sqs.send_message(QueueUrl=engine.url, MessageBody="x", MessageGroupId="tenant.run")
    (message,) = engine.receive()
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "x")
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] == "9dd4e461268c8034f5c8564e155c67a6"
    assert message["Attributes"]["MessageGroupId"] == "tenant.run"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert int(message["Attributes"]["SentTimestamp"]) <= engine.clock.now_ms()
    assert engine.receive() == []
    assert engine.counts() == (0, 1, 0)
    engine.clock.advance(59)
    assert engine.receive() == []
    engine.clock.advance(2)
    assert engine.counts() == (1, 0, 0)
    (again,) = engine.receive()
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    assert again["ReceiptHandle"] != message["ReceiptHandle"]
    engine.sqs.delete_message(QueueUrl=engine.url, ReceiptHandle=again["ReceiptHandle"])
    engine.sqs.delete_message(QueueUrl=engine.url, ReceiptHandle=again["ReceiptHandle"])
    assert engine.counts() == (0, 0, 0)
    engine.clock.advance(61)
    assert engine.receive() == []


def test_an_old_handle_deletes_nothing(memory: Engine) -> None:
    # SQS API reference, DeleteMessage: with an earlier handle the message might not be deleted. moto deletes it.
    memory.sqs.send_message(QueueUrl=memory.url, MessageBody="x")
    (first,) = memory.receive(VisibilityTimeout=1)
    memory.clock.advance(2)
    (second,) = memory.receive()
    memory.sqs.delete_message(QueueUrl=memory.url, ReceiptHandle=first["ReceiptHandle"])
    assert memory.counts() == (0, 1, 0)
    memory.sqs.delete_message(QueueUrl=memory.url, ReceiptHandle=second["ReceiptHandle"])
    assert memory.counts() == (0, 0, 0)


def test_what_was_given_up_goes_back_to_its_queue(memory: Engine) -> None:
    # SQS developer guide, "Configure a dead-letter queue redrive". moto has no such operation.
    arn = memory.sqs.get_queue_attributes(QueueUrl=memory.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    memory.sqs.send_message(QueueUrl=memory.url, MessageBody="given up")
    for _ in range(3):
        memory.receive(VisibilityTimeout=1)
        memory.clock.advance(2)
    memory.sqs.send_message(QueueUrl=memory.dead, MessageBody="put there by hand")
    assert (memory.counts(), memory.counts(memory.dead)) == ((0, 0, 0), (2, 0, 0))
    memory.sqs.start_message_move_task(SourceArn=arn)
    assert [each["Body"] for each in memory.receive()] == ["given up"]
    memory.clock.advance(1)
    assert memory.counts(memory.dead) == (1, 0, 0)
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        memory.sqs.start_message_move_task(SourceArn=arn.replace(DEAD, WORK))


def test_delays(engine: Engine) -> None:
    engine.sqs.send_message(QueueUrl=engine.url, MessageBody="later", DelaySeconds=900)
    engine.sqs.send_message(QueueUrl=engine.url, MessageBody="now")
    assert engine.counts() == (1, 0, 1)
    assert [message["Body"] for message in engine.receive()] == ["now"]
    engine.clock.advance(899)
    assert [message["Body"] for message in engine.receive()] == ["now"]
    engine.clock.advance(2)
    assert [message["Body"] for message in engine.receive()] == ["later"]


def test_what_was_received_too_often_goes_to_the_dead_letter_queue(engine: Engine) -> None:
    sent = engine.sqs.send_message(QueueUrl=engine.url, MessageBody="x", MessageGroupId="g")
    for _ in range(2):
        assert len(engine.receive()) == 1
        engine.clock.advance(61)
    assert engine.receive(engine.dead) == []
    assert engine.receive() == []
    (message,) = engine.receive(engine.dead)
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "x")
    assert message["Attributes"]["MessageGroupId"] == "g"
    assert engine.counts() == (0, 0, 0)


def test_a_dead_letter_says_where_it_comes_from_and_keeps_its_age(memory: Engine) -> None:
    # moto tells neither.
    memory.sqs.send_message(QueueUrl=memory.url, MessageBody="x")
    sent_ms = memory.clock.now_ms()
    for _ in range(3):
        memory.receive()
        memory.clock.advance(61)
    (message,) = memory.receive(memory.dead)
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(f":{WORK}")
    assert abs(int(message["Attributes"]["SentTimestamp"]) - sent_ms) < 1000


def test_messages_past_their_retention_are_gone(engine: Engine) -> None:
    engine.sqs.send_message(QueueUrl=engine.url, MessageBody="old")
    engine.clock.advance(3601)
    engine.sqs.send_message(QueueUrl=engine.url, MessageBody="new")
    assert [message["Body"] for message in engine.receive()] == ["new"]


def test_visibility_can_be_changed(engine: Engine) -> None:
    engine.sqs.send_message(QueueUrl=engine.url, MessageBody="x")
    handle = engine.receive()[0]["ReceiptHandle"]
    engine.sqs.change_message_visibility(QueueUrl=engine.url, ReceiptHandle=handle, VisibilityTimeout=300)
    engine.clock.advance(61)
    assert engine.receive() == []
    engine.clock.advance(240)
    (message,) = engine.receive()
    engine.sqs.change_message_visibility_batch(
        QueueUrl=engine.url,
        Entries=[{"Id": "0", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}],
    )
    engine.clock.advance(0.01)
    assert engine.counts() == (1, 0, 0)


def test_batches_of_messages(engine: Engine) -> None:
    entries = [{"Id": str(n), "MessageBody": f"m{n}", "MessageGroupId": "g"} for n in range(10)]
    answer = engine.sqs.send_message_batch(QueueUrl=engine.url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == [str(n) for n in range(10)]
    assert not answer.get("Failed")
    messages = engine.receive()
    assert sorted(message["Body"] for message in messages) == [f"m{n}" for n in range(10)]
    handles = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages[:5])]
    answer = engine.sqs.delete_message_batch(
        QueueUrl=engine.url, Entries=[*handles, {"Id": "bad", "ReceiptHandle": "x"}]
    )
    assert [each["Id"] for each in answer["Successful"]] == [str(n) for n in range(5)]
    assert [(each["Id"], each["Code"]) for each in answer["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]
    assert engine.counts() == (0, 5, 0)


def test_batches_of_messages_that_are_refused(engine: Engine) -> None:
    def send(*entries: dict[str, Any]) -> Callable[[], Any]:
        return lambda: engine.sqs.send_message_batch(QueueUrl=engine.url, Entries=list(entries))

    e = engine.sqs.exceptions
    prefix = "AWS.SimpleQueueService."
    many = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    large = [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]
    assert code(send(), e.EmptyBatchRequest) == f"{prefix}EmptyBatchRequest"
    assert code(send(*many), e.TooManyEntriesInBatchRequest) == f"{prefix}TooManyEntriesInBatchRequest"
    assert code(send(many[0], many[0]), e.BatchEntryIdsNotDistinct) == f"{prefix}BatchEntryIdsNotDistinct"
    assert code(send(*large), e.BatchRequestTooLong) == f"{prefix}BatchRequestTooLong"
    assert engine.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"MessageBody": "x" * (1024 * 1024 + 1)},
        {"MessageBody": "x", "DelaySeconds": 901},
    ],
)
def test_messages_that_are_refused(engine: Engine, more: dict[str, Any]) -> None:
    assert code(lambda: engine.sqs.send_message(QueueUrl=engine.url, **more)) == "InvalidParameterValue"


def test_a_bad_entry_fails_alone(memory: Engine) -> None:
    # moto takes control characters and empty bodies, and fails the whole batch for a bad delay.
    entries = [
        {"Id": "good", "MessageBody": "x"},
        {"Id": "control", "MessageBody": "\x00"},
        {"Id": "empty", "MessageBody": ""},
        {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
    ]
    answer = memory.sqs.send_message_batch(QueueUrl=memory.url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["good"]
    assert {each["Id"]: each["Code"] for each in answer["Failed"]} == {
        "control": "InvalidMessageContents",
        "empty": "MissingParameter",
        "late": "InvalidParameterValue",
    }


def test_queues_and_handles_that_are_not_there(engine: Engine) -> None:
    e = engine.sqs.exceptions
    no_queue = "AWS.SimpleQueueService.NonExistentQueue"
    assert code(lambda: engine.sqs.send_message(QueueUrl=engine.url + "x", MessageBody="x"), e.QueueDoesNotExist)
    assert code(lambda: engine.sqs.get_queue_url(QueueName="no"), e.QueueDoesNotExist) == no_queue
    assert engine.sqs.get_queue_url(QueueName=WORK)["QueueUrl"] == engine.url
    bad = {"QueueUrl": engine.url, "ReceiptHandle": "x"}
    assert code(lambda: engine.sqs.delete_message(**bad), e.ReceiptHandleIsInvalid) == "ReceiptHandleIsInvalid"
    assert code(lambda: engine.receive(MaxNumberOfMessages=11)) == "InvalidParameterValue"


def test_a_queue_is_purged(engine: Engine) -> None:
    for n in range(3):
        engine.sqs.send_message(QueueUrl=engine.url, MessageBody="x", DelaySeconds=n * 100)
    engine.receive(MaxNumberOfMessages=1)
    engine.sqs.purge_queue(QueueUrl=engine.url)
    engine.clock.advance(1000)
    assert engine.counts() == (0, 0, 0)
    assert engine.receive() == []


def test_a_queue_shows_its_attributes(engine: Engine) -> None:
    found = engine.sqs.get_queue_attributes(QueueUrl=engine.url, AttributeNames=["All"])["Attributes"]
    assert found["VisibilityTimeout"] == "60"
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] in (2, "2")
    assert found["QueueArn"].endswith(f":{WORK}")


def test_depth_costs_nothing(memory: Engine) -> None:
    """Fifty thousand messages: were each call in proportion to the depth, this would take minutes."""
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(10)]
    for _ in range(5_000):
        memory.sqs.send_message_batch(QueueUrl=memory.url, Entries=entries)
    assert memory.counts() == (50_000, 0, 0)
    for _ in range(1000):
        messages = memory.receive()
        handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        memory.sqs.delete_message_batch(QueueUrl=memory.url, Entries=handles)
    assert memory.counts() == (40_000, 0, 0)


# Kinesis


def read(engine: Engine, shard: str, limit: int = 100, **given: Any) -> list[Any]:
    """The records of one page."""
    given = {"ShardIteratorType": "TRIM_HORIZON", **given}
    iterator = engine.kinesis.get_shard_iterator(StreamName="s", ShardId=shard, **given)["ShardIterator"]
    found: list[Any] = engine.kinesis.get_records(ShardIterator=iterator, Limit=limit)["Records"]
    return found


def test_records_are_read_in_order_from_anywhere(engine: Engine) -> None:
    records: list[Any] = [{"Data": f"{n}".encode(), "PartitionKey": f"k{n}"} for n in range(20)]
    answer = engine.kinesis.put_records(StreamName="s", Records=records)
    assert answer["FailedRecordCount"] == 0
    by_shard: dict[str, list[tuple[bytes, str]]] = {}
    for record, result in zip(records, answer["Records"], strict=True):
        by_shard.setdefault(result["ShardId"], []).append((record["Data"], result["SequenceNumber"]))
    shards = [shard["ShardId"] for shard in engine.kinesis.list_shards(StreamName="s")["Shards"]]
    assert sorted(by_shard) == shards
    for shard, expected in by_shard.items():
        found = [(record["Data"], record["SequenceNumber"]) for record in read(engine, shard)]
        assert found == expected
        assert [int(number) for _, number in found] == sorted(int(number) for _, number in found)
        third = expected[2][1]
        after = read(engine, shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third)
        assert [record["SequenceNumber"] for record in after] == [number for _, number in expected[3:]]
        at = read(engine, shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=third)
        assert [record["SequenceNumber"] for record in at] == [number for _, number in expected[2:]]
        assert read(engine, shard, ShardIteratorType="LATEST") == []
        assert len(read(engine, shard, limit=2)) == 2
        assert read(engine, shard)[0]["PartitionKey"].startswith("k")


def test_an_iterator_goes_on_where_it_ended(engine: Engine) -> None:
    iterators = {
        shard: engine.kinesis.get_shard_iterator(
            StreamName="s", ShardId=f"shardId-{shard:012}", ShardIteratorType="LATEST"
        )["ShardIterator"]
        for shard in range(2)
    }
    found: list[bytes] = []
    for n in range(6):
        engine.kinesis.put_record(StreamName="s", Data=f"{n}".encode(), PartitionKey=f"k{n}")
        for shard, iterator in iterators.items():
            page = engine.kinesis.get_records(ShardIterator=iterator)
            iterators[shard] = page["NextShardIterator"]
            found += [record["Data"] for record in page["Records"]]
    assert found == [f"{n}".encode() for n in range(6)]


def test_sequence_numbers_have_56_digits_and_differ_between_shards(engine: Engine) -> None:
    put = [engine.kinesis.put_record(StreamName="s", Data=b"x", PartitionKey=str(n)) for n in range(20)]
    assert {len(each["SequenceNumber"]) for each in put} == {56}
    assert len({each["SequenceNumber"] for each in put}) == 20


def test_streams_and_records_that_are_refused(engine: Engine) -> None:
    missing = engine.kinesis.exceptions.ResourceNotFoundException
    record = {"Data": b"x", "PartitionKey": "k"}
    assert code(lambda: engine.kinesis.put_records(StreamName="no", Records=[record]), missing)
    assert code(lambda: read(engine, "shardId-000000000009"), missing)
    put = engine.kinesis.put_records
    assert code(lambda: put(StreamName="s", Records=[record] * 501)) == "ValidationException"
    large = {"Data": b"x" * 1024 * 1024, "PartitionKey": "k"}
    if engine.name == "memory":  # moto leaves the key out of the size
        assert code(lambda: put(StreamName="s", Records=[large])) == "ValidationException"


def test_a_request_takes_ten_megabytes(memory: Engine) -> None:
    # moto keeps the limit of 5 MiB that AWS had before.
    record = {"Data": b"x" * 1024 * 1000, "PartitionKey": "k"}
    assert memory.kinesis.put_records(StreamName="s", Records=[record] * 10)["FailedRecordCount"] == 0
    call = partial(memory.kinesis.put_records, StreamName="s", Records=[record] * 11)
    assert code(call, memory.kinesis.exceptions.InvalidArgumentException)


# What goes beyond


def test_what_is_not_known_is_an_error_and_not_moto(memory: Engine) -> None:
    with pytest.raises(UnsupportedError, match="TransactGetItems"):
        memory.dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "t", "Key": key("a", "1")}}])
    with pytest.raises(UnsupportedError, match="ReturnConsumedCapacity"):
        memory.dynamodb.get_item(TableName="t", Key=key("a", "1"), ReturnConsumedCapacity="TOTAL")
    with pytest.raises(UnsupportedError):
        memory.update("a", "1", "SET m.x = :n", n={"N": "1"})
    with pytest.raises(UnsupportedError):
        memory.update("a", "1", "SET l = list_append(l, :n)", n={"L": []})


def test_parameters_are_validated_as_botocore_does(memory: Engine) -> None:
    """Of DynamoDB nobody else does: our clients write its requests unlooked at."""
    with pytest.raises(ParamValidationError):
        memory.dynamodb.get_item(TableName="t", Key={"pk": "a"})
    with pytest.raises(ParamValidationError):
        memory.sqs.send_message(MessageBody="x")


def test_all_else_goes_on_to_moto(memory: Engine) -> None:
    secrets = clients.client("secretsmanager")
    secrets.create_secret(Name="x", SecretString="y")
    assert secrets.get_secret_value(SecretId="x")["SecretString"] == "y"
    assert memory.dynamodb.describe_table(TableName="t")["Table"]["TableName"] == "t"


def test_pages_of_a_paginator(engine: Engine) -> None:
    filled(engine)
    pages = list(engine.dynamodb.get_paginator("scan").paginate(TableName="t", PaginationConfig={"PageSize": 7}))
    assert sum(len(page["Items"]) for page in pages) == 36
    assert len(pages) == 6
