"""What reports for machines say: of delivery (RFC 3464, RFC 6533), and complaints (RFC 5965)."""

import re
from collections.abc import Collection, Iterator, Sequence

from shared.model.ids import is_message_id
from shared.providers.email.mime import MESSAGE_ID_HEADER
from shared.providers.email.smtp.bounce_mail.kinds import Bounce, Bounces, Complaint, Unreadable
from shared.providers.email.smtp.bounce_mail.parsing import (
    Headers,
    Part,
    blocks_of,
    decoded,
    header,
    returned_headers,
    text_of,
)

ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z0-9-]{2,63}")
_DELIVERY = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK = "message/feedback-report"
ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
ARRIVED = frozenset({"delivered", "relayed", "expanded"})
MOST_RECIPIENTS = 50
MOST_DIAGNOSTIC = 400
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_SAID = re.compile(
    r"(?:\breply|\bsaid|replied|responded|response(?: from the remote server)?(?: was)?|远程响应|error|#)\s*[:：]?\s*#?"
    r"([245]\d\d(?:[ -]|$)[^\n]{0,300})",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?:^|[\s:：#(])((?:[45]\d\d:?[ -]#?[45]\.\d{1,3}\.\d{1,3}\b|[45]\d\d[ -](?=[A-Za-z]))[^\n]{0,300})"
)
_IDS = re.compile(r"<?([A-Za-z0-9]{10,64})@")
_ID_HEADERS = (
    *(MESSAGE_ID_HEADER, "Message-ID", "X-Original-Message-ID", "Original-Message-ID", "X-CM-Original-Message-ID"),
    *("X-OQ-MSGID", "In-Reply-To", "References"),
)
"""Those in which an id of ours may stand: it is the local part of our Message-ID, too. `X-Original-Message-ID` is what
Gmail writes, `X-CM-Original-Message-ID` what NetEase does; QQ Mail keeps a mail's own in `X-OQ-MSGID`."""
_NAMING = ("Message-ID", "X-Original-Message-ID", "X-CM-Original-Message-ID")


def has_report(parts: Sequence[Part]) -> bool:
    """Whether there is a report among the parts of a mail."""
    return any(part.get_content_type() in (*_DELIVERY, _FEEDBACK) for part in parts)


def report_of(parts: Sequence[Part], own: Collection[str]) -> Bounces | Complaint | Unreadable | None:
    """What a report says; None if it is about a mail of somebody else's.

    own: the account's addresses, in lower case.
    """
    kinds = {part.get_content_type(): part for part in reversed(parts)}
    if _FEEDBACK in kinds:
        return _complaint(kinds[_FEEDBACK], parts, own)
    return _delivery(next(kinds[kind] for kind in _DELIVERY if kind in kinds), parts, own)


def message_id_of(parts: Sequence[Part], fields: Sequence[Headers] = ()) -> str | None:
    """Our id of the message that a mail is about: from what is returned, from a report's fields, from its headers."""
    for headers in (*returned_headers(parts), *fields, *parts[:1]):
        for name in _ID_HEADERS:
            found = _id_in(header(headers, name))
            if found is not None:
                return found
    return None


def is_of_another(parts: Sequence[Part], fields: Sequence[Headers] = ()) -> bool:
    """Whether a mail without an id of ours names the mail that it is about: one that was not ours, of a person who uses
    the same mailbox."""
    returned = any(header(headers, "Message-ID") for headers in returned_headers(parts))
    return returned or any(header(headers, name) for headers in (*fields, *parts[:1]) for name in _NAMING[1:])


def clean(text: str) -> str:
    """What a server said, without addresses, on one line, cut."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * MOST_DIAGNOSTIC])
    return " ".join(ADDRESS.sub("<address>", text).split())[:MOST_DIAGNOSTIC]


def said_in(text: str) -> str | None:
    """What the recipient's server said, from the words for people; without addresses."""
    flat = re.sub(r"\n(?=[a-z(])", " ", text)
    found = _SAID.search(flat) or _CODE.search(flat)
    return clean(re.sub(r"^(\d{3}):", r"\1", found[1])) if found else None


def _id_in(value: str) -> str | None:
    if is_message_id(value.strip("<> ")):
        return value.strip("<> ")
    return next((found for found in _IDS.findall(value) if is_message_id(found)), None)


def _delivery(part: Part, parts: Sequence[Part], own: Collection[str]) -> Bounces | Unreadable | None:
    blocks = blocks_of(part)
    recipients = [each for each in blocks if header(each, "Action") or _addresses(each)][:MOST_RECIPIENTS]
    of_message = [each for each in blocks if each not in recipients]
    message_id = message_id_of(parts, of_message)
    if message_id is None and is_of_another(parts, of_message):
        return None
    if not recipients:
        return Unreadable("report", "no_recipient")
    said = [each for each in recipients if _action(each) in ACTIONS]
    if not said:
        return Unreadable("report", "unknown_action")
    if len(said) == 1:
        _explain(said[0], parts)
    if message_id is not None:
        return Bounces((_of_our_message(said, message_id, _returned_to(parts)),))
    bounces = [bounce for each in said for bounce in _by_address(each, own)]
    return Bounces(tuple(bounces)) if bounces else Unreadable("report", _why_nobody(said))


def _explain(block: Headers, parts: Sequence[Part]) -> None:
    """Take what the recipient's server said from the words for people, where the report keeps it to itself."""
    status = header(block, "Status")
    if not header(block, "Diagnostic-Code") and (not status or ".0.0" in status):
        told = said_in(text_of(parts))
        if told is not None:
            block["Diagnostic-Code"] = told


def _of_our_message(blocks: Sequence[Headers], message_id: str, to: str | None) -> Bounce:
    """What a report says of a message of ours, which has one recipient.

    A server at the recipient's may have made several of one; the block for the recipient counts. If none is, the
    message has arrived wherever it arrived once, and what failed behind that says nothing against the address.
    """
    about = [each for each in blocks if to in _addresses(each)]
    made = [_bounce(each, message_id, to or next(iter(_addresses(each)), None)) for each in about or blocks]
    return next((each for each in made if each.action in ARRIVED), made[0])


def _by_address(block: Headers, own: Collection[str]) -> Iterator[Bounce]:
    """What a block says of its recipient, as we wrote the address: a server may have led it on to another."""
    # Some name whoever sent the mail.
    wanted = next((each for each in _addresses(block) if each not in own), None)
    if wanted is not None:
        yield _bounce(block, None, wanted)


def _action(block: Headers) -> str:
    """What became of it; some write a comment behind."""
    return header(block, "Action").partition("(")[0].strip().lower()


def _bounce(block: Headers, message_id: str | None, address: str | None) -> Bounce:
    said = header(block, "Diagnostic-Code")
    found = _STATUS.search(header(block, "Status"))
    return Bounce(
        action=_action(block),
        message_id=message_id,
        address=address,
        status=found[1] if found else None,
        diagnostic=clean(said) or None,
    )


def _addresses(block: Headers) -> list[str]:
    """The original recipient, then the final one, in lower case."""
    return [
        found.lower()
        for name in ("Original-Recipient", "Final-Recipient")
        if (found := first_address(header(block, name).rpartition(";")[2]))
    ]


def _why_nobody(blocks: Sequence[Headers]) -> str:
    return "names_the_sender_alone" if any(map(_addresses, blocks)) else "no_recipient"


def _returned_to(parts: Sequence[Part]) -> str | None:
    for headers in returned_headers(parts):
        found = first_address(header(headers, "To"))
        if found is not None:
            return found.lower()
    return None


def first_address(text: str) -> str | None:
    """The first address that stands in a text."""
    found = ADDRESS.search(text)
    return found[0] if found else None


def _complaint(part: Part, parts: Sequence[Part], own: Collection[str]) -> Complaint | Unreadable | None:
    blocks = blocks_of(part)
    fields = blocks[0] if blocks else part
    message_id = message_id_of(parts, blocks)
    if message_id is None and is_of_another(parts, blocks):
        return None
    # Who complains is mostly taken out of it (RFC 5965 section 3.2, and what mailbox services do).
    addresses = {
        found.lower()
        for value in fields.get_all("Original-Rcpt-To") or ()
        if (found := first_address(decoded(str(value)))) and found.lower() not in own
    }
    if message_id is None and len(addresses) != 1:
        return Unreadable("complaint", "several_recipients" if addresses else "no_recipient")
    named = next(iter(addresses)) if len(addresses) == 1 else None
    return Complaint(
        kind=clean(header(fields, "Feedback-Type")).lower()[:40] or "abuse",
        message_id=message_id,
        address=named or _returned_to(parts),
    )
