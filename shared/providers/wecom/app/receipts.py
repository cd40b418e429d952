"""Reads the events of a WeCom app: what is pressed on cards, who has left, and what WeCom thinks of the app.

WeCom does not tell whether a message arrived, or was read. Members' ids have no case of their own: ours are lower.
"""

from collections.abc import Sequence

from shared.model import wire
from shared.model.receipts import Alert, Arrived, Receipt
from shared.model.sizes import clipped
from shared.model.suppression import SuppressionReason
from shared.model.words import Stage
from shared.providers.wecom.app.events import ALERTS, LEFT, PRESSED, Event
from shared.providers.wecom.app.tasks import read_task_id

NOTE_BYTES = 200
"""Of a button's key, which may have 1,024."""

_event = wire.Reader[Event](Event)


def read(arrived: Arrived) -> Sequence[Receipt | Alert]:
    """What an event says of a message or of the account. Raises: UnreadableError."""
    event = _event(arrived.body)
    if event.event in ALERTS:
        return [Alert(provider="app", tenant=arrived.tenant, account=arrived.account, event=event.event)]
    if event.event == LEFT:
        return [_left(arrived, event)]
    return _pressed(arrived, event) if event.event in PRESSED else []


def _left(arrived: Arrived, event: Event) -> Receipt:
    """No message is named, so it is told of the last one."""
    return Receipt(
        provider="app",
        stage=Stage.UNSUBSCRIBED,
        at=event.at,
        tenant=arrived.tenant,
        account=arrived.account,
        address=event.member.lower(),
        latest=True,
        code=event.event,
        suppresses=SuppressionReason.PROVIDER,
    )


def _pressed(arrived: Arrived, event: Event) -> list[Receipt]:
    """Nothing of cards with task ids of their callers': which message they are of cannot be told."""
    task = read_task_id(event.task_id)
    if task is None:
        return []
    stages = (Stage.CLICKED, Stage.ACKNOWLEDGED) if task.acknowledges else (Stage.CLICKED,)
    return [
        Receipt(
            provider="app",
            stage=stage,
            at=event.at,
            tenant=arrived.tenant,
            account=arrived.account,
            message_id=task.message_id,
            address=event.member.lower(),
            same_request=task.several,
            code=event.event,
            note=clipped(event.key, NOTE_BYTES) or None,
            by=event.member.lower() or None,
            response_code=(event.response_code or None) if task.taken and stage is Stage.CLICKED else None,
            for_all=task.taken and stage is Stage.ACKNOWLEDGED,
        )
        for stage in stages
    ]
