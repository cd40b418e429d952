"""Which contents count as the same: whatever the recipient would see differently makes another digest."""

import pytest
from msgspec.structs import replace

from shared.model.attachments import encode
from shared.model.content import Rendered, RenderedEmail, RenderedSms, RenderedWecom
from shared.policy.duplicates import digests

KEY = b"k" * 32
FILE = encode("price.pdf", "application/pdf", b"one")
MAIL = RenderedEmail("Hello", "<p>Hello</p>", "Hello", (FILE,))
TEXT = RenderedSms("Your code is 123456", None, ())
APPROVED = RenderedSms(None, "1234", ("123456", "5"))
POST = RenderedWecom("text", {"content": "Hello"}, "text:hello")
DIFFERENT: list[tuple[Rendered, Rendered]] = [
    (MAIL, replace(MAIL, subject="Hello!")),
    (MAIL, replace(MAIL, html=None)),
    (MAIL, replace(MAIL, text=None)),
    (MAIL, replace(MAIL, attachments=())),
    (MAIL, replace(MAIL, attachments=(replace(FILE, name="prices.pdf"),))),
    (MAIL, replace(MAIL, attachments=(replace(FILE, cid="logo"),))),
    (MAIL, replace(MAIL, attachments=(encode("price.pdf", "application/pdf", b"two"),))),
    (TEXT, replace(TEXT, text="Your code is 123457")),
    (APPROVED, replace(APPROVED, template_id="1235")),
    (APPROVED, replace(APPROVED, params=("123456", "6"))),
    (APPROVED, replace(APPROVED, params=("1234565",))),
    (POST, replace(POST, key="text:hello!")),
    (POST, replace(POST, type="markdown")),
    (TEXT, RenderedEmail(TEXT.text or "", None, None)),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_content_has_another_digest(one: Rendered, other: Rendered) -> None:
    assert len(set(digests([one, other], KEY))) == 2


@pytest.mark.parametrize("content", [MAIL, TEXT, APPROVED, POST], ids=lambda content: type(content).__name__)
def test_the_same_content_has_the_same_digest_whoever_works_it_out(content: Rendered) -> None:
    [found] = digests([replace(content)], KEY)
    assert digests([content, content], KEY) == [found, found]
    assert len(found) == 32


def test_equal_files_are_the_same_wherever_they_were_read() -> None:
    again = replace(MAIL, attachments=(encode("price.pdf", "application/pdf", b"one"),))
    assert len(set(digests([MAIL, again], KEY))) == 1


def test_without_the_key_a_code_is_not_found_from_its_digest() -> None:
    assert digests([TEXT], KEY) != digests([TEXT], b"x" * 32)
