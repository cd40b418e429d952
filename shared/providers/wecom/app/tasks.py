"""The task ids of cards that can be pressed: WeCom sends them back when somebody does.

They must be unique within an app, of at most 128 of `0-9A-Za-z_-@` (WeCom docs, path 90236, template cards). Ours is
the id of the message; of a card that went to several members at once, that of one of the messages, and a sign.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.model.ids import is_message_id

_SEVERAL = "@"
"""Ends the task id of a card to several members: each of them got a message of the same request."""


def is_pressed(card: Mapping[str, Any]) -> bool:
    """Whether a card has something to press of which WeCom tells: buttons, choices or a menu."""
    return str(card.get("card_type", "")).endswith("_interaction") or bool(card.get("action_menu"))


def task_id_of(message_ids: Sequence[str], *, members: bool) -> str:
    """The task id of a card: the same for the same messages in any order. members: whether all went to members."""
    return min(message_ids) + (_SEVERAL if members and len(message_ids) > 1 else "")


def read_task_id(task_id: str) -> tuple[str, bool] | None:
    """A message's id, and whether other members got messages of its request too; None for a caller's own task id."""
    message_id = task_id.removesuffix(_SEVERAL)
    return (message_id, message_id != task_id) if is_message_id(message_id) else None
