"""What public mailbox services always refuse, so that an account is told of it when it is saved."""

_QQ = ("qq.com", "foxmail.com", "vip.qq.com")
_NETEASE = ("163.com", "126.com", "yeah.net")
SERVICES: dict[str, tuple[str, ...]] = {
    "smtp.qq.com": _QQ,
    "smtp.163.com": _NETEASE,
    "smtp.126.com": _NETEASE,
    "smtp.yeah.net": _NETEASE,
}
"""Host -> the domains of its own mailboxes. It takes a sender of another domain only if that is the login itself (reply
`501 Mail from address must be same as authorization user`; NetEase: `553 Mail from must equal authorized user`)."""


def login_problem(host: str, username: str | None) -> str | None:
    """What is wrong with a login; None if nothing is."""
    if host.lower() in SERVICES and username is None:
        return f"{host} takes mail from its own users only; give the mailbox's address"
    return None


def sender_problem(host: str, username: str | None, sender: str) -> str | None:
    """What is wrong with a sender; None if nothing is."""
    own = SERVICES.get(host.lower())
    if own is None or sender.lower() == (username or "").lower() or sender.rpartition("@")[2].lower() in own:
        return None
    wanted = username if username is not None and "@" in username else "the login's own address"
    return f"{host} sends only as who logs in; give {wanted}"
