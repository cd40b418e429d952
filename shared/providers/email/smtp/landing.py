"""Which SPF record lets a mail server send, by its host."""

from shared.policy.landing.findings import Sender

INCLUDES = {
    "exmail.qq.com": "spf.mail.qq.com",
    "qiye.163.com": "spf.163.com",
    "office365.com": "spf.protection.outlook.com",
    "gmail.com": "_spf.google.com",
    "sendgrid.net": "sendgrid.net",
    "mailgun.org": "mailgun.org",
}
"""By the end of the host's name, what the vendors' own pages tell to include."""


def sender(host: str) -> Sender:
    """Who sends for a domain whose mail goes out by a host; nothing is known of other hosts."""
    name = host.lower().rstrip(".")
    found = [include for end, include in INCLUDES.items() if name == end or name.endswith(f".{end}")]
    return Sender(include=found[0]) if found else Sender()
