"""What each finding means and what to do, in English and Chinese; `{name}` and its like stand for its facts."""

from msgspec import Struct

from shared.policy.landing.findings import Finding


class Words(Struct, frozen=True):
    """One finding in words; the actions are empty where nothing is to be done."""

    summary: str
    summary_zh: str
    action: str = ""
    action_zh: str = ""


def words(finding: Finding) -> Words:
    """A finding in words, with its facts filled in."""
    form = WORDS[finding.code]
    return Words(
        form.summary.format_map(finding.facts),
        form.summary_zh.format_map(finding.facts),
        form.action.format_map(finding.facts),
        form.action_zh.format_map(finding.facts),
    )


WORDS: dict[str, Words] = {
    "no_answer": Words(
        "The DNS did not answer for {name}.",
        "DNS 未答复 {name} 的查询。",
        "Try again; if it lasts, look at the domain's name servers.",
        "请重试；如果一直如此，请检查该域名的域名服务器。",
    ),
    "provider_silent": Words(
        "The account's provider could not be asked which records it needs for {name}.",
        "无法向该账号的服务商查询 {name} 所需的记录。",
        "Try the account (mepush account verify), then check again.",
        "请先测试该账号（mepush account verify），然后重新检查。",
    ),
    "free_mail": Words(
        "{name} belongs to a provider of mailboxes: its records are in order, and nobody else can change them.",
        "{name} 属于邮箱服务商：其记录由服务商维护，他人无法更改。",
        "It does for a few messages. For codes and campaigns send from a domain of your own.",
        "发送少量邮件可以；验证码和营销邮件请使用自己的域名。",
    ),
    "spf_ok": Words(
        "{name} has an SPF record, which costs {count} of the 10 look-ups that receivers make.",
        "{name} 有 SPF 记录，占用收件方 10 次查询上限中的 {count} 次。",
    ),
    "spf_missing": Words(
        "{name} has no SPF record: receivers cannot tell its servers from others.",
        "{name} 没有 SPF 记录：收件方无法分辨哪些服务器有权发信。",
        "Publish an SPF record that names all servers which send for the domain.",
        "发布一条 SPF 记录，列出所有替该域名发信的服务器。",
    ),
    "spf_several": Words(
        "{name} has {count} SPF records, so none of them counts.",
        "{name} 有 {count} 条 SPF 记录，因此全部无效。",
        "Join them into one record.",
        "把它们合并为一条。",
    ),
    "spf_syntax": Words(
        "The SPF record of {name}, or one that it includes, has a term that nobody understands: {term}",
        "{name} 的 SPF 记录（或其引用的记录）中有无法识别的项：{term}",
        "Correct the term; until then the whole record counts for nothing.",
        "请更正该项；在此之前整条记录无效。",
    ),
    "spf_loop": Words(
        "The SPF record of {name} includes itself by {include}.",
        "{name} 的 SPF 记录经由 {include} 引用了自身。",
        "Remove the term that leads back.",
        "删除造成循环的项。",
    ),
    "spf_include_empty": Words(
        "The SPF record of {name} includes {include}, which has none: the whole record counts for nothing.",
        "{name} 的 SPF 记录引用了 {include}，而后者没有 SPF 记录：整条记录无效。",
        "Remove the term, or correct the name.",
        "删除该项，或更正域名。",
    ),
    "spf_include_several": Words(
        "The SPF record of {name} includes {include}, which has several: the whole record counts for nothing.",
        "{name} 的 SPF 记录引用了 {include}，而后者有多条 SPF 记录：整条记录无效。",
        "Remove the term, or have its owner join them.",
        "删除该项，或请其所有者合并记录。",
    ),
    "spf_lookups": Words(
        "The SPF record of {name} needs {count} look-ups or more; receivers stop after 10 and take it for wrong.",
        "{name} 的 SPF 记录需要至少 {count} 次查询；收件方在 10 次后停止，并视其为错误。",
        "Remove senders that are no longer used, or name their networks by ip4 and ip6.",
        "删除不再使用的发信方，或用 ip4、ip6 直接列出其网段。",
    ),
    "spf_void": Words(
        "{count} look-ups of the SPF record of {name} find nothing; after 2 receivers take it for wrong.",
        "{name} 的 SPF 记录中有 {count} 次查询没有结果；超过 2 次，收件方就视其为错误。",
        "Remove the names that no longer exist.",
        "删除已不存在的域名。",
    ),
    "spf_all": Words(
        "The SPF record of {name} lets every server in the world send for it (+all).",
        "{name} 的 SPF 记录允许任何服务器替它发信（+all）。",
        "End the record with ~all.",
        "把记录的结尾改为 ~all。",
    ),
    "spf_open": Words(
        "The SPF record of {name} says nothing of other servers: it does not end with ~all or -all.",
        "{name} 的 SPF 记录没有说明其他服务器：结尾不是 ~all 或 -all。",
        "End the record with ~all.",
        "把记录的结尾改为 ~all。",
    ),
    "spf_ptr": Words(
        "The SPF record of {name} uses ptr, which receivers may ignore.",
        "{name} 的 SPF 记录使用了 ptr，收件方可能忽略它。",
        "Replace it by ip4, ip6 or include.",
        "改用 ip4、ip6 或 include。",
    ),
    "spf_not_included": Words(
        "The SPF record of {name} does not let the account's provider send: {include} is not included.",
        "{name} 的 SPF 记录没有授权该账号的服务商发信：未引用 {include}。",
        "Publish the record that is shown instead.",
        "改为发布所示的记录。",
    ),
    "spf_unanswered": Words(
        "The DNS did not answer for all that the SPF record of {name} names.",
        "{name} 的 SPF 记录所引用的域名中，有些未得到 DNS 答复。",
        "Try again; if it lasts, remove what does not answer.",
        "请重试；如果一直如此，请删除不答复的项。",
    ),
    "dkim_ok": Words("There is a DKIM key at {name}.", "{name} 有 DKIM 公钥。"),
    "dkim_not_found": Words(
        "No DKIM key of {name} was found under the usual selectors.",
        "在常用的选择器下没有找到 {name} 的 DKIM 公钥。",
        "Name the selector that the sender signs with; without a signature large receivers refuse bulk mail.",
        "请指明发信方签名所用的选择器；没有签名，大型收件方会拒收群发邮件。",
    ),
    "dkim_missing": Words(
        "There is no DKIM key at {name}.",
        "{name} 没有 DKIM 公钥。",
        "Publish the record that the provider shows.",
        "发布服务商给出的记录。",
    ),
    "dkim_several": Words(
        "There are several DKIM keys at {name}: which counts is chance.",
        "{name} 有多个 DKIM 公钥：哪一个有效全凭运气。",
        "Leave one.",
        "只保留一个。",
    ),
    "dkim_revoked": Words(
        "The DKIM key at {name} is taken back (p= is empty).",
        "{name} 的 DKIM 公钥已被撤销（p= 为空）。",
        "Publish the current key, or sign with another selector.",
        "发布当前的公钥，或改用其他选择器签名。",
    ),
    "dkim_broken": Words(
        "The DKIM key at {name} cannot be read.",
        "{name} 的 DKIM 公钥无法解析。",
        "Publish it again as the provider shows it, without line breaks and quotation marks inside.",
        "按服务商所示重新发布，中间不要有换行和引号。",
    ),
    "dkim_short": Words(
        "The DKIM key at {name} has {bits} bits; receivers ignore keys below 1,024.",
        "{name} 的 DKIM 公钥只有 {bits} 位；收件方忽略 1,024 位以下的密钥。",
        "Make a key of 2,048 bits.",
        "请生成 2,048 位的密钥。",
    ),
    "dkim_weak": Words(
        "The DKIM key at {name} has {bits} bits.",
        "{name} 的 DKIM 公钥有 {bits} 位。",
        "Make one of 2,048 bits when you next change it.",
        "下次更换时请使用 2,048 位的密钥。",
    ),
    "dkim_testing": Words(
        "The DKIM key at {name} is marked as a test (t=y): receivers may treat mail as unsigned.",
        "{name} 的 DKIM 公钥标记为测试（t=y）：收件方可能视邮件为未签名。",
        "Remove t=y.",
        "删除 t=y。",
    ),
    "dmarc_ok": Words(
        "The DMARC policy of {name} is {policy}; it stands at {at}.", "{name} 的 DMARC 策略为 {policy}，位于 {at}。"
    ),
    "dmarc_missing": Words(
        "{name} has no DMARC record; Gmail, Yahoo and Microsoft ask for one from whoever sends much.",
        "{name} 没有 DMARC 记录；Gmail、Yahoo 和 Microsoft 要求大量发信者提供。",
        "Publish one, for a beginning with p=none.",
        "发布一条，开始时可用 p=none。",
    ),
    "dmarc_several": Words(
        "{name} has {count} DMARC records, so none of them counts.",
        "{name} 有 {count} 条 DMARC 记录，因此全部无效。",
        "Leave one.",
        "只保留一条。",
    ),
    "dmarc_policy": Words(
        "The DMARC record of {name} asks for {policy}, which is no policy.",
        "{name} 的 DMARC 记录中的 {policy} 不是有效的策略。",
        "Say p=none, p=quarantine or p=reject.",
        "请使用 p=none、p=quarantine 或 p=reject。",
    ),
    "dmarc_none": Words(
        "The policy none protects nobody from mail that others send in the name of {name}.",
        "none 策略不能防止他人冒用 {name} 发信。",
        "Once the reports show that all your mail passes, ask for quarantine, then reject.",
        "待报告显示您的邮件全部通过后，改为 quarantine，再改为 reject。",
    ),
    "dmarc_no_reports": Words(
        "Nobody gets the reports on mail in the name of {name} (rua is missing).",
        "没有人收到以 {name} 名义发信的报告（缺少 rua）。",
        "Add rua=mailto: with a mailbox that somebody reads.",
        "添加 rua=mailto: 和一个有人查看的邮箱。",
    ),
    "aligned": Words(
        "What SPF proves, {envelope}, is the domain that readers see, or belongs to it.",
        "SPF 所证明的 {envelope} 就是读者看到的域名，或与其同属一个域。",
    ),
    "aligned_by_dkim": Words(
        "SPF is about {envelope}, not about {name}: only the DKIM signature can prove the sender.",
        "SPF 针对的是 {envelope} 而不是 {name}：只有 DKIM 签名能证明发件人。",
        "See that the signature's domain is {name}; where the provider lets you, give the envelope a domain below it.",
        "请确认签名所用的域名是 {name}；如果服务商允许，请为信封发件人设置其子域名。",
    ),
    "mail_from_ok": Words("Bounces to {name} reach {host}.", "发往 {name} 的退信会到达 {host}。"),
    "mail_from_mx": Words(
        "The MX record of {name} does not lead to {host} alone: mail then has the provider's envelope, or none goes.",
        "{name} 的 MX 记录没有只指向 {host}：服务商会改用自己的域名发信，或不发信。",
        "Publish the record that is shown, and no other MX beside it.",
        "发布所示的记录，并且不要有其他 MX。",
    ),
    "mx_ok": Words("{name} takes mail.", "{name} 可以收信。"),
    "mx_missing": Words(
        "{name} has no MX record: replies and bounces may not arrive, and some receivers refuse such senders.",
        "{name} 没有 MX 记录：回复和退信可能无法送达，有些收件方会拒收。",
        "Publish an MX record, or send from a domain that takes mail.",
        "发布 MX 记录，或改用能收信的域名发信。",
    ),
    "mx_null": Words(
        "{name} says that it takes no mail (null MX): some receivers refuse senders who cannot be answered.",
        "{name} 声明不收信（null MX）：有些收件方会拒收无法回复的发件人。",
        "Send from a domain that takes mail.",
        "请改用能收信的域名发信。",
    ),
    "tls_sts": Words("Mail to {name} is sent encrypted (MTA-STS).", "发往 {name} 的邮件强制加密（MTA-STS）。"),
    "tls_none": Words(
        "{name} does not ask senders to encrypt mail to it (no MTA-STS). It does not matter for what you send.",
        "{name} 没有要求发信方加密（没有 MTA-STS）。这不影响您发出的邮件。",
    ),
    "bimi": Words("{name} names a logo (BIMI).", "{name} 设置了徽标（BIMI）。"),
    "bimi_none": Words(
        "{name} names no logo (BIMI), which some mailboxes show beside mail.",
        "{name} 没有设置徽标（BIMI），有些邮箱会在邮件旁显示它。",
    ),
}
