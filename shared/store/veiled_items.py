"""Items of the timeline without an erased recipient: the same event under the tag that takes the place of theirs."""

from msgspec.structs import replace

from shared.model import wire
from shared.model.ids import TAG_LENGTH, ULID_LENGTH
from shared.model.veils import Veil
from shared.store.dynamo import Item
from shared.store.kept_events import EventKey, KeptEvent, read_event

_OWN = ("masked_address", "sealed_address", "because_of", "reference", "provider_id", "note", "by")


def veiled_key(key: EventKey, veil: Veil) -> EventKey:
    """Where a recipient's event is kept once they are erased."""
    pk, sk = key
    return f"{pk[:-TAG_LENGTH]}{veil.tag}", f"{sk[:ULID_LENGTH]}{veil.tag}{sk[ULID_LENGTH + TAG_LENGTH :]}"


def veiled_event(item: Item, veil: Veil) -> Item:
    """A recipient's event without the recipient: stages, times, reasons and accounts stay. Raises: UnreadableError."""
    pk, sk = veiled_key((item["pk"]["S"], item["sk"]["S"]), veil)
    event = _without(read_event(item["d"]["S"]))
    return {**item, "pk": {"S": pk}, "sk": {"S": sk}, "d": {"S": wire.write(event).decode()}}


def _without(event: KeptEvent) -> KeptEvent:
    accepted = event.accepted and replace(event.accepted, **dict.fromkeys(_OWN))
    return replace(event, **dict.fromkeys(_OWN), indexed=False, request_reference=None, accepted=accepted)
