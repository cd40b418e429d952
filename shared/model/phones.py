"""Phone numbers in E.164, read from what people write and spreadsheets leave of it.

A number is read when there is one reading; what could name another subscriber is refused. `phonenumbers` is imported
for all but mainland mobiles.
"""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from mepush.sheets.visible import unquoted, visible, whole_digits

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

# Mainland mobiles: all of 13x to 19x, since the regulator opens new blocks before libphonenumber knows them.
is_mainland = re.compile(r"\+861[3-9][0-9]{9}\Z").match
# The numbering plan gives these to satellite networks: 1349 to China Satcom, 1740 to Tiantong, 1749 to Inmarsat.
_SATELLITES = ("+861349", "+861740", "+861749")
is_mainland_mobile = re.compile(r"\+861(?!349|74[09])[3-9][0-9]{9}\Z").match
_MAINLAND = re.compile(r"(?:86|0086)?1[3-9][0-9]{9}\Z").match

_MOST = 40
"""Characters of a number, however it is parted."""
_LONGEST_SHORT = 6
"""Digits of a number that can be called only from within its country, such as 10086; few countries have subscribers
with so short a one, and those are valid."""
_MOST_WRITTEN = 320
"""Characters that are looked at."""
_BEHIND = " .,;:\u3001\u3002\uff61"
"""What may follow a number in a text."""
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"))
_TEL = re.compile(r"tel:\s*", re.IGNORECASE).match
_COUNTRY_IN_BRACKETS = re.compile(r"\(\s*\+\s*([0-9]{1,3})\s*\)")
_TRUNK_IN_BRACKETS = re.compile(r"\(\s*0\s*\)")
_SHAPE = re.compile(r"\+?[0-9 ()./\-]*\Z").match
_GROUPS = re.compile(r"[0-9]+")

_EXPONENT = re.compile(r"[+\-]?[0-9][0-9.,]*\s*[eE]\s*[+\-]?\s*[0-9]+\Z").match
_DATE = re.compile(r"(?:19|20)[0-9]{2}([./\-])[0-9]{1,2}\1[0-9]{1,2}\Z").match
_NEGATIVE = re.compile(r"-\s*[0-9]|\([0-9.,]+\)\Z").match
_NEXT_NUMBER = re.compile(r"[,;/|\\&\n\t\u3001]|\bor\b|\band\b|\u6216|\u548c|\+")
_EXTENSION = re.compile(
    r"(?:ext\.?|extension|x|#|\u8f6c|\u8f49|\u5206\u673a|\u5206\u6a5f|\u5185\u7ebf)\s*[.:=]?\s*[0-9]"
)

_TEXT_COLUMN = "format the column as text and enter the number again"


class PhoneError(ValueError):
    """The number cannot be right, or could be read in two ways; the message says why without repeating it."""


def e164(raw: str, region: str) -> str:
    """Return a phone number in E.164. region: the country (ISO 3166) of numbers without a country code.

    Dropped are: invisible marks, blanks, hyphens, brackets, slashes and dots between groups of digits, a spreadsheet's
    apostrophe, `tel:`, the prefix of calls abroad, and the 0 of calls within a country. Raises: PhoneError.
    """
    if is_mainland(raw):
        return raw
    if region == "CN" and _MAINLAND(raw):
        return "+86" + raw[-11:]
    if len(raw) > _MOST_WRITTEN:
        raise PhoneError("the phone number is too long")
    text = _written(raw)
    if problem := _spoiled(text) or _no_number(text):
        raise PhoneError(problem)
    whole, problem = _tried(_digits(text), region)
    if _is_in_doubt(text, region, whole):
        raise PhoneError(
            "the phone number could be read in two ways: is the end an extension, a decimal or a second number? "
            "Leave only the number, with + and the country code"
        )
    if not whole:
        raise PhoneError(problem)
    return whole


def takes_texts(number: str) -> tuple[str | None, str]:
    """Of a number in E.164: its country or region (ISO 3166; None for one of none, such as a satellite's), and why it
    gets no text messages, in words; empty for one that does."""
    if is_mainland(number):
        return "CN", _SATELLITE if number.startswith(_SATELLITES) else ""
    import phonenumbers

    parsed = phonenumbers.parse(number)
    region: str | None = phonenumbers.region_code_for_number(parsed)
    if region is None or region == "001":
        # The code of numbers that belong to no country.
        return None, _NETWORKS.get(parsed.country_code or 0, "a number of no country")
    kinds = phonenumbers.PhoneNumberType
    names = {
        kinds.FIXED_LINE: "a landline",
        kinds.PREMIUM_RATE: "a premium-rate number",
        kinds.TOLL_FREE: "a toll-free number",
        kinds.SHARED_COST: "a shared-cost number",
        kinds.PERSONAL_NUMBER: "a personal number, which is charged like a premium one",
        kinds.UAN: "a universal access number",
        kinds.VOIP: "an internet telephone's number",
        kinds.PAGER: "a pager's number",
        kinds.VOICEMAIL: "a voicemail's number",
    }
    kind = phonenumbers.number_type(parsed)
    fit = kind in (kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE)
    return region, "" if fit else names.get(kind, "a number of an unknown kind")


_SATELLITE = "a satellite telephone's number"
# ITU-T E.164, list of assigned country codes: those of no country.
_NETWORKS = {
    800: "a toll-free number of no country",
    808: "a shared-cost number of no country",
    870: _SATELLITE,
    878: "a universal personal number",
    881: _SATELLITE,
    882: "a number of an international network",
    883: "a number of an international network",
    888: "a number for disaster relief",
    979: "an international premium-rate number",
}


def _written(raw: str) -> str:
    """A number as one sees it, without what stands around it."""
    text = unquoted(visible(whole_digits(raw))).translate(_DASHES).rstrip(_BEHIND)
    text = text[1:].strip() if text[:1] in ("'", "\u2018", "\u2019") else text
    if found := _TEL(text):
        text = text[found.end() :]
    return _COUNTRY_IN_BRACKETS.sub(r"+\1 ", text, count=1).strip() if text[:1] == "(" else text


def _spoiled(text: str) -> str:
    """What a spreadsheet has made of a number, in words; empty for nothing."""
    if _EXPONENT(text):
        return (
            f"the phone number is in the exponent form of a spreadsheet, which has lost its last digits: {_TEXT_COLUMN}"
        )
    if text.startswith("#"):
        return f"the phone number is an error or a row of # of a spreadsheet: {_TEXT_COLUMN}"
    if _NEGATIVE(text):
        return f"the phone number is negative, as if a spreadsheet had calculated with it: {_TEXT_COLUMN}"
    if _DATE(text):
        return f"the phone number looks like a date, which a spreadsheet may have made of it: {_TEXT_COLUMN}"
    if _is_decimal(text):
        return (
            "the phone number has a decimal point or thousands separators, as if a spreadsheet had made a number of "
            f"it: {_TEXT_COLUMN}"
        )
    return ""


def _is_decimal(text: str) -> bool:
    """Whether a text may be a number with a decimal point, rather than groups of digits parted by dots."""
    if "," in text:
        return _numbers_in(text) < 2 and not any(c.isalpha() for c in text)
    if text.count(".") != 1:
        return False
    before, _, after = text.partition(".")
    if not after.isdigit():
        return False
    return len(after) < 4 or not after.strip("0") or (len(before) > 6 and before.lstrip("+").isdigit())


def _numbers_in(text: str) -> int:
    """How many numbers may stand in a text, side by side."""
    return sum(sum(c.isdigit() for c in part) > 6 for part in _NEXT_NUMBER.split(text))


def _no_number(text: str) -> str:
    """Why a text has not the shape of a phone number; empty if it has."""
    if not text:
        return "the phone number is empty"
    if _numbers_in(text) > 1:
        return "the phone number is more than one: give each number a row of its own"
    if _EXTENSION.search(text.lower()):
        return "the phone number has an extension, which gets no texts: leave only the number"
    if any(c.isalpha() for c in text):
        return "the phone number holds letters: leave only the number"
    if "+" in text[1:]:
        return "the phone number has a + that is not at its beginning"
    if not _SHAPE(text):
        return "the phone number may hold digits, a leading +, blanks and hyphens only"
    count = sum(c.isdigit() for c in text)
    if not count:
        return "the phone number has no digits"
    if count > 20 or len(text) > _MOST:
        return "the phone number is too long"
    return "the phone number is too short" if count < 3 else ""


def _is_in_doubt(text: str, region: str, whole: str) -> bool:
    """Whether what stands before the last group of digits is a number by itself, and that group stands apart, as an
    extension, a decimal or a second number may. whole: what the text is if it is one number."""
    groups = list(_GROUPS.finditer(text))
    if len(groups) < 2:
        return False
    between = [text[one.end() : two.start()] for one, two in pairwise(groups)]
    kinds = [part.replace(" ", "") or " " for part in between]
    if whole and len(groups[-1][0]) > 1 and kinds.count(kinds[-1]) > 1:
        return False
    return bool(_tried(_digits(text[: groups[-2].end()]), region)[0])


def _digits(text: str) -> str:
    """Digits and a leading +; the 0 in `+49 (0)171` is left out."""
    if text[:1] == "+" or text[:2] == "00":
        text = _TRUNK_IN_BRACKETS.sub("", text, count=1)
    return ("+" if text[:1] == "+" else "") + "".join(_GROUPS.findall(text))


def _tried(digits: str, region: str) -> tuple[str, str]:
    """E.164 of digits, or nothing and why."""
    try:
        return _read(digits, region), ""
    except PhoneError as error:
        return "", str(error)


def _read(digits: str, region: str) -> str:
    """E.164 of digits. Raises: PhoneError."""
    if is_mainland(digits) or (region == "CN" and _MAINLAND(digits)):
        return "+86" + digits[-11:]
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise PhoneError("the phone number's country code is unknown; begin with + and the country code") from error
        raise PhoneError("the phone number is not well formed") from error
    if not phonenumbers.is_valid_number(number):
        if digits[0] != "+" and len(digits) <= _LONGEST_SHORT:
            raise PhoneError(
                "the phone number is a short one, such as a service's, which gets no texts; give a mobile number"
            )
        raise PhoneError(
            "the phone number is not one that its country could have given out; begin numbers abroad with + and the "
            "country code"
        )
    if not _is_all_of(digits, number, region):
        raise PhoneError("the phone number has digits before it that are dialled; begin with + and the country code")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_all_of(digits: str, number: "PhoneNumber", region: str) -> bool:
    """Whether a number has all the digits that were given, but for the prefixes of calls abroad or within a country:
    not for a carrier's code, nor where digits were exchanged for others."""
    from phonenumbers import PhoneMetadata, national_significant_number, region_code_for_number

    national = national_significant_number(number)
    plain = digits.lstrip("+")
    if not plain.endswith(national):
        return False
    head = plain[: len(plain) - len(national)]
    of = PhoneMetadata.metadata_for_region(region_code_for_number(number) or "", None)
    trunk = (of.national_prefix if of is not None else None) or ""
    code = str(number.country_code)
    if digits[0] == "+" or head in ("", trunk, code, code + trunk):
        return head in ("", trunk, code, code + trunk)
    here = PhoneMetadata.metadata_for_region(region, None)
    abroad = here.international_prefix if here is not None else None
    return abroad is not None and re.fullmatch(f"(?:{abroad}){code}(?:{trunk})?", head) is not None
