"""Emails with files read back by the standard library: names, types, bytes, and what belongs to what."""

import os
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, MIMEPart
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.sandbox.ses import SesSandbox
from local.sandbox.smtp import SmtpSandbox
from shared.model.accounts import NoSecret
from shared.model.attachments import Attachment, encode
from shared.model.content import RenderedEmail
from shared.model.outcome import Sent
from shared.policy.attachments import MAX_BYTES, name_problem
from shared.providers.email.mime import Assembler
from shared.providers.email.ses import provider as ses
from shared.providers.email.smtp import provider as smtp
from tests.contract.email.support import email, send_one, tools
from tests.fakes import FakeClock

DATA = bytes(range(256)) * 3
LOGO = encode("logo.png", "image/png", DATA, "logo")
PDF = encode("a.pdf", "application/pdf", DATA + b"x")
HTML = '<img src="cid:logo">'


def assembled(html: str | None, text: str | None, *files: Attachment) -> EmailMessage:
    raw = Assembler("notice@example.com").assemble("01K", "a@b.com", RenderedEmail("s", html, text, files), 0)
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = message_from_bytes(raw, policy=policy.default)
    assert not [part.defects for part in message.walk() if part.defects]
    return message


def shape(message: MIMEPart) -> object:
    kind = message.get_content_type()
    return (kind, [shape(part) for part in message.iter_parts()]) if message.is_multipart() else kind


ALTERNATIVE = ("multipart/alternative", ["text/plain", "text/html"])


@pytest.mark.parametrize(
    ("html", "text", "files", "expected"),
    [
        (None, "t", [PDF], ("multipart/mixed", ["text/plain", "application/pdf"])),
        (HTML, "t", [PDF], ("multipart/mixed", [ALTERNATIVE, "application/pdf"])),
        (HTML, None, [LOGO], ("multipart/related", ["text/html", "image/png"])),
        (HTML, "t", [LOGO], ("multipart/related", [ALTERNATIVE, "image/png"])),
        (
            HTML,
            "t",
            [LOGO, PDF, PDF],
            (
                "multipart/mixed",
                [("multipart/related", [ALTERNATIVE, "image/png"]), "application/pdf", "application/pdf"],
            ),
        ),
    ],
)
def test_what_belongs_to_what(html: str | None, text: str | None, files: list[Attachment], expected: object) -> None:
    message = assembled(html, text, *files)
    assert shape(message) == expected
    for kind, content in (("html", html), ("plain", text)):
        part = message.get_body((kind,))
        assert (part and part.get_content().strip()) == content


def test_a_related_part_says_what_it_begins_with() -> None:
    # RFC 2387 section 3.1
    assert assembled(HTML, None, LOGO).get_param("type") == "text/html"
    assert assembled(HTML, "t", LOGO).get_param("type") == "multipart/alternative"


def test_an_image_of_the_html_and_a_file_beside_it() -> None:
    message = assembled(HTML, "t", LOGO, PDF)
    [beside] = message.iter_attachments()
    assert (beside.get_filename(), beside.get_content_disposition()) == ("a.pdf", "attachment")
    assert beside.get_content() == DATA + b"x"
    [shown] = [part for part in message.walk() if part["Content-ID"]]
    assert (shown["Content-ID"], shown.get_content_disposition()) == ("<logo>", "inline")
    assert shown.get_content() == DATA


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).map(lambda s: f"{s}.pdf")


@given(name=names.filter(lambda name: name_problem(name) is None), data=st.binary(max_size=2000))
@example(name="发票" * 30 + ".pdf", data=b"")
@example(name='a "quoted" name; x=y.pdf', data=b"\r\n.\r\n")
@example(name="a" * 190 + ".pdf", data=b"--=_")
@example(name="100%25 'é' *0*=.pdf", data=b"\n")
@settings(max_examples=200, deadline=None)
def test_any_name_and_any_bytes_arrive(name: str, data: bytes) -> None:
    [part] = assembled(None, "t", encode(name, "application/pdf", data)).iter_attachments()
    assert part.get_filename() == name
    assert part.get_content() == data


def headers_of(name: str) -> list[str]:
    """The header lines of a file as they leave, without folding."""
    file = encode(name, "application/pdf", b"x")
    raw = Assembler("notice@example.com").assemble("01K", "a@b.com", RenderedEmail("s", None, "t", (file,)), 0)
    part = raw[raw.index(b"Content-Type: application/pdf") :].partition(b"\r\n\r\n")[0]
    assert max(map(len, part.split(b"\r\n"))) <= 998
    return part.decode("ascii").replace("\r\n ", " ").split("\r\n")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("a" * 70 + ".pdf", "a" * 70 + ".pdf"),
        ('a "b" c;d=e.pdf', 'a \\"b\\" c;d=e.pdf'),
    ],
)
def test_a_plain_name_is_written_as_it_is_in_both_places(name: str, written: str) -> None:
    assert headers_of(name) == [
        f'Content-Type: application/pdf; name="{written}"',
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{written}"',
    ]


@pytest.mark.parametrize(
    "name", ["账单.pdf", "2026年5月对账单.pdf", "发票" * 30 + ".pdf", "é😀" * 18 + ".pdf", "=?utf-8?b?QQ==?=.pdf"]
)
def test_another_name_is_written_for_old_and_new_mail_programs(name: str) -> None:
    """Encoded words for QQ Mail, Foxmail and Outlook, RFC 2231 for those that go by the standard, in one piece."""
    kind, _, place = headers_of(name)
    words, extended = re.fullmatch(
        r'Content-Disposition: attachment; filename="([^"]+)"; filename\*=utf-8\'\'(\S+)', place
    ).groups()  # type: ignore[union-attr]  # None fails the test as well
    assert kind == f'Content-Type: application/pdf; name="{words}"'
    assert unquote(extended) == name
    assert all(len(word) <= 75 for word in words.split(" "))
    assert str(make_header(decode_header(words))) == name


def test_names_of_shown_images_are_written_alike() -> None:
    message = assembled(HTML, None, encode("标志.png", "image/png", DATA, "logo"))
    [shown] = [part for part in message.walk() if part["Content-ID"]]
    assert (shown.get_filename(), shown.get_param("name")) == ("标志.png", "标志.png")
    assert "*0" not in str(shown["Content-Disposition"])


@pytest.mark.parametrize("policy_", [policy.default, policy.compat32], ids=["new", "old"])
def test_pythons_parsers_read_the_name(policy_: Any) -> None:
    for name in ("账单.pdf", "2026年5月对账单.pdf", "a" * 70 + ".pdf", 'a "b".pdf'):
        file = encode(name, "application/pdf", b"x")
        raw = Assembler("notice@example.com").assemble("01K", "a@b.com", RenderedEmail("s", None, "t", (file,)), 0)
        [part] = [part for part in message_from_bytes(raw, policy=policy_).walk() if part.get_filename()]
        assert str(make_header(decode_header(str(part.get_filename())))) == name


def test_a_text_file_is_not_taken_for_the_text() -> None:
    message = assembled(HTML, None, encode("a.txt", "text/plain", b"file"))
    assert message.get_body(("plain",)) is None


LARGE = os.urandom(MAX_BYTES - len(DATA))
SHOWN = [
    {"name": "logo.png", "type": "image/png", "size": len(DATA), "sha256": sha256(DATA).hexdigest(), "cid": "logo"},
    {
        "name": "发票.pdf",
        "type": "application/pdf",
        "size": len(LARGE),
        "sha256": sha256(LARGE).hexdigest(),
    },
]


def test_smtp_carries_as_much_as_is_allowed() -> None:
    with SmtpSandbox() as sandbox:
        settings = smtp.Settings(
            provider="smtp",
            host="127.0.0.1",
            port=sandbox.port,
            security=sandbox.security,
            username=sandbox.username,
            from_address="notice@example.com",
            ca_pem=sandbox.ca_pem,
        )
        provider = smtp.build(settings, smtp.Secret(password=sandbox.password), tools(FakeClock()))
        files = (LOGO, encode("发票.pdf", "application/pdf", LARGE))
        assert isinstance(send_one(provider, email(html=HTML, attachments=files)), Sent)
        provider.close()
        [delivery] = sandbox.outbox.all()
    assert delivery.data["attachments"] == SHOWN
    assert delivery.data["size"] < 10_240_000, "what Postfix takes unless it is told otherwise"


def test_ses_carries_as_much_as_is_allowed() -> None:
    with SesSandbox() as sandbox:
        settings = ses.Settings(
            provider="ses",
            region="us-east-1",
            from_address="notice@example.com",
            endpoint=sandbox.url,
        )
        provider = ses.build(settings, NoSecret(), tools(FakeClock()))
        files = (LOGO, encode("发票.pdf", "application/pdf", LARGE))
        assert isinstance(send_one(provider, email(html=HTML, attachments=files)), Sent)
        provider.close()
        [delivery] = sandbox.outbox.all()
    assert delivery.data["attachments"] == SHOWN
