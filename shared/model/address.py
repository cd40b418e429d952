"""Addresses in one canonical form each, so that equal recipients have equal tags, marks and suppression entries.

What is read, what is refused and in which words is in docs/addresses.md. Nearly every address takes a compiled
expression; `email_validator` and `phonenumbers` are imported for the rest only.
"""

import re
from collections.abc import Callable

from mepush.sheets.visible import unquoted, visible
from shared.model.mailboxes import MailboxError, is_plain, mailbox
from shared.model.phones import PhoneError, e164, is_mainland_mobile

# A member's id begins with a digit or a letter (WeCom docs, path 90195), so a mistyped "@al" is refused here. So is a
# number that a spreadsheet has made a decimal: nobody calls a member `10086.0`.
_WECOM_USER = re.compile(r"(?![0-9]+\.0+\Z)[a-z0-9][a-z0-9_\-@.]{0,63}\Z").match
_WECOM_CHARACTERS = re.compile(r"[a-z0-9_\-@.]+\Z").match
_WECOM_SET = re.compile(r"(party|tag):([0-9]{1,10})\Z").match
_WECOM_ALL = frozenset({"@all", "@group"})
_WECOM_PARTING = re.compile(r"[|,;/\s\u3001]").search
_WECOM_DECIMAL = re.compile(r"[0-9]+\.0+\Z|[0-9]+(?:\.[0-9]+)?e\+[0-9]+\Z").match


class AddressError(ValueError):
    """The address cannot be right; the message says why without repeating it."""


def normalise(channel: str, raw: str, region: str = "CN") -> str:
    """Return the canonical form of an address on a channel; doing it twice changes nothing.

    email: all lower-case, the domain in ASCII. (RFC 5321 lets a host tell `A@` from `a@`; none in use does, and people
    mix them.) sms: E.164; `region` (ISO 3166, upper-case) reads numbers written without a country code. wecom: a user
    id in lower case, `@all` (everyone in an app), `@group` (a robot's group), `party:<id>` or `tag:<id>`.
    Raises: AddressError; ValueError for an unknown channel.
    """
    try:
        if channel == "email":
            return mailbox(raw)
        if channel == "sms":
            return e164(raw, region)
    except (MailboxError, PhoneError) as error:
        raise AddressError(str(error)) from error
    if channel == "wecom":
        return _wecom(raw)
    raise ValueError(f"no such channel: {channel}")


def canonical(channel: str) -> Callable[[str], object]:
    """What recognises most addresses of a channel that are in canonical form already; `normalise` leaves those as they
    are. For who reads millions, and saves the calls."""
    if channel == "email":
        return is_plain
    return is_mainland_mobile if channel == "sms" else _WECOM_USER


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


def mask_recipient(text: str) -> str:
    """The same for `channel:address`."""
    channel, _, address = text.partition(":")
    return f"{channel}:{mask(channel, address)}"


def _wecom(raw: str) -> str:
    user = raw.lower()
    if raw.isascii() and (_WECOM_USER(user) or user in _WECOM_ALL):
        return user
    user = unquoted(visible(raw)).lower().removeprefix("'").strip()
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
    if _WECOM_DECIMAL(user):
        return "a WeCom user id has become a decimal or exponent in a spreadsheet: format the column as text"
    if _WECOM_PARTING(user):
        return "a WeCom recipient is one user: give each user a recipient of its own, or party:<id> for a department"
    if _WECOM_CHARACTERS(user) is None:
        return "a WeCom user id holds only letters, digits and _-@.; else give @all, @group, party:<id> or tag:<id>"
    if len(user) > 64:
        return "a WeCom user id has at most 64 characters"
    return "a WeCom user id begins with a letter or digit; else give @all or @group"
