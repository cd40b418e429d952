"""What providers charge: the fee of an account, and into how many parts a text message is divided. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal

from shared.model.accounts import Account, UnitFee
from shared.model.content import Rendered, RenderedSms

Origin = Literal["account", "provider"]

# GSM 03.38, the default alphabet and its extension; a character of the extension takes two places.
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENSION = frozenset("^{}\\[]~|€\f")
GSM_7_PLACES = (160, 153)
UCS_2_PLACES = (70, 67)
"""Of a message that fits into one part, and of each part of a longer one (AWS End User Messaging SMS, "SMS character
limits")."""


def effective(account: Account, default: UnitFee | None) -> tuple[UnitFee | None, Origin]:
    """The fee that counts for an account, and where it is from: `account` or `provider`.

    default: its provider's, for accounts that set none.
    """
    if account.fee is not None:
        return account.fee, "account"
    return default, "provider"


def units_of(rendered: Rendered, parts: Callable[[str], int]) -> int:
    """For how many units a message is charged: its parts if it is a text message, else one.

    parts: how its provider divides a text. What a template that is approved at a vendor says only the vendor knows:
    where the content has no `text` beside it, it counts as one part.
    """
    return parts(rendered.text) if isinstance(rendered, RenderedSms) and rendered.text is not None else 1


def parts_of(text: str) -> int:
    """Into how many parts a text is divided: in GSM-7 if all of its characters are in it, else in UCS-2."""
    if all(each in _GSM_7 or each in _GSM_7_EXTENSION for each in text):
        return parts_with((2 if each in _GSM_7_EXTENSION else 1 for each in text), *GSM_7_PLACES)
    return parts_with((2 if each > "\uffff" else 1 for each in text), *UCS_2_PLACES)


def parts_with(places: Iterable[int], whole: int, each: int) -> int:
    """The parts of characters that take so many places, none of which is divided.

    whole, each: the places of a message that fits into one part, and of each part of a longer one.
    """
    widths = list(places)
    if sum(widths) <= whole:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > each:
            parts, used = parts + 1, 0
        used += width
    return parts
