"""The explanations of reasons in Chinese."""

from shared.model.reasons import Reason

_NOTHING = "无需处理：平台会自动重试。"
_BY_CLASS = "无需处理：后续处理取决于消息的类别。"

EXPLANATIONS_ZH: dict[Reason, tuple[str, str]] = {
    Reason.ADDRESS_INVALID: ("地址格式不正确。", "更正地址后重新发送。"),
    Reason.ADDRESS_UNKNOWN: ("服务商说该收件人不存在。", "与收件人核对地址，并从名单中移除。"),
    Reason.NOT_IN_TEAM_LIST: (
        "团队密钥只能发送给其允许名单中的收件人。",
        "把收件人加入密钥的允许名单，或使用正式密钥。",
    ),
    Reason.RECIPIENT_OPTED_OUT: ("收件人已拒收该发送方的消息。", "除非收件人重新同意，否则不要再发送。"),
    Reason.RECIPIENT_BLOCKED: (
        "服务商或运营商拦截发给该收件人的消息。",
        "向服务商询问原因，或改用其他渠道。",
    ),
    Reason.RECIPIENT_LIMIT: (
        "已达到服务商对单个收件人的消息上限。",
        "等待服务商的窗口过去，或在其控制台提高上限。",
    ),
    Reason.REGION_NOT_ENABLED: (
        "该账号不能发送到收件人所在的国家或地区。",
        "在服务商控制台开通该国家或地区。",
    ),
    Reason.KEY_LIMIT: (
        "该 API 密钥当天（UTC）可发送的短信已用完：全部号码的上限，或境外号码的上限。",
        "在 UTC 零点之后再发送；提高密钥或设置中的上限之前，请先确认这些短信确属所需。",
    ),
    Reason.COUNTRY_NOT_ALLOWED: (
        "设置不允许向该号码所在的国家发送短信；在设置中列出国家之前，只发往租户所在的地区。",
        "在设置的 `countries` 中列出所有可以发送的国家；否则去掉该号码。",
    ),
    Reason.NUMBER_TAKES_NO_TEXTS: (
        "这不是手机号码：固定电话、卫星电话和另行收费的号码不能接收短信。",
        "请提供手机号码，带 + 和国家代码。",
    ),
    Reason.MAILBOX_FULL: ("收件人的邮箱已满。", "稍后重试，或使用其他渠道。"),
    Reason.RECIPIENT_BUSY: ("收件人的邮件服务器要求稍后再试，例如对陌生发件方的灰名单。", _NOTHING),
    Reason.RECIPIENT_NOT_VERIFIED: (
        "账号仍在服务商的沙盒（sandbox）中，而该收件人未在其中验证。",
        "向服务商申请正式发送权限；若只是试用，请先在其控制台验证该收件人。",
    ),
    Reason.RECIPIENT_UNREACHABLE: (
        "无法联系到收件人：手机关机、不在服务区或存储已满，或邮件服务器数日未响应。",
        "稍后再试，或改用其他渠道。",
    ),
    Reason.NUMBER_SUSPENDED: (
        "运营商已停用该号码，常见原因是欠费。",
        "向收件人索取其他号码，或改用其他渠道。",
    ),
    Reason.SUPPRESSED_BOUNCE: (
        "之前发给该收件人的消息被退回。",
        "核对地址；确认可用后用 `mepush suppress remove` 移出名单。",
    ),
    Reason.SUPPRESSED_COMPLAINT: ("收件人投诉过之前的消息。", "不要再发送；仅在收件人要求时才移出名单。"),
    Reason.SUPPRESSED_UNSUBSCRIBE: ("收件人已退订。", "不要再发送；仅在收件人要求时才移出名单。"),
    Reason.SUPPRESSED_MANUAL: (
        "你们中有人把该收件人加入了名单。",
        "用 `mepush suppress list` 查看是谁、为何；用 `mepush suppress remove` 移出名单。",
    ),
    Reason.SUPPRESSED_PROVIDER: (
        "该收件人在服务商自己的拒发名单上。",
        "先从服务商的名单移除，再用 `mepush suppress remove` 移出本名单。",
    ),
    Reason.RECALLED: ("调用方已撤回，不再尝试发送。", "无需处理；若属误操作，请重新发送。"),
    Reason.RECALL_REFUSED: ("服务商不再撤回该消息：时间太久，或由另一个账号发送。", "无需处理：收件人已收到。"),
    Reason.QUIET_HOURS: (
        "收件人当地处于免打扰时段。",
        "若在等待则无需处理；否则换个时间发送，或修改模板或类别的免打扰时段。",
    ),
    Reason.DUPLICATE: (
        "同一模板的相同内容刚刚发给过该收件人。",
        "若属误发则无需处理；否则等待窗口过去，或修改模板的 duplicate_seconds。",
    ),
    Reason.CAPPED: (
        "该收件人收到的此类消息已达上限。",
        "等待上限的时间窗口过去，或提高模板或类别的上限。",
    ),
    Reason.RATE_LIMITED: (
        "账号的速率已被之前的消息用完。",
        "若在等待则无需处理；否则提高账号速率、增加账号，或延长消息的有效期。",
    ),
    Reason.RUN_PAUSED: ("所属活动的运行已暂停。", "恢复或取消该运行：消息随之继续或结束。"),
    Reason.ERASED: ("消息等待期间，收件人的数据已被删除，因此不再发送。", "无需处理；已无法得知收件人是谁。"),
    Reason.RUN_CANCELLED: ("所属活动的运行已取消或未能开始。", "无需处理；若属误操作，请重新运行该活动。"),
    Reason.CONTENT_REFUSED: ("服务商拒绝了内容，例如含有违禁词或链接。", "修改模板措辞后重新发送。"),
    Reason.CONTENT_TOO_LONG: ("渲染后的内容超过服务商允许的长度。", "缩短模板或变量。"),
    Reason.CONTENT_INVALID: ("服务商无法读取该内容。", "对照服务商的规则检查模板的字段和变量。"),
    Reason.CONTENT_BLOCKED: (
        "消息含有设置中禁止的词。",
        "修改模板或变量，或从设置的 `blocked_words` 中去掉该词。",
    ),
    Reason.TEMPLATE_REFUSED: (
        "服务商不认识或未审核通过该模板，或参数不符。",
        "在服务商控制台检查模板 ID、审核状态和参数。",
    ),
    Reason.SENDER_REFUSED: ("服务商不接受该发件人或签名。", "在服务商处验证发件地址、域名或签名。"),
    Reason.RENDERING_FAILED: ("无法用该收件人的变量填充模板。", "用这些变量预览模板，并改正其中一方。"),
    Reason.ATTACHMENT_GONE: ("消息携带的文件已不再保存。", "重新上传文件并重新发送；重投对它已太迟。"),
    Reason.CREDENTIALS_REFUSED: ("服务商拒绝了账号的凭据。", "为账号填写正确的密钥，然后验证账号。"),
    Reason.ADDRESS_NOT_TRUSTED: (
        "服务商不信任平台所使用的网络地址。",
        "在服务商控制台把平台的出口地址加入可信名单，或申请从答复所指的黑名单中移除。",
    ),
    Reason.ACCOUNT_SUSPENDED: ("服务商已停用或暂停该账号。", "向服务商询问；在此之前使用其他账号发送。"),
    Reason.BALANCE_EXHAUSTED: ("账号的余额或套餐已用完。", "在服务商控制台充值。"),
    Reason.ACCOUNT_MISCONFIGURED: ("账号的设置与服务商不符。", "验证账号，并更正其指出的设置。"),
    Reason.NO_ACCOUNT: ("模板没有可发送此消息的启用账号。", "为模板绑定一个启用的账号。"),
    Reason.AVOIDED: ("该账号刚才不可用，因此改用了另一个账号。", "无需处理：半分钟内会再次使用它。"),
    Reason.THROTTLED: ("服务商要求放慢速度。", _NOTHING),
    Reason.QUOTA_EXHAUSTED: ("账号当日或当月的额度已用完。", "等待下一个周期，或向服务商申请提高额度。"),
    Reason.WRONG_HOUR: ("服务商在此时段不接受这类消息。", "在服务商允许的时段发送。"),
    Reason.PROVIDER_BUSY: ("服务商繁忙。", _NOTHING),
    Reason.PROVIDER_ERROR: ("服务商内部出错。", "暂时无需处理；若持续，请查看服务商的状态页。"),
    Reason.CONNECTION_FAILED: ("无法连接到服务商。", "若持续，请检查账号的主机和端口；平台会自动重试。"),
    Reason.CONNECTION_LOST: ("消息发出后、收到答复前连接中断。", _BY_CLASS),
    Reason.TIMED_OUT: ("服务商没有及时答复。", _BY_CLASS),
    Reason.UNRECOGNISED_ANSWER: (
        "服务商的答复是平台不认识的。",
        "请报告原始代码；平台会重试，之后把消息留在死信中。",
    ),
    Reason.CARRIER_BLOCKED: (
        "途中的运营商拦截了该消息，常见原因是收件人所在省份或国家的规定。",
        "就该返回码询问服务商；若持续出现，请改用其他账号发送。",
    ),
    Reason.NO_ROUTE: (
        "服务商没有到达收件人所在网络的通道，例如号码已携号转网。",
        "就该返回码询问服务商；若持续出现，请改用其他账号发送。",
    ),
    Reason.NOT_DELIVERED: (
        "服务商报告消息未送达；其返回码没有说明更多，或平台不认识该返回码。",
        "若许多消息都是该返回码，请询问服务商。",
    ),
    Reason.NO_DELIVERY_IN_TIME: (
        "在模板规定的分钟数内，没有收到送达报告。",
        "无需处理；若许多消息在此之后才送达，请把模板的分钟数调大。",
    ),
    Reason.NO_ACKNOWLEDGEMENT_IN_TIME: (
        "在模板规定的分钟数内，没有人确认收到。",
        "无需处理；若许多消息在此之后才被确认，请把模板的分钟数调大。",
    ),
    Reason.NOT_TAKEN: ("已询问服务商消息的去向，其没有记录：从未收下。", _NOTHING),
    Reason.UNRESOLVED: ("已询问服务商消息的去向，其无法确定。", _BY_CLASS),
    Reason.INTERRUPTED: (
        "询问服务商时函数中断：消息可能已发出，也可能没有。",
        "暂时无需处理：后续处理取决于消息的类别。",
    ),
    Reason.GIVEN_UP: (
        "队列多次交出该消息，函数每次都失败。",
        "在发送函数的日志中查找原因，修复后重投。",
    ),
    Reason.TOO_LARGE: (
        "消息需要等待，但其大小超过了队列与定时计划所能容纳的。",
        "缩短变量后重新发送，或在无需等待时重投。",
    ),
    Reason.UNREADABLE: (
        "队列中的内容无法读作消息，或无法处理，已原样保留。",
        "查看派发函数与 dead_letters 的日志；排除原因后，重投会把它原样放回队列。",
    ),
    Reason.EXPIRED: ("消息在有效期结束时仍未发出。", "若仍有必要请重新发送，并给它更长的有效期。"),
    Reason.LOST_TRACK: (
        "有效期已过，且最后一次尝试没有记录：消息可能已发出，也可能没有。",
        "若重要，请询问收件人或服务商；平台不会再次发送。",
    ),
    Reason.TRIES_EXHAUSTED: ("该类消息的尝试次数已用完。", "查看最后一次尝试的原因，修复后重新发送。"),
    Reason.NOT_QUEUED: ("消息未能进入队列。", "用相同的 Idempotency-Key 重新发送请求。"),
    Reason.SCHEDULED: ("消息在等待预定的时间。", "无需处理。"),
}
"""Reason -> (what it means, what to do)."""


def meaning_zh(reason: str | None) -> str | None:
    """What a reason means; None for no reason, or one of another time."""
    return EXPLANATIONS_ZH[Reason(reason)][0] if reason and reason in Reason.__members__.values() else None
