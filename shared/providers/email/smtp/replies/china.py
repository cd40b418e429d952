"""What QQ Mail, Tencent Exmail and NetEase say. Their 550 and 554 are often limits that pass by themselves."""

from shared.model.outcome import AccountDown, Rejected, Retry
from shared.model.reasons import Reason as R
from shared.providers.email.smtp.replies.advice import AS_LOGIN, AUTHENTICATE, SLOWER, UNLIST, WAIT, Two
from shared.providers.email.smtp.replies.entry import AFTER_MAIL, MESSAGE, Entry, Kind, entry
from shared.providers.email.smtp.stream import Step

_QQ = "https://service.mail.qq.com/detail/122/"
_QQ_LOGIN = "https://service.mail.qq.com/detail/108/1023"
_NETEASE = "https://help.163.com/09/1224/17/5RAJ4LMH00753VB8.html"

_QQ_CODE: Two = (
    "Make an authorization code in QQ Mail's web settings (POP3/SMTP service) and give it as the password.",
    "在 QQ 邮箱网页版设置中开启 POP3/SMTP 服务，生成授权码并填作密码。",
)
_PLAIN = r"[45]\d\d(?! )"
"""A code without an enhanced one."""


def _qq(name: str, page: str, kind: Kind, reason: R, said: str, text: str, means: Two, do: Two | None = None) -> Entry:
    return entry(f"qq.{name}", kind, reason, said, _QQ + page, code=_PLAIN, text=text, means=means, do=do)


QQ: tuple[Entry, ...] = (
    entry(
        "qq.login",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "login 535 Login fail. Account is abnormal, service is not open, password is incorrect, login frequency "
        "limited, or system is busy. More information at " + _QQ_LOGIN,
        _QQ_LOGIN,
        code=r"535",
        text=r"^Login fail\.",
        steps=(Step.LOGIN,),
        means=(
            "QQ Mail refused the login: the authorization code is wrong, or the SMTP service is not switched on.",
            "QQ 邮箱拒绝登录：授权码不正确，或未开启 SMTP 服务。",
        ),
        do=_QQ_CODE,
    ),
    entry(
        "qq.sender",
        AccountDown,
        R.SENDER_REFUSED,
        "mail 501 Mail from address must be same as authorization user.",
        _QQ_LOGIN,
        text=r"mail from (address )?must (be (the )?same as|equal) (authorization|authorized) user",
        means=("The sender must be the address that logs in.", "发件地址必须与登录账号相同。"),
        do=AS_LOGIN,
    ),
    _qq(
        "recipient_limit",
        "166",
        Retry,
        R.RECIPIENT_LIMIT,
        "rcpt 550 Mailbox unavailable or access denied",
        r"mailbox unavailable or access den(i|in)ed|frequency of receiving messages is limited",
        (
            "The recipient got too much mail in a short time and takes none for a while.",
            "收件人短期内收信过多。",
        ),
        WAIT,
    ),
    *(
        _qq(
            f"{what}_frequency",
            page,
            Retry,
            R.THROTTLED,
            f"dot 550 {what.capitalize()} frequency limited.",
            rf"^{what} frequency limited",
            (
                f"QQ Mail's limit per {who} is reached.",
                f"已超过 QQ 邮箱对{zh}的频率限制。",
            ),
            WAIT,
        )
        for what, page, who, zh in (
            ("ip", "172", "sending IP address", "该 IP"),
            ("domain", "173", "sender's domain", "发件域名"),
            ("sender", "174", "sender", "发件人"),
            ("connection", "175", "connection", "该连接"),
        )
    ),
    _qq(
        "content",
        "171",
        Rejected,
        R.CONTENT_REFUSED,
        "dot 550 Mail content denied.",
        r"mail content denied|spam is embedded in the email",
        ("QQ Mail takes the content for spam.", "QQ 邮箱认为内容疑似垃圾邮件。"),
    ),
    _qq(
        "spf",
        "72",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 SPF check failed",
        r"(SPF|DKIM|DMARC) check failed",
        (
            "The sender's domain does not allow this server to send for it.",
            "发件域名未授权该服务器发信。",
        ),
        AUTHENTICATE,
    ),
    _qq(
        "spam_ip",
        "66",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 550 Suspected spam ip",
        r"suspected spam ip|suspected bounce attacks|^connection denied",
        ("QQ Mail distrusts the sending IP address.", "QQ 邮箱不信任发信 IP。"),
        UNLIST,
    ),
    _qq(
        "spam_sender",
        "71",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 Suspected spam sender",
        r"^suspected spam( sender)?\b",
        ("QQ Mail suspects the sender or its domain of spam.", "QQ 邮箱怀疑发件人或其域名发送垃圾邮件。"),
        UNLIST,
    ),
    _qq(
        "rejected_by_recipient",
        "92",
        Rejected,
        R.RECIPIENT_OPTED_OUT,
        "dot 550 Mail is rejected by recipients",
        r"mail is rejected by recipients?",
        ("The recipient blocks this sender.", "收件人把该发件人列入了黑名单。"),
    ),
)

_SAYS: tuple[tuple[Kind, R, Two | None, dict[str, tuple[int, str, str]]], ...] = (
    (
        Retry,
        R.THROTTLED,
        SLOWER,
        {
            "HL:ICC": (421, "Too many connections at once.", "该 IP 的并发连接数过大。"),
            "HL:IFC": (421, "Too much mail from this IP address for now.", "该 IP 短期内发信过多。"),
            "HL:IFQ": (554, "Too much mail from this IP address for now.", "该 IP 短期内发信过多。"),
            "MI:SFQ": (554, "Too much mail from this sender in 15 minutes.", "该发件人 15 分钟内发信过多。"),
            "MI:DMC": (450, "Too many messages on one connection.", "单个连接发信过多。"),
            "MI:CEL": (451, "Too many wrong commands.", "错误指令过多。"),
            "MI:CCL": (451, "Too many commands.", "指令过多。"),
            "RP:DRC": (451, "Too many recipients on one connection.", "单个连接的收件人过多。"),
            "RP:CCL": (451, "Too many commands.", "指令过多。"),
            "RP:CEL": (550, "Too many wrong commands.", "错误指令过多。"),
            "RP:RCL": (550, "Too many recipients at once.", "群发收件人过多。"),
            "RP:QRC": (550, "Too many recipients for now.", "短期内收件人过多。"),
        },
    ),
    (
        Retry,
        R.QUOTA_EXHAUSTED,
        WAIT,
        {
            "HL:ITC": (554, "The limit of this IP address is reached.", "该 IP 的发信总量已超限。"),
            "MI:STC": (550, "The sender's limit for the day is reached.", "该发件人当天发信已超限。"),
            "RP:TRC": (550, "The sender's recipients for the day are used up.", "该发件人当天收件人已超限。"),
        },
    ),
    (
        Retry,
        R.ADDRESS_NOT_TRUSTED,
        SLOWER,
        {
            "HL:REP": (421, "Too many unknown recipients from this IP address.", "该 IP 的不存在收件人过多。"),
            "HL:MEP": (421, "Too many forged senders from this IP address.", "该 IP 存在大量伪造发件域名。"),
        },
    ),
    (
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        UNLIST,
        {
            "HL:IPB": (554, "NetEase does not let this IP address send.", "该 IP 不被允许发信。"),
            "HL:IHU": (554, "NetEase has suspended this IP address.", "该 IP 被临时挂起。"),
            "DT:RBL": (451, "The IP address is on a blocklist.", "发信 IP 在黑名单中。"),
            "WM:BLI": (450, "NetEase does not let this IP address send.", "该 IP 不被允许发信。"),
        },
    ),
    (
        AccountDown,
        R.SENDER_REFUSED,
        UNLIST,
        {
            "WM:BLU": (450, "NetEase does not let this sender send.", "该发件人不被允许发信。"),
            "MI:SPB": (554, "NetEase does not let this sender send.", "该发件人不被允许发信。"),
        },
    ),
    (
        AccountDown,
        R.SENDER_REFUSED,
        AUTHENTICATE,
        {
            "MI:SPF": (550, "The sender's SPF record does not allow this server.", "SPF 未授权该服务器。"),
            "MI:DMA": (550, "The sender's DMARC policy forbids the message.", "未被发件域名的 DMARC 许可。"),
        },
    ),
    (
        AccountDown,
        R.SENDER_REFUSED,
        AS_LOGIN,
        {
            "MI:IMF": (550, "The sender's address is malformed.", "发件地址不规范。"),
            "DT:SUM": (554, "The sender is not the one that logged in.", "信封与信头的发件人不一致。"),
        },
    ),
    (
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        None,
        {
            "MI:NHD": (550, "The greeting names no host.", "HELO 为空。"),
            "RP:FRL": (550, "The account may send to NetEase's users only.", "禁止发信到非网易用户。"),
        },
    ),
)

NETEASE: tuple[Entry, ...] = (
    *(
        entry(
            "netease." + mark.lower().replace(":", "_"),
            kind,
            reason,
            f"{'greeting' if mark.startswith('HL') else 'dot'} {code} {mark} 163 mx1,id",
            _NETEASE,
            mark=mark,
            means=(english, chinese),
            do=do,
        )
        for kind, reason, do, marks in _SAYS
        for mark, (code, english, chinese) in marks.items()
    ),
    entry(
        "netease.dt_spm_later",
        Retry,
        R.PROVIDER_BUSY,
        "dot 451 DT:SPM ,please try again",
        _NETEASE,
        code=r"4\d\d",
        mark="DT:SPM",
        means=("NetEase wants the message again later.", "网易要求稍后重投。"),
        do=SLOWER,
    ),
    entry(
        "netease.dt_spm",
        Rejected,
        R.CONTENT_REFUSED,
        "dot 554 DT:SPM 163 smtp1,id",
        _NETEASE,
        code=r"5\d\d",
        mark="DT:SPM",
        means=("NetEase takes the content for spam.", "网易认为内容疑似垃圾邮件。"),
    ),
    entry(
        "netease.attachment",
        Rejected,
        R.CONTENT_REFUSED,
        "dot 552 Illegal Attachment",
        _NETEASE,
        text=r"^illegal attachment",
        steps=MESSAGE,
        means=("NetEase takes no attachment of this type.", "网易不允许该类型的附件。"),
    ),
    entry(
        "netease.system_busy",
        Retry,
        R.PROVIDER_BUSY,
        "login 535 Error: authentication failed, system busy",
        _NETEASE,
        code=r"535",
        text=r"^error: authentication failed, system busy",
        steps=(Step.LOGIN,),
        means=("NetEase's login service is busy.", "网易的登录服务繁忙。"),
        do=SLOWER,
    ),
    entry(
        "netease.no_permission",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "login 550 User has no permission",
        _NETEASE,
        code=r"5\d\d",
        text=r"^user has no permission",
        steps=(Step.LOGIN, Step.MAIL),
        means=("The SMTP service is not switched on for this mailbox.", "该邮箱未开启 SMTP 服务。"),
        do=(
            "Switch on POP3/SMTP in the mailbox's web settings and give its authorization code as the password.",
            "在邮箱网页版设置中开启 POP3/SMTP 服务，并把授权码填作密码。",
        ),
    ),
    entry(
        "netease.login_locked",
        Retry,
        R.THROTTLED,
        "login 451 Requested mail action not taken: too much fail authentication",
        _NETEASE,
        text=r"too much fail authentication",
        means=("Too many failed logins; NetEase refuses more for a while.", "登录失败次数过多，暂时禁止登录。"),
        do=("Check the password; then wait.", "检查密码，然后等待。"),
    ),
    entry(
        "netease.suspended",
        Rejected,
        R.ADDRESS_UNKNOWN,
        "rcpt 550 User suspend",
        _NETEASE,
        code=_PLAIN,
        text=r"^(user suspend(ed)?|invalid user)\b",
        steps=AFTER_MAIL,
        means=("The recipient's mailbox does not exist or is closed.", "收件人不存在或已停用。"),
    ),
    entry(
        "netease.blacklisted",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 554 IP in blacklist",
        _NETEASE,
        text=r"^ip (is )?in blacklist",
        means=("The IP address is not allowed.", "该 IP 不被允许发信。"),
        do=UNLIST,
    ),
)
