"""Accepts messages that events ask for, as the API does, and sets aside the events that ask for nothing valid.

EventBridge delivers an event at least once, and nobody waits for an answer. So a repeat is known by the event's id;
what can never be accepted goes to the dead-letter queue at once, with the reason; what may be accepted later is an
error, upon which Lambda tries again and in the end puts the event on the same queue.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from functions.ingest.service import Ingest, RepeatKey, reference_key
from shared.api.kit import Caller, parse
from shared.api.messages import SendRequest, SendResponse
from shared.api.problems import Problem, problem_of, row_of
from shared.aws.queue import MAX_MESSAGE_BYTES
from shared.base.logs import log_error
from shared.errors import PlatformError, RequestError, UnavailableError, invalid_field
from shared.model.clock import Clock, iso
from shared.model.sizes import size
from shared.model.tenants import DEFAULT_TENANT
from shared.model.words import KeyKind, Scope

logger = Logger(child=True)

NOT_VALID = "NotValid"
"""Why an event is on the dead-letter queue; Lambda has words of its own for those that it gives up."""
_KNOWN_BY = ("id", "source", "detail-type", "time", "account", "region")
_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_CALLER = Caller(DEFAULT_TENANT, "", KeyKind.LIVE, frozenset({Scope.SEND}))


class EventNotAcceptedError(UnavailableError):
    """An event could not be carried out now, or in part only; carrying it out again does the rest."""


class BadEvents:
    """The queue of events that ask for nothing that can be sent."""

    def __init__(self, client: Any, url: str, clock: Clock) -> None:
        self._client = client
        self._url = url
        self._clock = clock

    def put(self, event: Any, problem: Problem, request_id: str, function: str) -> None:
        """Set an event aside with what is wrong with it; as Lambda does, so that one way of reading is enough.

        Raises: what SQS raises.
        """
        record = {
            "version": "1.0",
            "timestamp": iso(self._clock.now_ms()),
            "requestContext": {"requestId": request_id, "functionArn": function, "condition": NOT_VALID},
            "requestPayload": event,
            "responsePayload": problem.model_dump(),
        }
        # Escaped, since SQS does not take every character that JSON does.
        text = json.dumps(record)
        if size(text) > MAX_MESSAGE_BYTES:
            # Of which nothing could be sent anyway: what tells people which event it was must not be lost with it.
            known = {name: event[name] for name in _KNOWN_BY if isinstance(event.get(name), str)}
            text = json.dumps(record | {"requestPayload": known | {"detail": "left out: too large for the queue"}})
        self._client.send_message(QueueUrl=self._url, MessageBody=text)


class EventConsumer(Struct, frozen=True):
    """Carries out events of the bus."""

    ingest: Ingest
    bad: BadEvents

    def run(self, event: Any, request_id: str, function: str) -> dict[str, Any]:
        """Carry out one event; returns how many messages were accepted, or what is wrong with the event.

        request_id, function: of the invocation. Raises: EventNotAcceptedError.
        """
        try:
            response = self._accept(event)
            if response.not_queued:
                raise EventNotAcceptedError("not all messages were queued")
        except RequestError as error:
            return self._set_aside(event, problem_of(error), request_id, function)
        except EventNotAcceptedError:
            raise
        except Exception as error:  # whatever it is, Lambda would log what it says, and put it on the queue
            log_error(logger, "event not accepted", error)
            raise EventNotAcceptedError(_named(error)) from None
        counts = {"accepted": response.accepted, "rejected": response.rejected}
        logger.info("event accepted", event_id=event["id"], request=response.request_id, counts=counts)
        return {"request_id": response.request_id, **counts}

    def _accept(self, event: Any) -> SendResponse:
        """Raises: PlatformError."""
        if not isinstance(event, Mapping) or not isinstance(event.get("id"), str) or not _ID.fullmatch(event["id"]):
            raise invalid_field("id", "give the event's id: 1 to 100 letters, digits, dots, colons and hyphens")
        if not isinstance(event.get("detail"), Mapping):
            raise invalid_field("detail", "must be a JSON object with the fields of POST /v1/messages")
        # In one order: whoever puts an event again may write it in another.
        raw = json.dumps(event["detail"], sort_keys=True).encode()
        request = parse(SendRequest, raw)
        # Not printable, so that no Idempotency-Key of a request can be the same.
        key = reference_key(request) or RepeatKey(f"\x1e{event['id']}", "id")
        return self.ingest.accept(_CALLER, request, raw, key)

    def _set_aside(self, event: Any, problem: Problem, request_id: str, function: str) -> dict[str, Any]:
        try:
            self.bad.put(event, problem, request_id, function)
        except Exception as error:  # of any kind: as above, Lambda would log what it says
            log_error(logger, "bad event not set aside", error)
            raise EventNotAcceptedError(type(error).__name__) from None
        # Not which fields: the names of those that there should not be are the sender's own words.
        logger.warning("event not valid", problem=problem.type, status=problem.status, errors=len(problem.errors))
        return problem.model_dump()


def _named(error: Exception) -> str:
    """An error by its kind alone, as callers of the API know it."""
    if not isinstance(error, PlatformError):
        return type(error).__name__
    row = row_of(error)
    return f"{row.status} {row.kind}"
