"""What becomes of the messages of test keys: the address says it. Pure; no provider and no account takes part.

| pattern | email | SMS: the number ends in | WeCom user | what is played |
|---|---|---|---|---|
| delivered | `delivered@`, and any other | 0001, and any other | `delivered`, and any other | sent, delivered |
| bounced | `bounced@` | 0002 | `bounced` | sent, undelivered |
| throttled | `throttled@` | 0003 | `throttled` | two tries are put off; sent, delivered |
| unknown | `unknown@` | 0004 | `unknown` | no answer; what is sent again is then delivered |
| refused | `refused@` | 0005 | `refused` | failed |

An email address may go on with `+anything` before the @ and has any domain; a WeCom user may go on with `-anything`.
"""

from collections.abc import Iterable
from enum import StrEnum

from shared.model.events import EventRow
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import Channel, Stage

PROVIDER = "test"
"""Stands for the provider and the account in the events of test keys."""
CODE = "simulated"
"""The raw code of every simulated answer."""


class Pattern(StrEnum):
    """What an address asks for."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    REFUSED = "refused"


_BY_WORD = {pattern.value: pattern for pattern in Pattern}
_BY_DIGITS = {f"{n:04}": pattern for n, pattern in enumerate(Pattern, 1)}

_THROTTLED = Retry(Reason.THROTTLED, CODE)
_BEFORE_SENT: dict[Pattern, tuple[Outcome, ...]] = {
    Pattern.THROTTLED: (_THROTTLED, _THROTTLED),
    Pattern.UNKNOWN: (Unknown(Reason.TIMED_OUT, CODE),),
}
"""The outcomes of the first tries; any later one is sent."""


def pattern_of(channel: Channel, address: str) -> Pattern:
    """What a normalised address asks for."""
    if channel is Channel.SMS:
        return _BY_DIGITS.get(address[-4:], Pattern.DELIVERED)
    name, more = (address.rpartition("@")[0], "+") if channel is Channel.EMAIL else (address, "-")
    return _BY_WORD.get(name.partition(more)[0], Pattern.DELIVERED)


def outcome_of(channel: Channel, address: str, tries: int, message_id: str) -> Outcome:
    """What the simulated provider says to a message after that many tries."""
    pattern = pattern_of(channel, address)
    if pattern is Pattern.REFUSED:
        return Rejected(Reason.ADDRESS_UNKNOWN, CODE)
    before = _BEFORE_SENT.get(pattern, ())
    return before[tries] if tries < len(before) else Sent(f"{pattern}-{message_id}")


def receipts(rows: Iterable[EventRow]) -> list[EventRow]:
    """What the simulated provider reports later of the messages that it took, from the rows of any envelope.

    It follows from the rows alone, so it is the same each time. Rows of real providers are passed over.
    """
    return [_receipt(row) for row in rows if row.stage == Stage.SENT and row.provider == PROVIDER]


def _receipt(sent: EventRow) -> EventRow:
    # The provider's id of the message begins with its pattern.
    bounced = (sent.provider_id or "").startswith(Pattern.BOUNCED)
    stage = Stage.UNDELIVERED if bounced else Stage.DELIVERED
    receipt = EventRow(index=sent.index, tag=sent.tag, stage=stage.value, nth=sent.nth, at=sent.at)
    receipt.account, receipt.provider = PROVIDER, PROVIDER
    if bounced:
        receipt.reason, receipt.code = Reason.ADDRESS_UNKNOWN, CODE
    return receipt
