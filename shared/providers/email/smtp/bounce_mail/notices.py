"""Notices for people alone, without a report for machines: QQ Mail's, NetEase's, Alibaba's, and those of old servers.

As they look in public collections of such mails. What a notice says is believed only if a mail server wrote it, and,
where it names no message of ours, only if it can be about one address alone.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from shared.providers.email.smtp.bounce_mail.kinds import AutoReply, Bounce, Bounces, Unreadable
from shared.providers.email.smtp.bounce_mail.parsing import (
    MOST_TEXT,
    Part,
    decoded,
    header,
    returned_headers,
    text_of,
)
from shared.providers.email.smtp.bounce_mail.reports import (
    ADDRESS,
    first_address,
    is_of_another,
    message_id_of,
    said_in,
)

SERVERS: Final = frozenset({"mailer-daemon", "postmaster", "mail-daemon", "mailerdaemon", "mdaemon"})
"""What stands before the `@` of the addresses of mail servers themselves."""
RETURNED: Final = re.compile(
    "退信|退回|投递失败|无法投递|未送达|发送失败|undeliver|returned mail|returned? to sender"
    "|failure notice|mail delivery|delivery (?:status|fail|has failed)|could not be delivered|not delivered"
    "|delivery problem|nondeliverable|delayed",
    re.IGNORECASE,
)
"""Of subjects."""
ANSWERS: Final = re.compile(
    "自动回复|自动答复|休假|假期回复|自動回覆|自動回復|auto(?:matic)?[ -]?(?:reply|response|answer)"
    "|out of (?:the )?office|automatische antwort|abwesenheit|vacation|on (?:annual )?leave"
    "|réponse automatique|respuesta automática",
    re.IGNORECASE,
)
"""Of subjects."""
DELAYED: Final = re.compile(
    r"warning message only|do not need to resend|not yet been delivered|will keep trying|has been delayed|is delayed"
    r"|delivery attempts will continue|delivery delayed|暂时无法投递|延迟投递|继续尝试|将会重试",
    re.IGNORECASE,
)
WORDS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile("邮件地址.{0,80}?不存在|(?:用户|帐号|账号|邮箱|收件人)不存在|未开通QQ邮箱"), "5.1.1"),
    (re.compile("域名不存在|host not found|No Mx Record Found", re.IGNORECASE), "5.1.2"),
    (re.compile("空间不足|邮箱已满|容量已满|超出容量|已超容"), "5.2.2"),
    (re.compile("拒绝接收您的邮件|被对方拒收|垃圾邮件|内容.{0,10}拒"), "5.7.1"),
    (re.compile("邮件过大|超过.{0,10}大小限制"), "5.3.4"),
)
"""What the Chinese services write, as a status of RFC 3463. What the recipient's server said comes first."""
MOST_LINES: Final = 3_000
_ENHANCED = re.compile(r"\b([45]\.\d{1,3}\.\d{1,3})\b")
_TO = re.compile(
    "(?:无法发送到|收件人邮件地址|收件人地址|收件人|收件地址|您发往|could not be delivered to|delivery to|sent to)"
    r"\s*[:：(（]?\s*<?" + f"({ADDRESS.pattern})"
)
"""Names the recipient, in the words of the services."""


def is_from_a_server(mail: Part) -> bool:
    """Whether a mail is one that servers write to senders, as far as its headers say."""
    local = (first_address(header(mail, "From")) or header(mail, "From")).rpartition("<")[2].partition("@")[0]
    if local.strip().lower() in SERVERS or header(mail, "X-Failed-Recipients"):
        return True
    return header(mail, "Return-Path") == "<>" and bool(RETURNED.search(_subject(mail)))


def is_an_answer(mail: Part) -> bool:
    """Whether a machine answered for the recipient (RFC 3834), as far as the headers say."""
    if header(mail, "X-Autoreply") or header(mail, "X-Autorespond"):
        return True
    if header(mail, "Auto-Submitted").partition(";")[0].strip().lower() not in ("", "no"):
        return True
    if header(mail, "Precedence").lower() in ("auto_reply", "bulk", "junk"):
        return True
    return bool(ANSWERS.search(_subject(mail)))


def notice_of(parts: Sequence[Part], own: Collection[str]) -> Bounces | AutoReply | Unreadable | None:
    """What a mail without a report says; None for one that is none of our business.

    own: the account's addresses, in lower case.
    """
    message_id = message_id_of(parts)
    if not _is_notice(parts, message_id):
        return AutoReply() if is_an_answer(parts[0]) else None
    if message_id is None and is_of_another(parts):
        return None
    text = f"{_subject(parts[0])}\n{text_of(parts)}"[:MOST_TEXT]
    later, never = _old_servers(parts)
    addresses = _addresses(parts, text, later | never, own)
    if message_id is None and len(addresses) != 1:
        return Unreadable("notice", "several_recipients" if addresses else _why_nobody(text, own))
    said, status = said_in(text), _status(text)
    delayed = bool(DELAYED.search(text) or (later and not never)) and not (status or "4").startswith("5")
    told = said or status or delayed or never
    if not told and (message_id is None or not RETURNED.search(_subject(parts[0]))):
        return Unreadable("notice", "no_failure_said")
    bounce = Bounce(
        action="delayed" if delayed else "failed",
        message_id=message_id,
        address=next(iter(addresses)) if len(addresses) == 1 else None,
        status=status,
        diagnostic=said,
    )
    return Bounces((bounce,))


def _is_notice(parts: Sequence[Part], message_id: str | None) -> bool:
    """Whether a mail is believed to be one of a server: by its headers, or since it returns a message of ours, whose id
    none knows but who got it."""
    mail = parts[0]
    if ANSWERS.search(_subject(mail)) and not header(mail, "X-Failed-Recipients"):
        return False
    returns_ours = message_id is not None and any(True for _ in returned_headers(parts))
    return is_from_a_server(mail) or (returns_ours and bool(RETURNED.search(_subject(mail))))


def _subject(mail: Part) -> str:
    return decoded(header(mail, "Subject"))


def _addresses(parts: Sequence[Part], text: str, old: Collection[str], own: Collection[str]) -> set[str]:
    """Those that a notice can be about: those that it names as recipients, or else all of them."""
    named = ADDRESS.findall(header(parts[0], "X-Failed-Recipients")) or old or _TO.findall(text)
    found = {each.lower() for each in named or ADDRESS.findall(text)} - {*own}
    return {each for each in found if each.partition("@")[0] not in SERVERS}


def _old_servers(parts: Sequence[Part]) -> tuple[set[str], set[str]]:
    """Those of whom Mailman's detectors find that they get it later, and never: they know many old servers' notices."""
    # Each of their patterns is tried on each line: a mail may be nothing but lines.
    if sum(str(part.get_payload()).count("\n") for part in parts if not part.is_multipart()) > MOST_LINES:
        return set(), set()
    from flufl.bounce import all_failures  # only here: other functions carry this module without the package

    try:
        later, never = all_failures(parts[0])
        found = [
            {str(each, "ascii").lower() for each in some if ADDRESS.fullmatch(str(each, "ascii"))}
            for some in (later, never)
        ]
    except Exception:  # it was made for the standard library's own headers, and a notice is anything
        return set(), set()
    return found[0], found[1]


def _status(text: str) -> str | None:
    said = said_in(text) or ""
    found = _ENHANCED.search(said) or (None if said else _ENHANCED.search(text))
    if found:
        return found[1]
    # A server's own words say more than a code of three digits; `bounced` reads those.
    return None if said else next((status for words, status in WORDS if words.search(text)), None)


def _why_nobody(text: str, own: Collection[str]) -> str:
    return "names_the_sender_alone" if any(each.lower() in own for each in ADDRESS.findall(text)) else "no_recipient"
