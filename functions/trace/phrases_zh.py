"""The sentences by which events and statuses are told, in Chinese."""

from functions.trace.phrases import Phrases
from shared.model.given_up import explain_given_up_zh
from shared.model.reasons import Reason
from shared.model.reasons_zh import EXPLANATIONS_ZH
from shared.model.words import Stage

_NOTHING = "无需处理。"

ZH = Phrases(
    between="",
    stages={
        Stage.REJECTED: ("未接受该收件人。", "更正收件人后重新发送。"),
        Stage.ACCEPTED: ("已接受并排队。", "无需处理：正在途中。"),
        Stage.DEFERRED: ("等待发送时间。", "无需处理：到时自动发送。"),
        Stage.RETRYING: ("一次尝试失败，将再次尝试。", "无需处理：平台会自动重试。"),
        Stage.SENT: ("服务商已收下消息。", "无需处理；之后可能有送达回执。"),
        Stage.FAILED: ("消息无法发送。", "查看原因。"),
        Stage.SUPPRESSED: ("收件人在拒发名单上。", "若有误，请将其移出名单。"),
        Stage.DUPLICATE: ("未重复发送。", _NOTHING),
        Stage.CAPPED: ("未发送：每个收件人有数量上限。", "无需处理，或提高上限。"),
        Stage.EXPIRED: ("在有效期内未能发出。", "若仍有必要，请重新发送。"),
        Stage.RECALLED: ("在发送前已撤回。", _NOTHING),
        Stage.UNKNOWN: ("不清楚服务商是否收下了消息。", "再次发送之前，请询问收件人或服务商。"),
        Stage.DEAD_LETTERED: ("全部尝试均失败，消息保留在死信中。", "排除原因所指的问题后重投。"),
        Stage.REDRIVEN: ("已从死信中取出，将再次发送。", "无需处理：正在途中。"),
        Stage.DISCARDED: ("已从死信中丢弃，不会发送。", "无需处理；若有误，请重新发送。"),
        Stage.DELAYED: ("已发送；服务商仍在尝试送达。", "无需处理：服务商会自动重试。"),
        Stage.DELIVERED: ("服务商报告已送达。", _NOTHING),
        Stage.UNDELIVERED: ("已发送，但服务商报告未送达。", "查看原因。"),
        Stage.OPENED: ("收件人已打开。", _NOTHING),
        Stage.CLICKED: ("收件人点击了链接。", _NOTHING),
        Stage.COMPLAINED: ("收件人将其投诉为垃圾消息。", "不要再发送给该收件人。"),
        Stage.UNSUBSCRIBED: ("收件人已退订。", "不要再向该收件人发送营销消息。"),
        Stage.WITHDRAWN: (
            "已发送，后应我们的要求由服务商撤回；收件人可能在此之前已读。",
            "无需处理；若属误操作，请重新发送。",
        ),
    },
    reasons=EXPLANATIONS_ZH,
    given_up=explain_given_up_zh,
    asked=("不清楚服务商是否收下了消息；先向其询问，再做其他处理。", "无需处理：平台会自动询问。"),
    maybe_twice=(
        "不清楚服务商是否收下了消息；此类消息仍会再次发送。",
        "无需处理：平台会自动重试；收件人可能收到两次。",
    ),
    no_receipts="无需处理：该服务商不告知消息是否到达。",
    no_receipt=(
        "服务商已收下消息。{hours} 小时内没有关于它的报告，这并不说明它是否到达。",
        "无需处理；若该账号的消息都没有回执，请参阅 docs/receipts.md 了解需要开启什么。",
    ),
    held=("所属活动的运行已暂停，消息被保留；它随该运行继续或结束。", "若是有意为之则无需处理；否则恢复该运行。"),
    by_other="无需处理：随后会通过 {channel} 发送消息。",
    maybe_sent="其中一次尝试仍可能已发出。",
    notes={
        Stage.DISCARDED: "丢弃的原因：{note}。",
        Stage.DELIVERED: "已知的程度：{note}。",
        Stage.CLICKED: "点击的内容：{note}。",
        Reason.RUN_PAUSED: "暂停者：{note}。",
        Reason.RUN_CANCELLED: "结束者：{note}。",
        "": "撤回所用的密钥：{note}。",
    },
    places={
        Reason.RATE_LIMITED: "它在账号 {account} 的速率中等待，直到 {when}。",
        Reason.RECIPIENT_LIMIT: "它等待账号 {account}，该账号在 {when} 可再次发送给此收件人。",
    },
    stands_in="它代替未能发送的消息 {id}。",
    avoided="账号 {account} 刚才不可用，因此没有使用。",
    passed_over="账号 {account} 无法发送（{reason}），因此改用另一个账号。",
    passed_over_said="账号 {account} 无法发送（{reason}；服务商的答复：{code}），因此改用另一个账号。",
    through="通过账号 {account}（{provider}）{took}。",
    answered="，{ms} 毫秒后答复",
    delivered_after="，发出 {s:.1f} 秒后",
    share="在多个账号中选用了它，它承担 {now}% 的消息。",
    health="按权重应为 {configured}%；账号近期的表现使其有所调整。",
    said="服务商的答复：{code}。",
    found="发现的问题：{code}。",
    due="预定于 {when}。",
    due_again="将于 {when} 再次处理。",
    wait_asked="即 {wait} 之后：服务商要求等待 {asked} 秒。",
    wait_random="即 {wait} 之后：随机等待，其上限随每次尝试加倍。",
    falls_back="改为通过 {channel} 发送消息 {id}（模板 {template}）。",
    other_account="之后若模板还有其他账号，则改用其他账号发送。",
    try_of="第 {n} 次尝试，共 {all} 次。",
    duplicate_of="消息 {id} 的内容相同。",
    listed="自 {when} 起在名单上。",
    listed_for="因消息 {id} 的报告，自 {when} 起在名单上。",
    cap_minutes="上限为 {minutes} 分钟内 {count} 条。",
    cap_day="上限为每个自然日 {count} 条。",
    clear="{when} 之后可再发送。",
    arrived="平台于 {when} 得知。",
)
