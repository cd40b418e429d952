"""Shows by a trial whether Amazon SES leaves what it puts into a template as it is; only then are messages sent so.

The trial sends nothing: `TestRenderEmailTemplate` gives back the mail that SES would make of our template and a content
with all that is easily spoilt. What came of it is shared by all functions for an hour, with the access tokens: SES
takes one trial a second (SES API v2 reference, "TestRenderEmailTemplate").
"""

import logging
import secrets
import time
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from shared.model.clock import Clock
from shared.model.content import RenderedEmail
from shared.model.outcome import Retry, Sent, Unknown
from shared.providers.base import Token, TokenCache
from shared.providers.email.ses.bulk import Parts, data_of, values_of
from shared.providers.email.ses.codes import outcome_of_error, outcome_of_failure

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)

KEPT_MS: Final = 3_600_000
"""How long what came of a trial holds: a template may be changed by others, a right may be given."""
AGAIN_MS: Final = 60_000
"""How long there is no other trial after one that came to nothing."""
PATIENCE_S: Final = 5.0
"""A trial makes no further call after so long."""

_UNCHANGED = "unchanged"
_HARD = (
    "<>&\"'`{{}} {{{ }}} {{subject}} {{{text}}} {{#if html}} ${text} %s \\ \\n \\u4e2d &lt; &#39; "
    "中文，。 é 🎉 👩\u200d👩\u200d👧 ."
)
_PROBE = (
    f"  {_HARD}\n.\n..\r\n\ttab\t\r\n\r\n  two  blanks {_HARD * 12}\n"
    f"<p class=\"a\" style='b'>{_HARD}</p>\nFrom here =20\nend"
)


class NotNowError(Exception):
    """There is no trial now: one came to nothing a moment ago, by this code."""


class Proof:
    """Whether the account may use each of our templates; shared by threads.

    key: of the account and the place where its templates are.
    """

    def __init__(self, client: Callable[[], "SESV2Client"], tokens: TokenCache, clock: Clock, key: str) -> None:
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._key = key
        self._again_at: dict[Parts, int] = {}
        self._used: dict[Parts, str] = {}
        self._rejected: dict[Parts, str] = {}

    def holds(self, parts: Parts) -> bool:
        """Whether SES leaves such messages as they are, by a trial where it is not known. Never raises."""
        if self._clock.now_ms() < self._again_at.get(parts, 0):
            return False
        try:
            value = self._tokens.get(f"{self._key}:{parts}", lambda: self._prove(parts), self._rejected.get(parts))
        except NotNowError:
            return False
        self._used[parts] = value
        return value.startswith(_UNCHANGED)

    def held(self, parts: Parts) -> bool:
        """Whether it was so when last asked, and nothing has happened since. Asks nobody."""
        value = self._used.get(parts, "")
        free = self._clock.now_ms() >= self._again_at.get(parts, 0)
        return free and value.startswith(_UNCHANGED) and value != self._rejected.get(parts)

    def forget(self, parts: Parts) -> None:
        """Have the next one ask for a new trial, which makes the template anew: it is gone."""
        if parts in self._used:
            self._rejected[parts] = self._used[parts]

    def refuse(self) -> None:
        """Have nobody here use any template for as long as a trial holds."""
        self._again_at = dict.fromkeys(Parts, self._clock.now_ms() + KEPT_MS)

    def _prove(self, parts: Parts) -> Token:
        """Make a trial. Raises: NotNowError if nothing can be said."""
        now = self._clock.now_ms()
        if now < self._again_at.get(parts, 0):
            raise NotNowError
        problem, lasting = trial(self._client, parts)
        if problem:
            logger.warning("messages go by SES one each", extra={"raw_code": problem, "template": parts.template})
        if problem and not lasting:
            self._again_at[parts] = now + AGAIN_MS
            raise NotNowError(problem)
        # No two of them are alike, so that one can be rejected.
        return Token(f"{problem or _UNCHANGED} {secrets.token_hex(4)}", now + KEPT_MS)


def trial(client: Callable[[], "SESV2Client"], parts: Parts) -> tuple[str, bool]:
    """What went wrong with a template, by a code, and whether it lasts; an empty code if all is well. Never raises."""
    try:
        found = _rendered(client(), parts, time.monotonic() + PATIENCE_S)
    except ClientError as error:
        outcome = outcome_of_error(error)
        return _coded(outcome), not isinstance(outcome, Retry | Unknown)
    except Exception as error:  # botocore's parser stumbles in many ways over what it does not expect
        outcome = outcome_of_failure(error)
        return _coded(outcome), not isinstance(outcome, Retry | Unknown)
    if found is None:
        return "slow", False
    try:
        return _difference(found, parts), True
    except Exception as error:  # a mail that is none may raise anything
        return type(error).__name__, True


def probe(parts: Parts) -> RenderedEmail:
    """The content that is tried: what is markup to HTML, templates, headers and mails, and characters of all kinds."""
    html = None if parts is Parts.TEXT else _PROBE
    return RenderedEmail(_HARD, html, None if parts is Parts.HTML else _PROBE)


def _coded(outcome: Any) -> str:
    return "" if isinstance(outcome, Sent) else outcome.raw_code


def _rendered(client: "SESV2Client", parts: Parts, until: float) -> str | None:
    """The mail that SES makes of the probe; None if that takes too long. Raises: what asking SES raises."""
    data = data_of(values_of(probe(parts)))
    if data is None:
        raise TypeError("the probe must be such as is sent")
    for last in (False, True):
        try:
            return client.test_render_email_template(TemplateName=parts.template, TemplateData=data)["RenderedTemplate"]
        except ClientError as error:
            if last or _code(error) != "NotFoundException":
                raise
        if time.monotonic() > until:
            return None
        _make(client, parts)
    raise AssertionError("it returns or raises")


def _make(client: "SESV2Client", parts: Parts) -> None:
    """Make the template, unless another function has just done so. Raises: what asking SES raises."""
    content: Any = parts.content()
    try:
        client.create_email_template(TemplateName=parts.template, TemplateContent=content)
    except ClientError as error:
        if _code(error) != "AlreadyExistsException":
            raise


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _difference(rendered: str, parts: Parts) -> str:
    """Which part of the probe SES has changed; empty if none."""
    mail = message_from_bytes(rendered.encode())
    wanted = values_of(probe(parts))
    found = {"subject": _subject(mail)} | {
        name: _body(part)
        for part in mail.walk()
        if (name := {"text/plain": "text", "text/html": "html"}.get(part.get_content_type()))
    }
    changed = [name for name in wanted.keys() | found.keys() if _lines(wanted.get(name)) != _lines(found.get(name))]
    return f"{min(changed)}_changed" if changed else ""


def _subject(mail: Message) -> str:
    return str(make_header(decode_header("".join(str(mail["Subject"] or "").splitlines()))))


def _body(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return data.decode(part.get_content_charset("us-ascii"))


def _lines(text: str | None) -> str | None:
    """A part as a reader has it: a mail says nothing of how its lines end, nor whether the last one does."""
    return None if text is None else text.replace("\r\n", "\n").rstrip("\n")
