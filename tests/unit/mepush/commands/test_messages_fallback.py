"""Fallback to another channel by the command: in template files, in what is sent, and in the trace."""

from pathlib import Path

from tests.unit.mepush.commands.test_messages import bodies
from tests.unit.mepush.commands.test_templates import write
from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import TAG, ULID, FakeApi, message

STANDS_IN = '[fallback]\ntemplate = "zz-last"\nafter_minutes = {}\n'


def test_a_file_names_the_template_that_stands_in(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path, "zz-last")
    write(tmp_path, more=STANDS_IN.format(5))
    assert mepush("template", "push", str(tmp_path), "--publish").code == 0
    # The one that stands in comes first, with its publication: the other is refused without it.
    created = [body["id"] for method, path, body, _ in api.requests if (method, path) == ("POST", "/v1/templates")]
    assert created == ["zz-last", "order"]
    published = api.paths().index("POST /v1/templates/zz-last/versions/1/publish")
    assert published < [path for path in api.paths()].index("GET /v1/templates/order")
    assert api.templates["order"]["fallback"] == {"template": "zz-last", "after_minutes": 5}
    assert "falls back to zz-last where it was not sent within 5 minutes" in mepush("template", "show", "order").out
    done = len(api.changes())
    mepush("template", "push", str(tmp_path), "--publish")
    assert len(api.changes()) == done
    write(tmp_path, more=STANDS_IN.format(6))
    found = mepush("template", "push", str(tmp_path), "--json").json["templates"]
    assert [each["done"] for each in found] == [[], ["changed fallback"]]
    write(tmp_path)
    mepush("template", "push", str(tmp_path))
    assert api.templates["order"]["fallback"] is None


def test_files_that_name_each_other_are_left_to_the_platform(api: FakeApi, mepush: Mepush, tmp_path: Path) -> None:
    write(tmp_path, "zz-last", more=STANDS_IN.format(5).replace("zz-last", "order"))
    write(tmp_path, more=STANDS_IN.format(5))
    assert mepush("template", "push", str(tmp_path), "--publish").code == 0
    assert api.templates.keys() >= {"order", "zz-last"}


def test_one_address_may_have_others_to_fall_back_to(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush(
        *("send", "-t", "welcome", "--to", "ada@example.com", "--var", "name=Ada"),
        *("--fallback", "sms=13800138000", "--fallback", "wecom=ada"),
    )
    assert bodies(api)[0]["recipients"] == [
        {"to": "ada@example.com", "fallback": {"sms": "13800138000", "wecom": "ada"}}
    ]
    assert "to" not in bodies(api)[0] and ran.err == ""
    Path("p.csv").write_text("to,name\na@example.com,A\n")
    assert mepush("send", "-t", "welcome", "--csv", "p.csv", "--fallback", "sms=1").code == 2


def test_the_trace_links_the_two(api: FakeApi, mepush: Mepush) -> None:
    first, second = f"{ULID}1{TAG}", f"{ULID}1{TAG[::-1]}"
    api.messages[first] = message(first, ULID + "0") | {
        "falls_back_to": {"message_id": second, "channel": "sms", "template": "code-sms"}
    }
    api.messages[second] = message(second, ULID + "0") | {"fallback_of": first}
    assert f"falls back to message {second} by sms" in mepush("trace", first).out.splitlines()
    assert f"fallback of message {first}" in mepush("trace", second).out.splitlines()
