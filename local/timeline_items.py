"""Which items of the timeline are events, for those who look at the table as a whole."""

_FINDING = ("#request#", "#reference#", "#revised#", "provider:")
"""In the partition keys of items that find others, or note something of them."""


def is_event(pk: str) -> bool:
    """Whether an item holds an event, by its partition key, and not where others are."""
    return not any(each in pk for each in _FINDING)
