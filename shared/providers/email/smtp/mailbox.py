"""Reads the bounce mailbox of an SMTP account: what is new since the last look, oldest first, within bounds.

Of each mail the headers are asked for; the content only of those that may be about messages of ours. What cannot be
fetched is left out after some tries, so that one mail does not hold up those behind it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from shared.model.accounts import Account
from shared.model.inboxes import Place, UnreadMail
from shared.model.receipts import Arrived
from shared.net.network import Network
from shared.providers.email.smtp import receipts
from shared.providers.email.smtp.bounce_mail import NAMES, Look, first_look, read_mail
from shared.providers.email.smtp.bounce_mail.kinds import REASONS, AutoReply, Bounces, Complaint, Said, Unreadable
from shared.providers.email.smtp.bounce_mail.parsing import MOST_BYTES
from shared.providers.email.smtp.imap import Envelope, Imap, LargeAnswerError, MailboxError
from shared.providers.email.smtp.mailbox_settings import own_addresses
from shared.providers.email.smtp.mailbox_visit import Session, login_of, visit
from shared.providers.mailboxes import Found

MOST_MAILS: Final = 200
"""Of one look."""
BACK_DAYS: Final = 7
"""How far back a mailbox is read at first, and when its numbers have changed."""
STUCK_TIMES: Final = 3
"""How often a look may break off at the same mail until that is left out."""
RESERVE_S: Final = 3.0
"""Kept back for leaving."""


def where(settings: Mapping[str, Any]) -> str | None:
    """Stands for the mailbox that an account's settings name; None if they name none."""
    named = settings.get("bounce_mailbox")
    if not named:
        return None
    facts = (named.get("host"), named.get("port"), login_of(settings, named.get("username")), named.get("folder"))
    return sha256("\0".join(map(str, facts)).encode()).hexdigest()[:32]


def look(
    account: Account, secret: Mapping[str, Any], place: Place, network: Network, now: int, seconds: float
) -> Found:
    """Read what is new in an account's mailbox, see `shared.providers.mailboxes.MailboxModule`."""
    look = _Look(account, place, now)
    until = monotonic() + seconds - RESERVE_S
    look.found.problem = visit(account.settings, secret, network, seconds, lambda opened: look.read(opened, until))
    return look.found


class _Look:
    """One look, which may break off anywhere: `found` always holds what is done."""

    def __init__(self, account: Account, place: Place, now: int) -> None:
        self.found = Found(place=place)
        self._account = account
        self._now = now
        self._own: frozenset[str] = frozenset()

    def read(self, opened: Session, until: float) -> None:
        """Read the new mails until a time on the monotonic clock. Raises: MailboxError, LargeAnswerError."""
        self._own = own_addresses(self._account.settings, opened.login)
        session, validity, place = opened.imap, opened.validity, self.found.place
        if place.number is not None and place.validity != validity:
            self.found.counts["began_anew"] += 1
        after = place.number if place.validity == validity else None
        since = datetime.fromtimestamp(self._now / 1000, UTC) - timedelta(days=BACK_DAYS)
        uids = session.new_uids(after, since)
        stuck = (place.stuck, place.stuck_times) if after is not None else (None, 0)
        self.found.place = Place(validity=validity, number=after or 0, stuck=stuck[0], stuck_times=stuck[1])
        for envelope in session.envelopes(uids[:MOST_MAILS], NAMES) if uids else ():
            if monotonic() > until:
                return
            self._take(session, envelope)
        if uids:
            # Those that are gone by now are done, too.
            self._done(uids[:MOST_MAILS][-1])

    def _take(self, session: Imap, envelope: Envelope) -> None:
        """Read one mail. Raises: MailboxError; LargeAnswerError, after the mail was given up."""
        at = min(envelope.at or self._now, self._now)
        match first_look(envelope.headers):
            case Look.ANSWER:
                self._note(AutoReply(), at)
            case Look.OTHER:
                self._note(None, at)
            case Look.READ:
                self._note(self._content(session, envelope, at), at)
        self._done(envelope.uid)

    def _content(self, session: Imap, envelope: Envelope, at: int) -> Said:
        place = self.found.place
        if place.stuck == envelope.uid and place.stuck_times >= STUCK_TIMES:
            return Unreadable("mail", "cannot_be_fetched")
        try:
            data = session.content(envelope.uid, envelope.size, MOST_BYTES)
        except LargeAnswerError:
            # Nothing more can be understood of this session; the next one goes on behind the mail.
            self._note(Unreadable("mail", "too_large"), at)
            self._done(envelope.uid)
            raise
        except MailboxError:
            times = place.stuck_times + 1 if place.stuck == envelope.uid else 1
            self.found.place = place.model_copy(update={"stuck": envelope.uid, "stuck_times": times})
            raise
        return Unreadable("mail", "not_handed_over") if data is None else read_mail(data, self._own)

    def _done(self, uid: int) -> None:
        self.found.place = Place(validity=self.found.place.validity, number=uid)

    def _note(self, said: Said, at: int) -> None:
        match said:
            case Bounces(bounces):
                self.found.counts["bounces"] += 1
                for each in bounces:
                    self._queue(each, at)
            case Complaint():
                self.found.counts["complaints"] += 1
                self._queue(said, at)
            case AutoReply():
                self.found.counts["auto_replies"] += 1
            case Unreadable(kind, reason):
                self.found.counts["unreadable"] += 1
                self.found.unread.append(UnreadMail(at=at, kind=kind, reason=REASONS[reason]))
            case None:
                self.found.counts["others"] += 1

    def _queue(self, what: Any, at: int) -> None:
        if receipts.says_something(what):
            account = self._account
            arrived = Arrived(
                provider="smtp", tenant=account.tenant, account=account.id, at=at, body=receipts.as_body(what)
            )
            self.found.receipts.append(arrived)
