"""Addresses in one canonical form each, so that equal recipients have equal tags, marks and suppression entries.

Nearly every address takes a compiled expression; `email_validator` and `phonenumbers` are imported for the rest only.
"""

import re
import unicodedata
from collections.abc import Callable

_STRIP = " \t\r\n\f\v\u00a0\u3000\ufeff\u200b"
"""Blanks around an address, with those that spreadsheets and Chinese input methods leave behind."""

# No possessive quantifiers: Python before 3.11.5 matches wrongly with them (cpython issue 106052).
# A plain dot-atom at a dotted ASCII domain: no label begins or ends with a hyphen or holds two together,
# the last is letters only and no special-use name (RFC 6761). Of at most 64 characters, within which no part can be
# too long. What passes here passes email-validator unchanged; what does not may still be right, and is asked of it.
_PLAIN_EMAIL = re.compile(
    r"(?!.{65})[a-z0-9_+\-]+(?:\.[a-z0-9_+\-]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*\."
    r"(?!(?:arpa|invalid|local|localhost|onion|test)\Z)[a-z]{2,}\Z"
).match
_LOCAL_MAX = 64
_EMAIL_MAX = 254

# Mainland mobiles: all of 13x to 19x, since the regulator opens new blocks before libphonenumber knows them.
_MAINLAND_CANONICAL = re.compile(r"\+861[3-9][0-9]{9}\Z").match
_MAINLAND = re.compile(r"(?:86|0086)?1[3-9][0-9]{9}\Z").match
_PHONE_SHAPE = re.compile(r"\+?[0-9 ()./\-]{3,40}\Z").match
_PHONE_CHARACTERS = re.compile(r"\+?[0-9 ()./\-]*\Z").match
_PHONE_PUNCTUATION = re.compile(r"[ ()./\-]+")
_DASHES = str.maketrans({c: "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2212"})

# A member's id begins with a digit or a letter (WeCom docs, path 90195), so a mistyped "@al" is refused here.
_WECOM_USER = re.compile(r"[a-z0-9][a-z0-9_\-@.]{0,63}\Z").match
_WECOM_CHARACTERS = re.compile(r"[a-z0-9_\-@.]+\Z").match
_WECOM_SET = re.compile(r"(party|tag):([0-9]{1,10})\Z").match
_WECOM_ALL = frozenset({"@all", "@group"})


class AddressError(ValueError):
    """The address cannot be right; the message says why without repeating it."""


def normalise(channel: str, raw: str, region: str = "CN") -> str:
    """Return the canonical form of an address on a channel; doing it twice changes nothing.

    email: all lower-case, the domain in ASCII. (RFC 5321 lets a host tell `A@` from `a@`; none in use does, and people
    mix them.) sms: E.164; `region` (ISO 3166, upper-case) reads numbers written without a country code. wecom: a user
    id in lower case, `@all` (everyone in an app), `@group` (a robot's group), `party:<id>` or `tag:<id>`.
    Raises: AddressError; ValueError for an unknown channel.
    """
    if channel == "email":
        return _email(raw)
    if channel == "sms":
        return _sms(raw, region)
    if channel == "wecom":
        return _wecom(raw)
    raise ValueError(f"no such channel: {channel}")


def canonical(channel: str) -> Callable[[str], object]:
    """What recognises most addresses of a channel that are in canonical form already; `normalise` leaves those as they
    are. For who reads millions, and saves the calls."""
    if channel == "email":
        return _PLAIN_EMAIL
    return _MAINLAND_CANONICAL if channel == "sms" else _WECOM_USER


def region_of(number: str) -> str | None:
    """The country or region (ISO 3166, upper-case) of a phone number in canonical form; None for one of none."""
    if _MAINLAND_CANONICAL(number):
        return "CN"
    import phonenumbers

    region: str | None = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    # The code of numbers that belong to no country, such as +800.
    return None if region == "001" else region


def regions_with_phones() -> frozenset[str]:
    """The countries and regions (ISO 3166, upper-case) that have phone numbers of their own."""
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def mask(channel: str, address: str) -> str:
    """Return an address with its identifying part hidden, for people to read; never fails, whatever it is given.

    Such as `a***@qq.com`, `+86138****1234`, `zh***`. WeCom's sets (`@all`, `party:2`) are shown as they are.
    """
    if channel == "email":
        local, at, domain = address.rpartition("@")
        return f"{local[:1]}***@{domain}" if at else "***"
    if channel == "sms":
        return f"{address[:-8]}****{address[-4:]}" if len(address) > 8 else "****" + address[-2:]
    if address in _WECOM_ALL or _WECOM_SET(address):
        return address
    return f"{address[: 2 if len(address) > 2 else 1]}***"


def _email(raw: str) -> str:
    address = raw.strip().lower()
    if _PLAIN_EMAIL(address):
        return address
    return _email_slow(raw.strip(_STRIP))


def _email_slow(raw: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    if not raw:
        raise AddressError("the email address is empty")
    try:
        found = validate_email(raw, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise AddressError(_email_problem(raw)) from error
    # Lower-casing can undo the composed form, and the other way round.
    local = unicodedata.normalize("NFC", found.local_part.lower())
    address = f"{local}@{found.ascii_domain.lower()}"
    if len(local) > _LOCAL_MAX or len(address.encode()) > _EMAIL_MAX:
        raise AddressError("the email address is too long")
    return address


def _email_problem(raw: str) -> str:
    """Say what is wrong in our own words, since the library's messages quote the address."""
    local, at, domain = raw.rpartition("@")
    if not at:
        return "the email address has no @"
    if not local or not domain:
        return "the email address has nothing before or after the @"
    if len(local) > _LOCAL_MAX or len(raw) > _EMAIL_MAX:
        return "the email address is too long (64 characters before the @, 254 in all)"
    if "@" in local:
        return "the email address has more than one @"
    if "." not in domain:
        return "the email address has no full domain after the @"
    if ".." in raw or domain[0] == "." or domain[-1] == "." or local[0] == "." or local[-1] == ".":
        return "the email address has a dot where none may be"
    if any(c.isspace() for c in raw):
        return "the email address has a blank inside"
    if domain.lower().endswith((".arpa", ".invalid", ".local", ".localhost", ".onion", ".test")):
        return "the email address ends in a name that is reserved and takes no mail"
    return "the email address is not well formed"


def _sms(raw: str, region: str) -> str:
    if _MAINLAND_CANONICAL(raw):
        return raw
    if region == "CN" and _MAINLAND(raw):
        return "+86" + raw[-11:]
    # Full-width digits and signs become plain ones.
    text = unicodedata.normalize("NFKC", raw.strip(_STRIP)).translate(_DASHES).strip()
    if not text:
        raise AddressError("the phone number is empty")
    if not _PHONE_SHAPE(text):
        raise AddressError(_phone_problem(text))
    digits = _PHONE_PUNCTUATION.sub("", text)
    if _MAINLAND_CANONICAL(digits) or (region == "CN" and _MAINLAND(digits)):
        return "+86" + digits[-11:]
    return _sms_elsewhere(text, region)


def _phone_problem(text: str) -> str:
    """Why a text has not the shape of a phone number."""
    if "+" in text[1:]:
        return "the phone number has a + that is not at its beginning"
    if not _PHONE_CHARACTERS(text):
        return "the phone number may hold digits, a leading +, blanks and hyphens only"
    if not any(c.isdigit() for c in text):
        return "the phone number has no digits"
    return "the phone number is too long" if len(text) > 40 else "the phone number is too short"


def _sms_elsewhere(text: str, region: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise AddressError(
                "the phone number's country code is unknown; begin with + and the country code"
            ) from error
        raise AddressError("the phone number is not well formed") from error
    if not phonenumbers.is_valid_number(number):
        raise AddressError("the phone number is not one that its country could have given out")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _wecom(raw: str) -> str:
    user = raw.lower()
    if _WECOM_USER(user) or user in _WECOM_ALL:
        return user
    user = user.strip(_STRIP)
    if _WECOM_USER(user) or user in _WECOM_ALL:
        return user
    found = _WECOM_SET(user)
    if found and int(found[2]) > 0:
        return f"{found[1]}:{int(found[2])}"
    if not user:
        raise AddressError("the WeCom recipient is empty")
    raise AddressError(_wecom_problem(user))


def _wecom_problem(user: str) -> str:
    """Why a text is no WeCom recipient."""
    if _WECOM_CHARACTERS(user) is None:
        return "a WeCom user id holds only letters, digits and _-@.; else give @all, @group, party:<id> or tag:<id>"
    if len(user) > 64:
        return "a WeCom user id has at most 64 characters"
    return "a WeCom user id begins with a letter or digit; else give @all or @group"
