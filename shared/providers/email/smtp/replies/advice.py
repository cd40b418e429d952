"""What to do about some refusals, in English and in Chinese."""

Two = tuple[str, str]
"""The same sentence in English and in Chinese."""

SLOWER: Two = (
    "Nothing: the platform tries again by itself. If it lasts, give the account a lower rate.",
    "无需处理：平台会自动重试。若持续出现，请调低账号的速率。",
)
WAIT: Two = (
    "It passes by itself. If it lasts, lower the account's rate or add an account.",
    "到期自动解除。若持续出现，请调低账号速率或增加账号。",
)
TOMORROW: Two = (
    "It passes within a day; until then add an account, or have the vendor raise the limit.",
    "一天内自动解除；在此之前可增加账号，或请服务商提高上限。",
)
AUTHENTICATE: Two = (
    "Publish SPF, DKIM and DMARC records for the sender's domain that allow this server.",
    "为发件域名发布允许该服务器的 SPF、DKIM 和 DMARC 记录。",
)
UNLIST: Two = (
    "Ask the vendor to lift the block, or send from another account.",
    "请服务商解除封禁，或改用其他账号发送。",
)
AS_LOGIN: Two = ("Set `from_address` to the login's own address.", "把 `from_address` 设为登录账号的地址。")
LOG_IN: Two = ("Give the account a username and its secret.", "为账号填写用户名和密钥。")
ENCRYPT: Two = ("Choose starttls or tls.", "选择 starttls 或 tls。")
SET_PTR: Two = ("Set a PTR record for the address that leads back to it.", "为该 IP 设置可互相解析的 PTR 记录。")

NOT_AUTHENTIC: Two = ("The sender's domain is not authenticated.", "发件域名未通过身份验证（SPF/DKIM/DMARC）。")
NO_PTR: Two = ("The sending IP address has no matching PTR record.", "发信 IP 没有匹配的反向解析（PTR）记录。")
IP_BLOCKED: Two = ("The vendor takes no mail from this IP address.", "服务商不接受该 IP 的邮件。")
