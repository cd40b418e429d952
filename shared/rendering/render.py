"""Turns a template's content and variables into what a provider sends: checked once, compiled once, filled in often."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

from jinja2 import Template, UndefinedError
from jinja2 import TemplateError as JinjaError
from markupsafe import escape
from msgspec import Struct

from shared.errors import InvalidError
from shared.model.attachments import Attachment, encode
from shared.model.content import (
    APPROVED,
    Content,
    EmailContent,
    Rendered,
    RenderedEmail,
    RenderedSms,
    RenderedWecom,
    SmsContent,
    WecomFile,
    WecomImage,
)
from shared.policy.attachments import type_of
from shared.policy.links import LinkError, is_link_field
from shared.policy.unsubscribing import STAND_IN, VARIABLE
from shared.rendering.engine import METER, shown
from shared.rendering.meter import FEW, MOST_ESCAPED, Meter, OverrunError, ShapeError, escaped_size, size_of
from shared.rendering.places import PLACES
from shared.rendering.refusals import RuleError
from shared.rendering.rules import Allowance, Blank, Checked, Dialect, check, has_placeholders
from shared.rendering.words import Operation

Variables = Mapping[str, Any]
_FILENAME = re.compile(r"[^/\\\r\n\"]{1,100}\Z")


class _FieldError(InvalidError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class TemplateError(_FieldError):
    """Content that cannot be a template. The field is such as `content.html`; the message says what to do instead."""


class RenderingError(_FieldError):
    """Variables that do not fill the content in. The field is `variables.<name>` for a variable that is missing, else
    such as `content.html`; the message holds no value."""


class Analysis(Struct, frozen=True):
    """A content's variables, by first use."""

    required: list[str]
    optional: list[str]
    """Used only where they may be missing: before `default`, in `is defined` and where that vouches for them."""
    loops: bool
    """Whether it has loops."""
    unsubscribes: bool = False
    """Whether it shows the link to unsubscribe, which no caller gives."""


def analyse(content: Content) -> Analysis:
    """Check all parts of a content and find its variables. Raises: TemplateError."""
    return _summed(_check_parts(content))


def compile_content(content: Content) -> "Compiled":
    """Make a content ready to be filled in. Takes milliseconds: keep the result. Raises: TemplateError."""
    checked = _check_parts(content)
    return Compiled(content, _summed(checked), {path: _part(_field(path), part) for path, part in checked.items()})


class Compiled:
    """A content ready to be filled in, by any number of threads at once.

    plain: whether it is an email or a text that only shows its variables, wherever they stand.
    """

    __slots__ = ("_constant", "_make", "analysis", "plain")

    def __init__(self, content: Content, analysis: Analysis, parts: "_Parts") -> None:
        self.analysis = analysis
        self._make = _maker(content, parts)
        email_or_text = isinstance(content, EmailContent) or (isinstance(content, SmsContent) and not content.approved)
        self.plain = email_or_text and all(isinstance(part, _Blanks) and part.plain for part in parts.values())
        self._constant: Rendered | None = None if parts else self._make({})

    def render(self, shared: Variables, own: Variables) -> Rendered:
        """Fill the content in with a recipient's own variables over the shared ones; a null counts as missing. Where it
        shows the link to unsubscribe, it shows a stand-in for it.

        Content without placeholders gives the same object each time: do not change what this returns.
        Raises: RenderingError.
        """
        if self._constant is not None:
            return self._constant
        variables = {**shared, **own, VARIABLE: STAND_IN}
        for name in self.analysis.required:
            if variables.get(name) is None:
                raise RenderingError(f"variables.{name}", "is missing; the template needs it")
        # One for all parts of the content.
        variables[METER] = Meter()
        return self._make(variables)


def _part(field: str, checked: Checked) -> Callable[[dict[str, Any]], str]:
    pieces = checked.pieces()
    return _Program(field, checked) if pieces is None else _Blanks(field, checked, pieces)


class _Blanks:
    """A string that only shows variables, each by its name or with a text by default: filled in without Jinja, several
    times as fast, at the same price."""

    __slots__ = ("_blanks", "_chunks", "_field", "_work", "plain")

    def __init__(self, field: str, checked: Checked, pieces: list[str | Blank]) -> None:
        self._field = field
        self._work = checked.work
        write: Callable[[Any], str] = escape if checked.html else str
        self._chunks = [piece if isinstance(piece, str) else "" for piece in pieces]
        self._blanks = [
            (i, piece.name, piece.default, piece.line, PLACES.get(piece.place), write)
            for i, piece in enumerate(pieces)
            if not isinstance(piece, str)
        ]
        self.plain = all(isinstance(piece, str) or not piece.place for piece in pieces)

    def __call__(self, variables: dict[str, Any]) -> str:
        chunks, line, work = self._chunks.copy(), 1, self._work
        meter: Meter = variables[METER]
        try:
            for i, name, default, line, place, write in self._blanks:  # noqa: B007 - the line is told after an error
                value = variables.get(name)
                if value is None:
                    value = default
                # All of the short ones together are few: they are paid for at the end.
                if place is None and type(value) is str and len(value) <= FEW:
                    work += MOST_ESCAPED * len(value)
                    # Among letters and digits there is nothing to escape.
                    chunks[i] = value if value.isalnum() else write(value)
                elif place is None and type(value) is int:
                    work += size_of(value)
                    chunks[i] = str(value)
                else:
                    chunks[i] = write(_placed(value, place, meter))
            filled = "".join(chunks)
            meter.spend(work + len(filled))
        except (OverrunError, ShapeError, LinkError, ValueError) as error:
            raise RenderingError(self._field, f"line {line}: {_explain(error)}") from None
        return filled


def _placed(value: Any, place: Operation | None, meter: Meter) -> Any:
    """A value as its place wants it, once it is paid for."""
    shown(value)
    if place is not None:
        meter.spend(place.cost.of(value))
        value = place.call(value)
    meter.spend(escaped_size(value))
    return value


class _Program:
    """A string that Jinja compiles."""

    __slots__ = ("_field", "_root", "_template", "_work")

    def __init__(self, field: str, checked: Checked) -> None:
        self._field = field
        self._work = checked.work
        try:
            self._template: Template = checked.build()
        except (JinjaError, SyntaxError, RecursionError, MemoryError, ValueError) as error:
            raise TemplateError(field, f"cannot be compiled ({type(error).__name__}); make it simpler") from None
        self._root = self._template.root_render_func

    def __call__(self, variables: dict[str, Any]) -> str:
        # As Template.render does, without its copies of the variables.
        chunks: list[str] = []
        meter: Meter = variables[METER]
        try:
            meter.spend(self._work)
            for chunk in self._root(self._template.new_context(variables, shared=True)):
                meter.spend(len(chunk))
                chunks.append(chunk)
        except Exception as error:  # of any type: what a template does with a value is up to its author
            raise RenderingError(self._field, self._where(error) + _explain(error)) from None
        return "".join(chunks)

    def _where(self, error: Exception) -> str:
        line, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("environment") is self._template.environment:
                line = self._template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return "" if line is None else f"line {line}: "


def _explain(error: Exception) -> str:
    """Say what went wrong without the messages of Python, which quote values."""
    if isinstance(error, OverrunError | ShapeError | LinkError):
        return str(error)
    if isinstance(error, UndefinedError):
        return f"something is missing: {error.message}"
    if isinstance(error, ZeroDivisionError):
        return "divides by zero"
    return f"a value does not fit its use ({type(error).__name__})"


_Path = tuple[str | int, ...]
_Fill = Callable[[dict[str, Any]], Any]
_Parts = dict[_Path, Callable[[dict[str, Any]], str]]


def _field(path: _Path) -> str:
    return ".".join(("content", *map(str, path)))


def _check_parts(content: Content) -> dict[_Path, Checked]:
    """Where -> checked template, for each string with placeholders."""
    allowance = Allowance()
    parts = {}
    for path, source in _leaves((), _fields(content)):
        if has_placeholders(source):
            try:
                parts[path] = check(source, _dialect(content, path), allowance)
            except RuleError as error:
                raise TemplateError(_field(path), str(error)) from None
    return parts


def _dialect(content: Content, path: _Path) -> Dialect:
    """What a string is read as. Links of WeCom messages are whole fields, which are checked when filled in."""
    if isinstance(content, EmailContent | SmsContent):
        return Dialect.HTML if path == ("html",) else Dialect.TEXT
    if content.type == "markdown":
        return Dialect.MARKDOWN
    return Dialect.TEXT if is_link_field(path[-1]) else Dialect.WECOM


def _summed(parts: dict[_Path, Checked]) -> Analysis:
    required = dict.fromkeys(name for part in parts.values() for name in part.required if name != VARIABLE)
    others = {*required, VARIABLE}
    optional = dict.fromkeys(name for part in parts.values() for name in part.optional if name not in others)
    shows = any(VARIABLE in (*part.required, *part.optional) for part in parts.values())
    return Analysis(list(required), list(optional), any(part.loops for part in parts.values()), shows)


def _fields(content: Content) -> dict[str, Any]:
    """The fields of a content that reach the recipient, without its bytes."""
    if isinstance(content, EmailContent):
        return {"subject": content.subject, "html": content.html, "text": content.text}
    if isinstance(content, SmsContent):
        params = None if content.approved is None else content.approved.params
        return {"text": content.text, APPROVED: {"params": params}}
    return content.model_dump(exclude={"type", "data"}, exclude_none=True)


def _leaves(path: _Path, value: Any) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves((*path, key), entry)


def _maker(content: Content, parts: _Parts) -> Callable[[dict[str, Any]], Rendered]:
    fields = _fields(content)
    if isinstance(content, EmailContent):
        subject, html, text = (_filler(parts, (name,), fields[name]) for name in ("subject", "html", "text"))
        return partial(_email, subject, html, text, _files(content))
    if isinstance(content, SmsContent):
        template_id = None if content.approved is None else content.approved.template_id
        text, approved = (_filler(parts, (name,), fields[name]) for name in ("text", APPROVED))
        return partial(_sms, template_id, text, approved)
    data = content.data if isinstance(content, WecomImage | WecomFile) else None
    return partial(_wecom, content.type, data, _digest(data), _mentions(fields), _filler(parts, (), fields))


def _filler(parts: _Parts, path: _Path, value: Any) -> _Fill:
    return _filled(parts, path, value) or (lambda _variables: value)


def _filled(parts: _Parts, path: _Path, value: Any) -> _Fill | None:
    """What fills a value in at every depth; None for what has no placeholders, which is handed on as it is."""
    if not isinstance(value, dict | list):
        return parts.get(path)
    entries = list(value.items() if isinstance(value, dict) else enumerate(value))
    fills = [(key, fill) for key, entry in entries if (fill := _filled(parts, (*path, key), entry)) is not None]
    if not fills:
        return None

    def fill_in(variables: dict[str, Any]) -> Any:
        result = value.copy()
        for key, fill in fills:
            result[key] = fill(variables)
        return result

    return fill_in


def _digest(data: bytes | None) -> str | None:
    return None if data is None else blake2b(data, digest_size=16).hexdigest()


def _one_line(subject: str) -> str:
    # A line break would end the header; splitlines knows every kind that mail software takes for one.
    lines = subject.splitlines()
    if len(lines) < 2 and (not lines or lines[0] == subject):
        return subject
    return " ".join(stripped for line in lines if (stripped := line.strip()))


def _files(content: EmailContent) -> tuple[Attachment, ...]:
    return tuple(
        # What was saved has a type that is known; a list that has become shorter since must not stop a message.
        encode(file.name, type_of(file.name) or "application/octet-stream", file.data, file.cid)
        for file in content.attachments
    )


def _email(
    subject: _Fill, html: _Fill, text: _Fill, files: tuple[Attachment, ...], variables: dict[str, Any]
) -> RenderedEmail:
    return RenderedEmail(_one_line(subject(variables)), html(variables), text(variables), files)


def _sms(template_id: str | None, text: _Fill, approved: _Fill, variables: dict[str, Any]) -> RenderedSms:
    return RenderedSms(text(variables), template_id, tuple(approved(variables)["params"] or ()))


_EVERYBODY = re.compile(r"<@all>", re.IGNORECASE)
_MENTIONED = ("mentioned_list", "mentioned_mobile_list")


def _mentions(body: dict[str, Any]) -> frozenset[str]:
    """The fields of a WeCom body that mention everybody."""
    found = {name for name in _MENTIONED if any(each.strip().lower() == "@all" for each in body.get(name) or ())}
    return frozenset({*found, *("content" for _ in _EVERYBODY.finditer(body.get("content") or ""))})


def _wecom(
    kind: str,
    data: bytes | None,
    digest: str | None,
    mentions: frozenset[str],
    fill: _Fill,
    variables: dict[str, Any],
) -> RenderedWecom:
    body: dict[str, Any] = fill(variables)
    if more := _mentions(body) - mentions:
        message = "a value may not mention everybody; write @all into the template if it is meant"
        raise RenderingError(f"content.{min(more)}", message)
    filename = body.get("filename")
    if filename is not None and not _FILENAME.match(filename):
        raise RenderingError("content.filename", "becomes a name with a slash, quote or line break, empty or too long")
    hashed = json.dumps([kind, digest, body], sort_keys=True).encode()
    if data is not None:
        body = {**body, "data": data}
    return RenderedWecom(kind, body, blake2b(hashed, digest_size=16).hexdigest())


def as_json(rendered: Rendered) -> dict[str, Any]:
    """The rendered content as a person may read it in JSON: an email's, a text message's or a WeCom body's fields."""
    if isinstance(rendered, RenderedEmail):
        files = [
            {"name": each.name, "content_type": each.content_type, "size": each.size, "cid": each.cid}
            for each in rendered.attachments
        ]
        return {"subject": rendered.subject, "html": rendered.html, "text": rendered.text, "attachments": files}
    if isinstance(rendered, RenderedSms):
        approved = None
        if rendered.template_id is not None:
            approved = {"template_id": rendered.template_id, "params": list(rendered.params)}
        return {"text": rendered.text, APPROVED: approved}
    body = dict(rendered.body)
    if "data" in body:
        body["data"] = b64encode(body["data"]).decode()
    return {"type": rendered.type, "body": body}
