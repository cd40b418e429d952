"""What servers of all kinds say in words (Postfix, Exim, Exchange, qmail): asked last, where codes say little.

Each alternative of a pattern holds a blank or another sign that no address has: a quoted name never fits one.
"""

from shared.model.outcome import AccountDown, Rejected, Retry
from shared.model.reasons import Reason as R
from shared.providers.email.smtp.replies.advice import ENCRYPT, LOG_IN, NO_PTR, SET_PTR, SLOWER, UNLIST, Two
from shared.providers.email.smtp.replies.entry import AFTER_MAIL, MESSAGE, Entry, entry
from shared.providers.email.smtp.stream import Step

_POSTFIX = "https://www.postfix.org/postconf.5.html"
_EXIM = "https://www.exim.org/exim-html-current/doc/html/spec_html/ch-access_control_lists.html"
_EXCHANGE = "https://learn.microsoft.com/exchange/mail-flow/connectors/allow-anonymous-relay"
_RFC5321 = "https://www.rfc-editor.org/rfc/rfc5321#section-4.2"
_RFC6647 = "https://www.rfc-editor.org/rfc/rfc6647"

_RELAY: Two = (
    "The server does not send on to other domains for this account.",
    "该服务器不为此账号向外部域名中继邮件。",
)
_ALLOW_RELAY: Two = (
    "Log in with a username, use the port for submission, or have the server allow this network.",
    "使用用户名登录、改用提交端口，或让服务器允许该网络中继。",
)

LOGIN: tuple[Entry, ...] = (
    entry(
        "dovecot.connections",
        Retry,
        R.THROTTLED,
        "login 535 5.7.8 Error: authentication failed: too many connections",
        _POSTFIX,
        code=r"535",
        text=r"^error: authentication failed: too many connections",
        steps=(Step.LOGIN,),
        means=("The server has too many connections of this login.", "该登录的连接数过多。"),
        do=SLOWER,
    ),
)

BY_WORDS: tuple[Entry, ...] = (
    entry(
        "server.quota",
        Retry,
        R.QUOTA_EXHAUSTED,
        "dot 550 User {from} has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25 allowed have "
        "been sent.",
        _RFC5321,
        text=r"(daily|24-hour|monthly) ((user|message|mail|email|sending|relay|smtp|outgoing"
        r"|recipient) ){0,3}(limit|quota)|sending (limit|quota) (is |was |has been )?(exceeded|reached)"
        r"|(exceeded|reached) (your|the|its) (daily|monthly) |exceed(ed)? daily "
        r"|reached your sending (limit|quota)|exceeded (the|your|its) sending (limit|quota)"
        r"|exceeded sending (limit|quota)"
        r"|max (emails|messages|mails) per day",
    ),
    entry(
        "server.rate",
        Retry,
        R.THROTTLED,
        "dot 550 send spam mail rejected: exceeded hour limit",
        _RFC5321,
        text=r"(exceeded|reached) (the |your |its )?(hour|hourly|minute|rate) limit"
        r"|rate limit (is |was |has been )?(exceeded|reached)|(hourly|per hour|sending rate) limit"
        r"|frequency (is )?limited|sending too (fast|many)|sent too (fast|many)"
        r"|too many (concurrent|connections|messages|mails|emails|e-mails|recipients|errors|smtp"
        r"|sessions)\b|(temporarily|being) rate[ -]limited|please slow down|throttling failure"
        r"|too much mail from"
        r"|too many (open|simultaneous|failed|unsuccessful) "
        r"|max (defers and failures|emails|messages|mails) per (hour|minute)"
        r"|connections? limit (is )?exceeded",
        do=SLOWER,
    ),
    entry(
        "server.greylisting",
        Retry,
        R.RECIPIENT_BUSY,
        "rcpt 451 4.7.1 Greylisting in action, please come back in 00:05:00",
        _RFC6647,
        code=r"4\d\d",
        text=r"(been|is|are|temporarily) gr[ea]y-?listed|gr[ea]y-?list(ed|ing) (in|is|by|for|policy|active|see|try) "
        r"|gr[ea]y-?list(ed|ing), ",
        steps=AFTER_MAIL,
    ),
    entry(
        "server.recipient_rate",
        Retry,
        R.RECIPIENT_LIMIT,
        "rcpt 450 Too much mail for this user",
        _RFC5321,
        text=r"receiving (mail|messages) (too (quickly|fast)|at a rate)"
        r"|too much mail for (this|the) (user|recipient)",
        steps=AFTER_MAIL,
    ),
    entry(
        "server.mailbox_full",
        Retry,
        R.MAILBOX_FULL,
        "rcpt 550 Mailbox quota exceeded",
        _RFC5321,
        text=r"(mailbox|mail box|inbox|storage|user|account|recipient)( is| has)?( over| exceeded)?( (its|the"
        r"|his))? (disk )?(quota|full)\b|over quota|quota exceeded"
        r"|exceed(s|ed) (the |its )?(mailbox |storage |disk )(quota|limit|allocation)|insufficient storage",
        steps=AFTER_MAIL,
    ),
    entry(
        "server.starttls",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "mail 530 5.7.0 Must issue a STARTTLS command first",
        _POSTFIX,
        code=r"5\d\d",
        text=r"(issue|use|need|send) (a |the )?STARTTLS( command)?( first)?|STARTTLS (is )?required"
        r"|encryption (is )?required|(session|channel|connection) (encryption|must be encrypted)",
        means=("The server wants encryption first.", "服务器要求先加密。"),
        do=ENCRYPT,
    ),
    entry(
        "server.authenticate",
        AccountDown,
        R.CREDENTIALS_REFUSED,
        "rcpt 550 5.7.1 Authentication required",
        _RFC5321,
        code=r"5\d\d",
        text=r"authentication (is )?required|must (be )?authenticated?\b"
        r"|(need|needs|require|requires) (EHLO and )?AUTH\b|AUTH first|(please|must) log ?in"
        r"|client was not authenticated|not authenticated to send|authenticate before",
        means=("The server wants a login.", "服务器要求登录。"),
        do=LOG_IN,
    ),
    entry(
        "postfix.relay",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "rcpt 554 5.7.1 <{to}>: Relay access denied",
        _POSTFIX,
        code=r"5\d\d",
        text=r"relay access denied|relay(ing)? (is )?(denied|not (permitted|allowed)|prohibited)"
        r"|(not permitted|not allowed|refuse|refused|denied) to relay|do(es)? not relay"
        r"|(no|open) relay(ing)?\b.{0,20} (allowed|here)|isn't in my list of allowed rcpthosts"
        r"|host denies relay|relay check .{0,20}fail",
        means=_RELAY,
        do=_ALLOW_RELAY,
    ),
    entry(
        "exchange.relay",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "rcpt 550 5.7.1 Unable to relay",
        _EXCHANGE,
        code=r"5\d\d",
        text=r"unable to relay",
        means=_RELAY,
        do=_ALLOW_RELAY,
    ),
    entry(
        "server.helo",
        AccountDown,
        R.ACCOUNT_MISCONFIGURED,
        "rcpt 550 5.7.1 Helo command rejected: Host not found",
        _POSTFIX,
        text=r"(helo|ehlo) (command|host|name|argument|domain)( was| is)? (rejected|invalid|refused|not)"
        r"|(bad|invalid) (helo|ehlo) ",
        means=("The server does not take the name that we greet with.", "服务器不接受我们问候时使用的主机名。"),
        do=("Set `helo` to a name that leads to the sending address.", "把 `helo` 设为能解析到发信地址的主机名。"),
    ),
    entry(
        "server.reverse_dns",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 550 5.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
        _POSTFIX,
        code=r"5\d\d",
        text=r"cannot find your (reverse )?hostname|(reverse dns|ptr record|reverse lookup)[,;: ]"
        r"|(no|missing|invalid) (reverse dns|ptr)\b",
        means=NO_PTR,
        do=SET_PTR,
    ),
    entry(
        "server.blocklist",
        AccountDown,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example",
        _POSTFIX,
        code=r"5\d\d",
        text=r"(blocked|rejected|listed) (using|by|at|on|in) (a |the |our |an )?(\S*list|\S+\.\S+|spamhaus"
        r"|barracuda|dnsbl|rbl)"
        r"|(client|sending|your|this|source|remote) (host|ip|server|network)( address)?( \S+)?( is| was"
        r"| has been)? (blocked|rejected|banned|blacklisted|denied|refused|listed|not allowed)"
        r"|(banned|blocked|rejected) (sending )?ip\b|(blocked|banned|rejected)[^.;]{0,40} ip address"
        r"|on (our|a|the) (block ?list|black ?list|deny ?list)"
        r"|(poor|bad|low) (sender |ip |network )?reputation|reputation of the (ip|sending)"
        r"|client host rejected|black ip\b|ip (is )?(rejected|hangup)|ip in prison|rbl deny"
        r"|is (in|on) (a|an|the|our) (rbl|dnsbl|block ?list|black ?list)"
        r"|\bip (address )?[\[(]?[0-9a-f.:]+[\])]? (is |was |has been )?(blacklisted|blocked|banned|listed|rejected)",
        means=("The network address that the mail comes from is blocked.", "发信的网络地址被封禁。"),
    ),
    entry(
        "server.network_later",
        Retry,
        R.ADDRESS_NOT_TRUSTED,
        "rcpt 450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]",
        _POSTFIX,
        code=r"4\d\d",
        text=r"cannot find your (reverse )?hostname|client host rejected|(no|missing|invalid) (reverse dns|ptr)\b"
        r"|(poor|bad|low) (sender |ip |network )?reputation",
        means=(
            "The server does not trust the network address that the mail comes from.",
            "服务器不信任发信的网络地址。",
        ),
        do=SET_PTR,
    ),
    entry(
        "exim.sender_verify",
        AccountDown,
        R.SENDER_REFUSED,
        "rcpt 550-Verification failed for <{from}>\n550 Sender verify failed",
        _EXIM,
        code=r"5\d\d",
        text=r"sender (verify|verification|callout verification) failed|verification failed for <sender>",
        means=("The server finds that the sender's address takes no mail.", "服务器校验后认为发件地址无法收信。"),
        do=("Send from an address that exists and takes mail.", "使用真实存在、能收信的发件地址。"),
    ),
    entry(
        "postfix.sender",
        AccountDown,
        R.SENDER_REFUSED,
        "rcpt 553 5.7.1 <{from}>: Sender address rejected: not owned by user shop",
        _POSTFIX,
        code=r"5\d\d",
        text=r"sender (address |domain )?(is |was )?(rejected|denied|refused|not (allowed|authorized"
        r"|permitted|accepted|verified)|unknown|invalid)|not owned by user"
        r"|(mail )?from (address )?must (be|equal|match)"
        r"|not (allowed|authorized|permitted) to send (as|from|mail|e?mails?)"
        r"|(invalid|unknown|bad|unauthori[sz]ed) sender\b|<sender>:? (is )?(rejected|denied|refused|not )"
        r"|denies the sender|domain of (the )?sender|sender('s)? domain (does not|must|is|has)"
        r"|mail from (is )?invalid|fake sender",
        means=("The server does not take this sender.", "服务器不接受该发件人。"),
    ),
    entry(
        "server.unauthenticated",
        AccountDown,
        R.SENDER_REFUSED,
        "dot 550 5.7.1 Email rejected per DMARC policy",
        _RFC5321,
        code=r"5\d\d",
        text=r"(spf|dkim|dmarc) (- )?(check |validation |verification |authentication |policy |signature "
        r"|record |test )?(fail|failed|failure|fails|violation|reject|rejected|missing|not )"
        r"|(per|due to|fails|failed|failing|against|violates) (the )?(\S+ )?(spf|dkim|dmarc)\b"
        r"|(dmarc|spf|dkim) policy|unauthenticated (mail|email|e-mail|message|sender)"
        r"|spf unauthorized mail|(no|missing|without) (an? |valid )?(spf|dkim|dmarc)\b",
        means=("The sender's domain is not authenticated.", "发件域名未通过身份验证（SPF/DKIM/DMARC）。"),
        do=(
            "Publish SPF, DKIM and DMARC records for the sender's domain that allow this server.",
            "为发件域名发布允许该服务器的 SPF、DKIM 和 DMARC 记录。",
        ),
    ),
    entry(
        "server.suspended",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "dot 550 5.7.1 Your account has been suspended from sending mail",
        _RFC5321,
        code=r"5\d\d",
        text=r"your (account|mailbox|domain) (is|was|has been) (temporarily )?(suspended|disabled|locked"
        r"|blocked|limited|frozen)"
        r"|(outgoing|outbound) (mail|email|messages?) (is|are|has been|have been)? ?(suspended|disabled"
        r"|blocked)|(suspicious|unusual) (sending )?activity"
        r"|sending (is |has been )?(suspended|disabled|paused)",
        means=("The server has stopped this account's mail.", "服务器已停止该账号发信。"),
    ),
    entry(
        "server.suspended_login",
        AccountDown,
        R.ACCOUNT_SUSPENDED,
        "mail 550 5.7.0 Account is suspended",
        _RFC5321,
        code=r"5\d\d",
        text=r"(account|user|mailbox) (is |was |has been )?(suspended|disabled|locked|frozen)",
        steps=(Step.LOGIN, Step.MAIL),
        means=("The server has stopped this account's mail.", "服务器已停止该账号发信。"),
    ),
    entry(
        "server.unknown_recipient",
        Rejected,
        R.ADDRESS_UNKNOWN,
        "rcpt 550 No such user here",
        _RFC5321,
        code=r"5\d\d",
        text=r"no such (user|recipient|mailbox|address|account|person)"
        r"|(user|recipient|mailbox|account|address|addressee) (is )?(unknown|not found)|inactive mailbox"
        r"|(unknown|invalid|bad|no valid) (user|recipient|recipients|mailbox|account)\b"
        r"|(user|account|mailbox|recipient|address) (does not|doesn't|doesnt|not) exist"
        r"|mailbox (is )?(unavailable|disabled|inactive|not available)|not a valid (mailbox|user|recipient)"
        r"|undeliverable address"
        r"|(user|account|mailbox|recipient) (is |was |has been )?(disabled|suspended|inactive"
        r"|deactivated|closed|expired)|is a deactivated mailbox"
        r"|address rejected: (user unknown|undeliverable|unverified)|user (is )?locked"
        r"|(用户|收件人|邮箱|地址)[^。]{0,6}不存在",
        steps=AFTER_MAIL,
    ),
    entry(
        "server.too_large",
        Rejected,
        R.CONTENT_TOO_LONG,
        "dot 550 Message size exceeds fixed limit",
        _POSTFIX,
        code=r"5\d\d",
        text=r"(message|mail|email|attachment)( size| file)? (is )?(too (large|long|big)|exceeds|exceeded)"
        r"|exceed(s|ed) (the )?(maximum )?(message|mail) ?size|message size exceeds|exceeded mailsize",
        steps=(Step.MAIL, *AFTER_MAIL),
    ),
    entry(
        "server.loop",
        Rejected,
        R.RECIPIENT_BLOCKED,
        "dot 554 5.4.6 Too many hops",
        _RFC5321,
        code=r"5\d\d",
        text=r"too many (hops|received headers)|(mail|message|routing) loop|message is looping",
        steps=AFTER_MAIL,
        means=("The recipient's mail is forwarded in a circle.", "收件人的邮件在循环转发。"),
    ),
    entry(
        "server.malformed",
        Rejected,
        R.CONTENT_INVALID,
        "dot 554 Message not allowed - Headers are not RFC compliant",
        _RFC5321,
        code=r"5\d\d",
        text=r"not RFC ?(2822|5322)? ?compliant|line (length exceeded|too long)"
        r"|(headers?|data) (is|are) (invalid|malformed)",
        steps=MESSAGE,
    ),
    entry(
        "server.spam_before_content",
        Rejected,
        R.SENDER_REFUSED,
        "rcpt 550 5.7.1 Message rejected due to spam",
        _RFC5321,
        code=r"5\d\d",
        text=r"(rejected|refused|blocked|denied) (as|due to|because of|for) (suspected )?spam"
        r"|spam (source|sender|host)",
        steps=(Step.MAIL, Step.RCPT),
        means=("The server suspects the sender of spam.", "服务器怀疑发件人发送垃圾邮件。"),
        do=UNLIST,
    ),
    entry(
        "server.spam",
        Rejected,
        R.CONTENT_REFUSED,
        "dot 554 5.7.1 Message rejected as spam",
        _RFC5321,
        code=r"5\d\d",
        text=r"(rejected|classified|identified|detected|considered|blocked|marked|looks) (as|like"
        r"|to be) (\S+ )?(spam|junk|virus|unsolicited|uce)"
        r"|(contains|detected|found|has) (a )?(virus|malware|spam)|virus (found|detected)"
        r"|spam (detected|content|message|denied|mail|score)"
        r"|content (is |was )?(denied|rejected|reject|refused|blocked)|anti-?spam engine"
        r"|message content rejected",
        steps=MESSAGE,
    ),
)
