"""What an HTTP answer says of how long to wait."""

import pytest

from shared.providers.base import retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("999999999", 86_400.0),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        ("9" * 5000, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_seconds_only_and_at_most_a_day(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_none_is_named() -> None:
    assert retry_after({}) is None
