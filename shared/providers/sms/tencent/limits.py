"""The limits of Tencent Cloud SMS, which sends approved templates alone, and how it counts their parts."""

import re

from shared.model.accounts import Account
from shared.model.content import RenderedSms, SmsContent
from shared.model.words import MessageClass
from shared.policy.fees import UCS_2_PLACES, parts_of, parts_with
from shared.policy.limits import Issue

# Error code InvalidParameterValue.TemplateParameterFormatError: code templates take digits only.
CODE = re.compile(r"[0-9]{1,6}\Z")
_CHINA = "+86"


def usable(content: SmsContent) -> str | None:
    """Why a content can never be sent this way, or None."""
    return "Tencent Cloud sends approved templates: give tencent" if content.approved is None else None


def check(sms: RenderedSms, message_class: MessageClass) -> list[Issue]:
    """Name every limit that a message breaks."""
    if not sms.template_id:
        return [("tencent", "Tencent Cloud sends approved templates only")]
    if message_class is not MessageClass.VERIFICATION:
        return []
    wrong = "must be 1 to 6 digits: Tencent Cloud takes nothing else in templates for codes"
    return [(f"tencent.params.{i}", wrong) for i, param in enumerate(sms.params) if not CODE.match(param)]


def parts(text: str, account: Account, to: str) -> int:
    """The parts of a text: to China 70 and 67 of any characters are counted, with the signature. to: normalised."""
    if not to.startswith(_CHINA):
        return parts_of(text)
    signed = f"【{account.settings.get('sign_name') or ''}】{text}"
    return parts_with((1 for _ in signed), *UCS_2_PLACES)
