"""How large things are as they are sent, in bytes of UTF-8; JSON with its escapes. All limits in bytes count so.

A character takes one to four bytes of UTF-8; in JSON a quote takes two and a control character six.
"""

from typing import Any

from pydantic_core import to_json


def json_text(value: Any) -> str:
    """A value as JSON that a queue's message may hold. Raises: pydantic_core.PydanticSerializationError."""
    return queueable(to_json(value).decode())


def queueable(text: str) -> str:
    """JSON as a queue's message may hold it."""
    # JSON may hold these two as they are, a message may not (SQS API reference, SendMessage). Looking for them
    # takes a tenth of the time of replacing them.
    if "\ufffe" in text or "\uffff" in text:
        text = text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")
    return text


def json_size(value: Any) -> int:
    """The bytes of a value as `json_text` writes it."""
    return size(json_text(value))


def size(text: str) -> int:
    """The bytes of a text in UTF-8; half of a surrogate pair, which has none, counts as three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def clipped(text: str, most: int) -> str:
    """The beginning of a text that takes at most so many bytes within JSON, without the quotes around it."""
    kept = text[:most].encode("utf-8", "replace").decode()
    while (beyond := json_size(kept) - len('""') - most) > 0:
        # No character takes more than six.
        kept = kept[: -max(1, beyond // 6)]
    return kept
