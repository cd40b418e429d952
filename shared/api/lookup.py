"""The message or the request that a call's path names, and what the timeline has of it."""

from shared.api.kit import Call
from shared.errors import not_found
from shared.model.ids import ULID_LENGTH, tag_of
from shared.store.kept_events import KeptEvent
from shared.store.timeline import Timeline


def named_message(call: Call, timeline: Timeline) -> tuple[str, list[KeptEvent]]:
    """A message's id and its events, of which there are some. Raises: NotFoundError."""
    message_id = call.path["id"].upper()
    try:
        tag_of(message_id)
    except ValueError:
        raise not_found("message") from None
    events = timeline.events(call.caller.tenant, message_id)
    if not events:
        raise not_found("message; one accepted in the last seconds appears shortly")
    return message_id, events


def named_request(call: Call, timeline: Timeline) -> tuple[str, list[str]]:
    """A request's id and those of its messages, of which there are some. Raises: NotFoundError."""
    request_id = call.path["id"].upper()
    ids = timeline.request_messages(call.caller.tenant, request_id) if len(request_id) == ULID_LENGTH else []
    if not ids:
        raise not_found("request; one accepted in the last seconds appears shortly")
    return request_id, ids
