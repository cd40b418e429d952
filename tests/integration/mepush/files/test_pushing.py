"""Files of templates against the real API: what it says of them, and that pushing them again changes nothing."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from mepush.client.api import Client
from mepush.client.errors import ApiError
from mepush.files.accounts import read_accounts
from mepush.files.pushing import push_template
from mepush.files.templates import find_files, in_order, read_template
from shared.model.accounts import Account
from shared.model.words import Channel
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import ManageApi
from tests.samples import change

EXAMPLES = Path(__file__).parents[4] / "examples"
_PATH = re.compile(r"/v1/templates(?:/(?P<id>[^/]+)(?P<versions>/versions(?:/(?P<version>\d+))?)?(?P<do>/publish)?)?")
CHANNELS = {"mail": Channel.EMAIL, "sms": Channel.SMS, "wecom": Channel.WECOM}
"""By the beginnings of the accounts' ids."""
HEAD = 'id = "x"\nname = "X"\nclass = "notification"\naccounts = ["mail-smtp"]\n'
EMAIL = '[content]\ntype = "email"\nsubject = "Hi"\ntext = "Hello"\n'


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    """The manage function, with the accounts of the examples."""
    made = ManageApi(aws, clock)
    for entry in read_accounts(EXAMPLES / "accounts.toml"):
        provider = entry["settings"]["provider"]
        facts = {"id": entry["id"], "name": entry["name"], "provider": provider, "settings": entry["settings"]}
        channel = CHANNELS[entry["id"].partition("-")[0]]
        account = Account(**facts, tenant="default", channel=channel, created_at=0, updated_at=0)
        made.catalog.create_account(account, change())
    return made


@pytest.fixture
def api(manage_api: ManageApi) -> Client:
    """The API's client; each request goes to the function itself."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = _PATH.fullmatch(request.url.path)
        assert found is not None
        names = (
            found["id"] and "/{id}",
            found["versions"] and "/versions",
            found["version"] and "/{version}",
            found["do"],
        )
        route = f"{request.method} /v1/templates{''.join(filter(None, names))}"
        body = json.loads(request.content) if request.content else None
        made = manage_api.call(route, body, id=found["id"] or "", version=found["version"] or 1)
        return httpx.Response(made.status, text=made.text, headers={"content-type": "application/json"})

    return Client("http://127.0.0.1", "key", transport=httpx.MockTransport(answer))


def write(folder: Path, text: str) -> Path:
    path = folder / "x.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_example_is_created_once_and_then_the_same(api: Client) -> None:
    files = in_order([read_template(path) for path in find_files([EXAMPLES / "templates"])])
    first = [push_template(api, file, publish=True) for file in files]
    assert {tuple(pushed.done) for pushed in first} == {("created", "published version 1")}
    again = [push_template(api, file, publish=True) for file in files]
    assert {(pushed.version, *pushed.done) for pushed in again} == {(1,)}


MORE: list[tuple[str, str, list[str]]] = [
    ("", "ttl_seconds = 60\n", ["changed ttl_seconds"]),
    ("", "[policies]\n", ["changed policies"]),
    ("[policies]\n", "[policies]\nquiet_hours = {}\n", ["changed policies"]),
    ("[policies.cap]\ncount = 1\n", "[policies]\ncap = {count = 1}\nweights = {}\n", ["changed policies"]),
    (
        '[[policies.quiet_hours.windows]]\nstart = "22:00"\nend = "08:00"\n',
        '[policies.quiet_hours]\naction = "defer"\nspread_minutes = 15\n[[policies.quiet_hours.windows]]\n'
        'start = "22:00"\nend = "08:00"\ndays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]\n',
        [],
    ),
    (
        '[[policies.quiet_hours.windows]]\nstart = "22:00"\nend = "08:00"\n',
        '[policies.quiet_hours]\naction = "drop"\n[[policies.quiet_hours.windows]]\nstart = "22:00"\nend = "08:00"\n',
        ["changed policies"],
    ),
]


@pytest.mark.parametrize(("before", "after", "done"), MORE)
def test_only_what_makes_a_difference_is_changed(
    api: Client, tmp_path: Path, before: str, after: str, done: list[str]
) -> None:
    push_template(api, read_template(write(tmp_path, HEAD + before + EMAIL)), publish=False)
    pushed = push_template(api, read_template(write(tmp_path, HEAD + after + EMAIL)), publish=False)
    assert pushed.done == done
    assert push_template(api, read_template(tmp_path / "x.toml"), publish=False).done == []


CONTENTS: list[tuple[str, str, list[str]]] = [
    ('type = "email"\nsubject = "Hi"\ntext = "Hello"\n', EMAIL + "attachments = []\n", []),
    ('type = "email"\nsubject = "Hi"\ntext = "Hello"\n', EMAIL + 'html = "<p>Hello</p>"\n', ["saved version 2"]),
    (
        'type = "file"\ndata = "QUFBQUFBQUE="\nfilename = "file"\n',
        '[content]\ntype = "file"\ndata = "QUFBQUFBQUE="\n',
        [],
    ),
    (
        'type = "file"\ndata = "QUFBQUFBQUE="\nfilename = "a"\n',
        '[content]\ntype = "file"\ndata = "QUFBQUFBQUE="\n',
        ["saved version 2"],
    ),
    ('type = "text"\ncontent = "a"\nmentioned_list = []\n', '[content]\ntype = "text"\ncontent = "a"\n', []),
]


@pytest.mark.parametrize(("before", "after", "done"), CONTENTS)
def test_a_version_is_saved_only_for_another_content(
    api: Client, tmp_path: Path, before: str, after: str, done: list[str]
) -> None:
    head = HEAD if "email" in before else HEAD.replace("mail-smtp", "wecom-robot")
    push_template(api, read_template(write(tmp_path, f"{head}[content]\n{before}")), publish=False)
    assert push_template(api, read_template(write(tmp_path, head + after)), publish=False).done == done
    assert push_template(api, read_template(tmp_path / "x.toml"), publish=False).done == []


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (HEAD + "ttl_seconds = 1\n" + EMAIL, [("ttl_seconds", "must be at least 10")]),
        (HEAD + '[content]\ntype = "email"\nfrom = "x"\ntext = "Hi"\n', [
            ("content.subject", "is missing; give it"),
            ("content.from", "there is no such field; is it misspelt?"),
        ]),
        (HEAD + '[content]\ntype = "fax"\n', [("content", "its 'type' must be one of ")]),
        (HEAD + "[policies]\ncaps = 1\n" + EMAIL, [("policies.caps", "there is no such field; is it misspelt?")]),
        (HEAD.replace("notification", "news") + EMAIL, [("class", "must be 'verification', ")]),
        (HEAD.replace('"X"', "1979-05-27") + EMAIL, []),
        (HEAD.replace('"X"', "3") + EMAIL, [("name", "must be a text")]),
    ],
)  # fmt: skip
def test_the_api_names_each_field_as_the_file_has_it(
    api: Client, tmp_path: Path, text: str, findings: list[tuple[str, str]]
) -> None:
    file = read_template(write(tmp_path, text))
    if not findings:
        assert push_template(api, file, publish=False).done == ["created"]
        return
    with pytest.raises(ApiError) as refused:
        push_template(api, file, publish=False)
    found: Any = refused.value.details
    assert [name for name, _ in found] == [name for name, _ in findings]
    assert all(said.startswith(words) for (_, said), (_, words) in zip(found, findings, strict=True)), found
