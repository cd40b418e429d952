"""Numbers as callers write them."""


def whole_number(value: object) -> object:
    """What JSON calls a number, for a validator before pydantic's. Raises: ValueError."""
    # pydantic takes `true` for 1 and "7" for 7: more likely a mistake of the caller's than a wish.
    if isinstance(value, bool | str):
        raise ValueError("give a number")
    return value
