"""What Microsoft (Exchange Online, Outlook.com) and Amazon SES say."""

from shared.model.outcome import AccountDown, Rejected, Retry
from shared.model.reasons import Reason as R
from shared.providers.email.replies.advice import AUTHENTICATE, LOG_IN, NOT_AUTHENTIC, SLOWER, TOMORROW, UNLIST
from shared.providers.email.replies.entry import AFTER_MAIL, MESSAGE, Entry, entry

_MICROSOFT = (
    "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/"
    "non-delivery-reports-in-exchange-online"
)
_OUTLOOK = "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting.aspx"
_SES = "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html"

MICROSOFT: tuple[Entry, ...] = (
    entry(
        "microsoft.recipients_per_day",
        Retry,
        R.QUOTA_EXHAUSTED,
        "rcpt 550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
        _MICROSOFT,
        code=r"5\d\d 5\.1\.90",
        means=("The account's recipients for the day are used up.", "账号当天的收件人额度已用完。"),
        do=TOMORROW,
    ),
    entry(
        "microsoft.submission_quota",
        Retry,
        R.QUOTA_EXHAUSTED,
        "dot 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message",
        _MICROSOFT,
        text=r"Exception:SubmissionQuotaExceeded",
        means=("The account's sending quota is used up.", "账号的发信额度已用完。"),
        do=TOMORROW,
    ),
    entry(
        "microsoft.unauthenticated",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 5.7.515 Access denied, sending domain {from} does not meet the required authentication level.",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.(515|509|511)",
        means=NOT_AUTHENTIC,
        do=AUTHENTICATE,
    ),
    entry(
        "microsoft.banned_ip",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list visit "
        "https://sender.office.com",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.(60[6-9]|6[1-4]\d|708)",
        means=("Microsoft bans the sending IP address.", "微软封禁了发信 IP。"),
        do=("Ask for its removal at https://sender.office.com.", "在 https://sender.office.com 申请解除。"),
    ),
    entry(
        "microsoft.ip_rate",
        Retry,
        R.THROTTLED,
        "mail 451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.",
        _OUTLOOK,
        code=r"4\d\d 4\.7\.(65\d|500)",
        means=("Microsoft slows this IP address down for its reputation.", "因 IP 信誉，微软暂时限速。"),
        do=SLOWER,
    ),
    entry(
        "microsoft.tenant_blocked",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "dot 550 5.7.705 Access denied, tenant has exceeded threshold",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.(50[1-8]|70[1-7]|709|75\d)",
        means=("Microsoft has stopped the account's outgoing mail.", "微软已停止该账号的外发邮件。"),
    ),
    entry(
        "microsoft.bad_sender",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "dot 550 5.1.8 Access denied, bad outbound sender",
        _MICROSOFT,
        text=r"access denied, bad outbound sender",
        means=("Microsoft has stopped this sender for suspected spam.", "微软因疑似垃圾邮件停用了该发件人。"),
    ),
    entry(
        "microsoft.not_authenticated",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "mail 530 5.7.57 Client not authenticated to send mail.",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.57",
        means=("The login is missing.", "没有登录。"),
        do=LOG_IN,
    ),
    entry(
        "microsoft.send_as",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        _MICROSOFT,
        text=r"client does not have permissions? to send as this sender|Exception:SendAsDenied",
        means=("The login may not send as this address.", "登录账号无权以该地址发信。"),
        do=("Send as the login, or grant it `Send As`.", "以登录账号发信，或为其授予“代理发送”权限。"),
    ),
    entry(
        "microsoft.relay",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "rcpt 550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.(54|64|367)",
        means=("The server does not relay for this account.", "服务器不为该账号中继。"),
    ),
    entry(
        "microsoft.unknown_recipient",
        Rejected,
        R.ADDRESS_UNKNOWN,
        "rcpt 550 5.4.1 Recipient address rejected: Access denied.",
        _MICROSOFT,
        code=r"5\d\d 5\.4\.1",
        text=r"recipient address rejected: access denied",
        steps=AFTER_MAIL,
        means=("The recipient is not in the organisation's directory.", "收件人不在该组织的目录中。"),
    ),
    entry(
        "microsoft.restricted_recipient",
        Rejected,
        R.RECIPIENT_BLOCKED,
        "rcpt 550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; not authenticated to send to group",
        _MICROSOFT,
        code=r"5\d\d 5\.7\.(12[49]|13[3-6]|703)",
        means=("The recipient takes mail from certain senders only.", "收件人只接受特定发件人的邮件。"),
    ),
    entry(
        "microsoft.banned_by_outlook",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "mail 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service "
        "provider since part of their network is on our block list (S3150).",
        _OUTLOOK,
        text=r"part of their network is on our block list|messages? from \S+ weren't sent",
        means=("Outlook.com blocks the network that the mail comes from.", "Outlook.com 封禁了发信网段。"),
        do=UNLIST,
    ),
)

SES: tuple[Entry, ...] = (
    entry(
        "ses.daily_quota",
        Retry,
        R.QUOTA_EXHAUSTED,
        "dot 454 Throttling failure: Daily message quota exceeded.",
        _SES,
        text=r"throttling failure: daily message quota",
        means=("The account's quota for 24 hours is used up.", "账号 24 小时的额度已用完。"),
        do=TOMORROW,
    ),
    entry(
        "ses.rate",
        Retry,
        R.THROTTLED,
        "dot 454 Throttling failure: Maximum sending rate exceeded.",
        _SES,
        text=r"throttling failure:|maximum sending rate",
        means=("The account's rate is reached.", "已达到账号的发信速率上限。"),
        do=SLOWER,
    ),
    entry(
        "ses.sender_not_verified",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 554 Message rejected: Email address is not verified. The following identities failed the check in region "
        "EU-WEST-1: {to}, {from}",
        _SES,
        code=r"554",
        text=r"failed the check in region \S+: .*<sender>",
        means=("SES has not verified the sender in this region.", "SES 在该区域未验证发件地址。"),
        do=("Verify the sender's address or domain in the SES console.", "在 SES 控制台验证发件地址或域名。"),
    ),
    entry(
        "ses.recipient_not_verified",
        Rejected,
        R.RECIPIENT_NOT_VERIFIED,
        "dot 554 Message rejected: Email address is not verified. The following identities failed the check in region "
        "EU-WEST-1: {to}",
        _SES,
        code=r"554",
        text=r"failed the check in region \S+: .*<recipient>",
        means=(
            "The account is in the SES sandbox, where only verified recipients get mail.",
            "账号仍在 SES 沙盒中，只能发给已验证的收件人。",
        ),
        do=(
            "Request production access in the SES console, or verify the recipient there for a trial.",
            "在 SES 控制台申请正式发送权限；若只是试用，请先验证该收件人。",
        ),
    ),
    entry(
        "ses.not_verified",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 554 Message rejected: Email address is not verified.",
        _SES,
        code=r"554",
        text=r"(email address|mail from domain|identity|domain) is not verified",
        means=("SES has not verified the sender in this region.", "SES 在该区域未验证发件地址。"),
        do=("Verify the sender's address or domain in the SES console.", "在 SES 控制台验证发件地址或域名。"),
    ),
    entry(
        "ses.not_allowed",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "dot 554 Access denied: User `arn:aws:iam::111122223333:user/mail` is not authorized to perform "
        "`ses:SendRawEmail`",
        _SES,
        code=r"554",
        text=r"^access denied(: user |$)",
        steps=MESSAGE,
        means=("The SMTP user may not send.", "SMTP 用户没有发信权限。"),
        do=("Allow ses:SendRawEmail for the SMTP user in IAM.", "在 IAM 中为 SMTP 用户允许 ses:SendRawEmail。"),
    ),
    entry(
        "ses.suspended",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "dot 554 Message rejected: Sending suspended for this account.",
        _SES,
        text=r"sending (is |has been )?(suspended|paused|disabled) for (this|your) account",
        means=("SES has paused sending from this account.", "SES 已暂停该账号发信。"),
    ),
)
