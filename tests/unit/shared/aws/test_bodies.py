"""What goes to DynamoDB is what botocore would write, only without its walk through the model."""

import base64
import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ParamValidationError
from botocore.session import Session

from shared.aws import clients
from shared.model.words import Stage

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}
ITEM = {
    **KEY,
    "text": {"S": '张伟 "&\n\u2028'},
    "number": {"N": "12"},
    "bytes": {"B": b"\x00\xff\xfe"},
    "flag": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "x"}, {"M": {"B": {"B": b"y"}}}]},
    "texts": {"SS": ["x", "y"]},
    "stage": {"S": Stage.SENT},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "get_item": {"TableName": "t", "Key": KEY, "ConsistentRead": True},
    "put_item": {"TableName": "t", "Item": ITEM, "ConditionExpression": "attribute_not_exists(pk)"},
    "update_item": {"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = :a",
                    "ExpressionAttributeValues": {":a": {"B": bytearray(b"\xff")}}},
    "batch_get_item": {"RequestItems": {"t": {"Keys": (KEY,), "ConsistentRead": False}}},
    "batch_write_item": {"RequestItems": {"t": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": KEY}}]}},
    "transact_write_items": {"TransactItems": [{"Put": {"TableName": "t", "Item": ITEM}}],
                             "ClientRequestToken": "once"},
    "query": {"TableName": "t", "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "a"}},
              "Limit": 3, "ExclusiveStartKey": KEY},
}  # fmt: skip


class _Empty:
    def stream(self) -> list[bytes]:
        return [b"{}"]


def sent(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
    """The request that a client would send."""
    found: list[Any] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        found.append(request)
        nothing: Any = {}
        return AWSResponse(request.url, 200, nothing, _Empty())

    client.meta.events.register("before-send.dynamodb", keep)
    getattr(client, operation)(**parameters)
    return found[0]


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_request_says_what_botocore_says(operation: str) -> None:
    session = Session()
    plain = sent(session.create_client("dynamodb"), operation, REQUESTS[operation])
    ours = sent(clients.made(session, "dynamodb"), operation, REQUESTS[operation])
    assert json.loads(ours.body) == json.loads(plain.body)
    same = ("X-Amz-Target", "Content-Type")
    assert [ours.headers[name] for name in same] == [plain.headers[name] for name in same]
    assert int(ours.headers["Content-Length"]) == len(ours.body)


def test_texts_are_not_escaped() -> None:
    ours = sent(clients.made(Session(), "dynamodb"), "put_item", REQUESTS["put_item"])
    assert "张伟".encode() in ours.body and base64.b64encode(b"\x00\xff\xfe") in ours.body


class _Text(str):
    __slots__ = ()


@pytest.mark.parametrize("text", ["\ud800", _Text("plain")], ids=["half of a pair", "of another type"])
def test_what_is_not_plain_data_is_written_by_botocore(text: str) -> None:
    parameters = {"TableName": "t", "Item": {"pk": {"S": text}}}
    ours = sent(clients.made(Session(), "dynamodb"), "put_item", parameters)
    assert json.loads(ours.body) == parameters


def test_a_parameter_that_is_none_goes_to_dynamodb_for_it_to_refuse() -> None:
    session = Session()
    assert b"Tabel" in sent(clients.made(session, "dynamodb"), "get_item", {"Tabel": "t"}).body
    with pytest.raises(ParamValidationError):
        clients.made(session, "sqs").send_message(Url="q")
