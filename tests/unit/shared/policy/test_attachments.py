"""Files that go with an email: which may, what they may be called, and what html shows of them."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.model.attachments import encode, merged
from shared.model.content import EmailContent, RenderedEmail
from shared.model.words import MessageClass
from shared.policy.attachments import (
    MAX_BYTES,
    MAX_FILES,
    TYPES,
    beyond,
    cids_in,
    content_problems,
    name_problem,
    type_of,
    type_problem,
)
from shared.providers.declared import check
from shared.providers.email import limits
from shared.rendering.render import as_json, compile_content

PNG = b64encode(b"\x89PNG").decode()


@pytest.mark.parametrize(
    "name", ["a.pdf", "Rechnung März.PDF", "发票 1001.pdf", "a.b.c.xlsx", 'say "hi".txt', "🎉.png", "x" * 196 + ".pdf"]
)
def test_a_good_name(name: str) -> None:
    assert name_problem(name) is None
    assert type_of(name) in TYPES


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("setup.exe", "of no kind"),
        ("invoice.pdf.exe", "of no kind"),
        ("invoice.js", "of no kind"),
        ("page.html", "of no kind"),
        ("vector.svg", "of no kind"),
        ("all.zip", "of no kind"),
        ("macro.docm", "of no kind"),
        ("noending", "of no kind"),
        ("pdf", "of no kind"),
        ("", "of no kind"),
        (".pdf", "begin with a dot"),
        (" a.pdf", "blank"),
        ("a.pdf ", "blank"),
        ("../a.pdf", "path"),
        ("c:\\a.pdf", "path"),
        ("a\r\nBcc: x.pdf", "control"),
        ("a\0.pdf", "control"),
        ("a\x85.pdf", "control"),
        ("a\u2028.pdf", "control"),
        # Shown as `invoice_exe.pdf`.
        ("invoice_\u202efdp.exe", "control"),
        ("a\ud800.pdf", "control"),
        ("x" * 197 + ".pdf", "200 bytes"),
        ("你" * 66 + ".pdf", "200 bytes"),
    ],
)
def test_a_bad_name(name: str, problem: str) -> None:
    assert problem in (name_problem(name) or "")


@given(st.text(max_size=30))
def test_whatever_passes_for_a_name_is_one_line_with_an_ending_that_is_known(name: str) -> None:
    if name_problem(name) is None:
        assert name == name.strip()
        assert not set(name) & set("\r\n\0/\\")
        assert any(name.lower().endswith(ending) for endings in TYPES.values() for ending in endings)


def test_a_type_must_be_allowed_and_fit_the_name() -> None:
    assert type_problem("a.jpeg", "image/jpeg") is None
    assert "may not be attached" in (type_problem("a.pdf", "application/x-msdownload") or "")
    assert "application/pdf" in (type_problem("a.pdf", "image/png") or "")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (None, []),
        ("<p>placid: no reference, nor cid:here</p>", []),
        ("<img src='cid:a'><IMG SRC = \"CID:b\"><img src=cid:c><td background=cid:a>", ["a", "b", "c"]),
        ('<p style="background: url( cid:d )"><style>p {background: url("cid:e@f.g")}</style>', ["d", "e@f.g"]),
        ('<img src="cid:{{ name }}">', ["{{"]),
    ],
)
def test_the_images_that_html_shows(html: str | None, found: list[str]) -> None:
    assert cids_in(html) == found


def _file(name: str = "logo.png", **more: Any) -> dict[str, Any]:
    return {"name": name, "data": PNG, **more}


def _content(html: str | None, *files: dict[str, Any]) -> EmailContent:
    text = "x" if html is None else None
    return EmailContent.model_validate({"subject": "s", "html": html, "text": text, "attachments": list(files)})


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (_content("<img src=cid:logo>", _file(cid="logo"), _file("terms.pdf")), []),
        (_content("<img src=cid:logo>", _file(cid="other")), [("html", "`cid:logo`")]),
        (_content("<img src=cid:logo>", _file()), [("html", "`cid:logo`")]),
        (_content("<img src='cid:{{ x }}'>", _file(cid="x")), [("html", "placeholder")]),
        (_content("<p>", _file("run.exe")), [("attachments.0.name", "of no kind")]),
        (_content("<p>", _file(), _file("a.pdf", cid="a")), [("attachments.1.cid", "images")]),
        (_content("<p>", _file(cid="a"), _file(cid="a")), [("attachments.1.cid", "same cid")]),
        (_content(None, _file(cid="a")), [("attachments.0.cid", "give html")]),
        (
            _content("<p>", *[{"name": "a.png", "data": b64encode(bytes(130_000)).decode()}] * 2),
            [("attachments", "250,000")],
        ),
    ],
)
def test_a_templates_files_fit_its_html(content: EmailContent, problems: list[tuple[str, str]]) -> None:
    found = content_problems(content)
    assert [field for field, _ in found] == [field for field, _ in problems]
    assert all(text in message for (_, message), (_, text) in zip(found, problems, strict=True))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"html": "x", "attachments": [_file(cid="a b")]}, "pattern"),
        ({"html": "x", "attachments": [_file()] * 11}, "at most 10"),
    ],
)
def test_what_no_content_may_have(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        EmailContent.model_validate({"subject": "s", **values})


def test_a_message_has_so_many_files_of_such_a_size() -> None:
    assert beyond([MAX_BYTES - 1], [1]) is None
    assert beyond([1] * MAX_FILES, []) is None
    assert beyond([3, MAX_BYTES - 3], [1]) == (1, "makes 7,000,001 bytes of files, more than 7,000,000 for one message")
    position, text = beyond([1] * MAX_FILES, [1]) or (0, "")
    assert (position, "one too many" in text) == (MAX_FILES - 1, True)


def test_rendering_carries_the_templates_files_along() -> None:
    compiled = compile_content(_content("{{ x }}<img src=cid:logo>", _file(cid="logo"), _file("a.pdf")))
    one, two = (compiled.render({}, {"x": x}) for x in "12")
    assert isinstance(one, RenderedEmail)
    assert isinstance(two, RenderedEmail)
    assert [(f.name, f.content_type, f.size, f.cid) for f in one.attachments] == [
        ("logo.png", "image/png", 4, "logo"),
        ("a.pdf", "application/pdf", 4, None),
    ]
    assert one.attachments is two.attachments, "encoded once"
    assert as_json(one)["attachments"][1] == {
        "name": "a.pdf",
        "content_type": "application/pdf",
        "size": 4,
        "cid": None,
    }


def test_a_requests_image_takes_the_place_of_the_templates() -> None:
    logo, terms, other = (encode(name, "image/png", b"x", cid) for name, cid in (("l", "a"), ("t", None), ("o", "b")))
    mine, beside = encode("m", "image/png", b"y", "a"), encode("n", "image/png", b"y")
    assert merged((logo, terms, other), (mine, beside)) == (terms, other, mine, beside)
    assert merged((logo,), (beside,)) == (logo, beside)


def test_an_email_has_a_size_with_its_files() -> None:
    big = encode("a.pdf", "application/pdf", bytes(limits.EMAIL_BYTES))
    [issue] = check(RenderedEmail("s", None, "t", (big,)), "smtp", MessageClass.NOTIFICATION)
    assert issue == ("attachments", "makes an email of 10,485,762 bytes, more than 10,485,760")
