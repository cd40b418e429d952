"""What becomes of the mails that the SMTP sandbox took: the mails that come back to the sender, by their address.

Reports after RFC 3464 and RFC 5965 as Postfix and mailbox services write them; notices as QQ Mail and NetEase write
them to their users, without a report (written anew after public collections of such mails).
"""

from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial

SIMULATOR = "bounces.example.com"
"""The domain at which addresses mean something; labels such as `bounce+one@` make them different."""
_SERVER = "mx.bounces.example.com"


def dsn(
    original: bytes,
    to: str,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str | None = "smtp; 550 5.1.1 no such user",
    final: str | None = None,
    whole: bool = False,
) -> bytes:
    """A report of delivery. original: the mail. final: the address that `to` was led on to. whole: return it whole."""
    said = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    returned = original if whole else _head(original)
    kind = "message/rfc822" if whole else "text/rfc822-headers"
    head = f"""From: Mail Delivery System <MAILER-DAEMON@{_SERVER}>
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="report-boundary"

This is a MIME-encapsulated message.

--report-boundary
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host {_SERVER}.

<{to}>: host {_SERVER} said: 550 no such user (in reply to RCPT TO command)

--report-boundary
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; {_SERVER}
Arrival-Date: {formatdate(0)}

Original-Recipient: rfc822;{to}
Final-Recipient: rfc822; {final or to}
Action: {action}
Status: {status}
Remote-MTA: dns; {_SERVER}
{said}
--report-boundary
Content-Description: Undelivered Message
Content-Type: {kind}

"""
    return _lines(head) + returned + b"\r\n--report-boundary--\r\n"


def complaint(original: bytes, to: str, kind: str = "abuse") -> bytes:
    """A report that a recipient calls a mail spam; who that is is taken out, as services do."""
    head = f"""From: complaints@{_SERVER}
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="report-boundary"

--report-boundary
Content-Type: text/plain

This is an email abuse report.

--report-boundary
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: sandbox/1.0
Version: 1
Original-Rcpt-To: <redacted>

--report-boundary
Content-Type: message/rfc822

"""
    return _lines(head) + original + b"\r\n--report-boundary--\r\n"


def automatic_reply(original: bytes, to: str) -> bytes:
    """An answer of the recipient's mailbox."""
    return _lines(
        f"""From: {to}
Subject: =?utf-8?b?6Ieq5Yqo5Zue5aSN?=
Auto-Submitted: auto-replied
Precedence: auto_reply
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

我在休假。若有急事请致电 550 5.1.1。
"""
    )


def qq_notice(original: bytes, to: str, said: str = "550 Mailbox not found. http://service.mail.qq.com/") -> bytes:
    """A notice of QQ Mail: html in Chinese, with no word of which mail it was but its subject."""
    return _lines(
        f"""From: "PostMaster" <PostMaster@qq.com>
Subject: =?gb18030?b?wLTX1HFxLmNvbbXEzcvQxQ==?=
MIME-Version: 1.0
Content-Type: text/html; charset="utf-8"

<html><head><style>p {{ color: red }}</style></head><body><p>很抱歉您发送的邮件被退回，以下是该邮件的相关信息：</p>
<table><tr><td>被退回邮件</td><td>主 题：Sale<br/>时 间：2026-11-30 10:00:00</td></tr></table>
<table><tr><td colspan="2">无法发送到 {to}</td></tr>
<tr><td>退信原因</td><td>未知原因<br/>host {_SERVER}[203.0.113.7]
said: {said}</td></tr><tr><td>解决方案</td><td>请联系您的收件人</td></tr></table></body></html>
"""
    )


def netease_notice(original: bytes, to: str) -> bytes:
    """A notice of NetEase: the words in GBK, and a header of its own with the Message-ID of the mail."""
    fields = dict(line.split(": ", 1) for line in _head(original).decode().split("\r\n") if ": " in line)
    head = f"""From: Postmaster@163.com
Subject: =?gb2312?B?z7XNs83L0MU=?=
X-CM-Original-Message-ID: {fields.get("Message-ID", "")}
MIME-Version: 1.0
Content-Type: text/plain; charset="gbk"
Content-Transfer-Encoding: 8bit

"""
    words = f"""抱歉，您的邮件被退回来了……
  原邮件信息：
    主  题 Sale
    收件人 {to}
  退信原因：
    未知的原因，对方拒绝接收您的邮件
    英文说明:SMTP error, RCPT TO: Host {_SERVER}(203.0.113.7) RCPT TO said 550 No such user here
"""
    return _lines(head) + words.replace("\n", "\r\n").encode("gbk")


SCRIPTS: Mapping[str, Callable[[bytes, str], bytes]] = {
    "bounce": dsn,
    "full": partial(dsn, status="5.2.2", diagnostic="smtp; 552 5.2.2 mailbox full"),
    "later": partial(dsn, status="4.4.7", diagnostic="smtp; 451 4.4.7 time is over"),
    "delayed": partial(dsn, action="delayed", status="4.4.1", diagnostic="smtp; 451 4.4.1 no answer"),
    "arrived": partial(dsn, action="delivered", status="2.0.0", diagnostic="smtp; 250 2.0.0 ok"),
    "led-on": partial(dsn, action="relayed", status="2.0.0", diagnostic="smtp; 250 2.0.0 ok"),
    "content": partial(dsn, status="5.7.1", diagnostic="smtp; 554 5.7.1 message rejected as spam"),
    "complaint": complaint,
    "notspam": lambda original, to: complaint(original, to, "not-spam"),
    "autoreply": automatic_reply,
    "qq": qq_notice,
    "netease": netease_notice,
}
"""What comes back of a mail, by what stands before a `+` or the `@` of an address of the simulator; else nothing."""


def returned(original: bytes, to: str) -> bytes | None:
    """What comes back of a mail; None if nothing does."""
    local, _, domain = to.lower().rpartition("@")
    script = SCRIPTS.get(local.partition("+")[0]) if domain == SIMULATOR else None
    return None if script is None else script(original, to)


def _head(original: bytes) -> bytes:
    """The headers of a mail."""
    return original.partition(b"\r\n\r\n")[0] + b"\r\n"


def _lines(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
