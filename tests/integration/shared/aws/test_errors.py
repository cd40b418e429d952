"""What botocore raises over a real connection that goes wrong: all of it is what we catch."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.aws import clients
from shared.aws.errors import AWS_ERRORS

ONCE: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}}
ANSWERS = {
    "hangs up": b"",
    "is no web server": b"220 mail.example.com\r\n",
    "has a proxy that fails": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
    "refuses in HTML": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\n<html>",
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "dynamodb": lambda dynamodb: dynamodb.get_item(TableName="t", Key={"pk": {"S": "a"}}),
    "sqs": lambda sqs: sqs.send_message(QueueUrl="https://sqs/q", MessageBody="x"),
    "kinesis": lambda kinesis: kinesis.put_records(StreamName="s", Records=[{"Data": b"x", "PartitionKey": "k"}]),
    "s3": lambda s3: s3.get_object(Bucket="files", Key="k")["Body"].read(),
    "scheduler": lambda scheduler: scheduler.delete_schedule(Name="x"),
}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    clients.reset()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A place that takes one connection and one request, answers so and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_service_that_answers_wrongly(service: str, answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(AWS_ERRORS):
        CALLS[service](clients.client(service, endpoint_url=url, **ONCE))


@pytest.mark.parametrize("service", CALLS)
def test_a_service_where_nobody_listens(service: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(AWS_ERRORS):
        CALLS[service](clients.client(service, endpoint_url=url, **ONCE))


def test_a_file_that_breaks_off() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as url, pytest.raises(AWS_ERRORS):
        CALLS["s3"](clients.client("s3", endpoint_url=url, **ONCE))
