"""What providers charge: the fee of an account, and into how many parts a text message is divided. Pure."""

from collections.abc import Iterable
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
limits"; Tencent Cloud SMS counts 70 and 67 of any characters in texts to China, with the signature)."""
_CHINA = "+86"


def effective(account: Account, default: UnitFee | None) -> tuple[UnitFee | None, Origin]:
    """The fee that counts for an account, and where it is from: `account` or `provider`.

    default: its provider's, for accounts that set none.
    """
    if account.fee is not None:
        return account.fee, "account"
    return default, "provider"


def units_of(rendered: Rendered, account: Account, to: str) -> int:
    """For how many units a message is charged: its parts if it is a text message, else one.

    to: the normalised address. What a text of Tencent Cloud says only Tencent Cloud knows: where the content has no
    `text` beside it, it counts as one part.
    """
    if not isinstance(rendered, RenderedSms) or rendered.text is None:
        return 1
    if account.provider == "tencent" and to.startswith(_CHINA):
        text = f"【{account.settings.get('sign_name') or ''}】{rendered.text}"
        return _parts((1 for _ in text), *UCS_2_PLACES)
    return parts_of(rendered.text)


def parts_of(text: str) -> int:
    """Into how many parts a text is divided: in GSM-7 if all of its characters are in it, else in UCS-2."""
    if all(each in _GSM_7 or each in _GSM_7_EXTENSION for each in text):
        return _parts((2 if each in _GSM_7_EXTENSION else 1 for each in text), *GSM_7_PLACES)
    return _parts((2 if each > "\uffff" else 1 for each in text), *UCS_2_PLACES)


def _parts(places: Iterable[int], whole: int, each: int) -> int:
    """The parts of characters that take so many places, none of which is divided."""
    widths = list(places)
    if sum(widths) <= whole:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > each:
            parts, used = parts + 1, 0
        used += width
    return parts
