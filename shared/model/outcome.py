"""What a provider may say of one recipient. Every provider maps its raw codes to these, in one table."""

from msgspec import Struct

from shared.model.reasons import Reason


class Sent(Struct, frozen=True):
    """The provider took the message; it is its business now."""

    provider_message_id: str


class Rejected(Struct, frozen=True):
    """The provider refused this recipient or this content for good; trying again cannot help."""

    reason: Reason
    raw_code: str


class Retry(Struct, frozen=True):
    """The message was certainly not sent, and a later try may succeed."""

    reason: Reason
    raw_code: str
    after: float | None = None
    """The least wait in seconds that the provider asked for, if it did."""


class Unknown(Struct, frozen=True):
    """The request left and no answer came: the message may or may not have been sent."""

    reason: Reason
    raw_code: str


class AccountDown(Struct, frozen=True):
    """Nothing can be sent through this account until someone mends it; nothing was sent."""

    reason: Reason
    raw_code: str


class Withdrawn(Struct, frozen=True):
    """The provider took back a message that it had taken."""


class Changed(Struct, frozen=True):
    """The provider shows a message that it had taken in another way now."""


class Reported(Struct, frozen=True):
    """The provider knows that a message came to its recipient."""


Outcome = Sent | Rejected | Retry | Unknown | AccountDown
Withdrawal = Withdrawn | Rejected | Retry | Unknown | AccountDown
"""What a provider may say when it is asked to take a message back."""
Change = Changed | Rejected | Retry | Unknown | AccountDown
"""What a provider may say when it is asked to show a message in another way."""
Report = Reported | Rejected | Retry | Unknown | AccountDown
"""What a provider may say when it is told that a code was given back."""
