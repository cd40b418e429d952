"""The task ids of cards that can be pressed: WeCom sends them back when somebody does.

They must be unique within an app, of at most 128 of `0-9A-Za-z_-@` (WeCom docs, path 90236, template cards). Ours is
the id of the message; of a card that went to several members at once, that of one of the messages, and a sign.
More signs say what the template wants when somebody presses it: the event comes back without the content.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.model.ids import MESSAGE_ID_LENGTH, is_message_id

_SEVERAL = "@"
"""In the task id of a card to several members: each of them got a message of the same request."""
_NO_ACKNOWLEDGEMENT = "-"
_TAKEN = "_"
"""In that of a card which is to show who pressed it."""
_SIGNS = re.compile(f"{_SEVERAL}?{_NO_ACKNOWLEDGEMENT}?{_TAKEN}?")


class Task(Struct, frozen=True):
    """What a task id says."""

    message_id: str
    several: bool = False
    """Other members got messages of its request, too."""
    acknowledges: bool = True
    taken: bool = False
    """The card is to show who pressed it."""


def has_buttons(card: Mapping[str, Any]) -> bool:
    """Whether a card is of a type with buttons or choices."""
    return str(card.get("card_type", "")).endswith("_interaction")


def is_pressed(card: Mapping[str, Any]) -> bool:
    """Whether a card has something to press of which WeCom tells: buttons, choices or a menu."""
    return has_buttons(card) or bool(card.get("action_menu"))


def task_id_of(message_ids: Sequence[str], *, members: bool, acknowledges: bool = True, taken: bool = False) -> str:
    """The task id of a card: the same for the same messages in any order. members: whether all went to members."""
    signs = (
        _SEVERAL if members and len(message_ids) > 1 else "",
        "" if acknowledges else _NO_ACKNOWLEDGEMENT,
        _TAKEN if taken else "",
    )
    return min(message_ids) + "".join(signs)


def read_task_id(task_id: str) -> Task | None:
    """What a task id says; None for a caller's own."""
    message_id, signs = task_id[:MESSAGE_ID_LENGTH], task_id[MESSAGE_ID_LENGTH:]
    if not is_message_id(message_id) or not _SIGNS.fullmatch(signs):
        return None
    return Task(message_id, _SEVERAL in signs, _NO_ACKNOWLEDGEMENT not in signs, _TAKEN in signs)
