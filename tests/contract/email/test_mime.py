"""What is assembled reads back the same with the standard library, and nothing can be smuggled in."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.model.content import RenderedEmail
from shared.providers.email.mime import Assembler, mailbox_problem, one_line

HEADERS = ["From", "MIME-Version", "To", "Subject", "Date", "Message-ID", "X-MePush-Message-Id"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
lines = st.text(st.sampled_from("ab .\r\n\t\0-=_é你🎉:\x85\u2028?"), max_size=400)
subjects = st.one_of(
    texts, lines, st.text(st.sampled_from("ab ?=.,"), max_size=300), st.text(max_size=3).map("x ".join)
)
bodies = st.one_of(texts, lines, st.text(st.characters(codec="ascii"), max_size=3000), lines.map(lambda s: s * 20))


def parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def body_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return newlines(part.get_content())


@given(subject=subjects, text=bodies, html=bodies)
@example(subject="a\r\nBcc: evil@example.com\r\n\r\nbody", text="x", html="\r\n.\r\n")
@example(subject="=?utf-8?b?QUFB?= " + "long words here " * 20, text=".\n..\n", html="From me")
@example(subject="你" * 200, text="a" * 999, html="a" * 998)
@example(subject="👩‍👩‍👧‍👦" * 20 + "é", text="a\rb", html="")
@settings(max_examples=120, deadline=None)
def test_both_parts_round_trip(subject: str, text: str, html: str) -> None:
    raw = Assembler("notice@example.com").assemble("01K", "a@b.com", RenderedEmail(subject, html, text), 0)
    message = parse(raw)
    assert message.keys() == [*HEADERS, "Content-Type"]
    assert message["Subject"] == one_line(subject)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert body_of(message, "plain") == newlines(text)
    assert body_of(message, "html") == newlines(html)
    assert not message.defects
    assert_wire_form(raw)


def assert_wire_form(raw: bytes) -> None:
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    header, _, _ = raw.partition(b"\r\n\r\n")
    # An unbroken ASCII word longer than a line stays whole.
    assert all(len(line) <= 78 or b" " not in line.strip().partition(b": ")[2] for line in header.split(b"\r\n"))


@given(body=bodies, is_html=st.booleans())
@settings(max_examples=100, deadline=None)
def test_single_part_round_trips(body: str, is_html: bool) -> None:
    content = RenderedEmail("s", body if is_html else None, None if is_html else body)
    raw = Assembler("notice@example.com").assemble("01K", "a@b.com", content, 0)
    message = parse(raw)
    assert message.keys() == [*HEADERS, "Content-Type", "Content-Transfer-Encoding"]
    assert message.get_content_type() == ("text/html" if is_html else "text/plain")
    read = newlines(message.get_content())
    assert read in {newlines(body), newlines(body) + "\n"}
    assert_wire_form(raw)


@given(
    name=st.one_of(texts.map(lambda s: s[:100]), lines.map(lambda s: s[:100]), st.text(st.sampled_from('a"\\ (<@,.;')))
)
@example(name='Bob "the\\ builder" <x@y.z>')
@example(name="a\r\nBcc: evil@example.com")
@example(name="通知中心" * 25)
@settings(max_examples=100, deadline=None)
def test_sender_name_round_trips(name: str) -> None:
    raw = Assembler("notice@example.com", name, "reply@example.com").assemble(
        "01K", "a@b.com", RenderedEmail("s", None, "t"), 0
    )
    message = parse(raw)
    assert [address.addr_spec for address in message["From"].addresses] == ["notice@example.com"]
    # Python 3.11's newer parser puts blanks between the encoded words of a name; the older one does it right.
    phrase, _ = parseaddr(re.sub("\r\n", "", str(message_from_bytes(raw)["From"])))
    assert str(make_header(decode_header(phrase))) == one_line(name)
    assert message["Reply-To"] == "reply@example.com"
    assert message.keys().count("From") == 1
    assert "Bcc" not in message
    assert_wire_form(raw)


def test_lone_surrogates_become_question_marks() -> None:
    raw = Assembler("a@b.com").assemble("01K", "a@b.com", RenderedEmail("x\ud800", None, "y\ud800"), 0)
    assert parse(raw)["Subject"] == "x?"
    assert parse(raw).get_content() == "y?"


def test_a_body_cannot_close_its_part() -> None:
    assembler = Assembler("a@b.com")
    first = parse(assembler.assemble("01K", "a@b.com", RenderedEmail("s", "h", "t"), 0))
    boundary = first.get_boundary()
    evil = f"x\n--{boundary}\nContent-Type: text/html\n\n<b>evil</b>\n--{boundary}--\n"
    message = parse(assembler.assemble("01K", "a@b.com", RenderedEmail("s", evil, evil), 0))
    assert len(list(message.iter_parts())) == 2
    assert body_of(message, "plain") == body_of(message, "html") == evil


def test_ids_and_date() -> None:
    assembler = Assembler("a@b.com")
    message = parse(assembler.assemble("01KABC", "c@d.com", RenderedEmail("s", None, "t"), 1_700_000_000_999))
    assert message["Message-ID"] == assembler.message_id("01KABC") == "<01KABC@b.com>"
    assert message["X-MePush-Message-Id"] == "01KABC"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    later = parse(assembler.assemble("01KABD", "c@d.com", RenderedEmail("s", None, "t"), 1_700_000_001_000))
    assert later["Date"] == "Tue, 14 Nov 2023 22:13:21 +0000"


def test_plain_ascii_stays_readable() -> None:
    raw = Assembler("a@b.com", "Shop").assemble("01K", "c@d.com", RenderedEmail("Order shipped", None, "It left."), 0)
    assert b"From: Shop <a@b.com>\r\n" in raw
    assert b"Subject: Order shipped\r\n" in raw
    assert raw.endswith(b"Content-Transfer-Encoding: 7bit\r\n\r\nIt left.\r\n")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("a.b+c@example.com", None),
        ("a@xn--fsq.com", None),
        ("张三@example.com", "non_ascii_local_part"),
        ("a@例子.com", "not_well_formed"),
        ("a@b.com\r\nRCPT TO:<evil@example.com>", "not_well_formed"),
        ("a@b.com>", "not_well_formed"),
        ("a b@c.com", "not_well_formed"),
        ("a@b.com\n", "not_well_formed"),
        ("@b.com", "not_well_formed"),
        ("", "not_well_formed"),
    ],
)
def test_addresses_that_cannot_be_put_on_the_wire(address: str, problem: str | None) -> None:
    assert mailbox_problem(address) == problem
