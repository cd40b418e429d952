"""Puts the in-memory services under boto3: what they know, they answer; all else goes on to moto."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator

from local.memory.dynamodb import DynamoDb
from local.memory.errors import AwsError
from local.memory.firehose import Streams
from local.memory.kinesis import Kinesis
from local.memory.operations import Operations
from local.memory.scheduler import Scheduler
from local.memory.sqs import Sqs
from shared.model.clock import Clock


class Memory:
    """DynamoDB, SQS, Kinesis and Firehose in this process's memory, by the stack's clock.

    They play what was adopted, and refuse what they do not know with UnsupportedError. Parameters are validated, events
    of clients emitted, and errors raised as botocore does it: for who calls, and for who counts, nothing differs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.dynamodb = DynamoDb(clock)
        self.sqs = Sqs(clock)
        self.kinesis = Kinesis(clock)
        self.firehose = Streams()
        self._services: Mapping[str, Operations] = {
            "dynamodb": self.dynamodb,
            "sqs": self.sqs,
            "kinesis": self.kinesis,
            "firehose": self.firehose,
            "scheduler": Scheduler(),
        }
        self._validator = ParamValidator()

    def adopt(self, client: Callable[[str], Any]) -> None:
        """Play, empty, all tables, queues and streams that moto has. client: makes boto3 clients."""
        dynamodb, sqs, kinesis = client("dynamodb"), client("sqs"), client("kinesis")
        for pages in dynamodb.get_paginator("list_tables").paginate():
            for name in pages["TableNames"]:
                self.dynamodb.adopt(dynamodb.describe_table(TableName=name)["Table"])
        for url in sqs.list_queues().get("QueueUrls", ()):
            self.sqs.adopt(url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])
        for name in kinesis.list_streams()["StreamNames"]:
            self.kinesis.adopt(name, kinesis.list_shards(StreamName=name)["Shards"])

    @contextmanager
    def still(self) -> Iterator["Memory"]:
        """Let no service change within the block."""
        with ExitStack() as stack:
            for service in self._services.values():
                stack.enter_context(service.lock)
            yield self

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Answer the calls of all clients, within the block."""
        pass_on = vars(BaseClient)["_make_api_call"]

        def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            service = self._services.get(client.meta.service_model.service_name)
            if service is None or not service.handles(operation):
                return pass_on(client, operation, parameters)
            return self._call(client, service, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    def queue_due_ms(self, url: str) -> float | None:
        """When a message of a queue will next be visible, in milliseconds since the epoch; None if it is empty."""
        return self.sqs.due_ms(url)

    def oldest_sent_ms(self, url: str) -> float | None:
        """When the oldest message of a queue was sent, in milliseconds since the epoch; None if it is empty."""
        return self.sqs.oldest_sent_ms(url)

    def newest_record(self, stream: str, shard_id: str) -> int:
        """The sequence number of a shard's newest record; 0 if there is none."""
        return self.kinesis.newest(stream, shard_id)

    def _call(self, client: Any, service: Operations, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        model = client.meta.service_model.operation_model(operation)
        event, context = f"{model.service_model.service_id.hyphenize()}.{operation}", {"client": client}
        emit = client.meta.events.emit
        emit(f"before-parameter-build.{event}", params=parameters, model=model, context=context)
        if model.input_shape is not None:
            report = self._validator.validate(parameters, model.input_shape)
            if report.has_errors():
                raise ParamValidationError(report=report.generate_report())
        status, error = 200, None
        try:
            answer = service.answer(operation, parameters)
        except AwsError as refusal:
            status, error = 400, refusal
            answer = {"Error": {"Message": refusal.message, "Code": refusal.code}, **refusal.more}
        answer["ResponseMetadata"] = {
            "RequestId": uuid.uuid4().hex,
            "HTTPStatusCode": status,
            "HTTPHeaders": {"date": formatdate(self._clock.now_ms() // 1000, usegmt=True)},
            "RetryAttempts": 0,
        }
        response = SimpleNamespace(status_code=status)
        emit(f"after-call.{event}", http_response=response, parsed=answer, model=model, context=context)
        if error is not None:
            raise client.exceptions.from_code(error.modeled)(answer, operation)
        return answer
