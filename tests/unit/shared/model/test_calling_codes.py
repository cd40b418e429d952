"""Country codes at the beginning of phone numbers."""

import phonenumbers
import pytest

from shared.model.calling_codes import calling_code


def test_every_country_code_is_told_from_what_follows() -> None:
    codes = [str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE]
    assert len(codes) > 200
    for code in codes:
        for rest in ("0" * 7, "9" * 7, "7*****12"):
            assert calling_code(f"+{code}{rest}") == code


@pytest.mark.parametrize("shown", ["", "+", "****34", "a***@qq.com", "zh***", "+8****1234", "+85****1234", "86138"])
def test_what_shows_no_country_has_none(shown: str) -> None:
    assert calling_code(shown) is None
