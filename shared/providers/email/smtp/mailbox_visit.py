"""Opens the bounce mailbox of an SMTP account: logs in, opens the folder, and says in words what goes wrong."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError

from shared.model.inboxes import InboxProblem
from shared.net.network import Network
from shared.net.problems import WORDS
from shared.net.tls import client_context
from shared.providers.email.smtp.imap import Imap, LargeAnswerError, MailboxError
from shared.providers.email.smtp.mailbox_settings import BounceMailbox

PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "login_refused": (
        "The server refused the login.",
        "Check username and password, and that IMAP is switched on in the mailbox's web settings; QQ Mail and NetEase "
        "want an authorization code. A service that was asked too often refuses good logins for some hours, too.",
    ),
    "login_unsafe": (
        "The server took the login, and does not let this program in ('Unsafe Login').",
        "Allow clients by IMAP in the mailbox's web settings, and make a new authorization code.",
    ),
    "login_not_writable": (
        "The username or password holds what IMAP cannot take.",
        "Use a password of letters, digits and signs of ASCII.",
    ),
    "password_missing": ("The account has no password for the mailbox.", "Give `mailbox_password`."),
    "settings_unfit": ("The account's settings do not fit any more.", "Save the account's settings again."),
    "folder_refused": ("The server does not open the folder.", "Check the folder's name: `INBOX` is always there."),
    "search_refused": ("The server does not say which mails there are.", "Try another mailbox: it must do IMAP4rev1."),
    "fetch_refused": ("The server does not hand over mails.", "Try another mailbox: it must do IMAP4rev1."),
    "answers_too_large": ("The server sends more than was asked for.", "Choose a mailbox of its own for bounces."),
    "timed_out": ("The server did not answer in time.", "Check host and port; it is tried again."),
    "tls_failed": ("The server did not begin encryption as expected.", "Use the port of IMAP over TLS, usually 993."),
    "host_not_found": ("The host was not found.", "Check the spelling of the host."),
    "connection_refused": ("Nothing listens there.", "Check host and port."),
    "connection_lost": ("The server closed the connection.", "It is tried again, ever more rarely while it lasts."),
}
"""What may go wrong, by code: what happened, and what to do. Those of addresses and certificates: `net.problems`."""


class Session(Struct, frozen=True):
    """A session in which the folder is open."""

    imap: Imap
    login: str
    validity: int | None
    """Of the mails' numbers."""


def try_out(
    settings: Mapping[str, Any], secret: Mapping[str, Any], network: Network, seconds: float
) -> InboxProblem | None:
    """Log in and open the folder; returns what is wrong. Never raises for what a server may do."""
    return visit(settings, secret, network, seconds, lambda session: None)


def visit(
    settings: Mapping[str, Any],
    secret: Mapping[str, Any],
    network: Network,
    seconds: float,
    work: Callable[[Session], None],
) -> InboxProblem | None:
    """Do some work in the folder of a mailbox; returns what went wrong."""
    try:
        named = BounceMailbox.model_validate(settings["bounce_mailbox"])
        password = secret.get("mailbox_password") or secret.get("password")
        if not password:
            raise MailboxError("password_missing")
        login = login_of(settings, named.username)
        with Imap(network, named.host, named.port, client_context(named.ca_pem), monotonic() + seconds) as imap:
            work(Session(imap, login, imap.enter(login, str(password), named.folder)))
    except MailboxError as error:
        return problem_of(error.code)
    except LargeAnswerError:
        return problem_of("answers_too_large")
    except (ValidationError, KeyError):
        return problem_of("settings_unfit")
    return None


def problem_of(code: str) -> InboxProblem:
    """A problem in words."""
    summary, action = PROBLEMS.get(code) or WORDS[code]
    return InboxProblem(code=code, summary=summary, action=action.replace("ca_pem", "bounce_mailbox.ca_pem"))


def login_of(settings: Mapping[str, Any], username: str | None) -> str:
    """Who logs in. username: that the settings of the mailbox name."""
    return username or settings.get("username") or str(settings.get("from_address", ""))
