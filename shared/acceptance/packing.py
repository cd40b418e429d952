"""Packs recipients into envelopes that fit wherever they wait. Pure: the same recipients yield the same envelopes."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from shared.aws.queue import Dispatch
from shared.errors import InvalidError
from shared.model.envelope import MAX_BYTES, Envelope, EnvelopeRecipient
from shared.model.ids import Numbering, ulid_value
from shared.model.sizes import size


class RecipientTooLargeError(InvalidError):
    """A recipient whose variables are too large for any envelope."""

    def __init__(self, index: int, size: int) -> None:
        super().__init__(f"recipient {index} makes an envelope of {size:,} bytes")
        self.index = index
        """The recipient, counted from the base."""
        self.size = size
        """Of the envelope, in bytes of JSON."""


def pack(
    header: Envelope,
    recipients: list[EnvelopeRecipient],
    number: Numbering,
    due_at: int | None = None,
    first: int = 0,
) -> Iterator[Dispatch]:
    """The envelopes of up to 100 recipients: one, or in halves as they are too large for one.

    header: what the envelopes have in common. recipients: their index counts from `first` on; it is changed to count
    from the first one of each envelope. number: of the base.
    One recipient alone may be too large: see `check_sizes`.
    """
    offset = recipients[0].index
    if offset:
        for recipient in recipients:
            recipient.index -= offset
    first += offset
    envelope = replace(header, id=number(first), recipients=recipients)
    body = envelope.to_json()
    if len(recipients) == 1 or size(body) <= MAX_BYTES:
        yield Dispatch(envelope, body, due_at)
        return
    half = len(recipients) // 2
    # Cut before the first half changes what it counts from.
    halves = recipients[:half], recipients[half:]
    for each in halves:
        yield from pack(header, each, number, due_at, first)


def check_sizes(dispatches: Iterable[Dispatch], base: str) -> None:
    """Check that each envelope fits wherever it may have to wait. Raises: RecipientTooLargeError."""
    for each in dispatches:
        if (found := size(each.body)) > MAX_BYTES:
            raise RecipientTooLargeError(ulid_value(each.envelope.id) - ulid_value(base), found)
