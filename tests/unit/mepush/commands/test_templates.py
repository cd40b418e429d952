"""`mepush template`."""

from base64 import b64decode
from pathlib import Path

import pytest

from mepush.client.errors import FileError
from mepush.files.templates import read_template
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import FakeApi

FILE = """
id = "{id}"
name = "{name}"
class = "notification"
accounts = ["mail"]
{more}
[content]
type = "email"
subject = "Hello {{{{ name }}}}"
html_file = "{id}.html"
[sample]
name = "Ada"
"""


def write(
    folder: Path, template: str = "order", name: str = "Order", html: str = "<p>{{ name }}</p>", more: str = ""
) -> Path:
    (folder / f"{template}.html").write_text(html, encoding="utf-8")
    path = folder / f"{template}.toml"
    path.write_text(FILE.format(id=template, name=name, more=more), encoding="utf-8")
    return path


def test_a_new_template_is_created_and_published(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path)
    ran = mepush("template", "push", str(tmp_path), "--publish", "--json")
    assert ran.code == 0
    assert ran.json == {
        "templates": [
            {
                "template": "order",
                "version": 1,
                "published": 1,
                "changed": True,
                "done": ["created", "published version 1"],
            }
        ],
        "failed": [],
    }
    assert api.versions["order"][0]["content"]["html"] == "<p>{{ name }}</p>"


def test_pushing_again_changes_nothing(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path)
    mepush("template", "push", str(tmp_path), "--publish")
    done = len(api.changes())
    ran = mepush("template", "push", str(tmp_path), "--publish")
    assert ran.code == 0
    assert len(api.changes()) == done
    assert "nothing: it is the same" in ran.out


def test_changed_content_is_a_new_version_published_only_when_asked(
    api: FakeApi, mepush: Mepush, tmp_path: Path
) -> None:
    write(tmp_path)
    mepush("template", "push", str(tmp_path), "--publish")
    write(tmp_path, html="<b>{{ name }}</b>")
    found = mepush("template", "push", str(tmp_path), "--json").json["templates"][0]
    assert (found["version"], found["published"], found["done"]) == (2, 1, ["saved version 2"])
    # The latest version, not the published one, is what the file is compared with.
    found = mepush("template", "push", str(tmp_path), "--publish", "--json").json["templates"][0]
    assert (found["version"], found["published"], found["done"]) == (2, 2, ["published version 2"])
    assert len(api.versions["order"]) == 2


def test_a_changed_head_is_changed_without_a_version(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path)
    mepush("template", "push", str(tmp_path))
    write(tmp_path, name="Renamed", more="ttl_seconds = 60")
    found = mepush("template", "push", str(tmp_path), "--json").json["templates"][0]
    assert found["done"] == ["changed name, ttl_seconds"]
    assert (api.templates["order"]["name"], api.templates["order"]["ttl_seconds"]) == ("Renamed", 60)
    write(tmp_path, name="Renamed")
    mepush("template", "push", str(tmp_path))
    assert api.requests[-1][2] == {"ttl_seconds": None}
    assert len(api.versions["order"]) == 1


def test_a_topic_and_tracking_are_changed_and_shown(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path)
    mepush("template", "push", str(tmp_path))
    write(tmp_path, more='topic = "sale"\ntracking = true')
    found = mepush("template", "push", str(tmp_path), "--json").json["templates"][0]
    assert found["done"] == ["changed topic, tracking"]
    assert api.requests[-1][2] == {"topic": "sale", "tracking": True}
    shown = mepush("template", "show", "order").out
    assert "about the topic sale" in shown and "tracked: openings and clicks are told, of each message" in shown
    # A platform from before there was tracking is told nothing of it.
    write(tmp_path)
    api.templates["order"] |= {"topic": None}
    del api.templates["order"]["tracking"]
    assert mepush("template", "push", str(tmp_path), "--json").json["templates"][0]["done"] == []


def test_what_cannot_change_is_said(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    path = write(tmp_path)
    mepush("template", "push", str(path))
    path.write_text(path.read_text().replace('"notification"', '"marketing"'))
    ran = mepush("template", "push", str(path))
    assert ran.code == 1
    assert "is of class notification, the file says marketing" in ran.err


def test_one_refused_file_does_not_stop_the_others(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path, "a-bad", name="refuse me")
    write(tmp_path, "b-good")
    ran = mepush("template", "push", str(tmp_path))
    assert ran.code == 1
    assert "content.html: line 3: oh" in ran.err
    assert "a-bad.toml" in ran.err
    assert "b-good" in ran.out
    assert "b-good" in api.templates


def test_a_typing_error_in_one_file_pushes_none(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path, "a-good")
    (tmp_path / "b.toml").write_text("id = ")
    ran = mepush("template", "push", str(tmp_path), "--json")
    assert ran.code == 1
    assert "is not TOML" in ran.json["error"]
    assert api.requests == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('id = "x"', "has no [content] table"),
        ('id = "x"\n[content]\ntype = "email"\nhtml_file = "absent.html"', "content.html_file cannot be read"),
        ('id = "x"\n[content]\ntype = "email"\nhtml_file = "../secret"', "in the template's own folder"),
        ('id = "x"\n[content]\ntype = "email"\nhtml_file = "/etc/hostname"', "in the template's own folder"),
        ('id = "x"\n[content]\ntype = "email"\nhtml_file = 3', "must be the name of a file"),
    ],
)
def test_files_that_are_no_templates_are_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content)
    with pytest.raises(FileError) as caught:
        read_template(path)
    assert words in str(caught.value)


def test_wrong_fields_are_listed_without_their_values(tmp_path: Path) -> None:
    path = write(tmp_path, more='ttl = 60\nsurprise = "secret-value"')
    with pytest.raises(FileError) as caught:
        read_template(path)
    assert {field for field, _ in caught.value.details} == {"ttl", "surprise"}
    assert "secret-value" not in str(caught.value.as_json())


def test_images_are_read_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    path = tmp_path / "x.toml"
    path.write_text(
        'id = "x"\nname = "X"\nclass = "marketing"\naccounts = ["robot"]\n'
        '[content]\ntype = "image"\ndata_file = "x.png"'
    )
    assert b64decode(read_template(path).body["content"]["data"]) == b"\x89PNG\r\n\x1a\n\xff"


def test_an_empty_folder_is_an_error(mepush: Mepush, tmp_path: Path) -> None:
    assert mepush("template", "push", str(tmp_path)).code == 1
    assert mepush("template", "push", "absent").code == 2


def test_list_and_show(mepush: Mepush) -> None:
    listed = mepush("template", "list")
    assert listed.out.splitlines()[1].split()[:6] == ["welcome", "Welcome", "email", "notification", "mail", "1"]
    assert mepush("template", "list", "--json").json["templates"][0]["id"] == "welcome"
    shown = mepush("template", "show", "welcome")
    assert "required: name" in shown.out
    assert "optional: note" in shown.out
    assert "subject: Hello {{ name }}" in shown.out
    assert mepush("template", "show", "welcome", "--version", "1", "--json").json["current"]["version"] == 1
    assert mepush("template", "show", "absent").code == 1


def test_preview_with_the_sample_and_with_own_variables(mepush: Mepush) -> None:
    assert "subject: Hello Ada" in mepush("template", "preview", "welcome").out
    ran = mepush("template", "preview", "welcome", "--var", "name=李雷", "--json")
    assert ran.code == 0
    assert ran.json["rendered"]["subject"] == "Hello 李雷"


def test_a_preview_that_a_provider_would_refuse_fails(mepush: Mepush) -> None:
    ran = mepush("template", "preview", "welcome", "--var", "name=a\nb")
    assert ran.code == 1
    assert "mail: subject: has a line break" in ran.out


def test_a_misspelt_field_and_a_missing_one_are_said_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text('id = "t"\nname = "T"\nclass = "notification"\nttl = 5\n[content]\ntype = "email"\n')
    with pytest.raises(FileError) as caught:
        read_template(path)
    assert caught.value.details == [
        ("accounts", "is missing; give it"),
        ("ttl", "there is no such field; is it misspelt?"),
    ]
