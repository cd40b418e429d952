"""Which country code a phone number begins with (ITU-T E.164): no code begins with another one."""

_OF_TWO_DIGITS = frozenset(
    map(
        str,
        (
            *(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58),
            *(60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98),
        ),
    )
)


def calling_code(number: str) -> str | None:
    """The country code of a number such as `+86138****1234`: `86`. None where not so many digits are shown.

    A code may be that of several countries: 1 is that of the United States, Canada and others.
    """
    digits = number.removeprefix("+").partition("*")[0]
    if not number.startswith("+") or not digits.isdecimal():
        return None
    length = 1 if digits[0] in "17" else 2 if digits[:2] in _OF_TWO_DIGITS else 3
    return digits[:length] if len(digits) >= length else None
