"""`mepush send --attach` and `--inline`, and templates with files beside them."""

from pathlib import Path
from typing import Any

import pytest

from mepush.files.templates import read_template
from shared.model.content import EmailContent
from shared.policy.attachments import MAX_BYTES
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import FakeApi

SEND = ("send", "-t", "welcome", "--var", "name=Ada")


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "发票 1.pdf").write_bytes(b"%PDF\r\n--x")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")


def bodies(api: FakeApi) -> list[dict[str, Any]]:
    return [body for method, path, body, _ in api.requests if (method, path) == ("POST", "/v1/messages")]


def test_files_are_uploaded_and_named(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush(*SEND, "--to", "a@example.com", "--attach", "发票 1.pdf", "--inline", "logo=logo.png")
    assert ran.code == 0
    first, second = bodies(api)[0]["attachments"]
    assert (first.keys(), second["cid"]) == ({"id"}, "logo")
    assert api.uploads == {
        first["id"]: ("application/pdf", b"%PDF\r\n--x"),
        second["id"]: ("image/png", b"\x89PNG"),
    }


def test_the_same_command_again_is_the_same_request(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("to,name\na@example.com,Ada\n")
    for _ in range(2):
        assert mepush("send", "-t", "welcome", "--csv", "people.csv", "--attach", "logo.png").code == 0
    one, two = bodies(api)
    assert one == two
    assert len(api.sends) == 1
    (tmp_path / "logo.png").write_bytes(b"\x89PNG 2")
    assert mepush("send", "-t", "welcome", "--csv", "people.csv", "--attach", "logo.png").code == 1


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--attach", "missing.pdf"), "missing.pdf cannot be read"),
        (("--attach", "."), "cannot be attached"),
        (("--attach", "run.exe"), "of no kind that may be attached"),
        (("--attach", "empty.txt"), "empty.txt is empty"),
        (("--attach", "large.pdf"), "larger than 7,000,000 bytes"),
        (("--inline", "logo=missing.png"), "missing.png cannot be read"),
    ],
)
def test_what_cannot_be_attached_is_said_before_anything_is_sent(
    api: FakeApi, mepush: Mepush, tmp_path: Path, args: tuple[str, ...], text: str
) -> None:
    (tmp_path / "run.exe").write_bytes(b"MZ")
    (tmp_path / "empty.txt").touch()
    with (tmp_path / "large.pdf").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    ran = mepush(*SEND, "--to", "a@example.com", *args)
    assert (ran.code, text in " ".join(ran.err.split())) == (1, True), ran.err
    assert api.requests == []


def test_an_upload_that_is_refused_ends_the_command(api: FakeApi, mepush: Mepush) -> None:
    api.upload_status = 403
    ran = mepush(*SEND, "--to", "a@example.com", "--attach", "logo.png")
    assert (ran.code, "refused logo.png with HTTP 403" in ran.err) == (1, True)
    assert bodies(api) == []


@pytest.mark.parametrize(
    ("url", "text"),
    [("http://example.com/bucket", "not encrypted"), ("http://127.0.0.1:1/bucket", "could not be uploaded")],
)
def test_an_upload_address_must_be_safe_and_there(api: FakeApi, mepush: Mepush, url: str, text: str) -> None:
    api.upload_url = url
    ran = mepush(*SEND, "--to", "a@example.com", "--attach", "logo.png")
    assert (ran.code, text in ran.err, bodies(api)) == (1, True, [])


def test_an_inline_image_needs_its_name(mepush: Mepush) -> None:
    assert mepush(*SEND, "--to", "a@example.com", "--inline", "logo.png").code == 2


TEMPLATE = """
id = "with-logo"
name = "With a logo"
class = "notification"
accounts = ["mail"]

[content]
type = "email"
subject = "Hello"
html = '<img src="cid:logo">'

[[content.attachments]]
name = "logo.png"
cid = "logo"
data_file = "{file}"
"""


def test_a_template_has_its_files_beside_it(mepush: Mepush, tmp_path: Path) -> None:
    path = tmp_path / "logo.toml"
    path.write_text(TEMPLATE.replace("{file}", "logo.png"))
    content = EmailContent.model_validate(read_template(path).body["content"])
    assert content.attachments[0].data == b"\x89PNG"
    assert "created" in mepush("template", "push", "logo.toml").out
    assert "nothing: it is the same" in mepush("template", "push", "logo.toml").out
    shown = mepush("template", "show", "with-logo").out
    assert "logo.png (4 bytes, shown as cid:logo)" in shown
    assert "iVBO" not in shown
    (tmp_path / "logo.png").write_bytes(b"\x89PNG 2")
    assert "saved version 2" in mepush("template", "push", "logo.toml").out


@pytest.mark.parametrize("file", ["../logo.png", "missing.png"])
def test_a_file_of_a_template_must_be_there(mepush: Mepush, tmp_path: Path, file: str) -> None:
    (tmp_path / "logo.toml").write_text(TEMPLATE.replace("{file}", file))
    ran = mepush("template", "push", "logo.toml")
    assert (ran.code, "content.attachments.0.data_file" in ran.err) == (1, True)
