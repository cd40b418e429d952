"""What a recipient wants, and what follows from it on the suppression list. Pure."""

from collections.abc import Collection, Mapping, Sequence
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from msgspec import Struct

from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.policy.suppression import wants_no_tracking

MAX_FORM_BYTES = 20_000
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""The field by which a mail program unsubscribes without asking (RFC 8058)."""
_UNWANTED = SuppressionReason.UNSUBSCRIBE
_MARKETING, _TRACKING = SuppressionScope.MARKETING, SuppressionScope.TRACKING
BY = "recipient"
"""Who has put an entry on the list, where others have the id of a key."""


class Wish(Struct, frozen=True):
    """What a recipient wants to get."""

    nothing: bool
    """No advertising at all."""
    unwanted: frozenset[str] = frozenset()
    """Topics."""
    untracked: bool = False
    """Nobody is to be told of openings and clicks."""


class BadFormError(ValueError):
    """What was posted is no form of ours."""


def read_form(body: bytes, content_type: str) -> dict[str, list[str]]:
    """The fields of a form, as browsers and mail programs post them. Raises: BadFormError."""
    if len(body) > MAX_FORM_BYTES:
        raise BadFormError("too large")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pairs = _parts(body, content_type)
    elif kind in ("application/x-www-form-urlencoded", ""):
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            raise BadFormError("no form") from None
    else:
        raise BadFormError("no form")
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    whole: Message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not whole.is_multipart():
        raise BadFormError("no form")
    found = []
    for part in whole.walk():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            found.append((name, value.decode(errors="replace").strip("\r\n")))
    return found


def wish_of(form: Mapping[str, Sequence[str]], topics: Collection[str], about: str | None) -> Wish | None:
    """What a form says; None if it says nothing. topics: all that there are. about: that of the message, if any."""
    name, value = ONE_CLICK
    if value in form.get(name, ()):
        return Wish(nothing=False, unwanted=frozenset({about})) if about in topics and about else Wish(nothing=True)
    match form.get("do"):
        case ["none"]:
            return Wish(nothing=True)
        case ["save"]:
            wanted = form.get("topic", ())
            unwanted = frozenset(topics) - frozenset(wanted)
            return Wish(nothing="nothing" in form, unwanted=unwanted, untracked="untracked" in form)
        case _:
            return None


def wish_on(found: Suppressed, topics: Collection[str]) -> Wish:
    """What is on the list of a recipient, as a wish."""
    untracked = wants_no_tracking(found.entries)
    entries = [entry for entry in found.entries if entry.reason is _UNWANTED and entry.scope is not _TRACKING]
    stopped = frozenset(entry.topic for entry in entries if entry.topic is not None)
    nothing = any(entry.topic is None for entry in entries)
    return Wish(nothing=nothing, unwanted=stopped & frozenset(topics), untracked=untracked)


def with_wish(
    found: Suppressed, wish: Wish, topics: Collection[str], *, at: int, message: str, add: bool
) -> Suppressed:
    """A recipient's entries as the recipient wants them. add: whether what is there stays in any case.

    Entries for other reasons stay, and so do those of topics that there are no more.
    """
    kept = found
    if not add:
        kept = kept.model_copy(update={"entries": [entry for entry in kept.entries if not _goes(entry, wish, topics)]})
    names = ([None] if wish.nothing else []) + sorted(wish.unwanted)
    entries = [_entry(_MARKETING, topic, at, message) for topic in names]
    if wish.untracked:
        entries.append(_entry(_TRACKING, None, at, message))
    return kept.plus(entries)


def _goes(entry: SuppressionEntry, wish: Wish, topics: Collection[str]) -> bool:
    if entry.reason is not _UNWANTED:
        return False
    if entry.scope is _TRACKING:
        return not wish.untracked
    if entry.topic is None:
        return not wish.nothing
    return entry.topic in topics and entry.topic not in wish.unwanted


def _entry(scope: SuppressionScope, topic: str | None, at: int, message: str) -> SuppressionEntry:
    return SuppressionEntry(scope=scope, reason=_UNWANTED, topic=topic, at=at, by=BY, message=message)
