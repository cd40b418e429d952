"""How long messages may wait to be sent."""

from shared.model.templates import Template
from shared.model.words import MessageClass

_BY_CLASS_S = {MessageClass.VERIFICATION: 300}
_LONGEST_S = 3 * 86_400


def ttl_seconds(given: int | None, template: Template) -> int:
    """The time to live of messages: what was asked for, else the template's, else what their class has."""
    return given or template.ttl_seconds or _BY_CLASS_S.get(template.message_class, _LONGEST_S)
